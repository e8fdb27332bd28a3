//! The shape of one row of the table of settings ([`settings`](super::settings)): key, type with range, default,
//! what the reference does, where it applies, and a sentence. Checks, defaults, suggestions and the printed
//! reference all read the same rows.

use serde_json::{Value, json};

use super::device_choice::DeviceChoice;

/// A literal of the table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lit {
    Int(u64),
    Num(f64),
    Bool(bool),
    Text(&'static str),
    Ints(&'static [u64]),
    Texts(&'static [&'static str]),
}

impl Lit {
    pub(super) fn value(self) -> Value {
        match self {
            Self::Int(v) => json!(v),
            Self::Num(v) => json!(v),
            Self::Bool(v) => json!(v),
            Self::Text(v) => json!(v),
            Self::Ints(v) => json!(v),
            Self::Texts(v) => json!(v),
        }
    }
}

/// An interval of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) min_open: bool,
    pub(super) max_open: bool,
}

impl Range {
    pub(super) const fn contains(&self, x: f64) -> bool {
        let above = if self.min_open { x > self.min } else { x >= self.min };
        let below = if self.max_open { x < self.max } else { x <= self.max };
        above && below
    }

    fn describe(&self) -> String {
        let Self { min, max, min_open, max_open } = *self;
        match (min_open, max_open) {
            (false, false) => format!("from {min} to {max}"),
            (false, true) => format!("from {min} to below {max}"),
            (true, false) => format!("above {min} and at most {max}"),
            (true, true) => format!("above {min} and below {max}"),
        }
    }
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Any string.
    Prose,
    /// A string that is not empty.
    Text,
    /// A string that is safe as the name of a folder.
    FolderName,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer { min: u64, max: u64 },
    /// A finite number.
    Number(Range),
    /// One of some strings.
    Choice(&'static [&'static str]),
    /// Some strings, each once, at least one.
    Choices(&'static [&'static str]),
    /// Distinct whole numbers, at least one.
    Distinct { max: u64 },
    /// Ascending whole numbers from 1, at least one.
    Ascending { max: u64 },
    /// A metric at a cutoff.
    Metric,
    /// The processor or a device.
    Device,
    /// A path of a file.
    File,
    /// One ASCII character.
    Character,
    /// A column by name or by position from 1; `false` means that there is none, where that is allowed.
    Column { optional: bool },
    /// A name, or `false` for none.
    NameOrFalse,
}

impl Kind {
    /// Whether an unquoted word of the environment or the command line is a string.
    pub(super) const fn is_text(&self) -> bool {
        matches!(
            self,
            Self::Prose
                | Self::Text
                | Self::FolderName
                | Self::Choice(_)
                | Self::Metric
                | Self::Device
                | Self::File
                | Self::Character
        )
    }

    /// What is expected, as the end of "expected ...".
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Prose => "a string".to_owned(),
            Self::Text => "a string that is not empty".to_owned(),
            Self::FolderName => {
                "a folder name: 1 to 100 of a-z, A-Z, 0-9, '-', '_' and '.', the first and the \
                                 last a letter or a digit"
                    .to_owned()
            }
            Self::Bool => "true or false".to_owned(),
            Self::Integer { min, max } => format!("an integer from {min} to {max}"),
            Self::Number(range) => format!("a number {}", range.describe()),
            Self::Choice(choices) => one_of(choices, "or"),
            Self::Choices(choices) => format!("a list of {}", one_of(choices, "and")),
            Self::Distinct { max } => format!("a list of different integers from 0 to {max}"),
            Self::Ascending { max } => format!("a list of ascending integers from 1 to {max}"),
            Self::Metric => "a metric such as \"recall@10\", \"ndcg@10\" or \"mrr@10\"".to_owned(),
            Self::Device => DeviceChoice::EXPECTED.to_owned(),
            Self::File => "the path of a file".to_owned(),
            Self::Character => "one ASCII character, such as \",\" or \"\\t\"".to_owned(),
            Self::Column { optional: false } => "the name of a column or its position from 1".to_owned(),
            Self::Column { optional: true } => {
                "the name of a column, its position from 1, or false for none".to_owned()
            }
            Self::NameOrFalse => "a name, or false for none".to_owned(),
        }
    }
}

/// `"a", "b" or "c"`.
pub(super) fn one_of(choices: &[&str], word: &str) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// What holds where nobody typed the setting.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    /// It has to be typed.
    Required,
    /// It stays away.
    Absent,
    /// The same everywhere.
    Is(Lit),
    /// The paper's value for ml-100k and that for beauty, games and what is like them.
    ByDataset { ml_100k: Lit, others: Lit },
}

/// Where a setting has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// In every experiment.
    Always,
    /// Where the setting (first) has the value (second).
    Is(&'static str, &'static str),
    /// Where there is a `backbone.name`.
    Backbone,
    /// Where `backbone.name` is a built-in backbone's.
    Embedded,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Default,
    pub(super) when: When,
    /// For a quirk of the protocol: what the reference does, and where.
    pub(super) reference: Option<(When, Lit)>,
    pub(super) doc: &'static str,
}

impl Spec {
    pub(super) const fn new(key: &'static str, kind: Kind, default: Default, doc: &'static str) -> Self {
        Self { key, kind, default, when: When::Always, reference: None, doc }
    }

    pub(super) const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// Mark a quirk with what the reference does.
    pub(super) const fn quirk(mut self, reference: Lit) -> Self {
        self.reference = Some((When::Always, reference));
        self
    }

    /// Mark a quirk that the reference has only in some experiments.
    pub(super) const fn quirk_when(mut self, when: When, reference: Lit) -> Self {
        self.reference = Some((when, reference));
        self
    }

    /// The part before the last dot; empty at the top level.
    pub(super) fn section(&self) -> &'static str {
        self.key.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The part after the last dot.
    pub(super) fn leaf(&self) -> &'static str {
        self.key.rsplit_once('.').map_or(self.key, |(_, leaf)| leaf)
    }
}
