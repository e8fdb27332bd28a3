//! A document as JSON: everything, in full precision, to be read again.

use serde::{Deserialize, Serialize};

use super::{Checked, Document};

/// Name and version of the format.
pub const SCHEMA: &str = "bench.document/1";

#[derive(Serialize)]
struct Written<'a> {
    schema: &'a str,
    document: &'a Document,
}

#[derive(Deserialize)]
struct Read {
    schema: String,
    document: Document,
}

/// The document with its [`SCHEMA`], indented, ending in a newline. [`read_json`] reads it back, numbers to the last bit.
#[must_use]
pub fn json(document: &Checked) -> String {
    let written = Written { schema: SCHEMA, document };
    // Serializing fails for maps without string keys and for failing writers; there is neither.
    let mut text = serde_json::to_string_pretty(&written).unwrap_or_default();
    text.push('\n');
    text
}

/// A document from what [`json`] wrote.
///
/// # Errors
/// The text is not JSON, not a document, or of another schema.
pub fn read_json(text: &str) -> Result<Document, String> {
    let read: Read = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if read.schema != SCHEMA {
        return Err(format!("schema {:?}; expected {SCHEMA:?}", read.schema));
    }
    Ok(read.document)
}
