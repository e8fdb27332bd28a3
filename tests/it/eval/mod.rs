//! Metrics: worked values, laws, and the identities of the papers.

mod laws;
mod rerank;
mod values;

use std::num::NonZeroU32;

use bench::eval::RankList;

/// 0 stands for "not retrieved".
fn list(ranks: &[u32]) -> RankList {
    RankList { ranks: ranks.iter().map(|rank| NonZeroU32::new(*rank)).collect() }
}

#[track_caller]
fn assert_close(name: &str, got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance, "{name}: got {got}, expected {expected} +- {tolerance}");
}
