//! The diagonal complex linear recurrence of the LRU over packed sequences of different lengths.
//!
//! `h_t = lambda * h_(t-1) + gamma * u_t` with complex lambda and real gamma per channel (Orvieto et al. 2023, eq. 5). A state is
//! stored as its real parts followed by its imaginary parts. A sequence starts from `h = 0`.

use super::parallel::{self, Shared};
use super::simd::{Kernel, LANES, Lanes, dispatch, vectors};

/// Rows of a task, at least: a fixed number, so that partial sums are cut alike for any number of threads.
pub(crate) const ROWS: usize = 128;

/// Where sequences begin in the packed rows: `starts[s]..starts[s + 1]`, `starts[0] = 0`, the last is the number of rows.
pub type Starts<'a> = &'a [u32];

/// The recurrence's coefficients, each (c).
#[derive(Clone, Copy)]
pub struct Coefficients<'a> {
    /// Re lambda.
    pub real: &'a [f32],
    /// Im lambda.
    pub imag: &'a [f32],
    /// gamma.
    pub gamma: &'a [f32],
}

impl<'a> Coefficients<'a> {
    /// Three rows of one slice. `# Shapes: (3, c)`
    #[must_use]
    pub fn of(all: &'a [f32]) -> Self {
        let (real, rest) = all.split_at(all.len() / 3);
        let (imag, gamma) = rest.split_at(rest.len() / 2);
        Self { real, imag, gamma }
    }
}

/// Groups of whole sequences with at least 128 rows each (but the last): `(first sequence, one past the last)`. The sums of the
/// coefficients' gradients are taken group by group.
#[must_use]
pub fn groups(starts: Starts<'_>) -> Vec<(usize, usize)> {
    let mut groups = Vec::new();
    let mut first = 0;
    for end in 1..starts.len() {
        if (starts[end] - starts[first]) as usize >= ROWS || end + 1 == starts.len() {
            groups.push((first, end));
            first = end;
        }
    }
    groups
}

/// That everything fits: `starts` ascend from 0 to m, coefficients are (c), states (m, 2c).
fn check(c: usize, starts: Starts<'_>, coefficients: Coefficients<'_>, states: &[&[f32]]) {
    let Coefficients { real, imag, gamma } = coefficients;
    assert!(real.len() == c && imag.len() == c && gamma.len() == c, "coefficients are not of c {c}");
    assert!(starts.first() == Some(&0) && starts.is_sorted(), "sequences do not ascend from 0");
    let rows = starts[starts.len() - 1] as usize;
    assert!(states.iter().all(|state| state.len() == rows * 2 * c), "states are not ({rows}, {})", 2 * c);
}

/// The forward pass. `# Shapes: u, h (m, 2c)`
///
/// # Panics
/// When a slice does not fit the shapes (a programming error of this crate).
pub fn forward(c: usize, starts: Starts<'_>, coefficients: Coefficients<'_>, u: &[f32], h: &mut [f32]) {
    check(c, starts, coefficients, &[u, h]);
    let groups = groups(starts);
    let h = Shared::new(h);
    parallel::each(groups.len(), |task| {
        let (first, end) = groups[task];
        let (from, to) = (starts[first] as usize, starts[end] as usize);
        // SAFETY: groups are disjoint rows.
        let h = unsafe { h.part(from * 2 * c, (to - from) * 2 * c) };
        dispatch(Forward {
            c,
            starts: &starts[first..=end],
            coefficients,
            u: &u[from * 2 * c..to * 2 * c],
            h,
        });
    });
}

struct Forward<'a> {
    c: usize,
    starts: Starts<'a>,
    coefficients: Coefficients<'a>,
    u: &'a [f32],
    h: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (c, base) = (self.c, self.starts[0] as usize);
        for sequence in self.starts.windows(2) {
            let (from, to) = (sequence[0] as usize - base, sequence[1] as usize - base);
            vectors!(c, at, n => unsafe {
                let lr = L::load_first(self.coefficients.real.as_ptr().add(at), n);
                let li = L::load_first(self.coefficients.imag.as_ptr().add(at), n);
                let gamma = L::load_first(self.coefficients.gamma.as_ptr().add(at), n);
                let (mut re, mut im) = (L::splat(0.0), L::splat(0.0));
                for row in from..to {
                    let at = row * 2 * c + at;
                    let ur = L::mul(gamma, L::load_first(self.u.as_ptr().add(at), n));
                    let ui = L::mul(gamma, L::load_first(self.u.as_ptr().add(at + c), n));
                    let next = L::fma(lr, re, L::fnma(li, im, ur));
                    im = L::fma(lr, im, L::fma(li, re, ui));
                    re = next;
                    L::store_first(self.h.as_mut_ptr().add(at), n, re);
                    L::store_first(self.h.as_mut_ptr().add(at + c), n, im);
                }
            });
        }
    }
}

/// Gradients of the coefficients, each (c), added to what they hold.
pub struct Gradients<'a> {
    /// dL / d Re lambda.
    pub real: &'a mut [f32],
    /// dL / d Im lambda.
    pub imag: &'a mut [f32],
    /// dL / d gamma.
    pub gamma: &'a mut [f32],
}

/// The backward pass: `g_t = dh_t + conj(lambda) g_(t+1)`, `du_t = gamma g_t`, `dlambda = sum g_t conj(h_(t-1))`,
/// `dgamma = sum Re(g_t conj(u_t))`. `dh` becomes `du` in place.
///
/// `# Shapes: u, h, dh (m, 2c)`
///
/// # Panics
/// As [`forward`].
pub fn backward(
    c: usize,
    starts: Starts<'_>,
    coefficients: Coefficients<'_>,
    u: &[f32],
    h: &[f32],
    dh: &mut [f32],
    gradients: Gradients<'_>,
) {
    check(c, starts, coefficients, &[u, h, dh]);
    let groups = groups(starts);
    let mut partial = vec![0f32; groups.len() * 3 * c];
    {
        let (dh, partial) = (Shared::new(dh), Shared::new(&mut partial));
        parallel::each(groups.len(), |task| {
            let (first, end) = groups[task];
            let (from, to) = (starts[first] as usize, starts[end] as usize);
            let rows = from * 2 * c..to * 2 * c;
            // SAFETY: groups are disjoint rows, and each has partial sums of its own.
            let (dh, partial) =
                unsafe { (dh.part(rows.start, rows.len()), partial.part(task * 3 * c, 3 * c)) };
            dispatch(Backward {
                c,
                starts: &starts[first..=end],
                coefficients,
                u: &u[rows.clone()],
                h: &h[rows],
                dh,
                partial,
            });
        });
    }
    for sums in partial.chunks_exact(3 * c) {
        let targets =
            gradients.real.iter_mut().chain(gradients.imag.iter_mut()).chain(gradients.gamma.iter_mut());
        for (target, sum) in targets.zip(sums) {
            *target += sum;
        }
    }
}

struct Backward<'a> {
    c: usize,
    starts: Starts<'a>,
    coefficients: Coefficients<'a>,
    u: &'a [f32],
    h: &'a [f32],
    dh: &'a mut [f32],
    partial: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let (c, base) = (self.c, self.starts[0] as usize);
        for sequence in self.starts.windows(2) {
            let (from, to) = (sequence[0] as usize - base, sequence[1] as usize - base);
            vectors!(c, at, n => unsafe {
                let lr = L::load_first(self.coefficients.real.as_ptr().add(at), n);
                let li = L::load_first(self.coefficients.imag.as_ptr().add(at), n);
                let gamma = L::load_first(self.coefficients.gamma.as_ptr().add(at), n);
                let sums = self.partial.as_mut_ptr().add(at);
                let mut d_real = L::load_first(sums, n);
                let mut d_imag = L::load_first(sums.add(c), n);
                let mut d_gamma = L::load_first(sums.add(2 * c), n);
                let (mut gr, mut gi) = (L::splat(0.0), L::splat(0.0));
                for row in (from..to).rev() {
                    let at = row * 2 * c + at;
                    let dh = self.dh.as_mut_ptr().add(at);
                    // conj(lambda) g = (lr gr + li gi) + i (lr gi - li gr)
                    let next = L::fma(lr, gr, L::fma(li, gi, L::load_first(dh, n)));
                    gi = L::fma(lr, gi, L::fnma(li, gr, L::load_first(dh.add(c), n)));
                    gr = next;
                    L::store_first(dh, n, L::mul(gamma, gr));
                    L::store_first(dh.add(c), n, L::mul(gamma, gi));
                    let u = self.u.as_ptr().add(at);
                    d_gamma = L::fma(gr, L::load_first(u, n), L::fma(gi, L::load_first(u.add(c), n), d_gamma));
                    if row > from {
                        // g conj(h) = (gr hr + gi hi) + i (gi hr - gr hi)
                        let h = self.h.as_ptr().add(at - 2 * c);
                        let (hr, hi) = (L::load_first(h, n), L::load_first(h.add(c), n));
                        d_real = L::fma(gr, hr, L::fma(gi, hi, d_real));
                        d_imag = L::fma(gi, hr, L::fnma(gr, hi, d_imag));
                    }
                }
                L::store_first(sums, n, d_real);
                L::store_first(sums.add(c), n, d_imag);
                L::store_first(sums.add(2 * c), n, d_gamma);
            });
        }
    }
}

const _: () = assert!(LANES == 16, "a state vector is a virtual register");
