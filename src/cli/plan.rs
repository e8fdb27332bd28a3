//! `bench plan`.

use std::collections::BTreeMap;

use super::args::{Common, Selection};
use super::exit::{Exit, Failure};
use super::format::{bytes, duration, list};
use super::output::{self, Output};
use super::table::table;
use super::{progress, run, select};
use crate::pipeline::{self, Devices, Fate, METHOD, Miss, Nearest, Place, Planned, STEPS, Timed, is_news};

/// Show what a run would do.
pub fn plan(
    selection: &Selection,
    measure: bool,
    common: &Common,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let experiments = select::select_some(selection)?;
    let reporter = progress::reporter(common);
    let planned =
        pipeline::plan(experiments, &run::folders(common), &Devices::default(), measure, reporter.as_ref())?;
    let mut table = table(out.style(), &["experiment", "seeds", "state", "time", "memory"]);
    for experiment in &planned {
        for row in rows(experiment) {
            table.add_row(row);
        }
    }
    out.print(&table.trim_fmt())?;
    out.print(&totals(&planned))?;
    for line in places(&planned) {
        out.print(&line)?;
    }
    for Planned { experiment, timed, .. } in &planned {
        if let Some(timed) = timed {
            out.print(&format!("{experiment}: {}", told(timed)))?;
        }
    }
    for Planned { experiment, caution, .. } in &planned {
        if let Some(caution) = caution {
            out.print(&format!("{experiment}: {caution}"))?;
        }
    }
    for Planned { experiment, claimed, .. } in &planned {
        for (seed, holder) in claimed {
            out.print(&format!("{experiment}, seed {seed}: with {holder}"))?;
        }
    }
    let told: Vec<String> =
        planned.iter().flat_map(stored_cells).chain(planned.iter().flat_map(reasons)).collect();
    if !told.is_empty() {
        out.say(&format!("\n{}", told.join("\n")))?;
    }
    let waiting: Vec<_> = planned.iter().map(|p| (p.experiment.as_str(), p.needs.as_slice())).collect();
    let missing = run::needs(&waiting);
    if !missing.is_empty() {
        out.print(&format!("\nMissing:\n{}", missing.join("\n")))?;
    }
    let mut exit = Exit::Ok;
    for Planned { experiment, broken, refused, .. } in &planned {
        for (seed, error) in refused {
            output::error(&Failure::new(Exit::RunFailed, format!("{experiment}, seed {seed}: {error}")));
            exit = Exit::RunFailed;
        }
        if let Some(error) = broken {
            output::error(&Failure::new(Exit::Invalid, format!("{experiment}: {error}")));
            exit = Exit::Invalid;
        }
    }
    Ok(exit)
}

/// Where stages would be computed, where that is not simply the processor: a line for all that share a place.
fn places(planned: &[Planned]) -> Vec<String> {
    let mut grouped: Vec<((&str, String), Vec<&str>)> = Vec::new();
    for Planned { experiment, place, ranker, ranker_memory, measured, timed, .. } in planned {
        for (stage, verb, place) in [("retriever", "be trained", place), ("ranker", "compute", ranker)] {
            let how = match place {
                Some((Place::Device(device), needed)) => format!(
                    "on {device}, with {} of its {}{}",
                    match ranker_memory.filter(|_| stage == "ranker") {
                        Some(most) => format!("about {} ({} have to be free)", bytes(most), bytes(*needed)),
                        None => bytes(*needed),
                    },
                    bytes(device.memory),
                    match stage {
                        _ if *measured => "",
                        "ranker" if timed.is_some() => "",
                        "ranker" => " (the time above is a guess from its data sheet; --measure times it)",
                        _ => " (the time above is the processor's)",
                    }
                ),
                Some((Place::Processor(Some(error)), _)) if is_news(error) => {
                    format!("on the processor: {error}")
                }
                _ => continue,
            };
            let line = (stage, format!("would {verb} {how}"));
            match grouped.iter_mut().find(|(known, _)| *known == line) {
                Some((_, names)) => names.push(experiment),
                None => grouped.push((line, vec![experiment])),
            }
        }
    }
    let line =
        |((stage, how), names): &((&str, String), Vec<&str>)| format!("the {stage} of {} {how}", list(names));
    grouped.iter().map(line).collect()
}

/// What was timed, and where a seed's time would go.
fn told(Timed { paces, parts }: &Timed) -> String {
    let all: f64 = parts.iter().sum();
    let [training, validation, test] = parts.map(|part| format!("{:.0} %", 100.0 * part / all.max(1e-9)));
    let time = |seconds: f64| match seconds {
        s if s < 1.0 => format!("{:.1} ms", 1e3 * s),
        s => format!("{s:.1} s"),
    };
    let learned = match paces.tokens {
        0 => String::new(),
        tokens => format!("{} for a training prompt of {tokens} tokens, ", time(paces.learned)),
    };
    format!(
        "timed {learned}{} for one that is scored; training takes {training} of the ranking, validation {validation}, the test {test}",
        time(paces.scored)
    )
}

/// Which cells are used.
fn stored_cells(Planned { experiment, hits, .. }: &Planned) -> Option<String> {
    let cells: Vec<String> = hits.iter().map(|(seed, stage, key)| format!("{seed} {stage}/{key}")).collect();
    if cells.is_empty() { None } else { Some(format!("{experiment}: stored: {}", cells.join(", "))) }
}

/// Settings that are listed where a stored cell differs in more.
const MOST_SETTINGS: usize = 5;

/// Why the rest is computed, a line for all seeds that have the same reason.
fn reasons(Planned { experiment, misses, .. }: &Planned) -> Vec<String> {
    let mut grouped: Vec<(&str, String, Vec<u64>)> = Vec::new();
    for Miss { seed, stage, nearest } in misses {
        let why = match nearest {
            None => "no cell of this stage and dataset is stored".to_owned(),
            Some(Nearest { cell, experiments, differs }) => {
                let differ = |(name, stored, wanted): &(String, String, String)| match name.as_str() {
                    // The seeds stand in front.
                    "seed" => format!("seed {stored}"),
                    _ => format!("{name} {stored}, not {wanted}"),
                };
                let more = differs.len().saturating_sub(MOST_SETTINGS);
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                let listed: Vec<String> = differs.iter().take(MOST_SETTINGS).map(differ).collect();
                format!(
                    "the nearest stored cell is {cell} of {}: {}{more}",
                    experiments.join(", "),
                    listed.join("; ")
                )
            }
        };
        match grouped.iter_mut().find(|(of, known, _)| of == stage && *known == why) {
            Some((_, _, seeds)) => seeds.push(*seed),
            None => grouped.push((stage, why, vec![*seed])),
        }
    }
    let line = |(stage, why, seeds): (&str, String, Vec<u64>)| {
        let s = if seeds.len() == 1 { "" } else { "s" };
        format!("{experiment}: {stage} of seed{s} {} would run: {why}", list(&seeds))
    };
    grouped.into_iter().map(line).collect()
}

/// A row for each state that seeds of the experiment are in.
fn rows(planned: &Planned) -> Vec<[String; 5]> {
    let mut by_fate: BTreeMap<Fate, Vec<u64>> = BTreeMap::new();
    for (seed, fate) in &planned.seeds {
        by_fate.entry(*fate).or_default().push(*seed);
    }
    let row = |(fate, seeds): (Fate, Vec<u64>)| {
        let cost = planned.cost.filter(|_| fate.computes());
        let n = seeds.len() as f64;
        let state = match fate {
            Fate::Stored => "stored".to_owned(),
            Fate::Again => "damaged, would run again".to_owned(),
            Fate::Compute => "would run".to_owned(),
            Fate::Claimed => "being computed, see below".to_owned(),
            Fate::Shared => "shared with a run above".to_owned(),
            Fate::Refused => "cannot be read, see below".to_owned(),
            Fate::Waiting => waiting(planned),
            Fate::Broken => "invalid, see below".to_owned(),
        };
        let time = cost.map_or_else(String::new, |cost| {
            let about = match planned {
                Planned { measured: true, .. } => "measured",
                Planned { timed: Some(_), estimated: false, .. } => "timed",
                _ => "about",
            };
            format!("{about} {}", duration(cost.seconds * n))
        });
        let memory = cost.map_or_else(String::new, |cost| bytes(cost.memory_bytes));
        [planned.experiment.clone(), list(&seeds), state, time, memory]
    };
    by_fate.into_iter().map(row).collect()
}

/// An experiment that waits may have its first stage already.
fn waiting(planned: &Planned) -> String {
    match planned.stored {
        Some(stored) => format!("waiting; candidates of {stored} of {} seeds stored", planned.seeds.len()),
        None => "waiting".to_owned(),
    }
}

fn totals(planned: &[Planned]) -> String {
    let count = |wanted: &dyn Fn(Fate) -> bool| {
        planned.iter().flat_map(|planned| &planned.seeds).filter(|(_, fate)| wanted(*fate)).count()
    };
    let (mut likely, mut most, mut estimated, mut planned_steps) = (0.0, 0.0, false, false);
    for experiment in planned {
        let Some(cost) = experiment.cost else { continue };
        let n = experiment.seeds.iter().filter(|(_, fate)| fate.computes()).count() as f64;
        likely += n * cost.seconds;
        most += n * cost.most_seconds;
        estimated |= experiment.estimated;
        planned_steps |= !experiment.measured;
    }
    let (compute, stored, waiting) = (
        count(&|fate| fate.computes()),
        count(&|fate| fate == Fate::Stored),
        count(&|fate| fate == Fate::Waiting),
    );
    let claimed = count(&|fate| fate == Fate::Claimed);
    let mut text = format!("{compute} to run, {stored} stored, {waiting} waiting");
    if claimed > 0 {
        text.push_str(&format!(", {claimed} being computed by other processes"));
    }
    if compute > 0 {
        text.push_str(&format!(
            "; about {} in all, {} if no training stops early",
            duration(likely),
            duration(most)
        ));
    }
    if estimated {
        text.push_str(&format!("\n{METHOD}"));
    } else if planned_steps {
        text.push_str(&format!("\n{STEPS}"));
    }
    text
}
