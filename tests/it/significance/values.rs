//! Values worked by hand, and what the parts of a comparison say together.

use bench::eval::{Metric, MetricKind, RankList};
use bench::seed::Seed;
use bench::significance::{
    BootstrapInterval, Components, Crossed, Design, Effect, Entry, Method, Paired, Power, SeedDraw,
    SeedPairing, Settings, compare, family, mcnemar, resample, sign_flips, sign_flips_of_hits,
};

fn pair(a: &[f64], b: &[f64]) -> Paired {
    Paired::new(&[a.to_vec()], &[b.to_vec()], SeedPairing::Shared).unwrap()
}

/// `hits` of 126 users, the first ones.
fn recall(hits: usize) -> Vec<f64> {
    (0..126).map(|user| f64::from(u8::from(user < hits))).collect()
}

#[test]
fn ninety_hits_against_eighty_six_of_126_users_are_underpowered_and_no_finding() {
    let comparison = compare(&pair(&recall(90), &recall(86)), &Settings::default()).unwrap();
    let test = comparison.users_given_runs.mcnemar.as_ref().unwrap();
    // The best case for A: four users won, none lost. 2 (1/2)^4.
    assert!((test.p - 0.125).abs() < 1e-12, "{}", test.p);
    assert!((comparison.primary().p - 0.125).abs() < 1e-12);
    assert_eq!((comparison.effect.wins, comparison.effect.ties, comparison.effect.losses), (4, 122, 0));
    assert!(comparison.power().underpowered);
    assert_eq!(
        comparison.notes,
        [
            "one seed: users only, nothing is said about another training",
            "underpowered: a difference below 0.0443 would be missed more than 20 times in 100, and 0.0317 is looked for",
        ]
    );
    // With any losses p is larger: 14 won and 10 lost.
    assert!(mcnemar(14, 10).p > 0.5);
}

#[test]
fn sign_flips_of_three_users_count_eight_patterns() {
    // Sums of +-1 +-2 +-4 at least 5 away from 0: 7, 5 and their negatives.
    let test = sign_flips(&pair(&[1.0, 2.0, 4.0], &[2.0, 0.0, 0.0]), 99, Seed::new(0));
    assert_eq!(test.method, Method::ExactRandomization);
    assert!((test.p - 0.5).abs() < 1e-12, "{}", test.p);
    // Half of the two patterns that give 5 exactly.
    assert!((test.mid_p.unwrap() - 0.375).abs() < 1e-12);
    assert_eq!(test.n, 3);
}

#[test]
fn hits_over_several_seeds_are_enumerated_exactly() {
    // d = 3, 2, 1 of three seeds: sums 6, 4, 2, 0, 0, -2, -4, -6; at least 4: four of eight.
    let test = sign_flips_of_hits(&[3, 2, -1]);
    assert_eq!(test.method, Method::ExactHits);
    assert!((test.p - 0.5).abs() < 1e-12);
    // The same as an enumeration of the values themselves.
    let a = [vec![1.0, 1.0, 0.0, 1.0], vec![1.0, 1.0, 0.0, 0.0], vec![1.0, 0.0, 0.0, 1.0]];
    let b = [vec![0.0, 0.0, 1.0, 1.0], vec![0.0, 0.0, 0.0, 0.0], vec![0.0, 0.0, 0.0, 1.0]];
    let paired = Paired::new(&a, &b, SeedPairing::Shared).unwrap();
    assert_eq!(paired.hits().unwrap(), [9, 6, -3, 0], "over the common denominator 9");
    assert!((sign_flips(&paired, 99, Seed::new(0)).p - 0.5).abs() < 1e-12);
}

#[test]
fn the_exact_test_of_hits_holds_for_ten_thousand_users() {
    // 2 * scipy.stats.binom.cdf(4800, 10000, 0.5) of scipy 1.17.1.
    let p = mcnemar(5200, 4800).p;
    assert!((p / 6.593_515_598_672_343e-5 - 1.0).abs() < 1e-6, "{p:e}");
}

#[test]
fn monte_carlo_approaches_the_exact_p_and_is_never_0() {
    // 40 users with different sizes: too many patterns to enumerate.
    let a: Vec<f64> = (0..40).map(|user| 1.0 + f64::from(user) / 100.0).collect();
    let test = sign_flips(&pair(&a, &vec![0.0; 40]), 9_999, Seed::new(0));
    assert_eq!((test.method, test.draws), (Method::MonteCarloRandomization, Some(9_999)));
    assert_eq!(test.p, 1.0 / 10_000.0);
    // One size, two ways: 30 users up and 16 down is a binomial; a speck of another size makes it Monte Carlo.
    let mut values = vec![1.0; 46];
    values[30..].fill(-1.0);
    let specks: Vec<f64> = (1..24).map(|user| f64::from(user) * 1e-6).collect();
    values.extend(specks);
    let test = sign_flips(&pair(&values, &vec![0.0; values.len()]), 200_000, Seed::new(1));
    assert_eq!(test.method, Method::MonteCarloRandomization);
    let exact = mcnemar(30, 16);
    // The specks are all up, so hardly a pattern with a difference of 14 comes up to them: P(|T| > 14).
    let expected = 2.0 * exact.mid_p.unwrap() - exact.p;
    assert!((test.p - expected).abs() < 0.003, "{} and {expected}", test.p);
}

#[test]
fn effect_sizes_by_hand() {
    let effect = Effect::of(&pair(&[1.0, 0.5, 0.25, 0.5], &[0.5, 0.5, 0.5, 0.0]));
    assert_eq!((effect.mean_a, effect.mean_b, effect.difference), (0.5625, 0.375, 0.1875));
    assert_eq!(effect.relative, Some(0.5));
    // d = 0.5, 0, -0.25, 0.5: squares around 0.1875 are 0.4219, over 3.
    assert!((effect.d_z.unwrap() - 0.1875 / (0.421_875f64 / 3.0).sqrt()).abs() < 1e-9);
    // Ranks of 0.25, 0.5, 0.5: 1, 2.5, 2.5; W+ = 5, W- = 1.
    assert!((effect.rank_biserial - 4.0 / 6.0).abs() < 1e-12);
    assert_eq!((effect.wins, effect.ties, effect.losses), (2, 1, 1));
}

#[test]
fn equal_differences_of_unequal_sums_are_ties() {
    // (0.1 + 0.2) / 2 and 0.3 / 2 differ in the last bit.
    let a = [vec![0.1, 0.3], vec![0.2, 0.0]];
    let b = [vec![0.3, 0.1], vec![0.0, 0.2]];
    let paired = Paired::new(&a, &b, SeedPairing::Shared).unwrap();
    assert_eq!(paired.differences(), [0.0, 0.0]);
}

#[test]
fn shared_seeds_let_what_they_share_cancel_and_independent_ones_do_not() {
    // The same seed shifts both methods by the same amount.
    let shift = [0.0, 0.3, -0.2, 0.1];
    let table = |extra: f64| -> Vec<Vec<f64>> {
        shift
            .iter()
            .map(|s| {
                (0..40).map(|user| s + f64::from(user % 7) / 10.0 + extra * f64::from(user % 3)).collect()
            })
            .collect()
    };
    let (a, b) = (table(0.02), table(0.0));
    let shared = Crossed::of(&Paired::new(&a, &b, SeedPairing::Shared).unwrap()).unwrap();
    let independent = Crossed::of(&Paired::new(&a, &b, SeedPairing::Independent).unwrap()).unwrap();
    assert!((shared.estimate - independent.estimate).abs() < 1e-12);
    assert!(shared.components.seeds < 1e-12);
    // Twice the variance of the shifts, 0.13 / 3.
    assert!((independent.components.seeds - 2.0 * 0.13 / 3.0).abs() < 1e-9, "{:?}", independent.components);
    assert!(independent.se > 10.0 * shared.se);
}

#[test]
fn components_plan_an_experiment() {
    let components = Components { users: 0.04, seeds: 0.0001, interaction: 0.02 };
    // 0.04/100 + 0.0001/5 + 0.02/500
    assert!((components.standard_error(100, 5) - 0.000_46f64.sqrt()).abs() < 1e-12);
}

#[test]
fn users_needed_give_the_power_that_was_asked_for() {
    let values: Vec<f64> = (0..100).map(|user| f64::from(user % 2)).collect();
    let paired = pair(&values, &[0.0; 100]);
    let design = Design { alpha: 0.05, power: 0.8 };
    // sd = 0.50252; (1.959964 + 0.841621)^2 x sd^2 / 0.1^2 = 198.2
    assert_eq!(Power::of_users(&paired, design, 0.1).users_needed, Some(199));
    assert!(Power::of_users(&paired, design, 0.1).underpowered);
    assert!(!Power::of_users(&paired, design, 0.5).underpowered);
    assert_eq!(Power::of_users(&paired, design, 0.0).users_needed, None);
}

#[test]
fn rank_lists_become_metrics_of_users() {
    let list = |ranks: &[u32]| RankList::from_numbers(ranks).unwrap().cut(20);
    let (a, b) = (list(&[1, 3, 25]), list(&[2, 11, 1]));
    let paired = Paired::of_ranks(&[a], &[b], Metric::new(MetricKind::Mrr, 10), SeedPairing::Shared).unwrap();
    let expected = [0.5, 1.0 / 3.0, -1.0];
    for (found, expected) in paired.differences().iter().zip(expected) {
        assert!((found - expected).abs() < 1e-11, "{found}");
    }
}

#[test]
fn two_seeds_say_that_their_interval_may_be_too_short() {
    let a = [vec![0.5, 1.0, 0.0], vec![0.5, 0.5, 0.5]];
    let b = [vec![0.0, 1.0, 0.0], vec![0.5, 0.0, 0.5]];
    let comparison =
        compare(&Paired::new(&a, &b, SeedPairing::Shared).unwrap(), &Settings::default()).unwrap();
    assert!(comparison.notes.iter().any(|note| note.starts_with("2 seeds: where seeds matter much")));
}

#[test]
fn a_bootstrap_of_one_seed_is_over_users_and_says_so() {
    let paired = pair(&[1.0, 0.5, 0.0, 0.25], &[0.5, 0.5, 0.25, 0.0]);
    let samples = resample(&[&paired], 500, SeedDraw::OneLess, Seed::new(3)).unwrap();
    let interval = samples[0].interval(BootstrapInterval::Bca, 0.9).unwrap();
    assert_eq!(interval.notes, ["one seed: users only"]);
    assert_eq!(interval.draws, Some(500));
    assert_eq!(samples[0].estimate, 0.125);
}

#[test]
fn a_family_is_corrected_over_all_of_its_rows() {
    let strong = pair(&recall(90), &recall(60));
    let weak = pair(&recall(90), &recall(86));
    let entry = |dataset, metric, paired| Entry { dataset, metric, a: "tuned", b: "retriever", paired };
    let entries =
        [entry("ml-100k", "R@5", &strong), entry("ml-100k", "R@10", &weak), entry("beauty", "R@10", &weak)];
    let family = family(&entries, &Settings::default()).unwrap();
    let p: Vec<f64> = family.rows.iter().map(|row| row.p).collect();
    assert!((p[0] / 2f64.powi(-29) - 1.0).abs() < 1e-9 && (p[1] - 0.125).abs() < 1e-12);
    assert!((family.rows[1].p_holm - 0.25).abs() < 1e-12);
    assert!((family.rows[1].p_benjamini_hochberg - 0.125).abs() < 1e-12);
    assert!((family.rows[1].p_bonferroni - 0.375).abs() < 1e-12);
    assert_eq!(family.rows[2].dataset, "beauty");
    let json = serde_json::to_string(&family).unwrap();
    let back: bench::significance::Family = serde_json::from_str(&json).unwrap();
    assert_eq!(back.rows.len(), 3);
}
