//! Why methods cannot be compared.

use crate::significance::SignificanceError;

/// What is wrong with what was to be compared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Less than two methods.
    #[error("{found} method to compare; expected two or more")]
    TooFew {
        /// How many.
        found: usize,
    },
    /// A reference that is none of the methods.
    #[error("no method has the name {name:?}; expected one of {}", known.join(", "))]
    Reference {
        /// What was named.
        name: String,
        /// The methods' names.
        known: Vec<String>,
    },
    /// Two methods of one name.
    #[error("two methods have the name {name:?}; expected a name for each")]
    Names {
        /// The name.
        name: String,
    },
    /// A method without a run.
    #[error("{name}: no stored run; `bench run {file}` makes it")]
    NoRuns {
        /// The method.
        name: String,
        /// The experiment file.
        file: String,
    },
    /// Splits that differ.
    #[error(
        "cannot pair {a} with {b}: their splits differ (fingerprints {} and {}), so a user of one is not the user of the other; {}; run \
         both on the same files with the same dataset settings",
        short(fingerprints.0.as_str()),
        short(fingerprints.1.as_str()),
        differing(differences)
    )]
    Splits {
        /// A method.
        a: String,
        /// Another.
        b: String,
        /// Their fingerprints.
        fingerprints: (String, String),
        /// What is known to differ.
        differences: Vec<String>,
    },
    /// Runs with other numbers of users.
    #[error(
        "cannot pair {a} with {b}: seed {seed_a} of the first has ranks of {users_a} users, seed {seed_b} of the second of {users_b}; a \
         paired test needs the same users; was one of them made by another version, or edited?"
    )]
    Users {
        /// A method.
        a: String,
        /// Its seed.
        seed_a: u64,
        /// Its users.
        users_a: usize,
        /// Another method.
        b: String,
        /// Its seed.
        seed_b: u64,
        /// Its users.
        users_b: usize,
    },
    /// A stage that a method does not have.
    #[error("{name} has no {stage}; it has {}", has.join(" and "))]
    NoStage {
        /// The experiment.
        name: String,
        /// What was asked for.
        stage: String,
        /// What there is.
        has: Vec<String>,
    },
    /// A ranker whose weights are random.
    #[error(
        "{name}: the weights of its backbone are random, so what it ranked is not for reporting and is compared with nothing; compare \
         {name}:retriever, or run the experiment with backbone.weights = \"files\""
    )]
    RandomWeights {
        /// The experiment.
        name: String,
    },
    /// A ranker that saw only some of R.
    #[error(
        "{name}: with seed {seed} the ranker ranked {ranked} of the {retrieved} users of R, so nothing is known over all users; \
         expected all of them; compare {name}:retriever, or remove the cell and run the experiment again"
    )]
    Sample {
        /// The experiment.
        name: String,
        /// The seed.
        seed: u64,
        /// Users that were ranked.
        ranked: usize,
        /// |R|.
        retrieved: usize,
    },
    /// An imported run that is not there.
    #[error("no imported run has the name {name:?}; {}; `bench import` stores one", if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) })]
    NotImported {
        /// What was named.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Several imported runs of one name and seed.
    #[error(
        "{runs} imported runs have the name {name:?} and the seed {seed}; remove those that are out of date (`bench ls` lists them), or import \
         each with a name or a --seed of its own"
    )]
    Ambiguous {
        /// The name.
        name: String,
        /// The seed.
        seed: u64,
        /// How many.
        runs: usize,
    },
    /// A gate for a metric that is not compared.
    #[error("the gate `{gate}` is about {metric}; expected one of the metrics that are compared: {}", known.join(", "))]
    GateMetric {
        /// The gate.
        gate: String,
        /// Its metric.
        metric: String,
        /// The metrics that are compared.
        known: Vec<String>,
    },
    /// The statistics cannot be computed.
    #[error(transparent)]
    Significance(#[from] SignificanceError),
    /// The document cannot be printed.
    #[error(transparent)]
    Document(#[from] crate::document::Error),
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

fn differing(differences: &[String]) -> String {
    if differences.is_empty() {
        "what is stored about them does not tell why".to_owned()
    } else {
        format!("what differs: {}", differences.join("; "))
    }
}
