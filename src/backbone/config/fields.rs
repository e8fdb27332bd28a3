//! The entries of a JSON object, read with every problem kept.

use serde_json::{Map, Value};

/// More than any size in a description; products of two of them fit into 64 bits.
pub(super) const MAX_COUNT: u64 = 1 << 24;

/// An object being read. A value that is wrong is noted as a problem and replaced by one that does no harm.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// `rope_scaling.` or nothing.
    prefix: &'static str,
    pub problems: Vec<String>,
}

impl<'a> Fields<'a> {
    pub fn new(map: &'a Map<String, Value>, prefix: &'static str) -> Self {
        Self { map, prefix, problems: Vec::new() }
    }

    /// An entry that is there and not null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the entry is there, be it null.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn wrong(&mut self, key: &str, found: &Value, expected: &str) {
        let mut found = found.to_string();
        if found.chars().count() > 60 {
            found = found.chars().take(57).chain("...".chars()).collect();
        }
        let prefix = self.prefix;
        self.problem(format!("{prefix}{key} is {found}, expected {expected}"));
    }

    fn missing(&mut self, key: &str) {
        let prefix = self.prefix;
        self.problem(format!("{prefix}{key} is missing"));
    }

    /// A size, if it is there.
    pub fn count(&mut self, key: &str) -> Option<usize> {
        let value = self.get(key)?;
        match value.as_u64() {
            Some(count @ 1..=MAX_COUNT) => usize::try_from(count).ok(),
            _ => {
                self.wrong(key, value, &format!("a whole number from 1 to {MAX_COUNT}"));
                None
            }
        }
    }

    /// A size that must be there.
    pub fn required_count(&mut self, key: &str) -> usize {
        if self.get(key).is_none() {
            self.missing(key);
        }
        self.count(key).unwrap_or(1)
    }

    /// A number above `low` and up to `high`, if it is there.
    pub fn number(&mut self, key: &str, low: f64, high: f64) -> Option<f64> {
        let value = self.get(key)?;
        match value.as_f64().filter(|number| *number > low && *number <= high) {
            Some(number) => Some(number),
            None => {
                self.wrong(key, value, &format!("a number above {low} and up to {high}"));
                None
            }
        }
    }

    /// A number that must be there.
    pub fn required_number(&mut self, key: &str, low: f64, high: f64) -> f64 {
        if self.get(key).is_none() {
            self.missing(key);
        }
        self.number(key, low, high).unwrap_or(high)
    }

    /// true or false; `default` where it is not there.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        value.as_bool().unwrap_or_else(|| {
            self.wrong(key, value, "true or false");
            default
        })
    }

    /// A word, if it is there.
    pub fn word(&mut self, key: &str) -> Option<&'a str> {
        let value = self.get(key)?;
        if value.as_str().is_none() {
            self.wrong(key, value, "a word in quotes");
        }
        value.as_str()
    }

    /// A list of words; empty where it is not there.
    pub fn words(&mut self, key: &str) -> Vec<&'a str> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let words =
            value.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        words.unwrap_or_else(|| {
            self.wrong(key, value, "a list of words");
            Vec::new()
        })
    }

    /// A token id or a list of them; empty where it is not there. A negative id stands for none in some files.
    pub fn ids(&mut self, key: &str) -> Vec<u32> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let one = std::slice::from_ref(value);
        let list = value.as_array().map_or(one, Vec::as_slice);
        if value.as_i64().is_some_and(|id| id < 0) {
            return Vec::new();
        }
        let ids = list
            .iter()
            .map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
            .collect::<Option<Vec<_>>>();
        ids.unwrap_or_else(|| {
            self.wrong(key, value, "a token id or a list of them");
            Vec::new()
        })
    }
}
