//! Matrices of frozen weights, stored as they are or in fewer bits, and read back as f32.
//!
//! A product asks for blocks of f32 ([`Matrix::read`]), so one kernel serves every storage. Blocks with a common scale
//! are 64 elements of the flattened matrix, so a matrix may have any number of columns.

mod elements;
mod int8;
mod nf4;
mod scales;
mod stored;

use half::bf16;

pub use elements::{BLOCK, Elements, NotFinite};
pub use int8::Int8;
pub use nf4::{CODE, Nf4};
pub use scales::{DoubleScales, SCALE_BLOCK, Scales, dynamic_map};
pub use stored::Stored;

use super::matmul::Matrix;

/// How the elements of a frozen matrix are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Storage {
    /// 32-bit float, 4 bytes an element.
    F32,
    /// bfloat16, 2 bytes.
    Bf16,
    /// 8-bit integers with a scale for each block of 64, 1.06 bytes.
    Int8,
    /// 4-bit normal float with a scale for each block of 64: 0.56 bytes, or 0.52 if `double`.
    Nf4 {
        /// Whether the scales are quantized as well, to 8 bits.
        double: bool,
    },
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::Nf4 { double: false } => "nf4",
            Self::Nf4 { double: true } => "nf4 with quantized scales",
        })
    }
}

impl Storage {
    /// Bytes that a matrix of `elements` takes.
    #[must_use]
    pub fn bytes(self, elements: usize) -> usize {
        let blocks = elements.div_ceil(BLOCK);
        match self {
            Self::F32 => elements * 4,
            Self::Bf16 => elements * 2,
            Self::Int8 => elements + blocks * 4,
            Self::Nf4 { double: false } => elements.div_ceil(2) + blocks * 4,
            Self::Nf4 { double: true } => {
                elements.div_ceil(2) + blocks + blocks.div_ceil(SCALE_BLOCK) * 4 + 4
            }
        }
    }
}

/// A matrix (rows, cols) whose elements never change, or, as f32, are changed as a whole by training.
#[derive(Debug, Clone)]
pub enum Frozen {
    /// 32-bit float.
    F32(Stored<f32>),
    /// bfloat16.
    Bf16(Stored<bf16>),
    /// 8-bit integers.
    Int8(Int8),
    /// 4-bit normal float.
    Nf4(Nf4),
}

impl Frozen {
    /// Store a matrix (rows, cols) of numbers. What is not finite stays so in f32 and bf16; a block of 64 with such an element
    /// reads as NaN in the others.
    ///
    /// # Panics
    /// If `values` does not have `rows * cols` elements (a programming error of this crate).
    #[must_use]
    pub fn quantize(storage: Storage, rows: usize, cols: usize, values: &[f32]) -> Self {
        assert_eq!(values.len(), rows * cols, "elements of a matrix ({rows}, {cols})");
        Self::store(storage, rows, cols, values).0
    }

    /// Store a matrix (rows, cols) of elements that are converted piece by piece, on all threads.
    ///
    /// # Errors
    /// [`NotFinite`], the first such element.
    pub fn from_elements<E: Elements + ?Sized>(
        storage: Storage,
        rows: usize,
        cols: usize,
        elements: &E,
    ) -> Result<Self, NotFinite> {
        match Self::store(storage, rows, cols, elements) {
            (_, Some(bad)) => Err(bad),
            (matrix, None) => Ok(matrix),
        }
    }

    fn store<E: Elements + ?Sized>(
        storage: Storage,
        rows: usize,
        cols: usize,
        elements: &E,
    ) -> (Self, Option<NotFinite>) {
        match storage {
            Storage::F32 => {
                let (stored, bad) = Stored::<f32>::gather(rows, cols, elements);
                (Self::F32(stored), bad)
            }
            Storage::Bf16 => {
                let (stored, bad) = Stored::<bf16>::gather(rows, cols, elements);
                (Self::Bf16(stored), bad)
            }
            Storage::Int8 => {
                let (matrix, bad) = Int8::quantize(rows, cols, elements);
                (Self::Int8(matrix), bad)
            }
            Storage::Nf4 { double } => {
                let (matrix, bad) = Nf4::quantize(rows, cols, elements, double);
                (Self::Nf4(matrix), bad)
            }
        }
    }

    /// How the elements are kept.
    #[must_use]
    pub fn storage(&self) -> Storage {
        match self {
            Self::F32(_) => Storage::F32,
            Self::Bf16(_) => Storage::Bf16,
            Self::Int8(_) => Storage::Int8,
            Self::Nf4(matrix) => Storage::Nf4 { double: matches!(matrix.scales(), Scales::Double(_)) },
        }
    }

    /// Rows: outputs of a layer, or tokens.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::F32(stored) => stored.rows,
            Self::Bf16(stored) => stored.rows,
            Self::Int8(matrix) => matrix.rows,
            Self::Nf4(matrix) => matrix.rows,
        }
    }

    /// Columns: inputs of a layer.
    #[must_use]
    pub fn cols(&self) -> usize {
        match self {
            Self::F32(stored) => stored.cols,
            Self::Bf16(stored) => stored.cols,
            Self::Int8(matrix) => matrix.cols,
            Self::Nf4(matrix) => matrix.cols,
        }
    }

    /// Bytes that the elements take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(stored) => stored.data.len() * 4,
            Self::Bf16(stored) => stored.data.len() * 2,
            Self::Int8(matrix) => matrix.bytes(),
            Self::Nf4(matrix) => matrix.bytes(),
        }
    }

    /// The elements, if they are plain f32.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[f32]> {
        match self {
            Self::F32(stored) => Some(&stored.data),
            _ => None,
        }
    }

    /// The elements to be changed, if they are plain f32: a small model that is trained as a whole.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> Option<&mut [f32]> {
        match self {
            Self::F32(stored) => Some(&mut stored.data),
            _ => None,
        }
    }

    /// `out[i * stride + j] = W[row0 + i, col0 + j]` for `i < rows`, `j < cols`; other elements of `out` stay as they are.
    ///
    /// # Panics
    /// If the part is not inside the matrix or `out` is too short (a programming error of this crate).
    pub fn read(&self, row0: usize, rows: usize, col0: usize, cols: usize, out: &mut [f32], stride: usize) {
        if rows == 0 || cols == 0 {
            return;
        }
        assert!(row0 + rows <= self.rows() && col0 + cols <= self.cols(), "a part outside the matrix");
        assert!(cols <= stride && out.len() >= (rows - 1) * stride + cols, "the output is too short");
        match self {
            Self::F32(stored) => stored.read(row0, rows, col0, cols, out, stride),
            Self::Bf16(stored) => stored.read(row0, rows, col0, cols, out, stride),
            Self::Int8(matrix) => matrix.read(row0, rows, col0, cols, out, stride),
            Self::Nf4(matrix) => matrix.read(row0, rows, col0, cols, out, stride),
        }
    }
}

impl Matrix for Frozen {
    fn rows(&self) -> usize {
        self.rows()
    }
    fn cols(&self) -> usize {
        self.cols()
    }
    fn read(&self, row0: usize, rows: usize, col0: usize, cols: usize, out: &mut [f32], stride: usize) {
        self.read(row0, rows, col0, cols, out, stride);
    }
}
