//! One typed value against its row of the table.

use serde_json::{Value, json};

use super::device_choice::DeviceChoice;
use super::evaluation_spec::SelectBy;
use super::problem::{Place, Problem};
use super::raw::{Entry, Typed};
use super::schema::{Kind, Spec};
use super::settings::{self, FILE_ONLY, SECTIONS};
use super::suggest;

/// A setting with a valid value.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) spec: &'static Spec,
    pub(super) value: Value,
}

/// The setting that an entry means, if the key exists and the value fits.
pub(super) fn entry(entry: &Entry) -> Result<Checked, Problem> {
    let key = entry.key.as_str();
    let problem = |message: String| Problem::new(entry.place.clone(), message);
    if SECTIONS.contains(&key) {
        return Err(problem(format!("{key} is a section, not a setting; it is {}", entry.value.type_name()))
            .help(format!("write settings such as {}", example(key))));
    }
    let Some(spec) = settings::find(key) else {
        if matches!(entry.value, Typed::Table) {
            let problem = problem(format!("{key} is not a section"));
            return Err(match suggest::nearest(key, SECTIONS.iter().copied()) {
                Some(section) => problem.help(format!("did you mean [{section}]?")),
                None => problem.help("docs/formats.md lists the settings"),
            });
        }
        let in_file = matches!(entry.place, Place::File { .. });
        return Err(problem(format!("{key} is not a setting")).help(suggest::for_key(key, in_file)));
    };
    value(spec, &entry.value)
        .map(|value| Checked { spec, value })
        .map_err(|Wrong { message, help }| Problem { place: entry.place.clone(), message, help })
}

/// Whether the key belongs to a file and not to the experiment.
pub(super) fn is_file_only(key: &str) -> bool {
    FILE_ONLY.contains(&key)
}

fn example(section: &str) -> String {
    let row = settings::all().find(|spec| spec.section() == section);
    row.map_or_else(String::new, |spec| spec.key.to_owned())
}

/// What is wrong with a value.
pub(super) struct Wrong {
    message: String,
    help: Option<String>,
}

/// The value in its normal form (numbers as floats where a number is wanted).
fn value(spec: &Spec, typed: &Typed) -> Result<Value, Wrong> {
    let key = spec.key;
    let wrong = |message: String| Wrong { message, help: None };
    let expected = || wrong(format!("{key} is {typed}; expected {}", spec.kind.describe()));
    let other_type = || {
        let found = match typed {
            Typed::Table | Typed::Date | Typed::HugeInteger => format!("{typed}"),
            _ => format!("{typed}, {}", typed.type_name()),
        };
        wrong(format!("{key} is {found}; expected {}", spec.kind.describe()))
    };
    match (&spec.kind, typed) {
        (Kind::Prose, Typed::Text(text)) => Ok(json!(text)),
        (Kind::Text | Kind::File | Kind::NameOrFalse, Typed::Text(text)) => {
            let usable = !text.trim().is_empty() && !text.contains('\0');
            if usable { Ok(json!(text)) } else { Err(expected()) }
        }
        (Kind::FolderName, Typed::Text(text)) => {
            if is_folder_name(text) {
                Ok(json!(text))
            } else {
                Err(expected())
            }
        }
        (Kind::Bool, Typed::Bool(value)) => Ok(json!(value)),
        (Kind::Integer { min, max }, Typed::Integer(value)) => {
            in_range(*value, *min, *max).map(|v| json!(v)).ok_or_else(expected)
        }
        (Kind::Integer { .. }, Typed::HugeInteger) => Err(expected()),
        (Kind::Number(range), Typed::Integer(_) | Typed::Float(_)) => {
            let number = match typed {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "whoever types such a number means the nearest float"
                )]
                Typed::Integer(value) => *value as f64,
                Typed::Float(value) => *value,
                _ => f64::NAN,
            };
            if number.is_finite() && range.contains(number) {
                // -0 and 0 are one setting.
                return Ok(json!(number + 0.0));
            }
            let finite = if number.is_finite() { "" } else { "finite " };
            let range = spec.kind.describe().replacen("a number", &format!("a {finite}number"), 1);
            Err(wrong(format!("{key} is {typed}; expected {range}")))
        }
        (Kind::Choice(choices), Typed::Text(text)) => {
            if choices.contains(&text.as_str()) {
                return Ok(json!(text));
            }
            let help = suggest::nearest(text, choices.iter().copied());
            Err(Wrong { help: help.map(|choice| format!("did you mean \"{choice}\"?")), ..expected() })
        }
        (Kind::Choices(choices), Typed::List(items)) => list_of_choices(key, choices, items),
        (Kind::Distinct { max }, Typed::List(items)) => integers(key, items, &spec.kind, 0, *max, false),
        (Kind::Ascending { max }, Typed::List(items)) => integers(key, items, &spec.kind, 1, *max, true),
        (Kind::Metric, Typed::Text(text)) => {
            text.parse::<SelectBy>().map(|metric| json!(metric)).map_err(|_| expected())
        }
        (Kind::Device, Typed::Text(text)) => {
            text.parse::<DeviceChoice>().map(|device| json!(device)).map_err(|_| expected())
        }
        (Kind::Character, Typed::Text(text)) => {
            let usable =
                text.len() == 1 && text.is_ascii() && !matches!(text.as_str(), "\n" | "\r" | "\"" | "\0");
            if usable { Ok(json!(text)) } else { Err(expected()) }
        }
        (Kind::Column { .. }, Typed::Text(text)) => {
            if text.is_empty() {
                Err(expected())
            } else {
                Ok(json!(text))
            }
        }
        (Kind::Column { .. }, Typed::Integer(value)) => {
            in_range(*value, 1, 100_000).map(|v| json!(v)).ok_or_else(expected)
        }
        (Kind::Column { optional: true } | Kind::NameOrFalse, Typed::Bool(false)) => Ok(json!(false)),
        _ => Err(other_type()),
    }
}

fn in_range(value: i128, min: u64, max: u64) -> Option<u64> {
    u64::try_from(value).ok().filter(|v| (min..=max).contains(v))
}

fn list_of_choices(key: &str, choices: &[&str], items: &[Typed]) -> Result<Value, Wrong> {
    let wrong = |message: String, help: Option<String>| Wrong { message, help };
    let expected = super::schema::one_of(choices, "or");
    let mut names: Vec<&str> = Vec::new();
    for item in items {
        let Typed::Text(name) = item else {
            return Err(wrong(
                format!("{key} holds {item}, {}; expected {expected}", item.type_name()),
                None,
            ));
        };
        if !choices.contains(&name.as_str()) {
            let help =
                suggest::nearest(name, choices.iter().copied()).map(|c| format!("did you mean \"{c}\"?"));
            return Err(wrong(format!("{key} holds {item}; expected {expected}"), help));
        }
        if names.contains(&name.as_str()) {
            return Err(wrong(format!("{key} repeats {item}"), Some("leave it there once".to_owned())));
        }
        names.push(name);
    }
    if names.is_empty() {
        return Err(wrong(format!("{key} is empty; expected at least one of {expected}"), None));
    }
    Ok(json!(names))
}

fn integers(
    key: &str,
    items: &[Typed],
    kind: &Kind,
    min: u64,
    max: u64,
    ascending: bool,
) -> Result<Value, Wrong> {
    let wrong = |message: String, help: &str| Wrong { message, help: Some(help.to_owned()) };
    let example = if ascending { "[5, 10]" } else { "[42]" };
    if items.is_empty() {
        let message = format!("{key} is empty; expected {}", kind.describe());
        return Err(wrong(message, &format!("for example {key} = {example}").replace("evaluation.", "")));
    }
    let mut numbers: Vec<u64> = Vec::new();
    for item in items {
        let number = if let Typed::Integer(value) = item { in_range(*value, min, max) } else { None };
        let Some(number) = number else {
            let message = format!("{key} holds {item}; expected {}", kind.describe());
            return Err(Wrong { message, help: None });
        };
        if numbers.contains(&number) {
            let why =
                if ascending { "leave it there once" } else { "each seed is one run, so all must differ" };
            return Err(wrong(format!("{key} repeats {number}"), why));
        }
        if ascending && numbers.last().is_some_and(|last| *last > number) {
            numbers.push(number);
            return Err(wrong(format!("{key} does not ascend at {number}"), "sort it"));
        }
        numbers.push(number);
    }
    Ok(json!(numbers))
}

fn is_folder_name(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    (1..=100).contains(&text.len())
        && ends(text.chars().next())
        && ends(text.chars().last())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
