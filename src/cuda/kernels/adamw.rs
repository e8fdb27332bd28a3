//! The optimizer (`adamw.cu`).

use super::{Kernels, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Array, Slice, SliceMut};
use crate::cuda::machine::Shape;
use crate::nn::adamw::Constants;

/// Threads of a sum of squares.
const LANES: usize = 16;

impl Kernels {
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
}
