//! A driver of emulated devices with little memory, faults and wrong results, as a test asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bench::cuda::{Absent, Driver, Error, Facts, Machine, Shape};

use super::emulator::Emulator;

/// What is wrong with the devices of a driver.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// Why there are none.
    pub absent: Option<Absent>,
    /// Devices beside the first, all without trouble.
    pub others: u32,
    /// Bytes that others hold.
    pub taken: u64,
    /// The launch from which on they do.
    pub taken_from: u64,
    /// The launch that fails, from 1.
    pub fails_at: Option<u64>,
    /// A kernel whose launches change a bit of the first number of its result.
    pub spoils: Option<&'static str>,
}

/// Memory of a device.
pub const MEMORY: u64 = 1 << 30;

/// What a test looks at afterwards.
#[derive(Debug, Default)]
pub struct Seen {
    pub launches: AtomicU64,
    pub opened: AtomicU64,
    pub kernels: Mutex<BTreeSet<&'static str>>,
    /// Bytes in use, and the most there were.
    pub used: Mutex<(u64, u64)>,
}

/// A driver with one device, `cuda:0`.
pub struct Emulated {
    trouble: Trouble,
    seen: Arc<Seen>,
}

impl Emulated {
    /// Where there is a C++ compiler.
    pub fn start(trouble: Trouble) -> Option<(Box<dyn Driver>, Arc<Seen>)> {
        Emulator::start()?;
        let seen = Arc::new(Seen::default());
        Some((Box::new(Self { trouble, seen: Arc::clone(&seen) }), seen))
    }
}

impl Driver for Emulated {
    fn devices(&self) -> Result<Vec<Facts>, Absent> {
        if let Some(absent) = &self.trouble.absent {
            return Err(absent.clone());
        }
        let facts = |ordinal| Facts {
            ordinal,
            name: format!("Emulator {}", ordinal + 1),
            capability: (8, 0),
            memory: MEMORY,
            driver: 12_040,
            cores: Some((1, 1e9)),
        };
        Ok((0..=self.trouble.others).map(facts).collect())
    }

    fn open(&self, ordinal: u32) -> Result<Arc<dyn Machine>, Error> {
        let facts = self.devices()?.remove(ordinal as usize);
        self.seen.opened.fetch_add(1, Ordering::SeqCst);
        let trouble = if ordinal == 0 { self.trouble.clone() } else { Trouble::default() };
        let seen = Arc::clone(&self.seen);
        let emulator = Emulator::start().unwrap();
        Ok(Arc::new(Troubled { emulator, facts, trouble, seen, sizes: Mutex::default() }))
    }
}

struct Troubled {
    emulator: Arc<dyn Machine>,
    facts: Facts,
    trouble: Trouble,
    seen: Arc<Seen>,
    sizes: Mutex<BTreeMap<u64, u64>>,
}

impl Machine for Troubled {
    fn name(&self) -> String {
        self.facts.to_string()
    }

    fn memory(&self) -> Result<(u64, u64), Error> {
        let (used, _) = *self.seen.used.lock().unwrap();
        let launches = self.seen.launches.load(Ordering::SeqCst);
        let taken = if launches >= self.trouble.taken_from { self.trouble.taken } else { 0 };
        Ok((MEMORY.saturating_sub(used + taken), MEMORY))
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let (free, total) = self.memory()?;
        if free < bytes as u64 {
            return Err(Error::Memory { device: self.name(), needed: bytes as u64, free, total });
        }
        let at = self.emulator.allocate(bytes)?;
        self.sizes.lock().unwrap().insert(at, bytes as u64);
        let mut used = self.seen.used.lock().unwrap();
        used.0 += bytes as u64;
        used.1 = used.1.max(used.0);
        Ok(at)
    }

    fn free(&self, at: u64) {
        self.seen.used.lock().unwrap().0 -= self.sizes.lock().unwrap().remove(&at).unwrap();
        self.emulator.free(at);
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), Error> {
        self.emulator.upload(to, bytes)
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.emulator.download(from, bytes)
    }

    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error> {
        self.emulator.copy(from, to, bytes)
    }

    fn zero(&self, at: u64, bytes: usize) -> Result<(), Error> {
        self.emulator.zero(at, bytes)
    }

    unsafe fn launch(
        &self,
        kernel: &'static str,
        shape: Shape,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error> {
        let launch = self.seen.launches.fetch_add(1, Ordering::SeqCst) + 1;
        if self.trouble.fails_at == Some(launch) {
            return Err(Error::Device {
                device: self.name(),
                what: format!("start {kernel}"),
                said: "unspecified launch failure (CUDA_ERROR_LAUNCH_FAILED)".to_owned(),
            });
        }
        // SAFETY: whoever launches sees to the arguments.
        unsafe { self.emulator.launch(kernel, shape, arguments) }?;
        self.seen.kernels.lock().unwrap().insert(kernel);
        if self.trouble.spoils == Some(kernel) {
            // Most have the place of their result at the end; that of a norm is an f64, whose first half is the lower one.
            let (at, half) = match kernel {
                "product_wide" | "product_deep" => (5, 0),
                "walk_catalogue" => (arguments.len() - 5, 0),
                "total_norm" => (arguments.len() - 1, 1),
                _ => (arguments.len() - 1, 0),
            };
            // SAFETY: the argument is the place of an array of such a machine, whose memory is this process's.
            unsafe {
                let place = (arguments[at].cast::<u64>().read() as *mut u32).add(half);
                place.write(place.read() ^ 1 << 20);
            }
        }
        Ok(())
    }
}
