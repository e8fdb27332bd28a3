//! Layers of valid settings, weakest first, and their merge. figment merges them and remembers for every value
//! which layer gave it.

use std::collections::BTreeMap;

use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::Value;

use super::pretrain_spec::EMBEDDED_PREFIX;
use super::problem::Place;
use super::resolved::Origin;
use super::schema::{Default, Lit, Spec, When};
use super::settings::{self, DATASETS};

/// A value with its origin.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// Where it was typed, if it was.
    pub(super) place: Option<Place>,
}

/// The settings of one origin, by key.
pub(super) type Values = BTreeMap<&'static str, Given>;

/// One layer, named by its number so that the merge can be asked where a value came from.
struct Numbered<'a> {
    number: usize,
    values: &'a Values,
}

impl Provider for Numbered<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.number.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        for (key, given) in self.values {
            let value = figment::value::Value::serialize(&given.value)?;
            match key.split_once('.') {
                None => drop(dict.insert((*key).to_owned(), value)),
                Some((section, leaf)) => {
                    let inner = dict.entry(section.to_owned()).or_insert_with(|| Dict::new().into());
                    if let figment::value::Value::Dict(_, inner) = inner {
                        inner.insert(leaf.to_owned(), value);
                    }
                }
            }
        }
        Ok(Profile::Default.collect(dict))
    }
}

/// Layers and what they make together.
pub(super) struct Merged {
    pub(super) figment: Figment,
    layers: Vec<Values>,
}

impl Merged {
    /// Merge layers, weakest first.
    pub(super) fn new(layers: Vec<Values>) -> Self {
        let merge = |figment: Figment, (number, values)| figment.merge(Numbered { number, values });
        let figment = layers.iter().enumerate().fold(Figment::new(), merge);
        Self { figment, layers }
    }

    /// The strongest value of a setting.
    pub(super) fn get(&self, key: &str) -> Option<&Given> {
        let number: usize = self.figment.find_metadata(key)?.name.parse().ok()?;
        self.layers.get(number)?.get(key)
    }

    /// The strongest value of a setting that is a string.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.value.as_str()
    }

    /// Whether a setting has a meaning, given the settings that decide it; `None` where they are not known.
    pub(super) fn applies(&self, when: When) -> Option<bool> {
        match when {
            When::Always => Some(true),
            When::Is(key, value) => self.text(key).map(|found| found == value),
            When::Backbone => Some(self.get("backbone.name").is_some()),
            When::Embedded => {
                Some(self.text("backbone.name").is_some_and(|name| name.starts_with(EMBEDDED_PREFIX)))
            }
        }
    }
}

/// The layers below everything that was typed: defaults, defaults of the dataset, the preset.
pub(super) fn beneath(typed: &Merged) -> Vec<Values> {
    let dataset = typed.text("dataset.name").unwrap_or("").to_owned();
    let known = DATASETS.contains(&dataset.as_str());
    let (mut defaults, mut of_dataset, mut preset) = (Values::new(), Values::new(), Values::new());
    let put = |layer: &mut Values, spec: &Spec, lit: Lit, origin: Origin| {
        layer.insert(spec.key, Given { value: lit.value(), origin, place: None });
    };
    for spec in settings::all().filter(|spec| typed.applies(spec.when) == Some(true)) {
        match spec.default {
            Default::Required | Default::Absent => {}
            Default::Is(lit) => put(&mut defaults, spec, lit, Origin::Default),
            Default::ByDataset { ml_100k, others } if known => {
                let lit = if dataset == "ml-100k" { ml_100k } else { others };
                let origin = Origin::DatasetDefault { dataset: dataset.clone() };
                put(&mut of_dataset, spec, lit, origin);
            }
            Default::ByDataset { .. } => {}
        }
        let reference = typed.text("protocol") == Some("reference");
        if let Some((when, lit)) = spec.reference
            && reference
            && typed.applies(when) == Some(true)
        {
            put(&mut preset, spec, lit, Origin::Preset { name: "reference".to_owned() });
        }
    }
    vec![defaults, of_dataset, preset]
}
