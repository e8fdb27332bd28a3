//! exp and the normal distribution beside f64.

use bench::nn::math::{exp, exp2, normal};
use bench::nn::simd::{InstructionSet, Kernel, LANES, Lanes, dispatch, dispatch_on};

use super::tools::{SETS, bits};

/// Four functions of every element.
struct Map<'a>(&'a [f32]);

#[derive(Default, Debug, PartialEq)]
struct Mapped {
    exp: Vec<f32>,
    exp2: Vec<f32>,
    cdf: Vec<f32>,
    density: Vec<f32>,
}

impl Kernel for Map<'_> {
    type Out = Mapped;
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) -> Mapped {
        let n = self.0.len();
        let mut out =
            Mapped { exp: vec![0.0; n], exp2: vec![0.0; n], cdf: vec![0.0; n], density: vec![0.0; n] };
        for at in (0..n).step_by(LANES) {
            let count = LANES.min(n - at);
            unsafe {
                let x = L::load_first(self.0.as_ptr().add(at), count);
                let (cdf, density) = normal::<L>(x);
                L::store_first(out.exp.as_mut_ptr().add(at), count, exp::<L>(x));
                L::store_first(out.exp2.as_mut_ptr().add(at), count, exp2::<L>(x));
                L::store_first(out.cdf.as_mut_ptr().add(at), count, cdf);
                L::store_first(out.density.as_mut_ptr().add(at), count, density);
            }
        }
        out
    }
}

/// erf by its Taylor series below 3, else 1 - erfc by its continued fraction (Abramowitz and Stegun 7.1.5, 7.1.14).
fn upper_tail(z: f64) -> f64 {
    let square = z * z;
    if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= -square / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        1.0 - 2.0 / std::f64::consts::PI.sqrt() * sum
    } else {
        let fraction = (1..=60).rev().fold(z, |rest, n| z + f64::from(n) / 2.0 / rest);
        (-square).exp() / (fraction * std::f64::consts::PI.sqrt())
    }
}

/// The normal distribution function in f64.
pub fn phi(x: f64) -> f64 {
    let tail = upper_tail(x.abs() * std::f64::consts::FRAC_1_SQRT_2) / 2.0;
    if x < 0.0 { tail } else { 1.0 - tail }
}

fn grid(from: f32, to: f32, points: usize) -> Vec<f32> {
    (0..=points).map(|i| from + (to - from) * (i as f32 / points as f32)).collect()
}

#[test]
fn the_twin_of_the_normal_distribution_knows_the_tables() {
    for (x, expected) in [
        (0.0, 0.5),
        (1.0, 0.841_344_746_068_542_9),
        (-1.959_963_984_540_054, 0.025),
        (4.0, 0.999_968_328_758_166_9),
        (-5.0, 2.866_515_718_791_939e-7),
    ] {
        assert!((phi(x) - expected).abs() < 1e-14, "Phi({x}) = {}", phi(x));
    }
}

#[test]
fn exp_is_within_two_units_of_the_seventh_digit_on_its_whole_range() {
    let x = grid(-87.0, 88.0, 1_000_003);
    let found = dispatch(Map(&x)).exp;
    let mut largest = 0f64;
    for (x, found) in x.iter().zip(found) {
        let expected = f64::from(*x).exp();
        largest = largest.max((f64::from(found) - expected).abs() / expected);
    }
    println!("exp: largest relative error {largest:.2e}");
    assert!(largest < 2e-7, "{largest:e}");
}

#[test]
fn exp_does_not_fall_where_its_argument_rises() {
    let x = grid(-87.0, 88.0, 1_000_003);
    let found = dispatch(Map(&x)).exp;
    for (i, pair) in found.windows(2).enumerate() {
        assert!(pair[0] <= pair[1], "exp({}) = {} and exp({}) = {}", x[i], pair[0], x[i + 1], pair[1]);
    }
}

#[test]
fn exp_of_zero_is_one_and_arguments_out_of_range_are_clamped() {
    let x = [0.0, -0.0, -87.0, -88.0, -1e30, f32::NEG_INFINITY, 88.0, 89.0, 1e30, f32::INFINITY];
    let found = dispatch(Map(&x)).exp;
    assert_eq!(found[..2], [1.0, 1.0]);
    assert!(found[2..6].iter().all(|y| *y == found[2] && *y > 0.0 && *y < 2e-38), "{found:?}");
    assert!(found[6..].iter().all(|y| *y == found[6] && y.is_finite() && *y > 1e38), "{found:?}");
}

#[test]
fn powers_of_two_are_within_two_units_of_the_seventh_digit_and_whole_ones_exact() {
    let x = grid(-126.0, 127.0, 1_000_003);
    let found = dispatch(Map(&x)).exp2;
    let mut largest = 0f64;
    for (x, found) in x.iter().zip(&found) {
        let expected = f64::from(*x).exp2();
        largest = largest.max((f64::from(*found) - expected).abs() / expected);
    }
    println!("exp2: largest relative error {largest:.2e}");
    assert!(largest < 2e-7, "{largest:e}");
    assert!(found.windows(2).all(|pair| pair[0] <= pair[1]), "it falls where its argument rises");
    let whole: Vec<f32> = (-126..=127).map(|n| n as f32).collect();
    let expected: Vec<f32> = whole.iter().map(|n| n.exp2()).collect();
    assert_eq!(dispatch(Map(&whole)).exp2, expected);
}

#[test]
fn powers_of_two_out_of_range_are_clamped_and_what_is_no_number_stays_so() {
    let x = [-0.0, -126.0, -127.0, f32::NEG_INFINITY, f32::MIN, 127.0, 1e30, f32::INFINITY, f32::NAN];
    let found = dispatch(Map(&x)).exp2;
    assert_eq!(found[0], 1.0);
    assert_eq!(found[1..5], [f32::MIN_POSITIVE; 4]);
    assert_eq!(found[5..8], [127f32.exp2(); 3]);
    assert!(found[8].is_nan());
}

#[test]
fn the_normal_distribution_and_density_are_within_their_stated_error() {
    let x = grid(-12.0, 12.0, 400_001);
    let found = dispatch(Map(&x));
    let (mut cdf, mut density) = (0f64, 0f64);
    for (i, x) in x.iter().enumerate() {
        let x = f64::from(*x);
        let expected = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        cdf = cdf.max((f64::from(found.cdf[i]) - phi(x)).abs());
        density = density.max((f64::from(found.density[i]) - expected).abs());
    }
    println!("Phi: largest error {cdf:.2e}; phi: largest error {density:.2e}");
    assert!(cdf < 3e-7, "{cdf:e}");
    assert!(density < 1e-7, "{density:e}");
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut x = grid(-90.0, 90.0, 100_001);
    x.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN]);
    let portable = dispatch_on(InstructionSet::Portable, Map(&x));
    for set in SETS {
        let found = dispatch_on(set, Map(&x));
        let nan =
            |v: &[f32]| v.iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect::<Vec<_>>();
        assert!(bits(&found.exp) == bits(&portable.exp), "exp on {set}");
        assert!(nan(&found.exp2) == nan(&portable.exp2), "exp2 on {set}");
        // The sign of a NaN is nobody's business.
        assert!(nan(&found.cdf) == nan(&portable.cdf), "Phi on {set}");
        assert!(nan(&found.density) == nan(&portable.density), "phi on {set}");
    }
}
