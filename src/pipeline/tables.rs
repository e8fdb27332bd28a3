//! From cells to report files.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::record::setting_records;
use super::{Error, Finished, Prepared};
use crate::baseline::{self, Baseline};
use crate::eval;
use crate::experiment::{Averaging, Experiment, Origin, RetrieverSpec};
use crate::report::{self, Report, Strata};
use crate::run::{Cell, Claims, RankingCell, SettingRecord, Taken};

/// Where things are and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Upstream files.
    pub data: PathBuf,
    /// The run store.
    pub runs: PathBuf,
    /// Reports, a folder for each experiment.
    pub reports: PathBuf,
    /// Published numbers, if a folder was named; else those of `baselines` here, if there is one, or those that the program
    /// comes with.
    pub baselines: Option<PathBuf>,
    /// Where a finished run goes that the store does not take.
    pub rescue: PathBuf,
}

/// The folder of published numbers where none is named.
pub const BASELINES: &str = "baselines";

/// Published numbers: every `.toml` file of the folder that was named. If none was, of `baselines`, or the built-in ones where
/// that does not exist.
///
/// # Errors
/// If the folder or a file cannot be read, or there is none; all problems of the first such file.
pub fn published(named: Option<&Path>) -> Result<Vec<Baseline>, Error> {
    let folder = named.unwrap_or(Path::new(BASELINES));
    let absent = folder.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    if named.is_none() && absent {
        return Ok(baseline::built_in()?);
    }
    Ok(baseline::load_folder(folder)?)
}

/// The report of an experiment from its finished seeds, in their order. With the data it can tell users apart by their history and by
/// the item they want.
///
/// # Errors
/// As [`Report::build`].
pub fn build_report(
    experiment: &Experiment,
    finished: &[Finished],
    baselines: &[Baseline],
    data: Option<&Prepared>,
) -> Result<Report, Error> {
    let cells: Vec<Cell> = finished.iter().map(|seed| seed.retrieval.clone()).collect();
    let rankings: Vec<RankingCell> = finished.iter().filter_map(|seed| seed.ranking.clone()).collect();
    let batch_size = match &experiment.retriever {
        RetrieverSpec::Lru(spec) => Some(spec.batch_size),
        RetrieverSpec::Popularity | RetrieverSpec::Random => None,
    };
    let averaging = match (experiment.evaluation.averaging, batch_size) {
        (Averaging::Batches, Some(size)) => eval::Averaging::Batches { size },
        _ => eval::Averaging::Users,
    };
    let mut settings = setting_records(experiment);
    let warnings: Vec<String> = unused_decay(experiment, &mut settings).into_iter().collect();
    let users = data.filter(|data| is_of(data, finished)).map(users);
    let seeds: Vec<u64> = experiment.seeds.iter().map(|seed| seed.get()).collect();
    Ok(Report::build(&report::Input {
        experiment: &experiment.name,
        description: &experiment.description,
        settings: &settings,
        cutoffs: &experiment.evaluation.cutoffs,
        averaging,
        batch_size,
        seeds: &seeds,
        cells: &cells,
        rankings: &rankings,
        baselines,
        strata: users.as_ref().map(|(history, popularity)| Strata { history, popularity }),
        warnings: &warnings,
    })?)
}

/// Whether the cells were computed from these data.
fn is_of(data: &Prepared, finished: &[Finished]) -> bool {
    let fingerprint = &data.record.split_fingerprint;
    finished.iter().all(|seed| seed.retrieval.manifest.dataset.split_fingerprint == *fingerprint)
}

/// Of each user of the test: the items before the held-out one, and how often training has the held-out one.
fn users(data: &Prepared) -> (Vec<u32>, Vec<u32>) {
    let split = &data.split;
    let mut counts = vec![0u32; split.n_items];
    for item in split.train.iter().flatten() {
        counts[item.index()] += 1;
    }
    // All of the training, and the item of validation.
    let history = split.train.iter().map(|items| items.len() as u32 + 1).collect();
    (history, split.test.iter().map(|item| counts[item.index()]).collect())
}

/// Where the rule overwrites the weight decay, list the one that was used; a warning if another was typed.
fn unused_decay(experiment: &Experiment, settings: &mut Vec<SettingRecord>) -> Option<String> {
    const KEY: &str = "retriever.weight_decay";
    let RetrieverSpec::Lru(spec) = &experiment.retriever else { return None };
    let used = spec.effective_weight_decay();
    let at = settings.iter().position(|setting| setting.key == KEY).filter(|_| used != spec.weight_decay)?;
    let line = SettingRecord {
        key: format!("{KEY} (used)"),
        value: used.into(),
        origin: "retriever.weight_decay_rule".to_owned(),
        is_default: false,
        is_quirk: true,
    };
    settings.insert(at + 1, line);
    let origin = &experiment.resolved.settings.iter().find(|setting| setting.key == KEY)?.origin;
    let typed = matches!(origin, Origin::File { .. } | Origin::Env { .. } | Origin::CommandLine { .. });
    typed.then(|| {
        format!(
            "{KEY} is {} ({origin}), but {used} was used: retriever.weight_decay_rule overwrites it.",
            spec.weight_decay
        )
    })
}

/// The longest that a report waits for another process that writes the same. More than an owner's lease, and long for a few files.
const MOST_WAIT: Duration = Duration::from_secs(120);

/// The turn to write the files of `name` below `reports`, to be taken before what is stored is read for the last time. Files are whole one
/// by one; the turn keeps the reports of two processes from being mixed, and one of fewer seeds from replacing one of more. `None` if
/// another process has not given it back for minutes: the report is written even so.
pub(super) fn turn(reports: &Path, name: &str) -> Result<Option<Taken>, Error> {
    // No name of an experiment begins with a point.
    let root = reports.join(format!(".{name}.claim"));
    let until = Instant::now() + MOST_WAIT;
    Ok(Claims::default().wait(&root, |_| {
        thread::sleep(Duration::from_millis(50));
        Instant::now() < until
    })?)
}

/// Make the report and write it below `reports`, in one's [`turn`].
pub(super) fn write(
    experiment: &Experiment,
    cells: &[Finished],
    baselines: &[Baseline],
    data: Option<&Prepared>,
    reports: &Path,
) -> Result<(Report, [PathBuf; 4]), Error> {
    let report = build_report(experiment, cells, baselines, data)?;
    let paths = report::write_report(&reports.join(&experiment.name), &report)?;
    Ok((report, paths))
}
