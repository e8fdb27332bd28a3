//! Splitting work over threads. Tasks own what they write, and sums that cross tasks are added in the order of
//! the tasks, whose sizes never depend on the number of threads: so results do not either.

use std::marker::PhantomData;

use rayon::prelude::*;

/// A mutable slice that several tasks write, each its own part.
pub struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: only a pointer; every use states which part is its own.
unsafe impl<T: Send> Send for Shared<'_, T> {}
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Share a slice for the time of one parallel region.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrowed: PhantomData }
    }

    /// The first element.
    #[must_use]
    pub fn pointer(&self) -> *mut T {
        self.start
    }

    /// The part `[from, from + count)`.
    ///
    /// # Safety
    /// No other task may hold a part that overlaps.
    ///
    /// # Panics
    /// When the part is not inside the slice.
    #[must_use]
    #[allow(clippy::mut_from_ref, reason = "disjointness is the caller's promise")]
    pub unsafe fn part(&self, from: usize, count: usize) -> &mut [T] {
        assert!(from <= self.len && count <= self.len - from, "part {from}+{count} of {}", self.len);
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), count) }
    }
}

/// Run `work(0)..work(tasks - 1)` on all threads.
pub fn each(tasks: usize, work: impl Fn(usize) + Sync + Send) {
    if tasks <= 1 {
        (0..tasks).for_each(work);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(work);
    }
}

/// How many of `count` units, each of `cost` floating-point operations, make a task worth a thread: a multiple of
/// `step`, about 16 tasks at most, none below some 50 microseconds.
#[must_use]
pub fn chunk(count: usize, cost: usize, step: usize) -> usize {
    let worthwhile = 2_000_000usize.div_ceil(cost.max(1));
    count.div_ceil(16).max(worthwhile).max(1).next_multiple_of(step)
}
