//! The decoder: any batch, any memory plan and any of its two ways of training give what the plain graph gives.

use bench::backbone::decoder::expected_bytes;
use bench::backbone::{
    Adapter, AdapterSpec, Architecture, Batch, BatchError, Decoder, FullModel, Keep, Masks, ModelConfig,
    RopeScaling, Step, Workspace,
};
use bench::nn::matmul::Precision;
use bench::nn::quant::{Frozen, Storage};
use bench::seed::Seed;
use proptest::prelude::*;

use super::twin::{ALL, Twin, assert_close, elements, error, fill, random, tiny, tokens};

fn decoder(model: &FullModel) -> Decoder {
    Decoder::new(model.to_weights(), Precision::F32)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Prompts of several lengths; the first 20 tokens of all are the same.
fn prompts(vocab: usize) -> Vec<Vec<u32>> {
    let common = tokens(1, 20, vocab);
    [33, 90, 24, 57]
        .iter()
        .zip(2..)
        .map(|(n, seed)| [common.clone(), tokens(seed, n - 20, vocab)].concat())
        .collect()
}

fn slices(prompts: &[Vec<u32>]) -> Vec<&[u32]> {
    prompts.iter().map(Vec::as_slice).collect()
}

#[test]
fn logits_are_those_of_a_plain_graph_in_f64() {
    for (bias, norm, tied) in
        [(false, false, false), (true, false, true), (false, true, false), (true, true, true)]
    {
        let config = ModelConfig { qkv_bias: bias, qk_norm: norm, tied, ..tiny() };
        let model = random(&config);
        let prompt = tokens(3, 77, config.vocab);
        let expected = elements(&Twin::new(&model, None).logits(&prompt));
        let every: Vec<u32> = (0..config.vocab as u32).collect();
        let batch = Batch::new(&[&prompt], usize::MAX);
        let found = decoder(&model).letter_scores(&batch, &every, None, &mut Workspace::default());
        assert_close(&format!("bias {bias}, norms {norm}, tied {tied}"), &found, &expected, 1e-5);
    }
}

#[test]
fn scaled_rotations_reach_the_logits() {
    let mut config = tiny();
    config.rope.scaling = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 32,
    };
    let model = random(&config);
    let prompt = tokens(3, 90, config.vocab);
    let expected = elements(&Twin::new(&model, None).logits(&prompt));
    let every: Vec<u32> = (0..config.vocab as u32).collect();
    let batch = Batch::new(&[&prompt], usize::MAX);
    // One workspace for two models: tables of the first must not serve the second.
    let mut workspace = Workspace::default();
    decoder(&random(&tiny())).letter_scores(&batch, &every, None, &mut workspace);
    let found = decoder(&model).letter_scores(&batch, &every, None, &mut workspace);
    assert_close("logits", &found, &expected, 1e-5);
}

#[test]
fn mistrals_window_slides() {
    let config = ModelConfig {
        architecture: Architecture::Mistral,
        sliding_window: Some(16),
        qkv_bias: false,
        qk_norm: false,
        ..tiny()
    };
    let model = random(&config);
    let prompt = tokens(3, 90, config.vocab);
    let expected = elements(&Twin::new(&model, None).logits(&prompt));
    let every: Vec<u32> = (0..config.vocab as u32).collect();
    let batch = Batch::new(&[&prompt], usize::MAX);
    assert_eq!(decoder(&model).check(&batch), Ok(()));
    let found = decoder(&model).letter_scores(&batch, &every, None, &mut Workspace::default());
    assert_close("logits", &found, &expected, 1e-5);
}

#[test]
fn a_prompt_scores_the_same_bits_alone_in_a_batch_and_behind_a_shared_prefix() {
    let config = tiny();
    let prompts = prompts(config.vocab);
    let letters = [5, 9, 17, 3];
    for precision in [Precision::F32, Precision::Bf16] {
        let decoder = Decoder::new(random(&config).to_weights(), precision);
        let mut adapter = Adapter::new(&config, &spec(0.0), Seed::new(3));
        fill(&mut adapter, 0.2);
        let mut workspace = Workspace::default();
        let mut score =
            |batch: &Batch| decoder.letter_scores(batch, &letters, Some(&adapter), &mut workspace);
        for tail in [1, 3] {
            let shared = Batch::new(&slices(&prompts), tail);
            assert_eq!((shared.prefix(), shared.saved()), (20, 60));
            let together = score(&shared);
            let apart = Batch::apart(&slices(&prompts), tail);
            assert_eq!((apart.prefix(), apart.saved()), (0, 0));
            assert_eq!(bits(&together), bits(&score(&apart)), "shared and apart");
            for (i, prompt) in prompts.iter().enumerate() {
                let alone = score(&Batch::new(&[prompt], tail));
                let rows = shared.wanted_of(i);
                assert_eq!(
                    bits(&alone),
                    bits(&together[rows.start * 4..rows.end * 4]),
                    "prompt {i}, tail {tail}"
                );
                // The same rows when all rows of the last layer are computed.
                let all = score(&Batch::new(&[prompt], usize::MAX));
                assert_eq!(bits(&alone), bits(&all[(prompt.len() - tail) * 4..]), "prompt {i}, all rows");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_batch_is_its_prompts_one_by_one(
        common in 0usize..80,
        own in prop::collection::vec(1usize..90, 1..5),
        tail in 1usize..6,
        seed in 0u64..1000,
    ) {
        let config = ModelConfig { layers: 2, ..tiny() };
        let decoder = decoder(&random(&config));
        let beginning = tokens(seed, common, config.vocab);
        let prompts: Vec<Vec<u32>> = own
            .iter()
            .zip(seed + 1..)
            .map(|(n, seed)| [beginning.clone(), tokens(seed, *n, config.vocab)].concat())
            .collect();
        let mut workspace = Workspace::default();
        let mut score = |batch: &Batch| decoder.letter_scores(batch, &[3, 1, 4], None, &mut workspace);
        let batch = Batch::new(&slices(&prompts), tail);
        prop_assert_eq!(batch.rows() + batch.saved(), prompts.iter().map(Vec::len).sum::<usize>());
        let together = score(&batch);
        prop_assert_eq!(bits(&together), bits(&score(&Batch::apart(&slices(&prompts), tail))));
        for (i, prompt) in prompts.iter().enumerate() {
            let rows = batch.wanted_of(i);
            prop_assert_eq!(rows.len(), tail.min(prompt.len() - batch.prefix()));
            let alone = score(&Batch::new(&[prompt], rows.len()));
            prop_assert_eq!(bits(&alone), bits(&together[rows.start * 3..rows.end * 3]));
        }
    }
}

#[test]
fn products_in_bf16_move_scores_by_about_a_hundredth() {
    let config = ModelConfig { hidden: 64, intermediate: 160, head_dim: 16, ..tiny() };
    let model = random(&config);
    let prompt = tokens(3, 120, config.vocab);
    let batch = Batch::new(&[&prompt], usize::MAX);
    let every: Vec<u32> = (0..config.vocab as u32).collect();
    let score = |precision| {
        let decoder = Decoder::new(model.to_weights(), precision);
        decoder.letter_scores(&batch, &every, None, &mut Workspace::default())
    };
    let exact: Vec<f64> = score(Precision::F32).into_iter().map(f64::from).collect();
    let off = error(&score(Precision::Bf16), &exact);
    // bf16 has 8 bits: inputs are off by up to 1 / 512 each, and errors of sums partly cancel.
    assert!((1e-4..0.04).contains(&off), "relative error {off:.2e}");
}

#[test]
fn the_shared_prefix_leaves_every_prompt_its_wanted_rows() {
    let same = tokens(1, 30, 50);
    let batch = Batch::new(&[&same, &same, &same[..25]], 4);
    assert_eq!((batch.prefix(), batch.rows(), batch.longest()), (21, 21 + 9 + 9 + 4, 30));
    assert_eq!(batch.wanted_of(2), 8..12);
    assert_eq!(batch.wanted().len(), 12);
    assert_eq!(batch.positions()[batch.wanted()[11] as usize], 24);
    // One prompt shares with nobody, and seven common tokens are not worth a span.
    assert_eq!(Batch::new(&[&same], 1).prefix(), 0);
    let other = [&same[..7], &tokens(2, 20, 50)].concat();
    assert_eq!(Batch::new(&[&same, &other], 1).prefix(), 0);
}

#[test]
fn next_tokens_are_those_behind_each_row() {
    let batch = Batch::new(&[&[4, 5, 6], &[7, 8]], usize::MAX);
    assert_eq!(batch.next_tokens(), [Some(5), Some(6), None, Some(8), None]);
    let batch = Batch::new(&[&[4, 5, 6], &[7, 8, 9]], 2);
    assert_eq!(batch.next_tokens(), [Some(6), None, Some(9), None]);
}

fn spec(dropout: f64) -> AdapterSpec {
    AdapterSpec { r: 4, alpha: 8.0, dropout, targets: ALL.to_vec() }
}

#[test]
fn checkpointing_gives_the_same_bits() {
    let config = tiny();
    let decoder = decoder(&random(&config));
    let mut adapter = Adapter::new(&config, &spec(0.3), Seed::new(3));
    fill(&mut adapter, 0.2);
    let prompts = prompts(config.vocab);
    let batch = Batch::new(&slices(&prompts), 2);
    let labels: Vec<u32> = (0..8).collect();
    let run = |keep| {
        let mut gradients = vec![0.0; adapter.weights.len()];
        let step = Step { dropout: Some(Masks::new(9)), labels: 8, keep };
        let mut workspace = Workspace::default();
        let loss =
            decoder.loss_and_gradients(&batch, &labels, &adapter, step, &mut gradients, &mut workspace);
        (loss.to_bits(), bits(&gradients))
    };
    let kept = run(Keep::Everything);
    for keep in [Keep::Inputs, Keep::States(0), Keep::States(1), Keep::States(9)] {
        assert!(kept == run(keep), "{keep:?} changes the gradients");
    }
    assert!(kept.1.iter().filter(|bits| **bits != 0).count() > kept.1.len() / 2);
}

#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    let config = tiny();
    let model = random(&config);
    let prompts = prompts(config.vocab);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let batch = Batch::new(&slices(&prompts), usize::MAX);
            let mut gradients = vec![0.0; model.weights.len()];
            let labels = batch.next_tokens();
            let loss =
                model.loss_and_gradients(&batch, &labels, 100, &mut gradients, &mut Workspace::default());
            (loss.to_bits(), bits(&gradients))
        })
    };
    let alone = run(1);
    assert!(alone == run(2) && alone == run(3), "threads change the gradients");
}

#[test]
fn gradients_of_all_weights_are_those_of_candles_autograd() {
    for (tied, norm) in [(true, true), (false, false)] {
        let config = ModelConfig { tied, qk_norm: norm, qkv_bias: norm, ..tiny() };
        let model = random(&config);
        let documents = [tokens(1, 40, config.vocab), tokens(2, 75, config.vocab)];
        let batch = Batch::new(&slices(&documents), usize::MAX);
        let labels: Vec<Option<u32>> = batch
            .next_tokens()
            .into_iter()
            .enumerate()
            .map(|(i, label)| label.filter(|_| i % 5 != 2))
            .collect();
        let mut gradients = vec![0.0; model.weights.len()];
        let mut workspace = Workspace::default();
        // In two halves: gradients add up.
        let mut loss = 0.0;
        let mut at = 0;
        for document in &documents {
            let batch = Batch::new(&[document], usize::MAX);
            let labels = &labels[at..at + document.len()];
            at += document.len();
            loss += model.loss_and_gradients(&batch, labels, 90, &mut gradients, &mut workspace);
        }
        let twin = Twin::new(&model, None);
        let pairs = |from: usize, n: usize| -> Vec<(usize, u32)> {
            (0..n).filter_map(|row| labels[from + row].map(|label| (row, label))).collect()
        };
        let expected =
            (twin.loss(&documents[0], &pairs(0, 40)) + twin.loss(&documents[1], &pairs(40, 75))).unwrap();
        let expected = (expected / 90.0).unwrap();
        assert_close("loss", &[loss as f32], &[expected.to_scalar().unwrap()], 1e-6);
        let graph = expected.backward().unwrap();
        for slot in &model.plan().slots {
            let expected = elements(graph.get(&twin.weights[&slot.name]).unwrap());
            assert_close(&slot.name, &gradients[slot.range()], &expected, 1e-4);
        }
        // One batch of both documents is the same sum.
        let mut together = vec![0.0; model.weights.len()];
        model.loss_and_gradients(&batch, &labels, 90, &mut together, &mut workspace);
        let separate: Vec<f64> = gradients.iter().map(|x| f64::from(*x)).collect();
        assert_close("together", &together, &separate, 1e-5);
    }
}

#[test]
fn a_model_goes_to_frozen_weights_and_back() {
    let config = tiny();
    let model = random(&config);
    let weights = model.to_weights();
    assert!(matches!(weights.layers[1].q.weight, Frozen::F32(_)));
    assert_eq!(weights.storage(), Storage::F32);
    let again = FullModel::from_weights(&weights);
    assert!(again.weights == model.weights && again.plan() == model.plan());
    assert_eq!(model.weights.len() as u64, config.parameters());
}

#[test]
fn a_quantized_backbone_scores_as_its_dequantized_copy() {
    let config = ModelConfig { hidden: 64, intermediate: 128, ..tiny() };
    let model = random(&config);
    let mut weights = model.to_weights();
    for layer in &mut weights.layers {
        for projection in [
            &mut layer.q,
            &mut layer.k,
            &mut layer.v,
            &mut layer.o,
            &mut layer.gate,
            &mut layer.up,
            &mut layer.down,
        ] {
            let (rows, cols) = (projection.weight.rows(), projection.weight.cols());
            let values = projection.weight.as_slice().unwrap().to_vec();
            projection.weight = Frozen::quantize(Storage::Nf4 { double: true }, rows, cols, &values);
        }
    }
    let plain = FullModel::from_weights(&weights).to_weights();
    let prompt = tokens(3, 50, config.vocab);
    let batch = Batch::new(&[&prompt], 1);
    let score = |weights| {
        Decoder::new(weights, Precision::F32).letter_scores(
            &batch,
            &[1, 2, 3],
            None,
            &mut Workspace::default(),
        )
    };
    let quantized = score(weights);
    assert_eq!(bits(&quantized), bits(&score(plain)));
    assert_ne!(bits(&quantized), bits(&score(model.to_weights())));
}

#[test]
fn batches_that_do_not_fit_a_model_are_refused_with_a_reason() {
    let config = ModelConfig { sliding_window: Some(8), ..tiny() };
    let decoder = decoder(&random(&config));
    let refuse = |prompts: &[&[u32]]| decoder.check(&Batch::new(prompts, 1)).unwrap_err();
    assert_eq!(refuse(&[&[1, 60, 2]]), BatchError::Token { token: 60, vocab: 60 });
    assert_eq!(refuse(&[&[1], &[]]), BatchError::Empty { prompt: 1 });
    assert_eq!(
        refuse(&[&[1; 9]]).to_string(),
        "a prompt has 9 tokens, but this model takes 8 at most; lower ranker.max_prompt_tokens to 8 or less"
    );
    assert_eq!(decoder.check(&Batch::new(&[&[1; 8]], 1)), Ok(()));
}

#[test]
fn expected_memory_is_what_a_batch_takes() {
    let config = ModelConfig { hidden: 64, intermediate: 192, layers: 4, head_dim: 16, vocab: 500, ..tiny() };
    let model = random(&config);
    let decoder = decoder(&model);
    let adapter = Adapter::new(&config, &spec(0.1), Seed::new(3));
    let prompts: Vec<Vec<u32>> = (0..4).map(|seed| tokens(seed, 200, config.vocab)).collect();
    let batch = Batch::new(&slices(&prompts), 2);
    let check = |what: &str, found: usize, expected: usize| {
        let ratio = found as f64 / expected as f64;
        assert!((0.8..1.1).contains(&ratio), "{what}: {found} bytes, expected {expected}");
    };
    let mut workspace = Workspace::default();
    decoder.letter_scores(&batch, &[1, 2], Some(&adapter), &mut workspace);
    // The last layer has shrunk the buffers that all layers share.
    assert!(workspace.bytes() <= expected_bytes(&config, 800, 8, None));
    for keep in [Keep::Everything, Keep::States(1), Keep::Inputs] {
        let mut workspace = Workspace::default();
        let step = Step { dropout: Some(Masks::new(1)), labels: 8, keep };
        let mut gradients = vec![0.0; adapter.weights.len()];
        decoder.loss_and_gradients(&batch, &[1; 8], &adapter, step, &mut gradients, &mut workspace);
        check(&format!("{keep:?}"), workspace.bytes(), expected_bytes(&config, 800, 8, Some(keep)));
    }
    let batch = Batch::new(&slices(&prompts), usize::MAX);
    let mut workspace = Workspace::default();
    decoder.hidden(&batch, None, &mut workspace);
    check("scoring all rows", workspace.bytes(), expected_bytes(&config, 800, 800, None));
}

#[test]
fn a_training_step_has_the_same_bits_on_every_instruction_set() {
    const CHILD: &str = "BENCH_TEST_STEP";
    if std::env::var_os(CHILD).is_some() {
        let config = tiny();
        let mut adapter = Adapter::new(&config, &spec(0.3), Seed::new(3));
        fill(&mut adapter, 0.2);
        let prompts = prompts(config.vocab);
        let batch = Batch::new(&slices(&prompts), 2);
        let mut gradients = vec![0.0; adapter.weights.len()];
        let step = Step { dropout: Some(Masks::new(9)), labels: 8, keep: Keep::Everything };
        let mut workspace = Workspace::default();
        let decoder = decoder(&random(&config));
        let loss =
            decoder.loss_and_gradients(&batch, &[7; 8], &adapter, step, &mut gradients, &mut workspace);
        // FNV-1a.
        let mix = |hash: u64, bits: u32| (hash ^ u64::from(bits)).wrapping_mul(0x100_0000_01b3);
        let hash = bits(&gradients).into_iter().fold(0xcbf2_9ce4_8422_2325, mix);
        println!("step of {} {hash:x}", loss.to_bits());
        return;
    }
    // The set is chosen once in a process, so each has a process of its own.
    let name = "backbone::decoder::a_training_step_has_the_same_bits_on_every_instruction_set";
    let steps = ["avx512", "avx2", "portable"].map(|set| {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .env("BENCH_SIMD", set)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let at = text.find("step of ").unwrap_or_else(|| panic!("{set}: {text}"));
        text[at..].lines().next().unwrap().to_owned()
    });
    assert!(steps.iter().all(|step| *step == steps[0]), "{steps:?}");
}
