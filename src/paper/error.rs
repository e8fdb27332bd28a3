//! Why a report over several experiments cannot be made.

/// What is wrong with what was to be reported.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is stored of any experiment.
    #[error("nothing is stored of {}; run one of them first", experiments.join(", "))]
    Nothing {
        /// The experiments that were named.
        experiments: Vec<String>,
    },
    /// A reference that no block of methods has.
    #[error("--reference {name:?} is none of the methods; expected one of {}", quoted(known))]
    Reference {
        /// What was named.
        name: String,
        /// What could have been.
        known: Vec<String>,
    },
    /// Methods that cannot be paired.
    #[error(transparent)]
    Compare(#[from] crate::compare::Error),
    /// The statistics cannot be computed.
    #[error(transparent)]
    Significance(#[from] crate::significance::SignificanceError),
    /// The document cannot be printed.
    #[error(transparent)]
    Document(#[from] crate::document::Error),
}

/// Names of methods may have commas.
fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
