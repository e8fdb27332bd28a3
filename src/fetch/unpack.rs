//! Unpacking a zip archive that comes from outside. Only expected members leave it, under names that this
//! program chooses; an archive that holds anything hostile is refused whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use zip::ZipArchive;
use zip::result::ZipError;

use super::record::{Expected, persist, temporary};
use super::{Error, Member};
use crate::events::Interrupt;

/// More members than this are refused.
const MAX_MEMBERS: usize = 1_000;
/// No text compresses so well: deflate's own limit is 1,032.
const MAX_RATIO: u64 = 200;
/// Below this many unpacked bytes the ratio says nothing.
const RATIO_FREE_BYTES: u64 = 1 << 20;

/// A member to unpack: what it is, where it goes, what it must be.
pub(super) struct Wanted<'a> {
    pub member: &'a Member,
    pub target: PathBuf,
    pub expected: Option<Expected>,
}

/// A member that was unpacked.
pub(super) struct Unpacked {
    pub path: PathBuf,
    pub bytes: u64,
    pub sha256: String,
}

/// Unpack `wanted` from `archive`: all of them, or none.
pub(super) fn unpack(
    archive: &Path,
    wanted: &[Wanted<'_>],
    interrupt: &Interrupt,
) -> Result<Vec<Unpacked>, Error> {
    let refuse = |problem: String| Error::Archive { path: archive.to_path_buf(), problem };
    let broken = |error: ZipError| match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::file("read", archive, error)
        }
        other => refuse(format!("the archive is damaged ({other})")),
    };
    let file = File::open(archive).map_err(|e| Error::file("read", archive, e))?;
    let mut zip = ZipArchive::new(file).map_err(broken)?;
    inspect(&mut zip).map_err(broken)?.map_err(refuse)?;

    let mut staged: Vec<(NamedTempFile, Unpacked)> = Vec::new();
    for Wanted { member, target, expected } in wanted {
        let Some(index) = zip.index_for_name(member.member) else {
            if member.required {
                return Err(refuse(format!("the archive has no member {}", member.member)));
            }
            continue;
        };
        let mut entry = zip.by_index(index).map_err(broken)?;
        let mut output = temporary(target)?;
        let compressed = entry.compressed_size();
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            if interrupt.requested() {
                return Err(Error::interrupted());
            }
            let n = match entry.read(&mut buffer) {
                Ok(n) => n,
                Err(error) => return Err(refuse(format!("member {} is damaged ({error})", member.member))),
            };
            if n == 0 {
                break;
            }
            // Counted as it comes: the size that the archive declares may be a lie.
            bytes += n as u64;
            bounds(member.member, bytes, compressed, member.max_bytes).map_err(refuse)?;
            hasher.update(&buffer[..n]);
            output.write_all(&buffer[..n]).map_err(|e| Error::file("write", target, e))?;
        }
        let sha256 = hex::encode(hasher.finalize());
        if let Some(expected) = expected.as_ref().filter(|expected| expected.sha256 != sha256) {
            return Err(refuse(format!(
                "member {} has sha256 {sha256}, expected {} ({})",
                member.member, expected.sha256, expected.origin
            )));
        }
        staged.push((output, Unpacked { path: target.clone(), bytes, sha256 }));
    }
    staged.into_iter().map(|(output, unpacked)| persist(output, &unpacked.path).map(|()| unpacked)).collect()
}

/// Refuse an archive that is built to do harm, from its directory alone.
fn inspect(zip: &mut ZipArchive<File>) -> Result<Result<(), String>, ZipError> {
    if zip.len() > MAX_MEMBERS {
        return Ok(Err(format!("the archive has {} members, more than {MAX_MEMBERS}", zip.len())));
    }
    if zip.has_duplicate_names() {
        return Ok(Err("the archive has two members of one name".to_owned()));
    }
    let mut names = BTreeSet::new();
    for index in 0..zip.len() {
        let entry = zip.by_index_data(index)?;
        let name = entry.name()?.into_owned();
        if !is_inside(&name) {
            return Ok(Err(format!("member {name:?} leads out of the folder")));
        }
        if entry.is_symlink() {
            return Ok(Err(format!("member {name:?} is a link")));
        }
        if entry.encrypted() {
            return Ok(Err(format!("member {name:?} is encrypted")));
        }
        if !names.insert(name) {
            return Ok(Err("the archive has two members of one name".to_owned()));
        }
    }
    if zip.has_overlapping_entries()? {
        return Ok(Err("members of the archive share their bytes".to_owned()));
    }
    Ok(Ok(()))
}

/// Whether a member's name stays in the folder it is unpacked to, on any system: no root, no drive, no step up,
/// no backslash, no NUL.
fn is_inside(name: &str) -> bool {
    let bytes = name.as_bytes();
    let has_drive = bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    !name.is_empty()
        && !has_drive
        && !name.starts_with('/')
        && !name.contains(['\\', '\0'])
        && !name.split('/').any(|step| step == "..")
}

/// Whether a member may have grown to `bytes`.
fn bounds(name: &str, bytes: u64, compressed: u64, max_bytes: u64) -> Result<(), String> {
    if bytes > max_bytes {
        return Err(format!("member {name} unpacks to more than the {max_bytes} bytes that it may have"));
    }
    if bytes > RATIO_FREE_BYTES && bytes / MAX_RATIO > compressed {
        return Err(format!("member {name} unpacks to more than {MAX_RATIO} times its size"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_seen() {
        for name in
            ["../a", "a/../../b", "a/..", "/etc/passwd", "C:\\a", "c:a", "a\\b", "\\\\host\\a", "", "a\0b"]
        {
            assert!(!is_inside(name), "{name:?}");
        }
        for name in ["a", "a/b.csv", "a/..b", "a./b", "ml-latest-small/", "a/:b"] {
            assert!(is_inside(name), "{name:?}");
        }
    }
}
