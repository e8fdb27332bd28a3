//! `bench ls`.

use super::args::Common;
use super::exit::{Exit, Failure};
use super::format::{bytes, duration};
use super::output::{self, Output};
use super::table::table;
use crate::pipeline;
use crate::run::{Claimed, Manifest, Pulse, RankerRecord, claims_in, list_all};

/// List the cells of the run store.
pub fn ls(common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let listed = list_all(&common.runs_dir).map_err(pipeline::Error::from)?;
    let mut cells: Vec<(String, Manifest)> = Vec::new();
    let mut exit = Exit::Ok;
    for cell in listed {
        let name = cell.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match cell.manifest {
            Ok(manifest) => cells.push((name, manifest)),
            Err(what) => {
                let message =
                    format!("{}: {what}; the next run that needs it computes it again", cell.path.display());
                output::error(&Failure::new(Exit::Invalid, message));
                exit = Exit::Invalid;
            }
        }
    }
    let claimed = claims_in(&common.runs_dir).map_err(pipeline::Error::from)?;
    if cells.is_empty() {
        out.say(&format!("{}: no stored run", common.runs_dir.display()))?;
        at_work(&claimed, out)?;
        return Ok(exit);
    }
    let order = |(_, cell): &(String, Manifest)| {
        let ranker = cell.ranker.as_ref().map(|ranker| ranker.backbone.name.clone());
        (cell.dataset.name.clone(), cell.retriever.clone(), ranker, cell.experiments.clone(), cell.seed)
    };
    cells.sort_by_key(order);
    let mut table = table(
        out.style(),
        &["cell", "stage", "first run for", "data", "by", "seed", "finished", "time", "size"],
    );
    for (name, cell) in &cells {
        let size: u64 = cell.files.values().map(|file| file.bytes).sum();
        table.add_row([
            name.clone(),
            cell.stage.clone(),
            cell.experiments.join(", "),
            cell.dataset.name.clone(),
            cell.ranker.as_ref().map_or_else(|| cell.retriever.clone(), by),
            cell.seed.to_string(),
            cell.times.finished.chars().take(16).collect(),
            duration(cell.times.wall_seconds.values().sum()),
            bytes(size),
        ]);
    }
    out.print(&table.trim_fmt())?;
    at_work(&claimed, out)?;
    Ok(exit)
}

/// What processes compute now, or left behind.
fn at_work(claimed: &[Claimed], out: &mut Output) -> Result<(), Failure> {
    for Claimed { stage, cell, holder } in claimed {
        out.print(&match holder.pulse() {
            Pulse::Alive => format!("{stage}/{cell} is being computed by {holder}"),
            Pulse::Unknown => format!("{stage}/{cell} is claimed by {holder}"),
            Pulse::Dead => {
                format!(
                    "{stage}/{cell} was left behind by {holder}; the next run that needs it takes it over"
                )
            }
        })?;
    }
    Ok(())
}

/// `meta-llama/Llama-2-7b-hf nf4, tuned`: what tells rankings apart.
fn by(ranker: &RankerRecord) -> String {
    let how = if ranker.tuned { "tuned" } else { "zero-shot" };
    let random = if ranker.backbone.is_random() { ", random weights" } else { "" };
    format!("{} {}, {how}{random}", ranker.backbone.name, ranker.backbone.quantization)
}
