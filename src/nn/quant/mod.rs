//! Matrices of frozen weights, stored as they are or in fewer bits, and read back as f32.
//!
//! A product asks for panels of f32 ([`Frozen::read`]), so one kernel serves every storage.

mod stored;

use half::bf16;

pub use stored::Stored;

/// How the elements of a frozen matrix are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Storage {
    /// 32-bit float, 4 bytes an element.
    F32,
    /// bfloat16, 2 bytes.
    Bf16,
    /// 8-bit integers with a scale for each block of 64, 1.06 bytes.
    Int8,
    /// 4-bit normal float (Dettmers et al. 2023) with a scale for each block of 64: 0.56 bytes, or 0.52 if `double`.
    Nf4 {
        /// Whether the scales are quantized as well, to 8 bits.
        double: bool,
    },
}

/// A matrix (rows, cols) whose elements never change, or, as f32, are changed as a whole by training.
#[derive(Debug, Clone)]
pub enum Frozen {
    /// 32-bit float.
    F32(Stored<f32>),
    /// bfloat16.
    Bf16(Stored<bf16>),
}

impl Frozen {
    /// Rows: outputs of a layer, or tokens.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::F32(stored) => stored.rows,
            Self::Bf16(stored) => stored.rows,
        }
    }

    /// Columns: inputs of a layer.
    #[must_use]
    pub fn cols(&self) -> usize {
        match self {
            Self::F32(stored) => stored.cols,
            Self::Bf16(stored) => stored.cols,
        }
    }

    /// Bytes that the elements take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(stored) => stored.data.len() * 4,
            Self::Bf16(stored) => stored.data.len() * 2,
        }
    }

    /// The elements, if they are plain f32.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[f32]> {
        match self {
            Self::F32(stored) => Some(&stored.data),
            Self::Bf16(_) => None,
        }
    }

    /// The elements to be changed, if they are plain f32: a small model that is trained as a whole.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> Option<&mut [f32]> {
        match self {
            Self::F32(stored) => Some(&mut stored.data),
            Self::Bf16(_) => None,
        }
    }

    /// `out[i * stride + j] = W[row0 + i, col0 + j]`.
    ///
    /// # Panics
    /// If the part is not inside the matrix or `out` is too short (a programming error of this crate).
    pub fn read(&self, row0: usize, rows: usize, col0: usize, cols: usize, out: &mut [f32], stride: usize) {
        if rows == 0 || cols == 0 {
            return;
        }
        assert!(row0 + rows <= self.rows() && col0 + cols <= self.cols(), "a part outside the matrix");
        assert!(cols <= stride && out.len() >= (rows - 1) * stride + cols, "the output is too short");
        for i in 0..rows {
            let from = (row0 + i) * self.cols() + col0;
            let out = &mut out[i * stride..][..cols];
            match self {
                Self::F32(stored) => out.copy_from_slice(&stored.data[from..from + cols]),
                Self::Bf16(stored) => {
                    for (out, x) in out.iter_mut().zip(&stored.data[from..from + cols]) {
                        *out = x.to_f32();
                    }
                }
            }
        }
    }
}
