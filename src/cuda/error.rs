//! What can go wrong with a device.

/// A failure of a device or its driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The driver or the device refused something.
    #[error("{device}: {what}: {said}")]
    Device {
        /// Which device.
        device: String,
        /// What was asked of it.
        what: String,
        /// What the driver said.
        said: String,
    },
    /// Not enough memory.
    #[error(
        "{device}: {needed} bytes of memory are needed and {free} of {total} are free; end what else uses it, choose another device, or use \
         device = \"cpu\""
    )]
    Memory {
        /// Which device.
        device: String,
        /// What was to be allocated.
        needed: u64,
        /// What is free.
        free: u64,
        /// What there is in all.
        total: u64,
    },
}
