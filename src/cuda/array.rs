//! Arrays on a device.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use super::{Error, Machine};

/// What an array may hold: plain numbers that are the same bytes on both sides.
///
/// # Safety
/// Every pattern of bits is a value, and there is no padding.
pub unsafe trait Element: Copy + Default + 'static {}
// SAFETY: plain numbers.
unsafe impl Element for f32 {}
// SAFETY: plain numbers.
unsafe impl Element for half::bf16 {}
// SAFETY: plain numbers.
unsafe impl Element for i8 {}
// SAFETY: plain numbers.
unsafe impl Element for u8 {}
// SAFETY: plain numbers.
unsafe impl Element for f64 {}
// SAFETY: plain numbers.
unsafe impl Element for u32 {}
// SAFETY: plain numbers.
unsafe impl Element for u64 {}

/// What activations of a decoder are kept as.
pub trait Activation: Element {
    /// Which of two kernels is for such elements: `[f32, bf16]`.
    fn kernel(names: [&'static str; 2]) -> &'static str;
}
impl Activation for f32 {
    fn kernel([name, _]: [&'static str; 2]) -> &'static str {
        name
    }
}
impl Activation for half::bf16 {
    fn kernel([_, name]: [&'static str; 2]) -> &'static str {
        name
    }
}

/// Numbers in a device's memory. It keeps its memory when it gets shorter.
pub struct Array<T> {
    machine: Arc<dyn Machine>,
    at: u64,
    room: usize,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Element> Array<T> {
    /// An empty one.
    #[must_use]
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        Self { machine: Arc::clone(machine), at: 0, room: 0, len: 0, of: PhantomData }
    }

    /// With the values of a slice.
    ///
    /// # Errors
    /// As [`Array::set`].
    pub fn of(machine: &Arc<dyn Machine>, values: &[T]) -> Result<Self, Error> {
        let mut array = Self::new(machine);
        array.set(values)?;
        Ok(array)
    }

    /// How many numbers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that it holds, which may be more than those of its numbers.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.room * size_of::<T>()
    }

    /// Make it `len` long, with whatever is in it.
    ///
    /// # Errors
    /// If there is not so much memory.
    pub fn reset(&mut self, len: usize) -> Result<(), Error> {
        if len > self.room {
            self.release();
            self.at = self.machine.allocate(len * size_of::<T>())?;
            self.room = len;
        }
        self.len = len;
        Ok(())
    }

    /// Make it `len` zeros.
    ///
    /// # Errors
    /// As [`Array::reset`].
    pub fn zeros(&mut self, len: usize) -> Result<(), Error> {
        self.reset(len)?;
        if len > 0 { self.machine.zero(self.at, len * size_of::<T>()) } else { Ok(()) }
    }

    /// Give it the values of a slice.
    ///
    /// # Errors
    /// If there is not so much memory, or the device fails.
    pub fn set(&mut self, values: &[T]) -> Result<(), Error> {
        self.reset(values.len())?;
        if values.is_empty() { Ok(()) } else { self.machine.upload(self.at, bytes(values)) }
    }

    /// All values.
    ///
    /// # Errors
    /// If the device fails.
    pub fn get(&self) -> Result<Vec<T>, Error> {
        self.all().get()
    }

    /// To read all of it.
    #[must_use]
    pub fn all(&self) -> Slice<'_, T> {
        Slice { machine: &*self.machine, at: self.at, len: self.len, of: PhantomData }
    }

    /// To read a part of it.
    ///
    /// # Panics
    /// When it is not inside (a programming error of this crate).
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Slice<'_, T> {
        self.all().part(range)
    }

    /// To write all of it.
    #[must_use]
    pub fn all_mut(&mut self) -> SliceMut<'_, T> {
        SliceMut { at: self.at, len: self.len, of: PhantomData }
    }

    /// To write a part of it.
    ///
    /// # Panics
    /// As [`Array::part`].
    #[must_use]
    pub fn part_mut(&mut self, range: Range<usize>) -> SliceMut<'_, T> {
        self.all_mut().part(range)
    }

    /// To write two parts of it that share nothing.
    ///
    /// # Panics
    /// When they do, or are not inside (a programming error of this crate).
    #[must_use]
    pub fn two_mut(&mut self, one: Range<usize>, other: Range<usize>) -> (SliceMut<'_, T>, SliceMut<'_, T>) {
        assert!(one.end <= other.start || other.end <= one.start, "{one:?} and {other:?} meet");
        let all = || SliceMut { at: self.at, len: self.len, of: PhantomData };
        (all().part(one), all().part(other))
    }

    fn release(&mut self) {
        if self.room > 0 {
            self.machine.free(self.at);
        }
        (self.room, self.len) = (0, 0);
    }
}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        if self.room > 0 {
            self.machine.free(self.at);
        }
    }
}

/// Numbers of an array that are read.
#[derive(Clone, Copy)]
pub struct Slice<'a, T> {
    machine: &'a dyn Machine,
    at: u64,
    len: usize,
    of: PhantomData<&'a [T]>,
}

impl<'a, T: Element> Slice<'a, T> {
    /// Where it begins on the device.
    #[must_use]
    pub const fn at(self) -> u64 {
        self.at
    }

    /// How many numbers.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// A part of it.
    ///
    /// # Panics
    /// When it is not inside (a programming error of this crate).
    #[must_use]
    pub fn part(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        Self { at: self.at + (range.start * size_of::<T>()) as u64, len: range.len(), ..self }
    }

    /// Its values.
    ///
    /// # Errors
    /// If the device fails.
    pub fn get(self) -> Result<Vec<T>, Error> {
        let mut values = vec![T::default(); self.len];
        if !values.is_empty() {
            self.machine.download(self.at, bytes_mut(&mut values))?;
        }
        Ok(values)
    }
}

/// Numbers of an array that are written.
pub struct SliceMut<'a, T> {
    at: u64,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

impl<T: Element> SliceMut<'_, T> {
    /// Where it begins on the device.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// How many numbers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it.
    ///
    /// # Panics
    /// When it is not inside (a programming error of this crate).
    #[must_use]
    pub fn part(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {}", self.len);
        Self { at: self.at + (range.start * size_of::<T>()) as u64, len: range.len(), ..self }
    }
}

fn bytes<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: elements are plain numbers without padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

fn bytes_mut<T: Element>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: elements are plain numbers for which every pattern of bits is a value.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}
