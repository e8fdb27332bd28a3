//! Significance tests, intervals and corrections.

mod calibration;
mod golden;
mod laws;
mod mistakes;
#[path = "../../../benches/significance/simulated.rs"]
mod simulated;
mod values;
