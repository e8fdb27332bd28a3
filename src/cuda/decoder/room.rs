//! Arrays that are there once something is written to them.

use std::sync::Arc;

use crate::cuda::array::{Array, Element, Slice, SliceMut};
use crate::cuda::{Error, Machine};

/// An array on a device, which has no memory before it is written.
pub struct Room<T>(Option<Array<T>>);

impl<T> Default for Room<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Element> Room<T> {
    /// The array.
    ///
    /// # Panics
    /// When nothing was written to it (a programming error of this crate).
    #[must_use]
    pub const fn array(&self) -> &Array<T> {
        self.0.as_ref().expect("an array that was written")
    }

    /// To read all of it.
    ///
    /// # Panics
    /// As [`Room::array`].
    #[must_use]
    pub fn all(&self) -> Slice<'_, T> {
        self.array().all()
    }

    /// How many numbers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Array::len)
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, Array::bytes)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// To change what it holds.
    ///
    /// # Panics
    /// As [`Room::array`].
    #[must_use]
    pub fn held(&mut self) -> SliceMut<'_, T> {
        self.0.as_mut().expect("an array that was written").all_mut()
    }

    /// The array, made on `machine` if there is none.
    pub fn on(&mut self, machine: &Arc<dyn Machine>) -> &mut Array<T> {
        self.0.get_or_insert_with(|| Array::new(machine))
    }

    /// To write `len` numbers to it.
    ///
    /// # Errors
    /// If there is not so much memory.
    pub fn room(&mut self, machine: &Arc<dyn Machine>, len: usize) -> Result<SliceMut<'_, T>, Error> {
        let array = self.on(machine);
        array.reset(len)?;
        Ok(array.all_mut())
    }
}
