//! The second stage in a report: between which rungs the ranker's numbers stand, and how it came to them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::compare::{RankerNumbers, ranker_comparisons};
use super::model::Comparison;
use super::significance::Significance;
use super::{Error, Input};
use crate::eval::{
    Averaging, Metric, MetricKind, Rung, SeedSummary, TwoLevel, expected_random, headroom_gained, over_seeds,
    paper_metrics, two_level_of,
};
use crate::run::{
    AuditRecord, BackboneRecord, Cell, CodeRecord, CurvePoint, Machine, ProcessRecord, PromptRecord,
    RankedPart, RankerRecord, RankingCell, StoredPart, Times, TrainingRecord,
};

/// All that a report says of a ranker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankerSection {
    /// The language model.
    pub backbone: BackboneRecord,
    /// Whether it was tuned.
    pub tuned: bool,
    /// The read-out that counts.
    pub read_out: String,
    /// In which order candidates were shown.
    pub candidate_order: String,
    /// The ids of the letters.
    pub audit: AuditRecord,
    /// One entry a seed.
    pub seeds: Vec<RankerSeed>,
    /// The last item of every user.
    pub test: Ladder,
    /// The last but one item of every user.
    pub validation: Ladder,
    /// Ours beside the published numbers of the same backbone on the same dataset.
    pub comparisons: Vec<Comparison>,
    /// Whether the differences between its rungs are more than chance; left out where not all of R was ranked or nobody was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub significance: Option<Significance>,
}

/// One seed of the second stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankerSeed {
    /// The seed.
    pub seed: u64,
    /// Every rung on the test.
    pub test: Vec<RungValues>,
    /// How training went.
    pub training: Option<TrainingRecord>,
    /// Every validation; the first is before training.
    pub curve: Vec<CurvePoint>,
    /// The prompts of the test.
    pub test_prompts: PromptRecord,
    /// The prompts of validation.
    pub validation_prompts: PromptRecord,
    /// The prompts of training that were shown.
    pub training_prompts: Option<PromptRecord>,
    /// Titles that were cut.
    pub cut_titles: u64,
    /// The most memory that the process held, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// When it was computed.
    pub times: Times,
    /// Where it was computed.
    pub machine: Machine,
    /// What computed it.
    pub code: CodeRecord,
    /// By which process; left out for early cells.
    #[serde(default, skip_serializing_if = "ProcessRecord::is_unknown")]
    pub process: ProcessRecord,
    /// Key of the cell in the run store.
    pub key: String,
    /// SHA-256 of `ranking.safetensors`: equal for bit-identical scores.
    pub ranking_sha256: Option<String>,
}

/// A rung with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RungValues {
    /// Which.
    pub rung: Rung,
    /// The read-out, for a model's.
    pub read_out: Option<String>,
    /// Means over the ranked users.
    pub ranker_only: BTreeMap<Metric, f64>,
    /// Means over all users, where all of R were ranked.
    pub overall: Option<BTreeMap<Metric, f64>>,
    /// Ranked users whose target shares its score with another candidate.
    pub tied_users: u64,
}

/// The rungs of one part over the seeds, lowest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// Users that were ranked.
    pub ranked: SeedSummary,
    /// Users whose held-out item is among the candidates: |R|.
    pub retrieved: SeedSummary,
    /// Every rung.
    pub rungs: Vec<RungResult>,
    /// What the ranker adds to the retriever's order, user by user, over all users; empty where not all of R were ranked.
    pub gain: BTreeMap<Metric, TwoLevel>,
    /// That as a share of what a perfect order would add; the same over R and over all users. Left out where the retriever's
    /// order is perfect for a seed.
    pub headroom: BTreeMap<Metric, SeedSummary>,
}

/// A rung over the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RungResult {
    /// Which.
    pub rung: Rung,
    /// The read-out, for a model's.
    pub read_out: Option<String>,
    /// Means over the ranked users. Seeds rank different users, so errors over users are those of single runs.
    pub ranker_only: BTreeMap<Metric, RankerOnly>,
    /// Means over all users (equations 5 and 6 of the seed paper), where all of R were ranked.
    pub overall: Option<BTreeMap<Metric, TwoLevel>>,
}

/// A mean over the ranked users.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankerOnly {
    /// Over the seeds.
    pub seeds: SeedSummary,
    /// Standard error over users of a single run: the mean over seeds of each run's own.
    pub se_users_one_seed: f64,
}

impl Ladder {
    /// The rung that is the ranker's result: tuned, or zero-shot where nothing was tuned, through the read-out that counts.
    #[must_use]
    pub fn result(&self, read_out: &str) -> Option<&RungResult> {
        let of =
            |rung| self.rungs.iter().find(move |r| r.rung == rung && r.read_out.as_deref() == Some(read_out));
        of(Rung::Tuned).or_else(|| of(Rung::ZeroShot))
    }

    /// A rung that is no model's.
    #[must_use]
    pub fn rung(&self, rung: Rung) -> Option<&RungResult> {
        self.rungs.iter().find(|found| found.rung == rung && found.read_out.is_none())
    }
}

/// The section of an experiment's rankings, in the order of the seeds.
pub(super) fn ranker(input: &Input<'_>, candidates: u32) -> Result<Option<RankerSection>, Error> {
    let Some(first) = input.rankings.first() else { return Ok(None) };
    let facts = same_ranker(input, first)?;
    let metrics: Vec<Metric> = paper_metrics(input.cutoffs, candidates);
    let part = |pick: fn(&Cell, &RankingCell) -> Values| -> Vec<Values> {
        input.cells.iter().zip(input.rankings).map(|(cell, ranking)| pick(cell, ranking)).collect()
    };
    let test =
        part(|cell, ranking| Values::new(&cell.retrieval.test, &ranking.ranking.test, ranking.ranking.k));
    let validation = part(|cell, ranking| {
        Values::new(&cell.retrieval.validation, &ranking.ranking.validation, ranking.ranking.k)
    });
    let read_out = first.audit.read_out.clone();
    let seeds = input.rankings.iter().zip(&test).map(|(cell, values)| seed(cell, values, &metrics));
    let mut section = RankerSection {
        backbone: facts.backbone.clone(),
        tuned: facts.tuned,
        candidate_order: facts.candidate_order.clone(),
        audit: first.audit.clone(),
        seeds: seeds.collect(),
        test: ladder(&test, &metrics, &read_out),
        validation: ladder(&validation, &metrics, &read_out),
        comparisons: Vec::new(),
        significance: None,
        read_out,
    };
    let compared = section.tuned && !section.backbone.is_random();
    if let Some(result) = section.test.result(&section.read_out).filter(|_| compared) {
        let ours = RankerNumbers { overall: result.overall.as_ref(), ranker_only: &result.ranker_only };
        let dataset = &first.manifest.dataset.name;
        section.comparisons = ranker_comparisons(&section.backbone.name, dataset, &ours, input.baselines);
    }
    Ok(Some(section))
}

/// What all rankings share, once each is known to be that of the retrieval beside it.
fn same_ranker<'a>(input: &Input<'_>, first: &'a RankingCell) -> Result<&'a RankerRecord, Error> {
    let wrong = |seed, what, found: String, expected: String| Error::Ranking {
        experiment: input.experiment.to_owned(),
        seed,
        what,
        found,
        expected,
    };
    let said = |cell: &'_ RankingCell| cell.manifest.ranker.clone();
    let unknown = |seed| wrong(seed, "of no known ranker", "nothing".to_owned(), "a ranker".to_owned());
    let (seeds, of) = (input.cells.len(), input.rankings.len());
    if seeds != of {
        let seed = first.manifest.seed;
        return Err(wrong(seed, "not one of each seed", of.to_string(), seeds.to_string()));
    }
    let all = first.manifest.ranker.as_ref().ok_or_else(|| unknown(first.manifest.seed))?;
    for (cell, ranking) in input.cells.iter().zip(input.rankings) {
        let seed = ranking.manifest.seed;
        let own = said(ranking).ok_or_else(|| unknown(seed))?;
        for (what, found, expected) in [
            ("of another seed", seed.to_string(), cell.manifest.seed.to_string()),
            ("of other candidates", own.retrieval_key, cell.manifest.key.clone()),
            ("by another backbone", own.backbone.identity, all.backbone.identity.clone()),
            ("through another read-out", ranking.audit.read_out.clone(), first.audit.read_out.clone()),
            ("tuned or not", own.tuned.to_string(), all.tuned.to_string()),
            ("of another number of candidates", ranking.ranking.k.to_string(), cell.retrieval.k.to_string()),
        ] {
            if found != expected {
                return Err(wrong(seed, what, found, expected));
            }
        }
    }
    Ok(all)
}

/// Ranks of one seed and part on every rung. `None` is the random order, which has no rank.
struct Values {
    users: usize,
    retrieved: usize,
    ranked: Vec<u32>,
    k: u32,
    rungs: Vec<Ranks>,
}

/// A rung, its read-out, its ranks of R, and users with a tie.
type Ranks = (Rung, Option<String>, Option<Vec<u32>>, u64);

impl Values {
    fn new(retrieval: &StoredPart, part: &RankedPart, k: usize) -> Self {
        let ranked = part.users.clone();
        let retriever = ranked.iter().map(|user| retrieval.ranks[*user as usize]).collect();
        let mut rungs = vec![(Rung::Random, None, None, 0), (Rung::Retriever, None, Some(retriever), 0)];
        for reading in &part.readings {
            let name = Some(reading.read_out.clone());
            rungs.push((reading.rung, name, Some(reading.ranks.clone()), reading.tied_users));
        }
        rungs.push((Rung::Oracle, None, Some(vec![1; ranked.len()]), 0));
        let retrieved = retrieval.ranks.iter().filter(|rank| **rank as usize <= k).count();
        Self { users: retrieval.ranks.len(), retrieved, ranked, k: k as u32, rungs }
    }

    /// A metric of every ranked user.
    fn ranked(&self, ranks: Option<&Vec<u32>>, metric: Metric) -> Vec<f64> {
        match ranks {
            Some(ranks) => ranks.iter().map(|rank| metric.of(NonZeroU32::new(*rank))).collect(),
            None => vec![expected_random(metric, self.k); self.ranked.len()],
        }
    }

    /// The same of every user, if all of R were ranked; the others have 0.
    fn overall(&self, ranks: Option<&Vec<u32>>, metric: Metric) -> Option<Vec<f64>> {
        (self.ranked.len() == self.retrieved).then(|| {
            let mut all = vec![0.0; self.users];
            for (user, value) in self.ranked.iter().zip(self.ranked(ranks, metric)) {
                all[*user as usize] = value;
            }
            all
        })
    }
}

/// Over R, recall at the number of candidates is 1 by definition.
fn over_r(metric: Metric, k: u32) -> bool {
    metric.kind != MetricKind::Recall || metric.k < k
}

fn seed(cell: &RankingCell, values: &Values, metrics: &[Metric]) -> RankerSeed {
    let mean = |values: &[f64]| Averaging::Users.mean(values);
    let rungs = values.rungs.iter().map(|(rung, read_out, ranks, tied_users)| {
        let shown = metrics.iter().filter(|metric| over_r(**metric, values.k) && !values.ranked.is_empty());
        let overall =
            metrics.iter().map(|m| Some((*m, mean(&values.overall(ranks.as_ref(), *m)?)))).collect();
        RungValues {
            rung: *rung,
            read_out: read_out.clone(),
            ranker_only: shown.map(|m| (*m, mean(&values.ranked(ranks.as_ref(), *m)))).collect(),
            overall,
            tied_users: *tied_users,
        }
    });
    let manifest = &cell.manifest;
    let ranker = manifest.ranker.as_ref();
    RankerSeed {
        seed: manifest.seed,
        test: rungs.collect(),
        training: manifest.training.clone(),
        curve: cell.curve.clone(),
        test_prompts: ranker.map(|r| r.test.clone()).unwrap_or_default(),
        validation_prompts: ranker.map(|r| r.validation.clone()).unwrap_or_default(),
        training_prompts: ranker.and_then(|r| r.training.clone()),
        cut_titles: ranker.map_or(0, |r| r.cut_titles),
        peak_memory_bytes: manifest.peak_memory_bytes,
        times: manifest.times.clone(),
        machine: manifest.machine.clone(),
        code: manifest.code.clone(),
        process: manifest.process.clone(),
        key: manifest.key.clone(),
        ranking_sha256: manifest.files.get("ranking.safetensors").map(|file| file.sha256.clone()),
    }
}

/// A rung of each seed: its values, and its place among their rungs.
type Found<'a> = Vec<(&'a Values, usize)>;

fn ladder(seeds: &[Values], metrics: &[Metric], read_out: &str) -> Ladder {
    // Read-outs are the tokenizer's, so every seed has the same.
    let names: BTreeSet<(Rung, Option<String>)> =
        seeds.iter().flat_map(|s| &s.rungs).map(|(rung, read_out, ..)| (*rung, read_out.clone())).collect();
    let find = |rung: Rung, read_out: Option<&str>| -> Option<Found<'_>> {
        let of =
            |values: &'_ Values| values.rungs.iter().position(|r| r.0 == rung && r.1.as_deref() == read_out);
        seeds.iter().map(|values| Some((values, of(values)?))).collect()
    };
    let mut rungs: Vec<RungResult> = names
        .iter()
        .filter_map(|(rung, name)| Some(rung_result(*rung, name, &find(*rung, name.as_deref())?, metrics)))
        .collect();
    // The read-out that counts stands last among those of one model.
    rungs.sort_by_key(|r| (r.rung, r.read_out.as_deref() == Some(read_out)));
    let model = [Rung::Tuned, Rung::ZeroShot].into_iter().find_map(|rung| find(rung, Some(read_out)));
    let retriever = find(Rung::Retriever, None);
    let (mut gain, mut headroom) = (BTreeMap::new(), BTreeMap::new());
    if let (Some(model), Some(retriever)) = (model, retriever) {
        for &metric in metrics {
            if let Some(added) = added(&model, &retriever, metric) {
                gain.insert(metric, added);
            }
            let mean = |(values, at): &(&Values, usize)| {
                Averaging::Users.mean(&values.ranked(values.rungs[*at].2.as_ref(), metric))
            };
            let shares = model.iter().zip(&retriever).map(|(model, retriever)| {
                let some = !model.0.ranked.is_empty();
                headroom_gained(mean(model), mean(retriever), metric.of(NonZeroU32::new(1))).filter(|_| some)
            });
            headroom.extend(over_seeds(shares).map(|share| (metric, share)));
        }
    }
    let count = |of: fn(&Values) -> usize| over_seeds(seeds.iter().map(|s| Some(of(s) as f64)));
    let none = SeedSummary { n: 0, mean: 0.0, sd: None, min: 0.0, max: 0.0 };
    Ladder {
        ranked: count(|values| values.ranked.len()).unwrap_or(none),
        retrieved: count(|values| values.retrieved).unwrap_or(none),
        rungs,
        gain,
        headroom,
    }
}

fn rung_result(rung: Rung, read_out: &Option<String>, found: &Found<'_>, metrics: &[Metric]) -> RungResult {
    let ranks = |(values, at): &(&Values, usize)| values.rungs[*at].2.clone();
    let ranker_only = metrics.iter().filter_map(|metric| {
        let tables: Vec<Vec<f64>> = found.iter().map(|of| of.0.ranked(ranks(of).as_ref(), *metric)).collect();
        let k = found.first()?.0.k;
        let some = over_r(*metric, k) && tables.iter().all(|users| !users.is_empty());
        let means = tables.iter().map(|users| some.then(|| Averaging::Users.mean(users)));
        let errors: Vec<f64> = tables.iter().map(|users| Averaging::Users.standard_error(users)).collect();
        let se_users_one_seed = Averaging::Users.mean(&errors);
        Some((*metric, RankerOnly { seeds: over_seeds(means)?, se_users_one_seed }))
    });
    let overall = metrics.iter().map(|metric| {
        let tables: Option<Vec<Vec<f64>>> =
            found.iter().map(|of| of.0.overall(ranks(of).as_ref(), *metric)).collect();
        Some((*metric, two_level_of(&tables?, Averaging::Users)?))
    });
    RungResult {
        rung,
        read_out: read_out.clone(),
        ranker_only: ranker_only.collect(),
        overall: overall.collect(),
    }
}

/// What one rung has more than another, user by user.
fn added(model: &Found<'_>, retriever: &Found<'_>, metric: Metric) -> Option<TwoLevel> {
    let tables: Option<Vec<Vec<f64>>> = model
        .iter()
        .zip(retriever)
        .map(|((values, one), (_, other))| {
            let all = |at: usize| values.overall(values.rungs[at].2.as_ref(), metric);
            Some(all(*one)?.iter().zip(all(*other)?).map(|(one, other)| one - other).collect())
        })
        .collect();
    two_level_of(&tables?, Averaging::Users)
}
