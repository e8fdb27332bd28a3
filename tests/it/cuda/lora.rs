//! Adapters of low rank: against sums in f64, and to the bit where a sum has the order of the CPU.

use bench::cuda::Array;
use bench::nn::dropout::Dropout;
use bench::nn::gemm::Start;
use bench::nn::matmul::{self, Dense, Precision, Scratch};
use bench::nn::rows;
use half::bf16;

use super::kernels::{Case, everywhere};
use super::layers::{Kept, near, same};

/// Rows, inputs, outputs, rank.
const SHAPES: [(usize, usize, usize, usize); 6] = [
    (1, 1, 1, 1),
    (70, 130, 129, 8),
    (5, 36, 300, 5),
    (65, 64, 140, 16),
    (33, 72, 24, 20),
    (200, 20, 12, 40),
];

fn masks() -> [Dropout; 2] {
    [Dropout::off(), Dropout::new(77, 3, 0.3)]
}

/// `a b`, with the largest sum of magnitudes. `# Shapes: a (m, k), b (k, n)`
fn product(
    (m, n, k): (usize, usize, usize),
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> (Vec<f64>, f64) {
    let (mut sums, mut most) = (vec![0.0; m * n], 0f64);
    for i in 0..m {
        for j in 0..n {
            let terms = (0..k).map(|p| f64::from(a(i, p)) * f64::from(b(p, j)));
            most = most.max(terms.clone().map(f64::abs).sum());
            sums[i * n + j] = terms.sum();
        }
    }
    (sums, most)
}

fn dropped(mask: Dropout, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    rows::dropout(mask, x, &mut out);
    out
}

fn lower<E: Kept>(case: &mut Case) {
    for (m, k, n, r) in SHAPES {
        for mask in masks() {
            let (x, a) = (case.kept::<E>(m * k), case.floats(r * k));
            let kept = dropped(mask, &x);
            let (mut expected, most) = product((m, r, k), |i, p| kept[i * k + p], |p, j| a[j * k + p]);
            expected.iter_mut().for_each(|x| *x *= 0.5);
            let (on_x, on_a, mut low) = (case.array_of::<E>(&x), case.array(&a), case.space(m * r));
            case.kernels.lora_lower((k, r), on_x.all(), on_a.all(), mask, 0.5, low.all_mut()).unwrap();
            near::<f32>(&low, &expected, 1e-6 * most, &format!("low ({m}, {k}, {r})"));
        }
        let (dy, b) = (case.kept::<E>(m * n), case.floats(n * r));
        let (mut expected, most) = product((m, r, n), |i, p| dy[i * n + p], |p, j| b[p * r + j]);
        expected.iter_mut().for_each(|x| *x *= 0.5);
        let (on_dy, on_b, mut d_low) = (case.array_of::<E>(&dy), case.array(&b), case.space(m * r));
        case.kernels.lora_backward_low((n, r), on_dy.all(), on_b.all(), 0.5, d_low.all_mut()).unwrap();
        near::<f32>(&d_low, &expected, 1e-6 * most, &format!("d_low ({m}, {n}, {r})"));
    }
}

#[test]
fn rows_go_down_to_the_rank() {
    everywhere(31, |case| {
        lower::<f32>(case);
        lower::<bf16>(case);
    });
}

fn raise<E: Kept>(case: &mut Case) {
    for (m, _, n, r) in SHAPES {
        let (low, b, mut y) = (case.floats(m * r), case.floats(n * r), case.kept::<E>(m * n));
        let (on_low, on_b, mut on_y) = (case.array(&low), case.array(&b), case.array_of::<E>(&y));
        let matrix = Dense { data: &b, rows: n, cols: r };
        matmul::forward(Precision::F32, m, &low, &matrix, &mut y, Start::Sum, &mut Scratch::default());
        case.kernels.lora_raise((n, r), on_low.all(), on_b.all(), on_y.all_mut()).unwrap();
        same(&on_y, &y, &format!("y ({m}, {n}, {r})"));
    }
}

#[test]
fn rows_come_up_from_the_rank_with_the_bits_of_the_cpu() {
    everywhere(32, |case| {
        raise::<f32>(case);
        raise::<bf16>(case);
        for (m, k, _, r) in SHAPES {
            for mask in masks() {
                let (d_low, a, mut dx) = (case.floats(m * r), case.floats(r * k), case.floats(m * k));
                let (on_d_low, on_a, mut on_dx) = (case.array(&d_low), case.array(&a), case.array(&dx));
                let (matrix, mut scratch) = (Dense { data: &a, rows: r, cols: k }, Scratch::default());
                if mask.is_off() {
                    matmul::backward(Precision::F32, m, &d_low, &matrix, &mut dx, Start::Sum, &mut scratch);
                } else {
                    let mut part = vec![0.0; m * k];
                    let start = Start::Zero;
                    matmul::backward(Precision::F32, m, &d_low, &matrix, &mut part, start, &mut scratch);
                    rows::add_dropout(mask, &part, &mut dx);
                }
                case.kernels
                    .lora_backward_input((k, r), on_d_low.all(), on_a.all(), mask, on_dx.all_mut())
                    .unwrap();
                same(&on_dx, &dx, &format!("dx ({m}, {k}, {r})"));
            }
        }
    });
}

fn gradients<E: Kept>(case: &mut Case) {
    let mut partial = Array::new(&case.machine);
    for (m, k, n, r) in SHAPES {
        let (dy, low, before) = (case.kept::<E>(m * n), case.floats(m * r), case.floats(n * r));
        let (mut expected, most) = product((n, r, m), |j, i| dy[i * n + j], |i, p| low[i * r + p]);
        expected.iter_mut().zip(&before).for_each(|(x, before)| *x += f64::from(*before));
        let (on_dy, on_low, mut on_b) = (case.array_of::<E>(&dy), case.array(&low), case.array(&before));
        case.kernels
            .lora_gradient_b((n, r), on_dy.all(), on_low.all(), on_b.all_mut(), &mut partial)
            .unwrap();
        near::<f32>(&on_b, &expected, 1e-6 * (most + 2.0), &format!("B ({m}, {n}, {r})"));
        for mask in masks() {
            let (x, d_low, before) = (case.kept::<E>(m * k), case.floats(m * r), case.floats(r * k));
            let kept = dropped(mask, &x);
            let (mut expected, most) = product((r, k, m), |p, i| d_low[i * r + p], |i, j| kept[i * k + j]);
            expected.iter_mut().zip(&before).for_each(|(x, before)| *x += f64::from(*before));
            let (on_x, on_d_low, mut on_a) =
                (case.array_of::<E>(&x), case.array(&d_low), case.array(&before));
            case.kernels
                .lora_gradient_a((k, r), on_d_low.all(), on_x.all(), mask, on_a.all_mut(), &mut partial)
                .unwrap();
            near::<f32>(&on_a, &expected, 1e-6 * (most + 2.0), &format!("A ({m}, {k}, {r})"));
        }
    }
}

#[test]
fn the_gradients_of_both_matrices() {
    everywhere(33, |case| {
        gradients::<f32>(case);
        gradients::<bf16>(case);
    });
}
