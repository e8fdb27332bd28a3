//! The header of a safetensors file: 8 bytes of its length (little-endian), JSON, then the numbers of all tensors end to end.
//!
//! Read here and not by the safetensors crate, whose errors name neither file nor, mostly, tensor, and which takes
//! the last of two tensors of one name. Nothing is believed: a length is compared with the file before anything is
//! allocated, and the tensors must fill the file without overlap.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::WeightsError;

/// Longer headers are refused, as by the safetensors crate.
const MAX_HEADER: u64 = 100_000_000;

/// A tensor in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// As the file writes it: `F32`, `BF16`, ...
    pub dtype: String,
    pub shape: Vec<usize>,
    /// First byte in the file.
    pub begin: usize,
    /// One past its last byte.
    pub end: usize,
}

/// The tensors of the safetensors file `bytes`, by name.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Entry>, WeightsError> {
    let damaged = |problem: String| WeightsError::Damaged { path: path.to_owned(), problem };
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(WeightsError::Pointer { path: path.to_owned() });
    }
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(damaged(format!(
            "{} bytes, expected at least the 8 of a safetensors header",
            bytes.len()
        )));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER || length > rest.len() as u64 {
        return Err(damaged(format!(
            "the header is said to have {length} bytes, but {} follow, and at most {MAX_HEADER} are read",
            rest.len()
        )));
    }
    let (header, data) = rest.split_at(length as usize);
    let Listed(listed) = serde_json::from_slice(header)
        .map_err(|error| damaged(format!("the header is not that of a safetensors file: {error}")))?;
    let start = 8 + header.len();
    let mut entries = BTreeMap::new();
    for (name, Raw { dtype, shape, data_offsets: (begin, end) }) in listed {
        if begin > end || end > data.len() as u64 {
            return Err(damaged(format!(
                "{name} should have bytes {begin} to {end}, but {} bytes follow the header",
                data.len()
            )));
        }
        let size = width(&dtype);
        let needed = shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n));
        let needed = needed.and_then(|elements| elements.checked_mul(size.unwrap_or(1)));
        if needed.is_none() || size.is_some() && needed != Some(end - begin) {
            return Err(damaged(format!(
                "{name} has {} bytes, which is not the size of {shape:?} numbers of type {dtype}",
                end - begin
            )));
        }
        let shape = shape.iter().map(|n| *n as usize).collect();
        let entry = Entry { dtype, shape, begin: start + begin as usize, end: start + end as usize };
        if entries.insert(name.clone(), entry).is_some() {
            return Err(damaged(format!("{name} is listed twice")));
        }
    }
    let mut order: Vec<(&String, &Entry)> = entries.iter().collect();
    order.sort_by_key(|(_, entry)| (entry.begin, entry.end));
    let mut at = start;
    for (name, entry) in order {
        if entry.begin != at {
            return Err(damaged(format!(
                "{name} begins at byte {}, but the tensor before it ends at byte {at}",
                entry.begin
            )));
        }
        at = entry.end;
    }
    if at != bytes.len() {
        return Err(damaged(format!("the last tensor ends at byte {at}, but the file has {}", bytes.len())));
    }
    Ok(entries)
}

/// Bytes of a number, for the types that are read.
pub(super) fn width(dtype: &str) -> Option<u64> {
    match dtype {
        "F32" => Some(4),
        "F16" | "BF16" => Some(2),
        _ => None,
    }
}

/// What the JSON says of a tensor.
#[derive(Deserialize)]
struct Raw {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The entries of the header in their order, names twice included.
struct Listed(Vec<(String, Raw)>);

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Listed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Listed(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
