//! Rotary position embedding (Su et al. 2021) in the layout of Hugging Face's Llama: number `i` of a head turns with number
//! `i + half`.

use super::parallel::{self, Shared};
use super::simd::{Kernel, Lanes, dispatch, vectors};

/// Elements of a task.
const PART: usize = 32 * 1024;

/// Cosines and sines of every position. `# Shapes: cos, sin (positions, half)`
pub struct Rope {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// Tables for positions `0..positions`.
    ///
    /// `inverse_frequencies` (half) are the angles per position, after any scaling; `factor` multiplies cosines and sines (the
    /// `attention_scaling` of transformers; 1 for all but YaRN). As there, an angle is the f32 product of position and frequency.
    #[must_use]
    pub fn new(inverse_frequencies: &[f32], factor: f32, positions: usize) -> Self {
        let half = inverse_frequencies.len();
        let mut table = Self { half, cos: vec![0.0; positions * half], sin: vec![0.0; positions * half] };
        for position in 0..positions {
            for (i, frequency) in inverse_frequencies.iter().enumerate() {
                let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
                table.cos[position * half + i] = cos as f32 * factor;
                table.sin[position * half + i] = sin as f32 * factor;
            }
        }
        table
    }

    /// How many positions it knows.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.cos.len().checked_div(self.half).unwrap_or(0)
    }

    /// How many pairs of a head's numbers turn.
    #[must_use]
    pub fn half(&self) -> usize {
        self.half
    }

    /// Cosines and sines of one position. `# Shapes: (half), (half)`
    #[must_use]
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let from = position * self.half;
        (&self.cos[from..][..self.half], &self.sin[from..][..self.half])
    }
}

/// Turn every head of every row in place: `(a, b) -> (a cos - b sin, b cos + a sin)` for the pairs `a = x[i]`, `b = x[i + half]`.
/// With `inverse` by minus the angle, which is the transpose and so the gradient. Numbers of a head behind the first
/// `2 * half` stay.
///
/// `# Shapes: x (m, heads * head_dim); positions (m)`
///
/// # Panics
/// When a slice does not fit the shapes, or a position is not in the table (a programming error of this crate).
pub fn apply(x: &mut [f32], head_dim: usize, positions: &[u32], table: &Rope, inverse: bool) {
    let m = positions.len();
    if m == 0 {
        assert!(x.is_empty(), "x has {} elements and no positions", x.len());
        return;
    }
    let width = x.len() / m;
    assert!(
        x.len() == m * width && width.is_multiple_of(head_dim) && 2 * table.half <= head_dim,
        "x has {} elements for {m} positions of heads of {head_dim}, of which {} turn",
        x.len(),
        2 * table.half
    );
    let known = table.positions();
    assert!(
        table.half == 0 || positions.iter().all(|&position| (position as usize) < known),
        "a position is not below {known}"
    );
    let rows = (PART / width.max(1)).max(1);
    let x = Shared::new(x);
    parallel::each(m.div_ceil(rows), |task| {
        let from = task * rows;
        let count = rows.min(m - from);
        // SAFETY: tasks own disjoint rows.
        let x = unsafe { x.part(from * width, count * width) };
        dispatch(Turn { x, head_dim, positions: &positions[from..][..count], table, inverse });
    });
}

struct Turn<'a> {
    x: &'a mut [f32],
    head_dim: usize,
    positions: &'a [u32],
    table: &'a Rope,
    inverse: bool,
}

impl Kernel for Turn<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let width = self.x.len() / self.positions.len();
        let half = self.table.half;
        for (row, &position) in self.x.chunks_exact_mut(width.max(1)).zip(self.positions) {
            let (cos, sin) = self.table.at(position as usize);
            for head in row.chunks_exact_mut(self.head_dim) {
                let (a, b) = (head.as_mut_ptr(), head[half..].as_mut_ptr());
                vectors!(half, at, n => unsafe {
                    let (x, y) = (L::load_first(a.add(at), n), L::load_first(b.add(at), n));
                    let cos = L::load_first(cos.as_ptr().add(at), n);
                    let mut sin = L::load_first(sin.as_ptr().add(at), n);
                    if self.inverse {
                        sin = L::sub(L::splat(0.0), sin);
                    }
                    L::store_first(a.add(at), n, L::fnma(y, sin, L::mul(x, cos)));
                    L::store_first(b.add(at), n, L::fma(x, sin, L::mul(y, cos)));
                });
            }
        }
    }
}
