//! What is wrong with values that cannot be compared.

/// Values or settings from which nothing can be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SignificanceError {
    /// A method without a run.
    #[error("method {method} has no seeds; expected one list of users for each seed")]
    NoSeeds {
        /// `A` or `B`.
        method: char,
    },
    /// Another number of users than the first run of A.
    #[error(
        "seed {seed} of method {method} has {found} users and the first seed of method A has {expected}; a paired test needs the \
         same users in the same order, so evaluate both on one split"
    )]
    Users {
        /// `A` or `B`.
        method: char,
        /// Position of the seed, from 0.
        seed: usize,
        /// Users in that run.
        found: usize,
        /// Users in the first run of A.
        expected: usize,
    },
    /// A value that is infinite or not a number.
    #[error(
        "the value of user {user} (counted from 0) for seed {seed} of method {method} is {value}; expected a finite number, so \
         look at the run that made it"
    )]
    NotFinite {
        /// `A` or `B`.
        method: char,
        /// Position of the seed, from 0.
        seed: usize,
        /// Position of the user, from 0.
        user: usize,
        /// What stands there.
        value: f64,
    },
    /// Shared seeds in different number.
    #[error(
        "method A has {a} seeds and method B has {b}; shared seeds are compared one by one, so run both with the same seeds or say \
         that they are independent"
    )]
    Seeds {
        /// Seeds of A.
        a: usize,
        /// Seeds of B.
        b: usize,
    },
    /// Tables that are resampled together must have the same users and seeds.
    #[error(
        "table {table} (counted from 0) has other users or seeds than the first; resample only metrics of one pair of methods \
         together"
    )]
    Shapes {
        /// Position of the table.
        table: usize,
    },
    /// A level, an error rate or a power outside of its range.
    #[error("{name} is {value}; expected a number between 0 and 1, both excluded")]
    Share {
        /// The setting.
        name: &'static str,
        /// What it is.
        value: f64,
    },
    /// Too few random draws to say anything.
    #[error("{name} is {value}; expected at least {least}")]
    TooFew {
        /// The setting.
        name: &'static str,
        /// What it is.
        value: u32,
        /// The smallest that makes sense.
        least: u32,
    },
    /// Something that is no p-value.
    #[error("p-value {position} (counted from 0) is {value}; expected a number from 0 to 1")]
    PValue {
        /// Its position.
        position: usize,
        /// What it is.
        value: f64,
    },
}

/// `value`, if it lies strictly between 0 and 1.
pub(super) fn share(name: &'static str, value: f64) -> Result<f64, SignificanceError> {
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err(SignificanceError::Share { name, value }) }
}
