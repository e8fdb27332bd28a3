//! Tables of text, in the style of reports.

use comfy_table::{Attribute, Cell, Table};

use crate::document::{TerminalStyle, ruled_table};

/// An empty table with a header.
pub fn table(style: TerminalStyle, header: &[&str]) -> Table {
    let mut table = ruled_table(style.colour, style.unicode);
    let bold = |text: &&str| {
        let cell = Cell::new(text);
        if style.colour { cell.add_attribute(Attribute::Bold) } else { cell }
    };
    table.set_header(header.iter().map(bold));
    table
}
