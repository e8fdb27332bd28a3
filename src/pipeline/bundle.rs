//! What a reader needs to check a paper, gathered from the store, the reports and the experiment files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::rebuild::{absent, stored_seeds};
use super::record::setting_records;
use super::tables::BASELINES;
use super::{BackboneSource, Error, Finished, Folders};
use crate::baseline;
use crate::bundle::{Contents, INDEX, Privacy, README};
use crate::events::{Event, Reporter};
use crate::experiment::{Experiment, settings_toml};
use crate::pretrain::{PRETRAIN_STAGE_VERSION, PretrainedCell};
use crate::report::{RESULTS, read_results};
use crate::run::{
    self, Cell, IMPORTED_STAGE_VERSION, MANIFEST_VERSION, Manifest, Opened, RANKING_STAGE_VERSION,
    RETRIEVAL_STAGE_VERSION, RankingCell, SettingRecord, Stage,
};

/// What is packed.
pub struct Bundle<'a> {
    /// Experiments, with their files.
    pub experiments: Vec<Experiment>,
    /// Folders of reports, whose cells are taken by their keys.
    pub reports: Vec<PathBuf>,
    /// The name of a report over several experiments that is packed as it is.
    pub summary: Option<String>,
    /// Whether weights are packed too.
    pub weights: bool,
    /// Whether it may be packed although something of an experiment is not there.
    pub partial: bool,
    /// Where things are.
    pub folders: &'a Folders,
    /// What may not be in it.
    pub privacy: &'a Privacy,
}

/// The files of a bundle, and what a person should know of them.
pub struct Gathered {
    /// The files.
    pub contents: Contents,
    /// How many cells.
    pub cells: usize,
    /// Files in which private folders were written otherwise.
    pub rewritten: Vec<String>,
}

/// An experiment as far as a bundle knows it.
struct Packed {
    name: String,
    /// Its files, as somebody typed them.
    typed: Vec<PathBuf>,
    settings: Vec<SettingRecord>,
    /// Stage and key of every cell.
    cells: BTreeSet<(&'static str, String)>,
    report: PathBuf,
    /// Whether the weights of its backbone are random.
    random: bool,
}

/// Gather the files of a bundle. Nothing is computed and nothing written.
///
/// # Errors
/// If a seed of an experiment is not stored, or its report is of other cells than are stored, unless `partial`: then what is there is packed,
/// and a warning says what is not. If nothing is there of any, if the weights of a backbone are random, if two experiments have one name and are not the same, or something cannot be read.
pub fn gather(wanted: Bundle<'_>, reporter: &dyn Reporter) -> Result<Gathered, Error> {
    let Bundle { experiments, reports, summary, weights, partial, folders, privacy } = wanted;
    let (mut all, mut lacks) = (Vec::new(), Vec::new());
    for (job, finished) in stored_seeds(experiments, folders, reporter)? {
        let finished = finished?;
        lacks.extend(not_stored(&job.experiment, &finished));
        if !finished.is_empty() {
            merge(&mut all, of_experiment(&job.experiment, &finished, folders))?;
        }
    }
    for Packed { report, cells, .. } in &mut all {
        if !report.is_dir() {
            let what = "no report; `bench report FILE` makes it from the store".to_owned();
            lacks.push((report.clone(), what));
        } else if of_report(report)?.cells != *cells {
            let what = "of other cells than are stored now; `bench report FILE` makes it again".to_owned();
            lacks.push((std::mem::take(report), what));
        }
    }
    for folder in reports {
        let packed = of_report(&folder)?;
        lacks.extend(not_in(&packed));
        merge(&mut all, packed)?;
    }
    let lines = lacks.iter().map(|(path, what)| format!("{}: {what}", path.display()));
    if let Some((path, what)) = lacks.first().filter(|_| !partial || all.is_empty()) {
        let mut what = [what.clone()].into_iter().chain(lines.skip(1)).collect::<Vec<String>>().join("\n");
        if !all.is_empty() {
            what.push_str("; or --partial packs what is there");
        }
        return Err(Error::Bundle { path: path.clone(), what });
    }
    for line in lines {
        reporter.emit(Event::Warning(&format!("{line}; it is left out")));
    }
    let mut gathering = Gathering {
        privacy,
        contents: Contents::new(),
        rewritten: BTreeSet::new(),
        left_out: BTreeMap::new(),
    };
    gathering.typed(all.iter().flat_map(|one| &one.typed))?;
    for Packed { name, settings, report, .. } in &all {
        let values = settings.iter().filter(|setting| !setting.key.contains(' '));
        let toml = settings_toml(values.map(|s| (s.key.as_str(), &s.value, s.origin.as_str())));
        gathering.add(format!("experiments/resolved/{name}.toml"), toml.into_bytes());
        let records = to_json(settings);
        gathering.add(format!("experiments/resolved/{name}.json"), records);
        if report.is_dir() {
            gathering.report(report, &format!("reports/{name}"))?;
        }
    }
    if let Some(name) = summary {
        let folder = folders.reports.join(&name);
        let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || !folder.join(format!("{name}.json")).is_file() {
            let what = "no report over several experiments; `bench report FILES` makes it".to_owned();
            return Err(Error::Bundle { path: folder, what });
        }
        gathering.report(&folder, &format!("reports/{name}"))?;
    }
    let cells: BTreeSet<&(&str, String)> = all.iter().flat_map(|one| &one.cells).collect();
    for (stage, key) in &cells {
        gathering.cell(&folders.runs, (stage, key), weights)?;
    }
    gathering.baselines(folders.baselines.as_deref())?;
    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    gathering.add(README.to_owned(), readme(&names, weights).into_bytes());
    let (rewritten, left_out) = (gathering.rewritten.clone(), gathering.left_out.clone());
    let index = json!({
        "schema": "bench.bundle/1",
        "bench": env!("CARGO_PKG_VERSION"),
        "manifest_version": MANIFEST_VERSION,
        "stage_versions": {
            "imported": IMPORTED_STAGE_VERSION,
            "pretraining": PRETRAIN_STAGE_VERSION,
            "ranking": RANKING_STAGE_VERSION,
            "retrieval": RETRIEVAL_STAGE_VERSION,
        },
        "experiments": all.iter().map(|one| {
            let cells: Vec<String> = one.cells.iter().map(|(stage, key)| format!("{stage}/{key}")).collect();
            json!({ "name": one.name, "cells": cells })
        }).collect::<Vec<Value>>(),
        "left_out": left_out,
        "rewritten": rewritten,
    });
    gathering.add(INDEX.to_owned(), to_json(&index));
    let Gathering { contents, rewritten, .. } = gathering;
    Ok(Gathered { contents, cells: cells.len(), rewritten: rewritten.into_iter().collect() })
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// What is missing of an experiment, with its file.
fn not_stored(experiment: &Experiment, finished: &[Finished]) -> Option<(PathBuf, String)> {
    let Experiment { name, path, seeds, .. } = experiment;
    let what = match absent(seeds, finished).as_slice() {
        [] => return None,
        all if all.len() == seeds.len() => format!("nothing is stored of {name}"),
        [one] => format!("seed {one} of {name} is not stored"),
        several => format!("seeds {} of {name} are not stored", several.join(", ")),
    };
    Some((path.clone(), format!("{what}; `bench {}` computes it", path.display())))
}

/// What is missing of a report that was made from some of its seeds, with its folder.
fn not_in(report: &Packed) -> Option<(PathBuf, String)> {
    let wanted = report.settings.iter().find(|setting| setting.key == "seeds")?.value.as_array()?.len();
    let there = report.cells.iter().filter(|(stage, _)| *stage == Cell::NAME).count();
    let what = format!("incomplete: it has {there} of {wanted} seeds; `bench FILE` computes the others");
    (there < wanted).then(|| (report.report.clone(), what))
}

/// Add an experiment to the others. One that is there already, such as one that was named by its file and by its report, is not packed twice.
fn merge(all: &mut Vec<Packed>, new: Packed) -> Result<(), Error> {
    if new.random {
        let what = format!(
            "the weights of the backbone of {} are random, so it is not for reporting and not packed for readers of a paper; leave it out",
            new.name
        );
        return Err(Error::Bundle { path: new.report, what });
    }
    let Some(known) = all.iter_mut().find(|known| known.name == new.name) else {
        all.push(new);
        return Ok(());
    };
    if known.cells != new.cells {
        let what =
            format!("another {} is packed already, of other cells; give one of them another name", new.name);
        return Err(Error::Bundle { path: new.report, what });
    }
    known.typed.extend(new.typed);
    Ok(())
}

fn of_experiment(experiment: &Experiment, finished: &[Finished], folders: &Folders) -> Packed {
    let mut cells = BTreeSet::new();
    let rankers = finished.iter().filter_map(|seed| seed.ranking.as_ref()?.manifest.ranker.as_ref());
    let random = rankers.into_iter().any(|ranker| ranker.backbone.is_random());
    for Finished { retrieval, ranking } in finished {
        cells.insert((Cell::NAME, short(&retrieval.manifest.key)));
        if let Some(ranking) = ranking {
            add_ranking(&mut cells, &ranking.manifest);
        }
    }
    Packed {
        name: experiment.name.clone(),
        typed: Experiment::files(&experiment.path),
        settings: setting_records(experiment),
        cells,
        report: folders.reports.join(&experiment.name),
        random,
    }
}

fn of_report(folder: &Path) -> Result<Packed, Error> {
    let report = read_results(&folder.join(RESULTS))?;
    let mut cells: BTreeSet<(&'static str, String)> =
        report.seeds.iter().map(|seed| (Cell::NAME, short(&seed.key))).collect();
    if let Some(ranker) = &report.ranker {
        cells.extend(ranker.seeds.iter().map(|seed| (RankingCell::NAME, short(&seed.key))));
        if ranker.backbone.source == BackboneSource::Embedded.name() {
            cells.insert((PretrainedCell::NAME, short(&ranker.backbone.identity)));
        }
    }
    let name = report.experiment.clone();
    let random = report.ranker.as_ref().is_some_and(|ranker| ranker.backbone.is_random());
    let (typed, settings) = (Vec::new(), report.settings);
    Ok(Packed { name, typed, settings, cells, report: folder.to_owned(), random })
}

fn add_ranking(cells: &mut BTreeSet<(&'static str, String)>, manifest: &Manifest) {
    cells.insert((RankingCell::NAME, short(&manifest.key)));
    if let Some(ranker) = &manifest.ranker
        && ranker.backbone.source == BackboneSource::Embedded.name()
    {
        cells.insert((PretrainedCell::NAME, short(&ranker.backbone.identity)));
    }
}

fn short(key: &str) -> String {
    key.chars().take(16).collect()
}

struct Gathering<'a> {
    privacy: &'a Privacy,
    contents: Contents,
    rewritten: BTreeSet<String>,
    /// Weights that are not packed, with their hashes.
    left_out: BTreeMap<String, String>,
}

impl Gathering<'_> {
    /// A file, without private folders.
    fn add(&mut self, name: String, bytes: Vec<u8>) {
        let bytes = match self.privacy.without(&bytes) {
            Some(clean) => {
                self.rewritten.insert(name.clone());
                clean
            }
            None => bytes,
        };
        self.contents.insert(name, bytes);
    }

    /// Experiment files, in the folders that they have to each other, so that `inherits` finds what it names.
    fn typed<'b>(&mut self, files: impl Iterator<Item = &'b PathBuf>) -> Result<(), Error> {
        let real = |path: &PathBuf| (path.canonicalize().unwrap_or_else(|_| path.clone()), path.clone());
        let files: BTreeMap<PathBuf, PathBuf> = files.map(real).collect();
        let folders: Vec<&Path> = files.keys().filter_map(|path| path.parent()).collect();
        let Some(first) = folders.first() else { return Ok(()) };
        let shared = |folder: &Path| folders.iter().all(|other| other.starts_with(folder));
        let above = first.ancestors().find(|folder| shared(folder)).unwrap_or(Path::new(""));
        for (path, named) in &files {
            let bytes = fs::read(path).map_err(|error| run::Error::read(named, error))?;
            let inside =
                path.strip_prefix(above).unwrap_or(path).components().filter_map(|part| match part {
                    Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
                    _ => None,
                });
            let inside: Vec<String> = inside.collect();
            self.add(format!("experiments/typed/{}", inside.join("/")), bytes);
        }
        Ok(())
    }

    /// The files of a report; files that somebody else put there are not among them.
    fn report(&mut self, folder: &Path, name: &str) -> Result<(), Error> {
        const KINDS: [&str; 7] = ["csv", "html", "json", "md", "png", "svg", "tex"];
        for (inside, kinds) in [("", &KINDS[..]), ("tables", &["csv", "tex"]), ("figures", &["png", "svg"])] {
            let place = folder.join(inside);
            let entries = match fs::read_dir(&place) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(run::Error::read(&place, error).into()),
            };
            for entry in entries {
                let path = entry.map_err(|error| run::Error::read(&place, error))?.path();
                let ours = path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known));
                let Some(file) =
                    path.file_name().and_then(|file| file.to_str()).filter(|_| ours && path.is_file())
                else {
                    continue;
                };
                let bytes = fs::read(&path).map_err(|error| run::Error::read(&path, error))?;
                let file = if inside.is_empty() { file.to_owned() } else { format!("{inside}/{file}") };
                self.add(format!("{name}/{file}"), bytes);
            }
        }
        Ok(())
    }

    /// A cell, every file of it verified. Where a private folder is written otherwise, its manifest has the new hash.
    fn cell(&mut self, runs: &Path, (stage, key): (&str, &str), weights: bool) -> Result<(), Error> {
        let cell = Opened::open(&runs.join(stage).join(key))?;
        let prefix = format!("runs/{stage}/{key}");
        let (mut changed, mut left_out) = (BTreeMap::new(), Vec::new());
        for (file, record) in &cell.manifest().files {
            if !weights && run::is_weights(file) {
                self.left_out.insert(format!("{prefix}/{file}"), record.sha256.clone());
                left_out.push(file.clone());
                continue;
            }
            let path = cell.folder().join(file);
            let missing = || {
                let gone = std::io::Error::new(
                    std::io::ErrorKind::NotFound,
                    "missing, though the manifest names it",
                );
                run::Error::read(&path, gone)
            };
            let bytes = cell.file(file)?.ok_or_else(missing)?;
            let name = format!("{prefix}/{file}");
            self.add(name.clone(), bytes);
            if self.rewritten.contains(&name) {
                changed.insert(file.clone(), self.contents[&name].clone());
            }
        }
        let path = cell.folder().join("manifest.json");
        let mut manifest = fs::read(&path).map_err(|error| run::Error::read(&path, error))?;
        let name = format!("{prefix}/manifest.json");
        let clean = self.privacy.without(&manifest);
        if clean.is_some() || !changed.is_empty() {
            self.rewritten.insert(name.clone());
        }
        if clean.is_some() || !changed.is_empty() || !left_out.is_empty() {
            let invalid = |what| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
            manifest = run::reseal(&clean.unwrap_or(manifest), &changed, &left_out)
                .map_err(|what| run::Error::read(&path, invalid(what)))?;
        }
        self.contents.insert(name, manifest);
        Ok(())
    }

    /// The published numbers that reports compare with.
    fn baselines(&mut self, named: Option<&Path>) -> Result<(), Error> {
        let folder = named.unwrap_or(Path::new(BASELINES));
        if named.is_none() && !folder.is_dir() {
            for (path, text) in baseline::sources() {
                self.add((*path).to_owned(), text.as_bytes().to_vec());
            }
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(|error| run::Error::read(folder, error))?;
        for entry in entries {
            let path = entry.map_err(|error| run::Error::read(folder, error))?.path();
            let Some(name) =
                path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".toml"))
            else {
                continue;
            };
            let bytes = fs::read(&path).map_err(|error| run::Error::read(&path, error))?;
            self.add(format!("baselines/{name}"), bytes);
        }
        Ok(())
    }
}

/// What a reader begins with.
fn readme(names: &[&str], weights: bool) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let left_out = if weights {
        "Weights are in it."
    } else {
        "Weights are not in it; their SHA-256 are in bundle.json and in the manifests."
    };
    format!(
        "What is needed to check these experiments: {}.
Made by bench {version}. {left_out}

experiments/typed/     the experiment files as they were typed, with those that they inherit
experiments/resolved/  every setting that was used, with where it came from
runs/                  the stored results: candidates, scores and ranks of every user, learning curves,
                       settings, and manifests with versions, machine, times and hashes
reports/               the reports, with every number in results.json
baselines/             the published numbers beside ours
bundle.json            versions, cells, what was left out, and files in which a private folder was
                       written otherwise (~ for a home folder)
SHA256SUMS             the SHA-256 of every other file

To check that nothing was changed:

  bench bundle --check FILE.zip        (or, unpacked: sha256sum -c SHA256SUMS)

To make the reports again from the stored ranks, without a model and without the data:

  bench report experiments/resolved --runs-dir runs --baselines-dir baselines --reports-dir again

To compute a result again and compare every digit with the stored one (this needs the data, and the
backbone of a ranking; bench says what is missing and how to get it):

  bench replay runs/retrieval/KEY
  bench replay runs/ranking/KEY
  bench replay reports/NAME --runs-dir runs

Formats are described in docs/formats.md of bench.
",
        names.join(", ")
    )
}
