//! Every kernel beside its CPU twin: the same bits, and nothing written beside its arrays.

use std::path::Path;

use std::num::NonZeroU32;
use std::sync::Arc;

use bench::cuda::{Array, Classes, ClassesRoom, Kernels, Machine, Matrix, Start, Walk, kernel_names};
use bench::data::ItemId;
use bench::experiment::HistoryMask;
use bench::nn::adamw::{self, AdamW};
use bench::nn::dropout::Dropout;
use bench::nn::gemm::{self, Left};
use bench::nn::{cross_entropy, gelu, norm, scan};
use bench::retrieve::Query;
use bench::retrieve::catalogue::{self, Scorer, masked};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::machines;

pub(super) struct Case {
    pub machine: Arc<dyn Machine>,
    pub kernels: Kernels,
    pub rng: Pcg64,
}

/// The same test on each of them.
pub(super) fn everywhere(seed: u64, test: impl Fn(&mut Case)) {
    for machine in machines() {
        let kernels = Kernels::new(Arc::clone(&machine));
        test(&mut Case { machine, kernels, rng: Pcg64::seed_from_u64(seed) });
    }
}

impl Case {
    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.rng.random_range(-2.0..2.0)).collect()
    }

    pub fn array<T: bench::cuda::Element>(&self, values: &[T]) -> Array<T> {
        Array::of(&self.machine, values).unwrap()
    }

    /// Of so many elements, with poison in it.
    fn room(&self, n: usize) -> Array<f32> {
        let mut array = Array::new(&self.machine);
        array.reset(n).unwrap();
        array
    }

    /// Where sequences of 1 to 9 rows begin, with the number of rows.
    fn starts(&mut self, sequences: usize) -> Vec<u32> {
        let mut starts = vec![0u32];
        for _ in 0..sequences {
            starts.push(starts[starts.len() - 1] + self.rng.random_range(1..10));
        }
        starts
    }
}

#[track_caller]
fn same(found: &Array<f32>, expected: &[f32], what: &str) {
    let found = found.get().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.to_bits(), expected.to_bits(), "{what}[{at}]: {found} is not {expected}");
    }
}

#[test]
fn every_kernel_is_launched_by_the_file_of_its_name() {
    let names: Vec<&str> = kernel_names().collect();
    assert_eq!(names.len(), 93, "{names:?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cuda/kernels");
    let mut found = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "cu") {
            continue;
        }
        let (kernels, launches) = (
            std::fs::read_to_string(&path).unwrap(),
            std::fs::read_to_string(path.with_extension("rs")).unwrap(),
        );
        for name in names.iter().filter(|name| kernels.contains(&format!("__global__ void {name}("))) {
            assert!(launches.contains(&format!("\"{name}\"")), "{name} of {}", path.display());
            found += 1;
        }
    }
    assert_eq!(found, names.len());
}

#[test]
fn rows_are_gathered_and_scattered_in_order() {
    everywhere(1, |case| {
        for d in [1, 7, 64] {
            let (table, index) = (case.floats(9 * d), [3u32, 0, 8, 3, 3, 1]);
            let mut out = case.room(index.len() * d);
            let (on_table, on_index) = (case.array(&table), case.array(&index));
            case.kernels.gather_rows(on_table.all(), on_index.all(), d, out.all_mut()).unwrap();
            let expected: Vec<f32> =
                index.iter().flat_map(|row| table[*row as usize * d..][..d].to_vec()).collect();
            same(&out, &expected, "gathered");
            let rows = case.floats(index.len() * d);
            let mut expected = table.clone();
            for (row, token) in rows.chunks_exact(d).zip(index) {
                for (to, x) in expected[token as usize * d..][..d].iter_mut().zip(row) {
                    *to += x;
                }
            }
            let (tokens, offsets, positions) = (
                case.array(&[0u32, 1, 3, 8]),
                case.array(&[0u32, 1, 2, 5, 6]),
                case.array(&[1u32, 5, 0, 3, 4, 2]),
            );
            let (rows, mut sums) = (case.array(&rows), case.array(&table));
            let lists = (tokens.all(), offsets.all(), positions.all());
            case.kernels.scatter_rows(rows.all(), lists, d, sums.all_mut()).unwrap();
            same(&sums, &expected, "scattered");
        }
    });
}

#[test]
fn halves_are_paired_and_split_again() {
    everywhere(10, |case| {
        let (d, c) = (5, 7);
        let (real, imag) = (case.floats(d * c), case.floats(d * c));
        let (on_real, on_imag, mut pair) = (case.array(&real), case.array(&imag), case.room(2 * d * c));
        case.kernels.pair(d, on_real.all(), on_imag.all(), pair.all_mut()).unwrap();
        let mut expected = Vec::new();
        for row in 0..d {
            expected.extend(&real[row * c..][..c]);
            expected.extend(imag[row * c..][..c].iter().map(|x| -x));
        }
        same(&pair, &expected, "pair");
        let (mut first, mut second) = (case.room(d * c), case.room(d * c));
        case.kernels.unpair(d, pair.all(), (first.all_mut(), second.all_mut())).unwrap();
        same(&first, &real, "real");
        same(&second, &imag, "imag");
    });
}

#[test]
fn norms_have_the_bits_of_the_cpu() {
    everywhere(2, |case| {
        for (m, d, rate) in [(1, 1, 0.0), (5, 7, 0.5), (37, 64, 0.2), (3, 100, 0.0), (18, 16, 0.9)] {
            let dropout = if rate == 0.0 { Dropout::off() } else { Dropout::new(77, 3, rate) };
            for with in [false, true] {
                let (x, residual, weight, bias) =
                    (case.floats(m * d), case.floats(m * d), case.floats(d), case.floats(d));
                let (mut y, mut normal, mut inverse) = (vec![0.0; m * d], vec![0.0; m * d], vec![0.0; m]);
                let saved = norm::Saved { normal: &mut normal, inverse: &mut inverse };
                norm::forward(d, &x, with.then_some(&residual[..]), dropout, (&weight, &bias), &mut y, saved);
                let (on_x, on_residual) = (case.array(&x), case.array(&residual));
                let (on_weight, on_bias) = (case.array(&weight), case.array(&bias));
                let (mut on_y, mut on_normal, mut on_inverse) =
                    (case.room(m * d), case.room(m * d), case.room(m));
                let on_saved = (on_normal.all_mut(), on_inverse.all_mut());
                let affine = (on_weight.all(), on_bias.all());
                let extra = with.then_some(on_residual.all());
                case.kernels
                    .norm_forward(d, on_x.all(), extra, dropout, affine, on_y.all_mut(), on_saved)
                    .unwrap();
                same(&on_y, &y, "y");
                same(&on_normal, &normal, "normal");
                same(&on_inverse, &inverse, "inverse");
                let (dy, before) = (case.floats(m * d), case.floats(2 * d));
                let (mut dz, mut dx) = (vec![0.0; m * d], vec![0.0; m * d]);
                let (mut d_weight, mut d_bias) = (before[..d].to_vec(), before[d..].to_vec());
                let d_affine = (&mut d_weight[..], &mut d_bias[..]);
                norm::backward(d, &dy, (&normal, &inverse), &weight, dropout, &mut dz, &mut dx, d_affine);
                let on_dy = case.array(&dy);
                let (mut on_dz, mut on_dx) = (case.room(m * d), case.room(m * d));
                let (mut on_d_weight, mut on_d_bias) = (case.array(&before[..d]), case.array(&before[d..]));
                let saved = (on_normal.all(), on_inverse.all());
                let outputs = (on_d_weight.all_mut(), on_d_bias.all_mut());
                case.kernels
                    .norm_backward(
                        d,
                        on_dy.all(),
                        saved,
                        on_weight.all(),
                        dropout,
                        on_dz.all_mut(),
                        on_dx.all_mut(),
                        outputs,
                    )
                    .unwrap();
                same(&on_dz, &dz, "dz");
                same(&on_dx, &dx, "dx");
                same(&on_d_weight, &d_weight, "d_weight");
                same(&on_d_bias, &d_bias, "d_bias");
            }
        }
    });
}

#[test]
fn column_sums_run_down_the_rows_in_order() {
    everywhere(3, |case| {
        for (m, n) in [(1, 1), (300, 33), (128, 64), (129, 5)] {
            let (a, b, before) = (case.floats(m * n), case.floats(m * n), case.floats(n));
            for with in [false, true] {
                let mut expected = before.clone();
                norm::product_sums(n, &a, with.then_some(&b[..]), &mut expected);
                let (on_a, on_b, mut sums) = (case.array(&a), case.array(&b), case.array(&before));
                case.kernels.column_sums(n, on_a.all(), with.then_some(on_b.all()), sums.all_mut()).unwrap();
                same(&sums, &expected, "sums");
            }
        }
    });
}

#[test]
fn gelu_and_its_dropout_have_the_bits_of_the_cpu() {
    everywhere(4, |case| {
        for (n, rate) in [(1, 0.0), (1000, 0.3), (257, 0.0)] {
            let dropout = if rate == 0.0 { Dropout::off() } else { Dropout::new(5, 1, rate) };
            let mut x: Vec<f32> = case.floats(n).iter().map(|x| x * 4.0).collect();
            x[0] = -0.0;
            let (mut y, mut dy) = (vec![0.0; n], case.floats(n));
            gelu::forward(&x, dropout, &mut y);
            let (on_x, mut on_y, mut on_dy) = (case.array(&x), case.room(n), case.array(&dy));
            case.kernels.gelu_forward(on_x.all(), dropout, on_y.all_mut()).unwrap();
            same(&on_y, &y, "y");
            gelu::backward(&x, dropout, &mut dy);
            case.kernels.gelu_backward(on_x.all(), dropout, on_dy.all_mut()).unwrap();
            same(&on_dy, &dy, "dy");
        }
    });
}

#[test]
fn products_of_any_shape_and_start_have_the_bits_of_the_cpu() {
    everywhere(5, |case| {
        for (m, n, k) in [(1, 1, 1), (70, 33, 19), (5, 100, 130), (600, 520, 9), (16, 16, 64)] {
            let (a, b) = (case.floats(m * k), case.floats(k * n));
            let (columns, rows, before) = (case.floats(n), case.floats(m), case.floats(m * n));
            let (on_a, on_b) = (case.array(&a), case.array(&b));
            let (on_columns, on_rows) = (case.array(&columns), case.array(&rows));
            for start in 0..4 {
                for turned in [false, true] {
                    // The same memory read as (m, k) or as the transpose of (k, m).
                    let left = if turned { Left::transposed(&a, m) } else { Left::rows(&a, k) };
                    let on_left =
                        if turned { Matrix::transposed(on_a.all(), m) } else { Matrix::rows(on_a.all(), k) };
                    let starts = [
                        (gemm::Start::Zero, Start::Zero),
                        (gemm::Start::Sum, Start::Sum),
                        (gemm::Start::Columns(&columns), Start::Columns(on_columns.all())),
                        (gemm::Start::Rows(&rows), Start::Rows(on_rows.all())),
                    ];
                    let mut c = before.clone();
                    gemm::gemm((m, n, k), left, &b, n, &mut c, n, starts[start].0);
                    let mut on_c = case.array(&before);
                    let right = Matrix::rows(on_b.all(), n);
                    case.kernels.product((m, n, k), on_left, right, on_c.all_mut(), starts[start].1).unwrap();
                    same(&on_c, &c, &format!("({m}, {n}, {k}) start {start} turned {turned}"));
                }
            }
            // A right side that lies the other way.
            let other: Vec<f32> = (0..n * k).map(|at| b[at % k * n + at / k]).collect();
            let mut c = vec![0.0; m * n];
            gemm::gemm((m, n, k), Left::rows(&a, k), &b, n, &mut c, n, gemm::Start::Zero);
            let (on_other, mut on_c) = (case.array(&other), case.room(m * n));
            let (left, right) = (Matrix::rows(on_a.all(), k), Matrix::transposed(on_other.all(), k));
            case.kernels.product((m, n, k), left, right, on_c.all_mut(), Start::Zero).unwrap();
            same(&on_c, &c, "a transposed right side");
        }
    });
}

#[test]
fn the_recurrence_has_the_bits_of_the_cpu_and_its_sums_are_cut_alike() {
    everywhere(6, |case| {
        for (c, sequences) in [(1, 1), (5, 90), (32, 12)] {
            let starts = case.starts(sequences);
            let m = starts[sequences] as usize;
            let coefficients: Vec<f32> = case.floats(3 * c).iter().map(|x| x * 0.45).collect();
            let (real, rest) = coefficients.split_at(c);
            let (imag, gamma) = rest.split_at(c);
            let view = scan::Coefficients { real, imag, gamma };
            let (u, mut h) = (case.floats(m * 2 * c), vec![0.0; m * 2 * c]);
            scan::forward(c, &starts, view, &u, &mut h);
            let (on_starts, on_coefficients) = (case.array(&starts), case.array(&coefficients));
            let (on_u, mut on_h) = (case.array(&u), case.room(m * 2 * c));
            case.kernels
                .scan_forward(c, on_starts.all(), on_coefficients.all(), on_u.all(), on_h.all_mut())
                .unwrap();
            same(&on_h, &h, "h");
            let mut dh = case.floats(m * 2 * c);
            let mut on_dh = case.array(&dh);
            let mut sums = vec![0f32; 3 * c];
            let (d_real, rest) = sums.split_at_mut(c);
            let (d_imag, d_gamma) = rest.split_at_mut(c);
            let gradients = scan::Gradients { real: d_real, imag: d_imag, gamma: d_gamma };
            scan::backward(c, &starts, view, &u, &h, &mut dh, gradients);
            let exponentials: Vec<f64> = (0..2 * c).map(|at| 0.3 + at as f64 * 0.01).collect();
            let mut d_logs = vec![0f32; 3 * c];
            for at in 0..c {
                let (d_real, d_imag) = (f64::from(sums[at]), f64::from(sums[c + at]));
                let (real, imag) = (f64::from(real[at]), f64::from(imag[at]));
                d_logs[at] = (-(d_real * real + d_imag * imag) * exponentials[at]) as f32;
                d_logs[c + at] = ((d_imag * real - d_real * imag) * exponentials[c + at]) as f32;
                d_logs[2 * c + at] = sums[2 * c + at] * gamma[at];
            }
            let groups: Vec<u32> = scan::groups(&starts)
                .iter()
                .map(|(first, _)| *first as u32)
                .chain([sequences as u32])
                .collect();
            let (on_groups, on_exponentials) = (case.array(&groups), case.array(&exponentials));
            let (mut partial, mut on_d_logs) = (Array::new(&case.machine), case.room(3 * c));
            case.kernels
                .scan_backward(
                    c,
                    (on_starts.all(), on_groups.all()),
                    on_coefficients.all(),
                    on_exponentials.all(),
                    (on_u.all(), on_h.all()),
                    on_dh.all_mut(),
                    &mut partial,
                    on_d_logs.all_mut(),
                )
                .unwrap();
            same(&on_dh, &dh, "du");
            same(&on_d_logs, &d_logs, "d_logs");
        }
    });
}

#[test]
fn the_cross_entropy_has_the_bits_of_the_cpu_without_logits_in_memory() {
    everywhere(7, |case| {
        for (m, v, d) in [(1, 2, 1), (70, 131, 16), (130, 1100, 7), (64, 300, 70)] {
            let (hidden, weight, bias) = (case.floats(m * d), case.floats(v * d), case.floats(v));
            let mut labels: Vec<u32> = (0..m).map(|_| case.rng.random_range(0..v as u32)).collect();
            // Several rows of one block with one label.
            let all = labels.len();
            labels[all / 2] = labels[0];
            labels[all - 1] = labels[0];
            let before = (case.floats(v * d), case.floats(v));
            let (mut d_hidden, mut d_weight, mut d_bias) =
                (vec![0.0; m * d], before.0.clone(), before.1.clone());
            let inputs = cross_entropy::Inputs {
                width: d,
                hidden: &hidden,
                weight: &weight,
                bias: &bias,
                labels: &labels,
            };
            let gradients =
                cross_entropy::Gradients { hidden: &mut d_hidden, weight: &mut d_weight, bias: &mut d_bias };
            let loss = cross_entropy::loss_and_gradients(
                inputs,
                gradients,
                &mut cross_entropy::Workspace::default(),
            );
            let (on_hidden, on_weight, on_bias) =
                (case.array(&hidden), case.array(&weight), case.array(&bias));
            let on_labels = case.array(&labels);
            let (mut on_d_hidden, mut on_d_weight, mut on_d_bias) =
                (case.room(m * d), case.array(&before.0), case.array(&before.1));
            let inputs = Classes {
                width: d,
                hidden: on_hidden.all(),
                weight: on_weight.all(),
                bias: on_bias.all(),
                labels: on_labels.all(),
            };
            let mut room = ClassesRoom::new(&case.machine);
            let outputs = (on_d_weight.all_mut(), on_d_bias.all_mut());
            let chunk = cross_entropy::chunk_of(v);
            let rows =
                case.kernels.cross_entropy(inputs, chunk, on_d_hidden.all_mut(), outputs, &mut room).unwrap();
            assert_eq!(
                cross_entropy::mean_loss(&rows.get().unwrap()).to_bits(),
                loss.to_bits(),
                "({m}, {v}, {d})"
            );
            same(&on_d_weight, &d_weight, "d_weight");
            same(&on_d_bias, &d_bias, "d_bias");
            same(&on_d_hidden, &d_hidden, "d_hidden");
        }
    });
}

#[test]
fn adamw_and_the_gradients_norm_have_the_bits_of_the_cpu() {
    everywhere(8, |case| {
        for n in [1, 1024, 70_001] {
            let gradient = case.floats(n);
            let on_gradient = case.array(&gradient);
            let (mut sums, mut totals) = (Array::new(&case.machine), Array::new(&case.machine));
            let norm = case.kernels.norm(on_gradient.all(), &mut sums, &mut totals).unwrap();
            assert_eq!(norm.to_bits(), adamw::norm(&gradient).to_bits(), "{n}");
            let (mut weights, mut first) = (case.floats(n), case.floats(n));
            let mut second: Vec<f32> = case.floats(n).iter().map(|x| x * x).collect();
            let adam =
                AdamW { learning_rate: 1e-3, weight_decay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-9 };
            let decayed = [(0, n / 3), (n / 2, n / 2 + n / 5)];
            let (mut on_weights, mut on_first, mut on_second) =
                (case.array(&weights), case.array(&first), case.array(&second));
            let factor = adamw::clip_factor(norm, 5.0);
            let state = adamw::State { weights: &mut weights, first: &mut first, second: &mut second };
            adamw::step(&adam, 7, factor, &gradient, &decayed, state);
            let on_decayed: Vec<u64> =
                decayed.iter().flat_map(|(from, to)| [*from as u64, *to as u64]).collect();
            let on_decayed = case.array(&on_decayed);
            let constants = adam.constants(7, factor);
            let states = (on_weights.all_mut(), on_first.all_mut(), on_second.all_mut());
            case.kernels.adamw(constants, on_gradient.all(), on_decayed.all(), states).unwrap();
            same(&on_weights, &weights, "weights");
            same(&on_first, &first, "first");
            same(&on_second, &second, "second");
        }
    });
}

#[test]
fn the_walk_over_the_catalogue_finds_the_candidates_scores_and_ranks_of_the_cpu() {
    everywhere(9, |case| {
        for (users, items, d, k, coarse) in [
            (1, 5, 1, 5, false),
            (70, 300, 16, 20, true),
            (33, 130, 9, 40, false),
            (20, 70, 40, 7, false),
            (4, 64, 8, 0, true),
        ] {
            // Coarse values make many ties.
            let mut values = |n| -> Vec<f32> {
                let values = case.floats(n);
                if coarse { values.iter().map(|x| x.round()).collect() } else { values }
            };
            let (states, weight, bias) = (values(users * d), values((items + 1) * d), values(items + 1));
            let mut item = || ItemId::new(case.rng.random_range(1..=items as u32)).unwrap();
            let targets: Vec<ItemId> = (0..users).map(|_| item()).collect();
            let histories: Vec<Vec<ItemId>> =
                (0..users).map(|user| (0..user % 7).map(|_| item()).collect()).collect();
            let query = Query { histories: &histories, targets: &targets, k, mask: HistoryMask::All };
            let scorer = Scorer { width: d, weight: &weight[..], bias: &bias[..] };
            let expected = catalogue::retrieve(scorer, &states, &query, 50).unwrap();
            let (mut masks, mut offsets) = (Vec::new(), vec![0u32]);
            for history in &histories {
                masks.extend(masked(history, HistoryMask::All, 50));
                offsets.push(masks.len() as u32);
            }
            let ids: Vec<u32> = targets.iter().map(|item| item.get()).collect();
            let (on_states, on_weight, on_bias) =
                (case.array(&states), case.array(&weight), case.array(&bias));
            let (on_targets, on_masks, on_offsets) =
                (case.array(&ids), case.array(&masks), case.array(&offsets));
            let walked = case
                .kernels
                .walk(Walk {
                    width: d,
                    k,
                    masked: catalogue::MASKED,
                    states: on_states.all(),
                    weight: on_weight.all(),
                    bias: on_bias.all(),
                    targets: on_targets.all(),
                    masks: on_masks.all(),
                    offsets: on_offsets.all(),
                })
                .unwrap();
            assert_eq!(walked.candidates.get().unwrap(), expected.candidates, "candidates");
            same(&walked.scores, &expected.scores, "scores");
            let ranks: Vec<NonZeroU32> = walked
                .better
                .get()
                .unwrap()
                .iter()
                .map(|better| NonZeroU32::MIN.saturating_add(*better))
                .collect();
            assert_eq!(ranks, expected.ranks, "ranks");
            let tied = walked.tied.get().unwrap().iter().filter(|tied| **tied != 0).count() as u64;
            assert_eq!(tied, expected.tied_users, "ties");
            assert!(
                walked.filled.get().unwrap().iter().all(|filled| *filled == k as u32),
                "every list is full"
            );
        }
    });
}
