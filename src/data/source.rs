//! Input files: found, opened plain or gzip, read line by line, hashed on the way.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::Error;

/// An input file as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path below the data folder where it lies there, the path as given otherwise.
    pub path: String,
    /// Size in bytes, as stored (compressed where it is).
    pub bytes: u64,
    /// SHA-256 of the stored bytes, in hex.
    pub sha256: String,
    /// The last line, if no line end closes it: text that was cut off inside its last value looks like this, and
    /// nothing else tells.
    pub unclosed_line: Option<u64>,
}

impl SourceFile {
    /// What to say of a file that nothing closes; `None` where a line end does.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let line = self.unclosed_line?;
        Some(format!(
            "{} ends without a line end, on line {line}: if it was cut off there, that line's last value is wrong; compare its \
             size, {} bytes, with the source's",
            self.path, self.bytes
        ))
    }
}

const BUFFER_BYTES: usize = 1 << 18;

/// No real line comes near this; a binary file without line ends stops here instead of filling the memory.
const LINE_LIMIT_BYTES: usize = 1 << 26;

/// Counts and hashes what passes.
struct Hashed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}

type Raw = BufReader<Hashed>;

enum Input {
    Plain(Raw),
    Gzip(Box<BufReader<MultiGzDecoder<Raw>>>),
}

impl Input {
    fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Plain(reader) => reader,
            Self::Gzip(reader) => reader,
        }
    }
}

/// The lines of a text file, without their ends (LF or CRLF) and without a byte order mark.
pub(crate) struct Lines {
    input: Input,
    path: PathBuf,
    number: u64,
    line: Vec<u8>,
    /// Whether a line end closed the line that was read last.
    closed: bool,
}

impl Lines {
    /// Open `path`; gzip is recognised by its first two bytes, whatever the name.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let refused = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(refused)?;
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, Hashed { file, hash: Sha256::new(), bytes: 0 });
        let gzip = raw.fill_buf().map_err(refused)?.starts_with(&[0x1f, 0x8b]);
        let input = if gzip {
            Input::Gzip(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))))
        } else {
            Input::Plain(raw)
        };
        Ok(Self { input, path: path.to_owned(), number: 0, line: Vec::new(), closed: true })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// 1-based number of the line that was read last.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The line that was read last.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Read the next line; `false` at the end of the file.
    pub(crate) fn advance(&mut self) -> Result<bool, Error> {
        self.line.clear();
        self.number += 1;
        let read = match &mut self.input {
            Input::Plain(reader) => reader.take(LINE_LIMIT_BYTES as u64).read_until(b'\n', &mut self.line),
            Input::Gzip(reader) => reader.take(LINE_LIMIT_BYTES as u64).read_until(b'\n', &mut self.line),
        };
        let n = read.map_err(|source| self.read_error(source))?;
        if n == 0 {
            self.number -= 1;
            return Ok(false);
        }
        self.closed = self.line.last() == Some(&b'\n');
        if self.closed {
            self.line.pop();
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
        } else if n == LINE_LIMIT_BYTES {
            return Err(Error::LongLine {
                path: self.path.clone(),
                line: self.number,
                limit: LINE_LIMIT_BYTES,
            });
        }
        if self.number == 1 {
            if self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            } else if self.line.starts_with(b"\xff\xfe") || self.line.starts_with(b"\xfe\xff") {
                return Err(Error::Utf16 { path: self.path.clone() });
            }
        }
        Ok(true)
    }

    /// Hash what is left of the file and say what it was. `below` is cut from the recorded path.
    pub(crate) fn finish(mut self, below: &Path) -> Result<SourceFile, Error> {
        // A gzip stream that ends early is only noticed when it is read to its end.
        let drained = io::copy(self.input.reader(), &mut io::sink());
        drained.map_err(|source| self.read_error(source))?;
        let mut hashed = match self.input {
            Input::Plain(reader) => reader.into_inner(),
            Input::Gzip(reader) => reader.into_inner().into_inner().into_inner(),
        };
        io::copy(&mut hashed, &mut io::sink())
            .map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(SourceFile {
            path: self.path.strip_prefix(below).unwrap_or(&self.path).display().to_string(),
            bytes: hashed.bytes,
            sha256: hex::encode(hashed.hash.finalize()),
            unclosed_line: (!self.closed).then_some(self.number),
        })
    }

    fn read_error(&self, source: io::Error) -> Error {
        let path = self.path.clone();
        let problem = match (&self.input, source.kind()) {
            (Input::Gzip(_), ErrorKind::UnexpectedEof) => "ends early",
            (Input::Gzip(_), ErrorKind::InvalidInput | ErrorKind::InvalidData) => "is damaged",
            _ => return Error::Read { path, source },
        };
        Error::Gzip { path, problem, source }
    }
}

/// The first of `names` that exists below `folder`; `next` says how to get the first one.
pub(crate) fn find(folder: &Path, names: &[&str], next: &str) -> Result<PathBuf, Error> {
    names
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::Missing { path: folder.join(names[0]), next: next.to_owned() })
}
