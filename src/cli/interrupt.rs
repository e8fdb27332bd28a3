//! Ctrl-C: the first one stops at the next safe point, the second one at once.

use std::sync::Arc;

use super::exit::Exit;
use crate::events::{Event, Interrupt, Reporter};

/// Listen for Ctrl-C and for requests to terminate.
pub fn listen(reporter: &Arc<dyn Reporter>) -> Interrupt {
    let interrupt = Interrupt::default();
    let (handle, reporter) = (interrupt.clone(), Arc::clone(reporter));
    // It fails only where a handler is there already; then that one decides.
    let _ = ctrlc::set_handler(move || {
        if handle.requested() {
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
        handle.request();
        reporter.emit(Event::Note("stopping at the next safe point; once more to stop at once"));
    });
    interrupt
}
