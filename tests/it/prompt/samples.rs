use std::collections::BTreeSet;

use bench::data::{Dataset, ItemId, Part, Split};
use bench::events::Silent;
use bench::experiment::{CandidateOrder, DatasetSource, DatasetSpec, SyntheticSpec};
use bench::prompt::samples::{TrainingSamples, evaluation};
use bench::seed::Seed;
use proptest::prelude::*;

use super::{items, message, spec};

/// A split with these training items (from 0), in a catalogue of `n` items.
fn split(n: usize, train: &[&[usize]]) -> Split {
    let source = DatasetSource::Synthetic(SyntheticSpec::default());
    let dataset = Dataset::load(&DatasetSpec::new(source), std::path::Path::new("."), &Silent).expect("data");
    let mut split = Split::leave_one_out(&dataset).expect("a split");
    split.train = train.iter().map(|user| items(user)).collect();
    split.validation = train.iter().map(|_| items(&[0])[0]).collect();
    split.test = split.validation.clone();
    split.n_items = n;
    split
}

#[test]
fn every_prefix_of_two_items_or_more_is_a_sample() {
    let split = split(40, &[&[0, 1, 2, 3], &[5], &[7, 6], &[9, 8, 9]]);
    let spec = spec("negatives = 3");
    let samples = TrainingSamples::new(&split, &spec, Seed::new(1)).expect("samples");
    assert_eq!(samples.len(), 6);
    let seen: Vec<(usize, Vec<ItemId>, ItemId)> = (0..samples.len())
        .map(|i| {
            let sample = samples.sample(0, i);
            (sample.user, sample.history.to_vec(), sample.candidates[sample.answer])
        })
        .collect();
    let expected: [(usize, &[usize], usize); 6] =
        [(0, &[0], 1), (0, &[0, 1], 2), (0, &[0, 1, 2], 3), (2, &[7], 6), (3, &[9], 8), (3, &[9, 8], 9)];
    let expected: Vec<_> = expected
        .iter()
        .map(|(user, history, target)| (*user, items(history), items(&[*target])[0]))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_sample_can_be_made_again_alone_and_differs_between_epochs_and_seeds() {
    let split = split(500, &[&[0, 1, 2, 3, 4, 5], &[9, 8, 7]]);
    let spec = spec("");
    let samples = |seed| TrainingSamples::new(&split, &spec, Seed::new(seed)).expect("samples");
    let (one, two) = (samples(1), samples(2));
    let late = one.sample(3, 5);
    let all: Vec<_> = (0..one.len()).map(|i| one.sample(3, i)).collect();
    assert_eq!(all[5], late);
    assert_ne!(one.sample(4, 5).candidates, late.candidates);
    assert_ne!(two.sample(3, 5).candidates, late.candidates);
    assert_ne!(one.sample(3, 4).candidates, late.candidates);
    let mut order = one.order(0);
    assert_ne!(order, one.order(1));
    order.sort_unstable();
    assert_eq!(order, (0..7).collect::<Vec<u32>>());
}

#[test]
fn drawn_values_stay_what_they_are() {
    // A stored adapter is only as reproducible as its samples. Expected values by Python, from the definitions: PCG-64
    // (XSL RR) with the SHA-256 of seed and name as state and increment, a number below n as the high word of a draw
    // times n, Fisher and Yates from the end.
    let split = split(1000, &[&[0, 1, 2]]);
    let spec = spec("negatives = 4");
    let samples = TrainingSamples::new(&split, &spec, Seed::new(42)).expect("samples");
    let sample = samples.sample(0, 1);
    let ids: Vec<u32> = sample.candidates.iter().map(|item| item.get()).collect();
    assert_eq!((ids, sample.answer), (vec![883, 723, 3, 129, 383], 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn negatives_are_outside_the_prefix_and_keep_the_settings(
        train in prop::collection::vec(0usize..40, 2..30),
        more in 1usize..40,
        negatives in 1usize..25,
        with_repetition in any::<bool>(),
        from_future in any::<bool>(),
        epoch in 0u32..3,
    ) {
        let n = 40 + more;
        let split = split(n, &[&train]);
        let spec = spec(&format!(
            "negatives = {negatives}\nnegatives_with_repetition = {with_repetition}\nnegatives_from_future = {from_future}"
        ));
        let distinct = train.iter().collect::<BTreeSet<_>>().len();
        let enough = n - distinct >= if with_repetition { 1 } else { negatives };
        let samples = TrainingSamples::new(&split, &spec, Seed::new(5));
        prop_assert_eq!(samples.is_ok(), enough);
        let Ok(samples) = samples else { return Ok(()) };
        prop_assert_eq!(samples.len(), train.len() - 1);
        for index in 0..samples.len() {
            let sample = samples.sample(epoch, index);
            prop_assert_eq!(sample.candidates.len(), negatives + 1);
            let target = items(&train[index + 1..=index + 1])[0];
            prop_assert_eq!(sample.candidates[sample.answer], target);
            let mut others = sample.candidates.clone();
            others.remove(sample.answer);
            let excluded = if from_future { &train[..index + 2] } else { &train[..] };
            let excluded: BTreeSet<ItemId> = items(excluded).into_iter().collect();
            prop_assert!(others.iter().all(|item| !excluded.contains(item) && item.get() as usize <= n));
            if !with_repetition {
                prop_assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), negatives);
            }
        }
    }
}

/// Shares of items among the negatives of many epochs, and of letters among the answers.
fn shares(n: usize, train: &[usize], lines: &str, epochs: u32) -> (Vec<f64>, Vec<f64>) {
    let split = split(n, &[train]);
    let spec = spec(lines);
    let negatives = spec.negatives as usize;
    let samples = TrainingSamples::new(&split, &spec, Seed::new(11)).expect("samples");
    let (mut drawn, mut answers) = (vec![0.0; n], vec![0.0; negatives + 1]);
    for epoch in 0..epochs {
        let sample = samples.sample(epoch, 0);
        answers[sample.answer] += 1.0 / f64::from(epochs);
        for (at, item) in sample.candidates.iter().enumerate() {
            if at != sample.answer {
                drawn[item.index()] += 1.0 / f64::from(epochs) / negatives as f64;
            }
        }
    }
    (drawn, answers)
}

#[test]
fn negatives_and_the_answers_place_are_uniform() {
    // Both ways of drawing: by trial (most items are good) and from a list (few are), with and without repetition.
    for (n, lines) in [
        (102, "negatives = 5"),
        (102, "negatives = 5\nnegatives_with_repetition = false"),
        (7, "negatives = 3"),
        (7, "negatives = 3\nnegatives_with_repetition = false"),
    ] {
        let epochs = 20_000;
        let (drawn, answers) = shares(n, &[0, 1], lines, epochs);
        assert_eq!(drawn[..2], [0.0, 0.0]);
        let expected = 1.0 / (n - 2) as f64;
        let draws = f64::from(epochs) * (answers.len() - 1) as f64;
        // Five standard errors of a binomial share.
        let tolerance = 5.0 * (expected / draws).sqrt();
        assert!(
            drawn[2..].iter().all(|share| (share - expected).abs() < tolerance),
            "{lines}, {n}: {drawn:?}"
        );
        let expected = 1.0 / answers.len() as f64;
        let tolerance = 5.0 * (expected / f64::from(epochs)).sqrt();
        assert!(
            answers.iter().all(|share| (share - expected).abs() < tolerance),
            "{lines}, {n}: {answers:?}"
        );
    }
}

#[test]
fn held_out_items_can_be_negatives_even_when_later_training_items_cannot() {
    // To leave them out would tell the model what they are.
    let mut split = split(5, &[&[0, 1, 2]]);
    (split.validation, split.test) = (items(&[3]), items(&[4]));
    let spec = spec("negatives = 2\nnegatives_from_future = false\nnegatives_with_repetition = false");
    let samples = TrainingSamples::new(&split, &spec, Seed::new(1)).expect("samples");
    let drawn: BTreeSet<u32> = samples.sample(0, 0).candidates.iter().map(|item| item.get()).collect();
    assert_eq!(drawn, [2, 4, 5].into());
}

#[test]
fn a_catalogue_with_too_few_other_items_is_refused() {
    let train: &[&[usize]] = &[&[0, 1], &[0, 1, 2, 3, 4, 3]];
    let refused =
        |n: usize, lines: &str| message(TrainingSamples::new(&split(n, train), &spec(lines), Seed::new(1)));
    assert_eq!(
        refused(23, "negatives_with_repetition = false"),
        "ranker.negatives is 19, but for user 1 (from 0) only 18 of 23 items are outside the training items; lower it or set \
         ranker.negatives_with_repetition = true"
    );
    assert_eq!(
        refused(5, ""),
        "ranker.negatives is 19, but for user 1 (from 0) only 0 of 5 items are outside the training items; lower it"
    );
    assert_eq!(
        message(TrainingSamples::new(&split(9, &[&[0], &[1]]), &spec(""), Seed::new(1))),
        "no user has two training items, so there is no training prompt; use a dataset with longer histories"
    );
}

#[test]
fn only_users_whose_target_was_retrieved_are_ranked() {
    let histories = [items(&[0]), items(&[1]), items(&[2])];
    let targets = items(&[5, 6, 7]);
    let candidates = [6, 5, 4, 1, 2, 3, 9, 10, 8];
    let samples = |order, part| {
        evaluation(&histories, &targets, &candidates, 3, part, order, Seed::new(3)).expect("samples")
    };
    let kept = samples(CandidateOrder::Retriever, Part::Test);
    let summary: Vec<_> = kept.iter().map(|sample| (sample.user, sample.answer)).collect();
    assert_eq!(summary, [(0, 0), (2, 2)]);
    assert_eq!(kept[0].candidates, items(&[5, 4, 3]));
    assert_eq!(kept[1].history, &items(&[2])[..]);
    let shuffled = samples(CandidateOrder::Shuffled, Part::Test);
    assert_eq!(shuffled, samples(CandidateOrder::Shuffled, Part::Test));
    for (a, b) in kept.iter().zip(&shuffled) {
        assert_eq!(a.candidates[a.answer], b.candidates[b.answer]);
        let sorted = |items: &[ItemId]| items.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&a.candidates), sorted(&b.candidates));
    }
}

#[test]
fn candidates_of_another_split_are_refused() {
    let (histories, targets) = ([items(&[0])], items(&[5]));
    let refused = |candidates: &[u32]| {
        message(evaluation(
            &histories,
            &targets,
            candidates,
            2,
            Part::Test,
            CandidateOrder::Retriever,
            Seed::new(1),
        ))
    };
    assert_eq!(
        refused(&[6]),
        "1 candidates and 1 targets of 1 users, expected 2 candidates and one target each; compute the candidates of this \
         split again"
    );
    assert_eq!(
        refused(&[6, 0]),
        "a candidate of user 0 (from 0) is item 0, expected ids from 1; compute the candidates of this split again"
    );
}
