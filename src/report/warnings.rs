//! What a reader should know before the numbers.

use std::collections::BTreeSet;

use super::Input;
use super::format::thousands;
use super::model::Report;
use super::ranker::RankerSection;
use crate::eval::{Averaging, Rung};
use crate::run::BackboneRecord;

/// All warnings: the caller's, the data's, and those that the results themselves give.
pub(super) fn warnings(input: &Input<'_>, report: &Report) -> Vec<String> {
    let mut found: Vec<String> = report.ranker.as_ref().map(of_ranker).unwrap_or_default();
    let done: BTreeSet<u64> = report.seeds.iter().map(|seed| seed.seed).collect();
    let missing: Vec<String> = input.seeds.iter().filter(|s| !done.contains(s)).map(u64::to_string).collect();
    if !missing.is_empty() {
        let (n, of) = (done.len(), done.len() + missing.len());
        found.push(format!("Incomplete: {n} of {of} seeds are finished; missing: {}.", missing.join(", ")));
    }
    if report.seeds.len() == 1 {
        found.push(
            "One seed: nothing is known about the spread over seeds, so tables have no ± and standard errors are over \
             users only."
                .to_owned(),
        );
    }
    if let Averaging::Batches { size } = report.averaging {
        let users = report.seeds[0].test.n_users;
        if !users.is_multiple_of(size.max(1)) {
            found.push(format!(
                "Metrics are means over batches of {size} users; the last batch has {} and weighs as much as a full one.",
                users % size
            ));
        }
    }
    for seed in report.seeds.iter().filter(|seed| seed.tied_users > 0) {
        found.push(format!(
            "Seed {}: the held-out item of {} of {} users shares its score with another item; such ties go to the smaller \
             item id.",
            seed.seed,
            thousands(seed.tied_users),
            thousands(seed.test.n_users as u64)
        ));
    }
    if report.summary.retrieved.min == 0.0 {
        found.push("At least one seed retrieved no held-out item at all: R is empty.".to_owned());
    }
    let platforms: BTreeSet<&str> = report.seeds.iter().map(|seed| seed.machine.platform.as_str()).collect();
    if platforms.len() > 1 {
        found.push(
            "The seeds were computed on different platforms, whose mathematical libraries may differ in a last bit."
                .to_owned(),
        );
    }
    let versions: BTreeSet<&str> = report.seeds.iter().map(|seed| seed.code.version.as_str()).collect();
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.into_iter().collect();
        found.push(format!(
            "The seeds were computed by different versions of bench: {}.",
            versions.join(", ")
        ));
    }
    found.extend(report.ranker.as_ref().map(of_tests).unwrap_or_default());
    found.extend(differing_statistics(report));
    found.extend(report.dataset.ours.warnings.iter().cloned());
    found.extend(input.warnings.iter().cloned());
    let mut seen = BTreeSet::new();
    found.retain(|warning| seen.insert(warning.clone()));
    found
}

/// What is known of the tests: differences that nobody could have found, and seeds too few for the intervals.
fn of_tests(ranker: &RankerSection) -> Vec<String> {
    let Some(significance) = &ranker.significance else { return Vec::new() };
    let mut found = Vec::new();
    let contrasts = &significance.contrasts;
    let weak: Vec<_> = contrasts.iter().filter(|contrast| contrast.underpowered).collect();
    // What tells the most stands last: tuned before zero-shot, against the retriever.
    let example =
        weak.iter().rev().find(|contrast| contrast.reference == Rung::Retriever.name()).or(weak.last());
    if let Some((contrast, minimum)) = example.and_then(|contrast| Some((contrast, contrast.minimum?))) {
        found.push(format!(
            "Underpowered: in {} of {} comparisons the observed difference is smaller than what these users and seeds would show {:.0} times \
             in 100 (such as {} against {} in {}: {:+.4}, where {minimum:.4} would be needed); no difference found there is no sign of none.",
            weak.len(),
            contrasts.len(),
            100.0 * significance.power,
            contrast.method,
            contrast.reference,
            contrast.metric,
            contrast.difference,
        ));
    }
    let few =
        contrasts.iter().flat_map(|contrast| &contrast.notes).find(|note| note.contains("seeds matter much"));
    found.extend(few.map(|note| format!("Few seeds for the tests: {note}.")));
    found
}

/// That the weights of the backbone are none that somebody trained.
fn random_weights(backbone: &BackboneRecord) -> Option<String> {
    let tokenizer = backbone.random.as_ref().map(|random| random.tokenizer.as_str());
    let lengths = match tokenizer {
        Some("titles") => {
            " Its tokenizer was not there either: prompts are tokenized by one that was made from the titles, so their lengths are \
             near those of its own, not the same."
        }
        _ => "",
    };
    let name = &backbone.name;
    backbone.is_random().then(|| {
        format!(
            "The weights of {name} are random, drawn for its shape: time and memory are those of {name}, but what the ranker's \
             numbers say of users means nothing, and they are compared with no published ones.{lengths}"
        )
    })
}

/// What the second stage gives to know, the letters first.
fn of_ranker(ranker: &RankerSection) -> Vec<String> {
    let mut found: Vec<String> = random_weights(&ranker.backbone).into_iter().collect();
    let audit = &ranker.audit;
    if !audit.reads_what_is_trained() {
        let label = audit.labels.iter().find(|label| label.in_context != label.standalone);
        let ids = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        let example = label.map(|label| {
            format!(" ({}: read {}, trained {})", label.label, ids(&label.standalone), ids(&label.in_context))
        });
        found.push(format!(
            "Scores of {} of {} letters are read from token ids that training never teaches{}: ranker.read_out = \
             \"in-context\" reads the trained ones.",
            audit.differing(),
            audit.labels.len(),
            example.unwrap_or_default()
        ));
    }
    for seed in &ranker.seeds {
        if let Some(training) = seed.training.as_ref().filter(|t| t.stop_reason.starts_with("the loss is")) {
            found.push(format!(
                "Seed {}: {}; training stopped there, and the adapter of step {} was kept.",
                seed.seed, training.stop_reason, training.best_step
            ));
        }
        if let Some(training) = seed.training.as_ref().filter(|training| training.best_step == 0) {
            found.push(format!(
                "Seed {}: no validation was better than that before training ({} {:.4}), so the tuned rung is the backbone as it was.",
                seed.seed, training.selected_by, training.best_metric
            ));
        }
        let parts = [
            ("test", Some(&seed.test_prompts)),
            ("validation", Some(&seed.validation_prompts)),
            ("training", seed.training_prompts.as_ref()),
        ];
        for (name, prompts) in parts {
            let Some(p) = prompts else { continue };
            if p.cut_prompts > 0 {
                found.push(format!(
                    "Seed {}: {} of {} prompts of {name} were cut on the left and lost the beginning of the instruction ({:.1} \
                     tokens on average).",
                    seed.seed,
                    thousands(p.cut_prompts),
                    thousands(p.prompts),
                    p.cut_tokens as f64 / p.cut_prompts as f64
                ));
            }
            if p.shortened_prompts > 0 {
                found.push(format!(
                    "Seed {}: {} of {} prompts of {name} show fewer history items than they should ({:.1} on average).",
                    seed.seed,
                    thousands(p.shortened_prompts),
                    thousands(p.prompts),
                    p.dropped_items as f64 / p.shortened_prompts as f64
                ));
            }
        }
        for rung in seed.test.iter().filter(|rung| matches!(rung.rung, Rung::ZeroShot | Rung::Tuned)) {
            if rung.tied_users > 0 && rung.read_out.as_deref() == Some(ranker.read_out.as_str()) {
                found.push(format!(
                    "Seed {}: the {} ranker gives the held-out item of {} of {} ranked users the score of another candidate; such \
                     ties go to the smaller item id.",
                    seed.seed,
                    rung.rung,
                    thousands(rung.tied_users),
                    thousands(seed.test_prompts.prompts)
                ));
            }
        }
    }
    if ranker.validation.ranked.mean < ranker.validation.retrieved.mean {
        found.push(format!(
            "Validation of the ranker is over {} of {} users of R, drawn once for each seed.",
            super::format::count(ranker.validation.ranked.mean, None),
            super::format::count(ranker.validation.retrieved.mean, None)
        ));
    }
    found
}

/// Papers print users and items in full; if ours differ, the numbers are not of the same data.
fn differing_statistics(report: &Report) -> Option<String> {
    let ours = &report.dataset.ours;
    let theirs = report.dataset.published.iter().find(|published| {
        let number = |text: &str| text.replace(',', "").parse::<u64>().ok();
        number(&published.statistics.users).is_some_and(|users| users != ours.users)
            || number(&published.statistics.items).is_some_and(|items| items != ours.items)
    })?;
    Some(format!(
        "This is not the published {}: {} users and {} items here, {} and {} in {}; comparisons with published numbers are \
         not like for like.",
        ours.name,
        thousands(ours.users),
        thousands(ours.items),
        theirs.statistics.users,
        theirs.statistics.items,
        theirs.source.table
    ))
}
