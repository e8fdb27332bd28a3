//! Scores of candidates, with a real model of random weights.

use bench::backbone::Decoder;
use bench::events::Interrupt;
use bench::nn::matmul::Precision;
use bench::prompt::Truncation;
use bench::rank::{Backbone, Error, Letters, Model, Partly, Questions, Tunable, score};
use bench::seed::Seed;

use super::tiny::{spec, weights};
use crate::support::Memory;

const LETTERS: [u32; 4] = [65, 66, 67, 68];

fn decoder() -> Decoder {
    Decoder::new(weights(3), Precision::F32)
}

/// Prompts of different lengths that begin alike.
fn prompts() -> Vec<Vec<u32>> {
    let prompt = |n: u32| -> Vec<u32> {
        let length = 12 + (n * 7) % 23;
        (0..length).map(|at| if at < 10 { 40 + at } else { (n * 31 + at * 17) % 250 }).collect()
    };
    (0..9).map(prompt).collect()
}

fn bits(scores: &[f32]) -> Vec<u32> {
    scores.iter().map(|score| score.to_bits()).collect()
}

fn all(model: &mut dyn Model, most_tokens: usize) -> Vec<f32> {
    score(model, &prompts(), &LETTERS, most_tokens, &Interrupt::default(), Partly::NOT, &mut |_| {}).unwrap()
}

#[test]
fn scores_of_a_prompt_do_not_depend_on_its_batch() {
    let decoder = decoder();
    let mut model = Backbone::frozen(&decoder);
    let alone = all(&mut model, 1);
    for most_tokens in [40, 100, 4096] {
        assert_eq!(bits(&all(&mut model, most_tokens)), bits(&alone), "{most_tokens}");
    }
    let different: std::collections::BTreeSet<u32> = bits(&alone).into_iter().collect();
    assert!(
        different.len() > 30,
        "scores differ from prompt to prompt and letter to letter: {}",
        different.len()
    );
}

#[test]
fn a_new_adapter_changes_no_score() {
    let decoder = decoder();
    let frozen = all(&mut Backbone::frozen(&decoder), 4096);
    let mut adapted = Backbone::adapted(&decoder, &spec("lora_r = 3"), Seed::new(1));
    assert_eq!(bits(&all(&mut adapted, 4096)), bits(&frozen));
    // A in training has values; B is what keeps it silent.
    assert!(adapted.weights().iter().any(|weight| *weight != 0.0));
}

#[test]
fn the_parts_of_a_step_add_up_to_the_whole() {
    let decoder = decoder();
    let mut model = Backbone::adapted(&decoder, &spec("lora_r = 3\nlora_dropout = 0.0"), Seed::new(1));
    for (at, weight) in model.weights().iter_mut().enumerate() {
        *weight += 0.01 * ((at % 7) as f32 - 3.0);
    }
    let prompts = prompts();
    let shown: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let labels = 2 * shown.len();
    let n = model.weights().len();
    let (mut whole, mut parts) = (vec![0f32; n], vec![0f32; n]);
    let loss = model.learn(&shown, labels, 1, &mut whole).unwrap();
    let of_parts: f64 = shown.chunks(4).map(|part| model.learn(part, labels, 1, &mut parts).unwrap()).sum();
    assert!((loss - of_parts).abs() < 1e-5 * loss, "{loss} {of_parts}");
    let largest = whole.iter().fold(0f32, |most, g| most.max(g.abs()));
    assert!(largest > 1e-4);
    for (one, other) in whole.iter().zip(&parts) {
        assert!((one - other).abs() < 1e-4 * largest, "{one} {other}");
    }
}

#[test]
fn checkpointing_changes_no_bit() {
    let decoder = decoder();
    let gradient = |how: &str| {
        let lines = format!("lora_r = 3\nlora_dropout = 0.2\ngradient_checkpointing = \"{how}\"");
        let mut model = Backbone::adapted(&decoder, &spec(&lines), Seed::new(1));
        let prompts = prompts();
        let shown: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let mut gradient = vec![0f32; model.weights().len()];
        let loss = model.learn(&shown, 2 * shown.len(), 99, &mut gradient).unwrap();
        (loss.to_bits(), bits(&gradient))
    };
    assert_eq!(gradient("always"), gradient("never"));
    assert_eq!(gradient("auto"), gradient("never"));
}

/// Scores that are no numbers.
struct Broken;

impl Model for Broken {
    fn scores(&mut self, prompts: &[&[u32]], letters: &[u32]) -> Result<Vec<f32>, Error> {
        let score = |prompt: &&[u32], at: usize| if prompt.len() == 2 && at == 1 { f32::NAN } else { 0.5 };
        Ok(prompts.iter().flat_map(|p| (0..letters.len()).map(move |at| score(p, at))).collect())
    }
}

#[test]
fn a_score_that_is_no_number_is_told_with_its_place() {
    let prompts = [vec![1], vec![1, 2, 3], vec![4, 5]];
    let error = score(&mut Broken, &prompts, &LETTERS, 100, &Interrupt::default(), Partly::NOT, &mut |_| {})
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the score of candidate 1 of prompt 2 (both counted from 0) is NaN; the weights of the backbone or of its adapter are \
         damaged, or ranker.learning_rate is far too high"
    );
}

#[test]
fn a_token_that_the_model_does_not_know_is_refused() {
    let decoder = decoder();
    let mut model = Backbone::frozen(&decoder);
    let error =
        score(&mut model, &[vec![1, 258]], &LETTERS, 100, &Interrupt::default(), Partly::NOT, &mut |_| {})
            .unwrap_err();
    assert_eq!(
        error.to_string(),
        "prompts hold token 258, but the model knows 258 tokens; is this tokenizer the model's own?"
    );
}

#[test]
fn every_set_of_letters_gets_the_scores_of_its_own_ids() {
    let questions = Questions {
        k: 2,
        users: vec![0, 1],
        prompts: vec![vec![7, 8, 9], vec![20; 12]],
        items: vec![1, 2, 3, 4],
        answers: vec![0, 1],
        truncation: Truncation::default(),
    };
    let decoder = decoder();
    let mut model = Backbone::frozen(&decoder);
    // A set may have more letters than there are candidates.
    let letters = Letters { sets: vec![vec![65, 66, 67], vec![97, 98, 99]] };
    let found =
        questions.ask(&mut model, &letters, 100, &Interrupt::default(), Partly::NOT, &mut |_| {}).unwrap();
    for (set, scores) in letters.sets.iter().zip(&found) {
        let alone = score(
            &mut model,
            &questions.prompts,
            &set[..2],
            100,
            &Interrupt::default(),
            Partly::NOT,
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(bits(scores), bits(&alone));
    }
    assert_ne!(found[0], found[1]);
    assert_eq!(questions.targets(), [1, 4]);
}

/// Counts the prompts that go through a backbone.
struct Counting<'a>(Backbone<'a>, usize);

impl Model for Counting<'_> {
    fn scores(&mut self, prompts: &[&[u32]], letters: &[u32]) -> Result<Vec<f32>, Error> {
        self.1 += prompts.len();
        self.0.scores(prompts, letters)
    }
}

#[test]
fn scores_that_are_kept_are_not_asked_for_again() {
    let decoder = decoder();
    let whole = all(&mut Backbone::frozen(&decoder), 40);
    let ask = |memory: &Memory, step: u32, interrupt: &Interrupt| {
        let mut model = Counting(Backbone::frozen(&decoder), 0);
        let partly = Partly { checkpoints: memory, part: "test", step };
        (score(&mut model, &prompts(), &LETTERS, 40, interrupt, partly, &mut |_| {}), model.1)
    };
    let mut memory = Memory::new(Interrupt::default());
    let (mut asked, mut processes) = (0, 0);
    let found = loop {
        let interrupt = Interrupt::default();
        memory = memory.with(interrupt.clone());
        memory.stop_after(0);
        processes += 1;
        let (found, more) = ask(&memory, 4, &interrupt);
        asked += more;
        match found {
            Err(Error::Interrupted) => {}
            done => break done.unwrap(),
        }
    };
    assert_eq!(bits(&found), bits(&whole));
    assert!(processes > 2, "{processes}");
    assert_eq!(asked, prompts().len(), "each prompt once");
    // Scores of the model of another step are not taken.
    memory = memory.with(Interrupt::default());
    assert_eq!(ask(&memory, 5, &Interrupt::default()).1, prompts().len());
}
