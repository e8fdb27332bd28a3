//! Claims: who computes a cell, so that of any number of processes on one store each cell is computed by one.
//!
//! A claim is a file beside the cell's folder, `<key>.claim`, created with its whole content where there was none. Its owner raises a
//! counter in it every few seconds. An owner is dead if its process was on this machine and is gone, or if it is elsewhere and its
//! counter stood still for as long as it allows (its lease), by the clock of whoever watches. No clock of one machine is ever held against
//! that of another, and none that can be set is read.
//!
//! Nobody ever writes over or renames over another's claim. Whoever takes over from a dead owner creates `<key>.claim.<token of the dead>`,
//! which can be done once, for the token was drawn for that claim alone; its claim is that file, and who takes over from it in turn makes
//! a name of its token. So however many see the same death, one of them follows, and one that was slow finds the place taken.
//! The counter is overwritten through the file that was opened, not through its name, so an owner who was only asleep cannot harm who
//! followed it. Removing is for the last in the chain alone: first the first file, which gives the claim free, then the others, which mean
//! nothing without it.
//!
//! What remains: an owner that sleeps for longer than its lease on another machine, and wakes, goes on computing, and so does who took over;
//! and if it wakes to give its claim back at the very moment in which another takes over, a third may come in. Then two compute the same
//! cell. The store is right even so: cells appear whole, the first one stays (see [`Store::save_with`](crate::run::Store::save_with)), and both
//! are the same but for their times.

mod chain;
mod owner;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use chain::{Link, Record};
pub use owner::{Owner, Pulse};

use super::{Error, atomic};

/// How long an owner on another machine may be silent.
const LEASE: Duration = Duration::from_secs(60);
/// The longest that anybody may ask for: what a damaged file says must not stop everybody.
const MOST_LEASE: Duration = Duration::from_secs(3600);
/// Beats in a lease: one may be lost or late.
const BEATS: u32 = 6;
/// Looks that it takes at least to see that an owner is silent: one after a long time alone may mean that the watcher slept.
const LOOKS: u32 = 4;
/// Tries of one call: each fails only because another process did something meanwhile.
const TRIES: usize = 16;

/// Whether something is ours to do, or another process is at it.
#[derive(Debug)]
pub enum Turn<T> {
    /// Ours, or done.
    Ours(T),
    /// Another's.
    Theirs(Holder),
}

/// Who has a claim that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The file.
    pub path: PathBuf,
    /// `None` if the file cannot be read, such as one that is half-written.
    pub owner: Option<Owner>,
}

impl Holder {
    fn of(link: &Link) -> Self {
        Self { path: link.path.clone(), owner: link.record.as_ref().map(|record| record.owner.clone()) }
    }

    /// Whether it is still there, as far as one look can tell.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.owner.as_ref().map_or(Pulse::Unknown, Owner::pulse)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => owner.fmt(f),
            None => write!(f, "whoever wrote {}, which is not readable", self.path.display()),
        }
    }
}

/// A claim that was taken.
#[derive(Debug)]
pub struct Taken {
    /// To be kept until the work is stored.
    pub claim: Claim,
    /// Whose death left it free, if nobody gave it back.
    pub from: Option<Holder>,
}

/// What a process knows of the claims of others.
#[derive(Debug)]
pub struct Claims {
    lease: Duration,
    links: bool,
    seen: Mutex<BTreeMap<PathBuf, Sighting>>,
}

/// What was seen of a claim, by the watcher's own clock.
#[derive(Debug)]
struct Sighting {
    bytes: Vec<u8>,
    last: Instant,
    silent: Duration,
}

impl Default for Claims {
    fn default() -> Self {
        Self::with_lease(LEASE)
    }
}

impl Claims {
    /// With another lease than a minute, for claims that are taken and for files that cannot be read. An owner's own lease stands in its
    /// claim.
    #[must_use]
    pub fn with_lease(lease: Duration) -> Self {
        Self { lease: lease.min(MOST_LEASE), links: true, seen: Mutex::default() }
    }

    /// As on a file system without hard links.
    #[must_use]
    pub fn without_links(self) -> Self {
        Self { links: false, ..self }
    }

    /// Take the claim whose first file is or would be `root`, if nobody has it or its owner is dead. Does not wait. To see that an owner on
    /// another machine is dead, ask again: silence counts from the first call on.
    ///
    /// # Errors
    /// If a file of the claim can be neither read nor written.
    pub fn take(&self, root: &Path) -> Result<Turn<Taken>, Error> {
        let fail = |source: io::Error| Error::write(root, source);
        let record = Record::here(self.lease).map_err(fail)?;
        let bytes = record.bytes(0).map_err(fail)?;
        if let Some(folder) = root.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            atomic::create_dir_all(folder)?;
        }
        let mut holder = Holder { path: root.to_owned(), owner: None };
        for _ in 0..TRIES {
            let chain = chain::walk(root)?;
            let (place, from) = match chain.last() {
                None => (root.to_owned(), None),
                Some(last) => {
                    holder = Holder::of(last);
                    if !self.is_dead(root, last, &holder) {
                        return Ok(Turn::Theirs(holder));
                    }
                    (chain::successor(root, &last.identity), Some(holder.clone()))
                }
            };
            if !chain::create(&place, &bytes, self.links)? {
                continue;
            }
            // What was followed may have been removed meanwhile: a claim is one only at the end of a chain from the first file.
            let chain = chain::walk(root)?;
            let ours = |link: &Link| link.identity == record.token;
            match chain.last() {
                Some(last) if ours(last) => {
                    self.sightings().remove(root);
                    let claim = Claim::start(root, &place, record, self.lease).map_err(fail)?;
                    return Ok(Turn::Ours(Taken { claim, from }));
                }
                // Others took us for dead already; our file leads to theirs.
                Some(last) if chain.iter().any(ours) => return Ok(Turn::Theirs(Holder::of(last))),
                _ => chain::discard(&place, &record.token),
            }
        }
        Ok(Turn::Theirs(holder))
    }

    /// Remove what an owner that died left of its claim on what is stored by now. It is in nobody's way, so nothing is done where that
    /// fails or the owner may be there yet.
    pub fn clear(&self, root: &Path) {
        if root.symlink_metadata().is_ok() {
            drop(self.take(root));
        }
    }

    /// Take it as soon as it is free; `None` if `go_on`, which is called with who has it and should take its time, does not want to wait
    /// any longer.
    ///
    /// # Errors
    /// As [`Claims::take`].
    pub fn wait(&self, root: &Path, mut go_on: impl FnMut(&Holder) -> bool) -> Result<Option<Taken>, Error> {
        loop {
            match self.take(root)? {
                Turn::Ours(taken) => return Ok(Some(taken)),
                Turn::Theirs(holder) if go_on(&holder) => {}
                Turn::Theirs(_) => return Ok(None),
            }
        }
    }

    fn is_dead(&self, root: &Path, last: &Link, holder: &Holder) -> bool {
        let mut seen = self.sightings();
        match holder.pulse() {
            Pulse::Dead => return true,
            Pulse::Alive => {
                seen.remove(root);
                return false;
            }
            Pulse::Unknown => {}
        }
        let asked = last.record.as_ref().map(|record| Duration::from_millis(record.lease_ms));
        let lease = asked.unwrap_or(self.lease).min(MOST_LEASE);
        let now = Instant::now();
        let fresh = || Sighting { bytes: last.bytes.clone(), last: now, silent: Duration::ZERO };
        let sighting = seen.entry(root.to_owned()).or_insert_with(fresh);
        if sighting.bytes != last.bytes {
            *sighting = fresh();
        }
        sighting.silent += now.saturating_duration_since(sighting.last).min(lease / LOOKS);
        sighting.last = now;
        sighting.silent >= lease
    }

    fn sightings(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Sighting>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claim of this process. Dropping it gives it back.
#[derive(Debug)]
pub struct Claim {
    root: PathBuf,
    token: String,
    /// Ends the thread when it is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Claim {
    fn start(root: &Path, place: &Path, record: Record, lease: Duration) -> io::Result<Self> {
        let mut claim = Self { root: root.to_owned(), token: record.token.clone(), stop: None, thread: None };
        let (stop, ended) = mpsc::channel();
        let (root, place) = (root.to_owned(), place.to_owned());
        let thread = Builder::new().name("claim".to_owned());
        claim.thread = Some(thread.spawn(move || beat(&root, &place, &record, lease / BEATS, &ended))?);
        claim.stop = Some(stop);
        Ok(claim)
    }

    /// Whether it is still ours. It is not if this process was silent for longer than its lease and another took over. What is computed
    /// is right even so.
    #[must_use]
    pub fn is_held(&self) -> bool {
        chain::walk(&self.root).is_ok_and(|chain| self.is_last(&chain))
    }

    fn is_last(&self, chain: &[Link]) -> bool {
        chain.last().is_some_and(|last| last.identity == self.token)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let chain = chain::walk(&self.root).unwrap_or_default();
        if self.is_last(&chain) {
            // What cannot be removed is taken over once this process is gone.
            chain.iter().for_each(|link| drop(fs::remove_file(&link.path)));
        }
    }
}

/// Raise the counter until the claim is given back or is another's.
fn beat(root: &Path, place: &Path, record: &Record, every: Duration, ended: &Receiver<()>) {
    let successor = chain::successor(root, &record.token);
    let mut count = 0;
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        count += 1;
        if successor.symlink_metadata().is_ok() || !chain::rewrite(place, record, count) {
            return;
        }
    }
}

/// Who has the claim whose first file is or would be `root`, dead or alive.
///
/// # Errors
/// If a file of it cannot be read.
pub fn holder(root: &Path) -> Result<Option<Holder>, Error> {
    Ok(chain::walk(root)?.last().map(Holder::of))
}
