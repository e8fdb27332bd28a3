//! Pinned memory of the host, through which small uploads go without a wait.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::slice;

use cudarc::driver::result::{self, DriverError};

/// Bytes in all; an upload of more goes its own way.
const SIZE: usize = 4 << 20;
/// Uploads begin at multiples of this.
const STEP: usize = 256;

/// Bytes on their way to a device, one upload behind the other. A piece is used again only after everything was waited for.
pub struct Staging {
    at: NonNull<u8>,
    used: usize,
}

// SAFETY: the memory is the process's, and whoever has this is the only one to use it.
unsafe impl Send for Staging {}

impl Staging {
    /// Some pinned memory.
    ///
    /// # Safety
    /// A context is current, and stays until this is dropped.
    ///
    /// # Errors
    /// If the system gives none.
    pub unsafe fn new() -> Result<Self, DriverError> {
        // SAFETY: as above.
        let at = unsafe { result::malloc_host(SIZE, 0) }?;
        let at = NonNull::new(at.cast())
            .ok_or(DriverError(cudarc::driver::sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY))?;
        Ok(Self { at, used: 0 })
    }

    /// Whether so many bytes can go this way.
    pub const fn takes(bytes: usize) -> bool {
        bytes <= SIZE / 4
    }

    /// Whether so many bytes fit behind those that are on their way. If not, they have to be waited for.
    pub const fn fits(&self, bytes: usize) -> bool {
        self.used + bytes <= SIZE
    }

    /// Everything was waited for.
    pub const fn reuse(&mut self) {
        self.used = 0;
    }

    /// A copy of the bytes that stays until [`Staging::reuse`].
    ///
    /// # Panics
    /// If they do not fit (a programming error of this crate).
    pub fn keep(&mut self, bytes: &[u8]) -> &[u8] {
        assert!(self.fits(bytes.len()), "{} bytes behind {} of {SIZE}", bytes.len(), self.used);
        // SAFETY: so much is there, and nobody reads it: what was there before was waited for.
        let kept = unsafe { slice::from_raw_parts_mut(self.at.as_ptr().add(self.used), bytes.len()) };
        kept.copy_from_slice(bytes);
        self.used = (self.used + bytes.len()).next_multiple_of(STEP);
        kept
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // SAFETY: it was allocated here.
        let _ = unsafe { result::free_host(self.at.as_ptr().cast::<c_void>()) };
    }
}
