//! What is wrong with an experiment, where it was typed, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where a value was typed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "place", rename_all = "kebab-case")]
pub enum Place {
    /// In a file; line and column count from 1 and are absent when the whole file is meant.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line, from 1.
        line: Option<u32>,
        /// Column in characters, from 1.
        column: Option<u32>,
    },
    /// In an environment variable.
    Env {
        /// Its name.
        var: String,
    },
    /// In an argument of `-S`.
    CommandLine {
        /// The argument as it was typed.
        arg: String,
    },
}

impl Place {
    /// A file as a whole.
    #[must_use]
    pub fn whole(path: &Path) -> Self {
        Self::File { path: path.to_owned(), line: None, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: Some(line), .. } => write!(f, "{}:{line}", path.display()),
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Env { var } => f.write_str(var),
            // A problem is one line, whatever somebody typed.
            Self::CommandLine { arg } => write!(f, "-S {}", arg.replace(char::is_control, "\u{fffd}")),
        }
    }
}

/// One thing wrong, as `place: message; help`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where it was typed.
    pub place: Place,
    /// What is wrong: found and expected.
    pub message: String,
    /// The next step, such as the name that was probably meant.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without advice.
    #[must_use]
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: None }
    }

    /// The same problem with a next step.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The file, where the problem is in one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The line from 1, where the problem is on one.
    #[must_use]
    pub const fn line(&self) -> Option<u32> {
        match self.place {
            Place::File { line, .. } => line,
            _ => None,
        }
    }

    /// The column in characters from 1, where it is known.
    #[must_use]
    pub const fn column(&self) -> Option<u32> {
        match self.place {
            Place::File { column, .. } => column,
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// Everything wrong with an experiment, in the order of files and lines. Displays as one problem a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}
