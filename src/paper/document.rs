//! All of it as one document, and the short form of it for a terminal.

use super::block::{Block, blocks, metrics};
use super::by_method::{self, Over};
use super::model::Input;
use super::verdicts::Verdicts;
use super::words::{count, counted, thousands};
use super::{Error, comparisons, datasets, figures, in_full, provenance, versus, warnings};
use crate::document::{Checked, Document, Prose, Section, Table};

/// The report over several experiments.
#[derive(Debug, Clone)]
pub struct Paper {
    /// All of it.
    pub document: Checked,
    /// Warnings and Tables I to IV alone.
    pub brief: Checked,
    /// The methods by split.
    pub blocks: Vec<Block>,
    /// The tests.
    pub verdicts: Verdicts,
}

/// Make the report.
///
/// # Errors
/// If nothing is stored, the reference is none of the methods, methods of one split cannot be paired, or the document is not
/// printable (which would be a mistake of this program).
pub fn paper(input: &Input<'_>) -> Result<Paper, Error> {
    if input.studies.is_empty() && input.imported.is_empty() {
        let experiments = input.absent.iter().map(|absent| absent.experiment.clone()).collect();
        return Err(Error::Nothing { experiments });
    }
    let blocks = blocks(input)?;
    let metrics = metrics(input.studies);
    let verdicts = Verdicts::of(&blocks, &metrics)?;
    let tables = Tables::of(input, &blocks, &verdicts);
    let new = || {
        let mut document = Document::new(input.title);
        document.stamp = warnings::stamp(input.studies);
        document
    };
    let mut brief = new();
    let mut document = new();
    document.warnings = warnings::warnings(input, &blocks, &verdicts);
    brief.warnings.clone_from(&document.warnings);
    brief.sections = tables.papers();
    document.sections = tables.all();
    let figures = figures::figures(&blocks, &verdicts);
    for (at, (block, figures)) in blocks.iter().zip(figures).enumerate() {
        let level = if at == 0 { vec![Section::new("Figures")] } else { Vec::new() };
        document.sections.extend(level);
        let section = Section::new(&block.title).level(2);
        document.sections.push(figures.into_iter().fold(section, Section::with));
    }
    document.sections.extend(tables.tests(&verdicts));
    document.sections.extend(provenance::sections(input, &blocks));
    Ok(Paper { document: document.check()?, brief: brief.check()?, blocks, verdicts })
}

struct Tables {
    datasets: Option<Table>,
    ranker: Vec<Table>,
    ranker_in_full: Option<Table>,
    overall: Vec<Table>,
    overall_in_full: Option<Table>,
    versus: Vec<Table>,
    versus_in_full: Option<Table>,
    against_reference: Option<Table>,
    other_tests: Option<Table>,
}

impl Tables {
    fn of(input: &Input<'_>, blocks: &[Block], verdicts: &Verdicts) -> Self {
        let baselines = input.baselines;
        let sizes = sizes(blocks);
        let ranker = format!(
            "Table II: ranker's recommendation performance. Means over R, the users whose item is among the candidates: {sizes}."
        );
        let overall = format!(
            "Table III: overall recommendation performance. Means over all users; who is not in R counts 0: {sizes}."
        );
        let how = comparisons::how(verdicts);
        let spread = spread(blocks);
        let of_r = "Superscripts are those of Table III, for methods that rank the same R: outside of it both have 0, so a user's difference is \
                    the same and is tested once. Methods of different retrievers have different users here, and no superscripts against each \
                    other. Means over seeds weigh each seed alike here and by its |R| there, so percents may differ a little.";
        let noted = |table: Table, notes: &[&str]| {
            notes.iter().filter(|note| !note.is_empty()).fold(table, |table, note| table.note(*note))
        };
        let legend = in_full::legend(blocks);
        let in_full = |caption: &str| caption.replacen(':', " in full:", 1);
        let by_method = |id: &str, caption: &str, over, notes: &[&str]| -> Vec<Table> {
            let tables = by_method::tables((id, caption), blocks, verdicts, over);
            tables.into_iter().map(|table| noted(table, notes)).collect()
        };
        let datasets = Some(datasets::table(blocks, baselines)).filter(|table| !table.rows.is_empty());
        let papers = paper_columns(blocks);
        let above = "Tests of every pair of methods that are not in the table above; see its notes.";
        let notes = comparisons::notes(verdicts);
        let against = comparisons::table(
            ("tests", "Tests against the reference of each dataset, over all users."),
            blocks,
            verdicts,
            true,
        );
        Self {
            datasets,
            ranker: by_method("table-2", &ranker, Over::R, &[&papers, &spread, of_r, &how, &legend]),
            ranker_in_full: in_full::table(
                ("table-2-in-full", &in_full(&ranker)),
                blocks,
                verdicts,
                baselines,
                Over::R,
            )
            .map(|table| noted(table, &[&spread, of_r, &how])),
            overall: by_method("table-3", &overall, Over::All, &[&papers, &spread, &how, &legend]),
            overall_in_full: in_full::table(
                ("table-3-in-full", &in_full(&overall)),
                blocks,
                verdicts,
                baselines,
                Over::All,
            )
            .map(|table| noted(table, &[&spread, &how])),
            versus: versus::as_printed(blocks, verdicts, baselines)
                .into_iter()
                .map(|table| noted(table, &[&spread, &how, &legend]))
                .collect(),
            versus_in_full: versus::in_full(blocks, verdicts, baselines).map(|table| noted(table, &[&how])),
            against_reference: against.map(|table| notes.iter().cloned().fold(table, Table::note)),
            other_tests: comparisons::table(("other-tests", above), blocks, verdicts, false),
        }
    }

    /// Tables I to IV as the seed paper has them.
    fn papers(&self) -> Vec<Section> {
        let missing = |heading: &str, text: &str| Section::new(heading).with(text);
        let section = |heading: &str, tables: &[Table], text: &str| match tables {
            [] => missing(heading, text),
            tables => tables.iter().cloned().fold(Section::new(heading), Section::with),
        };
        let datasets: Vec<Table> = self.datasets.iter().cloned().collect();
        vec![
            section("Datasets", &datasets, "No experiment's data are known."),
            section("Ranker", &self.ranker, "No ranker is stored, so there is no Table II."),
            section("Overall", &self.overall, "Nothing is stored over all users."),
            section(
                "Published baselines",
                &self.versus,
                "No published baseline with copied numbers is known for these datasets, so there is no Table IV.",
            ),
        ]
    }

    /// Each of them with all methods below it.
    fn all(&self) -> Vec<Section> {
        let mut sections = self.papers();
        for (at, table) in [(1, &self.ranker_in_full), (2, &self.overall_in_full), (3, &self.versus_in_full)]
        {
            if let Some(table) = table {
                sections[at].blocks.push(table.clone().into());
            }
        }
        sections
    }

    fn tests(&self, verdicts: &Verdicts) -> Option<Section> {
        let tables: Vec<&Table> = self.against_reference.iter().chain(&self.other_tests).collect();
        (!tables.is_empty()).then(|| {
            let text = format!(
                "{} over all users, corrected together. Methods are stated in docs/statistics.md.",
                counted(verdicts.family.rows.len(), "paired test")
            );
            let section = Section::new("Tests").with(Prose::from(text));
            tables.into_iter().cloned().fold(section, Section::with)
        })
    }
}

/// Users, |R| and seeds of each dataset: `ML-100K 610 users, |R| 126.4 ± 2.1, 5 seeds`.
fn sizes(blocks: &[Block]) -> String {
    let of = |block: &Block| {
        let mut seeds: Vec<usize> = block.lines.iter().map(|line| line.method.runs.len()).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let seeds = match seeds.as_slice() {
            [one] => counted(*one, "seed"),
            [few, .., many] => format!("{few} to {many} seeds"),
            [] => "no seed".to_owned(),
        };
        let ranker = block.lines.iter().find(|line| line.kind.is_ranker()).or(block.lines.first());
        let found = ranker.and_then(|line| line.means.retrieved());
        let found = found.map_or_else(String::new, |found| format!(", |R| {}", count(&found)));
        format!("{} {} users{found}, {seeds}", block.title, thousands(block.users() as u64))
    };
    let all: Vec<String> = blocks.iter().map(of).collect();
    all.join("; ")
}

fn spread(blocks: &[Block]) -> String {
    let several = blocks.iter().flat_map(|block| &block.lines).any(|line| line.method.runs.len() > 1);
    let text =
        "±: standard deviation over seeds, with n - 1; users are what the intervals and tests add to it.";
    if several { text.to_owned() } else { String::new() }
}

/// Which of the methods are the seed paper's.
fn paper_columns(blocks: &[Block]) -> String {
    let named = |short: &str| {
        blocks.iter().flat_map(|block| &block.lines).any(|line| line.main && line.short == short)
    };
    let mut told: Vec<&str> = Vec::new();
    if named("LlamaRec") {
        told.push("LlamaRec is LRURec re-ranked by Llama-2-7b, the paper's column of that name");
    }
    if named("Llama-3.1-8B") {
        told.push("Llama-3.1-8B is the backbone of the paper's column Our");
    }
    if told.is_empty() { String::new() } else { format!("{}.", told.join("; ")) }
}
