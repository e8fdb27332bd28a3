//! The operations on this machine's processor.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Range;

use super::{Classes, Lists, Normed, Ops, Side, Start};
use crate::nn::adamw::{self, Constants};
use crate::nn::aligned::Buffer;
use crate::nn::cross_entropy::{self, Inputs};
use crate::nn::dropout::Dropout;
use crate::nn::gemm::{self, Left};
use crate::nn::{embedding, gelu, norm, scan};

/// Scratch memory of the operations, kept between calls.
#[derive(Default)]
pub struct Cpu {
    turned: Buffer,
    classes: cross_entropy::Workspace,
}

/// Two ranges of one array, the first before the second.
fn two(floats: &mut [f32], first: Range<usize>, second: Range<usize>) -> (&mut [f32], &mut [f32]) {
    let (left, right) = floats.split_at_mut(second.start);
    (&mut left[first], &mut right[..second.end - second.start])
}

/// `to (n, m)` = the transpose of `from (m, n)`.
fn transpose(from: &[f32], m: usize, n: usize, to: &mut [f32]) {
    for i in 0..m {
        for j in 0..n {
            to[j * m + i] = from[i * n + j];
        }
    }
}

impl Ops for Cpu {
    type Error = Infallible;
    type Floats = Buffer;
    type Ids = Vec<u32>;
    type Part<'a> = &'a [f32];
    const ROWS: usize = 4096;

    fn floats(&self) -> Buffer {
        Buffer::default()
    }

    fn ids(&self) -> Vec<u32> {
        Vec::new()
    }

    fn all<'a>(&self, floats: &'a Buffer) -> &'a [f32] {
        floats
    }

    fn within<'a>(&self, part: Self::Part<'a>, range: Range<usize>) -> Self::Part<'a> {
        &part[range]
    }

    fn room(&mut self, floats: &mut Buffer, len: usize) -> Result<(), Infallible> {
        floats.reset(len);
        Ok(())
    }

    fn zeros(&mut self, floats: &mut Buffer, len: usize) -> Result<(), Infallible> {
        floats.clear(len);
        Ok(())
    }

    fn set(&mut self, floats: &mut Buffer, values: &[f32]) -> Result<(), Infallible> {
        floats.reset(values.len()).copy_from_slice(values);
        Ok(())
    }

    fn set_ids(&mut self, ids: &mut Vec<u32>, values: &[u32]) -> Result<(), Infallible> {
        ids.clear();
        ids.extend_from_slice(values);
        Ok(())
    }

    fn read<'a>(&mut self, part: Self::Part<'a>) -> Result<Cow<'a, [f32]>, Infallible> {
        Ok(Cow::Borrowed(part))
    }

    fn copy(&mut self, from: &[f32], (floats, range): (&mut Buffer, Range<usize>)) -> Result<(), Infallible> {
        floats[range].copy_from_slice(from);
        Ok(())
    }

    fn gather(
        &mut self,
        table: &[f32],
        index: &Vec<u32>,
        d: usize,
        out: &mut Buffer,
    ) -> Result<(), Infallible> {
        let out = out.reset(index.len() * d);
        for (row, &at) in out.chunks_exact_mut(d).zip(index) {
            row.copy_from_slice(&table[at as usize * d..][..d]);
        }
        Ok(())
    }

    fn scatter(
        &mut self,
        rows: &[f32],
        lists: &Lists<Vec<u32>>,
        d: usize,
        (floats, range): (&mut Buffer, Range<usize>),
    ) -> Result<(), Infallible> {
        embedding::scatter(d, lists, rows, &mut floats[range]);
        Ok(())
    }

    fn norm_forward(
        &mut self,
        d: usize,
        x: &[f32],
        residual: Option<&[f32]>,
        dropout: Dropout,
        affine: (&[f32], &[f32]),
        y: &mut Buffer,
        saved: &mut Normed<Buffer>,
    ) -> Result<(), Infallible> {
        let (normal, inverse) = (saved.normal.reset(x.len()), saved.inverse.reset(x.len() / d));
        norm::forward(d, x, residual, dropout, affine, y.reset(x.len()), norm::Saved { normal, inverse });
        Ok(())
    }

    fn norm_backward(
        &mut self,
        d: usize,
        dy: &[f32],
        saved: &Normed<Buffer>,
        weight: &[f32],
        dropout: Dropout,
        dz: &mut Buffer,
        dx: &mut Buffer,
        (floats, d_weight, d_bias): (&mut Buffer, Range<usize>, Range<usize>),
    ) -> Result<(), Infallible> {
        let (dz, dx) = (dz.reset(dy.len()), dx.reset(dy.len()));
        let affine = two(floats, d_weight, d_bias);
        norm::backward(d, dy, (&saved.normal, &saved.inverse), weight, dropout, dz, dx, affine);
        Ok(())
    }

    fn gelu_forward(&mut self, x: &[f32], dropout: Dropout, y: &mut Buffer) -> Result<(), Infallible> {
        gelu::forward(x, dropout, y.reset(x.len()));
        Ok(())
    }

    fn gelu_backward(&mut self, x: &[f32], dropout: Dropout, dy: &mut Buffer) -> Result<(), Infallible> {
        gelu::backward(x, dropout, dy);
        Ok(())
    }

    fn linear(
        &mut self,
        (m, n, k): (usize, usize, usize),
        x: &[f32],
        (weight, bias): (&[f32], &[f32]),
        out: &mut Buffer,
    ) -> Result<(), Infallible> {
        // The kernel wants contiguous rows on the right; a layer's weights are few beside a batch.
        let turned = self.turned.reset(n * k);
        transpose(weight, n, k, turned);
        gemm::gemm((m, n, k), Left::rows(x, k), turned, n, out.reset(m * n), n, gemm::Start::Columns(bias));
        Ok(())
    }

    fn product(
        &mut self,
        (m, n, k): (usize, usize, usize),
        a: Side<&[f32]>,
        b: &[f32],
        (floats, range): (&mut Buffer, Range<usize>),
        start: Start,
    ) -> Result<(), Infallible> {
        let a = match a {
            Side::Rows(a) => Left::rows(a, k),
            Side::Transposed(a) => Left::transposed(a, m),
        };
        let start = match start {
            Start::Zero => gemm::Start::Zero,
            Start::Sum => gemm::Start::Sum,
        };
        gemm::gemm((m, n, k), a, b, n, &mut floats[range], n, start);
        Ok(())
    }

    fn column_sums(
        &mut self,
        n: usize,
        a: &[f32],
        (floats, range): (&mut Buffer, Range<usize>),
    ) -> Result<(), Infallible> {
        norm::product_sums(n, a, None, &mut floats[range]);
        Ok(())
    }

    fn pair(&mut self, d: usize, real: &[f32], imag: &[f32], out: &mut Buffer) -> Result<(), Infallible> {
        let c = real.len() / d;
        let rows = out.reset(2 * real.len()).chunks_exact_mut(2 * c);
        for ((row, real), imag) in rows.zip(real.chunks_exact(c)).zip(imag.chunks_exact(c)) {
            row[..c].copy_from_slice(real);
            row[c..].iter_mut().zip(imag).for_each(|(to, x)| *to = -x);
        }
        Ok(())
    }

    fn unpair(
        &mut self,
        d: usize,
        pair: &[f32],
        (floats, real, imag): (&mut Buffer, Range<usize>, Range<usize>),
    ) -> Result<(), Infallible> {
        let c = real.len() / d;
        let (real, imag) = two(floats, real, imag);
        let halves = real.chunks_exact_mut(c).zip(imag.chunks_exact_mut(c));
        for (row, (real, imag)) in pair.chunks_exact(2 * c).zip(halves) {
            real.copy_from_slice(&row[..c]);
            imag.iter_mut().zip(&row[c..]).for_each(|(to, x)| *to = -x);
        }
        Ok(())
    }

    fn scan_forward(
        &mut self,
        c: usize,
        starts: &Vec<u32>,
        coefficients: &[f32],
        u: &[f32],
        h: &mut Buffer,
    ) -> Result<(), Infallible> {
        scan::forward(c, starts, scan::Coefficients::of(coefficients), u, h.reset(u.len()));
        Ok(())
    }

    fn scan_backward(
        &mut self,
        c: usize,
        (starts, _): (&Vec<u32>, &Vec<u32>),
        (coefficients, nu_theta): (&[f32], &[f64]),
        (u, h): (&[f32], &[f32]),
        dh: &mut Buffer,
        (floats, logs): (&mut Buffer, Range<usize>),
    ) -> Result<(), Infallible> {
        let of = scan::Coefficients::of(coefficients);
        let mut d = vec![0f32; 3 * c];
        {
            let (real, rest) = d.split_at_mut(c);
            let (imag, gamma) = rest.split_at_mut(c);
            scan::backward(c, starts, of, u, h, dh, scan::Gradients { real, imag, gamma });
        }
        let d_logs = &mut floats[logs];
        for channel in 0..c {
            let (d_real, d_imag) = (f64::from(d[channel]), f64::from(d[c + channel]));
            let (real, imag) = (f64::from(of.real[channel]), f64::from(of.imag[channel]));
            let d_nu = -(d_real * real + d_imag * imag);
            let d_theta = d_imag * real - d_real * imag;
            d_logs[channel] = (d_nu * nu_theta[channel]) as f32;
            d_logs[c + channel] = (d_theta * nu_theta[c + channel]) as f32;
            d_logs[2 * c + channel] = d[2 * c + channel] * of.gamma[channel];
        }
        Ok(())
    }

    fn cross_entropy(
        &mut self,
        inputs: Classes<'_, &[f32], &[f32], Vec<u32>>,
        d_hidden: &mut Buffer,
        (floats, d_weight, d_bias): (&mut Buffer, Range<usize>, Range<usize>),
    ) -> Result<f64, Infallible> {
        let Classes { width, hidden, weight, bias, labels } = inputs;
        let (d_weight, d_bias) = two(floats, d_weight, d_bias);
        let gradients =
            cross_entropy::Gradients { hidden: d_hidden.reset(hidden.len()), weight: d_weight, bias: d_bias };
        let inputs = Inputs { width, hidden, weight, bias, labels };
        Ok(cross_entropy::loss_and_gradients(inputs, gradients, &mut self.classes))
    }

    fn norm(&mut self, gradient: &[f32]) -> Result<f64, Infallible> {
        Ok(adamw::norm(gradient))
    }

    fn adamw(
        &mut self,
        constants: Constants,
        gradient: &[f32],
        decayed: &[(usize, usize)],
        (weights, first, second): (&mut Buffer, &mut Buffer, &mut Buffer),
    ) -> Result<(), Infallible> {
        adamw::step_with(constants, gradient, decayed, adamw::State { weights, first, second });
        Ok(())
    }
}
