//! Under which circumstances a result was computed, and which of them are others now.

use std::collections::BTreeSet;

use crate::report::{Report, thousands};
use crate::run::{
    BackboneRecord, Cell, CodeRecord, DatasetRecord, Machine, Manifest, RANKING_STAGE_VERSION,
    RETRIEVAL_STAGE_VERSION, RankingCell, SourceRecord, Stage,
};

/// One circumstance that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub what: String,
    /// As it is stored.
    pub stored: String,
    /// As it is here.
    pub here: String,
}

/// The circumstances of stored cells.
pub(super) struct Facts {
    code: Vec<(&'static str, CodeRecord)>,
    machines: Vec<Machine>,
    dataset: DatasetRecord,
    pub backbone: Option<BackboneRecord>,
    /// Seed, stage and key of the cells that are computed again.
    pub keys: Vec<(u64, &'static str, String)>,
}

impl Facts {
    /// Whether a device computed any of them.
    pub fn was_on_device(&self) -> bool {
        self.machines.iter().any(|machine| machine.device.is_some())
    }
}

pub(super) fn of_cell(manifest: &Manifest) -> Facts {
    let stage = if manifest.stage == RankingCell::NAME { RankingCell::NAME } else { Cell::NAME };
    Facts {
        code: vec![(stage, manifest.code.clone())],
        machines: vec![manifest.machine.clone()],
        dataset: manifest.dataset.clone(),
        backbone: manifest.ranker.as_ref().map(|ranker| ranker.backbone.clone()),
        keys: vec![(manifest.seed, stage, manifest.key.clone())],
    }
}

pub(super) fn of_report(report: &Report) -> Facts {
    let firsts = report.seeds.iter().map(|seed| {
        (Cell::NAME, seed.code.clone(), seed.machine.clone(), (seed.seed, Cell::NAME, seed.key.clone()))
    });
    let ranked = report.ranker.iter().flat_map(|ranker| &ranker.seeds);
    let seconds = ranked.map(|seed| {
        let key = (seed.seed, RankingCell::NAME, seed.key.clone());
        (RankingCell::NAME, seed.code.clone(), seed.machine.clone(), key)
    });
    let mut facts = Facts {
        code: Vec::new(),
        machines: Vec::new(),
        dataset: report.dataset.ours.clone(),
        backbone: report.ranker.as_ref().map(|ranker| ranker.backbone.clone()),
        keys: Vec::new(),
    };
    for (stage, code, machine, key) in firsts.chain(seconds) {
        facts.code.push((stage, code));
        facts.machines.push(machine);
        facts.keys.push(key);
    }
    facts
}

impl Facts {
    /// Whether the upstream files are those that were read.
    ///
    /// # Errors
    /// A text that says which file is another one.
    pub fn same_data(&self, here: &DatasetRecord) -> Result<(), String> {
        let name = &self.dataset.name;
        for stored in &self.dataset.sources {
            let content = |file: &&SourceRecord| file.sha256 == stored.sha256;
            if here.sources.iter().any(|file| content(&file)) {
                continue;
            }
            let found = here.sources.iter().find(|file| file.name == stored.name);
            let found = found.map_or_else(
                || "there is no such file".to_owned(),
                |file| {
                    format!("the file here has {} bytes and SHA-256 {}", thousands(file.bytes), file.sha256)
                },
            );
            return Err(format!(
                "its data are not here: {} of {name} was read with {} bytes and SHA-256 {}, but {found}; bring the file that was \
                 used, or name its folder with --data-dir",
                stored.name,
                thousands(stored.bytes),
                stored.sha256
            ));
        }
        if here.sources.len() != self.dataset.sources.len() {
            return Err(format!(
                "it was computed from {} files of {name}; {} are read here",
                self.dataset.sources.len(),
                here.sources.len()
            ));
        }
        Ok(())
    }

    /// What is not as it was.
    pub fn changes(&self, data: &DatasetRecord) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut hold = |what: String, stored: BTreeSet<String>, here: String| {
            let stored: Vec<String> = stored.into_iter().filter(|value| !value.is_empty()).collect();
            if !stored.is_empty() && stored != [here.clone()] {
                changes.push(Change { what, stored: stored.join("; "), here });
            }
        };
        let code = |of: &dyn Fn(&CodeRecord) -> String| -> BTreeSet<String> {
            self.code.iter().map(|(_, code)| of(code)).collect()
        };
        let here = CodeRecord::here(0);
        hold("bench".to_owned(), code(&|code| code.version.clone()), here.version.clone());
        let build = |code: &CodeRecord| -> String {
            code.executable_sha256.as_deref().and_then(|hash| hash.get(..16)).unwrap_or_default().to_owned()
        };
        hold("program (SHA-256)".to_owned(), code(&build), build(&here));
        for (stage, version) in
            [(Cell::NAME, RETRIEVAL_STAGE_VERSION), (RankingCell::NAME, RANKING_STAGE_VERSION)]
        {
            let of = self.code.iter().filter(|(name, _)| *name == stage);
            let stored = of.map(|(_, code)| code.stage_version.to_string()).collect();
            hold(format!("version of the stage {stage}"), stored, version.to_string());
        }
        let machine =
            |of: &dyn Fn(&Machine) -> String| -> BTreeSet<String> { self.machines.iter().map(of).collect() };
        let here = Machine::here(rayon::current_num_threads());
        hold("platform".to_owned(), machine(&|m| m.platform.clone()), here.platform.clone());
        let processor = |machine: &Machine| machine.processor.clone().unwrap_or_default();
        hold("processor".to_owned(), machine(&processor), processor(&here));
        hold("instruction sets".to_owned(), machine(&|m| m.cpu_features.clone()), here.cpu_features.clone());
        let device = |machine: &Machine| machine.device.clone().unwrap_or_default();
        hold("device".to_owned(), machine(&device), "known when it has computed".to_owned());
        hold("threads".to_owned(), machine(&|m| m.threads.to_string()), here.threads.to_string());
        let split = |data: &DatasetRecord| data.split_fingerprint.get(..16).unwrap_or_default().to_owned();
        hold("split".to_owned(), BTreeSet::from([split(&self.dataset)]), split(data));
        changes
    }
}
