//! Kernels on the processor, where there is a C++ compiler: what they compute in any order that a device may choose, not how fast.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bench::cuda::{Error, Machine, Shape, kernel_names, source};
use libloading::Library;

type Emulate = unsafe extern "C" fn(*const c_char, *const u32, *const u32, *mut *mut c_void, u64) -> c_int;

/// What is built once for all tests.
static BUILT: OnceLock<Option<(Library, tempfile::TempDir)>> = OnceLock::new();
/// Fibers have one stack each, and one scheduler.
static TURN: Mutex<()> = Mutex::new(());

fn build() -> Option<(Library, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!("{}\n{}\n", include_str!("emulator.h"), source());
    text.push_str("extern \"C\" int emulate(const char *name, const unsigned *grid, const unsigned *block, void **arguments, uint64_t seed) {\n    drawn = seed;\n");
    for name in kernel_names() {
        text.push_str(&format!(
            "    if (!strcmp(name, \"{name}\")) return launch({name}, grid, block, arguments), 0;\n"
        ));
    }
    text.push_str("    return 1;\n}\n");
    std::fs::write(folder.path().join("kernels.cpp"), text).unwrap();
    let mut command = Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    command.args([
        "-std=c++17",
        "-O2",
        "-w",
        "-ffp-contract=off",
        // Fibers jump from stack to stack, which its checks take for an error.
        "-U_FORTIFY_SOURCE",
        "-shared",
        "-fPIC",
        "-o",
        "kernels.so",
        "kernels.cpp",
    ]);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        // Fused multiply-adds as instructions; a library's are the same and slow.
        command.arg("-mfma");
    }
    let output = match command.current_dir(folder.path()).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: no C++ compiler for the emulator of devices ({error})");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // SAFETY: it was built just now and runs nothing when it is loaded.
    let library = unsafe { Library::new(folder.path().join("kernels.so")) }.unwrap();
    Some((library, folder))
}

/// A device that is none.
pub struct Emulator {
    emulate: Emulate,
    /// Memory by its address; poisoned when it is allocated.
    memory: Mutex<BTreeMap<u64, Box<[u64]>>>,
    /// Launches so far, from `BENCH_EMULATOR_SEED` on: what a device leaves open is drawn for each.
    launches: AtomicU64,
}

impl Emulator {
    /// One with no memory in use, or none where nothing compiles it.
    pub fn start() -> Option<Arc<dyn Machine>> {
        let (library, _) = BUILT.get_or_init(build).as_ref()?;
        // SAFETY: the function has this type.
        let emulate = unsafe { *library.get::<Emulate>(b"emulate").unwrap() };
        let seed =
            std::env::var("BENCH_EMULATOR_SEED").map_or(0, |seed| seed.parse::<u64>().expect("a number"));
        let launches = AtomicU64::new(seed << 32);
        Some(Arc::new(Self { emulate, memory: Mutex::default(), launches }))
    }

    /// That all bytes are of one allocation.
    fn check(&self, at: u64, bytes: usize) {
        let memory = self.memory.lock().unwrap();
        let (start, found) = memory.range(..=at).next_back().expect("memory that was allocated");
        assert!(
            at + bytes as u64 <= start + size_of_val(&**found) as u64,
            "{bytes} bytes at {at:x} leave their array"
        );
    }
}

impl Machine for Emulator {
    fn name(&self) -> String {
        "cuda:0 (an emulator)".to_owned()
    }

    fn memory(&self) -> Result<(u64, u64), Error> {
        Ok((1 << 34, 1 << 34))
    }

    fn allocate(&self, bytes: usize) -> Result<u64, Error> {
        let memory = vec![0x7fc0_dead_7fc0_dead; bytes.div_ceil(8).max(1)].into_boxed_slice();
        let at = memory.as_ptr() as u64;
        self.memory.lock().unwrap().insert(at, memory);
        Ok(at)
    }

    fn free(&self, at: u64) {
        self.memory.lock().unwrap().remove(&at).expect("memory that was allocated");
    }

    fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), Error> {
        self.check(to, bytes.len());
        // SAFETY: the place was checked.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
        Ok(())
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(from, bytes.len());
        // SAFETY: the place was checked.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<(), Error> {
        self.check(from, bytes);
        self.check(to, bytes);
        // SAFETY: the places were checked.
        unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes) };
        Ok(())
    }

    fn zero(&self, at: u64, bytes: usize) -> Result<(), Error> {
        self.check(at, bytes);
        // SAFETY: the place was checked.
        unsafe { std::ptr::write_bytes(at as *mut u8, 0, bytes) };
        Ok(())
    }

    unsafe fn launch(
        &self,
        kernel: &'static str,
        shape: Shape,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error> {
        let _turn = TURN.lock().unwrap();
        let name = CString::new(kernel).unwrap();
        let block = [shape.block, 1, 1];
        // SAFETY: whoever launches sees to the arguments.
        let code = unsafe {
            let seed = self.launches.fetch_add(1, Ordering::Relaxed);
            (self.emulate)(name.as_ptr(), shape.grid.as_ptr(), block.as_ptr(), arguments.as_mut_ptr(), seed)
        };
        assert_eq!(code, 0, "no kernel {kernel}");
        Ok(())
    }
}
