//! What can go wrong with a device.

/// A failure of a device or its driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such device.
    #[error(transparent)]
    Absent(#[from] Absent),
    /// The kernels do not run on it.
    #[error("{device} has compute capability {}.{}; the kernels need {}.{} or later; use device = \"cpu\"", found.0, found.1, least.0, least.1)]
    Unsupported {
        /// Which device.
        device: String,
        /// Its compute capability.
        found: (i32, i32),
        /// The least one.
        least: (i32, i32),
    },
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
    /// Not the results of the processor.
    #[error(
        "{device}: {what} are not those of the processor to the last bit, so its results would not be either; use device = \"cpu\", and \
         please report it with the output of `bench doctor`"
    )]
    Differs {
        /// Which device.
        device: String,
        /// What differs.
        what: &'static str,
    },
    /// Not the results of the processor, by more than rounding explains.
    #[error(
        "{device}: {what} of a small language model are {by} away from the processor's, and rounding explains no more than {allowed}; use \
         device = \"cpu\", and please report it with the output of `bench doctor`"
    )]
    Deviates {
        /// Which device.
        device: String,
        /// What differs.
        what: &'static str,
        /// By how much, relative to it.
        by: String,
        /// What is allowed.
        allowed: String,
    },
    /// Less memory than is needed.
    #[error(
        "{device} has {} MiB of memory, and {} are needed; choose another device, or use device = \"cpu\"", total >> 20, mib(*needed)
    )]
    Small {
        /// Which device.
        device: String,
        /// What is needed.
        needed: u64,
        /// What there is in all.
        total: u64,
    },
    /// Not enough memory is free.
    #[error(
        "{device}: {} of memory are needed, and {} of {} MiB are free; end what else uses it, choose another device, or use device = \"cpu\"",
        mib(*needed), free >> 20, total >> 20
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

/// Why there is no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Absent {
    /// No driver.
    #[error(
        "no NVIDIA driver is installed here (libcuda.so.1 is not found); install the driver of the device, or use device = \"cpu\""
    )]
    NoDriver,
    /// A driver that is older than the kernels.
    #[error(
        "the NVIDIA driver is for CUDA {}.{}, and the kernels need {}.{} (driver 525 or later); update it, or use device = \"cpu\"",
        found / 1000, found % 1000 / 10, needed / 1000, needed % 1000 / 10
    )]
    OldDriver {
        /// Its CUDA version.
        found: i32,
        /// The least one.
        needed: i32,
    },
    /// A driver without a device.
    #[error(
        "the NVIDIA driver sees no device; is one attached, and does CUDA_VISIBLE_DEVICES hide it? Else use device = \"cpu\""
    )]
    NoDevice,
    /// A number that no device has.
    #[error("there is no cuda:{ordinal}; the NVIDIA driver sees {count}: {}; choose another, or use device = \"cpu\"", list(*count))]
    NoSuch {
        /// The number.
        ordinal: u32,
        /// How many there are.
        count: usize,
    },
    /// A driver that does not work.
    #[error("the NVIDIA driver refuses to work: {said}; `nvidia-smi` may say more; or use device = \"cpu\"")]
    Refused {
        /// What it said.
        said: String,
    },
}

/// Whole mebibytes, not too few.
fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

fn list(count: usize) -> String {
    (0..count).map(|ordinal| format!("cuda:{ordinal}")).collect::<Vec<_>>().join(", ")
}
