//! Values that cannot be compared get a message that says what to do; empty ones a defined result.

use bench::seed::Seed;
use bench::significance::{
    Entry, Paired, SeedDraw, SeedPairing, Settings, SignificanceError, compare, family, holm, resample,
};

fn message<T: std::fmt::Debug>(result: Result<T, SignificanceError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn runs_of_other_users_are_refused_with_both_numbers() {
    assert_eq!(
        message(Paired::new(&[vec![1.0; 3]], &[vec![1.0; 3], vec![1.0; 2]], SeedPairing::Independent)),
        "seed 1 of method B has 2 users and the first seed of method A has 3; a paired test needs the same users in the same order, \
         so evaluate both on one split"
    );
}

#[test]
fn a_value_that_is_no_number_is_named_by_user_and_seed() {
    assert_eq!(
        message(Paired::new(&[vec![1.0, f64::NAN]], &[vec![1.0, 0.0]], SeedPairing::Shared)),
        "the value of user 1 (counted from 0) for seed 0 of method A is NaN; expected a finite number, so look at the run that made it"
    );
    assert!(message(Paired::new(&[vec![1.0]], &[vec![f64::INFINITY]], SeedPairing::Shared)).contains("inf"));
}

#[test]
fn shared_seeds_must_be_as_many_for_both_methods() {
    let (a, b) = (vec![vec![0.0; 2]; 3], vec![vec![0.0; 2]; 2]);
    assert_eq!(
        message(Paired::new(&a, &b, SeedPairing::Shared)),
        "method A has 3 seeds and method B has 2; shared seeds are compared one by one, so run both with the same seeds or say that \
         they are independent"
    );
    assert!(Paired::new(&a, &b, SeedPairing::Independent).is_ok());
    assert_eq!(
        message(Paired::new(&a, &[], SeedPairing::Independent)),
        "method B has no seeds; expected one list of users for each seed"
    );
}

#[test]
fn levels_draws_and_p_values_out_of_range_are_refused() {
    let paired = Paired::new(&[vec![1.0, 0.5]], &[vec![0.0, 0.5]], SeedPairing::Shared).unwrap();
    assert_eq!(
        message(compare(&paired, &Settings { level: 95.0, ..Settings::default() })),
        "level is 95; expected a number between 0 and 1, both excluded"
    );
    assert_eq!(
        message(compare(&paired, &Settings { resamples: 10, ..Settings::default() })),
        "the number of resamples is 10; expected at least 100"
    );
    assert_eq!(
        message(holm(&[0.5, f64::NAN])),
        "p-value 1 (counted from 0) is NaN; expected a number from 0 to 1"
    );
    let other = Paired::new(&[vec![1.0; 3]], &[vec![0.0; 3]], SeedPairing::Shared).unwrap();
    assert_eq!(
        message(resample(&[&paired, &other], 100, SeedDraw::All, Seed::new(0))),
        "table 1 (counted from 0) has other users or seeds than the first; resample only metrics of one pair of methods together"
    );
}

#[test]
fn no_users_decide_nothing_and_say_so() {
    let paired = Paired::new(&[vec![], vec![]], &[vec![], vec![]], SeedPairing::Shared).unwrap();
    let comparison = compare(&paired, &Settings::default()).unwrap();
    assert_eq!(comparison.primary().p, 1.0);
    assert_eq!(comparison.users_given_runs.wilcoxon.p, 1.0);
    assert_eq!(comparison.users_given_runs.paired_t.p, 1.0);
    assert_eq!((comparison.interval().low, comparison.interval().high), (0.0, 0.0));
    let bootstrap = comparison.bootstrap.as_ref().unwrap();
    assert_eq!((bootstrap.low, bootstrap.high), (0.0, 0.0));
    assert_eq!(comparison.users_and_seeds, None);
    assert_eq!(comparison.notes, ["no users", "no user differs"]);
    assert!(serde_json::to_string(&comparison).is_ok());
}

#[test]
fn methods_that_are_the_same_for_every_user_have_p_1_and_an_interval_of_no_width() {
    for seeds in [1, 3] {
        let values = vec![vec![0.5, 0.0, 1.0, 0.25]; seeds];
        let paired = Paired::new(&values, &values, SeedPairing::Shared).unwrap();
        let comparison = compare(&paired, &Settings::default()).unwrap();
        assert_eq!(comparison.primary().p, 1.0);
        assert_eq!(comparison.users_given_runs.randomization.p, 1.0);
        assert_eq!(comparison.users_given_runs.wilcoxon.p, 1.0);
        assert_eq!((comparison.interval().low, comparison.interval().high), (0.0, 0.0));
        assert_eq!((comparison.effect.ties, comparison.effect.d_z), (4, None));
        assert_eq!(comparison.power().minimum, None);
        assert!(!comparison.power().underpowered);
    }
}

#[test]
fn one_difference_for_all_users_is_called_what_it_is() {
    let paired = Paired::new(&[vec![0.5; 20]], &[vec![0.25; 20]], SeedPairing::Shared).unwrap();
    let comparison = compare(&paired, &Settings::default()).unwrap();
    let t = &comparison.users_given_runs.paired_t;
    assert_eq!((t.p, t.statistic), (0.0, f64::INFINITY));
    assert_eq!(t.notes, ["all users have the same difference, so nothing is known of its spread"]);
    // The sign test of 20 users: two patterns in 2^20.
    let p = comparison.users_given_runs.randomization.p;
    assert!((p / 2f64.powi(-19) - 1.0).abs() < 1e-9, "{p}");
}

#[test]
fn an_empty_family_is_empty() {
    let entries: [Entry<'_>; 0] = [];
    assert!(family(&entries, &Settings::default()).unwrap().rows.is_empty());
}
