//! Titles: cut once, tokenized once.

use rayon::prelude::*;

use super::error::Error;
use super::seams::Fixed;
use super::template::Ending;
use super::tokenizer::Tokenizer;

/// The titles of all items as prompts show them. Index i is the item of id i + 1.
#[derive(Debug)]
pub struct Titles {
    shown: Vec<String>,
    cut: usize,
}

impl Titles {
    /// Cut every title at `limit` tokens, as the reference does: its tokens on their own, cut, decoded back to text. The text
    /// is what prompts show, and is tokenized again in its place. Short titles go the same way, so a title shows what the
    /// decoder writes (a tokenizer that normalizes shows the normal form).
    ///
    /// # Errors
    /// [`Error::EmptyTitle`] for a title of blanks, and what the tokenizer refuses.
    pub fn new<S: AsRef<str> + Sync>(
        tokenizer: &Tokenizer,
        titles: &[S],
        limit: usize,
    ) -> Result<Self, Error> {
        let cut = |(i, title): (usize, &S)| {
            let title = title.as_ref();
            if title.trim().is_empty() {
                return Err(Error::EmptyTitle { item: i + 1, title: title.to_owned() });
            }
            let ids = tokenizer.encode(title)?;
            let kept = &ids[..ids.len().min(limit)];
            Ok((tokenizer.decode(kept)?, kept.len() < ids.len()))
        };
        // In the order of the titles, so that the first bad one is reported on any number of threads.
        let all: Vec<_> = titles.par_iter().enumerate().map(cut).collect();
        let mut result = Self { shown: Vec::with_capacity(titles.len()), cut: 0 };
        for one in all {
            let (shown, was_cut) = one?;
            result.shown.push(shown);
            result.cut += usize::from(was_cut);
        }
        Ok(result)
    }

    /// How many titles there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// How many were longer than the limit.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.cut
    }

    /// What prompts show of the title at `index`.
    #[must_use]
    pub fn shown(&self, index: usize) -> &str {
        &self.shown[index]
    }
}

/// The ids of every title with every ending, one after the other.
#[derive(Debug)]
pub(super) struct TitleIds {
    ids: Vec<u32>,
    /// (titles * 3 + 1) where each begins; an unjoinable title is three empty segments.
    starts: Vec<usize>,
    /// How many titles cannot be joined.
    pub unjoinable: usize,
}

impl TitleIds {
    pub(super) fn new(tokenizer: &Tokenizer, fixed: &Fixed, titles: &Titles) -> Result<Self, Error> {
        let all: Vec<_> = titles.shown.par_iter().map(|title| fixed.title(tokenizer, title)).collect();
        let mut result =
            Self { ids: Vec::new(), starts: Vec::with_capacity(all.len() * 3 + 1), unjoinable: 0 };
        result.starts.push(0);
        for segments in all {
            let segments = segments?;
            result.unjoinable += usize::from(segments.is_none());
            for segment in segments.unwrap_or_default() {
                result.ids.extend_from_slice(&segment);
                result.starts.push(result.ids.len());
            }
        }
        Ok(result)
    }

    /// The ids of the title at `index` with `ending`, or nothing if it cannot be joined (a segment is never empty: it has
    /// a line break).
    pub(super) fn segment(&self, index: usize, ending: Ending) -> Option<&[u32]> {
        let at = index * 3 + ending as usize;
        let ids = &self.ids[self.starts[at]..self.starts[at + 1]];
        (!ids.is_empty()).then_some(ids)
    }
}
