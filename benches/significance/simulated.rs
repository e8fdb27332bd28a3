//! Made-up ranks of two methods that are equally good: a null experiment with a known truth.

use bench::eval::{Metric, MetricKind, RankList};
use bench::seed::Seed;
use bench::significance::{Paired, SeedPairing};
use rand::Rng;
use rand_pcg::Pcg64;
use statrs::distribution::{ContinuousCDF, Normal};

/// Candidates of a user.
const CANDIDATES: u32 = 20;
/// Steps of the latent scale, from -LIMIT to LIMIT.
const STEPS: usize = 2_048;
const LIMIT: f64 = 6.0;
/// Normal quantiles that a draw chooses from.
const QUANTILES: usize = 4_096;

/// What the runs of one seed have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// Nothing.
    Nothing,
    /// A shift for all users and both methods: a better or worse retriever.
    Common,
    /// A shift for all users, each method its own: a better or worse training.
    Own,
}

impl Between {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Common => "common",
            Self::Own => "own",
        }
    }
}

/// Two methods of one quality on the same users.
///
/// The held-out item of user u has the latent place x = difficulty(u) + taste(method, u) + shift(seed) + noise(method, seed, u), with
/// variances .6, .15, .01 (or 0) and .25, and the rank 1 + floor(20 Phi(x)^1.7), so that some two thirds are within the first 10, as
/// of the 126 users of ML-100K in the seed paper.
pub struct Simulated {
    pub users: usize,
    pub seeds: usize,
    pub between: Between,
    normal: Vec<f64>,
    /// The rank of a step of the latent scale.
    rank: Vec<u8>,
}

/// Standard deviations of difficulty, taste and noise.
const SPREAD: [f64; 3] = [0.774_596_669_241_483_4, 0.387_298_334_620_741_7, 0.5];
/// Standard deviation of a shift.
const SHIFT: f64 = 0.1;

/// The values of one experiment.
pub struct Experiment {
    pub ndcg: Paired,
    pub recall: Paired,
    /// The mean differences that these runs would show over all users, of NDCG@10 and of Recall@10.
    pub given_runs: [f64; 2],
}

/// The metrics of the simulations.
pub const METRICS: [Metric; 2] = [Metric::new(MetricKind::Ndcg, 10), Metric::new(MetricKind::Recall, 10)];

impl Simulated {
    pub fn new(users: usize, seeds: usize, between: Between) -> Self {
        let standard = Normal::standard();
        let normal =
            (0..QUANTILES).map(|at| standard.inverse_cdf((at as f64 + 0.5) / QUANTILES as f64)).collect();
        let rank = (0..STEPS)
            .map(|step| {
                let x = (step as f64 + 0.5) / STEPS as f64 * 2.0 * LIMIT - LIMIT;
                1 + (f64::from(CANDIDATES) * standard.cdf(x).powf(1.7)).min(19.0) as u8
            })
            .collect();
        Self { users, seeds, between, normal, rank }
    }

    /// Experiment `number`.
    pub fn experiment(&self, seed: Seed, number: usize) -> Experiment {
        let name = format!("{}/{}/{}/{number}", self.users, self.seeds, self.between.name());
        let mut draws = Normals { of: &self.normal, stream: seed.stream(&name), left: 0, bits: 0 };
        let mut shifts = vec![[0.0; 2]; self.seeds];
        for shift in &mut shifts {
            *shift = match self.between {
                Between::Nothing => [0.0; 2],
                Between::Common => [SHIFT * draws.next(); 2],
                Between::Own => [SHIFT * draws.next(), SHIFT * draws.next()],
            };
        }
        let mut ranks = vec![[vec![0u32; self.users], vec![0u32; self.users]]; self.seeds];
        for user in 0..self.users {
            let difficulty = SPREAD[0] * draws.next();
            let places = [0, 1].map(|_| difficulty + SPREAD[1] * draws.next());
            for (lists, shift) in ranks.iter_mut().zip(&shifts) {
                for (method, list) in lists.iter_mut().enumerate() {
                    let x = places[method] + shift[method] + SPREAD[2] * draws.next();
                    let step = ((x + LIMIT) * (STEPS as f64 / (2.0 * LIMIT))) as usize;
                    list[user] = u32::from(self.rank[step.min(STEPS - 1)]);
                }
            }
        }
        let lists = |method: usize| -> Vec<RankList> {
            ranks.iter().map(|lists| RankList::from_numbers(&lists[method]).expect("ranks from 1")).collect()
        };
        let (a, b) = (lists(0), lists(1));
        let paired = |metric| Paired::of_ranks(&a, &b, metric, SeedPairing::Shared).expect("the same users");
        let given_runs = METRICS.map(|metric| {
            let all = shifts.iter().map(|[a, b]| self.expected(metric, *a) - self.expected(metric, *b));
            all.sum::<f64>() / self.seeds as f64
        });
        Experiment { ndcg: paired(METRICS[0]), recall: paired(METRICS[1]), given_runs }
    }

    /// The mean of a metric over all users of a run with this shift.
    fn expected(&self, metric: Metric, shift: f64) -> f64 {
        if self.between == Between::Nothing {
            return 0.0;
        }
        let standard = Normal::standard();
        let edge = |step: usize| standard.cdf(step as f64 / STEPS as f64 * 2.0 * LIMIT - LIMIT - shift);
        let mut sum = 0.0;
        let mut start = 0;
        for equal in self.rank.chunk_by(|x, y| x == y) {
            let value = metric.of(std::num::NonZeroU32::new(u32::from(equal[0])));
            sum += value * (edge(start + equal.len()) - edge(start));
            start += equal.len();
        }
        sum
    }
}

/// Five draws of 12 bits from each random word.
struct Normals<'a> {
    of: &'a [f64],
    stream: Pcg64,
    left: u32,
    bits: u64,
}

impl Normals<'_> {
    #[inline]
    fn next(&mut self) -> f64 {
        if self.left == 0 {
            (self.bits, self.left) = (self.stream.next_u64(), 5);
        }
        let value = self.of[(self.bits & (QUANTILES as u64 - 1)) as usize];
        self.bits >>= 12;
        self.left -= 1;
        value
    }
}
