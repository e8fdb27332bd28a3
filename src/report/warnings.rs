//! What a reader should know before the numbers.

use std::collections::BTreeSet;

use super::Input;
use super::format::thousands;
use super::model::Report;
use crate::eval::Averaging;

/// All warnings: the caller's, the data's, and those that the results themselves give.
pub(super) fn warnings(input: &Input<'_>, report: &Report) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
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
    found.extend(differing_statistics(report));
    found.extend(report.dataset.ours.warnings.iter().cloned());
    found.extend(input.warnings.iter().cloned());
    let mut seen = BTreeSet::new();
    found.retain(|warning| seen.insert(warning.clone()));
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
