//! The sections of the second stage.

use std::collections::BTreeSet;

use super::super::format::{bytes, seconds, thousands};
use super::super::model::Report;
use super::super::names::seeds;
use super::super::ranker::RankerSection;
use super::cells::{count, number, optional};
use super::ladder::{self, Part, ranked};
use super::{figures, letters, published, significance};
use crate::document::{Cell, Column, Facts, Prose, Row, Section, Table};
use crate::run::PromptRecord;

/// All of them; empty without a second stage.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let Some(ranker) = &report.ranker else { return Vec::new() };
    let mut sections = vec![test(report, ranker), significance::section(report, ranker)];
    sections.extend(figures::ranks(report));
    sections.extend(published::ranker(report, ranker));
    sections.push(validation(report, ranker));
    sections.push(letters::letters(ranker));
    sections.extend(training(report, ranker));
    sections.push(prompts(report, ranker));
    sections.push(provenance(ranker));
    sections
}

fn test(report: &Report, ranker: &RankerSection) -> Section {
    let order = match ranker.candidate_order.as_str() {
        "shuffled" => "Candidates are shown in a random order.",
        _ => "Candidates are shown in the retriever's order, so a letter gives away the rank.",
    };
    let text = format!(
        "{} ranks the {} candidates of the users R whose item is among them: {}. {order}",
        ranker.backbone.name,
        report.candidates,
        ranked(&ranker.test)
    );
    let mut section = Section::new("Ranker")
        .with(text.as_str())
        .with(ladder::overall(report, ranker, &ranker.test, Part::Test))
        .with(ladder::only_r(report, ranker, &ranker.test, Part::Test));
    if let Some(table) = ladder::gained(&ranker.test, Part::Test) {
        section = section.with(table);
    }
    figures::ladder(report, ranker).into_iter().fold(section, Section::with)
}

fn validation(report: &Report, ranker: &RankerSection) -> Section {
    let chosen = if ranker.tuned {
        " The adapter was chosen here, so the tuned rung is an optimistic one."
    } else {
        ""
    };
    let text =
        format!("The same for the last but one item of every user: {}.{chosen}", ranked(&ranker.validation));
    let ladder = &ranker.validation;
    let section = Section::new("Ranker on validation")
        .with(text.as_str())
        .with(ladder::only_r(report, ranker, ladder, Part::Validation))
        .with(ladder::overall(report, ranker, ladder, Part::Validation));
    ladder::gained(ladder, Part::Validation).into_iter().fold(section, Section::with)
}

fn training(report: &Report, ranker: &RankerSection) -> Option<Section> {
    let trained: Vec<_> = ranker.seeds.iter().filter_map(|s| Some((s, s.training.as_ref()?))).collect();
    let (_, first) = trained.first()?;
    let columns = vec![
        Column::text("Seed"),
        Column::number("Best step"),
        Column::number(format!("{} there", first.selected_by)),
        Column::number("Steps"),
        Column::number("Last loss").unit("nats"),
        Column::number("Wall time"),
        Column::number("Peak memory"),
        Column::text("Stopped"),
    ];
    let caption = format!(
        "Training of the ranker: {} trained parameters, {}.",
        thousands(first.parameters.unwrap_or(0)),
        seeds(ranker.seeds.len())
    );
    let mut table = Table::new("ranker-training", caption, columns);
    for (seed, training) in &trained {
        let wall: f64 = seed.times.wall_seconds.values().sum();
        table = table.row(vec![
            Cell::text(seed.seed.to_string()),
            count(training.best_step.into()),
            number(training.best_metric),
            count(training.steps.into()),
            optional(training.last_loss),
            Cell::number(seconds(wall), wall),
            seed.peak_memory_bytes.map_or_else(Cell::none, |n| Cell::number(bytes(n), n as f64)),
            Cell::text(training.stop_reason.clone()),
        ]);
    }
    let table = table.note(format!(
        "The best step is that of the best {} over R of validation, where ties count as a random order; step 0 is the backbone as it is. \
         Loss is the mean cross-entropy of the letter and the end.",
        first.selected_by
    ));
    let mut section = Section::new("Training of the ranker").with(table);
    if let Some(figure) = figures::ranker_curve(report, ranker) {
        section = section.with(figure);
    }
    Some(curve(ranker).into_iter().fold(section, Section::with))
}

/// Validations by step, two columns a seed; of long curves every n-th.
fn curve(ranker: &RankerSection) -> Option<Table> {
    const MOST: usize = 24;
    let steps: BTreeSet<u32> = ranker.seeds.iter().flat_map(|s| s.curve.iter().map(|p| p.step)).collect();
    if steps.len() < 2 {
        return None;
    }
    let every = steps.len().div_ceil(MOST);
    let last = steps.last().copied();
    let mut columns = vec![Column::number("Step")];
    for _ in &ranker.seeds {
        columns.extend([Column::number("loss"), Column::number("validation")]);
    }
    let thinned = if every > 1 { format!(" Every {every}th; results.json has all.") } else { String::new() };
    let caption = format!(
        "The learning curve: mean loss since the row above, in nats, and the metric that chooses.{thinned}"
    );
    let mut table = Table::new("learning-curve", caption, columns).group("", 1);
    for seed in &ranker.seeds {
        table = table.group(format!("seed {}", seed.seed), 2);
    }
    for (at, step) in steps.iter().enumerate() {
        if at % every != 0 && Some(*step) != last {
            continue;
        }
        let mut row = vec![count((*step).into())];
        for seed in &ranker.seeds {
            let point = seed.curve.iter().find(|point| point.step == *step);
            row.push(optional(point.and_then(|point| point.train_loss)));
            row.push(optional(point.map(|point| point.metric)));
        }
        table = table.row(row);
    }
    Some(table)
}

fn prompts(report: &Report, ranker: &RankerSection) -> Section {
    let columns = std::iter::once(Column::text("Prompts of"))
        .chain(
            ["Prompts", "Of", "Mean tokens", "Longest", "Cut on the left", "With fewer items"]
                .map(Column::number),
        )
        .collect();
    let cut = ranker.seeds.iter().map(|seed| seed.cut_titles).max().unwrap_or(0);
    let titles = match cut {
        0 => "No title was cut.".to_owned(),
        _ => {
            format!("{} of {} titles were cut to fit.", thousands(cut), thousands(report.dataset.ours.items))
        }
    };
    let mut table = Table::new("prompts", format!("Prompts and their lengths. {titles}"), columns);
    for seed in &ranker.seeds {
        let parts = [
            ("test", Some(&seed.test_prompts)),
            ("validation", Some(&seed.validation_prompts)),
            ("training", seed.training_prompts.as_ref()),
        ];
        for (name, prompts) in parts {
            let Some(p) = prompts else { continue };
            let PromptRecord { prompts, of, tokens, longest, cut_prompts, shortened_prompts, .. } = *p;
            let mean = tokens as f64 / prompts.max(1) as f64;
            let cells = vec![
                Cell::text(name),
                count(prompts),
                count(of),
                Cell::number(format!("{mean:.0}"), mean),
                count(longest),
                count(cut_prompts),
                count(shortened_prompts),
            ];
            table = table.row(Row::new(cells).group(format!("seed {}", seed.seed)));
        }
    }
    Section::new("Prompts").with(table)
}

fn provenance(ranker: &RankerSection) -> Section {
    let backbone = &ranker.backbone;
    let code = |text: &str| Prose::default().code(text);
    let mut facts: Vec<(&str, Prose)> = vec![("name", code(&backbone.name))];
    facts.extend(backbone.revision.as_ref().map(|revision| ("revision", code(revision))));
    facts.push(("source", backbone.source.as_str().into()));
    if let Some(random) = &backbone.random {
        let of = |place: &str| match place {
            "known" => "the table of known models",
            "titles" => "made from the titles of the data",
            _ => "the model's own",
        };
        let text = format!(
            "random; shape: {} ({}); tokenizer: {} ({})",
            of(&random.shape),
            random.shape,
            of(&random.tokenizer),
            random.tokenizer
        );
        facts.push(("drawn", text.into()));
    }
    facts.push(("architecture", backbone.architecture.as_str().into()));
    facts.push(("parameters", thousands(backbone.parameters).into()));
    facts.push(("vocabulary", thousands(backbone.vocabulary).into()));
    let held = format!("{}, {} in memory", backbone.quantization, bytes(backbone.bytes));
    facts.push(("weights", held.into()));
    facts.push(("compute type", backbone.compute_type.as_str().into()));
    facts.push(("identity (SHA-256)", code(&backbone.identity)));
    let entries = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let columns = ["Seed", "Cell", "Finished (UTC)", "SHA-256 of scores and ranks"].map(Column::text);
    let mut runs = Table::new("rankings", "The stored rankings.", columns.to_vec());
    for seed in &ranker.seeds {
        runs = runs.row(vec![
            Cell::text(seed.seed.to_string()),
            Cell::text(seed.key.get(..16).unwrap_or(&seed.key)),
            Cell::text(seed.times.finished.clone()),
            seed.ranking_sha256.as_ref().map_or_else(Cell::none, |hash| Cell::text(hash.clone())),
        ]);
    }
    Section::new("Backbone and rankings").with(Facts { folded: None, entries }).with(runs)
}
