//! Two reports as JSON, value by value.

use serde_json::Value;

use super::Difference;

/// Fields that tell when, where, from what (whose content is compared before) and for how long, or what others published; not what came out.
const CIRCUMSTANCES: [&str; 17] = [
    "backbone",
    "bench",
    "code",
    "comparisons",
    "description",
    "key",
    "machine",
    "peak_memory_bytes",
    "preparation",
    "process",
    "published",
    "settings",
    "sources",
    "times",
    "wall_seconds",
    "warnings",
    "what",
];

/// What names an entry of a list: a number, or words.
const NUMBERS: [&str; 2] = ["seed", "step"];
const WORDS: [&str; 5] = ["metric", "rung", "read_out", "method", "label"];

/// What a comparison found.
#[derive(Default)]
pub(super) struct Tree {
    /// Values that were compared.
    pub values: u64,
    /// How many of them stand under the name of a metric.
    pub metrics: u64,
    pub differences: Vec<Difference>,
}

impl Tree {
    /// Every value of `stored` beside that of `replayed`. What only the replay has is of a later version and not looked at.
    pub fn compare(stored: &Value, replayed: &Value) -> Self {
        let mut tree = Self::default();
        tree.walk("", stored, Some(replayed));
        tree
    }

    fn walk(&mut self, path: &str, stored: &Value, replayed: Option<&Value>) {
        match (stored, replayed) {
            (Value::Object(fields), Some(Value::Object(others))) => {
                for (name, value) in fields {
                    if !CIRCUMSTANCES.contains(&name.as_str()) {
                        self.walk(&join(path, name), value, others.get(name));
                    }
                }
            }
            (Value::Array(items), Some(Value::Array(others))) => {
                if items.len() != others.len() {
                    return self.push(
                        path,
                        format!("{} entries", items.len()),
                        format!("{} entries", others.len()),
                    );
                }
                for (at, (item, other)) in items.iter().zip(others).enumerate() {
                    self.walk(&format!("{path}[{}]", name(item, at)), item, Some(other));
                }
            }
            (Value::Object(_) | Value::Array(_), _) => {
                self.push(path, brief(stored), replayed.map_or_else(|| "nothing".to_owned(), brief));
            }
            (leaf, other) => {
                self.values += 1;
                self.metrics += u64::from(path.contains('@'));
                if other != Some(leaf) {
                    self.push(path, brief(leaf), other.map_or_else(|| "nothing".to_owned(), brief));
                }
            }
        }
    }

    fn push(&mut self, path: &str, stored: String, replayed: String) {
        let printed = |text: &str| text.parse::<f64>().ok().map(|value| format!("{value:.4}"));
        let extent = match (printed(&stored), printed(&replayed)) {
            (Some(a), Some(b)) if a == b => format!("both are printed as {a}"),
            _ => String::new(),
        };
        self.differences.push(Difference { what: path.to_owned(), stored, replayed, extent });
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What an entry of a list is called: by what it is of, else by its place.
fn name(item: &Value, at: usize) -> String {
    let numbers = NUMBERS.iter().filter_map(|field| Some(item.get(field)?.as_u64()?.to_string()));
    let words = WORDS.iter().filter_map(|field| Some(item.get(field)?.as_str()?.to_owned()));
    let found: Vec<String> = numbers.chain(words).collect();
    if found.is_empty() { at.to_string() } else { found.join(" ") }
}

/// A value on one line.
fn brief(value: &Value) -> String {
    let text = match value {
        Value::Object(fields) => format!("{} fields", fields.len()),
        Value::Array(items) => format!("{} entries", items.len()),
        Value::String(text) => text.clone(),
        leaf => leaf.to_string(),
    };
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}
