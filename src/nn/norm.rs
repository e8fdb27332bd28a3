//! Dropout, residual sum and layer normalisation as one pass over rows.
//!
//! `z = dropout(x) + residual`, `y = (z - mean z) / sqrt(var z + eps) * weight + bias` (Ba, Kiros and Hinton 2016, eq. 4).

use super::dropout::Dropout;
use super::parallel::{self, Shared};
use super::simd::{Kernel, LANES, Lanes, dispatch, lanes, vectors};

/// PyTorch's default.
pub const EPSILON: f32 = 1e-5;

/// Rows of a task: enough work for a thread, and a fixed number.
const ROWS: usize = 64;

/// How many rows of `d` a slice has.
fn rows(name: &str, d: usize, slice: &[f32]) -> usize {
    assert!(
        d > 0 && slice.len().is_multiple_of(d),
        "{name} has {} elements, no multiple of d {d}",
        slice.len()
    );
    slice.len() / d
}

/// What the forward pass leaves for the backward pass.
pub struct Saved<'a> {
    /// `(z - mean) / sqrt(var + eps)`, (m, d).
    pub normal: &'a mut [f32],
    /// `1 / sqrt(var + eps)`, (m).
    pub inverse: &'a mut [f32],
}

/// The forward pass.
///
/// `# Shapes: x, residual, y (m, d); weight, bias (d)`
///
/// # Panics
/// When a slice does not fit the shapes (a programming error of this crate).
pub fn forward(
    d: usize,
    x: &[f32],
    residual: Option<&[f32]>,
    dropout: Dropout,
    (weight, bias): (&[f32], &[f32]),
    y: &mut [f32],
    saved: Saved<'_>,
) {
    let m = rows("x", d, x);
    assert!(
        weight.len() == d && bias.len() == d,
        "weight {} and bias {} for d {d}",
        weight.len(),
        bias.len()
    );
    let (y, normal, inverse) = (Shared::new(y), Shared::new(saved.normal), Shared::new(saved.inverse));
    parallel::each(m.div_ceil(ROWS), |task| {
        let from = task * ROWS;
        let rows = ROWS.min(m - from);
        // SAFETY: tasks own disjoint rows.
        let (y, normal, inverse) = unsafe {
            (y.part(from * d, rows * d), normal.part(from * d, rows * d), inverse.part(from, rows))
        };
        dispatch(Forward {
            d,
            first: from,
            x: &x[from * d..][..rows * d],
            residual: residual.map(|r| &r[from * d..][..rows * d]),
            dropout,
            weight,
            bias,
            y,
            normal,
            inverse,
        });
    });
}

struct Forward<'a> {
    d: usize,
    first: usize,
    x: &'a [f32],
    residual: Option<&'a [f32]>,
    dropout: Dropout,
    weight: &'a [f32],
    bias: &'a [f32],
    y: &'a mut [f32],
    normal: &'a mut [f32],
    inverse: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let d = self.d;
        let line = d.next_multiple_of(LANES);
        let share = 1.0 / d as f32;
        for row in 0..self.inverse.len() {
            let z = &mut self.normal[row * d..][..d];
            z.copy_from_slice(&self.x[row * d..][..d]);
            self.dropout.apply((self.first + row) * line, z);
            unsafe {
                let mut sum = L::splat(0.0);
                vectors!(d, at, n => {
                    let mut v = L::load_first(z.as_ptr().add(at), n);
                    if let Some(residual) = self.residual {
                        v = L::add(v, L::load_first(residual.as_ptr().add(row * d + at), n));
                        L::store_first(z.as_mut_ptr().add(at), n, v);
                    }
                    sum = L::add(sum, v);
                });
                let mean = L::splat(L::sum(sum) * share);
                let mut squares = L::splat(0.0);
                vectors!(d, at, n => {
                    let centred = L::sub(L::load_first(z.as_ptr().add(at), n), mean);
                    let centred = L::keep(lanes(n), centred);
                    L::store_first(z.as_mut_ptr().add(at), n, centred);
                    squares = L::fma(centred, centred, squares);
                });
                let inverse = 1.0 / (L::sum(squares) * share + EPSILON).sqrt();
                self.inverse[row] = inverse;
                vectors!(d, at, n => {
                    let normal = L::mul(L::load_first(z.as_ptr().add(at), n), L::splat(inverse));
                    L::store_first(z.as_mut_ptr().add(at), n, normal);
                    let weight = L::load_first(self.weight.as_ptr().add(at), n);
                    let bias = L::load_first(self.bias.as_ptr().add(at), n);
                    L::store_first(self.y.as_mut_ptr().add(row * d + at), n, L::fma(normal, weight, bias));
                });
            }
        }
    }
}

/// The backward pass: from the gradient of `y` to those of `z` (also that of the residual) and of `x`, and of weight and
/// bias, which are added to what `d_weight` and `d_bias` hold.
///
/// `# Shapes: dy, normal, dz, dx (m, d); inverse (m); weight, d_weight, d_bias (d)`
///
/// # Panics
/// As [`forward`].
#[allow(clippy::too_many_arguments, reason = "a layer's backward has this many facts")]
pub fn backward(
    d: usize,
    dy: &[f32],
    (normal, inverse): (&[f32], &[f32]),
    weight: &[f32],
    dropout: Dropout,
    dz: &mut [f32],
    dx: &mut [f32],
    (d_weight, d_bias): (&mut [f32], &mut [f32]),
) {
    let m = rows("dy", d, dy);
    assert!(normal.len() == dy.len() && inverse.len() == m && weight.len() == d, "normal, inverse or weight");
    product_sums(d, dy, Some(normal), d_weight);
    product_sums(d, dy, None, d_bias);
    let (dz, dx) = (Shared::new(dz), Shared::new(dx));
    parallel::each(m.div_ceil(ROWS), |task| {
        let from = task * ROWS;
        let rows = ROWS.min(m - from);
        // SAFETY: tasks own disjoint rows.
        let (dz, dx) = unsafe { (dz.part(from * d, rows * d), dx.part(from * d, rows * d)) };
        dispatch(Backward {
            d,
            first: from,
            dy: &dy[from * d..][..rows * d],
            normal: &normal[from * d..][..rows * d],
            inverse: &inverse[from..][..rows],
            weight,
            dropout,
            dz,
            dx,
        });
    });
}

struct Backward<'a> {
    d: usize,
    first: usize,
    dy: &'a [f32],
    normal: &'a [f32],
    inverse: &'a [f32],
    weight: &'a [f32],
    dropout: Dropout,
    dz: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let d = self.d;
        let line = d.next_multiple_of(LANES);
        let share = 1.0 / d as f32;
        for row in 0..self.inverse.len() {
            let at_row = row * d;
            unsafe {
                // dz = inverse * (g - mean(g) - normal * mean(g * normal)), g = dy * weight
                let (mut sum, mut dot) = (L::splat(0.0), L::splat(0.0));
                vectors!(d, at, n => {
                    let g = L::mul(
                        L::load_first(self.dy.as_ptr().add(at_row + at), n),
                        L::load_first(self.weight.as_ptr().add(at), n),
                    );
                    sum = L::add(sum, g);
                    dot = L::fma(g, L::load_first(self.normal.as_ptr().add(at_row + at), n), dot);
                });
                let mean = L::splat(L::sum(sum) * share);
                let slope = L::splat(L::sum(dot) * share);
                let inverse = L::splat(self.inverse[row]);
                vectors!(d, at, n => {
                    let g = L::mul(
                        L::load_first(self.dy.as_ptr().add(at_row + at), n),
                        L::load_first(self.weight.as_ptr().add(at), n),
                    );
                    let normal = L::load_first(self.normal.as_ptr().add(at_row + at), n);
                    let dz = L::mul(inverse, L::fnma(normal, slope, L::sub(g, mean)));
                    L::store_first(self.dz.as_mut_ptr().add(at_row + at), n, dz);
                    L::store_first(self.dx.as_mut_ptr().add(at_row + at), n, dz);
                });
            }
            self.dropout.apply((self.first + row) * line, &mut self.dx[at_row..][..d]);
        }
    }
}

/// `sums[j] += sum_i a[i, j]` (`* b[i, j]`), rows in order: the gradient of a bias, or of a weight by column.
///
/// `# Shapes: a, b (m, n); sums (n)`
///
/// # Panics
/// As [`forward`].
pub fn product_sums(n: usize, a: &[f32], b: Option<&[f32]>, sums: &mut [f32]) {
    rows("a", n, a);
    assert!(sums.len() == n && b.is_none_or(|b| b.len() == a.len()), "sums or b");
    let shared = Shared::new(sums);
    parallel::each(n.div_ceil(LANES), |task| {
        let from = task * LANES;
        let count = LANES.min(n - from);
        // SAFETY: tasks own disjoint columns.
        let sums = unsafe { shared.part(from, count) };
        dispatch(Sums { n, from, a, b, sums });
    });
}

struct Sums<'a> {
    n: usize,
    from: usize,
    a: &'a [f32],
    b: Option<&'a [f32]>,
    sums: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let count = self.sums.len();
        unsafe {
            let mut sum = L::load_first(self.sums.as_ptr(), count);
            for at in (self.from..self.a.len()).step_by(self.n) {
                let a = L::load_first(self.a.as_ptr().add(at), count);
                sum = match self.b {
                    Some(b) => L::fma(a, L::load_first(b.as_ptr().add(at), count), sum),
                    None => L::add(sum, a),
                };
            }
            L::store_first(self.sums.as_mut_ptr(), count, sum);
        }
    }
}
