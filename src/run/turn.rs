//! Whose turn a cell is: it is stored, this process may compute it, or another one does.

use super::{CellKey, Claim, Claims, Error, Expected, Found, Stage, Store, Taken, Turn};
use crate::events::{Event, Reporter};

/// What a process that has its turn finds.
#[derive(Debug)]
pub enum Work<C> {
    /// Nothing to do.
    Stored(C),
    /// The cell is to be computed; the claim on it is to be kept until it is stored.
    ToDo(Claim),
}

impl<C: Stage> Store<C> {
    /// The whole cell of a key; a damaged one is set aside with a warning that it is computed again.
    ///
    /// # Errors
    /// As [`Store::load_as`].
    pub fn stored(
        &self,
        key: &CellKey,
        expected: Option<&Expected<'_>>,
        reporter: &dyn Reporter,
    ) -> Result<Option<C>, Error> {
        Ok(match self.load_as(key, expected)? {
            Found::Complete(cell) => Some(*cell),
            Found::Missing => None,
            Found::Damaged(damage) => {
                reporter.emit(Event::Warning(&damage.to_string()));
                None
            }
        })
    }

    /// The cell of a key, or the claim to compute it, or who is at it. `what` it is, in words, begins what is told of it.
    ///
    /// # Errors
    /// If it cannot be read, or not be claimed.
    pub fn turn(
        &self,
        (key, expected): (&CellKey, &Expected<'_>),
        claims: &Claims,
        (what, reporter): (&str, &dyn Reporter),
    ) -> Result<Turn<Work<C>>, Error> {
        let stored = || -> Result<Option<C>, Error> {
            let found = self.stored(key, Some(expected), reporter)?;
            if found.is_some() {
                reporter.emit(Event::Note(&format!("{what}: stored already as {key}")));
            }
            Ok(found)
        };
        let place = self.claim_path(key);
        if let Some(cell) = stored()? {
            // A process may have been killed between storing the cell and removing what led to it.
            claims.clear(&place);
            self.checkpoints(key, reporter).done();
            return Ok(Turn::Ours(Work::Stored(cell)));
        }
        let Taken { claim, from } = match claims.take(&place)? {
            Turn::Ours(taken) => taken,
            Turn::Theirs(holder) => return Ok(Turn::Theirs(holder)),
        };
        // It may have been finished between the look and the claim.
        if let Some(cell) = stored()? {
            return Ok(Turn::Ours(Work::Stored(cell)));
        }
        if let Some(dead) = from {
            reporter.emit(Event::Note(&format!("{what}: {dead}, is gone; taken over")));
        }
        Ok(Turn::Ours(Work::ToDo(claim)))
    }
}
