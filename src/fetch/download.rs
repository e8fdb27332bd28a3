//! One file over HTTP: tries, resume, and the checks that what arrived is what the server announced.

use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use ureq::http::{HeaderValue, StatusCode, Uri, header};

use super::part::Part;
use super::record::Expected;
use super::transfer::{self, Head, Message};
use super::{Error, Kind, Options, address, beside, content, error::seconds};
use crate::events::{Event, Interrupt, Reporter};

/// How often an interrupt is looked for.
const POLL: Duration = Duration::from_millis(50);
/// Fewer bytes than this within the stall timeout count as none: a trickle is a stall.
const TRICKLE_BYTES: u64 = 1_024;
/// A try that brings the file this much further does not count against the limit of tries.
const PROGRESS_BYTES: u64 = 4 << 20;
/// Downloads that begin again at byte 0, before the server is given up.
const MAX_RESTARTS: u32 = 3;
/// The longest wait between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// One file to download.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The address: https, or http on this machine.
    pub url: &'a str,
    /// Where the file goes; its folder is there. What has arrived is kept beside it as `TARGET.part`.
    pub target: &'a Path,
    /// `beauty/ratings_Beauty.csv`: what the reader of the progress line sees.
    pub label: &'a str,
    /// The hash that the file must have, where it is known.
    pub expected: Option<&'a Expected>,
    /// The length that the file must have, where it is known.
    pub bytes: Option<u64>,
    /// More bytes than this are refused.
    pub max_bytes: u64,
    /// What the file must look like.
    pub kind: Kind,
    /// What a person does without this program, as a clause.
    pub by_hand: &'a str,
    /// The value of the header `Authorization`, for the server of `url` alone: no redirect takes it elsewhere.
    pub authorization: Option<&'a str>,
    /// What to do about a refusal, as a clause, where that server's answers say more than their status.
    pub advise: Option<&'a Advise<'a>>,
}

/// Makes advice of a refusal; none leaves it to the status.
pub type Advise<'a> = dyn Fn(&Refusal<'_>) -> Option<String> + 'a;

/// A server's answer that no second try will change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The status, such as 403.
    pub status: u16,
    /// The header `X-Error-Code`.
    pub code: Option<&'a str>,
}

/// A file that arrived whole and is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// The server's `ETag`.
    pub etag: Option<String>,
    /// The server's `Last-Modified`.
    pub last_modified: Option<String>,
}

/// Why one try did not bring the whole file.
enum Trouble {
    /// Try again from where it stopped.
    Again { problem: String, wait: Option<Duration> },
    /// What is there cannot be continued: begin again at byte 0.
    Restart(String),
    /// Trying again is useless.
    Fatal(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

fn again(problem: impl Into<String>) -> Trouble {
    Trouble::Again { problem: problem.into(), wait: None }
}

/// Download one file and put it in place, as [`super`] says: resumed, bounded, hashed.
///
/// # Errors
/// When it cannot be had or is not the expected one, or somebody interrupts. What has arrived is kept.
pub fn download(
    job: &Job<'_>,
    options: &Options,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Downloaded, Error> {
    let uri: Uri = job.url.parse().map_err(|_| Error::Mirror { problem: "cannot be read" })?;
    let url = address::shown(&uri);
    let authorization =
        job.authorization.map(|value| HeaderValue::from_str(value).map(sensitive)).transpose();
    let authorization = authorization.map_err(|_| Error::Authorization { url: url.clone() })?;
    let run = Run { job, options, reporter, interrupt, uri, url, authorization };
    let mut part = Part::open(job.target, job.url, interrupt)?;
    if part.bytes() > 0 {
        run.reporter.emit(Event::Note(&format!("{}: going on from byte {}", job.label, part.bytes())));
    }
    let (mut tries, mut restarts, mut furthest) = (0, 0, part.bytes());
    loop {
        if !part.is_complete() {
            tries += 1;
            let trouble = run.attempt(&mut part);
            if let Err(Trouble::Again { .. }) | Err(Trouble::Fatal(_)) = &trouble {
                // Whatever happens next, what has arrived stays. A full disk may refuse even that.
                let _ = part.checkpoint();
            }
            match trouble {
                Ok(()) => {}
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Restart(problem)) => {
                    restarts += 1;
                    if restarts > MAX_RESTARTS {
                        return Err(run.gave_up(problem, tries, &part));
                    }
                    run.warn(&format!("{problem}; starting over"));
                    part.restart()?;
                    continue;
                }
                Err(Trouble::Again { problem, wait }) => {
                    if part.bytes() >= furthest + PROGRESS_BYTES {
                        furthest = part.bytes();
                        tries = 1;
                    }
                    if tries >= options.tries.max(1) {
                        return Err(run.gave_up(problem, tries, &part));
                    }
                    let wait =
                        wait.unwrap_or(options.backoff * 2u32.saturating_pow(tries - 1)).min(MAX_BACKOFF);
                    let next =
                        format!("trying again in {} (try {} of {})", seconds(wait), tries + 1, options.tries);
                    run.warn(&format!("{problem}; {next}"));
                    run.pause(wait, &part)?;
                    continue;
                }
            }
        }
        let sha256 = part.sha256();
        if let Some(expected) = job.expected.filter(|expected| expected.sha256 != sha256) {
            if part.resumed && restarts < MAX_RESTARTS {
                restarts += 1;
                run.warn("the resumed file has the wrong sha256; starting over");
                part.restart()?;
                continue;
            }
            return Err(run.wrong_hash(part, sha256, expected));
        }
        return run.finish(part, sha256);
    }
}

/// One download, with what all of its steps need.
struct Run<'a> {
    job: &'a Job<'a>,
    options: &'a Options,
    reporter: &'a dyn Reporter,
    interrupt: &'a Interrupt,
    uri: Uri,
    /// The address as messages show it.
    url: String,
    authorization: Option<HeaderValue>,
}

/// Marked as one that no log shows.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

impl Run<'_> {
    fn warn(&self, text: &str) {
        self.reporter.emit(Event::Warning(&format!("{}: {text}", self.job.label)));
    }

    /// One request: on success the part is complete.
    fn attempt(&self, part: &mut Part) -> Result<(), Trouble> {
        let resume = part.resume();
        if resume.is_none() && part.bytes() > 0 {
            part.restart()?;
        }
        let messages = transfer::start(self.uri.clone(), resume, self.authorization.clone(), self.options);
        // Until the first answer, name resolution and the connection have their own time.
        let mut patience = self.options.stall_timeout + 2 * self.options.connect_timeout;
        let (mut since, mut arrived) = (Instant::now(), 0);
        loop {
            if self.interrupt.requested() {
                return Err(Trouble::Fatal(self.interrupted(part)));
            }
            let message = match messages.recv_timeout(POLL) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) if since.elapsed() < patience => continue,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(again(self.with_position(&self.stalled(arrived), part)));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(again("the transfer ended without a word"));
                }
            };
            match message {
                Message::Alive => since = Instant::now(),
                Message::Head(head) => {
                    self.judge(&head, part)?;
                    let stage = format!("fetch {}", self.job.label);
                    self.reporter.emit(Event::Started {
                        stage: &stage,
                        total: part.notes.total,
                        unit: "bytes",
                    });
                    self.reporter.emit(Event::Advanced { done: part.bytes(), detail: "" });
                    (since, patience) = (Instant::now(), self.options.stall_timeout);
                }
                Message::Chunk(chunk) => {
                    let after = part.bytes() + chunk.len() as u64;
                    if after > self.job.max_bytes {
                        let problem = format!(
                            "more than {} bytes arrive, the most that this file may have",
                            self.job.max_bytes
                        );
                        part.restart()?;
                        return Err(Trouble::Fatal(self.refused(problem)));
                    }
                    part.append(&chunk)?;
                    self.reporter.emit(Event::Advanced { done: after, detail: "" });
                    arrived += chunk.len() as u64;
                    if arrived >= TRICKLE_BYTES {
                        (since, arrived) = (Instant::now(), 0);
                    } else if since.elapsed() >= patience {
                        return Err(again(self.with_position(&self.stalled(arrived), part)));
                    }
                }
                Message::End => return self.end(part),
                Message::Failed(problem) => return Err(again(self.with_position(&problem, part))),
                Message::Refused(problem) => return Err(Trouble::Fatal(self.refused(problem))),
            }
        }
    }

    /// Decide from status and headers whether the body is the file, or its rest.
    fn judge(&self, head: &Head, part: &mut Part) -> Result<(), Trouble> {
        match head.status {
            200 => {}
            206 if part.bytes() > 0 => return Self::judge_range(head, part),
            416 if part.bytes() > 0 => {
                return Err(Trouble::Restart("the server does not have the rest".to_owned()));
            }
            _ => return Err(self.judge_status(head)),
        }
        let encoding = head.get(header::CONTENT_ENCODING).unwrap_or("identity");
        // Some servers call the .gz file itself an encoding, which it is not.
        if !encoding.eq_ignore_ascii_case("identity") && !matches!(self.job.kind, Kind::Gzip { .. }) {
            return Err(self
                .refused(format!("the server sends the file encoded ({encoding}), which was not asked for"))
                .into());
        }
        let total = head.content_length();
        if total.is_none() && !head.is_chunked() {
            let problem = "the server does not say how long the file is, so a cut would go unnoticed";
            return Err(self.refused(problem.to_owned()).into());
        }
        if let Some((total, bytes)) = total.zip(self.job.bytes).filter(|(total, bytes)| total != bytes) {
            return Err(self.refused(format!("the server offers {total} bytes, expected {bytes}")).into());
        }
        if let Some(total) = total.filter(|&total| total > self.job.max_bytes) {
            let problem = format!(
                "the server offers {total} bytes, more than the {} that this file may have",
                self.job.max_bytes
            );
            return Err(self.refused(problem).into());
        }
        if part.bytes() > 0 {
            self.warn("the server does not go on from there (the file changed, or it cannot); starting over");
        }
        part.restart()?;
        part.notes.total = total;
        part.notes.etag = head.get(header::ETAG).map(str::to_owned);
        part.notes.last_modified = head.get(header::LAST_MODIFIED).map(str::to_owned);
        Ok(())
    }

    /// Whether a partial answer is exactly the missing rest of the same file.
    fn judge_range(head: &Head, part: &mut Part) -> Result<(), Trouble> {
        let restart = |problem: &str| Err(Trouble::Restart(problem.to_owned()));
        let range = head.get(header::CONTENT_RANGE).and_then(content_range);
        let Some((first, last, total)) = range else {
            return restart("the server sends a range without saying which");
        };
        let fits = first == part.bytes() && last.checked_add(1) == Some(total) && first <= last;
        let length_fits = head.content_length().is_none_or(|length| fits && length == last - first + 1);
        if !fits || !length_fits {
            return restart("the server sends another range than was asked for");
        }
        let changed =
            |new: Option<&str>, old: &Option<String>| new.zip(old.as_deref()).is_some_and(|(n, o)| n != o);
        if part.notes.total.is_some_and(|known| known != total)
            || changed(head.get(header::ETAG), &part.notes.etag)
            || changed(head.get(header::LAST_MODIFIED), &part.notes.last_modified)
        {
            return restart("the file changed on the server");
        }
        part.notes.total = Some(total);
        part.resumed = true;
        Ok(())
    }

    /// What a status other than success means for the person who waits.
    fn judge_status(&self, head: &Head) -> Trouble {
        let reason =
            StatusCode::from_u16(head.status).ok().and_then(|s| s.canonical_reason()).unwrap_or_default();
        let status = format!("{} {reason}", head.status).trim_end().to_owned();
        let by_hand = self.job.by_hand;
        let code = head.headers.get("x-error-code").and_then(|value| value.to_str().ok());
        let advised = self.job.advise.and_then(|advise| advise(&Refusal { status: head.status, code }));
        let advice = match (head.status, advised) {
            (408 | 429 | 500..=599, _) => {
                let wait =
                    head.get(header::RETRY_AFTER).and_then(|v| v.parse().ok()).map(Duration::from_secs);
                return Trouble::Again { problem: format!("the server answers {status}"), wait };
            }
            (_, Some(advice)) => advice,
            (401 | 403, _) => format!("it wants to know who asks: {by_hand} with a browser"),
            (404 | 410, _) => {
                format!("the file has moved: look for it from the dataset's home page, or {by_hand}")
            }
            _ => by_hand.to_owned(),
        };
        Trouble::Fatal(Error::Status { url: self.url.clone(), status, advice })
    }

    /// The body ended: is it whole?
    fn end(&self, part: &mut Part) -> Result<(), Trouble> {
        match part.notes.total {
            Some(total) if part.bytes() < total => {
                Err(again(self.with_position("the connection was closed", part)))
            }
            Some(total) if part.bytes() > total => Err(Trouble::Restart(format!(
                "{} bytes arrived where the server announced {total}",
                part.bytes()
            ))),
            None if self.job.bytes.is_some_and(|bytes| part.bytes() != bytes) => Err(Trouble::Restart(
                format!("{} bytes arrived, expected {}", part.bytes(), self.job.bytes.unwrap_or_default()),
            )),
            _ => {
                part.notes.total = Some(part.bytes());
                Ok(part.checkpoint()?)
            }
        }
    }

    /// Wait before the next try.
    fn pause(&self, wait: Duration, part: &Part) -> Result<(), Error> {
        let end = Instant::now() + wait;
        loop {
            if self.interrupt.requested() {
                return Err(self.interrupted(part));
            }
            match end.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => std::thread::sleep(left.min(POLL)),
                _ => return Ok(()),
            }
        }
    }

    fn finish(&self, part: Part, sha256: String) -> Result<Downloaded, Error> {
        if let Err(problem) = content::check(&part.path, self.job.kind, self.interrupt)? {
            let by_hand = self.job.by_hand.to_owned();
            let aside = self.set_aside(part)?;
            return Err(Error::Content { url: self.url.clone(), problem, aside, by_hand });
        }
        if matches!(self.job.kind, Kind::Text) && !content::ends_a_line(&part.path)? {
            self.warn("the last line has no end, so the file may be cut short");
        }
        let bytes = part.bytes();
        let (etag, last_modified) = (part.notes.etag.clone(), part.notes.last_modified.clone());
        part.finish(self.job.target)?;
        let summary = format!("{}: {bytes} bytes, sha256 {sha256}", self.job.label);
        self.reporter.emit(Event::Finished { summary: &summary });
        Ok(Downloaded { bytes, sha256, etag, last_modified })
    }

    /// The words for a window of time in which only `arrived` bytes came.
    fn stalled(&self, arrived: u64) -> String {
        match arrived {
            0 => transfer::stalled(self.options),
            _ => {
                format!("fewer than {TRICKLE_BYTES} bytes arrived in {}", seconds(self.options.stall_timeout))
            }
        }
    }

    fn set_aside(&self, part: Part) -> Result<PathBuf, Error> {
        let aside = beside(self.job.target, ".rejected");
        part.finish(&aside)?;
        Ok(aside)
    }

    fn with_position(&self, problem: &str, part: &Part) -> String {
        match (part.bytes(), part.notes.total) {
            (bytes, Some(total)) => format!("{problem} at byte {bytes} of {total}"),
            (0, None) => problem.to_owned(),
            (bytes, None) => format!("{problem} at byte {bytes}"),
        }
    }

    fn kept(part: &Part) -> Option<String> {
        (part.bytes() > 0).then(|| format!("{} bytes are kept in {}", part.bytes(), part.path.display()))
    }

    fn interrupted(&self, part: &Part) -> Error {
        let kept = Self::kept(part).map(|kept| format!("{kept}, and the next fetch goes on from there"));
        Error::Interrupted { kept: kept.unwrap_or_else(|| "finished files are kept".to_owned()) }
    }

    fn refused(&self, problem: String) -> Error {
        Error::Refused { url: self.url.clone(), problem, by_hand: self.job.by_hand.to_owned() }
    }

    fn gave_up(&self, problem: String, tries: u32, part: &Part) -> Error {
        let kept = Self::kept(part).map(|kept| format!("{kept}: fetch again to go on"));
        Error::GaveUp {
            url: self.url.clone(),
            problem,
            tries,
            kept: kept.unwrap_or_else(|| "fetch again later".to_owned()),
            by_hand: self.job.by_hand.to_owned(),
        }
    }

    fn wrong_hash(&self, part: Part, found: String, expected: &Expected) -> Error {
        let aside = match self.set_aside(part) {
            Ok(aside) => aside,
            Err(error) => return error,
        };
        let next = format!("what arrived is set aside as {}; {}", aside.display(), expected.advice);
        let (expected, origin) = (expected.sha256.clone(), expected.origin.clone());
        Error::WrongHash { url: self.url.clone(), found, expected, origin, next }
    }
}

/// `bytes 5-9/10` as (5, 9, 10).
fn content_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = value.strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, total.parse().ok()?))
}
