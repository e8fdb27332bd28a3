//! Rows: gathered, normalised, summed by column, scattered (`rows.cu`).

use super::{Kernels, Mask, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Slice, SliceMut};
use crate::cuda::machine::Shape;
use crate::nn::dropout::Dropout;

/// Threads of a row of a norm.
const LANES: usize = 16;

impl Kernels {
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
}
