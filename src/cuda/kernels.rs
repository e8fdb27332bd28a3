//! The kernels as functions: what they take is held against each other here, so that none reads or writes beyond an array.

use std::ffi::c_void;
use std::sync::Arc;

use super::Error;
use super::array::{Array, Slice, SliceMut};
use super::machine::{Machine, Shape};
use crate::nn::adamw::Constants;
use crate::nn::dropout::Dropout;

/// Rows of a tile of the cross-entropy: as many as the CPU has in a block.
const TILE: usize = 64;
/// Threads of a row of a norm, and of a sum of squares.
const LANES: usize = 16;
/// Users of a block of the walk over the catalogue.
const USERS: usize = 32;

/// `arguments![a, b]`: the values as a launch takes them.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => {
        &mut [$(Argument::of($value)),*]
    };
}

/// A value that a kernel takes.
#[derive(Clone, Copy)]
struct Argument([u64; 4]);

impl Argument {
    fn of<T: Copy>(value: T) -> Self {
        const { assert!(size_of::<T>() <= 32 && align_of::<T>() <= 8, "a value of at most 32 bytes") };
        let mut bytes = [0u64; 4];
        // SAFETY: there is room for it, aligned to 8.
        unsafe { bytes.as_mut_ptr().cast::<T>().write(value) };
        Self(bytes)
    }
}

/// A dropout layer as kernels take it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Mask {
    key: u64,
    threshold: u32,
    scale: f32,
}

impl From<Dropout> for Mask {
    fn from(dropout: Dropout) -> Self {
        let (key, threshold, scale) = dropout.parts();
        Self { key, threshold, scale }
    }
}

/// A matrix of any strides.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: Slice<'a, f32>,
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows are contiguous and `stride` apart.
    #[must_use]
    pub const fn rows(data: Slice<'a, f32>, stride: usize) -> Self {
        Self { data, row: stride, column: 1 }
    }

    /// The transpose of a matrix whose rows are contiguous and `stride` apart.
    #[must_use]
    pub const fn transposed(data: Slice<'a, f32>, stride: usize) -> Self {
        Self { data, row: 1, column: stride }
    }

    fn check(self, (rows, columns): (usize, usize)) {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row + (columns - 1) * self.column;
            assert!(
                last < self.data.len(),
                "a matrix ({rows}, {columns}) ends behind its {}",
                self.data.len()
            );
        }
    }
}

/// A [`Matrix`] as kernels take it.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawMatrix {
    data: u64,
    row: u64,
    column: u64,
}

impl From<Matrix<'_>> for RawMatrix {
    fn from(matrix: Matrix<'_>) -> Self {
        Self { data: matrix.data.at(), row: matrix.row as u64, column: matrix.column as u64 }
    }
}

/// What the sums of a product start from.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// 0.
    Zero,
    /// What C holds.
    Sum,
    /// A value for each column (a layer's bias).
    Columns(Slice<'a, f32>),
    /// A value for each row.
    Rows(Slice<'a, f32>),
}

/// The inputs of a linear layer with a softmax cross-entropy. `# Shapes: hidden (m, d), weight (v, d), bias (v), labels (m) in 0..v`
#[derive(Clone, Copy)]
pub struct Classes<'a> {
    /// d.
    pub width: usize,
    /// H.
    pub hidden: Slice<'a, f32>,
    /// E.
    pub weight: Slice<'a, f32>,
    /// The output bias.
    pub bias: Slice<'a, f32>,
    /// The class of each position.
    pub labels: Slice<'a, u32>,
}

/// Room of the cross-entropy, kept between steps.
pub struct ClassesRoom {
    tops: Array<f32>,
    factors: Array<f32>,
    sums: Array<f32>,
    rows: Array<f32>,
    partial: Array<f32>,
}

impl ClassesRoom {
    /// With nothing in it.
    #[must_use]
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        let array = || Array::new(machine);
        Self { tops: array(), factors: array(), sums: array(), rows: array(), partial: array() }
    }
}

/// Who a catalogue is walked for. `# Shapes: states (users, d), targets (users), masks (offsets[users]), offsets (users + 1)`
#[derive(Clone, Copy)]
pub struct Walk<'a> {
    /// d.
    pub width: usize,
    /// How many items each user gets.
    pub k: usize,
    /// What an item scores that cannot be retrieved.
    pub masked: f32,
    /// Of each user.
    pub states: Slice<'a, f32>,
    /// (v, d); row 0 is the padding.
    pub weight: Slice<'a, f32>,
    /// (v).
    pub bias: Slice<'a, f32>,
    /// The item whose rank is wanted.
    pub targets: Slice<'a, u32>,
    /// Items that cannot be retrieved, ascending for each user.
    pub masks: Slice<'a, u32>,
    /// Where those of each user begin, and the end.
    pub offsets: Slice<'a, u32>,
}

/// What a walk finds. `# Shapes: candidates, scores (users, k); better, tied, filled (users)`
pub struct Walked {
    /// The best items, best first, as far as they got in.
    pub candidates: Array<u32>,
    /// Their scores.
    pub scores: Array<f32>,
    /// How many items come before the target.
    pub better: Array<u32>,
    /// Whether another item scores as much as the target.
    pub tied: Array<u32>,
    /// How many items got in.
    pub filled: Array<u32>,
}

/// The kernels on one machine.
#[derive(Clone)]
pub struct Kernels {
    machine: Arc<dyn Machine>,
}

impl Kernels {
    /// Those of a machine.
    #[must_use]
    pub const fn new(machine: Arc<dyn Machine>) -> Self {
        Self { machine }
    }

    /// Where they run.
    #[must_use]
    pub const fn machine(&self) -> &Arc<dyn Machine> {
        &self.machine
    }

    fn launch(&self, kernel: &'static str, shape: Shape, arguments: &mut [Argument]) -> Result<(), Error> {
        if shape.grid.contains(&0) {
            return Ok(());
        }
        let mut pointers: Vec<*mut c_void> =
            arguments.iter_mut().map(|value| value.0.as_mut_ptr().cast()).collect();
        // SAFETY: the functions below hold lengths against each other, and write arguments in the kernel's order and with its types.
        unsafe { self.machine.launch(kernel, shape, &mut pointers) }
    }

    /// `out[i] = table[index[i]]`. `# Shapes: table (., d), index (m) below table's rows, out (m, d)`
    ///
    /// # Errors
    /// If the device fails, as all functions here.
    pub fn gather_rows(
        &self,
        table: Slice<'_, f32>,
        index: Slice<'_, u32>,
        d: usize,
        out: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let m = index.len();
        assert_eq!(out.len(), m * d, "out");
        let shape = Shape::threads(out.len() as u64);
        self.launch("gather_rows", shape, arguments![table.at(), index.at(), m as u32, d as u32, out.at()])
    }

    /// `table[tokens[t]] += rows[positions[i]]` for `i` in `offsets[t]..offsets[t + 1]`, in this order; every token is there once.
    ///
    /// # Errors
    /// As all functions here.
    pub fn scatter_rows(
        &self,
        rows: Slice<'_, f32>,
        (tokens, offsets, positions): (Slice<'_, u32>, Slice<'_, u32>, Slice<'_, u32>),
        d: usize,
        table: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let n = tokens.len();
        assert_eq!((offsets.len(), positions.len() * d), (n + 1, rows.len()), "offsets or positions");
        let shape = Shape::threads((n * d) as u64);
        let (tokens, offsets, positions) = (tokens.at(), offsets.at(), positions.at());
        let arguments = arguments![rows.at(), tokens, offsets, positions, n as u32, d as u32, table.at()];
        self.launch("scatter_rows", shape, arguments)
    }

    /// [`nn::norm::forward`](crate::nn::norm::forward).
    ///
    /// # Errors
    /// As all functions here.
    #[allow(clippy::too_many_arguments, reason = "a layer has this many facts")]
    pub fn norm_forward(
        &self,
        d: usize,
        x: Slice<'_, f32>,
        residual: Option<Slice<'_, f32>>,
        dropout: Dropout,
        (weight, bias): (Slice<'_, f32>, Slice<'_, f32>),
        y: SliceMut<'_, f32>,
        (normal, inverse): (SliceMut<'_, f32>, SliceMut<'_, f32>),
    ) -> Result<(), Error> {
        let m = x.len() / d;
        assert!(
            x.len() == m * d && y.len() == x.len() && normal.len() == x.len() && inverse.len() == m,
            "rows"
        );
        assert!(
            weight.len() == d && bias.len() == d && residual.is_none_or(|r| r.len() == x.len()),
            "columns"
        );
        let residual = residual.map_or(0, Slice::at);
        let shape = Shape::threads((m * LANES) as u64);
        let mask = Mask::from(dropout);
        let (weight, bias) = (weight.at(), bias.at());
        let (y, normal, inverse) = (y.at(), normal.at(), inverse.at());
        let arguments =
            arguments![x.at(), residual, mask, weight, bias, m as u32, d as u32, y, normal, inverse];
        self.launch("norm_forward", shape, arguments)
    }

    /// [`nn::norm::backward`](crate::nn::norm::backward), with the gradients of weight and bias added to.
    ///
    /// # Errors
    /// As all functions here.
    #[allow(clippy::too_many_arguments, reason = "a layer's backward has this many facts")]
    pub fn norm_backward(
        &self,
        d: usize,
        dy: Slice<'_, f32>,
        (normal, inverse): (Slice<'_, f32>, Slice<'_, f32>),
        weight: Slice<'_, f32>,
        dropout: Dropout,
        dz: SliceMut<'_, f32>,
        dx: SliceMut<'_, f32>,
        (d_weight, d_bias): (SliceMut<'_, f32>, SliceMut<'_, f32>),
    ) -> Result<(), Error> {
        let m = dy.len() / d;
        assert!(
            dy.len() == m * d && normal.len() == dy.len() && inverse.len() == m && weight.len() == d,
            "inputs"
        );
        assert!(dz.len() == dy.len() && dx.len() == dy.len(), "gradients");
        self.column_sums(d, dy, Some(normal), d_weight)?;
        self.column_sums(d, dy, None, d_bias)?;
        let shape = Shape::threads((m * LANES) as u64);
        let mask = Mask::from(dropout);
        let (normal, inverse, weight) = (normal.at(), inverse.at(), weight.at());
        let arguments =
            arguments![dy.at(), normal, inverse, weight, mask, m as u32, d as u32, dz.at(), dx.at()];
        self.launch("norm_backward", shape, arguments)
    }

    /// [`nn::norm::product_sums`](crate::nn::norm::product_sums).
    ///
    /// # Errors
    /// As all functions here.
    pub fn column_sums(
        &self,
        n: usize,
        a: Slice<'_, f32>,
        b: Option<Slice<'_, f32>>,
        sums: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let m = a.len() / n;
        assert!(a.len() == m * n && sums.len() == n && b.is_none_or(|b| b.len() == a.len()), "sums or b");
        let b = b.map_or(0, Slice::at);
        let shape = Shape::blocks(n.div_ceil(32), 1, 1);
        self.launch("column_sums", shape, arguments![a.at(), b, m as u32, n as u32, sums.at()])
    }

    /// `out = [real | -imag]`, row by row. `# Shapes: real, imag (d, c), out (d, 2c)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn pair(
        &self,
        d: usize,
        real: Slice<'_, f32>,
        imag: Slice<'_, f32>,
        out: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let n = real.len();
        assert!(imag.len() == n && out.len() == 2 * n && n.is_multiple_of(d), "halves");
        let arguments = arguments![real.at(), imag.at(), d as u32, (n / d) as u32, out.at()];
        self.launch("pair_halves", Shape::threads(n as u64), arguments)
    }

    /// The halves of [`Kernels::pair`] back.
    ///
    /// # Errors
    /// As all functions here.
    pub fn unpair(
        &self,
        d: usize,
        pair: Slice<'_, f32>,
        (real, imag): (SliceMut<'_, f32>, SliceMut<'_, f32>),
    ) -> Result<(), Error> {
        let n = real.len();
        assert!(imag.len() == n && pair.len() == 2 * n && n.is_multiple_of(d), "halves");
        let arguments = arguments![pair.at(), d as u32, (n / d) as u32, real.at(), imag.at()];
        self.launch("split_halves", Shape::threads(n as u64), arguments)
    }

    /// [`nn::gelu::forward`](crate::nn::gelu::forward).
    ///
    /// # Errors
    /// As all functions here.
    pub fn gelu_forward(
        &self,
        x: Slice<'_, f32>,
        dropout: Dropout,
        y: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        assert_eq!(x.len(), y.len(), "y");
        let (mask, n) = (Mask::from(dropout), x.len() as u64);
        self.launch("gelu_forward", Shape::threads(n), arguments![x.at(), mask, n, y.at()])
    }

    /// [`nn::gelu::backward`](crate::nn::gelu::backward).
    ///
    /// # Errors
    /// As all functions here.
    pub fn gelu_backward(
        &self,
        x: Slice<'_, f32>,
        dropout: Dropout,
        dy: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        assert_eq!(x.len(), dy.len(), "dy");
        let (mask, n) = (Mask::from(dropout), x.len() as u64);
        self.launch("gelu_backward", Shape::threads(n), arguments![x.at(), mask, n, dy.at()])
    }

    /// `C = start + A B`, as [`nn::gemm::gemm`](crate::nn::gemm::gemm). `# Shapes: A (m, k), B (k, n), C (m, n)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn product(
        &self,
        (m, n, k): (usize, usize, usize),
        a: Matrix<'_>,
        b: Matrix<'_>,
        c: SliceMut<'_, f32>,
        start: Start<'_>,
    ) -> Result<(), Error> {
        a.check((m, k));
        b.check((k, n));
        assert_eq!(c.len(), m * n, "C");
        let (mode, bias) = match start {
            Start::Zero => (0u32, 0),
            Start::Sum => (1, 0),
            Start::Columns(bias) => {
                assert_eq!(bias.len(), n, "columns");
                (2, bias.at())
            }
            Start::Rows(bias) => {
                assert_eq!(bias.len(), m, "rows");
                (3, bias.at())
            }
        };
        // Large tiles where they are enough to keep a device busy.
        let wide = m.div_ceil(64) * n.div_ceil(64) >= 64;
        let (kernel, tile) = if wide { ("product_wide", 64) } else { ("product_deep", 16) };
        let shape = Shape::blocks(n.div_ceil(tile), m.div_ceil(tile), 1);
        let (a, b) = (RawMatrix::from(a), RawMatrix::from(b));
        let arguments = arguments![m as u32, n as u32, k as u32, a, b, c.at(), n as u64, mode, bias];
        self.launch(kernel, shape, arguments)
    }

    /// [`nn::scan::forward`](crate::nn::scan::forward). `# Shapes: starts (sequences + 1), coefficients (3, c), u, h (m, 2c)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn scan_forward(
        &self,
        c: usize,
        starts: Slice<'_, u32>,
        coefficients: Slice<'_, f32>,
        u: Slice<'_, f32>,
        h: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        assert!(coefficients.len() == 3 * c && u.len() == h.len(), "coefficients or states");
        let sequences = starts.len().saturating_sub(1);
        let shape = Shape::threads((sequences * c) as u64);
        let arguments =
            arguments![c as u32, starts.at(), sequences as u32, coefficients.at(), u.at(), h.at()];
        self.launch("scan_forward", shape, arguments)
    }

    /// [`nn::scan::backward`](crate::nn::scan::backward), and on to the logarithms of the coefficients, whose exponentials in f64 are
    /// those of nu and theta. `# Shapes: groups (n + 1), exponentials (2, c), d_logs (3, c)`
    ///
    /// # Errors
    /// As all functions here.
    #[allow(clippy::too_many_arguments, reason = "a layer's backward has this many facts")]
    pub fn scan_backward(
        &self,
        c: usize,
        (starts, groups): (Slice<'_, u32>, Slice<'_, u32>),
        coefficients: Slice<'_, f32>,
        exponentials: Slice<'_, f64>,
        (u, h): (Slice<'_, f32>, Slice<'_, f32>),
        dh: SliceMut<'_, f32>,
        partial: &mut Array<f32>,
        d_logs: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let n = groups.len().saturating_sub(1);
        assert!(
            coefficients.len() == 3 * c && exponentials.len() == 2 * c && d_logs.len() == 3 * c,
            "coefficients"
        );
        assert!(u.len() == h.len() && dh.len() == h.len(), "states");
        partial.reset(n * 3 * c)?;
        let (starts, groups, coefficients) = (starts.at(), groups.at(), coefficients.at());
        let (u, h, dh, sums) = (u.at(), h.at(), dh.at(), partial.all().at());
        let arguments = arguments![c as u32, starts, groups, n as u32, coefficients, u, h, dh, sums];
        self.launch("scan_backward", Shape::threads((n * c) as u64), arguments)?;
        let arguments = arguments![c as u32, sums, n as u32, coefficients, exponentials.at(), d_logs.at()];
        self.launch("scan_logs", Shape::threads(c as u64), arguments)
    }

    /// [`nn::cross_entropy::loss_and_gradients`](crate::nn::cross_entropy::loss_and_gradients). The gradients of weight and bias are added
    /// to. What comes back is each position's largest logit, its sum of exponentials relative to that, and the logit of its label (3, m): the
    /// mean loss is that of `largest + ln(sum) - label`.
    ///
    /// # Errors
    /// As all functions here.
    pub fn cross_entropy<'r>(
        &self,
        inputs: Classes<'_>,
        chunk: usize,
        d_hidden: SliceMut<'_, f32>,
        (d_weight, d_bias): (SliceMut<'_, f32>, SliceMut<'_, f32>),
        room: &'r mut ClassesRoom,
    ) -> Result<Slice<'r, f32>, Error> {
        let Classes { width: d, hidden, weight, bias, labels } = inputs;
        let (m, v) = (labels.len(), bias.len());
        assert!(hidden.len() == m * d && weight.len() == v * d, "hidden or weight");
        assert!(d_hidden.len() == m * d && d_weight.len() == v * d && d_bias.len() == v, "gradients");
        let (chunks, blocks, share) = (v.div_ceil(chunk), m.div_ceil(TILE), 1.0 / m as f32);
        let ClassesRoom { tops, factors, sums, rows, partial } = room;
        for array in [&mut *tops, &mut *factors, &mut *sums] {
            array.reset(chunks * m)?;
        }
        rows.reset(3 * m)?;
        partial.reset(chunks * m * d)?;
        let (h, e, b, l) = (hidden.at(), weight.at(), bias.at(), labels.at());
        let (m32, v32, d32, chunk32) = (m as u32, v as u32, d as u32, chunk as u32);
        let (t, f, s) = (tops.all().at(), factors.all().at(), sums.all().at());
        let by_chunk = Shape::blocks(blocks, chunks, 1);
        self.launch("ce_maxima", by_chunk, arguments![h, e, b, m32, v32, d32, chunk32, t])?;
        self.launch("ce_sums", by_chunk, arguments![h, e, b, m32, v32, d32, chunk32, t, s])?;
        self.machine.copy(t, f, chunks * m * 4)?;
        let arguments = arguments![h, e, b, l, m32, d32, chunks as u32, share, f, s, rows.all().at()];
        self.launch("ce_combine", Shape::threads(m as u64), arguments)?;
        let by_tile = Shape::blocks(chunks * chunk.div_ceil(TILE), d.div_ceil(TILE), 1);
        let (w, w_bias) = (d_weight.at(), d_bias.at());
        let arguments = arguments![h, e, b, l, m32, v32, d32, chunk32, share, t, f, w, w_bias];
        self.launch("ce_weight", by_tile, arguments)?;
        let by_column = Shape::blocks(blocks, chunks, d.div_ceil(TILE));
        let parts = partial.all().at();
        let arguments = arguments![h, e, b, l, m32, v32, d32, chunk32, share, t, f, parts];
        self.launch("ce_hidden", by_column, arguments)?;
        let n = (m * d) as u64;
        self.launch("add_parts", Shape::threads(n), arguments![parts, chunks as u32, n, d_hidden.at()])?;
        Ok(rows.all())
    }

    /// [`nn::adamw::norm`](crate::nn::adamw::norm).
    ///
    /// # Errors
    /// As all functions here.
    pub fn norm(
        &self,
        gradient: Slice<'_, f32>,
        sums: &mut Array<f32>,
        totals: &mut Array<f64>,
    ) -> Result<f64, Error> {
        let (n, blocks) = (gradient.len(), gradient.len().div_ceil(1024));
        sums.reset(blocks)?;
        totals.reset(blocks.div_ceil(32) + 1)?;
        let (sums, totals) = (sums.all().at(), totals.all());
        let shape = Shape::threads((blocks * LANES) as u64);
        self.launch("square_sums", shape, arguments![gradient.at(), n as u64, sums])?;
        let (parts, result) = (totals.at(), totals.part(totals.len() - 1..totals.len()));
        self.launch(
            "total_norm",
            Shape::blocks(1, 1, 1),
            arguments![sums, blocks as u32, parts, result.at()],
        )?;
        Ok(result.get()?[0])
    }

    /// [`nn::adamw::step`](crate::nn::adamw::step); `decayed` has the beginnings and ends of sorted ranges.
    ///
    /// # Errors
    /// As all functions here.
    pub fn adamw(
        &self,
        constants: Constants,
        gradient: Slice<'_, f32>,
        decayed: Slice<'_, u64>,
        (weights, first, second): (SliceMut<'_, f32>, SliceMut<'_, f32>, SliceMut<'_, f32>),
    ) -> Result<(), Error> {
        let n = gradient.len();
        assert!(weights.len() == n && first.len() == n && second.len() == n, "lengths differ");
        let (ranges, n) = ((decayed.len() / 2) as u32, n as u64);
        let (weights, first, second) = (weights.at(), first.at(), second.at());
        let arguments = arguments![constants, gradient.at(), decayed.at(), ranges, n, weights, first, second];
        self.launch("adamw_step", Shape::threads(n), arguments)
    }

    /// What `retrieve::catalogue::retrieve` finds: best items and target ranks of every user.
    ///
    /// # Errors
    /// As all functions here.
    pub fn walk(&self, walk: Walk<'_>) -> Result<Walked, Error> {
        let Walk { width: d, k, masked, states, weight, bias, targets, masks, offsets } = walk;
        let (users, v) = (targets.len(), bias.len());
        assert!(states.len() == users * d && weight.len() == v * d && offsets.len() == users + 1, "walk");
        let mut walked = Walked {
            candidates: Array::new(&self.machine),
            scores: Array::new(&self.machine),
            better: Array::new(&self.machine),
            tied: Array::new(&self.machine),
            filled: Array::new(&self.machine),
        };
        walked.candidates.zeros(users * k)?;
        walked.scores.zeros(users * k)?;
        for array in [&mut walked.better, &mut walked.tied, &mut walked.filled] {
            array.reset(users)?;
        }
        let (s, w, b, t) = (states.at(), weight.at(), bias.at(), targets.at());
        let (masks, offsets) = (masks.at(), offsets.at());
        let (candidates, scores) = (walked.candidates.all().at(), walked.scores.all().at());
        let (better, tied, filled) =
            (walked.better.all().at(), walked.tied.all().at(), walked.filled.all().at());
        let arguments = arguments![
            s,
            w,
            b,
            t,
            masks,
            offsets,
            masked,
            users as u32,
            v as u32,
            d as u32,
            k as u32,
            candidates,
            scores,
            better,
            tied,
            filled
        ];
        self.launch("walk_catalogue", Shape::blocks(users.div_ceil(USERS), 1, 1), arguments)?;
        Ok(walked)
    }
}
