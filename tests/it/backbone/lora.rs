//! Adapters: their gradients, their start, their dropout.

use bench::backbone::{Adapter, AdapterSpec, Batch, Decoder, Keep, Masks, ModelConfig, Step, Workspace};
use bench::experiment::LoraTarget;
use bench::nn::matmul::Precision;
use bench::seed::Seed;
use candle_core::Tensor;

use super::twin::{ALL, Twin, assert_close, elements, fill, random, tiny, tokens};

fn spec(targets: &[LoraTarget], dropout: f64) -> AdapterSpec {
    AdapterSpec { r: 3, alpha: 12.0, dropout, targets: targets.to_vec() }
}

struct Case {
    decoder: Decoder,
    prompts: Vec<Vec<u32>>,
    labels: Vec<u32>,
}

impl Case {
    fn new(config: &ModelConfig) -> Self {
        let common = tokens(1, 12, config.vocab);
        let prompts = [31, 70, 22]
            .iter()
            .zip(5..)
            .map(|(n, seed)| [common.clone(), tokens(seed, n - 12, config.vocab)].concat())
            .collect();
        let decoder = Decoder::new(random(config).to_weights(), Precision::F32);
        Self { decoder, prompts, labels: vec![4, 2, 9, 2, 33, 2] }
    }

    fn batch(&self) -> Batch {
        let prompts: Vec<&[u32]> = self.prompts.iter().map(Vec::as_slice).collect();
        Batch::new(&prompts, 2)
    }

    fn gradients(&self, batch: &Batch, adapter: &Adapter, dropout: Option<u64>) -> (f64, Vec<f32>) {
        let mut gradients = vec![0.0; adapter.weights.len()];
        let step =
            Step { dropout: dropout.map(Masks::new), labels: self.labels.len(), keep: Keep::Everything };
        let mut workspace = Workspace::default();
        let loss = self.decoder.loss_and_gradients(
            batch,
            &self.labels,
            adapter,
            step,
            &mut gradients,
            &mut workspace,
        );
        (loss, gradients)
    }
}

#[test]
fn gradients_of_any_set_of_adapters_are_those_of_candles_autograd() {
    use LoraTarget::{DownProj, GateProj, KProj, OProj, QProj, UpProj, VProj};
    let sets: [&[LoraTarget]; 7] =
        [&ALL, &[QProj, VProj], &[KProj], &[OProj], &[GateProj], &[UpProj, DownProj], &[DownProj]];
    for (plain, targets) in [true, false].into_iter().flat_map(|plain| sets.map(|set| (plain, set))) {
        let config = ModelConfig { qkv_bias: !plain, qk_norm: !plain, ..tiny() };
        let case = Case::new(&config);
        let mut adapter = Adapter::zeros(&config, &spec(targets, 0.0));
        fill(&mut adapter, 0.3);
        let (loss, gradients) = case.gradients(&case.batch(), &adapter, None);
        let twin = Twin::new(&random(&config), Some(&adapter));
        let mut sum = 0f64;
        let mut total: Option<Tensor> = None;
        for (prompt, labels) in case.prompts.iter().zip(case.labels.chunks(2)) {
            let n = prompt.len();
            let one = twin.loss(prompt, &[(n - 2, labels[0]), (n - 1, labels[1])]);
            sum += one.to_scalar::<f64>().unwrap();
            total = Some(match total {
                None => one,
                Some(total) => (total + one).unwrap(),
            });
        }
        assert_close("loss", &[loss as f32], &[sum / 6.0], 1e-6);
        let graph = (total.unwrap() / 6.0).unwrap().backward().unwrap();
        for slot in &adapter.plan().slots {
            let expected = elements(graph.get(&twin.adapters[&slot.name]).unwrap());
            assert_close(&format!("{targets:?} {}", slot.name), &gradients[slot.range()], &expected, 1e-4);
        }
    }
}

#[test]
fn a_new_adapter_changes_nothing_and_only_b_has_a_gradient() {
    let config = tiny();
    let case = Case::new(&config);
    let adapter = Adapter::new(&config, &spec(&ALL, 0.1), Seed::new(42));
    let batch = case.batch();
    let mut workspace = Workspace::default();
    let mut score = |adapter| case.decoder.letter_scores(&batch, &[1, 2, 3], adapter, &mut workspace);
    assert_eq!(score(None), score(Some(&adapter)));
    let (_, gradients) = case.gradients(&batch, &adapter, Some(1));
    for slot in &adapter.plan().slots {
        let (weights, gradients) = (&adapter.weights[slot.range()], &gradients[slot.range()]);
        if slot.name.ends_with("lora_A.weight") {
            // Kaiming's uniform distribution with a = sqrt 5, as PEFT starts: the bound is 1 / sqrt(inputs).
            let bound = 1.0 / (slot.shape[1] as f32).sqrt();
            assert!(weights.iter().all(|x| x.abs() <= bound), "{} leaves its bound", slot.name);
            let spread = weights.iter().map(|x| x * x).sum::<f32>() / weights.len() as f32;
            assert!((spread / (bound * bound / 3.0) - 1.0).abs() < 0.4, "{}: {spread}", slot.name);
            assert!(gradients.iter().all(|x| *x == 0.0), "{} has a gradient", slot.name);
        } else {
            assert!(
                weights.iter().all(|x| *x == 0.0) && gradients.iter().any(|x| *x != 0.0),
                "{}",
                slot.name
            );
        }
    }
}

#[test]
fn one_more_target_leaves_the_start_of_the_others() {
    let config = tiny();
    let few = Adapter::new(&config, &spec(&[LoraTarget::VProj, LoraTarget::QProj], 0.0), Seed::new(1));
    let all = Adapter::new(&config, &spec(&ALL, 0.0), Seed::new(1));
    for slot in &few.plan().slots {
        let same = all.plan().slots.iter().find(|other| other.name == slot.name).unwrap();
        assert_eq!(few.weights[slot.range()], all.weights[same.range()], "{}", slot.name);
    }
}

#[test]
fn dropout_is_a_function_of_its_key_and_acts_in_training_only() {
    let config = tiny();
    let case = Case::new(&config);
    let mut adapter = Adapter::zeros(&config, &spec(&ALL, 0.4));
    fill(&mut adapter, 0.3);
    let batch = case.batch();
    let (still, _) = case.gradients(&batch, &adapter, None);
    let (first, gradients) = case.gradients(&batch, &adapter, Some(1));
    assert_eq!((first, gradients), case.gradients(&batch, &adapter, Some(1)));
    let (second, _) = case.gradients(&batch, &adapter, Some(2));
    assert!(still != first && first != second, "losses {still} {first} {second}");
    let loss = case.decoder.loss(&batch, &case.labels, Some(&adapter), &mut Workspace::default());
    assert_eq!(loss, still);
}

#[test]
fn gradients_under_dropout_are_those_of_finite_differences() {
    // No graph knows our masks, so slopes are measured: the mask depends on the key alone.
    let config = ModelConfig { layers: 2, ..tiny() };
    let case = Case::new(&config);
    let mut adapter = Adapter::zeros(&config, &spec(&ALL, 0.4));
    fill(&mut adapter, 0.3);
    let batch = case.batch();
    let (_, gradients) = case.gradients(&batch, &adapter, Some(5));
    let largest = gradients.iter().fold(0f32, |m, g| m.max(g.abs()));
    // Along each matrix as a whole: the slope in the direction of its gradient is the gradient's square.
    for slot in adapter.plan().slots.clone() {
        let direction = gradients[slot.range()].to_vec();
        let square: f64 = direction.iter().map(|g| f64::from(*g).powi(2)).sum();
        let step = 1e-2 / square.sqrt() as f32;
        let mut moved = |sign: f32| {
            for (weight, g) in adapter.weights[slot.range()].iter_mut().zip(&direction) {
                *weight += sign * step * g;
            }
            case.gradients(&batch, &adapter, Some(5)).0
        };
        let up = moved(1.0);
        let down = moved(-2.0);
        moved(1.0);
        let slope = (up - down) / (2.0 * f64::from(step));
        assert!(
            (slope - square).abs() <= 0.02 * square + 1e-4 * f64::from(largest),
            "{}: slope {slope:.5e}, expected {square:.5e}",
            slot.name
        );
    }
}
