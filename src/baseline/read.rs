//! The format of a file of published numbers: from TOML to [`Baseline`], or every problem with its line.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::tags::tags;
use super::toml_reader::{Reader, Section};
use super::{Baseline, Claim, Paper, Problem, PublishedStatistics, Retrieved, Row, Scope, Tags};
use crate::eval::{Metric, MetricKind};

const SPLITS: [&str; 2] = ["test", "validation"];

pub(super) fn baseline(path: &Path, text: &str) -> Result<Baseline, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::new(path, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.problem(&error.span().unwrap_or(0..0), error.message().to_owned());
    }
    if !errors.is_empty() {
        return Err(reader.problems);
    }
    let mut root = Section::new("the file", root.get_ref(), 0..0);
    let paper = paper(&mut reader, &mut root);
    let mut rows = Vec::new();
    for section in reader.sections(&mut root, "table", "[[table]]") {
        table(&mut reader, section, &mut rows);
    }
    let mut retrieved = Vec::new();
    for section in reader.sections(&mut root, "retrieved", "[[retrieved]]") {
        hidden_r(&mut reader, section, &mut rows, &mut retrieved);
    }
    let sections = reader.sections(&mut root, "statistics", "[[statistics]]");
    let statistics_lines = sections.iter().map(|section| reader.line(section.at.start)).collect();
    let statistics = sections.into_iter().filter_map(|section| published(&mut reader, section)).collect();
    let sections = reader.sections(&mut root, "claim", "[[claim]]");
    let claims = sections.into_iter().filter_map(|section| claim(&mut reader, section)).collect();
    reader.no_other_keys(&root);
    repeated(&mut reader, &rows, text);
    if rows.is_empty() && reader.problems.is_empty() {
        reader.problem(&(0..0), "no number; expected a [[table]] with [table.values]");
    }
    reader.problems.sort_by_key(|problem| problem.line);
    match paper {
        Some(paper) if reader.problems.is_empty() => Ok(Baseline {
            path: path.to_owned(),
            paper,
            rows,
            retrieved,
            statistics,
            statistics_lines,
            claims,
        }),
        _ => Err(reader.problems),
    }
}

fn paper(reader: &mut Reader, root: &mut Section<'_>) -> Option<Paper> {
    let id = reader.text(root, "id");
    let title = reader.text(root, "title");
    let source = reader.text(root, "source");
    let authors = reader.optional_text(root, "authors");
    let year = reader.optional_count(root, "year").and_then(|year| u16::try_from(year).ok());
    let note = reader.optional_text(root, "note");
    Some(Paper { id: id?, title: title?, authors, source: source?, year, note })
}

fn split(reader: &mut Reader, section: &mut Section<'_>) -> Option<String> {
    let split = reader.text(section, "split")?;
    if !SPLITS.contains(&split.as_str()) {
        let at = section.get("split").map_or(section.at.clone(), toml::Spanned::span);
        reader.problem(&at, format!("split {split:?} is unknown; expected one of {}", SPLITS.join(", ")));
    }
    Some(split)
}

fn table(reader: &mut Reader, mut section: Section<'_>, rows: &mut Vec<Row>) {
    let name = reader.text(&mut section, "name");
    let dataset = reader.text(&mut section, "dataset");
    let scope_name = reader.text(&mut section, "scope");
    let split = split(reader, &mut section);
    let protocol = reader.text(&mut section, "protocol");
    let note = reader.optional_text(&mut section, "note");
    let tags = tags(reader, &mut section);
    let scope = scope_name.and_then(|text| {
        let scope = Scope::ALL.into_iter().find(|scope| scope.name() == text);
        if scope.is_none() {
            let at = section.get("scope").map_or(section.at.clone(), toml::Spanned::span);
            let names = Scope::ALL.map(Scope::name).join(", ");
            reader.problem(&at, format!("scope {text:?} is unknown; expected one of {names}"));
        }
        scope
    });
    let values = section.get("values");
    reader.no_other_keys(&section);
    let Some(values) = values.and_then(|values| values.get_ref().as_table()) else {
        let message = "[[table]] has no values; expected [table.values] with lines such as \"NDCG@10\" = { Method = 0.1 }";
        reader.problem(&section.at, message);
        return;
    };
    let common = name.zip(dataset).zip(scope).zip(split).zip(protocol);
    // The parser's map is sorted by key; a reader expects the order of the file.
    let mut entries: Vec<_> = values.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| key.span().start);
    for (key, methods) in entries {
        let metric: Option<Metric> = match key.get_ref().parse() {
            Ok(metric) => Some(metric),
            Err(unknown) => {
                reader.problem(&key.span(), unknown.to_string());
                None
            }
        };
        let DeValue::Table(methods) = methods.get_ref() else {
            let what = methods.get_ref().type_str();
            reader.problem(
                &methods.span(),
                format!("{} is of type {what}; expected {{ Method = 0.1 }}", key.get_ref()),
            );
            continue;
        };
        let mut methods: Vec<_> = methods.iter().collect();
        methods.sort_unstable_by_key(|(method, _)| method.span().start);
        for (method, value) in methods {
            let what = format!("{} of {}", key.get_ref(), method.get_ref());
            let Some((number, printed)) = reader.number(value, &what) else { continue };
            if !(0.0..=1.0).contains(&number) {
                let message = format!("{what} is {printed}; expected a fraction in [0, 1], not a percentage");
                reader.problem(&value.span(), message);
                continue;
            }
            let line = reader.line(value.span().start);
            if let (Some(metric), Some(((((table, dataset), scope), split), protocol))) =
                (metric, common.clone())
            {
                rows.push(Row {
                    method: method.get_ref().to_string(),
                    dataset,
                    scope,
                    metric,
                    value: number,
                    printed,
                    table,
                    split,
                    protocol,
                    derived: None,
                    note: note.clone(),
                    tags: tags.clone(),
                    line,
                });
            }
        }
    }
}

fn hidden_r(reader: &mut Reader, mut section: Section<'_>, rows: &mut Vec<Row>, found: &mut Vec<Retrieved>) {
    let dataset = reader.text(&mut section, "dataset");
    let method = reader.text(&mut section, "method");
    let users = reader.count(&mut section, "users");
    let retrieved = reader.count(&mut section, "retrieved");
    let candidates = reader.count(&mut section, "candidates").and_then(|k| u32::try_from(k).ok());
    let table = reader.text(&mut section, "table");
    let split = split(reader, &mut section);
    let protocol = reader.text(&mut section, "protocol");
    let how = reader.text(&mut section, "how");
    reader.no_other_keys(&section);
    let (Some(dataset), Some(method), Some(users), Some(retrieved), Some(candidates)) =
        (dataset, method, users, retrieved, candidates)
    else {
        return;
    };
    let (Some(table), Some(split), Some(protocol), Some(how)) = (table, split, protocol, how) else { return };
    if retrieved > users {
        reader.problem(&section.at, format!("retrieved is {retrieved}; expected at most users, {users}"));
        return;
    }
    let line = reader.line(section.at.start);
    rows.push(Row {
        method: method.clone(),
        dataset: dataset.clone(),
        scope: Scope::Overall,
        metric: Metric::new(MetricKind::Recall, candidates),
        value: retrieved as f64 / users as f64,
        printed: String::new(),
        table,
        split: split.clone(),
        protocol,
        derived: Some(format!("{retrieved} of {users}: {how}")),
        note: None,
        tags: Tags { candidates: Some(candidates), ..Tags::default() },
        line,
    });
    found.push(Retrieved { dataset, method, split, users, retrieved, candidates, how, line });
}

fn published(reader: &mut Reader, mut section: Section<'_>) -> Option<PublishedStatistics> {
    let [table, dataset, users, items, interactions, length, density] =
        ["table", "dataset", "users", "items", "interactions", "length", "density"]
            .map(|key| reader.text(&mut section, key));
    let note = reader.optional_text(&mut section, "note");
    reader.no_other_keys(&section);
    Some(PublishedStatistics {
        dataset: dataset?,
        table: table?,
        users: users?,
        items: items?,
        interactions: interactions?,
        length: length?,
        density: density?,
        note,
    })
}

fn claim(reader: &mut Reader, mut section: Section<'_>) -> Option<Claim> {
    let [table, what, dataset, method, over] =
        ["table", "what", "dataset", "method", "over"].map(|key| reader.text(&mut section, key));
    let metric_name = reader.optional_text(&mut section, "metric");
    let metric = metric_name.and_then(|name| match name.parse() {
        Ok(metric) => Some(metric),
        Err(unknown) => {
            let unknown: crate::eval::UnknownMetric = unknown;
            let at = section.get("metric").map_or(section.at.clone(), toml::Spanned::span);
            reader.problem(&at, unknown.to_string());
            None
        }
    });
    let percent = match section.get("percent") {
        Some(value) => reader.number(value, "percent"),
        None => {
            reader.problem(&section.at.clone(), "[[claim]] has no percent; expected percent = 1.5");
            None
        }
    };
    reader.no_other_keys(&section);
    let line = reader.line(section.at.start);
    let (percent, printed) = percent?;
    Some(Claim {
        table: table?,
        what: what?,
        dataset: dataset?,
        metric,
        method: method?,
        over: over?,
        percent,
        printed,
        line,
    })
}

/// The same cell of the same table may stand only once.
fn repeated(reader: &mut Reader, rows: &[Row], text: &str) {
    let mut first: BTreeMap<_, usize> = BTreeMap::new();
    for row in rows {
        let cell = (&row.table, &row.dataset, row.scope, &row.split, &row.method, row.metric);
        if let Some(line) = first.get(&cell) {
            let offset = text.match_indices('\n').nth(row.line.saturating_sub(2)).map_or(0, |(at, _)| at + 1);
            let message =
                format!("{} of {} on {} stands already in line {line}", row.metric, row.method, row.dataset);
            reader.problem(&(offset..offset), message);
        } else {
            first.insert(cell, row.line);
        }
    }
}
