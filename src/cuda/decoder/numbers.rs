//! What activations are kept as, and how such are multiplied.

use half::bf16;

use crate::cuda::Error;
use crate::cuda::array::{Activation, Array, Slice, SliceMut};
use crate::cuda::frozen::Frozen;
use crate::cuda::kernels::{Kernels, Matrix, Right, Start};
use crate::nn::ops::decoder::Either;

/// f32 or activations, to be written.
pub type Target<'a, E> = Either<SliceMut<'a, f32>, SliceMut<'a, E>>;

/// Numbers that products read.
pub trait Numbers: Activation + Send + Sync {
    /// The elements of a matrix that lie on the device as such numbers.
    fn plain(matrix: &Frozen) -> Option<Slice<'_, Self>>;

    /// f32 numbers as such, in `scratch` if they have to be rounded.
    ///
    /// # Errors
    /// If there is not so much memory, or the device fails, as all functions here.
    fn rounded<'a>(
        kernels: &Kernels,
        floats: Slice<'a, f32>,
        scratch: &'a mut Array<Self>,
    ) -> Result<Slice<'a, Self>, Error>;

    /// Such numbers as f32, in `scratch` if they have to be widened.
    ///
    /// # Errors
    /// As [`Numbers::rounded`].
    fn widened<'a>(
        kernels: &Kernels,
        numbers: Slice<'a, Self>,
        scratch: &'a mut Array<f32>,
    ) -> Result<Slice<'a, f32>, Error>;

    /// `y = start + x W^T`. `# Shapes: x (m, k), W (n, k), y (m, n)`
    ///
    /// # Errors
    /// As [`Numbers::rounded`].
    fn forward(
        kernels: &Kernels,
        shape: (usize, usize, usize),
        x: Slice<'_, Self>,
        w: Slice<'_, Self>,
        y: Target<'_, Self>,
        start: Start<'_>,
    ) -> Result<(), Error>;

    /// `dx = start + dy W`. `# Shapes: dy (m, n), W (n, k), dx (m, k)`
    ///
    /// # Errors
    /// As [`Numbers::rounded`].
    fn backward(
        kernels: &Kernels,
        shape: (usize, usize, usize),
        dy: Slice<'_, Self>,
        w: Slice<'_, Self>,
        dx: Target<'_, Self>,
        start: Start<'_>,
    ) -> Result<(), Error>;
}

impl Numbers for f32 {
    fn plain(matrix: &Frozen) -> Option<Slice<'_, Self>> {
        matrix.as_f32()
    }

    fn rounded<'a>(
        _: &Kernels,
        floats: Slice<'a, f32>,
        _: &'a mut Array<Self>,
    ) -> Result<Slice<'a, Self>, Error> {
        Ok(floats)
    }

    fn widened<'a>(
        _: &Kernels,
        numbers: Slice<'a, Self>,
        _: &'a mut Array<f32>,
    ) -> Result<Slice<'a, f32>, Error> {
        Ok(numbers)
    }

    fn forward(
        kernels: &Kernels,
        (m, n, k): (usize, usize, usize),
        x: Slice<'_, Self>,
        w: Slice<'_, Self>,
        y: Target<'_, Self>,
        start: Start<'_>,
    ) -> Result<(), Error> {
        let (Either::Floats(y) | Either::Activations(y)) = y;
        kernels.product((m, n, k), Matrix::rows(x, k), Matrix::transposed(w, k), y, start)
    }

    fn backward(
        kernels: &Kernels,
        (m, n, k): (usize, usize, usize),
        dy: Slice<'_, Self>,
        w: Slice<'_, Self>,
        dx: Target<'_, Self>,
        start: Start<'_>,
    ) -> Result<(), Error> {
        let (Either::Floats(dx) | Either::Activations(dx)) = dx;
        kernels.product((m, k, n), Matrix::rows(dy, n), Matrix::rows(w, k), dx, start)
    }
}

impl Numbers for bf16 {
    fn plain(matrix: &Frozen) -> Option<Slice<'_, Self>> {
        matrix.as_bf16()
    }

    fn rounded<'a>(
        kernels: &Kernels,
        floats: Slice<'a, f32>,
        scratch: &'a mut Array<Self>,
    ) -> Result<Slice<'a, Self>, Error> {
        scratch.reset(floats.len())?;
        kernels.convert(floats, scratch.all_mut())?;
        Ok(scratch.all())
    }

    fn widened<'a>(
        kernels: &Kernels,
        numbers: Slice<'a, Self>,
        scratch: &'a mut Array<f32>,
    ) -> Result<Slice<'a, f32>, Error> {
        scratch.reset(numbers.len())?;
        kernels.convert(numbers, scratch.all_mut())?;
        Ok(scratch.all())
    }

    fn forward(
        kernels: &Kernels,
        shape: (usize, usize, usize),
        x: Slice<'_, Self>,
        w: Slice<'_, Self>,
        y: Target<'_, Self>,
        start: Start<'_>,
    ) -> Result<(), Error> {
        match y {
            Either::Floats(y) => kernels.matmul(shape, x, Right::Transposed(w), y, start),
            Either::Activations(y) => kernels.matmul(shape, x, Right::Transposed(w), y, start),
        }
    }

    fn backward(
        kernels: &Kernels,
        (m, n, k): (usize, usize, usize),
        dy: Slice<'_, Self>,
        w: Slice<'_, Self>,
        dx: Target<'_, Self>,
        start: Start<'_>,
    ) -> Result<(), Error> {
        match dx {
            Either::Floats(dx) => kernels.matmul((m, k, n), dy, Right::Rows(w), dx, start),
            Either::Activations(dx) => kernels.matmul((m, k, n), dy, Right::Rows(w), dx, start),
        }
    }
}
