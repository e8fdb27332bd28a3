//! The rotary embedding beside the formula of Hugging Face's `apply_rotary_pos_emb`.

use bench::nn::rope::{Rope, apply};
use proptest::prelude::*;

use super::tools::{assert_close, assert_same_for_any_number_of_threads, bits, integers, values};

/// `theta^(-2 i / width)`.
fn frequencies(width: usize, theta: f64) -> Vec<f32> {
    (0..width / 2).map(|i| theta.powf(-2.0 * i as f64 / width as f64) as f32).collect()
}

/// `x * cos + rotate_half(x) * sin` with `rotate_half(x) = (-x2, x1)`, and cosines and sines of `concat(angles, angles)`, in f64.
fn twin(x: &[f32], head_dim: usize, positions: &[u32], frequencies: &[f32], factor: f64) -> Vec<f64> {
    let half = frequencies.len();
    let heads = x.len() / positions.len() / head_dim;
    let mut out = Vec::new();
    for (row, head) in x.chunks(head_dim).enumerate() {
        let position = positions[row / heads];
        for i in 0..head_dim {
            if i >= 2 * half {
                out.push(f64::from(head[i]));
                continue;
            }
            let turned = if i < half { -f64::from(head[i + half]) } else { f64::from(head[i - half]) };
            // torch multiplies position and frequency in f32.
            let angle = f64::from(position as f32 * frequencies[i % half]);
            out.push((f64::from(head[i]) * angle.cos() + turned * angle.sin()) * factor);
        }
    }
    out
}

#[test]
fn it_is_the_formula_of_hugging_face() {
    let mut seed = 0;
    for (m, heads, head_dim, turning) in [
        (1, 1, 2, 2),
        (5, 3, 8, 8),
        (9, 2, 20, 20),
        (100, 12, 64, 64),
        (40, 8, 128, 128),
        (7, 2, 48, 24),
        (3, 1, 4, 0),
    ] {
        for factor in [1.0, 0.75] {
            seed += 10;
            let x = values(seed, m * heads * head_dim, 2.0);
            let positions = integers(seed + 1, m, 1000);
            let frequencies = frequencies(turning, 10_000.0);
            let table = Rope::new(&frequencies, factor, 1000);
            let mut found = x.clone();
            apply(&mut found, head_dim, &positions, &table, false);
            let expected = twin(&x, head_dim, &positions, &frequencies, f64::from(factor));
            assert_close(&format!("{m} x {heads} x {head_dim}, {turning} turn"), &found, &expected, 2e-7);
        }
    }
}

#[test]
fn a_quarter_turn_is_a_swap_with_a_sign() {
    let table = Rope::new(&[std::f32::consts::FRAC_PI_2], 1.0, 2);
    let mut x = [3.0, 5.0, 3.0, 5.0];
    apply(&mut x, 2, &[0, 1], &table, false);
    assert_eq!(x[..2], [3.0, 5.0]);
    assert!((x[2] + 5.0).abs() < 1e-6 && (x[3] - 3.0).abs() < 1e-6, "{x:?}");
}

#[test]
fn the_table_knows_its_size_and_its_numbers() {
    let table = Rope::new(&[1.0, 0.5, 0.25], 2.0, 7);
    assert_eq!((table.positions(), table.half()), (7, 3));
    let (cos, sin) = table.at(6);
    for i in 0..3 {
        let angle = 6.0 / f64::from(1 << i);
        assert_eq!((cos[i], sin[i]), (angle.cos() as f32 * 2.0, angle.sin() as f32 * 2.0));
    }
}

proptest! {
    #[test]
    fn turning_back_gives_the_same_numbers(seed in 0u64..1000, m in 1usize..40, heads in 1usize..4, half in 1usize..40) {
        let x = values(seed, m * heads * 2 * half, 2.0);
        let positions = integers(seed, m, 4096);
        let table = Rope::new(&frequencies(2 * half, 500_000.0), 1.0, 4096);
        let mut found = x.clone();
        apply(&mut found, 2 * half, &positions, &table, false);
        apply(&mut found, 2 * half, &positions, &table, true);
        let largest = found.iter().zip(&x).map(|(found, x)| (found - x).abs()).fold(0f32, f32::max);
        prop_assert!(largest < 1e-6, "{largest}");
    }

    #[test]
    fn the_inverse_is_the_transpose(seed in 0u64..1000, half in 1usize..40, position in 0u32..4096) {
        let (x, dy) = (values(seed, 2 * half, 1.0), values(seed + 1, 2 * half, 1.0));
        let table = Rope::new(&frequencies(2 * half, 10_000.0), 1.3, 4096);
        let (mut y, mut dx) = (x.clone(), dy.clone());
        apply(&mut y, 2 * half, &[position], &table, false);
        apply(&mut dx, 2 * half, &[position], &table, true);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        prop_assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-5);
    }

    #[test]
    fn scores_depend_on_the_distance_alone(seed in 0u64..1000, a in 0u32..1000, b in 0u32..1000, shift in 0u32..1000) {
        let (q, k) = (values(seed, 64, 1.0), values(seed + 1, 64, 1.0));
        let table = Rope::new(&frequencies(64, 10_000.0), 1.0, 2000);
        let score = |a: u32, b: u32| -> f64 {
            let (mut q, mut k) = (q.clone(), k.clone());
            apply(&mut q, 64, &[a], &table, false);
            apply(&mut k, 64, &[b], &table, false);
            q.iter().zip(&k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum()
        };
        prop_assert!((score(a, b) - score(a + shift, b + shift)).abs() < 2e-3);
    }
}

#[test]
fn rows_do_not_depend_on_each_other_nor_on_the_number_of_threads() {
    let (m, heads, head_dim) = (700, 3, 40);
    let (x, positions) = (values(1, m * heads * head_dim, 2.0), integers(2, m, 512));
    let table = Rope::new(&frequencies(head_dim, 10_000.0), 1.0, 512);
    let turned = || {
        let mut found = x.clone();
        apply(&mut found, head_dim, &positions, &table, false);
        bits(&found)
    };
    let all = turned();
    for row in [0, 1, 272, 273, 699] {
        let mut alone = x[row * 120..][..120].to_vec();
        apply(&mut alone, head_dim, &positions[row..=row], &table, false);
        assert_eq!(bits(&alone), all[row * 120..][..120], "row {row}");
    }
    assert_same_for_any_number_of_threads("rotary embedding", turned);
    apply(&mut [], head_dim, &[], &table, false);
}
