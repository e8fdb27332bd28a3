//! The gate of the feed-forward part (Shazeer 2020, "GLU variants improve transformer"): `silu(gate) * up` with
//! `silu(x) = x / (1 + e^-x)`.

use super::math::exp;
use super::parallel::{self, Shared};
use super::simd::{Kernel, Lanes, dispatch, vectors};

/// Elements of a task.
const PART: usize = 16 * 1024;

/// `out = silu(gate) * up`, element by element. `# Shapes: gate, up, out (m, f)`
///
/// # Panics
/// When the slices differ in length (a programming error of this crate).
pub fn forward(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let len = gate.len();
    assert!(up.len() == len && out.len() == len, "gate {len} up {} out {}", up.len(), out.len());
    let out = Shared::new(out);
    parallel::each(len.div_ceil(PART), |task| {
        let from = task * PART;
        let count = PART.min(len - from);
        // SAFETY: tasks own disjoint parts.
        let out = unsafe { out.part(from, count) };
        dispatch(Forward { gate: &gate[from..][..count], up: &up[from..][..count], out });
    });
}

struct Forward<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [f32],
}

/// `1 / (1 + e^-x)`.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn sigmoid<L: Lanes>(x: L::V) -> L::V {
    unsafe {
        let one = L::splat(1.0);
        L::div(one, L::add(one, exp::<L>(L::sub(L::splat(0.0), x))))
    }
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        vectors!(self.out.len(), at, n => unsafe {
            let gate = L::load_first(self.gate.as_ptr().add(at), n);
            let up = L::load_first(self.up.as_ptr().add(at), n);
            L::store_first(self.out.as_mut_ptr().add(at), n, L::mul(L::mul(gate, sigmoid::<L>(gate)), up));
        });
    }
}

/// `d_gate = d_out * up * silu'(gate)` and `d_up = d_out * silu(gate)`, with `silu'(x) = s (1 + x (1 - s))` and `s` the sigmoid.
///
/// `# Shapes: gate, up, d_out, d_gate, d_up (m, f)`
///
/// # Panics
/// As [`forward`].
pub fn backward(gate: &[f32], up: &[f32], d_out: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
    let len = gate.len();
    assert!(up.len() == len && d_out.len() == len, "gate {len} up {} d_out {}", up.len(), d_out.len());
    assert!(d_gate.len() == len && d_up.len() == len, "d_gate {} d_up {}", d_gate.len(), d_up.len());
    let (d_gate, d_up) = (Shared::new(d_gate), Shared::new(d_up));
    parallel::each(len.div_ceil(PART), |task| {
        let from = task * PART;
        let count = PART.min(len - from);
        // SAFETY: tasks own disjoint parts.
        let (d_gate, d_up) = unsafe { (d_gate.part(from, count), d_up.part(from, count)) };
        let part = |all: &'_ [f32]| -> *const f32 { all[from..][..count].as_ptr() };
        dispatch(Backward { gate: part(gate), up: part(up), d_out: part(d_out), d_gate, d_up });
    });
}

struct Backward<'a> {
    gate: *const f32,
    up: *const f32,
    d_out: *const f32,
    d_gate: &'a mut [f32],
    d_up: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        vectors!(self.d_up.len(), at, n => unsafe {
            let gate = L::load_first(self.gate.add(at), n);
            let up = L::load_first(self.up.add(at), n);
            let d_out = L::load_first(self.d_out.add(at), n);
            let s = sigmoid::<L>(gate);
            let silu = L::mul(gate, s);
            // s + silu (1 - s)
            let slope = L::fma(silu, L::sub(L::splat(1.0), s), s);
            L::store_first(self.d_up.as_mut_ptr().add(at), n, L::mul(d_out, silu));
            L::store_first(self.d_gate.as_mut_ptr().add(at), n, L::mul(L::mul(d_out, up), slope));
        });
    }
}
