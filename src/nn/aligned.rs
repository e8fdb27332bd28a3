//! Buffers that start on a cache line, so that 64-byte loads never cross one.

use std::ops::{Deref, DerefMut};

const LINE: usize = 16; // f32s in 64 bytes

/// A reusable f32 buffer on a 64-byte boundary. Growing reallocates and loses the contents; shrinking keeps the memory, so
/// a training loop stops asking the system for pages after its largest batch.
#[derive(Default)]
pub struct Buffer {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::default();
        buffer.reset(len);
        buffer
    }

    /// Make it `len` long with unspecified contents (zeros, or what was there).
    pub fn reset(&mut self, len: usize) -> &mut [f32] {
        if self.data.len() < len + LINE {
            self.data = vec![0.0; len + LINE];
            self.start = offset(self.data.as_ptr());
        }
        self.len = len;
        self
    }

    /// Make it `len` zeros.
    pub fn clear(&mut self, len: usize) -> &mut [f32] {
        self.reset(len).fill(0.0);
        self
    }
}

/// How many f32s after `pointer` the next cache line begins.
#[must_use]
pub fn offset(pointer: *const f32) -> usize {
    let past = (pointer as usize / 4) % LINE;
    (LINE - past) % LINE
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}
