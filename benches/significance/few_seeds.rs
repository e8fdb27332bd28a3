//! The crossed t where seeds are few: normal values, and any share of the variance that seeds may have.

use bench::seed::Seed;
use bench::significance::{Crossed, Paired, SeedPairing};
use rand::RngExt;
use rayon::prelude::*;

/// Users of the simulated tables: few, so that tables are small; more only bring the users' part nearer to a normal one.
const USERS: usize = 60;

/// Coverage of 0 by the 95 % interval of the crossed t. `of_users` and `of_seeds` are variances of the mean, in units of the rest's.
pub fn coverage(seeds: usize, of_users: f64, of_seeds: f64, experiments: usize) -> f64 {
    let covered: u32 = (0..experiments)
        .into_par_iter()
        .map(|number| {
            let mut stream = Seed::new(2).stream(&format!("{seeds}/{of_users}/{of_seeds}/{number}"));
            let mut normal = || {
                // Box and Muller.
                let (u, v): (f64, f64) = (stream.random(), stream.random());
                (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
            };
            let users: Vec<f64> = (0..USERS).map(|_| (of_users / seeds as f64).sqrt() * normal()).collect();
            let table: Vec<Vec<f64>> = (0..seeds)
                .map(|_| {
                    let shift = (of_seeds / USERS as f64).sqrt() * normal();
                    users.iter().map(|user| user + shift + normal()).collect()
                })
                .collect();
            let zeros = vec![vec![0.0; USERS]; seeds];
            let paired = Paired::new(&table, &zeros, SeedPairing::Shared).expect("one shape");
            let interval = Crossed::of(&paired).expect("seeds and users").interval(0.95).expect("a level");
            u32::from(interval.low <= 0.0 && 0.0 <= interval.high)
        })
        .sum();
    f64::from(covered) / experiments as f64
}

/// The least and the greatest coverage over a grid of shares.
pub fn table(experiments: usize) {
    println!(
        "## The crossed t by number of seeds: {experiments} experiments for each of 32 shares of users and seeds, normal values\n"
    );
    println!("| seeds | least coverage | users : seeds : rest | greatest coverage | users : seeds : rest |");
    println!("|---|---|---|---|---|");
    for seeds in [2, 3, 4, 5, 10] {
        let mut found = Vec::new();
        for of_users in [0.0, 1.0, 4.0, 20.0] {
            for of_seeds in [0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0] {
                found.push((coverage(seeds, of_users, of_seeds, experiments), of_users, of_seeds));
            }
        }
        found.sort_by(|x, y| x.0.total_cmp(&y.0));
        let [(least, a, b), .., (most, c, d)] = found[..] else { return };
        println!("| {seeds} | {least:.3} | {a} : {b} : 1 | {most:.3} | {c} : {d} : 1 |");
    }
    println!();
}
