//! Frozen matrices: parity with bitsandbytes, error bounds, and reading any part of any shape.

use bench::nn::gemm::Start;
use bench::nn::matmul::{Dense, Matrix, Precision, Scratch, backward, forward};
use bench::nn::quant::{BLOCK, CODE, DoubleScales, Frozen, Nf4, Scales, Storage, dynamic_map};
use half::bf16;
use proptest::prelude::*;
use safetensors::SafeTensors;

use crate::support::shared;

const ALL: [Storage; 5] = [
    Storage::F32,
    Storage::Bf16,
    Storage::Int8,
    Storage::Nf4 { double: false },
    Storage::Nf4 { double: true },
];

/// A file of the folder `fixtures/nf4`, made by bitsandbytes 0.50.2 on a CPU.
struct Fixture(Vec<u8>);

impl Fixture {
    fn open(name: &str) -> Option<Self> {
        let path = shared()?.join("fixtures/nf4").join(format!("{name}.safetensors"));
        Some(Self(std::fs::read(path).unwrap()))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().data().to_vec()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.bytes(name).chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn bf16s(&self, name: &str) -> Vec<u16> {
        self.bytes(name).chunks(2).map(|b| u16::from_le_bytes(b.try_into().unwrap())).collect()
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn whole(matrix: &Frozen) -> Vec<f32> {
    let mut out = vec![f32::NAN; matrix.rows() * matrix.cols()];
    matrix.read(0, matrix.rows(), 0, matrix.cols(), &mut out, matrix.cols());
    out
}

fn nf4(matrix: Frozen) -> Nf4 {
    match matrix {
        Frozen::Nf4(matrix) => matrix,
        other => panic!("{:?} is not NF4", other.storage()),
    }
}

#[test]
fn the_sixteen_numbers_and_the_dynamic_map_are_those_of_bitsandbytes() {
    let (Some(single), Some(double)) = (Fixture::open("nf4_single"), Fixture::open("nf4_double")) else {
        return;
    };
    assert_eq!(bits(&CODE), bits(&single.floats("code")));
    assert!(bits(dynamic_map()) == bits(&double.floats("state2_code")), "the map differs");
}

#[test]
fn nf4_codes_and_scales_equal_those_of_bitsandbytes() {
    let Some(input) = Fixture::open("input") else { return };
    let single = Fixture::open("nf4_single").unwrap();
    let found = nf4(Frozen::quantize(Storage::Nf4 { double: false }, 256, 512, &input.floats("weight")));
    assert!(found.codes() == single.bytes("packed"), "4-bit codes differ");
    assert!(found.scales() == &Scales::Plain(single.floats("absmax")), "scales differ");
}

#[test]
fn nf4_codes_and_scales_of_bf16_weights_equal_those_of_bitsandbytes() {
    let Some(input) = Fixture::open("input") else { return };
    let single = Fixture::open("nf4_single_bf16").unwrap();
    let weight: Vec<f32> = input.floats("weight").iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
    let found = nf4(Frozen::quantize(Storage::Nf4 { double: false }, 256, 512, &weight));
    let wanted = single.bytes("packed");
    let different = found.codes().iter().zip(&wanted).filter(|(a, b)| a != b).count();
    assert_eq!(different, 0, "4-bit codes differ");
    assert!(found.scales() == &Scales::Plain(single.floats("absmax")), "scales differ");
}

#[test]
fn nf4_reads_bit_for_bit_as_bitsandbytes_dequantizes() {
    let Some(single) = Fixture::open("nf4_single") else { return };
    let scales = Scales::Plain(single.floats("absmax"));
    let matrix = Frozen::Nf4(Nf4::new(256, 512, single.bytes("packed"), scales));
    assert!(bits(&whole(&matrix)) == bits(&single.floats("dequantized")), "numbers differ");

    let single = Fixture::open("nf4_single_bf16").unwrap();
    let scales = Scales::Plain(single.floats("absmax"));
    let matrix = Frozen::Nf4(Nf4::new(256, 512, single.bytes("packed"), scales));
    let rounded: Vec<u16> = whole(&matrix).iter().map(|x| bf16::from_f32(*x).to_bits()).collect();
    assert!(rounded == single.bf16s("dequantized_bf16"), "bf16 numbers differ");
}

/// The stored parts of a double quantization.
fn stored_double(file: &Fixture, state: &Fixture) -> Scales {
    let offset = state.floats("offset")[0];
    Scales::Double(DoubleScales::new(file.bytes("absmax"), state.floats("state2_absmax"), offset))
}

#[test]
fn nf4_with_quantized_scales_reads_bit_for_bit_as_bitsandbytes_dequantizes() {
    let Some(double) = Fixture::open("nf4_double") else { return };
    let scales = stored_double(&double, &double);
    let found: Vec<f32> = (0..scales.len()).map(|block| scales.get(block)).collect();
    assert!(bits(&found) == bits(&double.floats("absmax_dequantized")), "scales differ");
    let matrix = Frozen::Nf4(Nf4::new(256, 512, double.bytes("packed"), scales));
    assert!(bits(&whole(&matrix)) == bits(&double.floats("dequantized")), "numbers differ");
}

#[test]
fn quantized_scales_are_those_of_bitsandbytes_or_the_nearest_neighbour() {
    let Some(input) = Fixture::open("input") else { return };
    let double = Fixture::open("nf4_double").unwrap();
    let found = nf4(Frozen::quantize(Storage::Nf4 { double: true }, 256, 512, &input.floats("weight")));
    assert!(found.codes() == double.bytes("packed"), "4-bit codes differ");
    let Scales::Double(scales) = found.scales() else { panic!("plain scales") };
    assert_eq!(scales.offset().to_bits(), double.floats("offset")[0].to_bits());
    assert_eq!(bits(scales.absmax()), bits(&double.floats("state2_absmax")));
    let wanted = double.bytes("absmax");
    let away: Vec<u8> = scales.codes().iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).collect();
    assert!(away.iter().all(|away| *away <= 1), "a code is no neighbour");
    // The fixture's README: 5 of bitsandbytes' codes are not the nearest ones.
    assert_eq!(away.iter().filter(|away| **away == 1).count(), 5);
}

/// What the child process of `instruction_sets` compares: parts of matrices of an odd width, in every storage.
pub fn bits_of_every_storage() -> Vec<Vec<u32>> {
    let values: Vec<f32> = (0..37 * 151).map(|i| (i as f32 * 0.37).sin() * (i % 97) as f32).collect();
    let read = |storage| {
        let mut out = vec![f32::NAN; 30 * 140];
        Frozen::quantize(storage, 37, 151, &values).read(5, 30, 7, 140, &mut out, 140);
        bits(&out)
    };
    ALL.map(read).into()
}

/// `y = x W^T`.
fn product(precision: Precision, m: usize, x: &[f32], w: &impl Matrix) -> Vec<f32> {
    let mut y = vec![f32::NAN; m * w.rows()];
    forward(precision, m, x, w, &mut y, Start::Zero, &mut Scratch::default());
    y
}

/// `dx = dy W`.
fn gradient(precision: Precision, m: usize, dy: &[f32], w: &impl Matrix) -> Vec<f32> {
    let mut dx = vec![f32::NAN; m * w.cols()];
    backward(precision, m, dy, w, &mut dx, Start::Zero, &mut Scratch::default());
    dx
}

#[test]
fn a_product_of_quantized_weights_is_that_of_their_numbers_bit_for_bit() {
    let (m, rows, cols) = (19, 83, 150);
    let values: Vec<f32> = (0..rows * cols).map(|i| (i as f32 * 0.37).sin()).collect();
    let x: Vec<f32> = (0..m * cols).map(|i| (i as f32 * 0.71).cos()).collect();
    let dy = &x[..m * rows];
    for storage in ALL {
        let matrix = Frozen::quantize(storage, rows, cols, &values);
        let numbers = whole(&matrix);
        let dense = Dense { data: &numbers, rows, cols };
        for precision in [Precision::F32, Precision::Bf16] {
            let (found, wanted) = (product(precision, m, &x, &matrix), product(precision, m, &x, &dense));
            assert!(bits(&found) == bits(&wanted), "{storage} {precision:?} forward");
            let (found, wanted) = (gradient(precision, m, dy, &matrix), gradient(precision, m, dy, &dense));
            assert!(bits(&found) == bits(&wanted), "{storage} {precision:?} backward");
        }
    }
}

#[test]
fn a_product_of_nf4_weights_is_that_of_bitsandbytes() {
    let Some(products) = Fixture::open("matmul_single") else { return };
    let single = Fixture::open("nf4_single").unwrap();
    let scales = Scales::Plain(single.floats("absmax"));
    let matrix = Frozen::Nf4(Nf4::new(256, 512, single.bytes("packed"), scales));
    let (x, y) = (products.floats("x"), products.floats("y"));
    let size = y.iter().fold(0f32, |a, b| a.max(b.abs()));
    for (found, wanted) in product(Precision::F32, 8, &x, &matrix).iter().zip(&y) {
        assert!((found - wanted).abs() <= 1e-5 * size, "{found} is not {wanted}");
    }
}

#[test]
fn the_gradient_to_the_input_of_a_quantized_layer_is_that_of_f64_sums() {
    let (m, rows, cols) = (5, 70, 130);
    let values: Vec<f32> = (0..rows * cols).map(|i| (i as f32 * 0.37).sin()).collect();
    let dy: Vec<f32> = (0..m * rows).map(|i| (i as f32 * 0.71).cos()).collect();
    for storage in ALL {
        let matrix = Frozen::quantize(storage, rows, cols, &values);
        let w = whole(&matrix);
        let dx = gradient(Precision::F32, m, &dy, &matrix);
        for i in 0..m {
            for j in 0..cols {
                let wanted: f64 =
                    (0..rows).map(|p| f64::from(dy[i * rows + p]) * f64::from(w[p * cols + j])).sum();
                assert!((f64::from(dx[i * cols + j]) - wanted).abs() < 1e-4, "{storage} ({i}, {j})");
            }
        }
    }
}

#[test]
fn a_block_of_zeros_reads_as_zeros() {
    for storage in ALL {
        let mut values = vec![0.5; 3 * BLOCK];
        values[BLOCK..2 * BLOCK].fill(0.0);
        let found = whole(&Frozen::quantize(storage, 3, BLOCK, &values));
        let zeros = &found[BLOCK..2 * BLOCK];
        // Quantized scales are not exact, but a code of 0 times any scale is 0.
        assert!(zeros.iter().all(|x| *x == 0.0), "{storage:?}: {zeros:?}");
    }
}

/// The codes of a last block of 63 elements were once lost: they take as many bytes as those of 64.
#[test]
fn short_blocks_of_every_length_keep_their_elements() {
    for len in 1..=2 * BLOCK {
        let values: Vec<f32> = (0..len).map(|i| if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
        for storage in [Storage::Int8, Storage::Nf4 { double: false }] {
            assert_eq!(whole(&Frozen::quantize(storage, 1, len, &values)), values, "{storage:?} {len}");
        }
    }
}

#[test]
fn an_outlier_spoils_no_other_block() {
    let values: Vec<f32> = (0..4 * BLOCK).map(|i| if i == 70 { 1e4 } else { (i as f32).sin() }).collect();
    for storage in [Storage::Int8, Storage::Nf4 { double: false }] {
        let mut calm = values.clone();
        calm[70] = 0.0;
        let (found, wanted) = (
            whole(&Frozen::quantize(storage, 4, BLOCK, &values)),
            whole(&Frozen::quantize(storage, 4, BLOCK, &calm)),
        );
        for block in [0, 2, 3] {
            let range = block * BLOCK..(block + 1) * BLOCK;
            assert_eq!(bits(&found[range.clone()]), bits(&wanted[range]), "{storage:?} block {block}");
        }
        assert_eq!(found[70], 1e4);
    }
}

#[test]
fn the_first_element_that_is_not_finite_is_named() {
    for storage in ALL {
        let mut values = vec![0.25; 40_000];
        values[33_333] = f32::INFINITY;
        values[35_000] = f32::NAN;
        let error = Frozen::from_elements(storage, 200, 200, values.as_slice()).unwrap_err();
        assert_eq!((error.at, error.value), (33_333, f32::INFINITY), "{storage:?}");
        assert_eq!(error.to_string(), "element 33333 is inf");
    }
}

#[test]
fn a_block_that_is_not_finite_reads_as_nan_or_as_it_was() {
    for storage in [Storage::F32, Storage::Bf16, Storage::Int8, Storage::Nf4 { double: false }] {
        let mut values = vec![0.25; 2 * BLOCK];
        values[3] = f32::NEG_INFINITY;
        let found = whole(&Frozen::quantize(storage, 2, BLOCK, &values));
        assert!(!found[3].is_finite(), "{storage:?}");
        assert!(found[BLOCK..].iter().all(|x| (x - 0.25).abs() < 1e-3), "{storage:?}");
    }
}

#[test]
fn bytes_in_memory_are_those_announced() {
    for storage in ALL {
        for (rows, cols) in [(1, 1), (3, 7), (64, 64), (130, 257)] {
            let matrix = Frozen::quantize(storage, rows, cols, &vec![0.1; rows * cols]);
            assert_eq!(matrix.bytes(), storage.bytes(rows * cols), "{storage:?} ({rows}, {cols})");
            assert_eq!(matrix.storage(), storage);
        }
    }
    // 4 bits, and an 8-bit scale for 64 elements, and 32 bits for 256 scales: 4.127 bits (Dettmers et al. 2023, section 3).
    assert_eq!(Storage::Nf4 { double: true }.bytes(1 << 20), (1 << 19) + (1 << 14) + (1 << 8) + 4);
}

#[test]
fn bf16_rounds_to_nearest_even_as_half_does() {
    let values: Vec<f32> = (0..50_000u32)
        .map(|i| f32::from_bits(i.wrapping_mul(85_899)))
        .chain([
            0.0,
            -0.0,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-45,
            f32::INFINITY,
            f32::NAN,
            f32::from_bits(0x7f80_0001),
        ])
        .collect();
    let Frozen::Bf16(found) = Frozen::quantize(Storage::Bf16, 1, values.len(), &values) else { panic!() };
    for (x, found) in values.iter().zip(found.data()) {
        assert_eq!(found.to_bits(), bf16::from_f32(*x).to_bits(), "{x}");
    }
}

#[test]
fn codes_are_the_same_for_any_number_of_threads() {
    let values: Vec<f32> = (0..700_001).map(|i| (i as f32 * 0.37).sin() * (i % 97) as f32).collect();
    for storage in ALL {
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bits(&whole(&Frozen::quantize(storage, 1, values.len(), &values))))
        };
        let one = of(1);
        assert!(one == of(2) && one == of(3), "{storage:?}");
    }
}

/// The largest distance from an element to its nearest number: half the widest gap of [`CODE`], between -1 and -0.696.
const WIDEST: f32 = (1.0 - 0.696_192_8) / 2.0;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quantized_elements_are_within_their_bound(
        values in prop::collection::vec(-3f32..3.0, 1..400),
        exponent in -30i32..30,
    ) {
        let values: Vec<f32> = values.iter().map(|x| x * (exponent as f32).exp2()).collect();
        let int8 = whole(&Frozen::quantize(Storage::Int8, 1, values.len(), &values));
        let nf4 = whole(&Frozen::quantize(Storage::Nf4 { double: false }, 1, values.len(), &values));
        for (i, x) in values.iter().enumerate() {
            let block = &values[i / BLOCK * BLOCK..values.len().min((i / BLOCK + 1) * BLOCK)];
            let largest = block.iter().fold(0f32, |a, b| a.max(b.abs()));
            prop_assert!((nf4[i] - x).abs() <= largest * WIDEST * 1.000_001, "{} for {}", nf4[i], x);
            prop_assert!((int8[i] - x).abs() <= largest / 254.0 * 1.000_1, "{} for {}", int8[i], x);
        }
    }

    #[test]
    fn what_was_quantized_once_stays_as_it_is(values in prop::collection::vec(-3f32..3.0, 1..300)) {
        for storage in [Storage::F32, Storage::Bf16, Storage::Nf4 { double: false }] {
            let once = whole(&Frozen::quantize(storage, 1, values.len(), &values));
            let twice = whole(&Frozen::quantize(storage, 1, values.len(), &once));
            // -1 is a number of NF4 and so is 1, so the scale comes back exactly.
            prop_assert_eq!(bits(&once), bits(&twice));
        }
    }

    #[test]
    fn the_nearest_of_the_sixteen_numbers_is_chosen(values in prop::collection::vec(-1f32..1.0, 63)) {
        let mut values = values;
        values.push(1.0);
        let found = whole(&Frozen::quantize(Storage::Nf4 { double: false }, 1, BLOCK, &values));
        for (x, found) in values.iter().zip(&found) {
            let nearest = CODE.iter().map(|code| (code - x).abs()).fold(f32::MAX, f32::min);
            prop_assert!((found - x).abs() <= nearest + 1e-7, "{} for {}", found, x);
        }
    }

    #[test]
    fn a_part_reads_as_in_the_whole_and_touches_nothing_else(
        rows in 1usize..9, cols in 1usize..150, row0 in 0usize..9, col0 in 0usize..150, gap in 0usize..5, seed in 0u32..1000,
    ) {
        let values: Vec<f32> =
            (0..rows * cols).map(|i| ((i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) as f32).sin()).collect();
        let (row0, col0) = (row0 % rows, col0 % cols);
        for storage in ALL {
            let matrix = Frozen::quantize(storage, rows, cols, &values);
            let whole = whole(&matrix);
            let (height, width) = (rows - row0, cols - col0);
            let stride = width + gap;
            let mut part = vec![f32::NAN; height * stride];
            matrix.read(row0, height, col0, width, &mut part, stride);
            for i in 0..height {
                for j in 0..stride {
                    let found = part[i * stride + j];
                    if j < width {
                        prop_assert_eq!(found.to_bits(), whole[(row0 + i) * cols + col0 + j].to_bits());
                    } else {
                        prop_assert!(found.is_nan());
                    }
                }
            }
        }
    }
}
