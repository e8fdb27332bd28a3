//! From typed layers to an [`Experiment`], or to everything that is wrong with them.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::files::Chain;
use super::layers::{Given, Merged, Values, beneath};
use super::problem::{Place, Problem, Problems};
use super::raw::Layer;
use super::schema::{Default, When};
use super::settings;
use super::{
    BackboneSpec, DeviceChoice, EvaluationSpec, Experiment, Loaded, Origin, Override, PretrainSpec,
    ProtocolPreset, RankerSpec, Resolved, RetrieverSpec, Setting, check, outside, rules,
};
use crate::seed::Seed;

/// Everything typed, as layers of valid settings, and what was wrong with the rest.
struct Sieve {
    layers: Vec<Values>,
    problems: Vec<Problem>,
    /// Keys that were typed with a value that does not fit: they are not missing.
    broken: BTreeSet<&'static str>,
}

impl Sieve {
    /// `inherited`: name and description are checked, but stay with their file.
    fn layer(&mut self, layer: &Layer, inherited: bool) {
        let mut values = Values::new();
        for entry in &layer.entries {
            if check::is_file_only(&entry.key) {
                if !matches!(entry.place, Place::File { .. }) {
                    let message = format!("{} can only be written in a file", entry.key);
                    self.problems.push(Problem::new(entry.place.clone(), message));
                }
                continue;
            }
            match check::entry(entry) {
                Ok(_) if inherited && matches!(entry.key.as_str(), "name" | "description") => {}
                Ok(checked) => {
                    let (place, origin) = (entry.place.clone(), origin(&entry.place));
                    values
                        .insert(checked.spec.key, Given { value: checked.value, origin, place: Some(place) });
                }
                Err(problem) => {
                    self.broken.extend(settings::find(&entry.key).map(|spec| spec.key));
                    self.problems.push(problem);
                }
            }
        }
        self.layers.push(values);
    }
}

fn origin(place: &Place) -> Origin {
    match place {
        Place::File { path, line, .. } => Origin::File { path: path.clone(), line: line.unwrap_or(1) },
        Place::Env { var } => Origin::Env { var: var.clone() },
        Place::CommandLine { arg } => Origin::CommandLine { arg: arg.clone() },
    }
}

/// Read a file and all that belongs to it, and check everything.
pub(super) fn load(
    path: &Path,
    overrides: &[Override],
    env: &[(String, String)],
) -> Result<Loaded, Problems> {
    of_chain(path, Chain::read(path), overrides, env)
}

/// The same of files that are read already.
pub(super) fn of_chain(
    path: &Path,
    chain: Chain,
    overrides: &[Override],
    env: &[(String, String)],
) -> Result<Loaded, Problems> {
    // What a broken or absent file would have said is unknown: nothing is reported missing then.
    let complete = chain.problems.is_empty();
    let mut sieve = Sieve { layers: Vec::new(), problems: chain.problems, broken: BTreeSet::new() };
    let own = chain.files.len().saturating_sub(1);
    for (at, file) in chain.files.iter().enumerate() {
        sieve.layer(&file.layer, at != own);
    }
    let is_abstract = chain.files.last().is_some_and(|file| file.abstract_at.is_some());
    sieve.layer(&outside::environment(env), false);
    let (command_line, repeated) = outside::command_line(overrides);
    sieve.problems.extend(repeated);
    sieve.layer(&command_line, false);

    let typed = Merged::new(sieve.layers.clone());
    if !is_abstract {
        sieve.foreign(&typed);
        if complete {
            sieve.missing(path, &typed);
        }
    }
    let merged = Merged::new(beneath(&typed).into_iter().chain(sieve.layers).collect());
    let mut problems = sieve.problems;
    problems.extend(rules::broken(&merged));
    if !problems.is_empty() {
        // Order of files, then environment, then command line; a file's problems by line.
        let rank = |place: &Place| match place {
            Place::File { path, .. } => chain.files.iter().rev().position(|f| f.path == *path).unwrap_or(0),
            Place::Env { .. } => usize::MAX - 1,
            Place::CommandLine { .. } => usize::MAX,
        };
        problems.sort_by(|a, b| (rank(&a.place), a).cmp(&(rank(&b.place), b)));
        problems.dedup();
        return Err(Problems(problems));
    }
    if is_abstract {
        return Ok(Loaded::Abstract);
    }
    build(path, &merged).map(|experiment| Loaded::Runnable(Box::new(experiment))).map_err(|message| {
        let message = format!("the settings are valid one by one but do not fit together: {message}");
        Problems(vec![Problem::new(Place::whole(path), message)])
    })
}

impl Sieve {
    /// Settings of another kind of retriever or dataset, or of a ranker without a backbone.
    fn foreign(&mut self, typed: &Merged) {
        for (key, given) in self.layers.iter().flatten() {
            let (Some(spec), Some(place)) = (settings::find(key), given.place.clone()) else { continue };
            if typed.applies(spec.when) != Some(false) {
                continue;
            }
            match spec.when {
                When::Is(decider, wanted) => {
                    let Some(decision) = typed.get(decider) else { continue };
                    if self.broken.contains(decider) {
                        continue;
                    }
                    let message = format!(
                        "{key} is a setting of {decider} = \"{wanted}\", but {decider} is {} ({})",
                        decision.value, decision.origin
                    );
                    self.problems.push(Problem::new(place, message).help("remove one of the two"));
                }
                // That `backbone.name` is missing is said once, below.
                When::Backbone if spec.section() == "backbone" => {}
                When::Backbone if self.broken.contains("backbone.name") => {}
                When::Backbone => {
                    let message =
                        format!("{key} is a setting of a ranker, but there is no backbone to rank with");
                    self.problems
                        .push(Problem::new(place, message).help("write backbone.name, or remove it"));
                }
                When::Embedded if self.broken.contains("backbone.name") => {}
                When::Embedded => {
                    let message = format!("{key} is a setting of a built-in backbone, but there is none");
                    let help = "write a backbone.name such as \"embedded:tiny\", or remove it";
                    self.problems.push(Problem::new(place, message).help(help));
                }
                When::Always => {}
            }
        }
    }

    /// Settings without a default that nobody typed.
    fn missing(&mut self, path: &Path, typed: &Merged) {
        let backbone_begun = self.layers.iter().flatten().any(|(key, _)| key.starts_with("backbone."));
        for spec in settings::all().filter(|spec| matches!(spec.default, Default::Required)) {
            let applies = match spec.when {
                When::Backbone => backbone_begun,
                when => typed.applies(when) == Some(true),
            };
            if applies && typed.get(spec.key).is_none() && !self.broken.contains(spec.key) {
                let message = format!("{} is missing; expected {}", spec.key, spec.kind.describe());
                self.problems.push(Problem::new(Place::whole(path), message));
            }
        }
    }
}

/// What the merged settings are read into. The names of fields are the names of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    name: String,
    description: String,
    seeds: Vec<Seed>,
    protocol: ProtocolPreset,
    device: DeviceChoice,
    dataset: Map<String, Value>,
    retriever: RetrieverSpec,
    evaluation: EvaluationSpec,
    backbone: Option<BackboneSpec>,
    pretrain: Option<PretrainSpec>,
    ranker: Option<RankerSpec>,
}

fn build(path: &Path, merged: &Merged) -> Result<Experiment, String> {
    let sections: Sections = merged.figment.extract().map_err(|error| error.to_string())?;
    let setting = |key: &'static str| {
        let Given { value, origin, .. } = merged.get(key)?.clone();
        Some(Setting { key: key.to_owned(), value, origin })
    };
    Ok(Experiment {
        name: sections.name,
        description: sections.description,
        seeds: sections.seeds,
        device: sections.device,
        dataset: rules::dataset(sections.dataset)?,
        retriever: sections.retriever,
        evaluation: sections.evaluation,
        backbone: sections.backbone,
        pretrain: sections.pretrain,
        ranker: sections.ranker,
        protocol: sections.protocol,
        resolved: Resolved { settings: settings::all().filter_map(|spec| setting(spec.key)).collect() },
        path: path.to_owned(),
    })
}
