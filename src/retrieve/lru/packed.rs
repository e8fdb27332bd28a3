//! Sequences of different lengths laid end to end: no padding is ever computed.

use crate::data::ItemId;
use crate::nn::embedding::{Lists, lists};
use crate::nn::ops::Ops;
use crate::nn::scan;

/// Packed sequences. `# Shapes: tokens, labels (m); starts (sequences + 1)`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// Input ids; 0 is the padding, whose embedding is trained too.
    pub tokens: Vec<u32>,
    /// What each position is to predict; empty when nothing is trained.
    pub labels: Vec<u32>,
    /// Where each sequence begins, and the end of the last.
    pub starts: Vec<u32>,
}

impl Packed {
    /// Empty it, keeping its memory.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.labels.clear();
        self.starts.clear();
        self.starts.push(0);
    }

    /// Append what a training window `s1..sm` asks of the model (protocol section 2).
    ///
    /// Inputs are the last `max_len` of `s1..s(m-1)`, labels the items that follow them. In the reference labels are one longer
    /// than inputs, so while there is room the last padding position predicts `s1` from the padding embedding alone; its state
    /// is not carried on, so it is a sequence of one position.
    pub fn push_window(&mut self, window: &[ItemId], max_len: usize, first_item_label: bool) {
        let Some(first) = window.first() else { return };
        if first_item_label && window.len() <= max_len {
            self.tokens.push(0);
            self.labels.push(first.get());
            self.starts.push(self.tokens.len() as u32);
        }
        let inputs = window.len() - 1;
        let skip = inputs.saturating_sub(max_len);
        if inputs > 0 {
            self.tokens.extend(window[skip..inputs].iter().map(|item| item.get()));
            self.labels.extend(window[skip + 1..].iter().map(|item| item.get()));
            self.starts.push(self.tokens.len() as u32);
        }
    }

    /// Append a history of which only the state after its last item is wanted; an empty one is the padding alone.
    pub fn push_history(&mut self, history: &[ItemId], max_len: usize) {
        let skip = history.len().saturating_sub(max_len);
        if history.is_empty() {
            self.tokens.push(0);
        }
        self.tokens.extend(history[skip..].iter().map(|item| item.get()));
        self.starts.push(self.tokens.len() as u32);
    }
}

/// Packed sequences where the operations find them, with what these need of them.
#[derive(Debug)]
pub struct Batch<I> {
    /// m.
    pub rows: usize,
    /// How many sequences.
    pub sequences: usize,
    /// As [`Packed::tokens`].
    pub tokens: I,
    /// As [`Packed::labels`].
    pub labels: I,
    /// As [`Packed::starts`].
    pub starts: I,
    /// The last row of each sequence.
    pub ends: I,
    /// The first sequence of each group of [`scan::groups`], and the end.
    pub groups: I,
    /// The positions of each token, where something is learnt.
    pub lists: Lists<I>,
}

impl<I> Batch<I> {
    /// With nothing in it.
    pub fn new<O: Ops<Ids = I>>(ops: &O) -> Self {
        let ids = || ops.ids();
        let lists = Lists { ids: ids(), offsets: ids(), rows: ids() };
        Self {
            rows: 0,
            sequences: 0,
            tokens: ids(),
            labels: ids(),
            starts: ids(),
            ends: ids(),
            groups: ids(),
            lists,
        }
    }

    /// Take sequences in.
    ///
    /// # Errors
    /// If the device fails.
    pub fn fill<O: Ops<Ids = I>>(&mut self, ops: &mut O, packed: &Packed) -> Result<(), O::Error> {
        let Packed { tokens, labels, starts } = packed;
        (self.rows, self.sequences) = (tokens.len(), starts.len() - 1);
        ops.set_ids(&mut self.tokens, tokens)?;
        ops.set_ids(&mut self.labels, labels)?;
        ops.set_ids(&mut self.starts, starts)?;
        let ends: Vec<u32> = starts[1..].iter().map(|end| end - 1).collect();
        ops.set_ids(&mut self.ends, &ends)?;
        if labels.is_empty() {
            return Ok(());
        }
        let groups = scan::groups(starts).into_iter().map(|(first, _)| first as u32);
        let groups: Vec<u32> = groups.chain([self.sequences as u32]).collect();
        ops.set_ids(&mut self.groups, &groups)?;
        let lists = lists(tokens);
        ops.set_ids(&mut self.lists.ids, &lists.ids)?;
        ops.set_ids(&mut self.lists.offsets, &lists.offsets)?;
        ops.set_ids(&mut self.lists.rows, &lists.rows)
    }
}

/// The training windows of a set of sequences: `(sequence, first item, one past the last)`.
///
/// A sequence of at least `2 max_len` items is cut from its end into windows of `max_len`; the leading remainder is dropped,
/// or kept as a shorter window with `keep_remainder`. A shorter sequence stays whole.
#[must_use]
pub fn windows(sequences: &[Vec<ItemId>], max_len: usize, keep_remainder: bool) -> Vec<(u32, u32, u32)> {
    let mut windows = Vec::new();
    for (s, sequence) in sequences.iter().enumerate() {
        let (s, n) = (s as u32, sequence.len());
        if n < 2 * max_len {
            windows.push((s, 0, n as u32));
            continue;
        }
        let remainder = n % max_len;
        if keep_remainder && remainder > 0 {
            windows.push((s, 0, remainder as u32));
        }
        windows.extend((remainder..n).step_by(max_len).map(|from| (s, from as u32, (from + max_len) as u32)));
    }
    windows
}
