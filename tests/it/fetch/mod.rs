//! Fetching from a loopback server that behaves, and from ones that do not.

mod archives;
mod records;
mod redirects;
mod resume;
pub(crate) mod server;
mod transfers;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use bench::events::{Event, Interrupt, Reporter, Silent};
use bench::fetch::{Error, Fetched, Kind, Options, RemoteFile, Upstream, fetch_upstream};
use sha2::{Digest, Sha256};

use server::Server;

/// The patience of tests of impatience.
const SHORT: Duration = Duration::from_millis(500);
/// Where the tests' dataset would be upstream; never asked, for the tests name a mirror.
const URL: &str = "https://upstream.example/data.csv";

/// A dataset of one text file `tiny/data.csv`.
fn text_file(sha256: Option<&str>) -> Upstream {
    one_file("data.csv", sha256, Kind::Text)
}

fn one_file(name: &'static str, sha256: Option<&str>, kind: Kind) -> Upstream {
    let sha256 = sha256.map(|hash| &*hash.to_owned().leak());
    let file = RemoteFile { url: URL, name, sha256, max_bytes: 1 << 20, kind };
    let homepage = "https://upstream.example/";
    Upstream { name: "tiny", folder: "tiny", homepage, files: vec![file].leak() }
}

/// Hardly any wait between tries, and much patience: the machine that runs the tests may be busy.
fn options(server: &Server) -> Options {
    Options {
        mirror: Some(server.base()),
        tries: 3,
        connect_timeout: Duration::from_secs(8),
        stall_timeout: Duration::from_secs(8),
        backoff: Duration::from_millis(5),
        force: false,
    }
}

fn get(upstream: &Upstream, folder: &Path, options: &Options) -> Result<Fetched, Error> {
    fetch_upstream(upstream, folder, options, &Silent, &Interrupt::default())
}

fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.expect_err("this fetch must fail").to_string()
}

/// 300,000 bytes of CSV that differ by `version`.
fn rows(version: u32) -> Vec<u8> {
    let mut text: Vec<u8> =
        (0..).flat_map(|i: u32| format!("u{i},i{},{version}\n", i * 7).into_bytes()).take(299_999).collect();
    text.push(b'\n');
    text
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// `download https://... by hand and save it as ...`
fn by_hand(path: &Path) -> String {
    format!("download {URL} by hand and save it as {}", path.display())
}

/// What lies in a folder but the lock.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".fetch.lock")
        .collect();
    names.sort();
    names
}

/// A temporary data folder, and the path of `tiny/NAME` in it.
fn place(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny").join(name);
    (folder, path)
}

/// Keeps warnings and notes; asks for an interrupt once so many bytes have arrived.
#[derive(Default)]
struct Listener {
    said: Mutex<Vec<String>>,
    interrupt: Interrupt,
    interrupt_at: Option<u64>,
}

impl Listener {
    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

impl Reporter for Listener {
    fn emit(&self, event: Event<'_>) {
        match event {
            Event::Warning(text) | Event::Note(text) => self.said.lock().unwrap().push(text.to_owned()),
            Event::Advanced { done, .. } if self.interrupt_at.is_some_and(|at| done >= at) => {
                self.interrupt.request()
            }
            _ => {}
        }
    }
}
