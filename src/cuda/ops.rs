//! The operations of the retriever on a device.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::Error;
use super::array::{Array, Slice};
use super::kernels::{self, ClassesRoom, Kernels, Matrix};
use super::machine::Machine;
use crate::nn::adamw::Constants;
use crate::nn::cross_entropy;
use crate::nn::dropout::Dropout;
use crate::nn::ops::{self, Classes, Lists, Normed, Side, Start};

/// Kernels with the room that they need between calls.
pub struct Ops {
    kernels: Kernels,
    classes: ClassesRoom,
    partial: Array<f32>,
    exponentials: Array<f64>,
    sums: Array<f32>,
    totals: Array<f64>,
    decayed: Array<u64>,
}

impl Ops {
    /// The kernels that it calls.
    #[must_use]
    pub const fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// On a machine.
    #[must_use]
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        Self {
            kernels: Kernels::new(Arc::clone(machine)),
            classes: ClassesRoom::new(machine),
            partial: Array::new(machine),
            exponentials: Array::new(machine),
            sums: Array::new(machine),
            totals: Array::new(machine),
            decayed: Array::new(machine),
        }
    }
}

impl ops::Ops for Ops {
    type Error = Error;
    type Floats = Array<f32>;
    type Ids = Array<u32>;
    type Part<'a> = Slice<'a, f32>;
    const ROWS: usize = 1 << 17;

    fn floats(&self) -> Array<f32> {
        Array::new(self.kernels.machine())
    }

    fn ids(&self) -> Array<u32> {
        Array::new(self.kernels.machine())
    }

    fn all<'a>(&self, floats: &'a Array<f32>) -> Slice<'a, f32> {
        floats.all()
    }

    fn within<'a>(&self, part: Self::Part<'a>, range: Range<usize>) -> Self::Part<'a> {
        part.part(range)
    }

    fn room(&mut self, floats: &mut Array<f32>, len: usize) -> Result<(), Error> {
        floats.reset(len)
    }

    fn zeros(&mut self, floats: &mut Array<f32>, len: usize) -> Result<(), Error> {
        floats.zeros(len)
    }

    fn set(&mut self, floats: &mut Array<f32>, values: &[f32]) -> Result<(), Error> {
        floats.set(values)
    }

    fn set_ids(&mut self, ids: &mut Array<u32>, values: &[u32]) -> Result<(), Error> {
        ids.set(values)
    }

    fn read<'a>(&mut self, part: Self::Part<'a>) -> Result<Cow<'a, [f32]>, Error> {
        Ok(Cow::Owned(part.get()?))
    }

    fn copy(
        &mut self,
        from: Slice<'_, f32>,
        (floats, range): (&mut Array<f32>, Range<usize>),
    ) -> Result<(), Error> {
        let to = floats.part_mut(range);
        assert_eq!(from.len(), to.len(), "lengths differ");
        if from.is_empty() { Ok(()) } else { self.kernels.machine().copy(from.at(), to.at(), from.len() * 4) }
    }

    fn gather(
        &mut self,
        table: Slice<'_, f32>,
        index: &Array<u32>,
        d: usize,
        out: &mut Array<f32>,
    ) -> Result<(), Error> {
        out.reset(index.len() * d)?;
        self.kernels.gather_rows(table, index.all(), d, out.all_mut())
    }

    fn scatter(
        &mut self,
        rows: Slice<'_, f32>,
        lists: &Lists<Array<u32>>,
        d: usize,
        (floats, range): (&mut Array<f32>, Range<usize>),
    ) -> Result<(), Error> {
        let lists = (lists.ids.all(), lists.offsets.all(), lists.rows.all());
        self.kernels.scatter_rows(rows, lists, d, floats.part_mut(range))
    }

    fn norm_forward(
        &mut self,
        d: usize,
        x: Slice<'_, f32>,
        residual: Option<Slice<'_, f32>>,
        dropout: Dropout,
        affine: (Slice<'_, f32>, Slice<'_, f32>),
        y: &mut Array<f32>,
        saved: &mut Normed<Array<f32>>,
    ) -> Result<(), Error> {
        let Normed { normal, inverse } = saved;
        y.reset(x.len())?;
        normal.reset(x.len())?;
        inverse.reset(x.len() / d)?;
        let saved = (normal.all_mut(), inverse.all_mut());
        self.kernels.norm_forward(d, x, residual, dropout, affine, y.all_mut(), saved)
    }

    fn norm_backward(
        &mut self,
        d: usize,
        dy: Slice<'_, f32>,
        saved: &Normed<Array<f32>>,
        weight: Slice<'_, f32>,
        dropout: Dropout,
        dz: &mut Array<f32>,
        dx: &mut Array<f32>,
        (floats, d_weight, d_bias): (&mut Array<f32>, Range<usize>, Range<usize>),
    ) -> Result<(), Error> {
        dz.reset(dy.len())?;
        dx.reset(dy.len())?;
        let saved = (saved.normal.all(), saved.inverse.all());
        let affine = floats.two_mut(d_weight, d_bias);
        self.kernels.norm_backward(d, dy, saved, weight, dropout, dz.all_mut(), dx.all_mut(), affine)
    }

    fn gelu_forward(&mut self, x: Slice<'_, f32>, dropout: Dropout, y: &mut Array<f32>) -> Result<(), Error> {
        y.reset(x.len())?;
        self.kernels.gelu_forward(x, dropout, y.all_mut())
    }

    fn gelu_backward(
        &mut self,
        x: Slice<'_, f32>,
        dropout: Dropout,
        dy: &mut Array<f32>,
    ) -> Result<(), Error> {
        self.kernels.gelu_backward(x, dropout, dy.all_mut())
    }

    fn linear(
        &mut self,
        (m, n, k): (usize, usize, usize),
        x: Slice<'_, f32>,
        (weight, bias): (Slice<'_, f32>, Slice<'_, f32>),
        out: &mut Array<f32>,
    ) -> Result<(), Error> {
        out.reset(m * n)?;
        let (x, weight) = (Matrix::rows(x, k), Matrix::transposed(weight, k));
        self.kernels.product((m, n, k), x, weight, out.all_mut(), kernels::Start::Columns(bias))
    }

    fn product(
        &mut self,
        (m, n, k): (usize, usize, usize),
        a: Side<Slice<'_, f32>>,
        b: Slice<'_, f32>,
        (floats, range): (&mut Array<f32>, Range<usize>),
        start: Start,
    ) -> Result<(), Error> {
        let a = match a {
            Side::Rows(a) => Matrix::rows(a, k),
            Side::Transposed(a) => Matrix::transposed(a, m),
        };
        let start = match start {
            Start::Zero => kernels::Start::Zero,
            Start::Sum => kernels::Start::Sum,
        };
        self.kernels.product((m, n, k), a, Matrix::rows(b, n), floats.part_mut(range), start)
    }

    fn column_sums(
        &mut self,
        n: usize,
        a: Slice<'_, f32>,
        (floats, range): (&mut Array<f32>, Range<usize>),
    ) -> Result<(), Error> {
        self.kernels.column_sums(n, a, None, floats.part_mut(range))
    }

    fn pair(
        &mut self,
        d: usize,
        real: Slice<'_, f32>,
        imag: Slice<'_, f32>,
        out: &mut Array<f32>,
    ) -> Result<(), Error> {
        out.reset(2 * real.len())?;
        self.kernels.pair(d, real, imag, out.all_mut())
    }

    fn unpair(
        &mut self,
        d: usize,
        pair: Slice<'_, f32>,
        (floats, real, imag): (&mut Array<f32>, Range<usize>, Range<usize>),
    ) -> Result<(), Error> {
        self.kernels.unpair(d, pair, floats.two_mut(real, imag))
    }

    fn scan_forward(
        &mut self,
        c: usize,
        starts: &Array<u32>,
        coefficients: Slice<'_, f32>,
        u: Slice<'_, f32>,
        h: &mut Array<f32>,
    ) -> Result<(), Error> {
        h.reset(u.len())?;
        self.kernels.scan_forward(c, starts.all(), coefficients, u, h.all_mut())
    }

    fn scan_backward(
        &mut self,
        c: usize,
        (starts, groups): (&Array<u32>, &Array<u32>),
        (coefficients, nu_theta): (Slice<'_, f32>, &[f64]),
        states: (Slice<'_, f32>, Slice<'_, f32>),
        dh: &mut Array<f32>,
        (floats, logs): (&mut Array<f32>, Range<usize>),
    ) -> Result<(), Error> {
        self.exponentials.set(nu_theta)?;
        let (sequences, exponentials) = ((starts.all(), groups.all()), self.exponentials.all());
        let (dh, d_logs) = (dh.all_mut(), floats.part_mut(logs));
        let partial = &mut self.partial;
        self.kernels.scan_backward(c, sequences, coefficients, exponentials, states, dh, partial, d_logs)
    }

    fn cross_entropy(
        &mut self,
        inputs: Classes<'_, Slice<'_, f32>, Slice<'_, f32>, Array<u32>>,
        d_hidden: &mut Array<f32>,
        (floats, d_weight, d_bias): (&mut Array<f32>, Range<usize>, Range<usize>),
    ) -> Result<f64, Error> {
        let Classes { width, hidden, weight, bias, labels } = inputs;
        d_hidden.reset(hidden.len())?;
        let inputs = kernels::Classes { width, hidden, weight, bias, labels: labels.all() };
        let chunk = cross_entropy::chunk_of(bias.len());
        let layer = floats.two_mut(d_weight, d_bias);
        let rows = self.kernels.cross_entropy(inputs, chunk, d_hidden.all_mut(), layer, &mut self.classes)?;
        Ok(cross_entropy::mean_loss(&rows.get()?))
    }

    fn norm(&mut self, gradient: Slice<'_, f32>) -> Result<f64, Error> {
        self.kernels.norm(gradient, &mut self.sums, &mut self.totals)
    }

    fn adamw(
        &mut self,
        constants: Constants,
        gradient: Slice<'_, f32>,
        decayed: &[(usize, usize)],
        (weights, first, second): (&mut Array<f32>, &mut Array<f32>, &mut Array<f32>),
    ) -> Result<(), Error> {
        let ranges: Vec<u64> = decayed.iter().flat_map(|(from, to)| [*from as u64, *to as u64]).collect();
        self.decayed.set(&ranges)?;
        let state = (weights.all_mut(), first.all_mut(), second.all_mut());
        self.kernels.adamw(constants, gradient, self.decayed.all(), state)
    }
}
