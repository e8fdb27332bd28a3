//! The recurrence (`scan.cu`).

use super::{Kernels, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Array, Slice, SliceMut};
use crate::cuda::machine::Shape;

impl Kernels {
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
}
