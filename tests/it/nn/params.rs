//! Named weights in files.

use std::collections::BTreeMap;

use bench::nn::params::{Error, Flat, Params, Plan};
use candle_core::{Device, Tensor};

use super::tools::{bits, values};

/// Three tensors with gaps between them.
fn params() -> Params {
    let mut plan = Plan::default();
    for (name, shape, decays) in
        [("a.weight", &[3, 5][..], true), ("a.bias", &[5], false), ("b.weight", &[2, 2, 2], true)]
    {
        plan.align();
        plan.push(name, shape, decays);
    }
    plan.align();
    Params::zeros(plan).unwrap()
}

/// The same with random weights; the gaps stay 0.
fn filled(seed: u64) -> Params {
    let params = params();
    params
        .flat
        .write(|all| {
            for slot in &params.plan.slots {
                all[slot.range()].copy_from_slice(&values(seed + slot.offset as u64, slot.len(), 1.0));
            }
        })
        .unwrap();
    params
}

fn assert_refused(named: &BTreeMap<String, Tensor>, message: &str) {
    let params = filled(9);
    let before = params.flat.read(bits);
    let error = params.assign(named).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert_eq!(params.flat.read(bits), before, "nothing has changed");
}

#[test]
fn a_file_brings_back_every_bit() {
    let from = filled(1);
    // Values that text or another width would not keep.
    from.flat.write(|all| all[..4].copy_from_slice(&[-0.0, f32::MIN_POSITIVE / 8.0, f32::MAX, 0.1])).unwrap();
    let bytes = from.to_safetensors().unwrap();
    let to = params();
    to.assign_safetensors(&bytes).unwrap();
    assert_eq!(to.flat.read(bits), from.flat.read(bits));
    assert_eq!(to.to_safetensors().unwrap(), bytes);
}

#[test]
fn views_share_the_memory_of_the_flat_tensor() {
    let params = filled(1);
    let view = params.named().unwrap()["a.bias"].clone();
    let slot = params.plan.slots.iter().find(|slot| slot.name == "a.bias").unwrap();
    params.flat.write(|all| all[slot.offset] = 42.0).unwrap();
    assert_eq!(view.to_vec1::<f32>().unwrap()[0], 42.0);
    assert_eq!(view.dims(), [5]);
}

#[test]
fn tensors_begin_on_cache_lines_and_the_decayed_ranges_are_theirs() {
    let params = params();
    let offsets: Vec<usize> = params.plan.slots.iter().map(|slot| slot.offset).collect();
    assert_eq!(offsets, [0, 16, 32]);
    assert_eq!(params.plan.len, 48);
    assert_eq!(params.plan.decayed(), [(0, 15), (32, 40)]);
    params.flat.read(|all| assert_eq!(all.as_ptr() as usize % 64, 0));
    for len in [0, 1, 17, 1000] {
        Flat::zeros(len).unwrap().read(|all| {
            assert_eq!((all.as_ptr() as usize % 64, all.len()), (0, len));
            assert!(all.iter().all(|x| *x == 0.0));
        });
    }
}

#[test]
fn a_wrong_shape_is_refused() {
    let mut named = filled(1).named().unwrap();
    named.insert("a.bias".into(), Tensor::zeros(6, candle_core::DType::F32, &Device::Cpu).unwrap());
    assert_refused(
        &named,
        "a.bias has shape [6], expected [5]; is this file of the same model and settings?",
    );
}

#[test]
fn as_many_elements_in_another_shape_are_refused() {
    let mut named = filled(1).named().unwrap();
    let turned = named["a.weight"].t().unwrap().contiguous().unwrap();
    named.insert("a.weight".into(), turned);
    assert_refused(
        &named,
        "a.weight has shape [5, 3], expected [3, 5]; is this file of the same model and settings?",
    );
}

#[test]
fn a_missing_weight_is_refused() {
    let mut named = filled(1).named().unwrap();
    named.remove("b.weight");
    assert_refused(
        &named,
        "weights lack b.weight of shape [2, 2, 2]; is this file of the same model and settings?",
    );
}

#[test]
fn an_unknown_weight_is_refused() {
    let mut named = filled(1).named().unwrap();
    let extra = named["a.bias"].clone();
    named.insert("c.bias".into(), extra);
    assert_refused(
        &named,
        "c.bias is not a weight of this model; is this file of the same model and settings?",
    );
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    for (value, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut named = filled(1).named().unwrap();
        let mut weights = values(1, 8, 1.0);
        weights[6] = value;
        named.insert("b.weight".into(), Tensor::from_vec(weights, (2, 2, 2), &Device::Cpu).unwrap());
        assert_refused(
            &named,
            &format!("b.weight holds {text} at element 6; the file is damaged or the training diverged"),
        );
    }
}

#[test]
fn bytes_that_are_no_safetensors_file_are_refused() {
    let params = filled(2);
    let before = params.flat.read(bits);
    let whole = filled(1).to_safetensors().unwrap();
    for bytes in [&b""[..], b"hello", &whole[..whole.len() - 1], &whole[1..]] {
        assert!(matches!(params.assign_safetensors(bytes), Err(Error::Candle(_))));
    }
    assert_eq!(params.flat.read(bits), before);
}

#[test]
fn other_number_types_are_refused_and_change_nothing() {
    let params = filled(2);
    let before = params.flat.read(bits);
    let mut named = filled(1).named().unwrap();
    let halves = named["b.weight"].to_dtype(candle_core::DType::F64).unwrap();
    named.insert("b.weight".into(), halves);
    assert!(params.assign(&named).is_err());
    assert_eq!(params.flat.read(bits), before);
}
