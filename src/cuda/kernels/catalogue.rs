//! The walk over the catalogue (`catalogue.cu`).

use super::{Kernels, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Array, Slice};
use crate::cuda::machine::Shape;

/// Users of a block.
const USERS: usize = 32;

/// Who a catalogue is walked for. `# Shapes: states (users, d), targets (users), masks (offsets[users]), offsets (users + 1)`
#[derive(Clone, Copy)]
pub struct Walk<'a> {
    /// d.
    pub width: usize,
    /// How many items each user gets.
    pub k: usize,
    /// What an item scores that cannot be retrieved.
    pub masked: f32,
    /// Of each user.
    pub states: Slice<'a, f32>,
    /// (v, d); row 0 is the padding.
    pub weight: Slice<'a, f32>,
    /// (v).
    pub bias: Slice<'a, f32>,
    /// The item whose rank is wanted.
    pub targets: Slice<'a, u32>,
    /// Items that cannot be retrieved, ascending for each user.
    pub masks: Slice<'a, u32>,
    /// Where those of each user begin, and the end.
    pub offsets: Slice<'a, u32>,
}

/// What a walk finds. `# Shapes: candidates, scores (users, k); better, tied, filled (users)`
pub struct Walked {
    /// The best items, best first, as far as they got in.
    pub candidates: Array<u32>,
    /// Their scores.
    pub scores: Array<f32>,
    /// How many items come before the target.
    pub better: Array<u32>,
    /// Whether another item scores as much as the target.
    pub tied: Array<u32>,
    /// How many items got in.
    pub filled: Array<u32>,
}

impl Kernels {
    /// What `retrieve::catalogue::retrieve` finds: best items and target ranks of every user.
    ///
    /// # Errors
    /// As all functions here.
    pub fn walk(&self, walk: Walk<'_>) -> Result<Walked, Error> {
        let Walk { width: d, k, masked, states, weight, bias, targets, masks, offsets } = walk;
        let (users, v) = (targets.len(), bias.len());
        assert!(states.len() == users * d && weight.len() == v * d && offsets.len() == users + 1, "walk");
        let mut walked = Walked {
            candidates: Array::new(&self.machine),
            scores: Array::new(&self.machine),
            better: Array::new(&self.machine),
            tied: Array::new(&self.machine),
            filled: Array::new(&self.machine),
        };
        walked.candidates.zeros(users * k)?;
        walked.scores.zeros(users * k)?;
        for array in [&mut walked.better, &mut walked.tied, &mut walked.filled] {
            array.reset(users)?;
        }
        let (s, w, b, t) = (states.at(), weight.at(), bias.at(), targets.at());
        let (masks, offsets) = (masks.at(), offsets.at());
        let (candidates, scores) = (walked.candidates.all().at(), walked.scores.all().at());
        let (better, tied, filled) =
            (walked.better.all().at(), walked.tied.all().at(), walked.filled.all().at());
        let arguments = arguments![
            s,
            w,
            b,
            t,
            masks,
            offsets,
            masked,
            users as u32,
            v as u32,
            d as u32,
            k as u32,
            candidates,
            scores,
            better,
            tied,
            filled
        ];
        self.launch("walk_catalogue", Shape::blocks(users.div_ceil(USERS), 1, 1), arguments)?;
        Ok(walked)
    }
}
