//! Words of a shell.

use std::path::Path;

use super::Error;

/// `text` as one word of a POSIX shell, whatever is in it.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    // Nothing is special between single quotes but a single quote.
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Words as a command line.
pub fn line<T: AsRef<str>>(words: &[T]) -> String {
    words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// A path that a script and a manifest can hold: from the root, and text.
///
/// # Errors
/// If it is not UTF-8, or has a line end, which some of Slurm's own output could not show.
pub fn absolute(path: &Path) -> Result<String, Error> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match absolute.to_str() {
        Some(text) if !text.contains(['\n', '\r', '\0']) => Ok(text.to_owned()),
        _ => Err(Error::Path { path: path.to_owned() }),
    }
}
