//! Progress on the standard error: bars on a terminal, plain lines elsewhere, nothing when asked for.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use super::args::Common;
use crate::events::{Event, Reporter};

/// How soon a stage says where it is when nobody looks at a terminal.
const FIRST_LINE: Duration = Duration::from_secs(10);
/// How long it is silent at most.
const LAST_LINE: Duration = Duration::from_secs(120);

/// The reporter that suits the options and the standard error.
pub fn reporter(common: &Common) -> Arc<dyn Reporter> {
    if common.quiet {
        Arc::new(Quiet)
    } else if io::stderr().is_terminal() {
        Arc::new(Bars::default())
    } else {
        Arc::new(Lines::default())
    }
}

/// Warnings alone: whoever wants no progress still wants to know that a result may not be what it seems.
struct Quiet;

impl Reporter for Quiet {
    fn emit(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            line(&format!("warning: {text}"));
        }
    }
}

/// The stage in work.
struct Stage {
    name: String,
    total: Option<u64>,
    unit: &'static str,
    began: Instant,
    /// When a line was written last, and how much was done then.
    told: (Instant, u64),
}

impl Stage {
    fn new(name: &str, total: Option<u64>, unit: &'static str) -> Self {
        let now = Instant::now();
        Self { name: name.to_owned(), total, unit, began: now, told: (now, 0) }
    }

    /// Whether it is time for a line: soon at first, then the rarer the longer it takes.
    fn is_due(&self) -> bool {
        self.told.0.elapsed() >= (self.began.elapsed() / 8).clamp(FIRST_LINE, LAST_LINE)
    }

    fn finished(&self, summary: &str) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        format!("{}: {summary} ({seconds:.1} s)", self.name)
    }
}

/// Plain lines without control characters.
#[derive(Default)]
struct Lines(Mutex<Option<Stage>>);

impl Reporter for Lines {
    fn emit(&self, event: Event<'_>) {
        let mut stage = lock(&self.0);
        match event {
            Event::Started { stage: name, total, unit } => *stage = Some(Stage::new(name, total, unit)),
            Event::Advanced { done, detail } => {
                let Some(stage) = stage.as_mut().filter(|stage| stage.is_due()) else { return };
                line(&progress_line(stage, done, detail));
                stage.told = (Instant::now(), done);
            }
            Event::Finished { summary } => {
                let text = stage.take().map_or_else(|| summary.to_owned(), |stage| stage.finished(summary));
                line(&text);
            }
            Event::Note(text) => line(text),
            Event::Warning(text) => line(&format!("warning: {text}")),
        }
    }
}

fn progress_line(stage: &Stage, done: u64, detail: &str) -> String {
    let Stage { name, total, unit, told: (since, before), .. } = stage;
    let rate = done.saturating_sub(*before) as f64 / since.elapsed().as_secs_f64();
    let mut text = match total {
        Some(total) => format!("{name}: {done} of {total} {unit}"),
        None => format!("{name}: {done} {unit}"),
    };
    text.push_str(&format!(", {} {unit}/s", of_rate(rate)));
    if let Some(left) = total.map(|total| total.saturating_sub(done) as f64 / rate)
        && left.is_finite()
    {
        // Training may stop early, so a total is a bound.
        text.push_str(&format!(", at most {} left", HumanDuration(Duration::from_secs_f64(left))));
    }
    if !detail.is_empty() {
        text.push_str(&format!("; {detail}"));
    }
    text
}

/// A rate in as many places as its size asks for: a step of a large model takes seconds.
fn of_rate(rate: f64) -> String {
    if rate < 9.95 { format!("{rate:.2}") } else { format!("{rate:.0}") }
}

/// A bar for the stage in work, and lines above it.
#[derive(Default)]
struct Bars(Mutex<Option<(Stage, ProgressBar)>>);

impl Reporter for Bars {
    fn emit(&self, event: Event<'_>) {
        let mut slot = lock(&self.0);
        match event {
            Event::Started { stage, total, unit } => {
                let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
                bar.set_style(style(total.is_some(), unit));
                bar.set_prefix(stage.to_owned());
                bar.enable_steady_tick(Duration::from_millis(200));
                *slot = Some((Stage::new(stage, total, unit), bar));
            }
            Event::Advanced { done, detail } => {
                if let Some((_, bar)) = slot.as_ref() {
                    bar.set_position(done);
                    bar.set_message(detail.to_owned());
                }
            }
            Event::Finished { summary } => match slot.take() {
                Some((stage, bar)) => {
                    bar.finish_and_clear();
                    line(&stage.finished(summary));
                }
                None => line(summary),
            },
            Event::Note(text) => above(&slot, text),
            Event::Warning(text) => above(&slot, &format!("warning: {text}")),
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if let Some((_, bar)) = lock(&self.0).take() {
            bar.finish_and_clear();
        }
    }
}

fn above(slot: &Option<(Stage, ProgressBar)>, text: &str) {
    match slot {
        Some((_, bar)) => bar.suspend(|| line(text)),
        None => line(text),
    }
}

/// Two lines: where the stage is, and what it has to say.
fn style(known_total: bool, unit: &str) -> ProgressStyle {
    let template = if known_total {
        format!(
            "{{prefix}} [{{bar:16}}] {{human_pos}}/{{human_len}} {unit}, {{rate}}, at most {{eta}} left\n  {{wide_msg}}"
        )
    } else {
        format!("{{prefix}} {{spinner}} {{human_pos}} {unit}, {{elapsed}}")
    };
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // A rate that cannot be written is not worth stopping for.
        let _ = write!(out, "{}/s", of_rate(state.per_sec()));
    };
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("rate", rate)
}

/// A line on the standard error. If it is closed, the work goes on without a listener.
fn line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
