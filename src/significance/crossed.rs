//! Users and seeds together: the two-way crossed random model.

use serde::{Deserialize, Serialize};

use super::SignificanceError;
use super::error::share;
use super::outcome::{Interval, Method, Outcome};
use super::paired::{Paired, SeedPairing};
use super::quantile::{student_quantile, student_two_sided};
use super::student::{mean, variance};

/// What the difference of one user in one run varies with, as variances.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Components {
    /// Between users, of what all runs share.
    pub users: f64,
    /// Between seeds, of what all users share; for independent seeds the sum of both methods'.
    pub seeds: f64,
    /// The rest: how a seed treats a user in particular; for independent seeds the sum of both methods'.
    pub interaction: f64,
}

/// The mean difference with an error that counts other users and another training.
///
/// D(s, u) = mean + user(u) + seed(s) + rest(s, u), all random, with variances A, B and C. For U users and S shared seeds
/// Var(mean) = A/U + B/S + C/(US). With the mean squares of users, seeds and rest it is estimated by
///
/// ```text
/// V  = max(0, V_users - V_rest) + max(V_seeds, V_rest / 4)                                 V_x = MS_x / (SU)
/// df = V^2 / (V_users^2 / (U-1) + max(V_seeds, V_rest / 4)^2 / (S-1) + V_rest^2 / ((U-1)(S-1)))
/// ```
///
/// with S - 1 <= df <= U - 1, and t = mean / sqrt(V). The sum MS_users + MS_seeds - MS_rest has V for its mean; what is bounded from
/// below is the variance between users, at 0, and that between seeds, so that seeds that agree by chance do not make V vanish: the
/// standard error is at least half of that over users alone. For independent seeds V_users comes from the users' differences of
/// means, and each method has its own seeds and rest.
///
/// Sources: Cornfield and Tukey, "Average values of mean squares in factorials" (Annals of Mathematical Statistics, 1956), for the
/// mean squares; Satterthwaite, "An approximate distribution of estimates of variance components" (Biometrics Bulletin, 1946), for df;
/// Brennan, "Generalizability Theory" (2001), for users crossed with a second random factor. The bounds are a choice of ours, made by
/// simulation (docs/statistics.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crossed {
    /// The mean of A - B.
    pub estimate: f64,
    /// Number of users.
    pub users: usize,
    /// Seeds of A.
    pub seeds_a: usize,
    /// Seeds of B.
    pub seeds_b: usize,
    /// Standard error of the mean, sqrt(V).
    pub se: f64,
    /// The part of it that other users cause: sqrt(V_users).
    pub se_users: f64,
    /// Degrees of freedom; `None` where nothing varies.
    pub degrees: Option<f64>,
    /// The variances, negative estimates set to 0.
    pub components: Components,
}

/// The least that seeds are taken to vary, in parts of the rest: what they would without differences between them is 1.
const SEEDS_AT_LEAST: f64 = 0.25;

/// Estimates from the runs of one factor "seed".
struct Runs {
    /// MS_seeds / (SU).
    seeds: f64,
    /// MS_rest / (SU).
    rest: f64,
    /// Number of seeds.
    count: f64,
}

impl Runs {
    fn of(seeds: usize, users: usize, value: impl Fn(usize, usize) -> f64) -> Self {
        let means: Vec<f64> =
            (0..seeds).map(|s| (0..users).map(|u| value(s, u)).sum::<f64>() / users as f64).collect();
        let centre = mean(&means);
        let mut squares = 0.0;
        for user in 0..users {
            let of_user = (0..seeds).map(|s| value(s, user)).sum::<f64>() / seeds as f64;
            for (seed, of_seed) in means.iter().enumerate() {
                let rest = value(seed, user) - of_user - of_seed + centre;
                squares += rest * rest;
            }
        }
        let (count, n) = (seeds as f64, users as f64);
        // MS_seeds = U var(means), and var has S - 1.
        Self {
            seeds: variance(&means) / count,
            rest: squares / ((n - 1.0) * (count - 1.0)) / (count * n),
            count,
        }
    }
}

impl Crossed {
    /// The estimates. `None` with one seed for a method, or fewer than two users: then nothing is known of one of the sources.
    #[must_use]
    pub fn of(paired: &Paired) -> Option<Self> {
        let (seeds_a, seeds_b) = paired.seeds();
        let users = paired.users();
        if seeds_a < 2 || seeds_b < 2 || users < 2 {
            return None;
        }
        let (a, b) = (&paired.a, &paired.b);
        let runs = match paired.pairing() {
            SeedPairing::Shared => vec![Runs::of(seeds_a, users, |s, u| a[s][u] - b[s][u])],
            SeedPairing::Independent => {
                vec![Runs::of(seeds_a, users, |s, u| a[s][u]), Runs::of(seeds_b, users, |s, u| b[s][u])]
            }
        };
        let differences = paired.differences();
        let n = users as f64;
        let of_users = variance(&differences) / n;
        let (mut of_runs, mut spread) = (0.0, of_users * of_users / (n - 1.0));
        let (mut seeds, mut interaction, mut shared) = (0.0, 0.0, of_users);
        for Runs { seeds: of_seeds, rest, count } in runs {
            let bounded = of_seeds.max(SEEDS_AT_LEAST * rest);
            of_runs += bounded;
            spread += bounded * bounded / (count - 1.0) + rest * rest / ((n - 1.0) * (count - 1.0));
            seeds += (of_seeds - rest).max(0.0) * count;
            interaction += rest * count * n;
            shared -= rest;
        }
        let total = shared.max(0.0) + of_runs;
        let fewest = (seeds_a.min(seeds_b) as f64 - 1.0).min(n - 1.0);
        let components = Components { users: (shared * n).max(0.0), seeds, interaction };
        Some(Self {
            estimate: mean(&differences),
            users,
            seeds_a,
            seeds_b,
            se: total.sqrt(),
            se_users: of_users.sqrt(),
            degrees: (spread > 0.0).then(|| (total * total / spread).clamp(fewest, n - 1.0)),
            components,
        })
    }

    /// The t test of a mean difference of 0.
    #[must_use]
    pub fn test(&self) -> Outcome {
        let (statistic, p) = match self.degrees {
            Some(degrees) => {
                let t = self.estimate / self.se;
                (t, student_two_sided(t, degrees))
            }
            None if self.estimate == 0.0 => (0.0, 1.0),
            None => (f64::INFINITY.copysign(self.estimate), 0.0),
        };
        Outcome::new(Method::CrossedT, statistic, p, self.users, self.notes())
    }

    /// The interval for the mean difference.
    ///
    /// # Errors
    /// If `level` is not between 0 and 1.
    pub fn interval(&self, level: f64) -> Result<Interval, SignificanceError> {
        let upper = 0.5 + share("level", level)? / 2.0;
        let half = self.degrees.map_or(0.0, |degrees| student_quantile(upper, degrees) * self.se);
        let (low, high) = (self.estimate - half, self.estimate + half);
        Ok(Interval { method: Method::CrossedT, level, low, high, draws: None, notes: self.notes() })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.degrees.is_none() {
            notes.push("nothing varies between users or seeds".to_owned());
        }
        let fewest = self.seeds_a.min(self.seeds_b);
        if fewest < 4 {
            notes.push(format!(
                "{fewest} seeds: where seeds matter much, a 95 % interval may cover as little as {} %",
                if fewest == 2 { 87 } else { 92 }
            ));
        }
        notes
    }
}
