//! From cells to a [`Report`].

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{comparisons, source};
use super::figure_data::figure_data;
use super::methods::method_ranks;
use super::model::{DatasetSection, PublishedDataset, Report, SCHEMA, SeedResult, Summary};
use super::ranker::ranker;
use super::significance::significance;
use super::strata::Strata;
use super::warnings::warnings;
use super::{Error, format};
use crate::baseline::Baseline;
use crate::eval::{
    Averaging, Metric, MetricTable, RankList, SeedSummary, TwoLevel, paper_metrics, two_level,
};
use crate::run::{Cell, RankingCell, SettingRecord};

/// All that a report is made of. Plain data: the report knows no experiment file and no model.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Name of the experiment.
    pub experiment: &'a str,
    /// What its file says about it.
    pub description: &'a str,
    /// Every resolved setting.
    pub settings: &'a [SettingRecord],
    /// Cutoffs of the metrics.
    pub cutoffs: &'a [u32],
    /// How the experiment averages users.
    pub averaging: Averaging,
    /// The retriever's batch size, to show the other averaging too.
    pub batch_size: Option<usize>,
    /// Every seed of the experiment file, also those that are not finished.
    pub seeds: &'a [u64],
    /// The finished runs, in the order of the seeds.
    pub cells: &'a [Cell],
    /// The second stage of each, if the experiment has one.
    pub rankings: &'a [RankingCell],
    /// Published numbers to set beside ours.
    pub baselines: &'a [Baseline],
    /// What is known of the users of the test, where the data are there.
    pub strata: Option<Strata<'a>>,
    /// What the caller wants its reader to know.
    pub warnings: &'a [String],
}

/// The rank lists of all seeds.
struct Ranks {
    test: Vec<RankList>,
    validation: Vec<RankList>,
}

impl Report {
    /// Make the report of an experiment.
    ///
    /// # Errors
    /// If there is no run, a seed is there twice, or the runs are not of the same data, users and candidates.
    pub fn build(input: &Input<'_>) -> Result<Self, Error> {
        let first = same_experiment(input)?;
        let candidates = u32::try_from(first.retrieval.k).unwrap_or(u32::MAX);
        let ranks = rank_lists(input)?;
        let other = other_averaging(input);
        let seeds: Vec<SeedResult> = input
            .cells
            .iter()
            .enumerate()
            .map(|(at, cell)| seed_result(input, cell, candidates, &ranks.test[at], &ranks.validation[at]))
            .collect();
        let metrics = paper_metrics(input.cutoffs, candidates);
        let over = |lists: &[RankList], averaging| -> BTreeMap<Metric, TwoLevel> {
            metrics.iter().filter_map(|m| Some((*m, two_level(lists, *m, averaging)?))).collect()
        };
        let retrieved: Vec<f64> = seeds.iter().map(|seed| seed.test.n_retrieved as f64).collect();
        let summary = Summary {
            test: over(&ranks.test, input.averaging),
            validation: over(&ranks.validation, input.averaging),
            test_other_averaging: other.map(|averaging| over(&ranks.test, averaging)),
            test_retrieved_subset: subset_summary(&seeds, &metrics),
            // `same_experiment` has seen at least one cell.
            retrieved: SeedSummary::of(&retrieved).expect("at least one seed"),
        };
        let ours = &first.manifest.dataset;
        let retriever = first.manifest.retriever.clone();
        let methods = method_ranks(input, &ranks.test)?;
        let mut ranker = ranker(input, candidates)?;
        if let Some(section) = &mut ranker {
            section.significance = significance(&methods, &metrics, candidates)?;
        }
        let limits = input.cells.iter().map(|cell| &cell.manifest);
        let limits = limits.chain(input.rankings.iter().map(|cell| &cell.manifest));
        let mut limits = limits.filter_map(|manifest| manifest.limit.clone());
        let mut report = Self {
            schema: SCHEMA.to_owned(),
            experiment: input.experiment.to_owned(),
            description: input.description.to_owned(),
            what: what(input, first),
            not_for_reporting: limits.next(),
            warnings: Vec::new(),
            comparisons: comparisons(&retriever, &ours.name, &summary, input.baselines),
            retriever,
            dataset: DatasetSection { ours: ours.clone(), published: published(&ours.name, input.baselines) },
            cutoffs: input.cutoffs.to_vec(),
            candidates,
            averaging: input.averaging,
            seeds,
            summary,
            ranker,
            figures: figure_data(input, &methods, &metrics, candidates)?,
            settings: input.settings.to_vec(),
        };
        report.warnings = warnings(input, &report);
        Ok(report)
    }
}

/// The first cell, once all cells are known to belong together.
fn same_experiment<'a>(input: &Input<'a>) -> Result<&'a Cell, Error> {
    let experiment = || input.experiment.to_owned();
    let first = input.cells.first().ok_or_else(|| Error::NoRuns { experiment: experiment() })?;
    let facts = |cell: &Cell| {
        [
            ("split fingerprint", cell.manifest.dataset.split_fingerprint.clone()),
            ("retriever", cell.manifest.retriever.clone()),
            ("number of candidates", cell.retrieval.k.to_string()),
            ("number of users", cell.retrieval.test.n_users().to_string()),
            ("number of validation users", cell.retrieval.validation.n_users().to_string()),
            ("limit", cell.manifest.limit.clone().unwrap_or_else(|| "none".to_owned())),
        ]
    };
    let mut seen = BTreeSet::new();
    for cell in input.cells {
        if !seen.insert(cell.manifest.seed) {
            return Err(Error::RepeatedSeed { experiment: experiment(), seed: cell.manifest.seed });
        }
        for ((what, one_value), (_, other_value)) in facts(first).into_iter().zip(facts(cell)) {
            if one_value != other_value {
                let (one, other) = (first.manifest.seed, cell.manifest.seed);
                return Err(Error::Differ {
                    experiment: experiment(),
                    one,
                    other,
                    what,
                    one_value,
                    other_value,
                });
            }
        }
    }
    Ok(first)
}

fn rank_lists(input: &Input<'_>) -> Result<Ranks, Error> {
    let mut ranks = Ranks { test: Vec::new(), validation: Vec::new() };
    for cell in input.cells {
        let seed = cell.manifest.seed;
        let fail = |source| Error::Rank { experiment: input.experiment.to_owned(), seed, source };
        ranks.test.push(cell.retrieval.test.rank_list().map_err(fail)?);
        ranks.validation.push(cell.retrieval.validation.rank_list().map_err(fail)?);
    }
    Ok(ranks)
}

/// The averaging that the experiment does not use.
fn other_averaging(input: &Input<'_>) -> Option<Averaging> {
    match input.averaging {
        Averaging::Users => input.batch_size.map(|size| Averaging::Batches { size }),
        Averaging::Batches { .. } => Some(Averaging::Users),
    }
}

fn seed_result(
    input: &Input<'_>,
    cell: &Cell,
    candidates: u32,
    test: &RankList,
    validation: &RankList,
) -> SeedResult {
    let Cell { manifest, retrieval, curve, .. } = cell;
    let table = |ranks, averaging| MetricTable::overall(ranks, input.cutoffs, candidates, averaging);
    SeedResult {
        seed: manifest.seed,
        test: table(test, input.averaging),
        validation: table(validation, input.averaging),
        test_other_averaging: other_averaging(input).map(|averaging| table(test, averaging)),
        test_retrieved_subset: MetricTable::ranker_only(test, input.cutoffs, candidates),
        tied_users: retrieval.test.tied_users,
        training: manifest.training.clone(),
        curve: curve.clone(),
        peak_memory_bytes: manifest.peak_memory_bytes,
        times: manifest.times.clone(),
        machine: manifest.machine.clone(),
        code: manifest.code.clone(),
        process: manifest.process.clone(),
        key: manifest.key.clone(),
        retrieval_sha256: manifest.files.get("retrieval.safetensors").map(|file| file.sha256.clone()),
    }
}

fn subset_summary(seeds: &[SeedResult], metrics: &[Metric]) -> BTreeMap<Metric, SeedSummary> {
    metrics
        .iter()
        .filter_map(|metric| {
            let values: Option<Vec<f64>> =
                seeds.iter().map(|seed| seed.test_retrieved_subset.as_ref()?.get(*metric)).collect();
            Some((*metric, SeedSummary::of(&values?)?))
        })
        .collect()
}

fn published(dataset: &str, baselines: &[Baseline]) -> Vec<PublishedDataset> {
    let mut found = Vec::new();
    for baseline in baselines {
        for statistics in baseline.statistics.iter().filter(|statistics| statistics.dataset == dataset) {
            let source = source(baseline, &statistics.table);
            found.push(PublishedDataset { source, statistics: statistics.clone() });
        }
    }
    found
}

fn what(input: &Input<'_>, first: &Cell) -> String {
    let data = &first.manifest.dataset;
    let seeds: Vec<String> = input.cells.iter().map(|cell| cell.manifest.seed.to_string()).collect();
    let averaging = match input.averaging {
        Averaging::Users => "means over users".to_owned(),
        Averaging::Batches { size } => format!("means over the means of batches of {size} users (quirk)"),
    };
    let ranker = input.rankings.first().and_then(|cell| cell.manifest.ranker.as_ref()).map(|ranker| {
        let how = if ranker.tuned { "tuned with LoRA" } else { "as it is" };
        let how =
            if ranker.backbone.is_random() { format!("with random weights, {how}") } else { how.to_owned() };
        format!(" {}, {how}, ranks the candidates again.", ranker.backbone.name)
    });
    let ranker = ranker.unwrap_or_default();
    format!(
        "The {} retriever ranks all {} items for {} users of {}, leave-one-out, with {} {} ({}); the first {} places are \
         the candidates; metrics are {averaging}.{ranker}",
        format::retriever(&first.manifest.retriever),
        format::thousands(data.items),
        format::thousands(data.users),
        data.name,
        seeds.len(),
        if seeds.len() == 1 { "seed" } else { "seeds" },
        seeds.join(", "),
        first.retrieval.k,
    )
}
