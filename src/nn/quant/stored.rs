//! Elements kept as numbers of one type.

/// A row-major matrix of `T`.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    pub(super) data: Vec<T>,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl<T> Stored<T> {
    /// A matrix (rows, cols) of the elements `data`, row after row.
    ///
    /// # Panics
    /// If `data` does not have `rows * cols` elements (a programming error of this crate).
    #[must_use]
    pub fn new(rows: usize, cols: usize, data: Vec<T>) -> Self {
        assert_eq!(data.len(), rows * cols, "elements of a matrix ({rows}, {cols})");
        Self { data, rows, cols }
    }

    /// The elements, row after row.
    #[must_use]
    pub fn data(&self) -> &[T] {
        &self.data
    }
}
