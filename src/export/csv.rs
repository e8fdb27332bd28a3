//! Tables as delimited text (RFC 4180, with plain line feeds).

use std::io;

use super::frame::{Column, Frame, Out};

/// Write all frames below one header.
pub(super) fn write_all(out: Out<'_>, frames: &mut dyn Iterator<Item = Frame>) -> io::Result<()> {
    let mut writer = ::csv::Writer::from_writer(out);
    let mut begun = false;
    for frame in frames {
        if !begun {
            writer.write_record(frame.columns.iter().map(|(name, _)| *name))?;
            begun = true;
        }
        for row in 0..frame.rows {
            for (_, column) in &frame.columns {
                writer.write_field(field(column, row))?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
    }
    writer.flush()
}

/// A value as text; nothing for none. Floats are written so that the same value is read back.
fn field(column: &Column, row: usize) -> String {
    match column {
        Column::Same(text) => text.clone().unwrap_or_default(),
        Column::Text(values) => values[row].clone(),
        Column::Number(values) => values[row].map_or_else(String::new, |value| value.to_string()),
        Column::Real(values) => values[row].to_string(),
        Column::Flag(values) => values[row].to_string(),
    }
}
