//! What an experiment whose backbone is not there has to be told.

use super::backbone::storage;
use super::estimate::matrix_speed;
use super::ranking_cost::{Size, cost};
use super::{BackboneSource, Need, Prepared};
use crate::backbone::weights::expected_bytes;
use crate::backbone::{self, Known};
use crate::experiment::Experiment;

/// The need of a backbone that is not there: what is missing, how to get it, and what a run with it takes.
pub(super) fn backbone_need(
    experiment: &Experiment,
    data: Option<&Prepared>,
    error: &backbone::Error,
) -> Need {
    let Some(spec) = &experiment.backbone else {
        return Need::Backbone { backbone: String::new(), what: error.to_string() };
    };
    let mut what = format!("the weights of the backbone: {error}");
    let Some((size, gated)) = size(&spec.name) else {
        return Need::Backbone { backbone: spec.name.clone(), what };
    };
    if gated && BackboneSource::of(&spec.name) == BackboneSource::Hub {
        what.push_str(&format!(
            "; its licence has to be accepted first, at https://huggingface.co/{}",
            spec.name
        ));
    }
    let gib = |bytes: f64| format!("{:.1} GiB", bytes / f64::from(1 << 30));
    what.push_str(&format!(
        "; about {} to download, and {} of memory for its weights in {}",
        gib(2.0 * (size.layers + size.embeddings)),
        gib(match Known::of(&spec.name) {
            Some(known) => expected_bytes(&known.config(), storage(spec), known.is_f16) as f64,
            None => size.bytes(spec.quantization),
        }),
        super::record::word(&spec.quantization),
    ));
    if let Some(data) = data {
        let cost = cost(experiment, data, size, matrix_speed(), None);
        what.push_str(&format!("; about {} for a seed on this processor", long(cost.seconds)));
        if cost.seconds > 86_400.0 {
            what.push_str(", where a GPU would take hours");
        }
    }
    if Known::of(&spec.name).is_some() {
        what.push_str("; with -S backbone.weights=random speed and memory can be measured without them");
    }
    Need::Backbone { backbone: spec.name.clone(), what }
}

/// The size of a backbone that is not there: of a known one, or what its name says ("7b", "135M").
fn size(name: &str) -> Option<(Size, bool)> {
    if let Some(known) = Known::of(name) {
        return Some((Size::of(&known.config()), known.gated));
    }
    let parts = name.rsplit('/').next()?.split(['-', '_']);
    let weights = parts.rev().find_map(|part| {
        let unit = match part.chars().last()?.to_ascii_lowercase() {
            'b' => 1e9,
            'm' => 1e6,
            _ => return None,
        };
        part[..part.len() - 1].parse::<f64>().ok().filter(|number| *number > 0.0).map(|number| number * unit)
    })?;
    // In models of this family a tenth or so is the embedding.
    Some((Size { layers: 0.9 * weights, embeddings: 0.1 * weights }, false))
}

/// A long time, for people.
fn long(seconds: f64) -> String {
    match seconds {
        s if s < 5400.0 => format!("{:.0} minutes", (s / 60.0).max(1.0)),
        s if s < 172_800.0 => format!("{:.0} hours", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}
