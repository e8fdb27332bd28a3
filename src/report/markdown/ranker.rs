//! The second stage: ladders, read-outs, training, and how the prompts fared.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::compare::RULE;
use super::super::format::{bytes, count, mean_sd, metric, seconds, signed, thousands};
use super::super::model::{Comparison, Report};
use super::super::ranker::{Ladder, RankerOnly, RankerSection, RungResult};
use super::results::{optional, percent, printed};
use super::{Table, header, text_header};
use crate::baseline::Scope;
use crate::eval::{Metric, Rung};

/// All sections of the second stage; empty without one.
pub(super) fn sections(report: &Report) -> String {
    let Some(ranker) = &report.ranker else { return String::new() };
    [
        ladder(report, ranker),
        comparison(report, ranker),
        audit(ranker),
        training(ranker),
        curve(ranker),
        prompts(report, ranker),
        provenance(ranker),
    ]
    .concat()
}

/// The name of a rung in tables.
pub(in super::super) fn rung_name(ranker: &RankerSection, rung: &RungResult) -> String {
    let several = ranker.test.rungs.iter().filter(|r| r.rung == rung.rung).count() > 1;
    let name = match rung.rung {
        Rung::Random => "random order (expected)",
        Rung::Retriever => "retriever's order",
        Rung::ZeroShot => "zero-shot",
        Rung::Tuned => "tuned",
        Rung::Oracle => "perfect order",
    };
    match &rung.read_out {
        Some(read_out) if several => format!("{name}, {read_out}"),
        _ => name.to_owned(),
    }
}

/// Whether a rung is the ranker's result.
fn is_result(ranker: &RankerSection, ladder: &Ladder, rung: &RungResult) -> bool {
    ladder.result(&ranker.read_out).is_some_and(|result| std::ptr::eq(result, rung))
}

fn ladder(report: &Report, ranker: &RankerSection) -> String {
    let (test, validation) = (&ranker.test, &ranker.validation);
    let order = match ranker.candidate_order.as_str() {
        "shuffled" => "Candidates are shown in a random order.",
        _ => "Candidates are shown in the retriever's order, so a letter gives away the rank.",
    };
    let mut text = format!(
        "## Ranker\n\nThe last item of every user. {} ranks the {} candidates of the users R whose item is among them: {}. {order} Random \
         is the exact expected value; a perfect order puts the held-out item first. Users weigh the same. Rows of SE \
         (standard error) belong to the row before them.\n\n",
        ranker.backbone.name,
        report.candidates,
        ranked(test)
    );
    text.push_str(&only_r(ranker, test));
    if has_overall(test) {
        text.push_str(
            "Over all users = over R x |R| / |U| (equations 5 and 6 of the paper), seed by seed; users outside of R count 0.\n\n",
        );
    }
    text.push_str(&overall(ranker, test));
    if !test.gain.is_empty() {
        text.push_str("The gain is taken user by user, so what users have in common cancels. ");
    }
    if !test.headroom.is_empty() {
        text.push_str(
            "The share of the headroom is (ranker - retriever) / (perfect - retriever), the same over R and over all users.\n\n",
        );
    }
    text.push_str(&gained(test));
    let _ = write!(
        text,
        "## Ranker on validation\n\nThe same for the last but one item of every user: {}.{}\n\n",
        ranked(validation),
        if ranker.tuned {
            " The adapter was chosen here, so the tuned rung is an optimistic one."
        } else {
            ""
        }
    );
    text.push_str(&only_r(ranker, validation));
    text.push_str(&overall(ranker, validation));
    text.push_str(&gained(validation));
    text
}

/// Who was ranked.
fn ranked(ladder: &Ladder) -> String {
    if ladder.ranked == ladder.retrieved {
        format!("|R| = {}", count(ladder.retrieved.mean, ladder.retrieved.sd))
    } else {
        format!(
            "{} of |R| = {} users, drawn once for each seed",
            count(ladder.ranked.mean, ladder.ranked.sd),
            count(ladder.retrieved.mean, ladder.retrieved.sd)
        )
    }
}

fn has_overall(ladder: &Ladder) -> bool {
    ladder.rung(Rung::Oracle).is_some_and(|rung| rung.overall.is_some())
}

fn rows<'a>(
    names: &str,
    metrics: &[Metric],
    rows: impl Iterator<Item = (String, Vec<String>)> + 'a,
) -> String {
    let mut titles = vec![names.to_owned()];
    titles.extend(metrics.iter().map(|metric| metric.short()));
    let mut table = Table::new(&titles);
    for (name, values) in rows {
        table.row(&std::iter::once(name).chain(values).collect::<Vec<_>>());
    }
    table.0
}

fn only_r(ranker: &RankerSection, ladder: &Ladder) -> String {
    let Some(any) = ladder.rung(Rung::Oracle) else { return String::new() };
    let metrics: Vec<Metric> = any.ranker_only.keys().copied().collect();
    if metrics.is_empty() {
        return "Nobody was ranked.\n\n".to_owned();
    }
    let of = |rung: &RungResult| {
        // The ends of the ladder are the same for every seed.
        let is_fixed = matches!(rung.rung, Rung::Random | Rung::Oracle);
        let value = |m: &Metric| {
            let of = |v: &RankerOnly| mean_sd(v.seeds.mean, v.seeds.sd.filter(|_| !is_fixed));
            rung.ranker_only.get(m).map_or_else(|| "-".to_owned(), of)
        };
        metrics.iter().map(value).collect()
    };
    let name = |rung: &RungResult| {
        let name = rung_name(ranker, rung);
        if is_result(ranker, ladder, rung) { format!("**{name}**") } else { name }
    };
    let mut list: Vec<(String, Vec<String>)> = Vec::new();
    for rung in &ladder.rungs {
        list.push((name(rung), of(rung)));
        if is_result(ranker, ladder, rung) {
            let error = |m: &Metric| optional(rung.ranker_only.get(m).map(|v| v.se_users_one_seed));
            list.push(("SE over users, of one run".to_owned(), metrics.iter().map(error).collect()));
        }
    }
    format!("{}\n", rows("Ranker only, over R", &metrics, list.into_iter()))
}

fn overall(ranker: &RankerSection, ladder: &Ladder) -> String {
    let Some(any) = ladder.rung(Rung::Oracle).and_then(|rung| rung.overall.as_ref()) else {
        return "Not all of R was ranked, so there are no means over all users.\n\n".to_owned();
    };
    let metrics: Vec<Metric> = any.keys().copied().collect();
    let mut list: Vec<(String, Vec<String>)> = Vec::new();
    for rung in &ladder.rungs {
        let Some(values) = &rung.overall else { continue };
        let name = rung_name(ranker, rung);
        let bold = is_result(ranker, ladder, rung);
        let cells = values.values().map(|level| mean_sd(level.seeds.mean, level.seeds.sd)).collect();
        list.push((if bold { format!("**{name}**") } else { name }, cells));
        if bold {
            if values.values().all(|level| level.se_seeds.is_some()) {
                let errors = values.values().map(|level| optional(level.se_seeds)).collect();
                list.push(("SE over seeds".to_owned(), errors));
            }
            let errors = values.values().map(|level| metric(level.se_users)).collect();
            list.push(("SE over users".to_owned(), errors));
        }
    }
    format!("{}\n", rows("Overall, over all users", &metrics, list.into_iter()))
}

fn gained(ladder: &Ladder) -> String {
    if ladder.gain.is_empty() && ladder.headroom.is_empty() {
        return String::new();
    }
    let metrics: Vec<Metric> = ladder.headroom.keys().copied().collect();
    let gain = |value: fn(&crate::eval::TwoLevel) -> Option<f64>, sign: bool| -> Vec<String> {
        let text = |v: f64| if sign { signed(v) } else { metric(v) };
        let one = |m: &Metric| ladder.gain.get(m).and_then(value).map_or_else(|| "-".to_owned(), text);
        metrics.iter().map(one).collect()
    };
    let share = |m: &Metric| {
        ladder.headroom.get(m).map_or_else(
            || "-".to_owned(),
            |s| {
                let mean = format!("{:.1} %", 100.0 * s.mean);
                s.sd.map_or(mean.clone(), |sd| format!("{mean} ± {:.1}", 100.0 * sd))
            },
        )
    };
    let mut list = Vec::new();
    if !ladder.gain.is_empty() {
        list.push(("gain over the retriever, all users".to_owned(), gain(|v| Some(v.seeds.mean), true)));
        list.push(("SE over seeds".to_owned(), gain(|v| v.se_seeds, false)));
        list.push(("SE over users".to_owned(), gain(|v| Some(v.se_users), false)));
    }
    list.push(("share of the headroom gained".to_owned(), metrics.iter().map(share).collect()));
    format!("{}\n", rows("Above the retriever's order", &metrics, list.into_iter()))
}

fn comparison(report: &Report, ranker: &RankerSection) -> String {
    let Some(first) = ranker.comparisons.first() else { return String::new() };
    let mut table = text_header(&[
        "Over",
        "Metric",
        "Ours",
        "Published",
        "Difference",
        "Relative",
        "Within 2 SE or 3 %",
        "Source",
    ]);
    let mut sources = BTreeSet::new();
    for row in &ranker.comparisons {
        let Comparison { source, protocol, .. } = row;
        let within = row.verdict.map_or("-", |verdict| if verdict.within { "yes" } else { "**no**" });
        table.row(&[
            if row.scope == Scope::Overall { "all users" } else { "R" }.to_owned(),
            row.metric.short(),
            metric(row.ours),
            printed(row),
            signed(row.difference),
            percent(row.relative),
            within.to_owned(),
            format!("{} [{}]", source.table, source.id),
        ]);
        sources
            .insert(format!("- [{}] {}, {}. Protocol: {protocol}.", source.id, source.title, source.source));
    }
    let sources: Vec<String> = sources.into_iter().collect();
    format!(
        "## The ranker beside the published {}\n\nOurs is the mean over {} {}. Agreement is {RULE}; over R there is none, because \
         a paper's R are other users.\n\n{}\n{}\n\n",
        first.method,
        report.seeds.len(),
        if report.seeds.len() == 1 { "seed" } else { "seeds" },
        table.0,
        sources.join("\n")
    )
}

fn audit(ranker: &RankerSection) -> String {
    let audit = &ranker.audit;
    let ids = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let mut table = header(&["Letter", "In context", "Standalone"]);
    for label in &audit.labels {
        table.row(&[label.label.clone(), ids(&label.in_context), ids(&label.standalone)]);
    }
    let verdict = if audit.differing() == 0 {
        "Both read-outs read the same ids.".to_owned()
    } else {
        format!("The two read-outs differ for {} of {} letters.", audit.differing(), audit.labels.len())
    };
    let single = |ids: &[u32]| ids.len() == 1;
    let unreadable = audit.labels.iter().any(|label| !single(&label.standalone));
    let unreadable =
        if unreadable { " Letters of several tokens on their own cannot be read that way." } else { "" };
    let read = if audit.reads_what_is_trained() {
        "the ids that training teaches"
    } else {
        "**other ids than training teaches**"
    };
    format!(
        "## The letters\n\nTraining teaches the token that a letter is after the line break that ends a prompt (in context; the ids \
         before it are {}). The reference reads the token of a letter on its own. {verdict}{unreadable} Scores are read {}: {read}.\n\n{}\n",
        ids(&audit.context),
        audit.read_out,
        table.0
    )
}

fn training(ranker: &RankerSection) -> String {
    let trained: Vec<_> = ranker.seeds.iter().filter_map(|s| Some((s, s.training.as_ref()?))).collect();
    let Some((_, first)) = trained.first() else { return String::new() };
    let mut table = header(&[
        "Seed",
        "Best step",
        &format!("{} there", first.selected_by),
        "Steps",
        "Last loss",
        "Wall time",
        "Peak memory",
        "Stopped",
    ]);
    for (seed, training) in &trained {
        table.row(&[
            seed.seed.to_string(),
            thousands(training.best_step.into()),
            metric(training.best_metric),
            thousands(training.steps.into()),
            optional(training.last_loss),
            seconds(seed.times.wall_seconds.values().sum()),
            seed.peak_memory_bytes.map_or_else(|| "-".to_owned(), bytes),
            training.stop_reason.clone(),
        ]);
    }
    format!(
        "## Training of the ranker\n\n{} trained parameters. The best step is that of the best {} over R of validation, \
         where ties count as a random order; step 0 is the backbone as it is. Loss is the mean cross-entropy of the letter and the end, in nats.\n\n{}\n",
        thousands(first.parameters.unwrap_or(0)),
        first.selected_by,
        table.0
    )
}

/// Validations by step, one column a seed; of long curves every n-th.
fn curve(ranker: &RankerSection) -> String {
    const MOST: usize = 24;
    let steps: BTreeSet<u32> = ranker.seeds.iter().flat_map(|s| s.curve.iter().map(|p| p.step)).collect();
    if steps.len() < 2 {
        return String::new();
    }
    let every = steps.len().div_ceil(MOST);
    let last = steps.last().copied();
    let mut titles = vec!["Step".to_owned()];
    for seed in &ranker.seeds {
        titles.extend([format!("loss, seed {}", seed.seed), format!("validation, seed {}", seed.seed)]);
    }
    let mut table = Table::new(&titles);
    for (at, step) in steps.iter().enumerate() {
        if at % every != 0 && Some(*step) != last {
            continue;
        }
        let mut row = vec![thousands((*step).into())];
        for seed in &ranker.seeds {
            let point = seed.curve.iter().find(|point| point.step == *step);
            row.push(optional(point.and_then(|point| point.train_loss)));
            row.push(optional(point.map(|point| point.metric)));
        }
        table.row(&row);
    }
    let thinned = if every > 1 { format!(" Every {every}th; results.json has all.") } else { String::new() };
    format!(
        "The learning curve: mean loss since the row above, and the metric that chooses.{thinned}\n\n{}\n",
        table.0
    )
}

fn prompts(report: &Report, ranker: &RankerSection) -> String {
    let mut table = header(&[
        "Seed",
        "Prompts of",
        "Prompts",
        "Mean tokens",
        "Longest",
        "Cut on the left",
        "With fewer items",
    ]);
    for seed in &ranker.seeds {
        let parts = [
            ("test", Some(&seed.test_prompts)),
            ("validation", Some(&seed.validation_prompts)),
            ("training", seed.training_prompts.as_ref()),
        ];
        for (name, prompts) in parts {
            let Some(p) = prompts else { continue };
            table.row(&[
                seed.seed.to_string(),
                name.to_owned(),
                if p.prompts == p.of {
                    thousands(p.prompts)
                } else {
                    format!("{} of {}", thousands(p.prompts), thousands(p.of))
                },
                format!("{:.0}", p.tokens as f64 / p.prompts.max(1) as f64),
                thousands(p.longest),
                thousands(p.cut_prompts),
                thousands(p.shortened_prompts),
            ]);
        }
    }
    let cut = ranker.seeds.iter().map(|seed| seed.cut_titles).max().unwrap_or(0);
    let titles = match cut {
        0 => "No title was cut.".to_owned(),
        _ => {
            format!("{} of {} titles were cut to fit.", thousands(cut), thousands(report.dataset.ours.items))
        }
    };
    format!("## Prompts\n\n{titles}\n\n{}\n", table.0)
}

fn provenance(ranker: &RankerSection) -> String {
    let backbone = &ranker.backbone;
    let mut table = text_header(&["Backbone", "Value"]);
    let mut row = |what: &str, value: String| table.row(&[what.to_owned(), value]);
    row("name", format!("`{}`", backbone.name));
    if let Some(revision) = &backbone.revision {
        row("revision", format!("`{revision}`"));
    }
    row("source", backbone.source.clone());
    row("architecture", backbone.architecture.clone());
    row("parameters", thousands(backbone.parameters));
    row("vocabulary", thousands(backbone.vocabulary));
    let held = format!("{}, {} in memory", backbone.quantization, bytes(backbone.bytes));
    row("weights", held);
    row("compute type", backbone.compute_type.clone());
    row("identity (SHA-256)", format!("`{}`", backbone.identity));
    let mut runs = text_header(&["Seed", "Cell", "Finished (UTC)", "SHA-256 of scores and ranks"]);
    for seed in &ranker.seeds {
        let hash = seed.ranking_sha256.as_ref().map_or_else(|| "-".to_owned(), |hash| format!("`{hash}`"));
        let cell = format!("`{}`", seed.key.get(..16).unwrap_or(&seed.key));
        runs.row(&[seed.seed.to_string(), cell, seed.times.finished.clone(), hash]);
    }
    format!("## Backbone and rankings\n\n{}\n{}\n", table.0, runs.0)
}
