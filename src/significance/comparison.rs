//! Everything about one pair of methods and one metric.

use serde::{Deserialize, Serialize};

use super::bootstrap::{Bootstrap, BootstrapInterval, SeedDraw, resample};
use super::crossed::Crossed;
use super::effect::Effect;
use super::error::share;
use super::outcome::{Interval, Outcome};
use super::paired::{Paired, SeedPairing};
use super::power::{Design, Power};
use super::randomization::{sign_flips, sign_flips_of_hits};
use super::student::paired_t;
use super::wilcoxon::{Zeros, wilcoxon};
use super::{Components, SignificanceError};
use crate::seed::Seed;

/// How comparisons are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What intervals are to cover.
    pub level: f64,
    /// Error rate and power of the minimum detectable effect.
    pub design: Design,
    /// The effect that is looked for; the observed one if not stated.
    pub reference: Option<f64>,
    /// Random sign patterns where not all can be enumerated.
    pub sign_flips: u32,
    /// Bootstrap resamples; 0 for no bootstrap.
    pub resamples: u32,
    /// How seeds are drawn in the bootstrap.
    pub seed_draw: SeedDraw,
    /// How resampled values become an interval.
    pub bootstrap: BootstrapInterval,
    /// What Wilcoxon's test does with users without a difference.
    pub zeros: Zeros,
    /// Whether Wilcoxon's normal approximation is corrected for continuity.
    pub continuity: bool,
    /// Where random draws come from; it has nothing to do with the seeds of the runs.
    pub seed: Seed,
}

impl Default for Settings {
    /// 95 %, power 80 % at .05, 100,000 sign patterns, 10,000 resamples with one seed less, expanded percentiles.
    fn default() -> Self {
        Self {
            level: 0.95,
            design: Design { alpha: 0.05, power: 0.8 },
            reference: None,
            sign_flips: 100_000,
            resamples: 10_000,
            seed_draw: SeedDraw::OneLess,
            bootstrap: BootstrapInterval::Expanded,
            zeros: Zeros::Drop,
            continuity: false,
            seed: Seed::new(0),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), SignificanceError> {
        share("level", self.level)?;
        share("the error rate", self.design.alpha)?;
        share("the power", self.design.power)?;
        if self.sign_flips < 99 {
            let (name, value) = ("the number of sign patterns", self.sign_flips);
            return Err(SignificanceError::TooFew { name, value, least: 99 });
        }
        if (1..100).contains(&self.resamples) {
            let (name, value) = ("the number of resamples", self.resamples);
            return Err(SignificanceError::TooFew { name, value, least: 100 });
        }
        Ok(())
    }
}

/// The first level: would other users show the difference of these very runs?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsersGivenRuns {
    /// Fisher's paired randomization.
    pub randomization: Outcome,
    /// Wilcoxon's signed ranks.
    pub wilcoxon: Outcome,
    /// Student's t.
    pub paired_t: Outcome,
    /// McNemar's exact test, for values that are all 0 or 1; several seeds as [`sign_flips_of_hits`] says.
    pub mcnemar: Option<Outcome>,
    /// t interval.
    pub interval: Interval,
    /// Minimum detectable effect.
    pub power: Power,
}

/// The second level: would other users and another training show it?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsersAndSeeds {
    /// The t test of the crossed model.
    pub test: Outcome,
    /// Its interval.
    pub interval: Interval,
    /// Standard error of the mean difference.
    pub se: f64,
    /// Degrees of freedom; `None` where nothing varies.
    pub degrees: Option<f64>,
    /// What the variance consists of.
    pub components: Components,
    /// Minimum detectable effect.
    pub power: Power,
}

/// Two methods, one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Number of users.
    pub users: usize,
    /// Seeds of A.
    pub seeds_a: usize,
    /// Seeds of B.
    pub seeds_b: usize,
    /// Whether seeds are compared one by one.
    pub pairing: SeedPairing,
    /// How large the difference is.
    pub effect: Effect,
    /// The first level.
    pub users_given_runs: UsersGivenRuns,
    /// The second level; `None` with one seed.
    pub users_and_seeds: Option<UsersAndSeeds>,
    /// The bootstrap's interval, at the highest level that the seeds allow; `None` if none was asked for.
    pub bootstrap: Option<Interval>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// Compare two methods.
///
/// # Errors
/// If a setting is out of its range.
pub fn compare(paired: &Paired, settings: &Settings) -> Result<Comparison, SignificanceError> {
    settings.check()?;
    let mut samples = Vec::new();
    if settings.resamples > 0 {
        samples = resample(&[paired], settings.resamples, settings.seed_draw, settings.seed)?;
    }
    with_samples(paired, samples.first(), settings)
}

/// The same with resamples that were drawn before.
pub(super) fn with_samples(
    paired: &Paired,
    samples: Option<&Bootstrap>,
    settings: &Settings,
) -> Result<Comparison, SignificanceError> {
    let effect = Effect::of(paired);
    let reference = settings.reference.unwrap_or(effect.difference);
    let (seeds_a, seeds_b) = paired.seeds();
    let (t, interval) = paired_t(paired, settings.level);
    let users_given_runs = UsersGivenRuns {
        randomization: sign_flips(paired, settings.sign_flips, settings.seed),
        wilcoxon: wilcoxon(paired, settings.zeros, settings.continuity),
        paired_t: t,
        mcnemar: paired.hits().map(sign_flips_of_hits),
        interval,
        power: Power::of_users(paired, settings.design, reference),
    };
    let users_and_seeds = match Crossed::of(paired) {
        None => None,
        Some(crossed) => Some(UsersAndSeeds {
            test: crossed.test(),
            interval: crossed.interval(settings.level)?,
            se: crossed.se,
            degrees: crossed.degrees,
            components: crossed.components,
            power: Power::of_users_and_seeds(&crossed, settings.design, reference),
        }),
    };
    let bootstrap =
        samples.map(|samples| samples.interval(settings.bootstrap, settings.level)).transpose()?;
    let mut comparison = Comparison {
        users: paired.users(),
        seeds_a,
        seeds_b,
        pairing: paired.pairing(),
        effect,
        users_given_runs,
        users_and_seeds,
        bootstrap,
        notes: Vec::new(),
    };
    comparison.notes = comparison.all_notes();
    Ok(comparison)
}

impl Comparison {
    /// The test that decides: of users and seeds where there are seeds enough, else the paired randomization over users.
    #[must_use]
    pub fn primary(&self) -> &Outcome {
        self.users_and_seeds.as_ref().map_or(&self.users_given_runs.randomization, |both| &both.test)
    }

    /// The interval at the same level as [`Comparison::primary`].
    #[must_use]
    pub fn interval(&self) -> &Interval {
        self.users_and_seeds.as_ref().map_or(&self.users_given_runs.interval, |both| &both.interval)
    }

    /// The minimum detectable effect at the same level.
    #[must_use]
    pub fn power(&self) -> &Power {
        self.users_and_seeds.as_ref().map_or(&self.users_given_runs.power, |both| &both.power)
    }

    fn all_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.users == 0 {
            notes.push("no users".to_owned());
        } else if self.seeds_a.min(self.seeds_b) == 1 {
            notes.push("one seed: users only, nothing is said about another training".to_owned());
        }
        let tests = [Some(self.primary()), self.users_given_runs.mcnemar.as_ref()];
        for note in tests.into_iter().flatten().flat_map(|outcome| &outcome.notes) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        let power = self.power();
        if let (true, Some(minimum)) = (power.underpowered, power.minimum) {
            notes.push(format!(
                "underpowered: a difference below {minimum:.4} would be missed more than {:.0} times in 100, and {:.4} is looked for",
                100.0 * (1.0 - power.design.power),
                power.reference.abs()
            ));
        }
        notes
    }
}
