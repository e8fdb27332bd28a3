//! Exit codes. Scripts read them, so they are part of the interface (README).

use std::process::ExitCode;

use crate::pipeline::Error;
use crate::slurm;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that could be done is done.
    Ok = 0,
    /// Wrong arguments.
    Usage = 2,
    /// No experiment among the files that were named, or nothing is stored of what was asked for.
    NothingSelected = 4,
    /// An experiment file is invalid, or the data or the machine does not let any of it run.
    Invalid = 96,
    /// A run failed.
    RunFailed = 100,
    /// A gate of `bench compare` failed.
    GateFailed = 101,
    /// With `--strict`: published numbers contradict each other.
    Contradiction = 102,
    /// A replay gave something else than what is stored, or a bundle is not what its hashes say.
    Differs = 103,
    /// With `--strict`: something was left out. Something is still to come.
    Incomplete = 106,
    /// Output could not be written.
    Output = 110,
    /// Somebody asked to stop.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the program ends early: what to say, and with which code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// One problem a line.
    pub message: String,
}

impl Failure {
    /// A failure with its message.
    #[must_use]
    pub fn new(exit: Exit, message: impl ToString) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            error if error.is_output() => Exit::Output,
            error if error.is_interrupt() => Exit::Interrupted,
            Error::Paper(crate::paper::Error::Reference { .. }) => Exit::Usage,
            Error::Compare(crate::compare::Error::NoRuns { .. }) | Error::Bundle { .. } => {
                Exit::NothingSelected
            }
            Error::Data(_) | Error::Baseline(_) | Error::Import(_) | Error::Compare(_) | Error::Paper(_) => {
                Exit::Invalid
            }
            Error::Ambiguous { .. }
            | Error::AmbiguousBackbone { .. }
            | Error::Replay { .. }
            | Error::Run(_)
            | Error::Changed { .. } => Exit::Invalid,
            _ => Exit::RunFailed,
        };
        Self::new(exit, error)
    }
}

impl From<slurm::Error> for Failure {
    fn from(error: slurm::Error) -> Self {
        let exit = match error {
            slurm::Error::Run(error) => return Error::from(error).into(),
            slurm::Error::NoSubmission { .. } => Exit::NothingSelected,
            slurm::Error::Secret { .. } => Exit::Usage,
            _ => Exit::Invalid,
        };
        Self::new(exit, error)
    }
}
