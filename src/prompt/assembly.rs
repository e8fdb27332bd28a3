//! Ids of prompts, joined from the ids of titles.

use super::seams::Fixed;
use super::template::Ending;
use super::titles::TitleIds;

/// Everything that is needed to join a prompt.
#[derive(Debug)]
pub(super) struct Assembly {
    pub fixed: Fixed,
    pub titles: TitleIds,
}

impl Assembly {
    /// Append the ids of a prompt to `out`: indices of titles, from 0. `None`, with `out` as far as it came, if a title cannot
    /// be joined or the history is empty.
    pub(super) fn append(
        &self,
        history: impl ExactSizeIterator<Item = usize>,
        candidates: impl ExactSizeIterator<Item = usize>,
        out: &mut Vec<u32>,
    ) -> Option<()> {
        if history.len() == 0 {
            return None;
        }
        out.extend_from_slice(&self.fixed.opening);
        self.list(history, &self.fixed.numbers, Ending::History, out)?;
        out.extend_from_slice(&self.fixed.middle);
        self.list(candidates, &self.fixed.letters, Ending::Candidates, out)?;
        out.extend_from_slice(&self.fixed.closing);
        Some(())
    }

    fn list(
        &self,
        titles: impl ExactSizeIterator<Item = usize>,
        labels: &[Vec<u32>],
        end: Ending,
        out: &mut Vec<u32>,
    ) -> Option<()> {
        let last = titles.len().wrapping_sub(1);
        for (i, title) in titles.enumerate() {
            out.extend_from_slice(&labels[i]);
            let ending = if i == last { end } else { Ending::Separator };
            out.extend_from_slice(self.titles.segment(title, ending)?);
        }
        Some(())
    }
}
