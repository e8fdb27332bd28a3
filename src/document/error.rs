//! Why a document cannot be printed.

/// What is wrong with a document: where, what was found, what was expected. It is the program's own mistake, not its user's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {title:?}: {place}: {found}; expected {expected}")]
pub struct Error {
    /// The document.
    pub title: String,
    /// The section, table or figure in it.
    pub place: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}
