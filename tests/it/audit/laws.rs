//! Tables made from true ranks are sound, and one wrong digit too many is found.

use std::num::NonZeroU32;

use bench::audit::{Audit, Severity};
use bench::eval::{Metric, MetricKind};
use proptest::prelude::*;

use super::{is_clean, of};

/// How a table's digits are dropped.
fn print(value: f64, places: usize, cut: bool) -> String {
    if cut {
        let scale = 10_f64.powi(places as i32);
        // A product such as 0.29 * 100 falls just below the whole number that it is.
        format!("{:.places$}", ((value * scale) + 1e-9).floor() / scale)
    } else {
        format!("{value:.places$}")
    }
}

/// Two methods' ranks of the same users of R, from 1; 21 is beyond the candidates, which never happens in R.
fn ranks(least: usize, most_users: usize) -> impl Strategy<Value = (usize, Vec<(u32, u32)>)> {
    (least..60).prop_flat_map(move |retrieved| {
        let ranks = prop::collection::vec((1u32..=20, 1u32..=20), retrieved);
        ((retrieved + 1)..(most_users * retrieved), ranks)
    })
}

fn metrics() -> Vec<Metric> {
    [5, 10].into_iter().flat_map(|k| MetricKind::ALL.map(|kind| Metric::new(kind, k))).collect()
}

/// A file of the two tables.
fn file(users: usize, ranks: &[(u32, u32)], places: usize, cut: (bool, bool)) -> String {
    let mean = |pick: fn(&(u32, u32)) -> u32, metric: Metric, over: usize| {
        ranks.iter().map(|pair| metric.of(NonZeroU32::new(pick(pair)))).sum::<f64>() / over as f64
    };
    let mut text = format!(
        "id = \"drawn\"\ntitle = \"t\"\nsource = \"s\"\n\n[[statistics]]\ntable = \"0\"\ndataset = \"d\"\nusers = \"{users}\"\n\
         items = \"?\"\ninteractions = \"?\"\nlength = \"?\"\ndensity = \"?\"\n"
    );
    for (name, scope, over, cut) in
        [("one", "ranker-only", ranks.len(), cut.0), ("two", "overall", users, cut.1)]
    {
        text.push_str(&format!(
            "\n[[table]]\nname = \"{name}\"\ndataset = \"d\"\nscope = \"{scope}\"\nsplit = \"test\"\nprotocol = \"p\"\n[table.values]\n"
        ));
        for metric in metrics() {
            let (a, b) = (mean(|pair| pair.0, metric, over), mean(|pair| pair.1, metric, over));
            text.push_str(&format!(
                "\"{metric}\" = {{ A = {}, B = {} }}\n",
                print(a, places, cut),
                print(b, places, cut)
            ));
        }
    }
    text
}

fn audited(users: usize, ranks: &[(u32, u32)], places: usize, cut: (bool, bool)) -> Audit {
    of(&file(users, ranks, places, cut))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn tables_of_true_ranks_are_clean_and_their_users_are_among_those_found(
        (users, ranks) in ranks(2, 10),
        places in 3usize..=5,
        cut in any::<(bool, bool)>(),
    ) {
        let audited = audited(users, &ranks, places, cut);
        prop_assert!(is_clean(&audited), "{:#?}", audited.findings);
        let hidden = &audited.hidden[0];
        prop_assert!(hidden.contains(ranks.len() as u64), "{} not in {:?}", ranks.len(), hidden.retrieved);
    }

    #[test]
    fn one_number_that_is_far_off_is_found(
        // Not so few that four places leave everything open.
        (users, ranks) in ranks(10, 4),
        cut in any::<bool>(),
        place in 0usize..24,
        up in any::<bool>(),
    ) {
        let text = file(users, &ranks, 4, (cut, cut));
        // The numbers of both tables in order: one of them is moved by a fifth and at least 200 units.
        let numbers: Vec<(usize, &str)> =
            text.match_indices("= 0.").chain(text.match_indices("= 1.")).map(|(at, _)| (at + 2, &text[at + 2..at + 8])).collect();
        prop_assume!(place < numbers.len());
        let (at, number) = numbers[place];
        let value: f64 = number.parse().unwrap();
        let step = (value * 0.2).max(0.02);
        let moved = if up { value + step } else { value - step };
        prop_assume!((0.0..=1.0).contains(&moved));
        let wrong = format!("{}{moved:.4}{}", &text[..at], &text[at + 6..]);
        let audited = of(&wrong);
        prop_assert!(
            audited.findings.iter().any(|found| found.severity != Severity::Note),
            "{number} -> {moved:.4}: {:?}", audited.hidden
        );
    }
}
