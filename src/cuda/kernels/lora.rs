//! Adapters of low rank beside large matrices (`lora.cu`): `A` (r, k) and `B` (n, r) in f32.

use super::{Kernels, Mask, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Activation, Array, Slice, SliceMut};
use crate::cuda::machine::Shape;
use crate::nn::dropout::Dropout;

/// Rows of a block (`LOW_ROWS`, `RAISE_ROWS`), columns of a block (`RAISE_COLUMNS`, `GRAD_COLUMNS`).
const ROWS: usize = 64;
const COLUMNS: usize = 128;
/// Rows that a block of a gradient has at a time (`GRAD_ROWS`).
const AT_A_TIME: usize = 32;
/// Blocks that keep a device busy, for sums over rows that are cut for it: a fixed number, so that all devices give the same sums.
const BLOCKS: usize = 528;

/// Groups of the rank.
const fn groups(r: usize) -> usize {
    r.div_ceil(if r <= 8 { 8 } else { 16 })
}

/// How many rows there are of a matrix of so many elements and columns, beside (rows, r).
fn rows(wide: (usize, usize), thin: (usize, usize)) -> usize {
    let ((len, columns), (thin, r)) = (wide, thin);
    assert!(columns > 0 && r > 0 && len.is_multiple_of(columns), "{len} elements are no rows of {columns}");
    let m = len / columns;
    assert!(thin == m * r, "{thin} elements for {m} rows of {r}");
    assert!(u32::try_from(m).is_ok() && u32::try_from(columns).is_ok(), "a matrix ({m}, {columns})");
    m
}

impl Kernels {
    /// `low = scale * dropout(x) A^T`. `# Shapes: x (m, k), a (r, k), low (m, r)`
    ///
    /// # Errors
    /// If the device fails, as all functions here.
    pub fn lora_lower<E: Activation>(
        &self,
        (k, r): (usize, usize),
        x: Slice<'_, E>,
        a: Slice<'_, f32>,
        mask: Dropout,
        scale: f32,
        low: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let m = rows((x.len(), k), (low.len(), r));
        assert_eq!(a.len(), r * k, "A");
        let shape = Shape::blocks(m.div_ceil(ROWS) * groups(r), 1, 1);
        let mask = Mask::from(mask);
        let arguments = arguments![x.at(), a.at(), mask, scale, m as u32, k as u32, r as u32, low.at()];
        self.launch(E::kernel(["lora_lower_f32", "lora_lower_bf16"]), shape, arguments)
    }

    /// `y += low B^T`, in f32 with the bits of [`nn::matmul`](crate::nn::matmul). `# Shapes: low (m, r), b (n, r), y (m, n)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn lora_raise<E: Activation>(
        &self,
        (n, r): (usize, usize),
        low: Slice<'_, f32>,
        b: Slice<'_, f32>,
        y: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        let m = rows((y.len(), n), (low.len(), r));
        assert_eq!(b.len(), n * r, "B");
        let shape = Shape::blocks(m.div_ceil(ROWS) * n.div_ceil(COLUMNS), 1, 1);
        let arguments = arguments![low.at(), b.at(), m as u32, n as u32, r as u32, y.at()];
        self.launch(E::kernel(["lora_raise_f32", "lora_raise_bf16"]), shape, arguments)
    }

    /// `d_low = scale * dy B`. `# Shapes: dy (m, n), b (n, r), d_low (m, r)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn lora_backward_low<E: Activation>(
        &self,
        (n, r): (usize, usize),
        dy: Slice<'_, E>,
        b: Slice<'_, f32>,
        scale: f32,
        d_low: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let m = rows((dy.len(), n), (d_low.len(), r));
        assert_eq!(b.len(), n * r, "B");
        let shape = Shape::blocks(m.div_ceil(ROWS) * groups(r), 1, 1);
        let arguments = arguments![dy.at(), b.at(), scale, m as u32, n as u32, r as u32, d_low.at()];
        self.launch(E::kernel(["lora_back_low_f32", "lora_back_low_bf16"]), shape, arguments)
    }

    /// `grad_b += dy^T low`. `# Shapes: dy (m, n), low (m, r), grad_b (n, r)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn lora_gradient_b<E: Activation>(
        &self,
        (n, r): (usize, usize),
        dy: Slice<'_, E>,
        low: Slice<'_, f32>,
        grad_b: SliceMut<'_, f32>,
        partial: &mut Array<f32>,
    ) -> Result<(), Error> {
        let m = rows((dy.len(), n), (low.len(), r));
        assert_eq!(grad_b.len(), n * r, "the gradient of B");
        let Cut { rows, parts, shape } = Cut::of(m, n, r);
        partial.reset(parts * n * r)?;
        let to = partial.all().at();
        let arguments = arguments![dy.at(), low.at(), m as u32, n as u32, r as u32, rows as u32, to];
        self.launch(E::kernel(["lora_grad_b_f32", "lora_grad_b_bf16"]), shape, arguments)?;
        self.add_splits(partial.all(), parts, grad_b)
    }

    /// `grad_a += d_low^T dropout(x)`. `# Shapes: d_low (m, r), x (m, k), grad_a (r, k)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn lora_gradient_a<E: Activation>(
        &self,
        (k, r): (usize, usize),
        d_low: Slice<'_, f32>,
        x: Slice<'_, E>,
        mask: Dropout,
        grad_a: SliceMut<'_, f32>,
        partial: &mut Array<f32>,
    ) -> Result<(), Error> {
        let m = rows((x.len(), k), (d_low.len(), r));
        assert_eq!(grad_a.len(), r * k, "the gradient of A");
        let Cut { rows, parts, shape } = Cut::of(m, k, r);
        partial.reset(parts * r * k)?;
        let (mask, to) = (Mask::from(mask), partial.all().at());
        let arguments = arguments![x.at(), d_low.at(), mask, m as u32, k as u32, r as u32, rows as u32, to];
        self.launch(E::kernel(["lora_grad_a_f32", "lora_grad_a_bf16"]), shape, arguments)?;
        self.add_splits(partial.all(), parts, grad_a)
    }

    /// `dx += mask * (d_low A)`, with the bits of [`nn::matmul`](crate::nn::matmul). `# Shapes: d_low (m, r), a (r, k), dx (m, k)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn lora_backward_input<E: Activation>(
        &self,
        (k, r): (usize, usize),
        d_low: Slice<'_, f32>,
        a: Slice<'_, f32>,
        mask: Dropout,
        dx: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        let m = rows((dx.len(), k), (d_low.len(), r));
        assert_eq!(a.len(), r * k, "A");
        let shape = Shape::blocks(m.div_ceil(ROWS) * k.div_ceil(COLUMNS), 1, 1);
        let mask = Mask::from(mask);
        let arguments = arguments![d_low.at(), a.at(), mask, m as u32, k as u32, r as u32, dx.at()];
        self.launch(E::kernel(["lora_back_input_f32", "lora_back_input_bf16"]), shape, arguments)
    }
}

/// How a sum over `m` rows is cut.
struct Cut {
    rows: usize,
    parts: usize,
    shape: Shape,
}

impl Cut {
    /// A function of the shapes alone.
    fn of(m: usize, columns: usize, r: usize) -> Self {
        let tiles = columns.div_ceil(COLUMNS) * groups(r);
        // A part has 64 rows at least: its sums are written and read again.
        let most = BLOCKS.div_ceil(tiles).min(m.div_ceil(2 * AT_A_TIME)).max(1);
        let rows = m.div_ceil(most).next_multiple_of(AT_A_TIME).max(AT_A_TIME);
        let parts = m.div_ceil(rows);
        Self { rows, parts, shape: Shape::blocks(tiles * parts, 1, 1) }
    }
}
