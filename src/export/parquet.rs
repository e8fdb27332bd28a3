//! Tables as Parquet: a row group for each list of a seed, texts in dictionaries.

use std::io;
use std::sync::Arc;

use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, FloatType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::TypePtr;

use super::frame::{Column, Frame, Out};

fn failed(error: ParquetError) -> io::Error {
    match error {
        // So that a full disk is told as one.
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        other => io::Error::other(other),
    }
}

/// Write all frames, a row group each.
pub(super) fn write_all(out: Out<'_>, frames: &mut dyn Iterator<Item = Frame>) -> io::Result<()> {
    let Some(first) = frames.next() else { return Ok(()) };
    let created = format!("bench {}", env!("CARGO_PKG_VERSION"));
    let properties = WriterProperties::builder().set_created_by(created).build();
    let schema = schema(&first).map_err(failed)?;
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(failed)?;
    for frame in std::iter::once(first).chain(frames) {
        let mut group = file.next_row_group().map_err(failed)?;
        for (_, column) in &frame.columns {
            write_column(&mut group, column, frame.rows).map_err(failed)?;
        }
        group.close().map_err(failed)?;
    }
    file.close().map(|_| ()).map_err(failed)
}

/// The columns of a file are those of its first frame.
fn schema(frame: &Frame) -> Result<TypePtr, ParquetError> {
    let field = |(name, column): &(&str, Column)| match column {
        Column::Same(_) | Column::Text(_) => format!("optional binary {name} (STRING);"),
        Column::Number(_) => format!("optional int64 {name};"),
        Column::Real(_) => format!("optional float {name};"),
        Column::Flag(_) => format!("optional boolean {name};"),
    };
    let fields: Vec<String> = frame.columns.iter().map(field).collect();
    parse_message_type(&format!("message table {{ {} }}", fields.join(" "))).map(Arc::new)
}

fn write_column<W: io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column,
    rows: usize,
) -> Result<(), ParquetError> {
    let Some(mut writer) = group.next_column()? else {
        return Err(ParquetError::General("a table has more columns than its file".to_owned()));
    };
    // Every field may be null: level 1 says that a value is there.
    let there = vec![1_i16; rows];
    match column {
        Column::Same(Some(text)) => {
            let values = vec![ByteArray::from(text.as_str()); rows];
            writer.typed::<ByteArrayType>().write_batch(&values, Some(&there), None)?;
        }
        Column::Same(None) => {
            writer.typed::<ByteArrayType>().write_batch(&[], Some(&vec![0; rows]), None)?;
        }
        Column::Text(texts) => {
            let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.as_str())).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, Some(&there), None)?;
        }
        Column::Number(numbers) => {
            let levels: Vec<i16> = numbers.iter().map(|number| i16::from(number.is_some())).collect();
            let values: Vec<i64> = numbers.iter().flatten().copied().collect();
            writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Real(values) => {
            writer.typed::<FloatType>().write_batch(values, Some(&there), None)?;
        }
        Column::Flag(values) => {
            writer.typed::<BoolType>().write_batch(values, Some(&there), None)?;
        }
    }
    writer.close()
}
