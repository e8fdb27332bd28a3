//! Reports on disk.

use std::path::{Path, PathBuf};

use super::{Error, Report, SCHEMA, markdown};
use crate::run::{self, atomic};

const REPORT: &str = "report.md";
const RESULTS: &str = "results.json";

/// Write `report.md` and `results.json` to `folder`, creating it. Returns the two paths in that order.
///
/// # Errors
/// If they cannot be written; earlier ones stay then.
pub fn write_report(folder: &Path, report: &Report) -> Result<[PathBuf; 2], Error> {
    let [text, results] = [REPORT, RESULTS].map(|name| folder.join(name));
    atomic::write_json(&results, report)?;
    atomic::write(&text, markdown(report).as_bytes())?;
    Ok([text, results])
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
        Some(SCHEMA) => serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string())),
        Some(other) => Err(fail(format!("schema is {other}"))),
        None => Err(fail("no schema".to_owned())),
    }
}
