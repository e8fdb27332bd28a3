//! `bench validate`.

use super::args::Selection;
use super::exit::{Exit, Failure};
use super::format::count;
use super::output::Output;
use super::select::{self, Selected};

/// Check experiment files. Problems are the failure of [`select::select`].
pub fn validate(selection: &Selection, out: &mut Output) -> Result<Exit, Failure> {
    let Selected { experiments, abstracts } = select::select(selection)?;
    let files = experiments.len() + abstracts.len();
    let verb = if files == 1 { "is" } else { "are" };
    let mut text = format!("{} {verb} valid", count(files, "experiment file"));
    if !abstracts.is_empty() {
        text.push_str(&format!(" ({} of them for others to inherit from)", abstracts.len()));
    }
    out.say(&text)?;
    Ok(Exit::Ok)
}
