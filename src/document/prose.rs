//! Running text: words, and the little emphasis that every format has.

use serde::{Deserialize, Serialize};

/// One paragraph. Plain text converts into it: `"12 seeds".into()`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prose(pub Vec<Span>);

/// A stretch of a paragraph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// As it stands.
    Text(String),
    /// Stressed: italic.
    Emphasis(String),
    /// Important: bold.
    Strong(String),
    /// A name from a program or a file: in a typewriter's face.
    Code(String),
    /// A link.
    Link {
        /// What is shown.
        text: String,
        /// Where it leads: `http://`, `https://`, or `#` and the id of a table or figure. [`Document::check`] refuses
        /// all else, so a `javascript:` from somebody's file cannot get into a page.
        ///
        /// [`Document::check`]: super::Document::check
        url: String,
    },
}

impl Prose {
    /// A paragraph that begins with `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self::default().text(text)
    }

    /// Goes on with `text` as it stands.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.with(Span::Text(text.into()))
    }

    /// Goes on with stressed `text`.
    #[must_use]
    pub fn emphasis(self, text: impl Into<String>) -> Self {
        self.with(Span::Emphasis(text.into()))
    }

    /// Goes on with important `text`.
    #[must_use]
    pub fn strong(self, text: impl Into<String>) -> Self {
        self.with(Span::Strong(text.into()))
    }

    /// Goes on with a name from a program.
    #[must_use]
    pub fn code(self, text: impl Into<String>) -> Self {
        self.with(Span::Code(text.into()))
    }

    /// Goes on with a link.
    #[must_use]
    pub fn link(self, text: impl Into<String>, url: impl Into<String>) -> Self {
        self.with(Span::Link { text: text.into(), url: url.into() })
    }

    fn with(mut self, span: Span) -> Self {
        self.0.push(span);
        self
    }

    /// The words alone.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0.iter().map(Span::shown).collect()
    }
}

impl Span {
    /// The words that are shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self {
            Self::Text(text) | Self::Emphasis(text) | Self::Strong(text) | Self::Code(text) => text,
            Self::Link { text, .. } => text,
        }
    }
}

impl From<&str> for Prose {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Prose {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
