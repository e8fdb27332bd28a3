//! Moves and small sums on rows.

use bench::nn::dropout::Dropout;
use bench::nn::matmul::Dense;
use bench::nn::rows;

use super::tools::{assert_same_for_any_number_of_threads, bits, integers, poison, values};

/// Widths below, at and beyond a vector, and rows enough for several tasks.
const SIZES: [(usize, usize); 5] = [(1, 1), (5, 7), (40, 16), (300, 130), (9, 20_000)];

#[test]
fn an_embedding_is_the_rows_of_its_ids() {
    for (m, d) in SIZES {
        let table = values(1, 11 * d, 1.0);
        let ids = integers(2, m, 11);
        let mut found = poison(m * d);
        rows::embed(&Dense { data: &table, rows: 11, cols: d }, &ids, &mut found);
        let expected: Vec<f32> = ids.iter().flat_map(|&id| table[id as usize * d..][..d].to_vec()).collect();
        assert_eq!(bits(&found), bits(&expected), "({m}, {d})");
    }
}

#[test]
fn gathering_and_scattering_are_transposes() {
    for (m, d) in SIZES {
        let x = values(1, m * d, 1.0);
        let picked: Vec<u32> = (0..m as u32).filter(|row| row % 3 == 0).collect();
        let mut found = poison(picked.len() * d);
        rows::gather(&x, d, &picked, &mut found);
        let expected: Vec<f32> = picked.iter().flat_map(|&row| x[row as usize * d..][..d].to_vec()).collect();
        assert_eq!(bits(&found), bits(&expected), "({m}, {d})");
        let mut sum = values(2, m * d, 1.0);
        let expected: Vec<f32> = sum
            .iter()
            .enumerate()
            .map(|(at, s)| if (at / d).is_multiple_of(3) { s + x[at] } else { *s })
            .collect();
        rows::scatter_add(&found, d, &picked, &mut sum);
        assert_eq!(bits(&sum), bits(&expected), "({m}, {d})");
    }
}

#[test]
#[should_panic(expected = "rows do not rise")]
fn a_row_cannot_be_scattered_to_twice() {
    rows::scatter_add(&[1.0, 2.0], 1, &[3, 3], &mut [0.0; 5]);
}

#[test]
fn sums_copies_and_scales_are_those_of_a_plain_loop() {
    for (m, d) in SIZES {
        let (x, bias) = (values(1, m * d, 1.0), values(3, d, 1.0));
        let start = values(2, m * d, 1.0);
        let check = |what: &str, found: &[f32], expected: &dyn Fn(usize) -> f32| {
            let expected: Vec<f32> = (0..found.len()).map(expected).collect();
            assert_eq!(bits(found), bits(&expected), "{what} ({m}, {d})");
        };
        let mut found = poison(m * d);
        rows::copy(&x, &mut found);
        check("copy", &found, &|at| x[at]);
        rows::scale(&mut found, 0.3);
        check("scale", &found, &|at| x[at] * 0.3);
        let mut found = start.clone();
        rows::add_to_each(&bias, &mut found);
        check("add_to_each", &found, &|at| start[at] + bias[at % d]);
        let mut found = bias.clone();
        rows::sum_rows(&x, &mut found);
        check("sum_rows", &found, &|j| (0..m).fold(bias[j], |sum, i| sum + x[i * d + j]));
    }
}

#[test]
fn dropout_and_its_gradient_have_one_mask() {
    let mask = Dropout::new(1, 2, 0.4);
    for (m, d) in SIZES {
        let x = values(1, m * d, 1.0);
        let mut found = poison(m * d);
        rows::dropout(mask, &x, &mut found);
        let factor = |at: usize| mask.factors(at / 16 * 16)[at % 16];
        let expected: Vec<f32> = x.iter().enumerate().map(|(at, x)| x * factor(at)).collect();
        assert_eq!(bits(&found), bits(&expected), "({m}, {d})");
        let start = values(2, m * d, 1.0);
        let mut found = start.clone();
        rows::add_dropout(mask, &x, &mut found);
        let expected: Vec<f32> =
            start.iter().zip(&x).enumerate().map(|(at, (s, x))| s + x * factor(at)).collect();
        assert_eq!(bits(&found), bits(&expected), "({m}, {d})");
    }
}

#[test]
fn rows_do_not_depend_on_the_number_of_threads() {
    let (m, d) = (300, 130);
    let x = values(1, m * d, 1.0);
    assert_same_for_any_number_of_threads("sum_rows", || {
        let mut sums = vec![0.0; d];
        rows::sum_rows(&x, &mut sums);
        bits(&sums)
    });
}
