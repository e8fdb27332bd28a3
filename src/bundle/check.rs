//! Whether a bundle is what its hashes say.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::{Error, SUMS};
use crate::run::{self, Manifest};

/// No list of hashes or manifest is larger.
const MOST_TEXT: u64 = 64 << 20;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Files with the hash that is listed.
    pub sound: usize,
    /// Cells whose manifest agrees with itself and with their files.
    pub cells: usize,
    /// What is wrong, a line each.
    pub problems: Vec<String>,
}

/// Hold every file of a bundle against [`SUMS`], and every cell against its manifest. Nothing is unpacked; a file is never in memory as a
/// whole.
///
/// # Errors
/// If it cannot be read, is no zip, or has no [`SUMS`]. What does not agree is in [`Checked::problems`].
pub fn check(path: &Path) -> Result<Checked, Error> {
    let refuse = |what: String| Error::Archive { path: path.to_owned(), what };
    let file = File::open(path).map_err(|error| run::Error::read(path, error))?;
    let mut zip = ZipArchive::new(io::BufReader::new(file))
        .map_err(|error| refuse(format!("not a sound zip: {error}")))?;
    if zip.has_duplicate_names() {
        return Err(refuse("two files of one name; it was not made by bench".to_owned()));
    }
    let (mut found, mut texts) = (BTreeMap::new(), BTreeMap::new());
    for at in 0..zip.len() {
        let mut entry =
            zip.by_index(at).map_err(|error| refuse(format!("its file {at} is damaged: {error}")))?;
        let name = entry.name().map_err(|error| refuse(error.to_string()))?.into_owned();
        if entry.enclosed_name().is_none() || !entry.is_file() {
            return Err(refuse(format!("{name:?} is no file inside it; it was not made by bench")));
        }
        let keep = name == SUMS || name.ends_with("/manifest.json");
        match read(&mut entry, keep) {
            Ok((hash, text)) => {
                texts.extend(text.map(|text| (name.clone(), text)));
                found.insert(name, Ok(hash));
            }
            Err(error) => drop(found.insert(name, Err(error.to_string()))),
        }
    }
    let sums = texts.remove(SUMS).ok_or_else(|| refuse(format!("it has no {SUMS}")))?;
    let sums = sums.lines().filter_map(|line| line.split_once("  "));
    let sums: BTreeMap<&str, &str> = sums.map(|(hash, name)| (name, hash)).collect();
    let mut checked = Checked::default();
    for (name, hash) in &sums {
        match found.get(*name) {
            None => checked.problems.push(format!("{name}: missing")),
            Some(Err(error)) => checked.problems.push(format!("{name}: damaged: {error}")),
            Some(Ok(sha256)) if sha256 != hash => {
                checked.problems.push(format!("{name}: SHA-256 {sha256}; {SUMS} says {hash}"));
            }
            Some(Ok(_)) => checked.sound += 1,
        }
    }
    for name in found.keys().filter(|name| *name != SUMS && !sums.contains_key(name.as_str())) {
        checked.problems.push(format!("{name}: not in {SUMS}"));
    }
    for (name, text) in &texts {
        let cell = name.strip_suffix("manifest.json").unwrap_or_default();
        match run::parse_manifest(name, text.as_bytes()) {
            Err(what) => checked.problems.push(format!("{name}: {what}")),
            Ok(manifest) => {
                let problems = differing(cell, &manifest, &found);
                checked.cells += usize::from(problems.is_empty());
                checked.problems.extend(problems);
            }
        }
    }
    Ok(checked)
}

/// Files of a cell that are not those of its manifest.
fn differing(
    cell: &str,
    manifest: &Manifest,
    found: &BTreeMap<String, Result<String, String>>,
) -> Vec<String> {
    let files = manifest.files.iter().filter_map(|(file, record)| {
        let name = format!("{cell}{file}");
        match found.get(&name) {
            None => Some(format!("{name}: missing, though the cell's manifest names it")),
            Some(Ok(sha256)) if *sha256 == record.sha256 => None,
            Some(_) => Some(format!("{name}: not what the cell's manifest says")),
        }
    });
    files.collect()
}

/// The hash of a file, and its text where that is wanted.
fn read(entry: &mut impl Read, keep: bool) -> io::Result<(String, Option<String>)> {
    if keep {
        let mut text = Vec::new();
        entry.take(MOST_TEXT + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MOST_TEXT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than any such file"));
        }
        let hash = run::sha256_hex(&text);
        let text =
            String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        return Ok((hash, Some(text)));
    }
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match entry.read(&mut buffer)? {
            0 => return Ok((hex::encode(hasher.finalize()), None)),
            n => hasher.update(&buffer[..n]),
        }
    }
}
