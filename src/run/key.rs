//! The name of a piece of work: a hash of everything that its result depends on.

use std::fmt;

use serde_json::Value;

use super::machine::sha256_hex;

/// The content key of a cell: the SHA-256 of its inputs as canonical JSON, in hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellKey(String);

impl CellKey {
    /// The key of `inputs`, which must hold everything that the result depends on (settings, seed, split
    /// fingerprint, stage version) and nothing that it does not (names, paths, threads). The order of keys in objects
    /// does not matter.
    #[must_use]
    pub fn of(inputs: &Value) -> Self {
        Self(canonical_sha256(inputs))
    }

    /// The key that a manifest names; `None` if the text is no key.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// All 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 hex digits: the folder's name.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..16]
    }
}

impl fmt::Display for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// SHA-256 in hex of canonical JSON: without spaces and with sorted keys.
pub(super) fn canonical_sha256(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    sha256_hex(text.as_bytes())
}

/// JSON without spaces and with sorted keys, whatever order the map type keeps.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (at, (name, item)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                canonical(item, out);
            }
            out.push('}');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}
