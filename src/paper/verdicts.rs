//! Every pair of methods of every block, tested together.

use rayon::prelude::*;

use super::block::Block;
use super::{Error, values};
use crate::compare::{Pairs, pairs_of};
use crate::eval::Metric;
use crate::significance::{
    Entry, Family, Row, SeedPairing, Settings, benjamini_hochberg, bonferroni, family, holm,
};

/// The family of all comparisons of a report: each pair of lines of a block, each metric, over all users.
#[derive(Debug, Clone)]
pub struct Verdicts {
    /// How tests were made, and their rows; Holm's and the other corrections are over all of them.
    pub family: Family,
    /// What each pair is, in the order of the rows: `metrics` rows a pair.
    pub pairs: Vec<Tested>,
    /// The metrics of a pair.
    pub metrics: Vec<Metric>,
}

/// A pair of lines.
#[derive(Debug, Clone)]
pub struct Tested {
    /// Index of the block.
    pub block: usize,
    /// Index of the line that is A.
    pub a: usize,
    /// Index of the line that is B: the reference, where it is one of them.
    pub b: usize,
    /// How their seeds belong together.
    pub pairing: SeedPairing,
    /// Why, for the reader.
    pub reason: String,
}

/// Sign patterns where the crossed t test decides, so that nobody looks at the paired randomization.
const UNUSED_SIGN_FLIPS: u32 = 999;

impl Verdicts {
    /// Test all of it. Where both methods have two seeds or more the crossed t test decides, else the paired randomization over users,
    /// as [`Comparison::primary`](crate::significance::Comparison::primary) says.
    ///
    /// # Errors
    /// If methods of a block cannot be paired.
    pub fn of(blocks: &[Block], metrics: &[Metric]) -> Result<Self, Error> {
        let wanted: Vec<(usize, usize, usize)> = blocks.iter().enumerate().flat_map(of_block).collect();
        let names: Vec<String> = metrics.iter().map(ToString::to_string).collect();
        let tested: Vec<(Tested, Vec<Row>)> = wanted
            .into_par_iter()
            .map(|(at, a, b)| pair(blocks, (at, a, b), metrics, &names))
            .collect::<Result<_, Error>>()?;
        let (pairs, rows): (Vec<Tested>, Vec<Vec<Row>>) = tested.into_iter().unzip();
        let mut rows: Vec<Row> = rows.into_iter().flatten().collect();
        let p: Vec<f64> = rows.iter().map(|row| row.p).collect();
        let (by_holm, fdr, all) = (holm(&p)?, benjamini_hochberg(&p)?, bonferroni(&p)?);
        for (at, row) in rows.iter_mut().enumerate() {
            (row.p_holm, row.p_benjamini_hochberg, row.p_bonferroni) = (by_holm[at], fdr[at], all[at]);
        }
        Ok(Self { family: Family { settings: settings(1), rows }, pairs, metrics: metrics.to_vec() })
    }

    /// The rows of a pair, one a metric.
    #[must_use]
    pub fn rows(&self, pair: usize) -> &[Row] {
        let width = self.metrics.len();
        self.family.rows.get(pair * width..(pair + 1) * width).unwrap_or(&[])
    }

    /// A line against the reference of its block in every metric.
    #[must_use]
    pub fn against_reference(&self, block: usize, line: usize, reference: usize) -> Option<&[Row]> {
        let is = |pair: &Tested| pair.block == block && pair.a == line && pair.b == reference;
        self.pairs.iter().position(is).map(|at| self.rows(at))
    }

    /// Whether two lines of a block have the same seeds, and the same stored retriever for each: then their R is the same.
    #[must_use]
    pub fn share_seeds(&self, block: usize, one: usize, other: usize) -> bool {
        let is = |pair: &&Tested| {
            pair.block == block && ((pair.a, pair.b) == (one, other) || (pair.b, pair.a) == (one, other))
        };
        self.pairs.iter().find(is).is_some_and(|pair| pair.pairing == SeedPairing::Shared)
    }

    /// The lines of its block that a line is significantly better than in the metric at `metric`, after Holm's correction.
    #[must_use]
    pub fn beaten(&self, block: usize, line: usize, metric: usize) -> Vec<usize> {
        let alpha = self.family.settings.design.alpha;
        let mut beaten: Vec<usize> = self
            .pairs
            .iter()
            .enumerate()
            .filter_map(|(at, pair)| {
                let row =
                    self.rows(at).get(metric).filter(|row| pair.block == block && row.p_holm < alpha)?;
                let difference = row.comparison.effect.difference;
                if pair.a == line && difference > 0.0 {
                    return Some(pair.b);
                }
                (pair.b == line && difference < 0.0).then_some(pair.a)
            })
            .collect();
        beaten.sort_unstable();
        beaten
    }
}

/// Every pair of lines once; the reference is always B.
fn of_block((at, block): (usize, &Block)) -> Vec<(usize, usize, usize)> {
    let lines = block.lines.len();
    let pairs = (0..lines).flat_map(|b| (b + 1..lines).map(move |a| (a, b)));
    pairs.map(|(a, b)| if a == block.reference { (at, b, a) } else { (at, a, b) }).collect()
}

fn settings(fewest_seeds: usize) -> Settings {
    let settings = Settings { resamples: 0, ..Settings::default() };
    if fewest_seeds < 2 { settings } else { Settings { sign_flips: UNUSED_SIGN_FLIPS, ..settings } }
}

fn pair(
    blocks: &[Block],
    (at, a, b): (usize, usize, usize),
    metrics: &[Metric],
    names: &[String],
) -> Result<(Tested, Vec<Row>), Error> {
    let block = &blocks[at];
    let (method, base) = (&block.lines[a].method, &block.lines[b].method);
    let Pairs { pairing, reason, paired } = pairs_of(method, base, metrics)?;
    let entries: Vec<Entry<'_>> = paired
        .iter()
        .zip(names)
        .map(|(paired, metric)| Entry {
            dataset: &block.title,
            metric,
            a: &method.name,
            b: &base.name,
            paired,
        })
        .collect();
    let rows = family(&entries, &settings(method.runs.len().min(base.runs.len())))?.rows;
    Ok((Tested { block: at, a, b, pairing, reason }, rows))
}

/// The ends of an interval, where there is one, for each metric of each line of a block.
pub(super) type Ends = Vec<Vec<Option<(f64, f64)>>>;

/// The 95 % interval of each line's mean over all users, by block.
pub(super) fn intervals(blocks: &[Block], metrics: &[Metric]) -> Vec<Ends> {
    let of_block = |block: &Block| {
        let lines = block.lines.par_iter();
        lines
            .map(|line| metrics.iter().map(|metric| values::interval(&line.method, *metric)).collect())
            .collect()
    };
    blocks.iter().map(of_block).collect()
}
