//! Devices: every kernel gives the bits of its CPU twin, on the emulator where there is a C++ compiler.

mod emulator;
mod kernels;
