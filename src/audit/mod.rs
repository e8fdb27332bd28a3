//! What published numbers give away about themselves: which hit counts they can stand for, how many users were ranked,
//! whether digits were cut or rounded, and where tables, text and other papers contradict each other.
//!
//! A pure function of files of published numbers. It knows no paper: everything is found from the numbers. Every law holds
//! for any mean over users with any weights, unless its finding says otherwise.

mod cells;
mod claims;
mod digits;
mod elsewhere;
mod hidden;
mod laws;
mod significance;
mod sizes;
mod statistics;
mod whole;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::baseline::Baseline;
use crate::eval::Metric;

pub use digits::Digits;

/// How much a finding says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No data can give these numbers together.
    Contradiction,
    /// A reader should not rely on it as it stands; there may be a reason that the paper does not tell.
    Doubt,
    /// Worth knowing; nothing wrong.
    Note,
}

impl Severity {
    /// The word in a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contradiction => "contradiction",
            Self::Doubt => "doubt",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A recall is a whole number of users over how many they are.
    WholeUsers,
    /// Overall = (mean over R) x |R| / |U|.
    Identity,
    /// The |R| that the file states.
    StatedUsers,
    /// MRR <= NDCG <= Recall at a cutoff, and no metric falls with the cutoff.
    Order,
    /// What MRR and NDCG can be, given the hits.
    Range,
    /// One cell of one paper printed twice.
    Twice,
    /// A percentage in the text.
    Claim,
    /// The same method in another paper.
    Elsewhere,
    /// Whether a gain can be significant at all.
    Significance,
    /// Users, items, interactions, length and density of a dataset.
    Statistics,
}

impl Check {
    /// The word in a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WholeUsers => "whole users",
            Self::Identity => "identity",
            Self::StatedUsers => "stated |R|",
            Self::Order => "order",
            Self::Range => "range",
            Self::Twice => "twice",
            Self::Claim => "claim",
            Self::Elsewhere => "elsewhere",
            Self::Significance => "significance",
            Self::Statistics => "statistics",
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How much it says.
    pub severity: Severity,
    /// What was checked.
    pub check: Check,
    /// Line of the file, from 1.
    pub line: usize,
    /// The dataset.
    pub dataset: String,
    /// The table or tables.
    pub table: String,
    /// Which cells.
    pub cells: String,
    /// The numbers.
    pub numbers: String,
    /// What they mean: one sentence.
    pub meaning: String,
}

/// The users behind a table, as its digits give them away.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HiddenUsers {
    /// The dataset.
    pub dataset: String,
    /// The table over R, and the one over all users if there is one.
    pub tables: Vec<String>,
    /// `test` or `validation`.
    pub split: String,
    /// |U|, if a dataset table prints it in full.
    pub users: Option<u64>,
    /// The values of |R| that agree with every cell that was held against them, as runs from first to last.
    pub retrieved: Vec<(u64, u64)>,
    /// How many hits each recall stands for, where there is one |R|: metric, method, fewest and most hits.
    pub hits: Vec<(Metric, String, u64, u64)>,
    /// How digits can have been dropped, for the table over R and for the one over all users.
    pub digits: Vec<(Digits, Option<Digits>)>,
    /// What was held against |R|.
    pub how: String,
}

impl HiddenUsers {
    /// How many values of |R| are left.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.retrieved.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether |R| can be this.
    #[must_use]
    pub fn contains(&self, retrieved: u64) -> bool {
        self.retrieved.iter().any(|(first, last)| (*first..=*last).contains(&retrieved))
    }

    /// |R|, where only one value is left.
    #[must_use]
    pub fn only(&self) -> Option<u64> {
        match self.retrieved[..] {
            [(first, last)] if first == last => Some(first),
            _ => None,
        }
    }
}

/// How the digits of a claim came about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recomputed {
    /// Line of the file, from 1.
    pub line: usize,
    /// The dataset.
    pub dataset: String,
    /// The table.
    pub table: String,
    /// What is claimed, such as `NDCG@10 of A over B`.
    pub what: String,
    /// Percent as the text has it.
    pub claimed: String,
    /// Percent from the printed digits.
    pub recomputed: f64,
    /// The percentages that unrounded numbers behind those digits can give.
    pub possible: (f64, f64),
    /// Which ways of dropping digits lead from `recomputed` to `claimed`; none if neither does.
    pub digits: Vec<Digits>,
}

/// An audited file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// The file.
    pub path: PathBuf,
    /// Short name of the paper.
    pub paper: String,
    /// Numbers that were looked at.
    pub numbers: usize,
    /// What the digits give away.
    pub hidden: Vec<HiddenUsers>,
    /// Every claim that can be computed again.
    pub claims: Vec<Recomputed>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// How many findings have this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Audit a file. `others` are further files: claims may compare with their numbers, and the same method's numbers are held
/// against each other. A file of the same paper among them is left out.
#[must_use]
pub fn audit(file: &Baseline, others: &[Baseline]) -> Audit {
    let others: Vec<&Baseline> = others.iter().filter(|other| other.paper.id != file.paper.id).collect();
    let cells = cells::Cells::new(file);
    let sizes = sizes::Sizes::new(file, &others);
    let mut findings = Vec::new();
    cells.printed_twice(&mut findings);
    laws::laws(&cells, &mut findings);
    let hidden = hidden::hidden(file, &cells, &sizes, &mut findings);
    whole::overall(&cells, &sizes, &mut findings);
    let claims = claims::claims(file, &cells, &others, &mut findings);
    elsewhere::elsewhere(file, &cells, &others, &mut findings);
    significance::significance(file, &cells, &hidden, &sizes, &mut findings);
    statistics::statistics(file, &mut findings);
    findings.sort_by_key(|a| (a.severity, a.line, a.check));
    Audit {
        path: file.path.clone(),
        paper: file.paper.id.clone(),
        numbers: cells.len(),
        hidden,
        claims,
        findings,
    }
}
