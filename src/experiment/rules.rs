//! What holds between settings, and the flat `[dataset]` section as a [`DatasetSpec`].

use serde_json::{Map, Value, json};

use super::DatasetSpec;
use super::layers::{Given, Merged};
use super::pretrain_spec::EMBEDDED_PREFIX;
use super::problem::Problem;

/// Letters that a candidate can have.
const LETTERS: u64 = 26;

/// Rules between settings that are broken. A rule whose settings are not known is not.
pub(super) fn broken(merged: &Merged) -> Vec<Problem> {
    let mut problems = Vec::new();
    let number = |key: &str| merged.get(key).and_then(|given| given.value.as_f64());
    let mut report = |key: &str, other: &str, message: String, help: &str| {
        // Defaults obey the rules, so one of the two was typed.
        let place = [key, other].iter().find_map(|key| merged.get(key)?.place.clone());
        if let Some(place) = place {
            problems.push(Problem::new(place, message).help(help));
        }
    };
    if let (Some(r_min), Some(r_max)) = (number("retriever.r_min"), number("retriever.r_max"))
        && r_min >= r_max
    {
        let message = format!("retriever.r_min is {r_min}, but retriever.r_max is {r_max}");
        report("retriever.r_min", "retriever.r_max", message, "the ring needs r_min below r_max");
    }
    if merged.text("evaluation.averaging") == Some("batches")
        && let Some(kind) = merged.text("retriever.kind").filter(|kind| *kind != "lru")
    {
        let message =
            format!("evaluation.averaging is \"batches\", but retriever.kind = \"{kind}\" has no batches");
        report("evaluation.averaging", "retriever.kind", message, "write \"users\"");
    }
    if merged.get("backbone.name").is_some()
        && let Some(candidates) = number("evaluation.candidates").filter(|n| *n > LETTERS as f64)
    {
        let message =
            format!("evaluation.candidates is {candidates}, but a ranker has only {LETTERS} letters");
        report("evaluation.candidates", "backbone.name", message, "write at most 26, or remove [backbone]");
    }
    if merged.text("backbone.weights") == Some("random")
        && let Some(name) = merged.text("backbone.name").filter(|name| name.starts_with(EMBEDDED_PREFIX))
    {
        let message = format!("backbone.weights is \"random\", but {name} is built in and needs no files");
        report("backbone.weights", "backbone.name", message, "write \"files\", or name another backbone");
    }
    if let Some(negatives) = number("ranker.negatives").filter(|n| *n > (LETTERS - 1) as f64) {
        let message = format!(
            "ranker.negatives is {negatives}, so a training prompt has {} candidates, but a ranker has only {LETTERS} letters",
            negatives + 1.0
        );
        report("ranker.negatives", "backbone.name", message, "write at most 25");
    }
    if let Some(name) = merged.text("dataset.name") {
        if name == "synthetic" && number("dataset.min_rating") > Some(0.0) {
            let message =
                "dataset.min_rating is above 0, but synthetic interactions have no ratings".to_owned();
            report("dataset.min_rating", "dataset.name", message, "remove it");
        }
        let titles = match name {
            "synthetic" => Some("synthetic titles are not read from a file"),
            "csv" if merged.get("dataset.titles_file").is_none() => Some("there is no dataset.titles_file"),
            "recbole" if merged.get("dataset.item_file").is_none() => Some("there is no dataset.item_file"),
            _ => None,
        };
        // The default may be written out.
        if let Some(why) = titles.filter(|_| merged.text("dataset.title_encoding") == Some("latin1")) {
            let message = format!("dataset.title_encoding is \"latin1\", but {why}");
            report("dataset.title_encoding", "dataset.name", message, "remove it");
        }
    }
    let rated = number("dataset.min_rating").is_some_and(|rating| rating > 0.0);
    for key in ["dataset.rating_column", "dataset.rating_field"] {
        if rated && merged.get(key).is_some_and(|given| given.value == Value::Bool(false)) {
            let message = format!("dataset.min_rating is above 0, but {key} is false");
            report("dataset.min_rating", key, message, "say where the ratings are, or write min_rating = 0");
        }
    }
    let same =
        |a: &str, b: &str| matches!((merged.get(a), merged.get(b)), (Some(a), Some(b)) if a.value == b.value);
    if same("dataset.user_column", "dataset.item_column") {
        let message = "dataset.user_column and dataset.item_column are one column".to_owned();
        report("dataset.user_column", "dataset.item_column", message, "name two");
    }
    let headless = |key: &str| merged.get(key).is_some_and(|given| given.value == Value::Bool(false));
    let titled = merged.get("dataset.titles_file").is_some();
    let ratings =
        ["dataset.user_column", "dataset.item_column", "dataset.rating_column", "dataset.time_column"];
    let titles = ["dataset.title_item_column", "dataset.title_column"];
    for (header, columns, used) in
        [("dataset.header", &ratings[..], true), ("dataset.titles_header", &titles[..], titled)]
    {
        for key in columns.iter().filter(|_| used && headless(header)) {
            if let Some(Given { value: Value::String(name), .. }) = merged.get(key) {
                let message = format!("{key} is the name \"{name}\", but {header} is false");
                report(key, header, message, "give its position, counted from 1");
            }
        }
    }
    problems
}

/// The `[dataset]` section as the nested form of [`DatasetSpec`]: files and columns lose the suffix that says
/// what they are, and `false` means none.
pub(super) fn dataset(section: Map<String, Value>) -> Result<DatasetSpec, String> {
    const COMMON: [&str; 6] = [
        "min_user_interactions",
        "min_item_interactions",
        "min_rating",
        "tie_rule",
        "item_order",
        "title_encoding",
    ];
    let (mut common, mut own) = (Map::new(), Map::new());
    let mut name = String::new();
    for (key, value) in section {
        if key == "name" {
            name = value.as_str().unwrap_or_default().to_owned();
        } else if COMMON.contains(&key.as_str()) {
            common.insert(key, value);
        } else if let Some(column) = key.strip_suffix("_column") {
            let column_ref = match value {
                Value::String(name) => json!({ "name": name }),
                Value::Number(position) => json!({ "position": position }),
                _ => Value::Null,
            };
            own.insert(column.to_owned(), column_ref);
        } else if let Some(file) = key.strip_suffix("_file") {
            own.insert(file.to_owned(), value);
        } else {
            let absent = key.ends_with("_field") && value == Value::Bool(false);
            own.insert(key, if absent { Value::Null } else { value });
        }
    }
    let source = if matches!(name.as_str(), "synthetic" | "csv" | "recbole") {
        json!({ name: own })
    } else {
        json!(name)
    };
    common.insert("source".to_owned(), source);
    serde_json::from_value(Value::Object(common)).map_err(|error| error.to_string())
}
