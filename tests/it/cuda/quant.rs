//! Stored weights on a device: the numbers of the host.

use bench::cuda::{Array, Frozen};
use bench::nn::quant::{self, Storage};
use half::bf16;
use rand::RngExt;

use super::kernels::{Case, everywhere};
use super::layers::{Kept, same};

const STORAGES: [Storage; 5] = [
    Storage::F32,
    Storage::Bf16,
    Storage::Int8,
    Storage::Nf4 { double: false },
    Storage::Nf4 { double: true },
];
/// The last two have more than 256 blocks of 64, rows that begin anywhere, and blocks of threads with nothing left over.
const SHAPES: [(usize, usize); 6] = [(1, 1), (3, 5), (2, 40), (24, 520), (50, 333), (18, 1024)];

fn read(matrix: &quant::Frozen, rows: std::ops::Range<usize>) -> Vec<f32> {
    let cols = matrix.cols();
    let mut out = vec![0.0; rows.len() * cols];
    matrix.read(rows.start, rows.len(), 0, cols, &mut out, cols);
    out
}

fn dense<E: Kept>(case: &Case, on: &Frozen, matrix: &quant::Frozen) {
    let rows = matrix.rows();
    let mut out = Array::<E>::new(&case.machine);
    for rows in [0..rows, rows / 3..rows, 0..rows.div_ceil(2), rows..rows] {
        on.dequantize(&case.kernels, rows.clone(), &mut out).unwrap();
        same(&out, &read(matrix, rows.clone()), &format!("{} {rows:?}", matrix.storage()));
    }
}

#[test]
fn stored_matrices_are_read_with_the_bits_of_the_cpu() {
    everywhere(41, |case| {
        for (rows, cols) in SHAPES {
            for storage in STORAGES {
                let mut values: Vec<f32> = case.floats(rows * cols).iter().map(|x| x * x * x).collect();
                let at = case.rng.random_range(0..values.len());
                values[at] = 31.0;
                let matrix = quant::Frozen::quantize(storage, rows, cols, &values);
                let on = Frozen::upload(&case.machine, &matrix).unwrap();
                assert_eq!((on.rows(), on.cols()), (rows, cols));
                let map = if storage == (Storage::Nf4 { double: true }) { 1024 - 4 } else { 0 };
                assert_eq!(on.bytes(), storage.bytes(rows * cols) + map, "{storage}");
                dense::<f32>(case, &on, &matrix);
                dense::<bf16>(case, &on, &matrix);
                let ids: Vec<u32> = (0..9).map(|_| case.rng.random_range(0..rows as u32)).collect();
                let expected: Vec<f32> =
                    ids.iter().flat_map(|id| read(&matrix, *id as usize..*id as usize + 1)).collect();
                let (on_ids, mut out) = (case.array(&ids), Array::new(&case.machine));
                on.embed(&case.kernels, on_ids.all(), &mut out).unwrap();
                same::<f32>(&out, &expected, &format!("{storage} embedded"));
                assert_eq!(on.as_f32().is_some(), storage == Storage::F32);
                assert_eq!(on.as_bf16().is_some(), storage == Storage::Bf16);
            }
        }
    });
}
