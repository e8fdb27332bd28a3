//! Gates: what may be typed, and when one holds.

use bench::compare::{Compared, Gate, Relation, Threshold, compare};
use proptest::prelude::*;

use super::{method, metrics};

#[test]
fn a_gate_is_a_metric_a_relation_and_a_bound() {
    for (text, metric, relation, threshold) in [
        ("NDCG@10 >= -1%", "NDCG@10", Relation::AtLeast, Threshold::Percent(-1.0)),
        ("n@10>=-1 %", "NDCG@10", Relation::AtLeast, Threshold::Percent(-1.0)),
        (" Recall@5 > 0.002 ", "Recall@5", Relation::Above, Threshold::Absolute(0.002)),
        ("mrr@5 <= +2.5%", "MRR@5", Relation::AtMost, Threshold::Percent(2.5)),
        ("mrr@5<-.01", "MRR@5", Relation::Below, Threshold::Absolute(-0.01)),
    ] {
        let gate: Gate = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (gate.metric.to_string().as_str(), gate.relation, gate.threshold),
            (metric, relation, threshold)
        );
    }
}

#[test]
fn what_is_no_gate_is_told_with_what_was_expected() {
    const EXPECTED: &str = "; expected METRIC, then >=, >, <= or <, then a difference to the reference, in percent of it or as it is: \
                            'NDCG@10 >= -1%' or 'Recall@5 > 0.002'";
    for (text, problem) in [
        ("", "\"\" has no relation"),
        ("NDCG@10 = 1%", "\"NDCG@10 = 1%\" has no relation"),
        (
            "speed >= 1%",
            "\"speed\" is not a metric; expected MRR@k, NDCG@k or Recall@k (or M@k, N@k, R@k) with k of 1 or more",
        ),
        ("NDCG@10 >= ", "\"\" is no number"),
        ("NDCG@10 >= one", "\"one\" is no number"),
        ("NDCG@10 >= nan%", "\"nan%\" is no number"),
        ("NDCG@10 >= 1e999", "\"1e999\" is no number"),
        ("NDCG@10 => 1%", "\"=> 1%\""),
        ("NDCG@10 >= -1", ""),
        ("NDCG@10 >= 5", "\"5\" is no difference of two metrics, which are from 0 to 1; was 5% meant?"),
    ] {
        let parsed: Result<Gate, _> = text.parse();
        match text {
            // A difference of -1 can be: from 1 to 0.
            "NDCG@10 >= -1" => assert_eq!(parsed.unwrap().threshold, Threshold::Absolute(-1.0)),
            // The `=` goes to the metric.
            "NDCG@10 => 1%" => {
                assert!(parsed.unwrap_err().problem.starts_with("\"NDCG@10 =\" is not a metric"))
            }
            _ => assert_eq!(parsed.unwrap_err().to_string(), format!("{problem}{EXPECTED}"), "{text}"),
        }
    }
}

#[test]
fn a_gate_holds_the_difference_or_the_worse_end_of_its_interval_against_its_bound() {
    // MRR@5 of the four users: 1, 1, 1/2, 1/2 against 1, 1/2, 1/2, 1/2, so 0.75 against 0.625: 20 %.
    let methods = [method("old", &[&[1, 2, 2, 2]]), method("new", &[&[1, 1, 2, 2]])];
    let compared = compare(&methods, 0, &metrics(&["MRR@5"])).unwrap();
    let judge = |text: &str, interval| {
        let verdicts = compared.judge(&text.parse().unwrap(), interval);
        assert_eq!(verdicts.len(), 1);
        (verdicts[0].passed, verdicts[0].to_string())
    };
    assert_eq!(
        judge("MRR@5 >= 20%", false),
        (true, "gate `MRR@5 >= 20%` holds: new against old in MRR@5 is +20.0000 %".to_owned())
    );
    assert_eq!(
        judge("MRR@5 > 0.125", false),
        (false, "gate `MRR@5 > 0.125` fails: new against old in MRR@5 is +0.125000".to_owned())
    );
    assert!(judge("MRR@5 <= 20%", false).0);
    assert!(!judge("MRR@5 < 0.1", false).0);
    // The differences are 0, 1/2, 0, 0: mean 1/8, SE 1/8, and t of three degrees of freedom is 3.182446 (tables).
    let (passed, sentence) = judge("MRR@5 >= -0.1", true);
    assert!(!passed);
    assert_eq!(
        sentence,
        "gate `MRR@5 >= -0.1` fails: the lower end of the interval of new against old in MRR@5 is -0.272806"
    );
    assert!(judge("MRR@5 >= -0.28", true).0);
    assert!(judge("MRR@5 <= 0.53", true).0);
    assert!(!judge("MRR@5 <= 0.52", true).0);
    assert!(judge("MRR@5 >= -44%", true).0);
    assert!(!judge("MRR@5 >= -43%", true).0);
}

#[test]
fn percent_of_nothing_holds_for_nobody() {
    let methods = [method("old", &[&[0, 0]]), method("new", &[&[1, 1]])];
    let compared = compare(&methods, 0, &metrics(&["MRR@5"])).unwrap();
    let verdict = compared.judge(&"MRR@5 >= -1%".parse().unwrap(), false).remove(0);
    assert!(!verdict.passed);
    assert_eq!(
        verdict.to_string(),
        "gate `MRR@5 >= -1%` fails: MRR@5 of old is 0, so nothing can be said in percent of it; use a bound without %"
    );
}

#[test]
fn a_gate_is_about_a_metric_that_is_compared() {
    let gate: Gate = "NDCG@20 >= 0%".parse().unwrap();
    let error = Compared::check_gate(&metrics(&["MRR@5", "NDCG@5"]), &gate).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the gate `NDCG@20 >= 0%` is about NDCG@20; expected one of the metrics that are compared: MRR@5, NDCG@5"
    );
}

proptest! {
    #[test]
    fn a_gate_reads_as_it_is_shown(k in 1u32..100, tenths in -9i32..10, percent in any::<bool>(), sign in 0usize..4) {
        let sign = [">=", ">", "<=", "<"][sign];
        let unit = if percent { "%" } else { "" };
        let gate: Gate = format!("recall@{k}{sign}{}{unit}", f64::from(tenths) / 10.0).parse().unwrap();
        prop_assert_eq!(gate.to_string().parse::<Gate>().unwrap(), gate);
    }

    #[test]
    fn no_text_makes_the_reader_of_gates_panic(text in ".{0,40}") {
        let _ = text.parse::<Gate>();
    }
}
