//! The two streams, and what may be drawn on them.

use std::io::{self, IsTerminal, Write};

use super::args::{Color, Common};
use super::exit::{Exit, Failure};
use crate::document::TerminalStyle;

/// The standard output for results and the standard error for problems.
pub struct Output {
    quiet: bool,
    style: TerminalStyle,
    /// Whoever read us has gone; nothing more is written.
    closed: bool,
}

impl Output {
    /// As the options and the environment say.
    pub fn new(common: &Common) -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = match common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_colour(),
        };
        Self {
            quiet: common.quiet,
            style: TerminalStyle { colour, unicode: terminal, width: None },
            closed: false,
        }
    }

    /// How tables may look.
    pub fn style(&self) -> TerminalStyle {
        self.style
    }

    /// Text that `--quiet` hides.
    pub fn say(&mut self, text: &str) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.print(text) }
    }

    /// Text that `--quiet` hides where all is well; else it is told beside the errors.
    pub fn say_if(&mut self, text: &str, exit: Exit) -> Result<(), Failure> {
        if !self.quiet || exit == Exit::Ok {
            return self.say(text);
        }
        error(&Failure::new(exit, text.trim()));
        Ok(())
    }

    /// Text that is always printed, with a line end behind it.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(end.as_bytes()));
        self.check(written.and_then(|()| stdout.flush()))
    }

    fn check(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::new(Exit::Output, format!("write to the standard output: {error}"))),
            Ok(()) => Ok(()),
        }
    }
}

/// Tell of a failure. Each line of the message is a problem of its own.
pub fn error(failure: &Failure) {
    for line in failure.message.lines() {
        // If even that fails, there is nobody left to tell.
        let _ = writeln!(io::stderr(), "error: {line}");
    }
}

/// Whether the environment asks for no colours (no-color.org) or has a terminal without them.
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
