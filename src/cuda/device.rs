//! NVIDIA devices through the driver, which is loaded when it is asked for: the program starts on machines without one.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_int, c_void};
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{
    self, CUdevice_attribute_enum as Attribute, CUmemPool_attribute_enum as PoolAttribute,
};

use super::cublas::Blas;
use super::machine::{Machine, Product, Shape, of_ranker, of_retriever};
use super::staging::Staging;
use super::{Absent, Error};

/// The kernels as the driver takes them, packed. `kernels/compile.py` makes them.
const PACKED: [&[u8]; 2] =
    [include_bytes!("kernels/retriever.ptx.gz"), include_bytes!("kernels/ranker.ptx.gz")];
/// The CUDA version that this PTX needs of a driver: 12.0, which drivers from 525 on have.
const NEEDED: i32 = 12_000;
/// The least compute capability that this PTX is for.
const LEAST: (i32, i32) = (8, 0);

/// The PTX of the kernels: those of the retriever, and those of the ranker. Its first line has the SHA-256 of its part of
/// [`sources`](super::sources).
///
/// # Errors
/// If the program's own copy is damaged.
pub fn ptx() -> std::io::Result<[String; 2]> {
    let mut texts = [String::new(), String::new()];
    for (packed, text) in PACKED.into_iter().zip(&mut texts) {
        flate2::read::GzDecoder::new(packed).read_to_string(text)?;
    }
    Ok(texts)
}

/// What a device is.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its number: N of `cuda:N`.
    pub ordinal: u32,
    /// Its name, such as `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Its compute capability, such as (9, 0).
    pub capability: (i32, i32),
    /// Its memory in bytes.
    pub memory: u64,
    /// The CUDA version of the driver, such as 13000.
    pub driver: i32,
    /// Its multiprocessors and the clock of their cores in hertz, where the driver tells.
    pub cores: Option<(u32, f64)>,
}

impl Facts {
    /// Whether the kernels run on it.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub fn supported(&self) -> Result<(), Error> {
        if self.capability >= LEAST {
            return Ok(());
        }
        Err(Error::Unsupported { device: self.to_string(), found: self.capability, least: LEAST })
    }

    /// Whether it has so many bytes of memory, if nobody else uses any.
    ///
    /// # Errors
    /// [`Error::Small`].
    pub fn holds(&self, needed: u64) -> Result<(), Error> {
        if needed <= self.memory {
            return Ok(());
        }
        Err(Error::Small { device: self.to_string(), needed, total: self.memory })
    }
}

impl Facts {
    /// What a record says of it, such as `NVIDIA H100 80GB HBM3 (cuda:0), driver for CUDA 13.0`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} (cuda:{}), {}", self.name, self.ordinal, self.driver())
    }

    /// Multiplications and additions a second that its cores can do in f32, two for each core and cycle.
    #[must_use]
    pub fn f32_rate(&self) -> Option<f64> {
        let (multiprocessors, clock) = self.cores?;
        // Cores of a multiprocessor: 64 of 8.0, 128 of what came after.
        let cores = if self.capability < (8, 6) { 64.0 } else { 128.0 };
        Some(2.0 * cores * f64::from(multiprocessors) * clock)
    }

    /// Multiplications and additions a second that its tensor cores can do in bf16 with sums in f32, by its data sheet.
    #[must_use]
    pub fn bf16_rate(&self) -> Option<f64> {
        let (multiprocessors, clock) = self.cores?;
        // Of a multiprocessor and cycle: A100, H100 and B200 as published; what is for desktops has a quarter of an A100's or a bit more.
        let each = match self.capability {
            (8, 0) => 2048.0,
            (9, _) => 4096.0,
            (10 | 11, _) => 8192.0,
            _ => 512.0,
        };
        Some(each * f64::from(multiprocessors) * clock)
    }

    /// Which driver it has, such as `driver for CUDA 13.0`.
    #[must_use]
    pub fn driver(&self) -> String {
        format!("driver for CUDA {}.{}", self.driver / 1000, self.driver % 1000 / 10)
    }
}

/// `cuda:0 (NVIDIA H100 80GB HBM3)`
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{} ({})", self.ordinal, self.name)
    }
}

/// All devices.
///
/// # Errors
/// Why there are none that this program can use.
pub fn devices() -> Result<Vec<Facts>, Absent> {
    // SAFETY: loading the driver runs its initialisers, as every program for such devices does.
    if !unsafe { sys::is_culib_present() } {
        return Err(Absent::NoDriver);
    }
    let refused = |error: DriverError| Absent::Refused { said: said(error) };
    result::init().map_err(|error| match error.0 {
        sys::CUresult::CUDA_ERROR_NO_DEVICE => Absent::NoDevice,
        _ => refused(error),
    })?;
    let mut driver: c_int = 0;
    // SAFETY: the function writes one int.
    unsafe { sys::cuDriverGetVersion(&raw mut driver) }.result().map_err(refused)?;
    if driver < NEEDED {
        return Err(Absent::OldDriver { found: driver, needed: NEEDED });
    }
    let count = result::device::get_count().map_err(refused)?;
    if count == 0 {
        return Err(Absent::NoDevice);
    }
    // One that is broken does not take the others with it.
    let (mut found, mut broken) = (Vec::new(), None);
    for ordinal in 0..count {
        match facts(ordinal, driver) {
            Ok(facts) => found.push(facts),
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    match broken {
        Some(error) if found.is_empty() => Err(refused(error)),
        _ => Ok(found),
    }
}

fn facts(ordinal: c_int, driver: i32) -> Result<Facts, DriverError> {
    let device = result::device::get(ordinal)?;
    // SAFETY: the device was given by the driver.
    let attribute = |which| unsafe { result::device::get_attribute(device, which) };
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device)? } as u64;
    let capability = (
        attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    );
    let cores = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
        .and_then(|count| {
            Ok((count as u32, 1e3 * f64::from(attribute(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?)))
        })
        .ok();
    let name = result::device::get_name(device)?;
    Ok(Facts { ordinal: ordinal as u32, name, capability, memory, driver, cores })
}

fn said(error: DriverError) -> String {
    // The names need the driver, which has just answered.
    let text = |found: Result<&CStr, DriverError>| {
        found.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    };
    format!("{} ({})", text(error.error_string()), text(error.error_name()))
}

/// Kernels by their names.
type Functions = BTreeMap<&'static str, sys::CUfunction>;

/// A device with its kernels, ready to work.
pub struct Device {
    facts: Facts,
    context: sys::CUcontext,
    stream: sys::CUstream,
    pool: sys::CUmemoryPool,
    functions: Functions,
    /// Loaded when the first of them is started: they are many, and the driver takes its time to compile them.
    ranker: OnceLock<Result<Functions, Error>>,
    /// Looked for when the first product is asked for.
    blas: OnceLock<Result<Option<Blas>, String>>,
    /// Where there is pinned memory.
    staging: Mutex<Option<Staging>>,
}

// SAFETY: handles of the driver may be used from any thread; every call sets the context first.
unsafe impl Send for Device {}
// SAFETY: as above; the calls on one stream are done in their order.
unsafe impl Sync for Device {}

impl Device {
    /// Open `cuda:ordinal`.
    ///
    /// # Errors
    /// [`Error::Absent`] if there is no such device, [`Error::Unsupported`] if the kernels do not run on it, [`Error::Device`] if the driver
    /// refuses.
    pub fn open(ordinal: u32) -> Result<Arc<Self>, Error> {
        let all = devices()?;
        let Some(facts) = all.iter().find(|facts| facts.ordinal == ordinal).cloned() else {
            return Err(Absent::NoSuch { ordinal, count: all.len() }.into());
        };
        facts.supported()?;
        let fail = |what: &str, error: DriverError| failure(&facts, what, error);
        let device = result::device::get(ordinal as c_int).map_err(|error| fail("open it", error))?;
        // SAFETY: the device was given by the driver.
        let context =
            unsafe { result::primary_ctx::retain(device) }.map_err(|error| fail("open it", error))?;
        // SAFETY: the context was given by the driver.
        unsafe { result::ctx::set_current(context) }.map_err(|error| fail("open it", error))?;
        // SAFETY: the device was given by the driver.
        let pools = unsafe {
            result::device::get_attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)
        };
        if pools == Ok(0) {
            return Err(Error::Device {
                device: facts.to_string(),
                what: "find its memory pool".to_owned(),
                said: "it has none, as some virtual devices; use another, or device = \"cpu\"".to_owned(),
            });
        }
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking)
            .map_err(|error| fail("make a stream", error))?;
        // Memory that is given back stays with the process: no step waits for the system.
        // SAFETY: the pool is the device's, and the value has the type of the attribute.
        let pool = unsafe {
            let pool = result::device::get_default_mem_pool(device)
                .map_err(|error| fail("find its memory pool", error))?;
            let mut keep = u64::MAX;
            let attribute = PoolAttribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            result::mem_pool::set_attribute(pool, attribute, (&raw mut keep).cast())
                .map_err(|error| fail("set up its memory pool", error))?;
            pool
        };
        let functions = load(&facts, 0, of_retriever())?;
        let (ranker, blas) = (OnceLock::new(), OnceLock::new());
        // SAFETY: the context is current, and is never given back. Without such memory every upload is waited for.
        let staging = Mutex::new(unsafe { Staging::new() }.ok());
        Ok(Arc::new(Self { facts, context, stream, pool, functions, ranker, blas, staging }))
    }

    /// What it is.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    fn current(&self) -> Result<(), Error> {
        // SAFETY: the context lives as long as the process.
        unsafe { result::ctx::set_current(self.context) }.map_err(|error| self.fail("turn to it", error))
    }

    fn fail(&self, what: &str, error: DriverError) -> Error {
        failure(&self.facts, what, error)
    }

    fn finish(&self, what: &str) -> Result<(), Error> {
        // SAFETY: the stream lives as long as this.
        unsafe { result::stream::synchronize(self.stream) }.map_err(|error| self.fail(what, error))
    }
}

/// The kernels of part `part`, on the device whose context is current.
fn load(facts: &Facts, part: usize, names: impl Iterator<Item = &'static str>) -> Result<Functions, Error> {
    let fail = |what: &str, error: DriverError| failure(facts, what, error);
    let source = ptx().ok().and_then(|texts| CString::new(texts[part].as_str()).ok());
    let Some(source) = source else {
        return Err(Error::Device {
            device: facts.to_string(),
            what: "load the kernels".to_owned(),
            said: "the program's own copy is damaged; install bench again".to_owned(),
        });
    };
    // SAFETY: the text ends with a zero.
    let module = unsafe { result::module::load_data(source.as_ptr().cast()) }
        .map_err(|error| fail("load the kernels", error))?;
    let mut functions = BTreeMap::new();
    for kernel in names {
        let text = CString::new(kernel).unwrap_or_default();
        // SAFETY: the module was loaded just now, and stays.
        let function = unsafe { result::module::get_function(module, text) };
        functions
            .insert(kernel, function.map_err(|error| fail(&format!("find the kernel {kernel}"), error))?);
    }
    Ok(functions)
}

fn failure(facts: &Facts, what: &str, error: DriverError) -> Error {
    Error::Device { device: facts.to_string(), what: what.to_owned(), said: said(error) }
}

impl Machine for Device {
    fn name(&self) -> String {
        self.facts.to_string()
    }

    fn memory(&self) -> Result<(u64, u64), Error> {
        self.current()?;
        // What was given back stays in the pool, where it is free for us alone.
        self.finish("ask for its memory")?;
        let (mut reserved, mut used) = (0u64, 0u64);
        // SAFETY: the pool is the device's, and both attributes are 64-bit numbers.
        let asked = unsafe {
            let (of_pool, of_use) = (
                PoolAttribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
                PoolAttribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT,
            );
            result::mem_pool::get_attribute(self.pool, of_pool, (&raw mut reserved).cast())
                .and_then(|()| result::mem_pool::get_attribute(self.pool, of_use, (&raw mut used).cast()))
        };
        asked.map_err(|error| self.fail("ask for its memory", error))?;
        let (free, total) = result::mem_get_info().map_err(|error| self.fail("ask for its memory", error))?;
        Ok((free as u64 + reserved.saturating_sub(used), total as u64))
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        self.current()?;
        // SAFETY: the stream lives as long as this.
        let ask = || unsafe { result::malloc_async(self.stream, bytes) };
        let again = |error: DriverError| {
            if error.0 != sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
                return Err(error);
            }
            // What the pool keeps may be in pieces that are too small: it is given back to the system, and asked for as one.
            // SAFETY: the stream lives as long as this, and the pool is the device's.
            unsafe {
                result::stream::synchronize(self.stream)?;
                result::mem_pool::trim_to(self.pool, 0)?;
            }
            ask()
        };
        ask().or_else(again).map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                let (free, total) = self.memory().unwrap_or((0, self.facts.memory));
                Error::Memory { device: self.facts.to_string(), needed: bytes as u64, free, total }
            }
            _ => self.fail("allocate memory", error),
        })
    }

    fn free(&self, at: u64) {
        // What cannot be given back is lost with the process.
        if self.current().is_ok() {
            // SAFETY: it was allocated on this stream, and whoever gives it back does not use it any more.
            let _ = unsafe { result::free_async(at, self.stream) };
        }
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), Error> {
        self.current()?;
        // SAFETY: whoever asks has so much memory there, and the bytes stay until the copy is over.
        let copy = |bytes: &[u8]| {
            unsafe { result::memcpy_htod_async(to, bytes, self.stream) }
                .map_err(|error| self.fail("copy to it", error))
        };
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staging) = staging.as_mut().filter(|_| Staging::takes(bytes.len())) {
            if !staging.fits(bytes.len()) {
                self.finish("copy to it")?;
                staging.reuse();
            }
            return copy(staging.keep(bytes));
        }
        copy(bytes)?;
        // The driver alone does not promise that it has read them.
        self.finish("copy to it")?;
        if let Some(staging) = staging.as_mut() {
            staging.reuse();
        }
        Ok(())
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.current()?;
        // SAFETY: as above.
        unsafe { result::memcpy_dtoh_async(bytes, from, self.stream) }
            .map_err(|error| self.fail("copy from it", error))?;
        self.finish("copy from it")
    }

    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error> {
        self.current()?;
        // SAFETY: as above.
        unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream) }
            .map_err(|error| self.fail("copy on it", error))
    }

    fn zero(&self, at: u64, bytes: usize) -> Result<(), Error> {
        self.current()?;
        // SAFETY: as above.
        unsafe { result::memset_d8_async(at, 0, bytes, self.stream) }
            .map_err(|error| self.fail("fill its memory", error))
    }

    unsafe fn launch(
        &self,
        kernel: &'static str,
        shape: Shape,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error> {
        self.current()?;
        let function = match self.functions.get(kernel) {
            Some(function) => Some(function),
            None => {
                let load = || load(&self.facts, 1, of_ranker());
                self.ranker.get_or_init(load).as_ref().map_err(Clone::clone)?.get(kernel)
            }
        };
        let Some(function) = function else {
            let said = "there is no such kernel".to_owned();
            return Err(Error::Device {
                device: self.facts.to_string(),
                what: format!("start {kernel}"),
                said,
            });
        };
        let [x, y, z] = shape.grid;
        // SAFETY: whoever launches sees to the arguments.
        unsafe { result::launch_kernel(*function, (x, y, z), (shape.block, 1, 1), 0, self.stream, arguments) }
            .map_err(|error| self.fail(&format!("start {kernel}"), error))
    }

    unsafe fn product(&self, product: &Product) -> Result<bool, Error> {
        self.current()?;
        let fail = |said: &String| Error::Device {
            device: self.facts.to_string(),
            what: "multiply matrices".to_owned(),
            said: said.clone(),
        };
        // SAFETY: the context is current, and the stream lives as long as this.
        let blas = self.blas.get_or_init(|| unsafe { Blas::start(self.stream.cast()) });
        let Some(blas) = blas.as_ref().map_err(fail)? else { return Ok(false) };
        // SAFETY: whoever asks has the matrices there.
        unsafe { blas.product(product) }.map_err(|said| fail(&said))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.current().is_ok() {
            let _ = self.finish("end");
            // It works on the stream.
            self.blas.take();
            // SAFETY: nobody uses the stream any more.
            let _ = unsafe { result::stream::destroy(self.stream) };
        } else if let Some(staging) = self.staging.get_mut().ok().and_then(Option::take) {
            // Without its context it cannot be given back.
            std::mem::forget(staging);
        }
    }
}
