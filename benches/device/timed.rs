//! A machine that times each kernel where it is launched.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bench::cuda::{Error, Machine, Product, Shape};

/// Launches and seconds of one launch, added up.
pub type Kernels = BTreeMap<&'static str, (u32, f64)>;

/// Passes everything on. While it is asked to, it launches every kernel many times over and takes the mean: what kernels add to is nonsense
/// then, and so is what comes of it, but no kernel's time depends on values.
pub struct Timed {
    inner: Arc<dyn Machine>,
    /// Four bytes whose download waits for all that was launched.
    fence: u64,
    repeats: AtomicU32,
    kernels: Mutex<Kernels>,
    memory: Mutex<Memory>,
    waits: AtomicU32,
    uploads: AtomicU32,
}

/// Bytes by their places, all of them, and the most there were.
#[derive(Default)]
struct Memory {
    sizes: BTreeMap<u64, u64>,
    used: u64,
    peak: u64,
}

impl Timed {
    /// Around a machine.
    pub fn new(inner: &Arc<dyn Machine>) -> Result<Arc<Self>, Error> {
        let fence = inner.allocate(4)?;
        let (repeats, kernels) = (AtomicU32::new(0), Mutex::default());
        let memory = Mutex::default();
        let (waits, uploads) = (AtomicU32::new(0), AtomicU32::new(0));
        Ok(Arc::new(Self { inner: Arc::clone(inner), fence, repeats, kernels, memory, waits, uploads }))
    }

    /// Wait until everything is done.
    pub fn wait(&self) -> Result<(), Error> {
        self.inner.download(self.fence, &mut [0; 4])
    }

    /// Time the kernels of what follows by so many launches of each; 0 ends it.
    pub fn repeat(&self, repeats: u32) {
        self.repeats.store(repeats, Ordering::SeqCst);
    }

    /// The most bytes that were in use at once.
    pub fn peak(&self) -> u64 {
        self.memory.lock().expect("no thread panicked").peak
    }

    /// Only what is in use now counts.
    pub fn forget_peak(&self) {
        let mut memory = self.memory.lock().expect("no thread panicked");
        memory.peak = memory.used;
    }

    /// Time what `launch` does, many times over where that is asked for.
    fn time(&self, kernel: &'static str, mut launch: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
        let repeats = self.repeats.load(Ordering::SeqCst);
        launch()?;
        if repeats == 0 {
            return Ok(());
        }
        self.wait()?;
        let began = Instant::now();
        for _ in 0..repeats {
            launch()?;
        }
        self.wait()?;
        let seconds = began.elapsed().as_secs_f64() / f64::from(repeats);
        let mut kernels = self.kernels.lock().expect("no thread panicked");
        let (launches, total) = kernels.entry(kernel).or_default();
        *launches += 1;
        *total += seconds;
        Ok(())
    }

    /// Downloads, each of which waits for the device, and uploads since this was asked for the last time.
    pub fn copies(&self) -> (u32, u32) {
        (self.waits.swap(0, Ordering::SeqCst), self.uploads.swap(0, Ordering::SeqCst))
    }

    /// What was timed, and begin anew.
    pub fn take(&self) -> Kernels {
        std::mem::take(&mut *self.kernels.lock().expect("no thread panicked"))
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.inner.free(self.fence);
    }
}

impl Machine for Timed {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn memory(&self) -> Result<(u64, u64), Error> {
        self.inner.memory()
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let at = self.inner.allocate(bytes)?;
        let mut memory = self.memory.lock().expect("no thread panicked");
        memory.sizes.insert(at, bytes as u64);
        memory.used += bytes as u64;
        memory.peak = memory.peak.max(memory.used);
        Ok(at)
    }

    fn free(&self, at: u64) {
        self.inner.free(at);
        let mut memory = self.memory.lock().expect("no thread panicked");
        memory.used -= memory.sizes.remove(&at).unwrap_or(0);
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), Error> {
        self.uploads.fetch_add(1, Ordering::SeqCst);
        self.inner.upload(to, bytes)
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        self.inner.download(from, bytes)
    }

    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error> {
        self.inner.copy(from, to, bytes)
    }

    fn zero(&self, at: u64, bytes: usize) -> Result<(), Error> {
        self.inner.zero(at, bytes)
    }

    unsafe fn launch(
        &self,
        kernel: &'static str,
        shape: Shape,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error> {
        // SAFETY: whoever launches sees to the arguments.
        self.time(kernel, || unsafe { self.inner.launch(kernel, shape, arguments) })
    }

    unsafe fn product(&self, product: &Product) -> Result<bool, Error> {
        let mut taken = false;
        self.time("cuBLAS", || {
            // SAFETY: whoever asks has the matrices there.
            taken = unsafe { self.inner.product(product) }?;
            Ok(())
        })?;
        if !taken {
            self.kernels.lock().expect("no thread panicked").remove("cuBLAS");
        }
        Ok(taken)
    }
}
