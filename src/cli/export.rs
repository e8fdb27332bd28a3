//! `bench export`.

use super::args::{Common, ExportArgs, ExportFormat, IdNames};
use super::exit::{Exit, Failure};
use super::output::{self, Output};
use super::{progress, run, select};
use crate::export::{self, Format, Ids, Seed, Source};
use crate::pipeline::{self, Finished, Job};
use crate::run::Store;

/// Write the stored seeds of experiments in other formats, and print the paths.
pub fn export(args: &ExportArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let experiments = select::select_some(&args.selection)?;
    let reporter = progress::reporter(common);
    let stored = pipeline::stored_seeds(experiments, &run::folders(common), reporter.as_ref())?;
    let mut formats = args.format.clone();
    formats.sort_unstable();
    formats.dedup();
    let rankings = Store::rankings(&common.runs_dir);
    let (mut written, mut exit) = (0, Exit::Ok);
    for (job, finished) in stored {
        let experiment = job.experiment.name.clone();
        let mut fail = |failure: Failure| {
            exit = failure.exit;
            output::error(&Failure::new(exit, format!("{experiment}: {}", failure.message)));
        };
        let finished = match finished {
            Ok(finished) if finished.is_empty() => {
                out.say_if(
                    &format!("{experiment}: no stored run; nothing to export"),
                    Exit::NothingSelected,
                )?;
                continue;
            }
            Ok(finished) => finished,
            Err(error) => {
                fail(error.into());
                continue;
            }
        };
        let ids = match ids(args.ids, &job, &finished) {
            Ok(ids) => ids,
            Err(failure) => {
                fail(failure);
                continue;
            }
        };
        let seeds: Vec<Seed<'_>> = finished
            .iter()
            .map(|seed| Seed { retrieval: &seed.retrieval, ranking: seed.ranking.as_ref() })
            .collect();
        if args.ids == IdNames::Auto && matches!(ids, Ids::Dense) {
            out.say(
                &format!(
                    "{experiment}: the data that the runs were made from are not here, so users and items are numbers of bench, not ids of the \
                     data; --data-dir names the data"
                ),
            )?;
        }
        if seeds.iter().any(Seed::has_random_weights) {
            out.say(&format!(
                "{experiment}: the weights of its backbone are random, so its rankings are not for reporting and are not exported; its retriever's \
                 lists are"
            ))?;
        }
        let source = Source { experiment: &experiment, seeds: &seeds, ids: &ids, rankings: &rankings };
        for format in &formats {
            match export::write(&source, of(*format), &args.to) {
                Ok(paths) => {
                    for path in paths {
                        written += 1;
                        out.print(&path.display().to_string())?;
                    }
                }
                // One format is missing where several were asked for: the others are written.
                Err(error @ export::Error::Nothing { .. }) if formats.len() > 1 => {
                    out.say(&format!("{experiment}: {error}"))?
                }
                Err(error) => fail(failure(error)),
            }
        }
    }
    Ok(if written == 0 && exit == Exit::Ok { Exit::NothingSelected } else { exit })
}

fn failure(error: export::Error) -> Failure {
    match error {
        export::Error::Run(error) => pipeline::Error::from(error).into(),
        export::Error::Nothing { .. } => Failure::new(Exit::NothingSelected, error),
        _ => Failure::new(Exit::RunFailed, error),
    }
}

const fn of(format: ExportFormat) -> Format {
    match format {
        ExportFormat::Parquet => Format::Parquet,
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Trec => Format::Trec,
        ExportFormat::Peft => Format::Peft,
        ExportFormat::Tensorboard => Format::TensorBoard,
    }
}

/// The store has dense ids; raw ones need the data that were split.
fn ids(wanted: IdNames, job: &Job, finished: &[Finished]) -> Result<Ids, Failure> {
    let same = |seed: &Finished, split: &str| seed.retrieval.manifest.dataset.split_fingerprint == split;
    let data = job.data.as_ref().filter(|data| {
        let split = data.record.split_fingerprint.as_str();
        finished.iter().all(|seed| same(seed, split))
    });
    match (wanted, data) {
        (IdNames::Dense, _) | (IdNames::Auto, None) => Ok(Ids::Dense),
        (_, Some(data)) => Ok(Ids::Raw { users: data.users.clone(), items: data.items.clone() }),
        (IdNames::Raw, None) => {
            let what = "the data that the runs were made from are not here, and only they have raw ids; name them with --data-dir, or \
                        use --ids dense";
            Err(Failure::new(Exit::Invalid, what))
        }
    }
}
