//! What is to be compared, from the run store.

use std::collections::BTreeMap;

use super::{Error, Finished, Folders, stored_seeds};
use crate::compare::{self, Method, Run, Split};
use crate::eval::{RankList, Rung};
use crate::events::Reporter;
use crate::experiment::Experiment;
use crate::run::{Found, ImportedCell, Manifest, SettingRecord, Store};

/// One of those that are compared.
#[derive(Debug, Clone)]
pub enum Compare {
    /// A stage of an experiment; without one the tuned ranker where there is one, else the retriever.
    Experiment(Box<Experiment>, Option<Rung>),
    /// The imported runs of a name, one a seed.
    Imported(String),
}

/// The ranks of all users for each, in their order, from stored runs alone. Nothing is computed.
///
/// # Errors
/// If the store cannot be read; if nothing, not the stage or not one cell for each seed is stored of one of them; if a ranker did
/// not rank all of R.
pub fn methods(
    wanted: Vec<Compare>,
    folders: &Folders,
    reporter: &dyn Reporter,
) -> Result<Vec<Method>, Error> {
    let mut experiments: Vec<Experiment> = Vec::new();
    let mut places = Vec::with_capacity(wanted.len());
    for one in wanted {
        places.push(match one {
            Compare::Imported(name) => Err(name),
            Compare::Experiment(experiment, rung) => {
                let experiment =
                    if rung == Some(Rung::Retriever) { first_stage(*experiment) } else { *experiment };
                let same = |known: &Experiment| {
                    known.path == experiment.path && known.needs_backbone() == experiment.needs_backbone()
                };
                let at = experiments.iter().position(same).unwrap_or_else(|| {
                    experiments.push(experiment);
                    experiments.len() - 1
                });
                Ok((at, rung))
            }
        });
    }
    let mut stored = Vec::with_capacity(experiments.len());
    if !experiments.is_empty() {
        for (job, finished) in stored_seeds(experiments, folders, reporter)? {
            stored.push((job.experiment, finished?));
        }
    }
    let mut found: Vec<Method> = Vec::with_capacity(places.len());
    for place in places {
        let mut method = match place {
            Ok((at, rung)) => {
                let (experiment, finished) = &stored[at];
                of_seeds(experiment, finished, rung)?
            }
            Err(name) => imported(&name, &Store::imported(&folders.runs))?,
        };
        // The same twice, or experiments of one name in two folders.
        let name = method.name.clone();
        let mut count = 1;
        while found.iter().any(|known| known.name == method.name) {
            count += 1;
            method.name = format!("{name} ({count})");
        }
        found.push(method);
    }
    Ok(found)
}

/// The experiment without its second stage, so that its retriever is found where nothing is ranked yet.
fn first_stage(mut experiment: Experiment) -> Experiment {
    (experiment.backbone, experiment.pretrain, experiment.ranker) = (None, None, None);
    experiment
}

/// Every stage of an experiment that all its finished seeds have, with its method.
///
/// # Errors
/// If a ranker did not rank all of R, or a rank is 0.
pub(super) fn methods_of_seeds(
    experiment: &Experiment,
    finished: &[Finished],
) -> Result<Vec<(Rung, Method)>, Error> {
    let has = finished.iter().map(stages).reduce(|mut all, own| {
        all.retain(|rung| own.contains(rung));
        all
    });
    let method = |rung| Ok((rung, of_seeds(experiment, finished, Some(rung))?));
    has.unwrap_or_default().into_iter().map(method).collect()
}

fn of_seeds(experiment: &Experiment, finished: &[Finished], wanted: Option<Rung>) -> Result<Method, Error> {
    let name = &experiment.name;
    let Some(first) = finished.first() else {
        let file = experiment.path.display().to_string();
        return Err(compare::Error::NoRuns { name: name.clone(), file }.into());
    };
    let has = stages(first);
    let rung = wanted.unwrap_or(if has.contains(&Rung::Tuned) { Rung::Tuned } else { Rung::Retriever });
    if !has.contains(&rung) {
        let has = has.iter().map(|rung| stage(*rung)).collect();
        return Err(compare::Error::NoStage { name: name.clone(), stage: stage(rung), has }.into());
    }
    let random = |seed: &Finished| {
        let ranker = seed.ranking.as_ref().and_then(|cell| cell.manifest.ranker.as_ref());
        ranker.is_some_and(|ranker| ranker.backbone.is_random())
    };
    if rung != Rung::Retriever && finished.iter().any(random) {
        return Err(compare::Error::RandomWeights { name: name.clone() }.into());
    }
    let runs = finished.iter().map(|seed| run(name, seed, rung)).collect::<Result<_, _>>()?;
    Ok(Method {
        name: wanted.map_or_else(|| name.clone(), |rung| format!("{name}:{rung}")),
        stage: stage(rung),
        candidates: u32::try_from(first.retrieval.retrieval.k).unwrap_or(u32::MAX),
        split: split(&first.retrieval.manifest, &first.retrieval.settings),
        runs,
    })
}

/// The stages that a seed has on the test, through the read-out that counts.
fn stages(seed: &Finished) -> Vec<Rung> {
    let of = |rung: &Rung| {
        let Some(cell) = &seed.ranking else { return false };
        cell.ranking.test.reading(*rung, &cell.audit.read_out).is_some()
    };
    std::iter::once(Rung::Retriever).chain([Rung::ZeroShot, Rung::Tuned].into_iter().filter(of)).collect()
}

fn stage(rung: Rung) -> String {
    if rung == Rung::Retriever { rung.to_string() } else { format!("{rung} ranker") }
}

fn run(name: &str, seed: &Finished, rung: Rung) -> Result<Run, Error> {
    let manifest = &seed.retrieval.manifest;
    let (retrieval, k) = (&seed.retrieval.retrieval.test, seed.retrieval.retrieval.k);
    let scores = |what: String| Error::Scores { what };
    let all = retrieval.rank_list().map_err(|zero| scores(zero.to_string()))?;
    let retrieved = all.hits(u32::try_from(k).unwrap_or(u32::MAX));
    let mut ranks = all;
    if rung != Rung::Retriever {
        let part = seed.ranking.as_ref().map(|cell| (&cell.ranking.test, cell.audit.read_out.as_str()));
        let reading = part.and_then(|(part, read_out)| Some((part, part.reading(rung, read_out)?)));
        let Some((part, reading)) = reading else {
            let has = stages(seed).iter().map(|rung| stage(*rung)).collect();
            let name = format!("{name}, seed {}", manifest.seed);
            return Err(compare::Error::NoStage { name, stage: stage(rung), has }.into());
        };
        if part.users.len() != retrieved {
            let (seed, ranked) = (manifest.seed, part.users.len());
            return Err(compare::Error::Sample { name: name.to_owned(), seed, ranked, retrieved }.into());
        }
        ranks = RankList { ranks: vec![None; ranks.n_users()] };
        for (user, rank) in part.users.iter().zip(&reading.ranks) {
            if let Some(place) = ranks.ranks.get_mut(*user as usize) {
                *place = std::num::NonZeroU32::new(*rank);
            }
        }
    }
    Ok(Run { seed: manifest.seed, shared: Some(manifest.key.clone()), retrieved, ranks })
}

/// All that is stored of how a split came to be.
fn split(manifest: &Manifest, settings: &[SettingRecord]) -> Split {
    let dataset = &manifest.dataset;
    let mut facts = vec![
        ("dataset".to_owned(), dataset.name.clone()),
        ("users".to_owned(), dataset.users.to_string()),
        ("items".to_owned(), dataset.items.to_string()),
        ("interactions".to_owned(), dataset.interactions.to_string()),
    ];
    let typed = settings
        .iter()
        .filter(|setting| setting.key.starts_with("dataset.") && setting.key != "dataset.name");
    facts.extend(typed.map(|setting| (setting.key.clone(), setting.value.to_string())));
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    facts.extend(
        dataset.sources.iter().map(|source| (format!("SHA-256 of {}", source.name), short(&source.sha256))),
    );
    Split { fingerprint: dataset.split_fingerprint.clone(), facts }
}

/// The imported runs of a name, one a seed.
pub(super) fn imported(name: &str, store: &Store<ImportedCell>) -> Result<Method, Error> {
    let mut known: Vec<String> = Vec::new();
    let mut cells: BTreeMap<u64, Vec<ImportedCell>> = BTreeMap::new();
    for listed in store.list()? {
        let Ok(manifest) = listed.manifest else { continue };
        let Some(key) = crate::run::CellKey::from_hex(&manifest.key) else { continue };
        if manifest.retriever != name {
            known.push(manifest.retriever);
            continue;
        }
        if let Found::Complete(cell) = store.load_as(&key, None)?
            && cell.record.part == "test"
        {
            cells.entry(manifest.seed).or_default().push(*cell);
        }
    }
    known.sort_unstable();
    known.dedup();
    if let Some((seed, of)) = cells.iter().find(|(_, of)| of.len() > 1) {
        return Err(compare::Error::Ambiguous { name: name.to_owned(), seed: *seed, runs: of.len() }.into());
    }
    let cells: Vec<ImportedCell> = cells.into_values().flatten().collect();
    let Some(first) = cells.first() else {
        return Err(compare::Error::NotImported { name: name.to_owned(), known }.into());
    };
    let split_of_first = split(&first.manifest, &[]);
    let mut runs = Vec::with_capacity(cells.len());
    for cell in &cells {
        let split = split(&cell.manifest, &[]);
        if split.fingerprint != split_of_first.fingerprint {
            return Err(compare::Error::Splits {
                a: format!("{name}, seed {}", first.manifest.seed),
                b: format!("{name}, seed {}", cell.manifest.seed),
                differences: split_of_first.differences(&split),
                fingerprints: (split_of_first.fingerprint, split.fingerprint),
            }
            .into());
        }
        let ranks = cell.ranks.rank_list();
        let retrieved = ranks.ranks.iter().flatten().count();
        runs.push(Run { seed: cell.manifest.seed, shared: None, retrieved, ranks });
    }
    let longest = cells.iter().map(|cell| cell.record.counts.longest).max().unwrap_or(0);
    Ok(Method {
        name: name.to_owned(),
        stage: "imported run".to_owned(),
        candidates: u32::try_from(longest).unwrap_or(u32::MAX),
        split: split_of_first,
        runs,
    })
}
