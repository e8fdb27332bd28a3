//! What a report over several experiments is made of.

use crate::baseline::Baseline;
use crate::compare::Method;
use crate::eval::Rung;
use crate::run::{Manifest, SettingRecord};

/// All that the report is made of. Plain data: it knows no experiment file, no store and no model.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What the document is called.
    pub title: &'a str,
    /// The experiments of which something is stored, in the order in which they were named.
    pub studies: &'a [Study],
    /// Those of which nothing can be shown.
    pub absent: &'a [Absent],
    /// Runs of other programs, on the test items of some split.
    pub imported: &'a [Method],
    /// Published numbers.
    pub baselines: &'a [Baseline],
    /// What percent improvements are of: an experiment, a backbone or a method as the tables name it. If none is named, Llama-2-7b
    /// where both backbones of the paper are, else the first experiment of each dataset.
    pub reference: Option<&'a str>,
}

/// An experiment with what is stored of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Its name.
    pub experiment: String,
    /// Its file, as it was named.
    pub file: String,
    /// Cutoffs of its metrics.
    pub cutoffs: Vec<u32>,
    /// Every seed of the file, also those that are not finished.
    pub seeds: Vec<u64>,
    /// Its resolved settings.
    pub settings: Vec<SettingRecord>,
    /// The first stage of each finished seed.
    pub retrievals: Vec<Manifest>,
    /// The second stage of each, if there is one.
    pub rankings: Vec<Manifest>,
    /// Whether the letters are read from the token ids that training teaches; true without a ranker.
    pub reads_what_is_trained: bool,
    /// Its stages as methods: the retriever, then the ranker before training and after it.
    pub methods: Vec<(Rung, Method)>,
}

/// An experiment of which nothing can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub experiment: String,
    /// Why, and what to do: a sentence without its end.
    pub why: String,
}

impl Study {
    /// The retriever: `lru`, `popularity` or `random`.
    #[must_use]
    pub fn retriever(&self) -> &str {
        self.retrievals.first().map_or("", |manifest| manifest.retriever.as_str())
    }

    /// The backbone as the experiment names it, if it has one.
    #[must_use]
    pub fn backbone(&self) -> Option<&str> {
        let ranker = self.rankings.first()?.ranker.as_ref()?;
        Some(&ranker.backbone.name)
    }

    /// Why it is not for reporting, if it is not.
    #[must_use]
    pub fn limit(&self) -> Option<&str> {
        self.retrievals.iter().chain(&self.rankings).find_map(|manifest| manifest.limit.as_deref())
    }

    /// Seeds of the file that are not finished.
    #[must_use]
    pub fn missing(&self) -> Vec<u64> {
        let done = |seed: &u64| self.retrievals.iter().any(|manifest| manifest.seed == *seed);
        self.seeds.iter().copied().filter(|seed| !done(seed)).collect()
    }
}
