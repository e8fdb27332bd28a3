//! Training of a ranker, with a model that does what the test wants.

use std::ops::Range;
use std::sync::Mutex;

use bench::checkpoint::Nowhere;
use bench::events::{Event, Interrupt, Reporter, Silent};
use bench::experiment::RankerSpec;
use bench::prompt::{Prompt, Truncation};
use bench::rank::{
    CurvePoint, Error, Lessons, Letters, Model, Questions, StopReason, TrainOptions, Trained, Tunable, train,
};
use bench::seed::Seed;

use super::tiny::spec;
use crate::support::Memory;

/// One weight that every step moves up; where it is in `good`, the answers are right, else they are all wrong.
struct Fake {
    weight: Vec<f32>,
    good: Range<f32>,
    /// The step whose loss is not a number.
    broken: Option<usize>,
    /// Beyond this weight no score is a number.
    lost: f32,
    /// Prompts of each call of `learn`, with the number of labels.
    calls: Vec<(Vec<Vec<u32>>, usize)>,
    /// Prompts of a step.
    batch: usize,
}

impl Fake {
    fn new(good: Range<f32>) -> Self {
        Self { weight: vec![0.0], good, broken: None, lost: f32::INFINITY, calls: Vec::new(), batch: 2 }
    }

    fn seen(&self) -> usize {
        self.calls.iter().map(|(prompts, _)| prompts.len()).sum()
    }
}

impl Model for Fake {
    fn scores(&mut self, prompts: &[&[u32]], letters: &[u32]) -> Result<Vec<f32>, Error> {
        let right = self.good.contains(&self.weight[0]);
        if self.weight[0] > self.lost {
            return Ok(vec![f32::NAN; prompts.len() * letters.len()]);
        }
        let score =
            |prompt: &&[u32], letter: &u32| f32::from(u8::from((prompt.last() == Some(letter)) == right));
        Ok(prompts
            .iter()
            .flat_map(|prompt| letters.iter().map(move |letter| score(prompt, letter)))
            .collect())
    }
}

impl Tunable for Fake {
    fn weights(&mut self) -> &mut [f32] {
        &mut self.weight
    }

    fn learn(
        &mut self,
        prompts: &[&[u32]],
        labels: usize,
        _: u64,
        gradient: &mut [f32],
    ) -> Result<f64, Error> {
        self.calls.push((prompts.iter().map(|prompt| prompt.to_vec()).collect(), labels));
        gradient[0] -= 2.0 * prompts.len() as f32 / labels as f32;
        let step = self.seen().div_ceil(self.batch);
        Ok(if self.broken == Some(step) { f64::NAN } else { 1.0 })
    }
}

/// Prompts of growing length.
struct Numbers(usize);

impl Lessons for Numbers {
    fn len(&self) -> usize {
        self.0
    }

    fn order(&self, _: u32) -> Vec<u32> {
        (0..self.0 as u32).rev().collect()
    }

    fn prompt(&self, _: u32, index: usize) -> Result<Prompt, Error> {
        Ok(Prompt { ids: vec![index as u32; index % 5 + 3], cut_tokens: 0, dropped_items: 0 })
    }
}

/// Three users with three candidates; the last token of a prompt is the right letter.
fn questions() -> Questions {
    Questions {
        k: 3,
        users: vec![0, 2, 5],
        prompts: vec![vec![9, 10], vec![9, 9, 12], vec![11]],
        items: vec![4, 5, 6, 1, 2, 3, 7, 8, 9],
        answers: vec![0, 2, 1],
        truncation: Truncation::default(),
    }
}

/// Keeps warnings.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn emit(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

fn teach(model: &mut Fake, spec: &RankerSpec, lessons: usize, reporter: &dyn Reporter) -> Trained {
    let letters = Letters { sets: vec![vec![10, 11, 12]] };
    let options = TrainOptions {
        seed: Seed::new(7),
        letters: &letters,
        reporter,
        interrupt: &Interrupt::default(),
        checkpoints: &Nowhere,
    };
    train(model, spec, &Numbers(lessons), &questions(), options).unwrap()
}

/// Every step of constant gradient moves the weight by its rate: 1.0, 1.9, 2.7, 3.4, 4.0, 4.5, ..
const RISING: &str = "learning_rate = 1.0\nwarmup_steps = 0\nbatch_size = 2\nvalidate_every_steps = 1\nselect_by = \"recall@1\"";

#[test]
fn the_weights_of_the_best_validation_come_back_and_patience_ends_the_training() {
    let mut model = Fake::new(2.5..3.5);
    let trained = teach(&mut model, &spec(&format!("{RISING}\npatience = 3")), 20, &Silent);
    // Right after steps 3 and 4; of equals the earlier one counts, so 4, 5 and 6 are no better.
    assert_eq!((trained.best_step, trained.steps), (3, 6));
    assert_eq!(trained.stopped, StopReason::NoImprovement);
    assert!((model.weight[0] - 2.7).abs() < 1e-5, "{}", model.weight[0]);
    let metrics: Vec<f64> = trained.curve.iter().map(|point| point.metric).collect();
    assert_eq!(metrics, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!(trained.curve[0].train_loss, None);
    assert_eq!(trained.curve[3].train_loss, Some(1.0));
    // Scores are those of the first and of the best validation.
    assert_eq!(trained.first_scores, [[0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]]);
    assert_eq!(trained.best_scores, [[1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]]);
}

#[test]
fn a_loss_that_is_no_number_ends_the_training_and_the_best_weights_stay() {
    let mut model = Fake { broken: Some(5), ..Fake::new(2.5..3.5) };
    let heard = Heard::default();
    let trained = teach(&mut model, &spec(RISING), 20, &heard);
    let StopReason::LossNotFinite { step: 5, loss } = trained.stopped else {
        panic!("{:?}", trained.stopped)
    };
    assert!(loss.is_nan());
    assert_eq!((trained.best_step, trained.steps), (3, 5));
    assert!((model.weight[0] - 2.7).abs() < 1e-5, "{}", model.weight[0]);
    assert_eq!(
        *heard.0.lock().unwrap(),
        [
            "the loss of the ranker is NaN at step 5: training stops, and the adapter of step 3 is kept; lower \
             ranker.learning_rate or ranker.max_grad_norm"
        ]
    );
}

#[test]
fn scores_that_are_no_numbers_in_a_validation_end_the_training_and_the_best_weights_stay() {
    let mut model = Fake { lost: 3.5, ..Fake::new(2.5..3.5) };
    let heard = Heard::default();
    let trained = teach(&mut model, &spec(RISING), 20, &heard);
    // The loss of step 5 was still a number, but what it made of the weights is not.
    assert!(matches!(trained.stopped, StopReason::LossNotFinite { step: 5, loss } if loss.is_nan()));
    assert_eq!((trained.best_step, trained.steps, trained.curve.len()), (3, 5, 5));
    assert!((model.weight[0] - 2.7).abs() < 1e-5, "{}", model.weight[0]);
    assert_eq!(heard.0.lock().unwrap().len(), 1);
}

#[test]
fn no_step_beats_none_keeps_the_model_as_it_was() {
    let mut model = Fake::new(-1.0..0.5);
    let trained = teach(&mut model, &spec(RISING), 6, &Silent);
    assert_eq!((trained.best_step, trained.steps), (0, 3));
    assert_eq!(trained.stopped, StopReason::Steps);
    assert_eq!(model.weight, [0.0]);
    assert_eq!(trained.first_scores, trained.best_scores);
}

#[test]
fn an_epoch_shows_every_prompt_once_and_a_step_is_cut_into_parts() {
    let mut model = Fake { batch: 4, ..Fake::new(0.0..1.0) };
    let lines = "batch_size = 4\nmicro_batch_tokens = 9\nvalidate_every_steps = 100";
    let trained = teach(&mut model, &spec(lines), 10, &Silent);
    assert_eq!(trained.steps, 3);
    assert_eq!(trained.shown.prompts, 10);
    let mut shown: Vec<u32> =
        model.calls.iter().flat_map(|(prompts, _)| prompts.iter().map(|p| p[0])).collect();
    shown.sort_unstable();
    assert_eq!(shown, (0..10).collect::<Vec<u32>>());
    for (prompts, labels) in &model.calls {
        let tokens: usize = prompts.iter().map(Vec::len).sum();
        assert!(tokens <= 9, "{tokens}");
        // Two labels a prompt of the step, not of the part.
        assert!([8, 4].contains(labels), "{labels}");
    }
    // Of the last step, which is short, there is a validation too.
    assert_eq!(trained.curve.iter().map(|point| point.step).collect::<Vec<_>>(), [0, 3]);
}

#[test]
fn most_steps_end_the_training_before_the_epochs_do() {
    let mut model = Fake::new(0.0..1.0);
    let trained = teach(&mut model, &spec(&format!("{RISING}\nmax_steps = 4\nepochs = 9")), 6, &Silent);
    assert_eq!(trained.steps, 4);
    // Rates fall over the four steps: 1, 3/4, 1/2, 1/4.
    let last = trained.curve.last().unwrap();
    assert_eq!((last.step, last.epoch), (4, 4.0 / 3.0));
}

#[test]
fn an_interrupt_stops_before_the_next_step() {
    let letters = Letters { sets: vec![vec![10, 11, 12]] };
    let interrupt = Interrupt::default();
    interrupt.request();
    let options = TrainOptions {
        seed: Seed::new(7),
        letters: &letters,
        reporter: &Silent,
        interrupt: &interrupt,
        checkpoints: &Nowhere,
    };
    let result = train(&mut Fake::new(0.0..1.0), &spec(RISING), &Numbers(4), &questions(), options);
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
}

#[test]
fn training_that_is_stopped_after_any_step_goes_on_and_ends_alike() {
    let letters = Letters { sets: vec![vec![10, 11, 12]] };
    let spec = spec(
        &format!("{RISING}\nvalidate_every_steps = 2\nepochs = 2").replace("validate_every_steps = 1\n", ""),
    );
    let mut one = Fake::new(2.5..4.2);
    let whole = teach(&mut one, &spec, 15, &Silent);
    assert!(whole.steps > 8 && whole.best_step > 0, "{whole:?}");
    for pause in 0..3 {
        let mut memory = Memory::new(Interrupt::default());
        let (mut processes, mut shown) = (0, Vec::new());
        let (trained, weight) = loop {
            let interrupt = Interrupt::default();
            memory = memory.with(interrupt.clone());
            memory.stop_after(pause);
            processes += 1;
            let mut model = Fake::new(2.5..4.2);
            let options = TrainOptions {
                seed: Seed::new(7),
                letters: &letters,
                reporter: &Silent,
                interrupt: &interrupt,
                checkpoints: &memory,
            };
            let result = train(&mut model, &spec, &Numbers(15), &questions(), options);
            shown.extend(model.calls);
            match result {
                Err(Error::Interrupted) => {}
                done => break (done.unwrap(), model.weight[0]),
            }
        };
        assert!(processes > 3, "{processes}");
        assert_eq!(weight.to_bits(), one.weight[0].to_bits());
        assert_eq!(shown, one.calls, "each batch once, in order");
        let timeless = |trained: &Trained| Trained {
            curve: trained.curve.iter().map(|point| CurvePoint { wall_seconds: 0.0, ..*point }).collect(),
            step_time: std::time::Duration::ZERO,
            ..trained.clone()
        };
        assert_eq!(timeless(&trained), timeless(&whole));
        // A process that comes after the end does nothing again.
        let mut model = Fake::new(2.5..4.2);
        let interrupt = Interrupt::default();
        memory = memory.with(interrupt.clone());
        let options = TrainOptions {
            seed: Seed::new(7),
            letters: &letters,
            reporter: &Silent,
            interrupt: &interrupt,
            checkpoints: &memory,
        };
        let again = train(&mut model, &spec, &Numbers(15), &questions(), options).unwrap();
        assert_eq!((timeless(&again), model.calls.len()), (timeless(&whole), 0));
    }
}

#[test]
fn without_anybody_to_rank_nothing_can_be_chosen() {
    let letters = Letters { sets: vec![vec![10, 11, 12]] };
    let interrupt = Interrupt::default();
    let options = TrainOptions {
        seed: Seed::new(7),
        letters: &letters,
        reporter: &Silent,
        interrupt: &interrupt,
        checkpoints: &Nowhere,
    };
    let nobody = Questions { k: 3, ..Questions::default() };
    let error = train(&mut Fake::new(0.0..1.0), &spec(RISING), &Numbers(4), &nobody, options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no held-out item of validation is among its user's 3 candidates, so nothing can choose an adapter; use a better \
         retriever or more evaluation.candidates, or set ranker.tune = false"
    );
}

#[test]
fn a_model_that_scores_all_alike_is_worth_a_random_order_whatever_the_ids_of_items() {
    let by = |lines: &str| spec(lines).select_by;
    for answers in [vec![0, 0, 0], vec![2, 2, 2]] {
        let questions = Questions { answers, ..questions() };
        let recall = questions.metric(&[0.5; 9], by("select_by = \"recall@1\""));
        assert!((recall - 1.0 / 3.0).abs() < 1e-12, "{recall}");
        let mrr = questions.metric(&[0.5; 9], by("select_by = \"mrr@2\""));
        assert!((mrr - 0.5).abs() < 1e-12, "{mrr}");
    }
}

#[test]
fn the_order_of_lora_targets_means_nothing() {
    let sorted = spec("lora_targets = [\"q_proj\", \"v_proj\"]");
    assert_eq!(spec("lora_targets = [\"v_proj\", \"q_proj\"]"), sorted);
    assert_ne!(spec("lora_targets = [\"q_proj\"]"), sorted);
}
