//! How often the tests err where nothing is to be found, and how often the intervals cover the truth.

use std::time::Instant;

use bench::seed::Seed;
use bench::significance::{
    BootstrapInterval, Crossed, Interval, Paired, SeedDraw, Zeros, paired_t, resample, sign_flips, wilcoxon,
};
use rayon::prelude::*;

use crate::simulated::{Between, METRICS, Simulated};

const ALPHA: f64 = 0.05;
const FLIPS: u32 = 999;
const RESAMPLES: u32 = 499;

/// Shares of the experiments of a setting, metric by metric.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shares {
    pub recall: bool,
    /// Of p <= .05: paired randomization, its mid-p (hits only), Wilcoxon, Wilcoxon with continuity, paired t, crossed t.
    pub false_positives: [f64; 6],
    /// Covered: 0 by the interval over users, the mean given these runs by the same, 0 by the crossed t.
    pub covered: [f64; 3],
    /// Covered 0: percentile with all seeds, percentile, expanded and BCa with one seed less.
    pub bootstrap: [f64; 4],
    /// Standard deviation of the mean difference, to see how much seeds matter.
    pub sd: f64,
}

/// Columns of [`Tally`].
const COUNTS: usize = 13;
type Tally = [[f64; COUNTS + 1]; 2];

/// Run `experiments` of a setting, the bootstrap on the first `bootstrapped` of them.
pub fn calibrate(simulated: &Simulated, experiments: usize, bootstrapped: usize, seed: Seed) -> [Shares; 2] {
    let tallies: Vec<Tally> = (0..experiments)
        .into_par_iter()
        .map(|number| one(simulated, seed, number, number < bootstrapped))
        .collect();
    let mut sums: Tally = Default::default();
    for tally in &tallies {
        for (sums, values) in sums.iter_mut().flatten().zip(tally.iter().flatten()) {
            *sums += values;
        }
    }
    [0, 1].map(|metric| {
        let share = |at: usize| sums[metric][at] / experiments as f64;
        Shares {
            recall: metric == 1,
            false_positives: std::array::from_fn(share),
            covered: std::array::from_fn(|at| share(6 + at)),
            bootstrap: std::array::from_fn(|at| sums[metric][9 + at] / bootstrapped.max(1) as f64),
            sd: share(COUNTS).sqrt(),
        }
    })
}

fn one(simulated: &Simulated, seed: Seed, number: usize, bootstrapped: bool) -> Tally {
    let experiment = simulated.experiment(seed, number);
    let tables = [&experiment.ndcg, &experiment.recall];
    let mut tally: Tally = Default::default();
    for (metric, table) in tables.into_iter().enumerate() {
        tests(table, experiment.given_runs[metric], seed, &mut tally[metric]);
    }
    if bootstrapped {
        for (draw, kinds) in [
            (SeedDraw::All, &[(BootstrapInterval::Percentile, 9)][..]),
            (
                SeedDraw::OneLess,
                &[
                    (BootstrapInterval::Percentile, 10),
                    (BootstrapInterval::Expanded, 11),
                    (BootstrapInterval::Bca, 12),
                ],
            ),
        ] {
            let samples = resample(&tables, RESAMPLES, draw, seed).expect("one shape");
            for (metric, samples) in samples.iter().enumerate() {
                for (kind, at) in kinds {
                    tally[metric][*at] = covers(&samples.interval(*kind, 1.0 - ALPHA).expect("a level"), 0.0);
                }
            }
        }
    }
    tally
}

fn tests(table: &Paired, given_runs: f64, seed: Seed, tally: &mut [f64; COUNTS + 1]) {
    let found = |p: f64| f64::from(u8::from(p <= ALPHA));
    let randomization = sign_flips(table, FLIPS, seed);
    let (t, interval) = paired_t(table, 1.0 - ALPHA);
    tally[0] = found(randomization.p);
    tally[1] = randomization.mid_p.map_or(f64::NAN, found);
    tally[2] = found(wilcoxon(table, Zeros::Drop, false).p);
    tally[3] = found(wilcoxon(table, Zeros::Drop, true).p);
    tally[4] = found(t.p);
    tally[6] = covers(&interval, 0.0);
    tally[7] = covers(&interval, given_runs);
    let (a, b) = table.means();
    tally[COUNTS] = (a - b) * (a - b);
    if let Some(crossed) = Crossed::of(table) {
        tally[5] = found(crossed.test().p);
        tally[8] = covers(&crossed.interval(1.0 - ALPHA).expect("a level"), 0.0);
    } else {
        (tally[5], tally[8]) = (f64::NAN, f64::NAN);
    }
}

fn covers(interval: &Interval, truth: f64) -> f64 {
    f64::from(u8::from(interval.low <= truth && truth <= interval.high))
}

/// All settings with this many users, one row for each metric.
pub fn table(experiments: usize, users: usize) {
    println!(
        "## Calibration: {users} users, {experiments} null experiments a setting, error rate .05, 95 % intervals\n"
    );
    println!(
        "False positives of the tests over users (randomization, its mid-p, Wilcoxon without and with continuity, paired t) and of the\n\
         crossed t; coverage of 0 by the t interval over users, of the mean given the runs by the same, of 0 by the crossed t, and by\n\
         the bootstrap (all seeds; one seed less: percentile, expanded, BCa; {RESAMPLES} resamples, a tenth of the experiments with\n\
         3,000 users). Where each method has shifts of its own, the tests over users answer another question than the truth here.\n"
    );
    println!(
        "| users | seeds | shift | metric | sd of the difference | random. | mid-p | Wilcoxon | Wilc. cont. | paired t | crossed t | users: 0 | users: runs | crossed: 0 | all | perc. | exp. | BCa |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let start = Instant::now();
    for seeds in [1, 5] {
        for between in [Between::Nothing, Between::Common, Between::Own] {
            let simulated = Simulated::new(users, seeds, between);
            let bootstrapped = if users > 1_000 { experiments / 10 } else { experiments };
            for shares in calibrate(&simulated, experiments, bootstrapped, Seed::new(1)) {
                let metric = METRICS[usize::from(shares.recall)];
                print!("| {users} | {seeds} | {} | {metric} | {:.4}", between.name(), shares.sd);
                for share in shares.false_positives.iter().chain(&shares.covered).chain(&shares.bootstrap) {
                    if share.is_nan() { print!(" | -") } else { print!(" | {share:.3}") }
                }
                println!(" |");
            }
        }
    }
    println!("\n{:.0} s\n", start.elapsed().as_secs_f64());
}
