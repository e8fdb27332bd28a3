//! Users drawn with repetition, and the sums of what was drawn.

use multiversion::multiversion;
use statrs::function::factorial::ln_binomial;

use super::bootstrap::SeedDraw;
use super::draws::Draws;
use super::paired::{Paired, SeedPairing};

/// Columns that are summed together in registers.
const WIDTH: usize = 8;
/// Resamples that are summed together, so that each row is read once for all of them.
const TOGETHER: usize = 4;

/// The users that differ somewhere, as rows of all runs of all metrics.
pub(super) struct Rows {
    /// Blocks of columns, each with one row a user.
    blocks: Vec<Vec<[f64; WIDTH]>>,
    /// Rows in a block.
    rows: usize,
    users: usize,
    tables: usize,
    /// Seeds of each group of runs that is drawn together: one group for shared seeds, else A's and B's.
    groups: Vec<usize>,
    /// The distribution function of the number of draws that fall on a row, from `fewest` on.
    fewest: usize,
    cumulative: Vec<f64>,
}

/// What is drawn for one resample.
struct Drawn {
    /// How often each row.
    counts: Vec<u32>,
    /// What each run counts.
    weights: Vec<f64>,
    /// The sum of the rows, block after block.
    sums: Vec<f64>,
}

impl Rows {
    /// The rows of tables of one shape.
    pub(super) fn of(tables: &[&Paired]) -> Self {
        let users = tables[0].users();
        let (seeds_a, seeds_b) = tables[0].seeds();
        let shared = tables[0].pairing() == SeedPairing::Shared;
        let groups = if shared { vec![seeds_a] } else { vec![seeds_a, seeds_b] };
        let columns: usize = groups.iter().sum::<usize>() * tables.len();
        let value = |column: usize, user: usize| {
            let (table, run) =
                (&tables[column / (columns / tables.len())], column % (columns / tables.len()));
            match (shared, run.checked_sub(seeds_a)) {
                (true, _) => table.a[run][user] - table.b[run][user],
                (false, None) => table.a[run][user],
                (false, Some(run)) => -table.b[run][user],
            }
        };
        let differ: Vec<usize> =
            (0..users).filter(|user| (0..columns).any(|column| value(column, *user) != 0.0)).collect();
        let blocks = (0..columns)
            .step_by(WIDTH)
            .map(|from| {
                let row = |user: &usize| {
                    std::array::from_fn(|at| if from + at < columns { value(from + at, *user) } else { 0.0 })
                };
                differ.iter().map(row).collect()
            })
            .collect();
        let (fewest, cumulative) = binomial(users, differ.len());
        Self { blocks, rows: differ.len(), users, tables: tables.len(), groups, fewest, cumulative }
    }

    /// The mean differences of `count` resamples, all tables of each side by side.
    pub(super) fn resampled(&self, count: u32, seeds: SeedDraw, draws: &mut Draws) -> Vec<f64> {
        let runs: usize = self.groups.iter().sum();
        let mut drawn: [Drawn; TOGETHER] = std::array::from_fn(|_| Drawn {
            counts: vec![0; self.rows],
            weights: vec![0.0; runs],
            sums: vec![0.0; self.blocks.len() * WIDTH],
        });
        let mut means = Vec::with_capacity(count as usize * self.tables);
        for from in (0..count as usize).step_by(TOGETHER) {
            let together = (count as usize - from).min(TOGETHER);
            for one in &mut drawn[..together] {
                self.draw_seeds(seeds, draws, &mut one.weights);
                self.draw_users(draws, &mut one.counts);
            }
            for (at, block) in self.blocks.iter().enumerate() {
                let sums = weighted(drawn.each_ref().map(|one| one.counts.as_slice()), block);
                for (one, sums) in drawn.iter_mut().zip(sums) {
                    one.sums[at * WIDTH..(at + 1) * WIDTH].copy_from_slice(&sums);
                }
            }
            for one in &drawn[..together] {
                for columns in one.sums[..runs * self.tables].chunks_exact(runs) {
                    let sum: f64 = columns.iter().zip(&one.weights).map(|(sum, weight)| sum * weight).sum();
                    means.push(sum / self.users.max(1) as f64);
                }
            }
        }
        means
    }

    fn draw_users(&self, draws: &mut Draws, counts: &mut [u32]) {
        let u = draws.unit();
        let on_rows = self.fewest + self.cumulative.partition_point(|below| *below <= u);
        counts.fill(0);
        for _ in 0..on_rows.min(if self.rows == 0 { 0 } else { self.users }) {
            counts[draws.below(self.rows as u32)] += 1;
        }
    }

    fn draw_seeds(&self, seeds: SeedDraw, draws: &mut Draws, weights: &mut [f64]) {
        let mut start = 0;
        for &count in &self.groups {
            let group = &mut weights[start..start + count];
            let times = match seeds {
                SeedDraw::Fixed => {
                    group.fill(1.0 / count as f64);
                    0
                }
                SeedDraw::All => count,
                SeedDraw::OneLess => count - 1,
            };
            if times > 0 {
                group.fill(0.0);
            }
            for _ in 0..times {
                group[draws.below(count as u32)] += 1.0 / times as f64;
            }
            start += count;
        }
    }
}

/// The sums of the rows, each as often as it was drawn in each resample. Every sum is one chain in the order of the rows, and nothing
/// is fused, so all versions of this function give the same bits.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2"))]
fn weighted(counts: [&[u32]; TOGETHER], rows: &[[f64; WIDTH]]) -> [[f64; WIDTH]; TOGETHER] {
    let counts = counts.map(|counts| &counts[..rows.len()]);
    let mut sums = [[0.0; WIDTH]; TOGETHER];
    for (at, row) in rows.iter().enumerate() {
        for (sums, counts) in sums.iter_mut().zip(&counts) {
            let weight = f64::from(counts[at]);
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
    }
    sums
}

/// The distribution function of Binomial(users, rows / users) over the values that matter, and the first of them.
fn binomial(users: usize, rows: usize) -> (usize, Vec<f64>) {
    if rows == 0 || rows == users {
        return (rows, Vec::new());
    }
    let p = rows as f64 / users as f64;
    // Twelve standard deviations to both sides, and more for small numbers.
    let reach = (12.0 * (users as f64 * p * (1.0 - p)).sqrt()) as usize + 40;
    let (first, last) = (rows.saturating_sub(reach), (rows + reach).min(users));
    let mut cumulative: Vec<f64> = (first..=last)
        .map(|k| {
            let ways = ln_binomial(users as u64, k as u64);
            (ways + k as f64 * p.ln() + (users - k) as f64 * (-p).ln_1p()).exp()
        })
        .collect();
    let mut sum = 0.0;
    for value in &mut cumulative {
        sum += *value;
        *value = sum;
    }
    // The last value takes what rounding left.
    cumulative.pop();
    (first, cumulative)
}
