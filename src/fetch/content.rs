//! Whether what arrived looks like the file that was asked for. The first download of a file is trusted and
//! recorded, so a login page or half an archive must not be what is recorded.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{Error, Kind};
use crate::events::Interrupt;

/// Look at the content of `path`; the inner result says what is wrong with it.
pub(super) fn check(path: &Path, kind: Kind, interrupt: &Interrupt) -> Result<Result<(), String>, Error> {
    if matches!(kind, Kind::Bytes) {
        return Ok(Ok(()));
    }
    let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
    let mut start = Vec::new();
    (&file).take(512).read_to_end(&mut start).map_err(|e| Error::file("read", path, e))?;
    if start.is_empty() {
        return Ok(Err("the file is empty".to_owned()));
    }
    let magic: &[u8] = match kind {
        Kind::Bytes | Kind::Text => b"",
        Kind::Json => b"{",
        Kind::Gzip { .. } => b"\x1f\x8b",
        Kind::Zip { .. } => b"PK",
    };
    if start.trim_ascii_start().starts_with(b"<") {
        return Ok(Err("a web page came in place of the file (a login page, or a proxy?)".to_owned()));
    }
    if !start.starts_with(magic) {
        let named = match kind {
            Kind::Json => "JSON object",
            Kind::Zip { .. } => "zip archive",
            _ => "gzip file",
        };
        return Ok(Err(format!("the file is not a {named}")));
    }
    match kind {
        Kind::Gzip { max_unpacked_bytes } => unpacks(path, max_unpacked_bytes, interrupt),
        Kind::Bytes | Kind::Json | Kind::Text | Kind::Zip { .. } => Ok(Ok(())),
    }
}

/// Whether the last byte of a text file is a line end.
pub(super) fn ends_a_line(path: &Path) -> Result<bool, Error> {
    let last = |mut file: File| {
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte == *b"\n")
    };
    File::open(path).and_then(last).map_err(|e| Error::file("read", path, e))
}

/// Whether a gzip file is whole (its checksums fit) and not larger than `limit` bytes inside.
fn unpacks(path: &Path, limit: u64, interrupt: &Interrupt) -> Result<Result<(), String>, Error> {
    let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
    let mut stream = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file));
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        if interrupt.requested() {
            return Err(Error::interrupted());
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(n) => bytes += n as u64,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(Err("the gzip file is cut short".to_owned()));
            }
            Err(error) => return Ok(Err(format!("the gzip file is damaged: {error}"))),
        }
        if bytes > limit {
            return Ok(Err(format!("the gzip file unpacks to more than {limit} bytes")));
        }
    }
}
