//! `bench bundle`.

use std::path::{Path, PathBuf};

use super::args::{BundleArgs, Common, Selection};
use super::exit::{Exit, Failure};
use super::format::{bytes, count};
use super::output::{self, Output};
use super::{progress, run, select};
use crate::bundle::{self, Privacy};
use crate::pipeline::{self, Bundle};
use crate::report::RESULTS;

/// Pack what a reader needs, or check what somebody packed.
pub fn bundle(args: &BundleArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(path) = &args.check {
        return check(path, out);
    }
    let Some(target) = &args.output else {
        return Err(Failure::new(Exit::Usage, "-o FILE.zip is missing: where the bundle goes"));
    };
    if target.is_dir() {
        let message = format!(
            "-o {}: a folder; expected the file to write, such as -o {}",
            target.display(),
            target.join("bundle.zip").display()
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    let is_report = |path: &PathBuf| path.join(RESULTS).is_file();
    let (reports, files): (Vec<PathBuf>, Vec<PathBuf>) = args.files.iter().cloned().partition(is_report);
    let experiments = if files.is_empty() {
        Vec::new()
    } else {
        select::select_some(&Selection { files, overrides: args.overrides.clone(), ..Selection::default() })?
    };
    let reporter = progress::reporter(common);
    let (folders, privacy) = (run::folders(common), Privacy::here());
    let wanted = Bundle {
        experiments,
        reports,
        summary: args.summary.clone(),
        weights: args.weights,
        partial: args.partial,
        folders: &folders,
        privacy: &privacy,
    };
    let gathered = pipeline::gather(wanted, reporter.as_ref())?;
    if !gathered.rewritten.is_empty() {
        out.say(&format!("private folders were written otherwise in {}", gathered.rewritten.join(", ")))?;
    }
    let packed = bundle::pack(target, &gathered.contents, &privacy).map_err(failure)?;
    out.say(&format!(
        "{} of {}, {}; SHA-256 {}",
        count(packed.files, "file"),
        count(gathered.cells, "cell"),
        bytes(packed.bytes),
        packed.sha256
    ))?;
    out.print(&target.display().to_string())?;
    Ok(Exit::Ok)
}

fn check(path: &Path, out: &mut Output) -> Result<Exit, Failure> {
    let checked = bundle::check(path).map_err(|error| match error {
        error @ bundle::Error::Archive { .. } => Failure::new(Exit::Differs, error),
        error => failure(error),
    })?;
    if checked.problems.is_empty() {
        out.print(&format!(
            "{}: {} with the hashes that are listed, {} that agree with their manifests",
            path.display(),
            count(checked.sound, "file"),
            count(checked.cells, "cell")
        ))?;
        return Ok(Exit::Ok);
    }
    output::error(&Failure::new(Exit::Differs, checked.problems.join("\n")));
    Ok(Exit::Differs)
}

fn failure(error: bundle::Error) -> Failure {
    match error {
        bundle::Error::Run(error) => Failure::from(pipeline::Error::from(error)),
        error => Failure::new(Exit::Invalid, error),
    }
}
