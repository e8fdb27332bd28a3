//! `bench audit`.

use comfy_table::{ColumnConstraint, Width};

use super::args::{AuditArgs, Common};
use super::exit::{Exit, Failure};
use super::format::count;
use super::output::Output;
use super::table::table;
use crate::audit::{Audit, Digits, HiddenUsers, Severity, audit as audit_file};
use crate::baseline::{self, Baseline};
use crate::document::TerminalStyle;
use crate::pipeline;

/// Audit files of published numbers, or those that the program comes with.
pub fn audit(args: &AuditArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let known = pipeline::published(common.baselines_dir.as_deref())?;
    let files = if args.files.is_empty() { known.clone() } else { load(args)? };
    // What is named is held against the rest too; a named file stands for the known one of its paper.
    let mut others = files.clone();
    others.extend(known.into_iter().filter(|other| files.iter().all(|file| file.paper.id != other.paper.id)));
    let audits: Vec<Audit> = files.iter().map(|file| audit_file(file, &others)).collect();
    if args.json {
        let text =
            serde_json::to_string_pretty(&audits).map_err(|error| Failure::new(Exit::Output, error))?;
        out.print(&text)?;
    } else {
        for (file, audited) in files.iter().zip(&audits) {
            out.print(&text(file, audited, out.style()))?;
        }
    }
    let contradicts = audits.iter().any(|audited| audited.count(Severity::Contradiction) > 0);
    Ok(if args.strict && contradicts { Exit::Contradiction } else { Exit::Ok })
}

/// Every problem of every file at once.
fn load(args: &AuditArgs) -> Result<Vec<Baseline>, Failure> {
    let (mut files, mut problems): (Vec<Baseline>, Vec<String>) = (Vec::new(), Vec::new());
    for path in &args.files {
        if path.is_dir() {
            match baseline::load_folder(path) {
                Ok(found) => files.extend(found),
                Err(error) => problems.push(error.to_string()),
            }
            continue;
        }
        match Baseline::load(path) {
            Ok(file) => files.push(file),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(Failure::new(Exit::Invalid, problems.join("\n"))) }
}

fn text(file: &Baseline, audited: &Audit, style: TerminalStyle) -> String {
    let mut text = format!("\n{}: {}\n", audited.path.display(), file.paper.title);
    for hidden in &audited.hidden {
        text.push_str(&format!("{}\n", users(hidden)));
    }
    for claim in &audited.claims {
        let digits = match claim.digits[..] {
            [] => "another number".to_owned(),
            [one] => format!("this, {}", one.name()),
            _ => "this".to_owned(),
        };
        text.push_str(&format!(
            "{}, {}: {}: {} % is claimed; the printed digits give {:.4} %, {digits}\n",
            claim.dataset, claim.table, claim.what, claim.claimed, claim.recomputed
        ));
    }
    let numbers = count(audited.numbers, "printed number");
    if audited.findings.is_empty() {
        text.push_str(&format!("{numbers}, nothing found\n"));
        return text;
    }
    let mut table = table(style, &["severity", "line", "where", "found"]);
    for finding in &audited.findings {
        let place =
            format!("{}, {}\n{}\n{}", finding.dataset, finding.table, finding.check.name(), finding.cells);
        table.add_row([
            finding.severity.name().to_owned(),
            finding.line.to_string(),
            place,
            format!("{}\n{}", finding.numbers, finding.meaning),
        ]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(32)));
    }
    if let Some(column) = table.column_mut(3) {
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(66)));
    }
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_width(120);
    text.push_str(&table.trim_fmt());
    let of = |severity, noun| count(audited.count(severity), noun);
    text.push_str(&format!(
        "\n{numbers}: {}, {}, {}\n",
        of(Severity::Contradiction, "contradiction"),
        of(Severity::Doubt, "doubt"),
        of(Severity::Note, "note")
    ));
    text
}

/// What the digits tell of |R|.
fn users(hidden: &HiddenUsers) -> String {
    let place = format!("{}, {}", hidden.dataset, hidden.tables.join(" and "));
    let of = hidden.users.map_or_else(String::new, |users| format!(" of {users} users"));
    let found = match hidden.count() {
        1 => format!("|R| = {}{of}, the only one for which {}", hidden.retrieved[0].0, hidden.how),
        many => format!("{many} values of |R|{of} for which {}", hidden.how),
    };
    let ways: Vec<String> = hidden
        .digits
        .iter()
        .map(|(one, other)| match other {
            Some(other) if other != one => {
                format!("{} over R and {} over all users", one.name(), other.name())
            }
            _ => one.name().to_owned(),
        })
        .collect();
    let only = if Digits::ALL
        .iter()
        .any(|way| hidden.digits.iter().all(|(one, other)| one == way && other.is_none_or(|o| o == *way)))
    {
        "only if digits were "
    } else {
        "if digits were "
    };
    format!("{place}: {found}; {only}{}", ways.join(", or "))
}
