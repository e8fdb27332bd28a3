//! What the library tells the outside while it works. The library never prints: it emits events to a
//! [`Reporter`], and the command line draws them (progress bars on a terminal, plain lines in a pipe).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// One thing worth telling the person who waits.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A stage begins; `total` counts `unit`s where the amount of work is known.
    Started { stage: &'a str, total: Option<u64>, unit: &'static str },
    /// `done` units of the current stage are finished; `detail` is a short state such as a loss.
    Advanced { done: u64, detail: &'a str },
    /// The current stage is finished; `summary` is its one-line result.
    Finished { summary: &'a str },
    /// A fact worth a line, such as a cache hit.
    Note(&'a str),
    /// Something that may make the result other than what the reader expects.
    Warning(&'a str),
}

/// Receives events. Implementations must not block for long: training loops call them.
pub trait Reporter: Send + Sync {
    /// Take one event.
    fn emit(&self, event: Event<'_>);
}

/// Drops every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn emit(&self, _event: Event<'_>) {}
}

/// A request to stop at the next safe point (Ctrl-C). Cloned handles share one flag.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Ask every holder of this handle to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked to stop.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Sleep for `time`, or until somebody asks to stop; whether nobody did.
    pub fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while !self.requested() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            // Short for a person, long for a processor.
            thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }
}
