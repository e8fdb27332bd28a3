//! What can go wrong between here and a cluster.

use std::path::PathBuf;

use crate::run;

/// A failure to submit or to follow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path that scripts cannot hold.
    #[error("{}: a script and a manifest can only name paths that are UTF-8 and have no line end; rename the folder", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// A folder of runs whose name Slurm would change.
    #[error(
        "{runs}: Slurm takes % in the path of a log for a number of the job; name another folder with --runs-dir"
    )]
    Percent {
        /// The folder of runs.
        runs: String,
    },
    /// A manifest that cannot be used.
    #[error("read {}: {what}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Nothing was submitted yet.
    #[error("{}: nothing was submitted from this folder of runs; `bench submit FILES` does, and --runs-dir names another", runs.display())]
    NoSubmission {
        /// The folder of runs.
        runs: PathBuf,
    },
    /// A job asks for a task that its submission does not have.
    #[error(
        "the submission {submission} has no task {index} in a batch {batch:?}; was it made again since its jobs were submitted?"
    )]
    NoTask {
        /// The submission.
        submission: String,
        /// The batch.
        batch: String,
        /// The index.
        index: u32,
    },
    /// A program of Slurm that is not there.
    #[error(
        "{program} is not there ({source}); is this a login node of a cluster with Slurm? --dry-run shows the scripts without it"
    )]
    Absent {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program of Slurm that refused.
    #[error("{program} refused: {what}")]
    Refused {
        /// The program with its arguments.
        program: String,
        /// What it printed.
        what: String,
    },
    /// A secret in what would be written.
    #[error(
        "{what} has the token of the environment variable {variable} in it, which is kept out of scripts and manifests; leave it out: jobs inherit the environment"
    )]
    Secret {
        /// What would be written.
        what: String,
        /// The variable.
        variable: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Run(#[from] run::Error),
}
