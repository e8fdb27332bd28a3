//! Fisher's paired randomization: if A and B were the same, each user's difference could as well have had the other sign.

use std::collections::BTreeMap;

use rayon::prelude::*;
use statrs::function::factorial::ln_binomial;

use super::draws::Draws;
use super::outcome::{Method, Outcome};
use super::paired::Paired;
use super::student::mean;
use crate::seed::Seed;

/// Sign patterns that are enumerated, counted as the product over the distinct sizes of (users with it + 1).
const ENUMERATED: usize = 1 << 20;
/// Sign patterns of a task.
const TASK: u32 = 1_000;
/// From this many users with one size on, their signs are counted in words instead of looked up.
const COUNTED: usize = 32;
/// Probabilities below this are dropped from the ends of a distribution.
const NEGLIGIBLE: f64 = 1e-60;

/// The paired randomization test of the mean difference over users, each user's metric averaged over seeds.
///
/// The statistic is the mean difference; p = P(|sum of s(u) d(u)| >= |sum of d(u)|) over independent fair signs s(u). Exact where
/// the patterns that can be told apart are few (at most 2^20, counting equal sizes together) or the values are hits; else `draws`
/// random patterns and p = (b + 1) / (m + 1), which keeps the test valid for any m.
///
/// Sources: Fisher, "The Design of Experiments" (1935), section 21; Smucker, Allan and Carterette, "A comparison of statistical
/// significance tests for information retrieval evaluation" (CIKM 2007); Phipson and Smyth, "Permutation p-values should never be
/// zero" (2010), for the Monte Carlo rule.
#[must_use]
pub fn sign_flips(paired: &Paired, draws: u32, seed: Seed) -> Outcome {
    if let Some(hits) = paired.hits() {
        let exact = sign_flips_of_hits(hits);
        let statistic = mean(&paired.differences());
        return Outcome { method: Method::ExactRandomization, statistic, ..exact };
    }
    let (steps, unit) = paired.steps();
    let users = paired.users().max(1) as f64;
    let sum: i64 = steps.iter().sum();
    let sizes = sizes(steps);
    let n: usize = sizes.values().sum();
    // Every difference was rounded by up to half a step.
    let least = sum.abs() - n as i64;
    let patterns = sizes.values().try_fold(1usize, |all, count| all.checked_mul(count + 1));
    let statistic = sum as f64 * unit / users;
    let mut outcome = Outcome::new(Method::ExactRandomization, statistic, 1.0, n, Vec::new());
    if n == 0 {
        outcome.notes.push("no user differs".to_owned());
    } else if patterns.is_some_and(|patterns| patterns <= ENUMERATED) {
        let (p, mid_p) = enumerate(&sizes, least, sum.abs() + n as i64);
        (outcome.p, outcome.mid_p) = (p, Some(mid_p));
    } else {
        let beyond = flip(&sizes, least, draws, seed);
        outcome.method = Method::MonteCarloRandomization;
        outcome.p = (beyond + 1) as f64 / (f64::from(draws) + 1.0);
        outcome.draws = Some(draws);
    }
    outcome
}

/// How many users have a difference of each size but 0.
fn sizes(steps: &[i64]) -> BTreeMap<i64, usize> {
    let mut sizes = BTreeMap::new();
    for step in steps.iter().filter(|step| **step != 0) {
        *sizes.entry(step.abs()).or_insert(0) += 1;
    }
    sizes
}

/// P(|T| >= least), and the same with half of P(least <= |T| <= most).
fn enumerate(sizes: &BTreeMap<i64, usize>, least: i64, most: i64) -> (f64, f64) {
    let mut patterns = vec![(0i64, 1.0f64)];
    for (&size, &count) in sizes {
        let heads = coins(count);
        patterns = patterns
            .iter()
            .flat_map(|&(sum, weight)| {
                heads
                    .iter()
                    .enumerate()
                    .map(move |(up, p)| (sum + size * (2 * up as i64 - count as i64), weight * p))
            })
            .collect();
    }
    let within = |from: i64, to: i64| -> f64 {
        patterns.iter().filter(|(sum, _)| (from..=to).contains(&sum.abs())).map(|(_, weight)| weight).sum()
    };
    let p = within(least, i64::MAX).min(1.0);
    (p, (p - 0.5 * within(least, most)).max(0.0))
}

/// The probabilities of 0 to `count` heads.
fn coins(count: usize) -> Vec<f64> {
    let tails = count as f64 * std::f64::consts::LN_2;
    (0..=count).map(|heads| (ln_binomial(count as u64, heads as u64) - tails).exp()).collect()
}

/// How many of `draws` random sign patterns give a sum at least as far from 0 as `least`.
fn flip(sizes: &BTreeMap<i64, usize>, least: i64, draws: u32, seed: Seed) -> u64 {
    let counted: Vec<(i64, usize)> =
        sizes.iter().filter(|(_, n)| **n >= COUNTED).map(|(size, n)| (*size, *n)).collect();
    let single: Vec<i64> = sizes
        .iter()
        .filter(|(_, n)| **n < COUNTED)
        .flat_map(|(size, n)| std::iter::repeat_n(*size, *n))
        .collect();
    let tables: Vec<[i64; 256]> = single.chunks(8).map(signed_sums).collect();
    let tasks = draws.div_ceil(TASK) as usize;
    (0..tasks)
        .into_par_iter()
        .map(|task| {
            let mut stream = Draws::new(seed, "sign-flips", task);
            let patterns = TASK.min(draws - task as u32 * TASK);
            (0..patterns).filter(|_| signed(&counted, &tables, &mut stream).abs() >= least).count() as u64
        })
        .sum()
}

/// The sum of eight sizes under each of the 256 patterns of their signs.
fn signed_sums(sizes: &[i64]) -> [i64; 256] {
    std::array::from_fn(|pattern| {
        sizes.iter().enumerate().map(|(at, size)| if pattern >> at & 1 == 1 { *size } else { -size }).sum()
    })
}

fn signed(counted: &[(i64, usize)], tables: &[[i64; 256]], stream: &mut Draws) -> i64 {
    let mut sum = 0;
    for &(size, count) in counted {
        let mut heads = 0;
        for _ in 0..count / 64 {
            heads += stream.coins().count_ones();
        }
        if count % 64 > 0 {
            heads += (stream.coins() >> (64 - count % 64)).count_ones();
        }
        sum += size * (2 * i64::from(heads) - count as i64);
    }
    for eight in tables.chunks(8) {
        let signs = stream.coins().to_le_bytes();
        for (table, pattern) in eight.iter().zip(signs) {
            sum += table[usize::from(pattern)];
        }
    }
    sum
}

/// The exact paired randomization test of whole numbers, such as [`Paired::hits`]: no random draws, however many users.
///
/// With d(u) in -1, 0, 1 (one seed) it is McNemar's exact test. For several seeds it is its generalisation: d(u) is what the user's
/// hits differ by over the seeds, and p = P(|sum of s(u) d(u)| >= |sum of d(u)|) over independent fair signs. `mid_p` counts half of
/// the probability of equality. The statistic is the sum of d(u).
///
/// The distribution is a convolution of binomials, one for each size of d(u): the sum is (sum of |d(u)|) - 2 Y with Y the sum of
/// size x Binomial(users of that size, 1/2).
#[must_use]
pub fn sign_flips_of_hits(hits: &[i64]) -> Outcome {
    let sizes = sizes(hits);
    let n: usize = sizes.values().sum();
    let total: i64 = sizes.iter().map(|(size, count)| size * *count as i64).sum();
    let sum: i64 = hits.iter().sum();
    let divisor = sizes.keys().fold(0, |divisor, size| common_divisor(*size, divisor)).max(1);
    // `of[i]` is the probability that Y = (start + i) x divisor.
    let (mut start, mut of) = (0usize, vec![1.0]);
    for (&size, &count) in &sizes {
        (start, of) = plus_coins(start, &of, (size / divisor) as usize, count);
    }
    let (mut beyond, mut equal) = (0.0, 0.0);
    for (at, p) in of.iter().enumerate() {
        let flipped = (total - 2 * (start + at) as i64 * divisor).abs();
        if flipped > sum.abs() {
            beyond += p;
        } else if flipped == sum.abs() {
            equal += p;
        }
    }
    let method = if sizes.keys().all(|size| *size == 1) { Method::ExactMcNemar } else { Method::ExactHits };
    let notes = if n == 0 { vec!["no user differs".to_owned()] } else { Vec::new() };
    let outcome = Outcome::new(method, sum as f64, f64::min(beyond + equal, 1.0), n, notes);
    Outcome { mid_p: Some(f64::min(beyond + 0.5 * equal, 1.0)), ..outcome }
}

/// The distribution of Y + stride x Binomial(count, 1/2), without its negligible ends.
fn plus_coins(start: usize, of: &[f64], stride: usize, count: usize) -> (usize, Vec<f64>) {
    // Sixteen standard deviations, beyond which less than 1e-50 is left.
    let reach = (8.0 * (count as f64).sqrt()) as usize + 8;
    let first = (count / 2).saturating_sub(reach);
    let last = (count / 2 + reach).min(count);
    let heads = &coins(count)[first..=last];
    let mut sum = vec![0.0; of.len() + stride * (last - first)];
    for (up, p) in heads.iter().enumerate() {
        for (to, from) in sum[stride * up..].iter_mut().zip(of) {
            *to += p * from;
        }
    }
    let from = sum.iter().position(|p| *p > NEGLIGIBLE).unwrap_or(0);
    let to = sum.iter().rposition(|p| *p > NEGLIGIBLE).map_or(sum.len(), |last| last + 1);
    (start + stride * first + from, sum[from..to].to_vec())
}

fn common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// McNemar's exact test: `only_a` users are hit by A alone and `only_b` by B alone; the others say nothing.
///
/// p = min(1, 2 P(X <= min(only_a, only_b))) with X binomial of n = only_a + only_b and 1/2. `mid_p` = p - P(X = min), and
/// 1 - P(X = n/2) / 2 where both are equal. The statistic is only_a - only_b.
///
/// Sources: McNemar, "Note on the sampling error of the difference between correlated proportions" (Psychometrika, 1947), in its
/// exact form; Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than
/// exact conditional" (BMC Medical Research Methodology, 2013).
///
/// ```
/// use bench::significance::mcnemar;
/// // Recall on the 126 users of ML-100K, 90 hits against 86: even if no user was lost, four users decide nothing.
/// assert!((mcnemar(4, 0).p - 0.125).abs() < 1e-12);
/// assert!((mcnemar(4, 0).mid_p.unwrap() - 0.0625).abs() < 1e-12);
/// ```
#[must_use]
pub fn mcnemar(only_a: u32, only_b: u32) -> Outcome {
    let mut hits = vec![1; only_a as usize];
    hits.resize((only_a + only_b) as usize, -1);
    Outcome { method: Method::ExactMcNemar, ..sign_flips_of_hits(&hits) }
}
