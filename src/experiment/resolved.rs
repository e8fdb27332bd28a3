//! The settings that a run really used, each with where it came from.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

/// Where the value of a setting came from, weakest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// The default for every experiment.
    Default,
    /// The paper's value for this dataset.
    DatasetDefault {
        /// `dataset.name`.
        dataset: String,
    },
    /// The preset named by `protocol`.
    Preset {
        /// Its name.
        name: String,
    },
    /// A file: the experiment's own or an inherited one.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line, from 1.
        line: u32,
    },
    /// An environment variable.
    Env {
        /// Its name.
        var: String,
    },
    /// An argument of `-S`.
    CommandLine {
        /// The argument as it was typed.
        arg: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::DatasetDefault { dataset } => write!(f, "default for {dataset}"),
            Self::Preset { name } => write!(f, "preset {name}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env { var } => f.write_str(var),
            Self::CommandLine { arg } => write!(f, "-S {arg}"),
        }
    }
}

/// One setting of a resolved experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Dotted key, such as `retriever.hidden_dim`.
    pub key: String,
    /// The value used.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Every setting that applies to an experiment, in the order of the reference of settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resolved {
    /// The settings.
    pub settings: Vec<Setting>,
}

impl Resolved {
    /// The setting of a dotted key, where it applies to the experiment.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// An experiment file with every setting typed and its origin as a comment. It loads as the same experiment.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let origins: Vec<String> = self.settings.iter().map(|setting| setting.origin.to_string()).collect();
        let settings = self.settings.iter().zip(&origins);
        settings_toml(
            settings.map(|(Setting { key, value, .. }, origin)| (key.as_str(), value, origin.as_str())),
        )
    }

    /// The settings and their origins as JSON: a list of `{key, value, origin}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::json!(self.settings)
    }
}

/// Settings (key, value, origin) as an experiment file, in their order, which has to be by section.
#[must_use]
pub fn settings_toml<'a>(settings: impl IntoIterator<Item = (&'a str, &'a Value, &'a str)>) -> String {
    let mut text = String::new();
    let mut open = "";
    for (key, value, origin) in settings {
        let (section, leaf) = key.rsplit_once('.').unwrap_or(("", key));
        if section != open {
            let _ = write!(text, "\n[{section}]\n");
            open = section;
        }
        // A comment ends at the end of its line, whatever somebody typed.
        let origin: String = origin.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let _ = writeln!(text, "{leaf} = {} # {origin}", toml_literal(value));
    }
    text
}

/// A JSON value as TOML writes it; settings are never null or nested.
fn toml_literal(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}
