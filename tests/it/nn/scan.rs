//! The recurrence beside a sequential one in f64.

use bench::nn::scan::{self, Coefficients, Gradients};

use super::tools::{assert_close, assert_same_for_any_number_of_threads, bits, poison, values};

/// Lengths of sequences that are packed together, around the 128 rows of a task.
const PACKS: [&[usize]; 7] =
    [&[1], &[1, 1, 1], &[5, 1, 9], &[127, 1, 128, 129], &[300, 2], &[64, 64, 64, 64, 1], &[40; 11]];

struct Problem {
    c: usize,
    starts: Vec<u32>,
    /// Re lambda, Im lambda, gamma: (3, c).
    coefficients: Vec<f32>,
    u: Vec<f32>,
    dh: Vec<f32>,
}

struct Found {
    h: Vec<f32>,
    du: Vec<f32>,
    sums: Vec<f32>,
}

impl Problem {
    fn new(c: usize, lengths: &[usize], seed: u64) -> Self {
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |end, n| {
            *end += *n as u32;
            Some(*end)
        }));
        let m: usize = lengths.iter().sum();
        let mut coefficients = vec![0.0; 3 * c];
        for (j, draw) in values(seed, c, 1.0).into_iter().enumerate() {
            let (radius, angle) = (0.9 + 0.09 * draw, 3.0 * draw);
            coefficients[j] = radius * angle.cos();
            coefficients[c + j] = radius * angle.sin();
            coefficients[2 * c + j] = 0.3 + 0.2 * draw;
        }
        Self {
            c,
            starts,
            coefficients,
            u: values(seed + 1, m * 2 * c, 1.0),
            dh: values(seed + 2, m * 2 * c, 1.0),
        }
    }

    fn run(&self) -> Found {
        let c = self.c;
        let (real, rest) = self.coefficients.split_at(c);
        let (imag, gamma) = rest.split_at(c);
        let coefficients = Coefficients { real, imag, gamma };
        let mut h = poison(self.u.len());
        scan::forward(c, &self.starts, coefficients, &self.u, &mut h);
        let (mut du, mut sums) = (self.dh.clone(), vec![1f32; 3 * c]);
        let (d_real, rest) = sums.split_at_mut(c);
        let (d_imag, d_gamma) = rest.split_at_mut(c);
        let gradients = Gradients { real: d_real, imag: d_imag, gamma: d_gamma };
        scan::backward(c, &self.starts, coefficients, &self.u, &h, &mut du, gradients);
        Found { h, du, sums }
    }

    /// The states of channel `j` in sequence `s`, in f64, with `coefficients` (Re lambda, Im lambda, gamma) and `u`.
    fn states(&self, s: usize, j: usize, k: [f64; 3], u: &dyn Fn(usize) -> f64) -> Vec<(usize, f64)> {
        let (mut re, mut im) = (0.0, 0.0);
        let mut states = Vec::new();
        for row in self.starts[s] as usize..self.starts[s + 1] as usize {
            let (at_re, at_im) = (row * 2 * self.c + j, row * 2 * self.c + self.c + j);
            let next = k[0] * re - k[1] * im + k[2] * u(at_re);
            im = k[0] * im + k[1] * re + k[2] * u(at_im);
            re = next;
            states.extend([(at_re, re), (at_im, im)]);
        }
        states
    }

    fn coefficients_of(&self, j: usize) -> [f64; 3] {
        [0, 1, 2].map(|part| f64::from(self.coefficients[part * self.c + j]))
    }

    /// What `dh` says of the loss: `sum dh h` over one channel of one sequence.
    fn loss(&self, s: usize, j: usize, k: [f64; 3], u: &dyn Fn(usize) -> f64) -> f64 {
        self.states(s, j, k, u).iter().map(|(at, h)| f64::from(self.dh[*at]) * h).sum()
    }

    fn sequences(&self) -> std::ops::Range<usize> {
        0..self.starts.len() - 1
    }
}

#[test]
fn states_equal_those_of_a_sequential_complex_recurrence() {
    for (seed, lengths) in PACKS.into_iter().enumerate() {
        for c in [1, 5, 16, 17, 40] {
            let p = Problem::new(c, lengths, seed as u64 * 10);
            let mut expected = vec![f64::NAN; p.u.len()];
            for s in p.sequences() {
                for j in 0..c {
                    for (at, h) in p.states(s, j, p.coefficients_of(j), &|at| f64::from(p.u[at])) {
                        expected[at] = h;
                    }
                }
            }
            assert_close(&format!("h of {lengths:?}, {c} channels"), &p.run().h, &expected, 2e-6);
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for (seed, lengths) in PACKS.into_iter().enumerate() {
        for c in [1, 5, 19] {
            let p = Problem::new(c, lengths, 500 + seed as u64 * 10);
            let found = p.run();
            let u = |at: usize| f64::from(p.u[at]);
            let mut sums = vec![1f64; 3 * c]; // what they held before
            let (mut du, mut du_found) = (Vec::new(), Vec::new());
            for s in p.sequences() {
                for j in 0..c {
                    let k = p.coefficients_of(j);
                    for part in 0..3 {
                        let step = 1e-6;
                        let (mut up, mut down) = (k, k);
                        up[part] += step;
                        down[part] -= step;
                        sums[part * c + j] += (p.loss(s, j, up, &u) - p.loss(s, j, down, &u)) / (2.0 * step);
                    }
                    // The loss is linear in u, so any step is exact; a few places are enough.
                    let (from, to) = (p.starts[s] as usize, p.starts[s + 1] as usize);
                    for row in (from..to).step_by(((to - from) / 9).max(1)).chain([to - 1]) {
                        for place in [row * 2 * c + j, row * 2 * c + c + j] {
                            let moved = |at: usize| u(at) + if at == place { 1.0 } else { 0.0 };
                            du.push(p.loss(s, j, k, &moved) - p.loss(s, j, k, &u));
                            du_found.push(found.du[place]);
                        }
                    }
                }
            }
            assert_close(&format!("du of {lengths:?}, {c} channels"), &du_found, &du, 2e-6);
            assert_close(&format!("dlambda, dgamma of {lengths:?}, {c} channels"), &found.sums, &sums, 5e-6);
        }
    }
}

#[test]
fn sequences_packed_together_are_as_each_alone() {
    for lengths in PACKS {
        let c = 21;
        let packed = Problem::new(c, lengths, 7);
        let all = packed.run();
        for s in packed.sequences() {
            let (from, to) = (packed.starts[s] as usize * 2 * c, packed.starts[s + 1] as usize * 2 * c);
            let alone = Problem {
                c,
                starts: vec![0, packed.starts[s + 1] - packed.starts[s]],
                coefficients: packed.coefficients.clone(),
                u: packed.u[from..to].to_vec(),
                dh: packed.dh[from..to].to_vec(),
            }
            .run();
            assert_eq!(bits(&alone.h), bits(&all.h[from..to]), "states of sequence {s} of {lengths:?}");
            assert_eq!(bits(&alone.du), bits(&all.du[from..to]), "gradients of sequence {s} of {lengths:?}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let p = Problem::new(37, &[90; 40], 3);
    assert_same_for_any_number_of_threads("scan", || {
        let found = p.run();
        [bits(&found.h), bits(&found.du), bits(&found.sums)]
    });
}

#[test]
fn no_sequence_at_all_is_nothing_to_do() {
    let p = Problem::new(3, &[], 1);
    let found = p.run();
    assert!(found.h.is_empty() && found.du.is_empty());
    assert_eq!(found.sums, [1.0; 9]);
}
