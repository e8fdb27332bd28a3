//! A language model on a device gives what it gives on the processor, in whatever memory there is.

use std::sync::Arc;

use bench::backbone::decoder::{Batch, Keep, Masks, Step, Transformer, Workspace, device_bytes};
use bench::backbone::{Adapter, AdapterSpec, ModelConfig, Weights, weights};
use bench::cuda::{Array, DecoderOps, Machine, Numbers};
use bench::experiment::LoraTarget;
use bench::nn::quant::Storage;
use bench::rank::engine::check::{Case, OF_BF16, OF_F32, wide_products};
use bench::rank::engine::{Device, Engine, MARGIN, Upload};
use bench::rank::{Backbone, Model, Tunable};
use bench::seed::Seed;
use half::bf16;

use super::driver::{Emulated, MEMORY, Trouble};
use super::machines;
use crate::rank::tiny;

#[test]
fn a_decoder_on_a_device_scores_and_learns_as_on_the_processor() {
    for machine in machines() {
        for (name, case) in [("nf4", Case::nf4()), ("bf16", Case::bf16()), ("odd sizes", Case::odd())] {
            for (what, by) in case.distances::<f32>(&machine).unwrap() {
                println!("{}: {what} of {name} in f32: {by:.2e}", machine.name());
                assert!(by < OF_F32, "{what} of {name}: {by}");
            }
            for (what, by) in case.distances::<bf16>(&machine).unwrap() {
                println!("{}: {what} of {name} in bf16: {by:.2e}", machine.name());
                assert!(by > 0.0 && by < OF_BF16, "{what} of {name}: {by}");
            }
        }
    }
}

#[test]
fn int8_in_f32_is_as_on_the_processor() {
    for machine in machines() {
        for (what, by) in Case::int8().distances::<f32>(&machine).unwrap() {
            println!("{}: {what} of int8 in f32: {by:.2e}", machine.name());
            assert!(by < OF_F32, "{what}: {by}");
        }
    }
}

#[test]
fn kernels_of_large_models_give_what_the_processor_gives() {
    for machine in machines() {
        for (what, by) in Case::wide().distances::<bf16>(&machine).unwrap() {
            println!("{}: {what} of a wide model in bf16: {by:.2e}", machine.name());
            assert!(by > 0.0 && by < OF_BF16, "{what}: {by}");
        }
        let (exact, rounded) =
            (wide_products::<f32>(&machine).unwrap(), wide_products::<bf16>(&machine).unwrap());
        for ((what, exact), (_, rounded)) in exact.into_iter().zip(rounded) {
            println!("{}: wide {what}: {exact:.2e} in f32, {rounded:.2e} in bf16", machine.name());
            assert!(exact < 1e-6 && rounded > 0.0 && rounded < 4e-3, "{what}: {exact}, {rounded}");
        }
    }
}

fn model<E: Numbers>(machine: &Arc<dyn Machine>) -> Transformer<DecoderOps<E>> {
    let weights = Weights::random(&tiny::config(), Storage::Nf4 { double: true }, Seed::new(3));
    Transformer::new(weights.to(&mut Upload::new(machine)).unwrap())
}

#[test]
fn weights_that_became_bf16_on_the_device_give_the_same_bits_as_stored_ones() {
    for machine in machines() {
        for storage in [Storage::Nf4 { double: true }, Storage::Nf4 { double: false }, Storage::Int8] {
            let config = ModelConfig { qkv_bias: true, tied: false, ..tiny::config() };
            let outcome = |upload: Upload<'_>| {
                let mut upload = upload;
                let weights = Weights::random(&config, storage, Seed::new(3)).to(&mut upload).unwrap();
                let model: Transformer<DecoderOps<bf16>> = Transformer::new(weights);
                let (loss, gradient, scores) = taught(&model, &machine, "lora_r = 3\nlora_dropout = 0.2");
                let bits = |numbers: Vec<f32>| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                (upload.held(), (loss.to_bits(), bits(gradient), bits(scores)))
            };
            let (stored, dense) = (outcome(Upload::new(&machine)), outcome(Upload::new(&machine).dense()));
            assert_eq!(stored.1, dense.1, "{storage:?}");
            let expected = |storage| weights::expected_bytes(&config, storage, false);
            // Blocks are few in small matrices, and each matrix on a device has its own table of scales.
            let tables = if storage == (Storage::Nf4 { double: true }) { 1024 * 14 } else { 0 };
            assert_eq!(dense.0, expected(Storage::Bf16), "{storage:?}");
            assert!(
                stored.0.abs_diff(expected(storage)) <= tables,
                "{storage:?}: {} {}",
                stored.0,
                expected(storage)
            );
        }
    }
}

/// Four prompts of 12 to 19 tokens, with the two that are taught.
fn prompts() -> Vec<Vec<u32>> {
    let prompt = |n: u32| (0..12 + 2 * n).map(|at| (n * 31 + at * 17) % 250).collect();
    (0..4).map(prompt).collect()
}

/// Loss, gradient and scores of a model with an adapter whose B is not zero.
fn taught<E: Numbers>(
    model: &Transformer<DecoderOps<E>>,
    machine: &Arc<dyn Machine>,
    lines: &str,
) -> (f64, Vec<f32>, Vec<f32>) {
    let spec = tiny::spec(lines);
    let mut backbone = Backbone::on(Box::new(Device::new(model, machine))).with_adapter(&spec, Seed::new(1));
    for (at, weight) in backbone.weights().iter_mut().enumerate() {
        *weight += 0.02 * (at as f32).sin();
    }
    let prompts = prompts();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let mut gradient = vec![0.0; backbone.weights().len()];
    let loss = backbone.learn(&prompts, 8, 77, &mut gradient).unwrap();
    let scores = backbone.scores(&prompts, &[65, 66, 67]).unwrap();
    (loss, gradient, scores)
}

fn outcome(machine: &Arc<dyn Machine>, lines: &str) -> (f64, Vec<f32>, Vec<f32>) {
    taught(&model::<f32>(machine), machine, lines)
}

#[test]
fn a_step_that_does_not_fit_goes_in_halves_with_the_same_masks_and_the_same_sum() {
    let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
    // Without checkpointing nothing is asked before, so memory ends in the middle of a step.
    let lines = "lora_r = 3\nlora_dropout = 0.2\ngradient_checkpointing = \"never\"";
    let whole = outcome(&driver.open(0).unwrap(), lines);
    let (launches, most) =
        (seen.launches.load(std::sync::atomic::Ordering::SeqCst), seen.used.lock().unwrap().1);
    // All of the weights and half of the rest.
    let trouble = Trouble { taken: MEMORY - most * 3 / 5, ..Trouble::default() };
    let (driver, seen) = Emulated::start(trouble).unwrap();
    let halves = outcome(&driver.open(0).unwrap(), lines);
    assert!(seen.launches.load(std::sync::atomic::Ordering::SeqCst) > launches, "it was tried and cut");
    assert!(seen.used.lock().unwrap().1 <= most * 3 / 5);
    assert!((whole.0 - halves.0).abs() < 1e-6 * whole.0, "{} {}", whole.0, halves.0);
    let largest = whole.1.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (at, (x, y)) in whole.1.iter().zip(&halves.1).enumerate() {
        assert!((x - y).abs() < 1e-5 * largest, "gradient {at}: {x} {y}");
    }
    for (x, y) in whole.2.iter().zip(&halves.2) {
        assert!((x - y).abs() < 1e-5, "{x} {y}");
    }
}

#[test]
fn one_prompt_that_does_not_fit_is_an_error_with_numbers() {
    let Some((driver, _)) = Emulated::start(Trouble::default()) else { return };
    let machine = driver.open(0).unwrap();
    let model = model::<f32>(&machine);
    drop(driver);
    let trouble = Trouble { taken: MEMORY - (1 << 10), ..Trouble::default() };
    let (driver, _) = Emulated::start(trouble).unwrap();
    let small = driver.open(0).unwrap();
    let mut backbone = Backbone::on(Box::new(Device::new(&model, &small)));
    let prompts = prompts();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let error = backbone.scores(&prompts, &[65, 66]).unwrap_err().to_string();
    assert!(
        error.starts_with("cuda:0 (Emulator 1): 1 MiB of memory are needed, and 0 of 1024 MiB are free; "),
        "{error}"
    );
}

fn held<E: Numbers>(machine: &Arc<dyn Machine>, config: &ModelConfig, keep: Option<Keep>) -> (usize, u64) {
    let weights = Weights::random(config, Storage::Nf4 { double: true }, Seed::new(3));
    let model: Transformer<DecoderOps<E>> = Transformer::new(weights.to(&mut Upload::new(machine)).unwrap());
    let mut workspace = Workspace::new(DecoderOps::new(machine));
    let spec =
        AdapterSpec { r: 2, alpha: 4.0, dropout: 0.1, targets: vec![LoraTarget::QProj, LoraTarget::VProj] };
    let adapter = Adapter::new(config, &spec, Seed::new(1));
    let weights = Array::of(machine, &adapter.weights).unwrap();
    let prompts = prompts();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let batch = Batch::apart(&prompts, 2);
    let (rows, wanted) = (batch.rows(), batch.wanted().len());
    match keep {
        None => {
            model.letter_scores(&batch, &[1, 2], None, &mut workspace).unwrap();
        }
        Some(keep) => {
            let mut gradients = Array::of(machine, &vec![0.0; adapter.weights.len()]).unwrap();
            let step = Step { dropout: Some(Masks::new(1)), labels: wanted, keep };
            let view = adapter.view(weights.all());
            let labels = vec![1; wanted];
            model.loss_and_gradients(&batch, &labels, view, step, &mut gradients, &mut workspace).unwrap();
        }
    }
    (workspace.bytes(), device_bytes(config, (rows, wanted), keep.map(|keep| (keep, 4)), size_of::<E>()))
}

#[test]
fn what_a_step_will_need_of_a_device_is_known_before() {
    // Enough layers for what is kept of them to count.
    let (hidden, intermediate, head_dim) = (96, 192, 24);
    let config =
        ModelConfig { hidden, intermediate, head_dim, layers: 5, vocab: 300, tied: false, ..tiny::config() };
    let Some(machine) = super::emulator::Emulator::start() else { return };
    for keep in [None, Some(Keep::Inputs), Some(Keep::States(2)), Some(Keep::Everything)] {
        for (name, (found, expected)) in
            [("f32", held::<f32>(&machine, &config, keep)), ("bf16", held::<bf16>(&machine, &config, keep))]
        {
            let ratio = found as f64 / expected as f64;
            println!("{name}, {keep:?}: {found} bytes, {expected} expected ({ratio:.3})");
            assert!((0.9..=1.1).contains(&ratio), "{name}, {keep:?}: {found} bytes, {expected} expected");
        }
    }
}

#[test]
fn a_longer_batch_gives_back_the_states_that_it_cannot_keep() {
    let config = ModelConfig { layers: 6, ..tiny::config() };
    let weights = || Weights::random(&config, Storage::Nf4 { double: true }, Seed::new(3));
    let spec = AdapterSpec { r: 2, alpha: 4.0, dropout: 0.0, targets: vec![LoraTarget::QProj] };
    let adapter = Adapter::new(&config, &spec, Seed::new(1));
    let tokens = |n: u32| (0..n).map(|at| at * 17 % 250).collect::<Vec<u32>>();
    let (short, long) = (tokens(40), tokens(72));
    let batch = |prompt: &[u32]| Batch::apart(&[prompt], 2);
    let bytes = |rows: usize, keep| device_bytes(&config, (rows, 2), Some((keep, 2)), 4);
    // Room for all states of the short prompt, and for less of the long one.
    let room = bytes(40, Keep::Everything) + bytes(40, Keep::Everything) / 50;
    assert!(room < bytes(72, Keep::States(4)) && room > bytes(72, Keep::Inputs));
    let Some((driver, seen)) = Emulated::start(Trouble::default()) else { return };
    let model: Transformer<DecoderOps<f32>> =
        Transformer::new(weights().to(&mut Upload::new(&driver.open(0).unwrap())).unwrap());
    let held = seen.used.lock().unwrap().0;
    drop((model, driver));
    let trouble = Trouble { taken: MEMORY - MARGIN - held - room, ..Trouble::default() };
    let (driver, seen) = Emulated::start(trouble).unwrap();
    let machine = driver.open(0).unwrap();
    let model: Transformer<DecoderOps<f32>> =
        Transformer::new(weights().to(&mut Upload::new(&machine)).unwrap());
    let mut engine = Device::new(&model, &machine);
    let mut gradient = vec![0.0; adapter.weights.len()];
    let mut kept = Vec::new();
    for prompt in [&short, &long, &short] {
        let batch = batch(prompt);
        let keep = engine.keep(&batch, &spec).unwrap().unwrap();
        let step = Step { dropout: None, labels: 2, keep };
        engine.learn(&batch, &[1, 2], &adapter, step, &mut gradient).unwrap();
        let used = seen.used.lock().unwrap().0 - held;
        let expected = device_bytes(&config, (batch.rows(), 2), Some((keep, 2)), 4);
        println!("{keep:?}: {used} bytes, {expected} expected, room for {room}");
        kept.push((keep, used));
    }
    assert!(matches!(kept[0].0, Keep::Everything | Keep::States(4..)), "{kept:?}");
    assert!(matches!(kept[1].0, Keep::States(1..4) | Keep::Inputs), "{kept:?}");
    assert_eq!(kept[2].0, kept[0].0);
    // The adapter, its gradients, the table of rotations and other small arrays are beside what is counted.
    for (keep, used) in kept {
        assert!(used < room + room / 5, "{keep:?}: {used} bytes, room for {room}");
    }
}
