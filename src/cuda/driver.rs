//! What finds devices: the driver of NVIDIA, or whatever stands for it.

use std::sync::Arc;

use super::{Absent, Device, Error, Facts, Machine, device};

/// A driver.
pub trait Driver: Send + Sync {
    /// All devices that it sees.
    ///
    /// # Errors
    /// Why there are none that this program can use.
    fn devices(&self) -> Result<Vec<Facts>, Absent>;

    /// A device, ready to work.
    ///
    /// # Errors
    /// As [`Device::open`].
    fn open(&self, ordinal: u32) -> Result<Arc<dyn Machine>, Error>;
}

/// The driver that is installed on this machine, if there is one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Installed;

impl Driver for Installed {
    fn devices(&self) -> Result<Vec<Facts>, Absent> {
        device::devices()
    }

    fn open(&self, ordinal: u32) -> Result<Arc<dyn Machine>, Error> {
        Ok(Device::open(ordinal)?)
    }
}
