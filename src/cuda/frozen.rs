//! Frozen weights on a device, in the storage of the host.

use std::ops::Range;
use std::sync::Arc;

use half::bf16;

use super::array::{Activation, Array, Slice};
use super::kernels::{BlockScales, Kernels, Which};
use super::{Error, Machine};
use crate::nn::quant::{self, Scales, dynamic_map};

/// The elements of a matrix.
enum Elements {
    F32(Array<f32>),
    Bf16(Array<bf16>),
    Int8 { codes: Array<i8>, scales: Array<f32> },
    Nf4 { codes: Array<u8>, scales: Array<f32> },
    Nf4Double { codes: Array<u8>, scales: Array<u8>, absmax: Array<f32>, map: Array<f32>, offset: f32 },
}

/// A matrix (rows, cols) whose elements never change: [`nn::quant::Frozen`](quant::Frozen) on a device.
pub struct Frozen {
    rows: usize,
    cols: usize,
    elements: Elements,
}

impl Frozen {
    /// Bring a matrix to the device.
    ///
    /// # Errors
    /// If there is not so much memory, or the device fails.
    pub fn upload(machine: &Arc<dyn Machine>, matrix: &quant::Frozen) -> Result<Self, Error> {
        let elements = match matrix {
            quant::Frozen::F32(stored) => Elements::F32(Array::of(machine, stored.data())?),
            quant::Frozen::Bf16(stored) => Elements::Bf16(Array::of(machine, stored.data())?),
            quant::Frozen::Int8(int8) => Elements::Int8 {
                codes: Array::of(machine, int8.codes())?,
                scales: Array::of(machine, int8.scales())?,
            },
            quant::Frozen::Nf4(nf4) => {
                let codes = Array::of(machine, nf4.codes())?;
                match nf4.scales() {
                    Scales::Plain(scales) => Elements::Nf4 { codes, scales: Array::of(machine, scales)? },
                    Scales::Double(scales) => Elements::Nf4Double {
                        codes,
                        scales: Array::of(machine, scales.codes())?,
                        absmax: Array::of(machine, scales.absmax())?,
                        map: Array::of(machine, dynamic_map())?,
                        offset: scales.offset(),
                    },
                }
            }
        };
        Ok(Self { rows: matrix.rows(), cols: matrix.cols(), elements })
    }

    /// As bf16, if it is kept in codes: what [`Frozen::dequantize`] gives, once and for all.
    ///
    /// # Errors
    /// As [`Frozen::dequantize`].
    pub fn into_bf16(self, kernels: &Kernels) -> Result<Self, Error> {
        if matches!(self.elements, Elements::F32(_) | Elements::Bf16(_)) {
            return Ok(self);
        }
        let mut dense = Array::new(kernels.machine());
        self.dequantize(kernels, 0..self.rows, &mut dense)?;
        Ok(Self { elements: Elements::Bf16(dense), ..self })
    }

    /// Rows: outputs of a layer, or tokens.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: inputs of a layer.
    #[must_use]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes on the device.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match &self.elements {
            Elements::F32(data) => data.len() * 4,
            Elements::Bf16(data) => data.len() * 2,
            Elements::Int8 { codes, scales } => codes.len() + scales.len() * 4,
            Elements::Nf4 { codes, scales } => codes.len() + scales.len() * 4,
            Elements::Nf4Double { codes, scales, absmax, map, .. } => {
                codes.len() + scales.len() + (absmax.len() + map.len()) * 4
            }
        }
    }

    /// The elements, if they are plain f32.
    #[must_use]
    pub fn as_f32(&self) -> Option<Slice<'_, f32>> {
        match &self.elements {
            Elements::F32(data) => Some(data.all()),
            _ => None,
        }
    }

    /// The elements, if they are plain bf16.
    #[must_use]
    pub fn as_bf16(&self) -> Option<Slice<'_, bf16>> {
        match &self.elements {
            Elements::Bf16(data) => Some(data.all()),
            _ => None,
        }
    }

    /// Some rows as numbers, those of [`nn::quant::Frozen::read`](quant::Frozen::read) to the bit, in bf16 rounded from them.
    /// `# Shapes: out (rows, cols)`
    ///
    /// # Panics
    /// If the rows are not inside the matrix (a programming error of this crate).
    ///
    /// # Errors
    /// If there is not so much memory, or the device fails.
    pub fn dequantize<T: Activation>(
        &self,
        kernels: &Kernels,
        rows: Range<usize>,
        out: &mut Array<T>,
    ) -> Result<(), Error> {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "{rows:?} of {} rows", self.rows);
        out.reset(rows.len() * self.cols)?;
        let part = rows.start * self.cols..rows.end * self.cols;
        match &self.elements {
            Elements::F32(data) => kernels.convert(data.part(part), out.all_mut()),
            Elements::Bf16(data) => kernels.convert(data.part(part), out.all_mut()),
            _ => self.decode(kernels, Which::From(rows.start), out),
        }
    }

    /// `out[i]` is row `ids[i]` in f32. Ids are below the number of rows; that is not checked. `# Shapes: ids (m), out (m, cols)`
    ///
    /// # Errors
    /// As [`Frozen::dequantize`].
    pub fn embed(&self, kernels: &Kernels, ids: Slice<'_, u32>, out: &mut Array<f32>) -> Result<(), Error> {
        out.reset(ids.len() * self.cols)?;
        match &self.elements {
            Elements::F32(data) => kernels.embed(data.all(), ids, self.cols, out.all_mut()),
            Elements::Bf16(data) => kernels.embed(data.all(), ids, self.cols, out.all_mut()),
            _ => self.decode(kernels, Which::Ids(ids), out),
        }
    }

    /// What is kept in codes.
    fn decode<T: Activation>(
        &self,
        kernels: &Kernels,
        which: Which<'_>,
        out: &mut Array<T>,
    ) -> Result<(), Error> {
        let (shape, out) = ((self.rows, self.cols), out.all_mut());
        match &self.elements {
            Elements::F32(_) | Elements::Bf16(_) => unreachable!("plain elements have no codes"),
            Elements::Int8 { codes, scales } => {
                kernels.dequantize_int8(shape, codes.all(), scales.all(), which, out)
            }
            Elements::Nf4 { codes, scales } => {
                kernels.dequantize_nf4(shape, codes.all(), BlockScales::Plain(scales.all()), which, out)
            }
            Elements::Nf4Double { codes, scales, absmax, map, offset } => {
                let scales = BlockScales::Double {
                    codes: scales.all(),
                    absmax: absmax.all(),
                    map: map.all(),
                    offset: *offset,
                };
                kernels.dequantize_nf4(shape, codes.all(), scales, which, out)
            }
        }
    }
}
