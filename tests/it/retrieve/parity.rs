//! LRURec against PyTorch: fixtures made by the reference's own model code (see the README beside them).

use std::collections::BTreeMap;
use std::path::Path;

use bench::data::ItemId;
use bench::experiment::{DatasetSource, HistoryMask, LruSpec};
use bench::nn::ops::Cpu;
use bench::nn::params::Params;
use bench::retrieve::lru::LruRec;
use bench::retrieve::lru::forward::{Masks, State, Wanted};
use bench::retrieve::lru::packed::{Batch, Packed};
use bench::retrieve::lru::train::Trainer;
use bench::retrieve::{Query, Retriever};
use candle_core::{Device, Tensor};

use crate::support::shared;

type Named = BTreeMap<String, Tensor>;

fn load(path: &Path) -> Named {
    candle_core::safetensors::load(path, &Device::Cpu).expect("a fixture").into_iter().collect()
}

fn f32s(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn i64s(tensor: &Tensor) -> Vec<i64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest error, relative to the largest value expected.
fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0f32, |m, x| m.max(x.abs())).max(1e-12);
    f64::from(found.iter().zip(expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()))) / f64::from(scale)
}

fn assert_close(name: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    let error = error(found, expected);
    assert!(error <= tolerance, "{name}: relative error {error:.2e} is above {tolerance:.0e}");
}

fn small_spec() -> LruSpec {
    let mut spec = LruSpec::paper_default(&DatasetSource::Beauty);
    spec.max_len = 24;
    spec.dropout = 0.0;
    spec.lru_dropout = 0.0;
    spec
}

fn still() -> Masks {
    Masks::new(0, 0.0, 0.0)
}

/// The fixture's padded batch as packed sequences, and for each packed position its place in the padded batch.
fn pack(io: &Named) -> (Packed, Vec<(usize, usize)>) {
    let (ids, labels) = (i64s(&io["input_ids"]), i64s(&io["labels"]));
    let (b, l) = io["input_ids"].dims2().unwrap();
    let (mut packed, mut places) = (Packed::default(), Vec::new());
    packed.clear();
    for row in 0..b {
        for at in 0..l {
            let (id, label) = (ids[row * l + at], labels[row * l + at]);
            if label == 0 {
                continue;
            }
            packed.tokens.push(id as u32);
            packed.labels.push(label as u32);
            places.push((row, at));
            if id == 0 || at + 1 == l {
                packed.starts.push(packed.tokens.len() as u32);
            }
        }
    }
    (packed, places)
}

#[test]
fn states_and_logits_equal_those_of_pytorch() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("fixtures/lrurec_small");
    for tag in ["init", "trained"] {
        let model = LruRec::zeros(&small_spec(), 100).unwrap();
        let mut model = model;
        model.params.assign(&load(&folder.join(format!("{tag}.weights.safetensors")))).unwrap();
        model.refresh();
        let io = load(&folder.join(format!("{tag}.io.safetensors")));
        let (packed, places) = pack(&io);
        let mut ops = Cpu::default();
        let (mut state, mut batch) = (State::new(&ops, 2), Batch::new(&ops));
        let Ok(()) = batch.fill(&mut ops, &packed);
        let Ok(()) = model.view(|view| view.forward(&mut ops, &batch, still(), Wanted::Every, &mut state));
        let pad = io["block0_h.real"].dims()[1] - io["input_ids"].dims()[1];
        for block in 0..2 {
            for (part, offset) in [("real", 0), ("imag", 128)] {
                let name = format!("block{block}_h.{part}");
                let expected = io[&name].to_vec3::<f32>().unwrap();
                let expected: Vec<f32> =
                    places.iter().flat_map(|&(r, t)| expected[r][t + pad].clone()).collect();
                let found: Vec<f32> = state.blocks[block]
                    .h
                    .chunks(256)
                    .flat_map(|row| row[offset..offset + 128].to_vec())
                    .collect();
                assert_close(&format!("{tag} {name}"), &found, &expected, 1e-5);
            }
            let name = format!("block{block}_lru_out");
            let expected = io[&name].to_vec3::<f32>().unwrap();
            let expected: Vec<f32> = places.iter().flat_map(|&(r, t)| expected[r][t + pad].clone()).collect();
            assert_close(&format!("{tag} {name}"), &state.blocks[block].y, &expected, 1e-5);
        }
        let weights = f32s(&model.params.named().unwrap()["embedding.token.weight"]);
        let bias = f32s(&model.params.named().unwrap()["model.bias"]);
        let logits = io["logits"].to_vec3::<f32>().unwrap();
        let expected: Vec<f32> = places.iter().flat_map(|&(r, t)| logits[r][t].clone()).collect();
        let found: Vec<f32> = state.blocks[1]
            .out
            .chunks(64)
            .flat_map(|h| {
                (0..101)
                    .map(|item| bench::nn::cross_entropy::logit(h, &weights, &bias, item))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_close(&format!("{tag} logits"), &found, &expected, 1e-5);
    }
}

#[test]
fn loss_and_every_gradient_equal_those_of_pytorch() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("fixtures/lrurec_small");
    for tag in ["init", "trained"] {
        let mut model = LruRec::zeros(&small_spec(), 100).unwrap();
        model.params.assign(&load(&folder.join(format!("{tag}.weights.safetensors")))).unwrap();
        model.refresh();
        let io = load(&folder.join(format!("{tag}.io.safetensors")));
        let (packed, _) = pack(&io);
        let plan = model.params.plan.clone();
        let mut trainer = Trainer::new(model, &small_spec()).unwrap();
        let loss = trainer.gradients(&packed, still()).unwrap();
        assert_close(&format!("{tag} loss"), &[loss as f32], &f32s(&io["loss"]), 1e-6);
        let norm = trainer.gradient().unwrap().read(bench::nn::adamw::norm);
        assert_close(&format!("{tag} gradient norm"), &[norm as f32], &f32s(&io["grad_norm"]), 1e-5);
        let gradients = Params { plan: plan.clone(), flat: trainer.gradient().unwrap() }.named().unwrap();
        let expected = load(&folder.join(format!("{tag}.grads.safetensors")));
        let mut compared = 0;
        for slot in &plan.slots {
            match expected.get(&slot.name) {
                Some(expected) => {
                    assert_close(
                        &format!("{tag} {}", slot.name),
                        &f32s(&gradients[&slot.name]),
                        &f32s(expected),
                        1e-4,
                    );
                    compared += 1;
                }
                None => assert!(
                    f32s(&gradients[&slot.name]).iter().all(|x| *x == 0.0),
                    "{} has a gradient",
                    slot.name
                ),
            }
        }
        assert_eq!(compared, expected.len(), "every gradient of the fixture is compared");
    }
}

/// Weights after three steps of AdamW from the fixture's initial weights, in the order of the plan.
fn three_steps(folder: &Path, decay: &str, clip: &str) -> Vec<(String, Vec<f32>)> {
    let (packed, _) = pack(&load(&folder.join("init.io.safetensors")));
    let mut spec = small_spec();
    spec.weight_decay = decay.parse().unwrap();
    spec.max_grad_norm = clip.parse().unwrap();
    let mut model = LruRec::zeros(&spec, 100).unwrap();
    model.params.assign(&load(&folder.join("init.weights.safetensors"))).unwrap();
    model.refresh();
    let mut trainer = Trainer::new(model, &spec).unwrap();
    for _ in 0..3 {
        trainer.step(&packed, still()).unwrap();
    }
    trainer
        .give_back()
        .unwrap()
        .params
        .named()
        .unwrap()
        .iter()
        .map(|(name, t)| (name.clone(), f32s(t)))
        .collect()
}

#[test]
fn weights_after_three_steps_equal_those_of_pytorch() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("fixtures/lrurec_small");
    for (decay, clip) in [("0.0", "5"), ("0.0", "0.05"), ("0.01", "5"), ("0.01", "0.05")] {
        let expected = load(&folder.join(format!("adamw_3steps_wd{decay}_clip{clip}.weights.safetensors")));
        let found = three_steps(&folder, decay, clip);
        assert_eq!(expected.len(), found.len());
        let (mut apart, mut all) = (0, 0);
        for (name, found) in &found {
            let expected = f32s(&expected[name]);
            let square = |x: f32| f64::from(x) * f64::from(x);
            let off: f64 = found.iter().zip(&expected).map(|(a, b)| square(a - b)).sum();
            let error = (off / expected.iter().map(|x| square(*x)).sum::<f64>().max(1e-12)).sqrt();
            assert!(
                error <= 1e-4,
                "decay {decay}, clip {clip}: {name}: relative error {error:.2e} is above 1e-4"
            );
            // Adam divides by the gradient's own size, so an element whose gradient is rounding noise may move by anything up
            // to a step: PyTorch's own builds differ there by more than 1e-4. There may be only a handful of them.
            let scale = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
            apart += found.iter().zip(&expected).filter(|(a, b)| (*a - *b).abs() > 1e-4 * scale).count();
            all += found.len();
        }
        println!(
            "decay {decay}, clip {clip}: {apart} of {all} elements differ by more than 1e-4 of their tensor's largest"
        );
        assert!(apart * 5000 <= all, "decay {decay}, clip {clip}: {apart} of {all} elements are apart");
    }
}

#[test]
fn weight_decay_reaches_the_tensors_that_it_reaches_in_pytorch() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("fixtures/lrurec_small");
    // Three steps of decay move a weight by 3e-5 of itself, less than the tolerance of the test above, so look at the
    // difference between runs with and without: its projection on the weights is 1 where they decay and 0 elsewhere.
    let file = |decay: &str| load(&folder.join(format!("adamw_3steps_wd{decay}_clip5.weights.safetensors")));
    let (still_expected, decayed_expected) = (file("0.0"), file("0.01"));
    let (still, decayed) = (three_steps(&folder, "0.0", "5"), three_steps(&folder, "0.01", "5"));
    let project = |still: &[f32], decayed: &[f32]| {
        let (mut dot, mut norm) = (0f64, 0f64);
        for (a, b) in still.iter().zip(decayed) {
            dot += f64::from(a - b) * f64::from(*a);
            norm += f64::from(*a) * f64::from(*a);
        }
        dot / norm.max(1e-12) / 3e-5
    };
    for ((name, still), (_, decayed)) in still.iter().zip(&decayed) {
        let expected = project(&f32s(&still_expected[name]), &f32s(&decayed_expected[name])).round();
        let found = project(still, decayed);
        assert!(
            (found - expected).abs() < 0.2,
            "{name}: decays by {found:.3} of what is given, expected {expected}"
        );
    }
}

/// Item ids in the order of the fixture, titles apart.
fn ml100k(shared: &Path) -> (Vec<Vec<ItemId>>, usize) {
    use std::io::Read;
    let read = |name: &str| {
        let mut text = String::new();
        let file = std::fs::File::open(shared.join("data/golden").join(name)).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        text
    };
    let titles = read("ml-100k.titles.jsonl.gz");
    let ids: BTreeMap<u64, u32> = titles
        .lines()
        .enumerate()
        .map(|(i, line)| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            (row[0].as_u64().unwrap(), i as u32 + 1)
        })
        .collect();
    let sequence = |line: &str| -> Vec<ItemId> {
        let items = line.split_once('\t').unwrap().1;
        items.split(' ').map(|raw| ItemId::new(ids[&raw.parse().unwrap()]).unwrap()).collect()
    };
    (read("ml-100k.sequences.tsv.gz").lines().map(sequence).collect(), ids.len())
}

#[test]
fn a_trained_reference_model_ranks_every_ml_100k_user_as_in_pytorch() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("fixtures/lrurec_ml100k");
    let (sequences, items) = ml100k(&shared);
    assert_eq!((sequences.len(), items), (610, 3650));
    let mut model = LruRec::zeros(&LruSpec::paper_default(&DatasetSource::Ml100k), items).unwrap();
    model.params.assign(&load(&folder.join("best.weights.safetensors"))).unwrap();
    model.refresh();
    let expected = load(&folder.join("ranks.safetensors"));
    let (mut equal, mut swapped) = (0, 0);
    for (part, held_out) in [("val", 2), ("test", 1)] {
        let histories: Vec<_> = sequences.iter().map(|s| s[..s.len() - held_out].to_vec()).collect();
        let targets: Vec<_> = sequences.iter().map(|s| s[s.len() - held_out]).collect();
        let query = Query { histories: &histories, targets: &targets, k: 20, mask: HistoryMask::Window };
        let found = model.retrieve(&query).unwrap();
        let get = |what: &str| &expected[&format!("{part}_{what}")];
        let (labels, rank0) = (i64s(get("labels")), i64s(get("rank0")));
        let (top, top_scores) = (i64s(get("top20")), f32s(get("top20_scores")));
        for user in 0..610 {
            assert_eq!(i64::from(targets[user].get()), labels[user], "{part} user {user}");
            let rank = i64::from(found.ranks[user].get()) - 1;
            if rank == rank0[user] {
                equal += 1;
            } else {
                // Only neighbours whose scores the reference itself cannot tell apart may swap.
                assert!(
                    (rank - rank0[user]).abs() <= 2,
                    "{part} user {user}: rank {rank}, expected {}",
                    rank0[user]
                );
                swapped += 1;
            }
            for place in 0..20 {
                let at = user * 20 + place;
                assert!((found.scores[at] - top_scores[at]).abs() < 1e-3, "{part} user {user} place {place}");
                if i64::from(found.candidates[at]) != top[at] {
                    let neighbour = (0..20).find(|p| top[user * 20 + p] == i64::from(found.candidates[at]));
                    let expected =
                        neighbour.map_or(top_scores[user * 20 + 19], |p| top_scores[user * 20 + p]);
                    assert!((expected - top_scores[at]).abs() < 1e-4, "{part} user {user} place {place}");
                }
            }
        }
    }
    println!("{equal} of 1220 ranks equal, {swapped} swapped with a neighbour");
    assert_eq!(equal + swapped, 1220);
    assert!(swapped <= 3, "{swapped} swaps");
}
