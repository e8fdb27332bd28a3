//! A metric by groups of users: who profits, those with long histories or those who want popular items?

use serde::{Deserialize, Serialize};

use super::Error;
use super::figure_data::{Interval, at};
use super::methods::MethodRanks;
use crate::eval::{Metric, Rung};

/// What is known of the users of the test, in the order of the split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strata<'a> {
    /// Items before the held-out one.
    pub history: &'a [u32],
    /// Training interactions of the held-out item.
    pub popularity: &'a [u32],
}

/// By what users are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// The number of items before the held-out one.
    History,
    /// The number of training interactions of the held-out item.
    Popularity,
}

/// A metric by groups of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// By what.
    pub by: Grouping,
    /// The metric.
    pub metric: Metric,
    /// The groups, lowest first.
    pub bins: Vec<BinData>,
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinData {
    /// The smallest number in it.
    pub low: u32,
    /// The largest.
    pub high: u32,
    /// Users.
    pub users: u64,
    /// Each method over them, in the order of [`super::FigureData::methods`].
    pub methods: Vec<BinMethod>,
}

/// A method over a group of users; who is not in R counts 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BinMethod {
    /// Which.
    pub rung: Rung,
    /// Its mean.
    #[serde(flatten)]
    pub interval: Interval,
}

/// Groups of users with about as many in each.
const BINS: usize = 5;

pub(super) fn breakdowns(
    strata: &Strata<'_>,
    methods: &[MethodRanks],
    metric: Metric,
) -> Result<Vec<Breakdown>, Error> {
    let mut found = Vec::new();
    for (by, values) in [(Grouping::History, strata.history), (Grouping::Popularity, strata.popularity)] {
        let mut bins = Vec::new();
        for (low, high) in bounds(values, BINS) {
            let within = |user: &usize| (low..=high).contains(&values[*user]);
            let users: Vec<usize> = (0..values.len()).filter(within).collect();
            let mut of_methods = Vec::new();
            for method in methods {
                let interval = Interval::of(&at(&method.lists, &users, metric))?;
                of_methods.push(BinMethod { rung: method.rung, interval });
            }
            bins.push(BinData { low, high, users: users.len() as u64, methods: of_methods });
        }
        if !bins.is_empty() {
            found.push(Breakdown { by, metric, bins });
        }
    }
    Ok(found)
}

/// The smallest and largest number of at most `count` groups, cut at quantiles; equal numbers stay together, so groups may be fewer.
fn bounds(values: &[u32], count: usize) -> Vec<(u32, u32)> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let mut uppers: Vec<u32> = (1..=count)
        .filter_map(|part| sorted.get((part * sorted.len()).div_ceil(count).checked_sub(1)?))
        .copied()
        .collect();
    uppers.dedup();
    let mut rest = sorted.as_slice();
    let mut found = Vec::new();
    for upper in uppers {
        let (group, others) = rest.split_at(rest.partition_point(|value| *value <= upper));
        rest = others;
        found.extend(group.first().map(|low| (*low, upper)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::bounds;

    #[test]
    fn groups_are_cut_at_quantiles_and_never_between_equal_numbers() {
        assert_eq!(bounds(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 5), [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]);
        assert_eq!(bounds(&[3, 3, 3, 3, 3, 3, 9], 5), [(3, 3), (9, 9)]);
        assert_eq!(bounds(&[5, 5, 5], 5), [(5, 5)]);
        assert_eq!(bounds(&[], 5), []);
    }
}
