//! A model with an adapter on a device, against transformers and PEFT: the fixture of `backbone/peft.rs`.

use bench::backbone::decoder::{Batch, Keep, Step, Transformer};
use bench::cuda::{DecoderOps, Numbers};
use bench::rank::engine::{Device, Engine, Upload};
use half::bf16;

use super::machines;
use crate::backbone::peft::{TAGS, adapter, backbone, f64s, folder, i64s, load, prompts, slices, training};

/// The length of the difference over that of what is expected.
fn apart(expected: &[f64], found: &[f32]) -> f64 {
    assert_eq!(expected.len(), found.len());
    let length = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
    length(&mut expected.iter().zip(found).map(|(x, y)| x - f64::from(*y)))
        / length(&mut expected.iter().copied())
}

fn compare<E: Numbers>(name: &str, scores: f64, loss: f64, gradients: f64) {
    let Some(folder) = folder() else { return };
    for machine in machines() {
        for tag in TAGS {
            let io = load(&folder.join(format!("{tag}.io.safetensors")));
            let weights = backbone(&folder, 2);
            let adapter = adapter(&folder, &weights.config, tag);
            let model: Transformer<DecoderOps<E>> =
                Transformer::new(weights.to(&mut Upload::new(&machine)).unwrap());
            let mut engine = Device::new(&model, &machine);
            let asked = prompts(&io, "eval");
            let letters: Vec<u32> = i64s(&io["verbalizer_ids"]).into_iter().map(|id| id as u32).collect();
            let found = engine.scores(&Batch::new(&slices(&asked), 1), &letters, Some(&adapter)).unwrap();
            let of_scores = apart(&f64s(&io["verbalizer_logits"]), &found);

            let (taught, labels) = training(&io);
            let batch = Batch::new(&slices(&taught), 2);
            let step = Step { dropout: None, labels: 8, keep: Keep::States(1) };
            let mut found = vec![0.0; adapter.weights.len()];
            let of_loss = apart(
                &f64s(&io["loss"]),
                &[engine.learn(&batch, &labels, &adapter, step, &mut found).unwrap() as f32],
            );
            let expected = load(&folder.join(format!("{tag}.lora_grads.safetensors")));
            let slots = &adapter.plan().slots;
            let all: Vec<f64> = slots.iter().flat_map(|slot| f64s(&expected[&slot.name])).collect();
            let ordered: Vec<f32> = slots.iter().flat_map(|slot| found[slot.range()].to_vec()).collect();
            let of_gradients = apart(&all, &ordered);
            println!(
                "{}, {tag} in {name}: scores {of_scores:.1e}, loss {of_loss:.1e}, gradients {of_gradients:.1e}",
                machine.name()
            );
            assert!(of_scores < scores && of_loss < loss && of_gradients < gradients, "{tag} in {name}");
        }
    }
}

#[test]
fn in_f32_scores_loss_and_gradients_are_those_of_transformers_and_peft() {
    compare::<f32>("f32", 1e-5, 1e-5, 1e-4);
}

#[test]
fn in_bf16_they_are_but_for_rounding() {
    // A rounding is off by up to 1 in 512, and a dozen come one after the other on the way to a gradient.
    compare::<bf16>("bf16", 4e-2, 4e-2, 4e-2);
}
