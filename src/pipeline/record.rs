//! From what the stages know to what manifests say.

use serde_json::Value;

use crate::data::{Dataset, Split};
use crate::experiment::{Experiment, LruSpec, Origin, settings_reference};
use crate::report::thousands;
use crate::run::{DatasetRecord, SettingRecord, SourceRecord};

/// What a manifest says of a dataset.
pub(super) fn dataset_record(dataset: &Dataset, split: &Split) -> DatasetRecord {
    let statistics = dataset.statistics();
    let sources = dataset.source_files.iter().map(|file| SourceRecord {
        name: file.path.rsplit(['/', '\\']).next().unwrap_or(&file.path).to_owned(),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    });
    DatasetRecord {
        name: dataset.name.clone(),
        users: statistics.users as u64,
        items: statistics.items as u64,
        interactions: statistics.interactions as u64,
        mean_length: statistics.mean_length,
        density: statistics.density,
        split_fingerprint: split.fingerprint.as_str().to_owned(),
        sources: sources.collect(),
        preparation: preparation(dataset),
        warnings: warnings(dataset),
    }
}

/// The steps of the preprocessing in order, with their counts; steps that did nothing and cannot surprise are left out.
fn preparation(dataset: &Dataset) -> Vec<(String, String)> {
    let report = &dataset.report;
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut say = |what: &str, value: String| steps.push((what.to_owned(), value));
    say("rows read", thousands(report.rows_read));
    if report.rows_below_min_rating > 0 {
        say("rows below dataset.min_rating", thousands(report.rows_below_min_rating));
    }
    let pair = |one: usize, other: usize| format!("{} / {}", thousands(one as u64), thousands(other as u64));
    say("users / items in them", pair(report.raw_users, report.raw_items));
    if let Some(entries) = report.title_entries {
        say("titles read", thousands(entries));
        say(
            "items / rows without a title, dropped",
            pair(report.items_without_title, report.rows_without_title),
        );
    }
    say(
        "least interactions of a user / an item",
        pair(report.min_user_interactions as usize, report.min_item_interactions as usize),
    );
    say("rounds until no user or item has fewer", report.core_rounds.to_string());
    say("users / items dropped by them", pair(report.users_dropped_by_core, report.items_dropped_by_core));
    say("rows dropped by them", thousands(report.rows_dropped_by_core as u64));
    say("repeated user-item pairs, kept", thousands(report.repeated_pairs as u64));
    say(
        "users with a tie in time / one that decides the test item",
        pair(report.users_with_ties, report.users_with_tied_last_two),
    );
    say("ties in time go by", word(&report.tie_rule));
    say("item ids go by", word(&report.item_order));
    say("titles are read as", word(&report.title_encoding));
    steps
}

fn warnings(dataset: &Dataset) -> Vec<String> {
    let report = &dataset.report;
    let users = thousands(dataset.users.len() as u64);
    let mut found = Vec::new();
    found
        .extend(dataset.source_files.iter().filter_map(|file| file.warning()).map(|text| format!("{text}.")));
    if report.users_with_tied_last_two > 0 {
        found.push(format!(
            "The last two interactions of {} of {users} users share their time: which of them is the test item follows from \
             the tie rule ({}), not from the data.",
            thousands(report.users_with_tied_last_two as u64),
            word(&report.tie_rule),
        ));
    }
    if report.repeated_pairs > 0 {
        found.push(format!(
            "{} interactions repeat an item that the user met before; they are kept, so a held-out item can be one of the \
             history.",
            thousands(report.repeated_pairs as u64)
        ));
    }
    if report.title_ids_conflicting > 0 {
        found.push(format!(
            "{} titles are given again with another text; the last one counts.",
            thousands(report.title_ids_conflicting)
        ));
    }
    found
}

/// The settings of an experiment as they are stored.
#[must_use]
pub fn setting_records(experiment: &Experiment) -> Vec<SettingRecord> {
    let reference = settings_reference();
    let paper = serde_json::to_value(LruSpec::paper_default(&experiment.dataset.source)).unwrap_or_default();
    let record = |setting: &crate::experiment::Setting| {
        let described = reference.iter().find(|described| described.key == setting.key);
        // Both as they are written in JSON.
        let value = setting.value.to_string();
        let is_default = matches!(setting.origin, Origin::Default | Origin::DatasetDefault { .. })
            || described.is_some_and(|described| described.default == value)
            || by_dataset(&paper, &setting.key) == Some(&setting.value);
        SettingRecord {
            key: setting.key.clone(),
            value: setting.value.clone(),
            origin: setting.origin.to_string(),
            is_default,
            is_quirk: described.is_some_and(|described| described.reference.is_some()),
        }
    };
    experiment.resolved.settings.iter().map(record).collect()
}

/// The paper's value of a setting of the retriever for this dataset.
fn by_dataset<'a>(paper: &'a Value, key: &str) -> Option<&'a Value> {
    paper.get(key.strip_prefix("retriever.")?)
}

/// The name of a choice as files write it.
pub(super) fn word<T: serde::Serialize>(choice: &T) -> String {
    match serde_json::to_value(choice) {
        Ok(Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
