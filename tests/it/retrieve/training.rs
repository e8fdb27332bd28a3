//! Training on small data: what it reaches, when it stops, and what it keeps.

use bench::checkpoint::Nowhere;
use bench::data::Part;
use bench::eval::mrr_at;
use bench::events::{Event, Interrupt, Reporter, Silent};
use bench::experiment::{Averaging, HistoryMask, LruSpec, WindowRemainder};
use bench::nn::init::permutation;
use bench::retrieve::lru::forward::Masks;
use bench::retrieve::lru::packed::{Packed, windows};
use bench::retrieve::lru::train::Trainer;
use bench::retrieve::{Error, LruRec, Query, Retriever, StopReason, TrainOptions, train};
use bench::seed::Seed;
use rand::Rng;

use super::tiny::{ids, run, run_until, split, training_spec};
use crate::nn::tools::bits;
use crate::support::Memory;

fn weights(model: &LruRec) -> Vec<u32> {
    model.params.flat.read(bits)
}

/// The validation metric of a model, asked for from outside.
fn metric(model: &LruRec, spec: &LruSpec, users: usize) -> f64 {
    let split = split(users);
    let histories = split.histories(Part::Validation);
    let mask = if spec.mask_history_in_validation { HistoryMask::Window } else { HistoryMask::None };
    let query = Query { histories: &histories, targets: split.targets(Part::Validation), k: 0, mask };
    let ranks = model.retrieve(&query).unwrap().ranks;
    ranks.iter().map(|rank| mrr_at(Some(*rank), 10)).sum::<f64>() / ranks.len() as f64
}

#[test]
fn the_loss_falls_and_the_metric_rises() {
    let mut spec = training_spec();
    spec.max_epochs = 12;
    let trained = run(&spec, &split(100), 1).unwrap();
    let losses: Vec<f64> = trained.curve.iter().filter_map(|point| point.train_loss).collect();
    assert_eq!(trained.curve[0].train_loss, None);
    assert!(losses[losses.len() - 1] < 0.8 * losses[0], "{losses:?}");
    let best = trained.curve.iter().map(|point| point.metric).fold(0f64, f64::max);
    assert!(best > 2.0 * trained.curve[0].metric, "{:?}", trained.curve);
}

#[test]
fn one_seed_gives_the_same_bits_on_every_run_and_another_seed_others() {
    let (spec, split) = (training_spec(), split(60));
    let (first, again, other) =
        (run(&spec, &split, 1).unwrap(), run(&spec, &split, 1).unwrap(), run(&spec, &split, 2).unwrap());
    assert!(weights(&first.model) == weights(&again.model));
    let facts = |t: &bench::retrieve::Trained| {
        t.curve
            .iter()
            .map(|p| (p.step, p.metric.to_bits(), p.train_loss.map(f64::to_bits)))
            .collect::<Vec<_>>()
    };
    assert_eq!(facts(&first), facts(&again));
    assert!(weights(&first.model) != weights(&other.model));
}

#[test]
fn validations_come_before_training_every_few_steps_and_at_the_end() {
    let spec = training_spec();
    let split = split(60);
    let windows = windows(&split.train, spec.max_len, false).len();
    let trained = run(&spec, &split, 3).unwrap();
    let steps = windows.div_ceil(spec.batch_size) as u32 * spec.max_epochs;
    assert_eq!((trained.steps, trained.stopped), (steps, StopReason::Epochs));
    let mut expected: Vec<u32> = (0..=steps).step_by(10).collect();
    if !steps.is_multiple_of(10) {
        expected.push(steps);
    }
    assert_eq!(trained.curve.iter().map(|point| point.step).collect::<Vec<_>>(), expected);
    for point in &trained.curve {
        let per_epoch = f64::from(trained.steps_per_epoch);
        assert!((point.epoch - f64::from(point.step) / per_epoch).abs() < 1e-12);
    }
}

#[test]
fn what_comes_back_are_the_weights_of_the_best_step() {
    let spec = training_spec();
    let split = split(60);
    let trained = run(&spec, &split, 4).unwrap();
    let best = trained.curve.iter().map(|point| point.metric).fold(f64::NEG_INFINITY, f64::max);
    let first_best = trained.curve.iter().find(|point| point.metric == best).unwrap();
    assert_eq!(trained.best_step, first_best.step);
    assert_eq!(metric(&trained.model, &spec, 60).to_bits(), best.to_bits());

    // The same training as a plain loop, up to that step.
    let seed = Seed::new(4);
    let windows = windows(&split.train, spec.max_len, false);
    let (mut order, mut keys) = (seed.stream("retriever/order"), seed.stream("retriever/dropout"));
    let mut trainer = Trainer::new(LruRec::init(&spec, 30, seed).unwrap(), &spec).unwrap();
    let mut step = 0;
    'training: loop {
        for batch in permutation(&mut order, windows.len()).chunks(spec.batch_size) {
            if step == trained.best_step {
                break 'training;
            }
            let mut packed = Packed::default();
            packed.clear();
            for &window in batch {
                let (s, from, to) = windows[window as usize];
                let items = &split.train[s as usize][from as usize..to as usize];
                packed.push_window(items, spec.max_len, spec.first_item_label);
            }
            let masks = Masks::new(keys.next_u64(), spec.dropout, spec.lru_dropout);
            trainer.step(&packed, masks).unwrap();
            step += 1;
        }
    }
    assert!(trained.best_step > 0);
    assert!(weights(&trainer.give_back().unwrap()) == weights(&trained.model));
}

#[test]
fn training_stops_after_as_many_validations_without_a_better_one_as_patience_says() {
    let mut spec = training_spec();
    (spec.learning_rate, spec.max_epochs, spec.validate_every_steps, spec.patience) = (0.0, 100, 5, 3);
    let trained = run(&spec, &split(60), 5).unwrap();
    assert_eq!((trained.stopped, trained.best_step, trained.steps), (StopReason::NoImprovement, 0, 15));
    assert_eq!(trained.curve.len(), 4);
    let init = LruRec::init(&spec, 30, Seed::new(5)).unwrap();
    assert!(weights(&trained.model) == weights(&init));
}

#[test]
fn no_epoch_at_all_leaves_the_initial_weights() {
    let mut spec = training_spec();
    spec.max_epochs = 0;
    let trained = run(&spec, &split(20), 5).unwrap();
    assert_eq!((trained.steps, trained.best_step, trained.curve.len()), (0, 0, 1));
    assert!(weights(&trained.model) == weights(&LruRec::init(&spec, 30, Seed::new(5)).unwrap()));
}

#[test]
fn a_huge_learning_rate_ends_in_a_clear_error_or_in_finite_weights_that_are_no_better_than_they_are() {
    for rate in [1e2, 1e5, 1e10, 1e18, 1e25, 1e36, 1e38] {
        for every in [1, 7] {
            let mut spec = training_spec();
            (spec.learning_rate, spec.validate_every_steps, spec.max_epochs) = (rate, every, 2);
            match run(&spec, &split(40), 6) {
                Ok(trained) => {
                    trained
                        .model
                        .params
                        .flat
                        .read(|w| assert!(w.iter().all(|x| x.is_finite()), "rate {rate}"));
                    let best = trained.curve.iter().map(|point| point.metric).fold(0f64, f64::max);
                    assert_eq!(metric(&trained.model, &spec, 40).to_bits(), best.to_bits());
                    assert!(best < 0.9, "rate {rate}: a diverged model ranks everyone's item first");
                }
                Err(Error::LossNotFinite { step, loss, .. }) => assert!(step > 1 && !loss.is_finite()),
                Err(other) => panic!("rate {rate}: {other}"),
            }
        }
    }
}

#[test]
fn the_message_of_a_loss_that_is_not_finite_says_what_to_do() {
    let error = Error::LossNotFinite { step: 12, loss: f64::NAN, best_step: 10 };
    assert_eq!(
        error.to_string(),
        "the training loss is NaN at step 12; the best weights so far are of step 10; lower retriever.learning_rate or \
         retriever.max_grad_norm"
    );
}

#[test]
fn an_interrupt_before_or_during_training_stops_it() {
    let interrupt = Interrupt::default();
    interrupt.request();
    let error = run_until(&training_spec(), &split(20), 1, &interrupt).err().unwrap();
    assert!(matches!(error, Error::Interrupted));
    assert_eq!(error.to_string(), "interrupted");

    /// Asks to stop when training begins.
    struct Stopper(Interrupt);
    impl Reporter for Stopper {
        fn emit(&self, event: Event<'_>) {
            if matches!(event, Event::Started { .. }) {
                self.0.request();
            }
        }
    }
    let interrupt = Interrupt::default();
    let reporter = Stopper(interrupt.clone());
    let options = TrainOptions {
        averaging: Averaging::Users,
        mask_history: HistoryMask::Window,
        reporter: &reporter,
        interrupt: &interrupt,
        checkpoints: &Nowhere,
    };
    let result = train(&training_spec(), &split(20), Seed::new(1), options);
    assert!(matches!(result, Err(Error::Interrupted)));
}

#[test]
fn training_that_is_stopped_at_any_step_goes_on_and_ends_with_the_same_bits() {
    let (spec, split) = (training_spec(), split(60));
    let whole = run(&spec, &split, 1).unwrap();
    let facts = |trained: &bench::retrieve::Trained| {
        let point =
            |p: &bench::retrieve::CurvePoint| (p.step, p.metric.to_bits(), p.train_loss.map(f64::to_bits));
        let curve: Vec<_> = trained.curve.iter().map(point).collect();
        (curve, trained.best_step, trained.steps, trained.stopped)
    };
    // Stopped every third step, and every tenth, where validations are.
    for pause in [2, 9] {
        let mut memory = Memory::new(Interrupt::default());
        let mut processes = 0;
        let trained = loop {
            let interrupt = Interrupt::default();
            memory = memory.with(interrupt.clone());
            memory.stop_after(pause);
            processes += 1;
            let options = TrainOptions {
                averaging: Averaging::Users,
                mask_history: HistoryMask::Window,
                reporter: &Silent,
                interrupt: &interrupt,
                checkpoints: &memory,
            };
            match train(&spec, &split, Seed::new(1), options) {
                Err(Error::Interrupted) => {}
                done => break done.unwrap(),
            }
        };
        assert!(processes > 3, "{processes}");
        assert!(weights(&trained.model) == weights(&whole.model), "stopped {processes} times");
        assert_eq!(facts(&trained), facts(&whole));
    }
}

#[test]
fn training_reports_its_stage_and_its_end() {
    #[derive(Default)]
    struct Listener(std::sync::Mutex<Vec<String>>);
    impl Reporter for Listener {
        fn emit(&self, event: Event<'_>) {
            let line = match event {
                Event::Started { stage, total, unit } => format!("{stage}: {total:?} {unit}"),
                Event::Finished { summary } => summary.to_owned(),
                _ => return,
            };
            self.0.lock().unwrap().push(line);
        }
    }
    let (listener, interrupt) = (Listener::default(), Interrupt::default());
    let options = TrainOptions {
        averaging: Averaging::Users,
        mask_history: HistoryMask::Window,
        reporter: &listener,
        interrupt: &interrupt,
        checkpoints: &Nowhere,
    };
    let mut spec = training_spec();
    spec.max_epochs = 1;
    let trained = train(&spec, &split(20), Seed::new(1), options).unwrap();
    let lines = listener.0.into_inner().unwrap();
    assert_eq!(lines[0], format!("train retriever: Some({}) steps", trained.steps));
    assert!(lines[1].starts_with(&format!("{} steps, best mrr@10 0.", trained.steps)), "{lines:?}");
}

#[test]
fn users_without_anything_to_predict_are_nothing_to_train() {
    let mut split = split(3);
    split.train.iter_mut().for_each(|train| *train = ids(&[1]));
    let mut spec = training_spec();
    spec.first_item_label = false;
    let error = run(&spec, &split, 1).err().unwrap();
    assert_eq!(
        error.to_string(),
        "no training window has an item to predict; every user needs at least two training items"
    );
    spec.first_item_label = true;
    assert!(run(&spec, &split, 1).is_ok());
}

#[test]
fn the_quirks_change_what_is_trained() {
    let base = training_spec();
    let split = split(60);
    let bits_of = |spec: &LruSpec| weights(&run(spec, &split, 7).unwrap().model);
    let expected = bits_of(&base);
    let mut spec = base.clone();
    spec.first_item_label = false;
    assert!(bits_of(&spec) != expected, "first item label");
    let mut spec = base.clone();
    spec.window_remainder = WindowRemainder::Keep;
    assert!(bits_of(&spec) != expected, "window remainder");
    let mut spec = base;
    spec.mask_history_in_validation = true;
    let trained = run(&spec, &split, 7).unwrap();
    let best = trained.curve.iter().map(|point| point.metric).fold(0f64, f64::max);
    assert_eq!(metric(&trained.model, &spec, 60).to_bits(), best.to_bits());
}

#[test]
fn averaging_by_batches_is_the_mean_of_the_means() {
    let spec = training_spec();
    let split = split(21); // two batches of 8 and one of 5
    let (reporter, interrupt) = (bench::events::Silent, Interrupt::default());
    let mut short = spec.clone();
    short.max_epochs = 0;
    let options = TrainOptions {
        averaging: Averaging::Batches,
        mask_history: HistoryMask::Window,
        reporter: &reporter,
        interrupt: &interrupt,
        checkpoints: &Nowhere,
    };
    let found = train(&short, &split, Seed::new(8), options).unwrap().curve[0].metric;
    let model = LruRec::init(&spec, 30, Seed::new(8)).unwrap();
    let histories = split.histories(Part::Validation);
    let query = Query {
        histories: &histories,
        targets: split.targets(Part::Validation),
        k: 0,
        mask: HistoryMask::None,
    };
    let values: Vec<f64> =
        model.retrieve(&query).unwrap().ranks.iter().map(|rank| mrr_at(Some(*rank), 10)).collect();
    let means: Vec<f64> = values.chunks(8).map(|b| b.iter().sum::<f64>() / b.len() as f64).collect();
    assert!((found - means.iter().sum::<f64>() / 3.0).abs() < 1e-12);
}
