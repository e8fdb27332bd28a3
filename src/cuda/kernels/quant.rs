//! Stored weights as matrices that products read (`quant.cu`).

use super::{Kernels, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Activation, Slice, SliceMut};
use crate::cuda::machine::Shape;
use crate::nn::quant::{BLOCK, SCALE_BLOCK};

/// Elements of a block of threads.
const EACH: usize = 4 * 8 * 256;

/// The scales of blocks of 64 on a device.
#[derive(Clone, Copy)]
pub enum BlockScales<'a> {
    /// As they are.
    Plain(Slice<'a, f32>),
    /// In 8 bits: [`nn::quant::DoubleScales`](crate::nn::quant::DoubleScales).
    Double {
        /// Indices into the map.
        codes: Slice<'a, u8>,
        /// The largest magnitude of each 256.
        absmax: Slice<'a, f32>,
        /// [`nn::quant::dynamic_map`](crate::nn::quant::dynamic_map).
        map: Slice<'a, f32>,
        /// What is added.
        offset: f32,
    },
}

impl BlockScales<'_> {
    fn check(self, elements: usize) {
        let blocks = elements.div_ceil(BLOCK);
        match self {
            Self::Plain(scales) => assert_eq!(scales.len(), blocks, "scales"),
            Self::Double { codes, absmax, map, .. } => assert!(
                codes.len() == blocks && absmax.len() == blocks.div_ceil(SCALE_BLOCK) && map.len() == 256,
                "scales of {blocks} blocks"
            ),
        }
    }
}

/// Scales in 8 bits as kernels take them.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawDouble {
    codes: u64,
    absmax: u64,
    map: u64,
    offset: f32,
}

/// What of a stored matrix is read.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    /// Rows one after the other, from this one.
    From(usize),
    /// The rows with these numbers, which lie inside; that is not checked.
    Ids(Slice<'a, u32>),
}

impl Kernels {
    /// NF4 as numbers. `# Shapes: codes (ceil(rows columns / 2)), out (., columns)`
    ///
    /// # Errors
    /// If the device fails, as all functions here.
    pub fn dequantize_nf4<E: Activation>(
        &self,
        (rows, columns): (usize, usize),
        codes: Slice<'_, u8>,
        scales: BlockScales<'_>,
        which: Which<'_>,
        out: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        assert_eq!(codes.len(), (rows * columns).div_ceil(2), "codes");
        scales.check(rows * columns);
        let Part { first, ids, n, shape } = Part::of((rows, columns), which, out.len());
        let (codes, columns, out) = (codes.at(), columns as u32, out.at());
        match scales {
            BlockScales::Plain(scales) => {
                let arguments = arguments![codes, scales.at(), first, ids, columns, n, out];
                self.launch(E::kernel(["nf4_f32", "nf4_bf16"]), shape, arguments)
            }
            BlockScales::Double { codes: of, absmax, map, offset } => {
                let scales = RawDouble { codes: of.at(), absmax: absmax.at(), map: map.at(), offset };
                let arguments = arguments![codes, scales, first, ids, columns, n, out];
                self.launch(E::kernel(["nf4_double_f32", "nf4_double_bf16"]), shape, arguments)
            }
        }
    }

    /// 8-bit integers as numbers. `# Shapes: codes (rows, columns), scales (ceil(rows columns / 64)), out (., columns)`
    ///
    /// # Errors
    /// As all functions here.
    pub fn dequantize_int8<E: Activation>(
        &self,
        (rows, columns): (usize, usize),
        codes: Slice<'_, i8>,
        scales: Slice<'_, f32>,
        which: Which<'_>,
        out: SliceMut<'_, E>,
    ) -> Result<(), Error> {
        assert_eq!(codes.len(), rows * columns, "codes");
        BlockScales::Plain(scales).check(rows * columns);
        let Part { first, ids, n, shape } = Part::of((rows, columns), which, out.len());
        let arguments = arguments![codes.at(), scales.at(), first, ids, columns as u32, n, out.at()];
        self.launch(E::kernel(["int8_f32", "int8_bf16"]), shape, arguments)
    }
}

/// [`Which`] as kernels take it.
struct Part {
    first: u64,
    ids: u64,
    n: u64,
    shape: Shape,
}

impl Part {
    fn of((rows, columns): (usize, usize), which: Which<'_>, out: usize) -> Self {
        assert!(u32::try_from(columns).is_ok(), "{columns} columns");
        let (first, ids) = match which {
            Which::From(row) => {
                assert!(row * columns + out <= rows * columns, "{out} elements from row {row} of {rows}");
                ((row * columns) as u64, 0)
            }
            Which::Ids(ids) => {
                assert_eq!(out, ids.len() * columns, "out");
                (0, ids.at())
            }
        };
        Self { first, ids, n: out as u64, shape: Shape::blocks(out.div_ceil(EACH), 1, 1) }
    }
}
