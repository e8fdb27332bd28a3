//! What an experiment whose backbone is not there has to be told.

use super::estimate::matrix_speed;
use super::ranking_cost::{Size, cost};
use super::{BackboneSource, Need, Prepared};
use crate::backbone;
use crate::experiment::Experiment;

/// Models that papers use, by repository: weights in the layers and in the embeddings, in millions, and whether their licence
/// must be accepted before a download.
const KNOWN: [(&str, f64, f64, bool); 8] = [
    ("meta-llama/Llama-2-7b-hf", 6476.0, 262.0, true),
    ("meta-llama/Llama-2-13b-hf", 12_688.0, 328.0, true),
    ("meta-llama/Meta-Llama-3-8B", 6979.0, 1051.0, true),
    ("meta-llama/Llama-3.1-8B", 6979.0, 1051.0, true),
    ("meta-llama/Llama-3.2-1B", 973.0, 263.0, true),
    ("meta-llama/Llama-3.2-3B", 2819.0, 394.0, true),
    ("mistralai/Mistral-7B-v0.1", 6980.0, 262.0, false),
    ("HuggingFaceTB/SmolLM2-135M", 106.0, 28.0, false),
];

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
        gib(size.bytes(spec.quantization)),
        super::record::word(&spec.quantization),
    ));
    if let Some(data) = data {
        let cost = cost(experiment, data, size, matrix_speed());
        what.push_str(&format!("; about {} for a seed on this processor", long(cost.seconds)));
        if cost.seconds > 86_400.0 {
            what.push_str(", where a GPU would take hours");
        }
    }
    Need::Backbone { backbone: spec.name.clone(), what }
}

/// The size of a backbone that is not there: of a known one, or what its name says ("7b", "135M").
fn size(name: &str) -> Option<(Size, bool)> {
    let known = KNOWN.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    if let Some((_, layers, embeddings, gated)) = known {
        return Some((Size { layers: layers * 1e6, embeddings: embeddings * 1e6 }, *gated));
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
