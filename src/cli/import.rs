//! `bench import`.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment};

use super::args::{Common, HeldOut, ImportArgs, ImportIds, RunFormat, Selection};
use super::exit::{Exit, Failure};
use super::format::count;
use super::output::Output;
use super::table::table;
use super::{progress, run, select};
use crate::data::Part;
use crate::eval::{Averaging, Metric, MetricTable, RankList, Rung};
use crate::events::Event;
use crate::experiment::Experiment;
use crate::export::{Listing, Seed};
use crate::import::Format;
use crate::pipeline::{self, Finished, Import, Kept, State};

/// Read a run file, keep its ranks, and print its metrics beside the experiment's own.
pub fn import(args: &ImportArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let selection = Selection {
        files: vec![args.experiment.clone()],
        overrides: args.overrides.clone(),
        ..Selection::default()
    };
    let experiments = select::select_some(&selection)?;
    if experiments.len() > 1 {
        let message = format!("{}: several experiments; name the file of one", args.experiment.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    let reporter = progress::reporter(common);
    let folders = run::folders(common);
    let stored = pipeline::stored_seeds(experiments, &folders, reporter.as_ref())?;
    let Some((job, finished)) = stored.into_iter().next() else { return Ok(Exit::NothingSelected) };
    let Some(data) = &job.data else {
        return Err(match job.state {
            State::Broken(error) => error.into(),
            State::Waiting(needs) => {
                let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
                Failure::new(Exit::Invalid, format!("{}: {}", job.experiment.name, needs.join("\n")))
            }
            State::Ready(_) => Failure::new(Exit::Invalid, "the data are not here"),
        });
    };
    let name = args.name.clone().unwrap_or_else(|| {
        let name = args.run.file_name().unwrap_or_default().to_string_lossy();
        name.strip_suffix(".gz").unwrap_or(&name).to_owned()
    });
    let part = match args.part {
        HeldOut::Test => Part::Test,
        HeldOut::Validation => Part::Validation,
    };
    let wanted = Import {
        experiment: &job.experiment.name,
        file: &args.run,
        name: &name,
        format: format(args),
        raw_ids: args.ids == ImportIds::Raw,
        part,
        seed: args.seed,
    };
    let kept = pipeline::import(&wanted, data, &common.runs_dir, reporter.as_ref())?;
    for warning in warnings(&kept, &job.experiment) {
        reporter.emit(Event::Warning(&warning));
    }
    let own = finished?;
    out.say(&format!("\n{}", tell(&kept, &job.experiment, &own, part, out)))?;
    let folder = crate::run::Store::imported(&common.runs_dir).cell_dir(&kept.key);
    if !kept.is_new {
        out.say(&format!("stored already, as {}", kept.cell.manifest.retriever))?;
    }
    out.print(&folder.display().to_string())?;
    Ok(Exit::Ok)
}

fn format(args: &ImportArgs) -> Format {
    match args.format {
        Some(RunFormat::Trec) => Format::Trec,
        Some(RunFormat::Csv) => Format::Csv,
        None => {
            let name = args.run.to_string_lossy().to_ascii_lowercase();
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            if name.ends_with(".csv") || name.ends_with(".tsv") { Format::Csv } else { Format::Trec }
        }
    }
}

/// What the file gives to know, and lists too short for a cutoff.
fn warnings(kept: &Kept, experiment: &Experiment) -> Vec<String> {
    let mut found = kept.warnings.clone();
    let longest = kept.cell.record.counts.longest;
    let deepest = experiment
        .evaluation
        .cutoffs
        .iter()
        .copied()
        .chain([experiment.evaluation.candidates])
        .max()
        .unwrap_or(0);
    if longest < u64::from(deepest) {
        found.push(format!(
            "{}: the longest list has {longest} items; metrics at larger cutoffs, up to {deepest}, are those at {longest}",
            kept.cell.record.file
        ));
    }
    found
}

type Row = (String, BTreeMap<Metric, f64>, String);

/// The table: the imported run, and the means over the experiment's own stored seeds.
fn tell(kept: &Kept, experiment: &Experiment, own: &[Finished], part: Part, out: &Output) -> String {
    let evaluation = &experiment.evaluation;
    let metrics = |ranks: &RankList| {
        MetricTable::overall(ranks, &evaluation.cutoffs, evaluation.candidates, Averaging::Users)
    };
    let imported = metrics(&kept.cell.ranks.rank_list());
    let hits = |table: &MetricTable| table.n_retrieved.to_string();
    let values = |table: &MetricTable| table.values.iter().map(|(metric, of)| (*metric, of.value)).collect();
    let mut rows: Vec<Row> = vec![(kept.cell.manifest.retriever.clone(), values(&imported), hits(&imported))];
    let mut lists: BTreeMap<(usize, String), Vec<MetricTable>> = BTreeMap::new();
    for seed in own {
        let listings = Listing::of(Seed { retrieval: &seed.retrieval, ranking: seed.ranking.as_ref() });
        let read_out = seed.ranking.as_ref().map(|cell| cell.audit.read_out.as_str());
        let name = if part == Part::Test { "test" } else { "validation" };
        let counts =
            |of: &&Listing<'_>| of.part == name && (of.read_out.is_none() || of.read_out == read_out);
        for listing in listings.iter().filter(counts) {
            let ranks = listing.ranks();
            let whole = ranks.iter().flatten().count();
            // A sample of R says nothing of all users.
            let retrieved =
                listing.retrieval.ranks.iter().filter(|rank| **rank as usize <= listing.k).count();
            if listing.stage == "ranking" && whole < retrieved {
                continue;
            }
            let ranks = RankList {
                ranks: ranks.into_iter().map(|rank| rank.and_then(std::num::NonZeroU32::new)).collect(),
            };
            let what = if listing.rung == Rung::Retriever {
                seed.retrieval.manifest.retriever.clone()
            } else {
                format!("{} ranker", listing.rung)
            };
            let order = if listing.rung == Rung::Retriever { 0 } else { listing.rung as usize };
            lists.entry((order, what)).or_default().push(metrics(&ranks));
        }
    }
    for ((_, what), tables) in lists {
        let n = tables.len() as f64;
        let mean = |metric: &Metric| {
            let sum: f64 =
                tables.iter().filter_map(|table| table.values.get(metric)).map(|of| of.value).sum();
            (*metric, sum / n)
        };
        let found = tables.iter().map(|table| table.n_retrieved).sum::<usize>() as f64 / n;
        let name = format!("{}: {what}, {}", experiment.name, count(tables.len(), "seed"));
        rows.push((name, imported.values.keys().map(mean).collect(), format!("{found:.1}")));
    }
    let header: Vec<String> = imported.values.keys().map(|metric| metric.short()).collect();
    let header: Vec<&str> =
        std::iter::once("all users").chain(header.iter().map(String::as_str)).chain(["|R|"]).collect();
    let mut table = table(out.style(), &header);
    for (name, values, found) in rows {
        let cells = std::iter::once(name)
            .chain(
                imported
                    .values
                    .keys()
                    .map(|metric| values.get(metric).map_or("-".to_owned(), |v| format!("{v:.4}"))),
            )
            .chain([found]);
        let cell = |(at, text): (usize, String)| {
            Cell::new(text).set_alignment(if at == 0 { CellAlignment::Left } else { CellAlignment::Right })
        };
        table.add_row(cells.enumerate().map(cell).collect::<Vec<_>>());
    }
    let counts = &kept.cell.record.counts;
    format!(
        "{} on {}, {}: {} users with a list, {} without\n{}",
        kept.cell.record.file,
        kept.cell.manifest.dataset.name,
        kept.cell.record.part,
        counts.users,
        counts.users_missing,
        table.trim_fmt()
    )
}
