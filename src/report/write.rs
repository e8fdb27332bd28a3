//! Reports on disk.

use std::path::{Path, PathBuf};

use super::sections::{FIGURES, TABLES};
use super::{Error, Report, SCHEMA, document};
use crate::document::{files, parts};
use crate::run::{self, atomic};

const NAME: &str = "report";
/// The file of a report that has all digits.
pub const RESULTS: &str = "results.json";

/// The files that stand in the folder of a report itself; tables and figures are in `tables/` and `figures/`.
pub const WRITTEN: [&str; 4] = ["report.html", "report.md", "report.tex", RESULTS];

/// Write the report in every format to `folder`, creating it: [`WRITTEN`], `tables/` and `figures/`. Tables and figures of an earlier
/// report that this one does not have are removed; files of other names are not touched. Returns the paths of [`WRITTEN`].
///
/// # Errors
/// If a file cannot be written; earlier ones stay then.
pub fn write_report(folder: &Path, report: &Report) -> Result<[PathBuf; 4], Error> {
    let results = folder.join(RESULTS);
    write(folder, report, vec![(results.clone(), atomic::to_json(&results, report)?)])
}

/// Make the files of a report again beside its [`RESULTS`], which stays as it is. Returns the paths of [`WRITTEN`].
///
/// # Errors
/// As [`read_results`] and [`write_report`]; a report that cannot be shown is [`Error::Results`].
pub fn write_again(results: &Path) -> Result<(Report, [PathBuf; 4]), Error> {
    let fail = |what: String| Error::Results { path: results.to_owned(), what };
    if results.file_name().is_none_or(|name| name != RESULTS) {
        return Err(fail(format!("a report's file of results is called {RESULTS}")));
    }
    let report = read_results(results)?;
    let folder = results.parent().unwrap_or(Path::new(""));
    match write(folder, &report, Vec::new()) {
        Ok(paths) => Ok((report, paths)),
        Err(Error::Document(error)) => Err(fail(error.to_string())),
        Err(error) => Err(error),
    }
}

fn write(folder: &Path, report: &Report, mut all: Vec<(PathBuf, Vec<u8>)>) -> Result<[PathBuf; 4], Error> {
    let document = document(report)?;
    // The document as JSON would say what results.json says.
    let json = format!("{NAME}.json");
    let written = files(&document, NAME).into_iter().filter(|file| file.path != json);
    all.extend(written.map(|file| (folder.join(file.path), file.bytes)));
    // Every file that a report may have below `tables/` and `figures/`.
    let ours = parts(TABLES.into_iter(), FIGURES.into_iter());
    atomic::replace_all(&all, ours.map(|name| folder.join(name)))?;
    Ok(WRITTEN.map(|name| folder.join(name)))
}

/// Read a `results.json`. Unknown fields are ignored; another schema is refused.
///
/// # Errors
/// If the file cannot be read or is not of this schema.
pub fn read_results(path: &Path) -> Result<Report, Error> {
    let bytes = std::fs::read(path).map_err(|source| run::Error::read(path, source))?;
    let fail = |what: String| Error::Results { path: path.to_owned(), what };
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| fail(format!("not JSON: {error}")))?;
    match value.get("schema").and_then(serde_json::Value::as_str) {
        Some(SCHEMA) => {
            let report: Report = serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))?;
            if report.seeds.is_empty() { Err(fail("it has no seed".to_owned())) } else { Ok(report) }
        }
        Some(other) => Err(fail(format!("schema is {other}"))),
        None => Err(fail("no schema".to_owned())),
    }
}
