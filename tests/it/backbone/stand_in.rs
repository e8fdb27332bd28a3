//! Weights that stand in for those of a model.

use bench::backbone::{Architecture, Error, ModelConfig, Weights};
use bench::events::{Interrupt, Silent};
use bench::nn::quant::{Frozen, Storage};

use crate::rank::tiny;

fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Qwen2,
        qkv_bias: true,
        hidden: 256,
        intermediate: 700,
        ..tiny::config()
    }
}

fn draw(threads: usize, storage: Storage) -> Weights {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| Weights::stand_in(&config(), (storage, false), &Silent, &Interrupt::default()).unwrap())
}

fn numbers(matrix: &Frozen) -> Vec<f32> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    let mut numbers = vec![f32::NAN; rows * cols];
    matrix.read(0, rows, 0, cols, &mut numbers, cols);
    numbers
}

#[test]
fn a_shape_has_the_same_weights_on_any_number_of_threads() {
    let one = draw(1, Storage::F32);
    for threads in [2, 3] {
        let other = draw(threads, Storage::F32);
        assert!(numbers(&one.embed) == numbers(&other.embed));
        for (a, b) in one.layers.iter().zip(&other.layers) {
            for (a, b) in a.projections().into_iter().zip(b.projections()) {
                assert!(numbers(&a.weight) == numbers(&b.weight));
            }
        }
    }
}

#[test]
fn weights_are_normal_and_no_two_matrices_are_alike() {
    let weights = draw(2, Storage::F32);
    let layer = &weights.layers[0];
    assert!(numbers(&layer.gate.weight) != numbers(&layer.up.weight));
    assert!(numbers(&layer.gate.weight) != numbers(&weights.layers[1].gate.weight));
    let values = numbers(&layer.gate.weight);
    let n = values.len() as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let moment = |power: i32| values.iter().map(|x| (f64::from(*x) / 0.02).powi(power)).sum::<f64>() / n;
    // Five standard errors of mean, second and fourth moment of n standard normal draws.
    assert!(mean.abs() < 5.0 * 0.02 / n.sqrt(), "{mean}");
    assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{}", moment(2));
    assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "{}", moment(4));
    // Neighbours are no function of each other.
    let pairs = values.windows(2).map(|pair| f64::from(pair[0]) * f64::from(pair[1])).sum::<f64>() / n;
    assert!(pairs.abs() < 5.0 * 0.0004 / n.sqrt(), "{pairs}");
    assert!(layer.input_norm.iter().all(|x| *x == 1.0));
    assert_eq!(layer.q.bias.as_ref().map(|bias| bias.iter().all(|x| *x == 0.0)), Some(true));
}

#[test]
fn quantized_weights_are_those_of_the_same_numbers() {
    let plain = draw(1, Storage::F32);
    for storage in [Storage::Bf16, Storage::Int8, Storage::Nf4 { double: true }] {
        let stored = draw(2, storage);
        let (rows, cols) = (700, 256);
        let wanted = Frozen::quantize(storage, rows, cols, &numbers(&plain.layers[1].gate.weight));
        assert!(numbers(&stored.layers[1].gate.weight) == numbers(&wanted), "{storage:?}");
        assert_eq!(stored.embed.storage(), Storage::Bf16);
    }
    // As the files of a float16 model are read.
    let wide = Weights::stand_in(&config(), (Storage::Int8, true), &Silent, &Interrupt::default()).unwrap();
    assert_eq!((wide.embed.storage(), wide.storage()), (Storage::F32, Storage::Int8));
}

#[test]
fn a_shape_that_no_model_has_and_an_interrupt_are_errors() {
    let odd = ModelConfig { head_dim: 7, ..config() };
    match Weights::stand_in(&odd, (Storage::F32, false), &Silent, &Interrupt::default()) {
        Err(error @ Error::Shape { .. }) => assert_eq!(
            error.to_string(),
            "no model can have this shape: head_dim 7 is odd, so its numbers cannot turn in pairs"
        ),
        other => panic!("{:?}", other.map(|weights| weights.bytes())),
    }
    let interrupt = Interrupt::default();
    interrupt.request();
    let stopped = Weights::stand_in(&config(), (Storage::F32, false), &Silent, &interrupt);
    assert!(matches!(stopped, Err(Error::Interrupted)));
}
