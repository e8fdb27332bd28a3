//! Devices: every kernel gives the bits of its CPU twin, on the emulator where there is a C++ compiler.

mod decoder;
mod driver;
mod emulator;
mod kernels;
mod layers;
mod lora;
mod peft;
mod quant;
mod ranking;
mod running;
mod tensor;
mod training;

use std::sync::Arc;

use bench::cuda::{Absent, Device, Error, Machine, devices, kernel_names, ptx, sources};
use bench::run::sha256_hex;

/// What there is to run kernels on: the emulator, and a device.
fn machines() -> Vec<Arc<dyn Machine>> {
    let device = match Device::open(0) {
        Ok(device) => Some(device as Arc<dyn Machine>),
        Err(error) => {
            println!("skipped on a device: {error}");
            None
        }
    };
    emulator::Emulator::start().into_iter().chain(device).collect()
}

#[test]
fn the_ptx_in_the_program_is_that_of_the_sources_and_has_every_kernel() {
    let parts = ptx().unwrap();
    for (ptx, source) in parts.iter().zip(sources()) {
        let head = format!("// sources: {}", sha256_hex(source.as_bytes()));
        assert_eq!(ptx.lines().next(), Some(head.as_str()), "run src/cuda/kernels/compile.py");
        assert!(
            ptx.contains("\n.version 8.0\n.target sm_80\n"),
            "what drivers from 525 on and devices from 8.0 on take"
        );
        // A contracted product would have other bits than the CPU's.
        assert!(!ptx.contains("mad.f32") && ptx.contains("fma.rn.f32"), "--fmad=false");
    }
    for name in kernel_names() {
        let entry = format!(".entry {name}(");
        assert!(parts.iter().any(|ptx| ptx.contains(&entry)), "{name}");
    }
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    for (absent, expected) in [
        (
            Absent::NoDriver,
            "no NVIDIA driver is installed here (libcuda.so.1 is not found); install the driver of the device, or use device = \"cpu\"",
        ),
        (
            Absent::OldDriver { found: 11_040, needed: 12_000 },
            "the NVIDIA driver is for CUDA 11.4, and the kernels need 12.0 (driver 525 or later); update it, or use device = \"cpu\"",
        ),
        (
            Absent::NoSuch { ordinal: 7, count: 2 },
            "there is no cuda:7; the NVIDIA driver sees 2: cuda:0, cuda:1; choose another, or use device = \"cpu\"",
        ),
    ] {
        assert_eq!(absent.to_string(), expected);
    }
    let least = Error::Unsupported { device: "cuda:0 (Tesla P4)".to_owned(), found: (6, 1), least: (8, 0) };
    assert_eq!(
        least.to_string(),
        "cuda:0 (Tesla P4) has compute capability 6.1; the kernels need 8.0 or later; use device = \"cpu\""
    );
    match devices() {
        Err(absent) => assert_eq!(Device::open(0).err(), Some(Error::Absent(absent))),
        Ok(all) => {
            let count = all.len();
            let missing = Absent::NoSuch { ordinal: count as u32, count };
            assert_eq!(Device::open(count as u32).err(), Some(Error::Absent(missing)));
        }
    }
}
