//! Tables of text: rules above and below and under the header, as the tables of reports have them.

use comfy_table::{Attribute, Cell, ContentLineStyle, LineStyle, Table, TableStyle};

use crate::report::TerminalStyle;

/// An empty table with a header.
pub fn table(style: TerminalStyle, header: &[&str]) -> Table {
    let rule = LineStyle::none().fill(if style.unicode { '─' } else { '-' });
    let rule = rule.junction(if style.unicode { '─' } else { '-' });
    let space = ContentLineStyle::none();
    let mut table = Table::new();
    table.load_style(
        TableStyle::new()
            .top_border(rule)
            .header_lines(space)
            .header_separator(rule)
            .content_lines(space)
            .bottom_border(rule),
    );
    table.force_no_tty();
    if style.colour {
        table.enforce_styling();
    }
    let bold = |text: &&str| {
        let cell = Cell::new(text);
        if style.colour { cell.add_attribute(Attribute::Bold) } else { cell }
    };
    table.set_header(header.iter().map(bold));
    table
}
