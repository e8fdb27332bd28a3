//! Which cells experiments need, as far as that can be told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::prepare::prepare;
use super::super::record::setting_records;
use super::super::{Folders, ranking_key, retrieval_key};
use crate::events::{Interrupt, Reporter};
use crate::experiment::Experiment;
use crate::pretrain::{self, PretrainedCell};
use crate::run::{CONFIG, Cell, ImportedCell, Opened, RankingCell, SettingRecord, Stage};

/// What must stay.
#[derive(Default)]
pub(super) struct Needs {
    /// Stage and the first 16 digits of a key.
    keys: BTreeSet<(&'static str, String)>,
    /// The settings of datasets that are not here: what was computed from such a dataset stays.
    data: Vec<BTreeMap<String, Value>>,
    /// Whole keys of candidates that a backbone ranks that is not here: all their rankings stay.
    candidates: BTreeSet<String>,
    /// Splits of the experiments.
    splits: BTreeSet<String>,
    /// What cannot be told.
    pub notes: Vec<String>,
}

impl Needs {
    /// What the experiments need. Only the data and the hashes of backbones are read.
    pub fn of(experiments: Vec<Experiment>, folders: &Folders, reporter: &dyn Reporter) -> Self {
        let mut needs = Self::default();
        for job in prepare(experiments, &folders.data, reporter) {
            let experiment = &job.experiment;
            let Some(data) = &job.data else {
                needs.data.push(dataset(&setting_records(experiment)));
                needs.notes.push(format!(
                    "{}: its data are not here, so every cell with its settings of the dataset stays",
                    experiment.name
                ));
                continue;
            };
            needs.splits.insert(data.record.split_fingerprint.clone());
            let identity = job.backbone.as_deref().map(|located| located.identity(&Interrupt::default()));
            let identity = identity.and_then(Result::ok);
            if experiment.needs_backbone() && identity.is_none() {
                needs.notes.push(format!(
                    "{}: its backbone is not here, so every ranking of its candidates stays",
                    experiment.name
                ));
            }
            for &seed in &experiment.seeds {
                let first = retrieval_key(experiment, data, seed);
                needs.keys.insert((Cell::NAME, first.short().to_owned()));
                match identity {
                    Some(identity) => {
                        let key = ranking_key(experiment, &first, identity);
                        needs.keys.insert((RankingCell::NAME, key.short().to_owned()));
                    }
                    None if experiment.needs_backbone() => {
                        needs.candidates.insert(first.as_str().to_owned());
                    }
                    None => {}
                }
            }
            let built_in = experiment.backbone.as_ref().is_some_and(|spec| pretrain::is_built_in(&spec.name));
            if let Some(identity) = identity.filter(|_| built_in) {
                needs.keys.insert((PretrainedCell::NAME, identity.chars().take(16).collect()));
            }
        }
        needs
    }

    /// Whether a key may be needed, as far as the key alone tells.
    pub fn may_need(&self, stage: &str, key: &str) -> bool {
        let unknown = !self.data.is_empty() || stage == RankingCell::NAME && !self.candidates.is_empty();
        unknown || self.keys.iter().any(|(of, needed)| *of == stage && needed == key)
    }

    /// Whether a cell is needed.
    pub fn need(&self, stage: &str, cell: &Opened) -> bool {
        let manifest = cell.manifest();
        let short = manifest.key.get(..16).unwrap_or_default();
        if self.keys.iter().any(|(of, needed)| *of == stage && needed == short) {
            return true;
        }
        if stage == ImportedCell::NAME {
            return !self.data.is_empty() || self.splits.contains(&manifest.dataset.split_fingerprint);
        }
        if manifest.ranker.as_ref().is_some_and(|ranker| self.candidates.contains(&ranker.retrieval_key)) {
            return true;
        }
        if self.data.is_empty() {
            return false;
        }
        // What has no settings, or settings that cannot be read, may be of any dataset.
        let settings = cell.file(CONFIG).ok().flatten();
        let settings = settings.and_then(|bytes| serde_json::from_slice::<Vec<SettingRecord>>(&bytes).ok());
        settings.is_none_or(|settings| self.data.contains(&dataset(&settings)))
    }
}

/// The settings of the dataset.
fn dataset(settings: &[SettingRecord]) -> BTreeMap<String, Value> {
    let of = settings.iter().filter(|setting| setting.key.starts_with("dataset."));
    of.map(|setting| (setting.key.clone(), setting.value.clone())).collect()
}
