//! What a comparison could have seen.

use serde::{Deserialize, Serialize};

use super::crossed::{Components, Crossed};
use super::paired::Paired;
use super::quantile::{normal_quantile, student_quantile};
use super::student::standard_error;

/// Error rate and power of a design.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// Two-sided error rate, such as 0.05.
    pub alpha: f64,
    /// The probability with which the effect is to be found, such as 0.8.
    pub power: f64,
}

/// The smallest difference that a design would find, and whether what was looked for is smaller.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// Error rate and power.
    pub design: Design,
    /// Minimum detectable effect: (t of 1 - alpha/2 + t of power) x SE, with the degrees of freedom of the SE. `None` where nothing
    /// varies, so that nothing is known of the error.
    ///
    /// Source: Bloom, "Minimum detectable effects" (Evaluation Review, 1995).
    pub minimum: Option<f64>,
    /// The difference that is looked for: a stated one, or else the observed one.
    pub reference: f64,
    /// |reference| < minimum: a difference of this size would be missed more often than the power allows.
    pub underpowered: bool,
    /// Users with whom the reference would be found at this number of seeds, by normal quantiles; `None` where no number of users
    /// suffices, or nothing varies.
    pub users_needed: Option<u64>,
}

impl Power {
    /// For users given these runs.
    #[must_use]
    pub fn of_users(paired: &Paired, design: Design, reference: f64) -> Self {
        let se = standard_error(&paired.differences());
        let users = paired.users();
        let needed = users_needed(se * se * users as f64, 0.0, design, reference);
        Self::new(se, users.saturating_sub(1) as f64, design, reference, needed)
    }

    /// For users and seeds.
    #[must_use]
    pub fn of_users_and_seeds(crossed: &Crossed, design: Design, reference: f64) -> Self {
        // What more users make smaller, and what only more seeds do.
        let of_seeds = (crossed.se * crossed.se - crossed.se_users * crossed.se_users).max(0.0);
        let of_users = crossed.se_users * crossed.se_users * crossed.users as f64;
        let needed = users_needed(of_users, of_seeds, design, reference);
        Self::new(crossed.se, crossed.degrees.unwrap_or(0.0), design, reference, needed)
    }

    fn new(se: f64, degrees: f64, design: Design, reference: f64, users_needed: Option<u64>) -> Self {
        let minimum = (se > 0.0 && degrees > 0.0).then(|| {
            let quantile = |p: f64| {
                if p < 0.5 { -student_quantile(1.0 - p, degrees) } else { student_quantile(p, degrees) }
            };
            (quantile(1.0 - design.alpha / 2.0) + quantile(design.power)) * se
        });
        let underpowered = minimum.is_some_and(|minimum| reference.abs() < minimum);
        Self { design, minimum, reference, underpowered, users_needed }
    }
}

/// The n at which (z of 1 - alpha/2 + z of power)^2 (per_user / n + fixed) = reference^2.
fn users_needed(per_user: f64, fixed: f64, design: Design, reference: f64) -> Option<u64> {
    let z = normal_quantile(1.0 - design.alpha / 2.0) + normal_quantile(design.power);
    let allowed = (reference / z) * (reference / z) - fixed;
    (per_user > 0.0 && allowed > 0.0).then(|| (per_user / allowed).ceil() as u64)
}

impl Components {
    /// The standard error of the mean difference for other numbers of users and of seeds (of each method):
    /// sqrt(A/U + B/S + C/(US)), to plan an experiment. Infinite without users or seeds.
    #[must_use]
    pub fn standard_error(&self, users: usize, seeds: usize) -> f64 {
        let (users, seeds) = (users as f64, seeds as f64);
        (self.users / users + self.seeds / seeds + self.interaction / (users * seeds)).sqrt()
    }
}
