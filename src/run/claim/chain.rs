//! The files of a claim: one by whoever came first, and one more for each owner who took over from a dead one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};

use super::Owner;
use crate::run::machine::sha256_hex;
use crate::run::{Error, atomic};

/// Version of the file.
const VERSION: u32 = 2;
/// What stands before the SHA-256 of all that is before it.
const SEAL: &str = ",\"sha256\":\"";
/// More than any claim has; what is longer is none.
const MOST_BYTES: u64 = 16 << 10;
/// Places of the counter, so that it can be overwritten without moving anything.
const BEAT_PLACES: usize = 12;
/// Links that are followed at most. Each but the last is of an owner who died.
const MOST_LINKS: usize = 10_000;

/// What a claim says, but its counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// 32 hex digits, drawn for this claim alone.
    pub token: String,
    #[serde(flatten)]
    pub owner: Owner,
    /// How long the owner may be silent, in milliseconds.
    pub lease_ms: u64,
}

impl Record {
    /// A claim of this process.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn here(lease: Duration) -> io::Result<Self> {
        let mut token = [0; 16];
        SysRng.try_fill_bytes(&mut token).map_err(io::Error::other)?;
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { version: VERSION, token: hex::encode(token), owner: Owner::here(), lease_ms })
    }

    /// The bytes of the file. All counts below 10^12 give the same length.
    pub fn bytes(&self, beat: u64) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_string(self)?;
        text.pop();
        let seal = sha256_hex(text.as_bytes());
        Ok(format!("{text}{SEAL}{seal}\",\"beat\":{beat:>BEAT_PLACES$}}}\n").into_bytes())
    }

    /// The counter is not under the seal: it changes, and all that is asked of it is that it does.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (sealed, rest) = std::str::from_utf8(bytes).ok()?.rsplit_once(SEAL)?;
        if !rest.starts_with(&sha256_hex(sealed.as_bytes())) {
            return None;
        }
        let record: Self = serde_json::from_slice(bytes).ok()?;
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        // It becomes part of a file's name.
        (record.token.len() == 32 && record.token.bytes().all(digit)).then_some(record)
    }
}

/// A file of a claim.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// The token, or a hash of what cannot be read.
    pub identity: String,
    /// `None` if it is half-written, damaged or of a version that says other things.
    pub record: Option<Record>,
}

impl Link {
    fn new(path: &Path, bytes: Vec<u8>) -> Self {
        let record = Record::read(&bytes);
        let identity = record.as_ref().map_or_else(|| hashed(&[&bytes]), |record| record.token.clone());
        Self { path: path.to_owned(), bytes, identity, record }
    }
}

fn hashed(parts: &[&[u8]]) -> String {
    sha256_hex(&parts.concat())[..32].to_owned()
}

/// The place of whoever takes over from `identity`.
pub(super) fn successor(root: &Path, identity: &str) -> PathBuf {
    let mut name = root.as_os_str().to_owned();
    name.push(".");
    name.push(identity);
    PathBuf::from(name)
}

/// The links from the first to the one that holds the claim now; none if nobody does.
pub(super) fn walk(root: &Path) -> Result<Vec<Link>, Error> {
    let mut chain: Vec<Link> = Vec::new();
    let mut place = root.to_owned();
    while let Some(bytes) = read(&place).map_err(|error| Error::read(&place, error))? {
        let mut link = Link::new(&place, bytes);
        if chain.iter().any(|known| known.identity == link.identity) {
            // A copied file must not lead in a circle.
            link.identity = hashed(&[place.as_os_str().as_encoded_bytes(), &link.bytes]);
        }
        place = successor(root, &link.identity);
        chain.push(link);
        if chain.len() == MOST_LINKS {
            break;
        }
    }
    Ok(chain)
}

/// Put a file at `place` if there is none; whether it is ours then. Nobody sees a part of it where the file system has hard links.
pub(super) fn create(place: &Path, bytes: &[u8], links: bool) -> Result<bool, Error> {
    let fail = |source| Error::write(place, source);
    let folder = place.parent().unwrap_or(Path::new(""));
    let mut temporary = atomic::temporary_in(folder, place).map_err(fail)?;
    temporary.write_all(bytes).map_err(fail)?;
    // Closed, so that a network's file system shows all of it to others.
    let temporary = temporary.into_temp_path();
    let linked =
        if links { fs::hard_link(&temporary, place) } else { Err(io::ErrorKind::Unsupported.into()) };
    match linked {
        Ok(()) => Ok(true),
        // The answer to an earlier try of the system's may have been lost on the way.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(read(place).map_err(|error| Error::read(place, error))?.is_some_and(|found| found == bytes))
        }
        // No hard links here. A reader may see it half-written and will wait for the rest.
        Err(_) => match OpenOptions::new().write(true).create_new(true).open(place) {
            Ok(mut file) => match file.write_all(bytes) {
                Ok(()) => Ok(true),
                Err(source) => {
                    drop(file);
                    let _ = fs::remove_file(place);
                    Err(fail(source))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(fail(source)),
        },
    }
}

/// Overwrite the file of `record` in place with another count; whether it is still ours. A file that has come in its place is not
/// touched: it is another file, whatever its name.
pub(super) fn rewrite(path: &Path, record: &Record, beat: u64) -> bool {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        // Anything but its absence may pass.
        Err(error) => return !is_gone(&error),
    };
    let Ok(found) = bounded(&file) else { return true };
    if Link::new(path, found).identity != record.token {
        return false;
    }
    // If it fails, the next beat may not.
    let _ = record.bytes(beat).and_then(|bytes| file.rewind().and_then(|()| file.write_all(&bytes)));
    true
}

/// Remove our file from a place that leads nowhere.
pub(super) fn discard(place: &Path, token: &str) {
    if let Ok(Some(bytes)) = read(place)
        && Link::new(place, bytes).identity == token
    {
        let _ = fs::remove_file(place);
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match File::open(path).and_then(|file| bounded(&file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn bounded(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_gone(error: &io::Error) -> bool {
    // The latter: removed on a server by another machine while it was open here.
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle)
}
