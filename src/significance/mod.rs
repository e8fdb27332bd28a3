//! Is method A better than method B? Paired tests, intervals, effect sizes, corrections and power for two methods that were
//! evaluated on the same users with some seeds each. Pure f64 functions of the users' metrics; docs/statistics.md states each
//! with its formula and its source, and how often it errs in simulations.
//!
//! There are two levels, because seeds are not users:
//!
//! - **Users given these runs.** Would other users show the difference *of these very runs*? The unit is a user, whose metrics are
//!   averaged over seeds first: [`sign_flips`], [`wilcoxon`], [`paired_t`], [`mcnemar`].
//! - **Users and seeds together.** Would other users *and another training* show it? The unit is a user crossed with a seed:
//!   [`Crossed`], and the bootstrap of [`resample`]. It needs at least two seeds; with one there is only the first level, and the
//!   result says so.
//!
//! [`compare`] computes all of it for one pair, [`family`] for many pairs with the corrections over all of them.
//!
//! ```
//! use bench::significance::{Paired, SeedPairing, Settings, compare};
//! let a = [vec![1.0, 0.5, 0.0, 1.0], vec![1.0, 0.5, 0.5, 1.0]]; // two seeds, four users
//! let b = [vec![0.5, 0.5, 0.0, 0.5], vec![0.5, 0.0, 0.5, 1.0]];
//! let paired = Paired::new(&a, &b, SeedPairing::Shared)?;
//! let comparison = compare(&paired, &Settings::default())?;
//! assert_eq!(comparison.effect.difference, 0.25);
//! assert!(comparison.users_and_seeds.is_some());
//! # Ok::<(), bench::significance::SignificanceError>(())
//! ```

mod bootstrap;
mod comparison;
mod correction;
mod crossed;
mod draws;
mod effect;
mod error;
mod family;
mod outcome;
mod paired;
mod power;
mod quantile;
mod randomization;
mod rows;
mod student;
mod wilcoxon;

pub use bootstrap::{Bootstrap, BootstrapInterval, SeedDraw, resample};
pub use comparison::{Comparison, Settings, UsersAndSeeds, UsersGivenRuns, compare};
pub use correction::{benjamini_hochberg, bonferroni, holm};
pub use crossed::{Components, Crossed};
pub use effect::Effect;
pub use error::SignificanceError;
pub use family::{Entry, Family, Row, family};
pub use outcome::{Interval, Method, Outcome};
pub use paired::{Paired, SeedPairing};
pub use power::{Design, Power};
pub use randomization::{mcnemar, sign_flips, sign_flips_of_hits};
pub use student::paired_t;
pub use wilcoxon::{Zeros, wilcoxon};
