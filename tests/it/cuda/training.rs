//! LRURec on a device: the same weights and candidates as on the CPU, to the last bit.

use std::sync::Arc;

use bench::cuda::{Array, Kernels, Machine, Ops, Walk};
use bench::data::ItemId;
use bench::experiment::{DatasetSource, HistoryMask, LruSpec};
use bench::nn::ops::Ops as _;
use bench::retrieve::catalogue::{MASKED, masked};
use bench::retrieve::lru::LruRec;
use bench::retrieve::lru::forward::{Masks, State, Turned, View, Wanted};
use bench::retrieve::lru::packed::{Batch, Packed};
use bench::retrieve::lru::train::Trainer;
use bench::retrieve::{Query, Retriever};
use bench::seed::Seed;
use rand::RngExt;

use super::machines;

const ITEMS: usize = 150;

fn spec() -> LruSpec {
    let mut spec = LruSpec::paper_default(&DatasetSource::Beauty);
    (spec.hidden_dim, spec.state_dim, spec.feed_forward_dim, spec.max_len) = (20, 24, 36, 12);
    (spec.dropout, spec.lru_dropout, spec.learning_rate) = (0.3, 0.2, 0.01);
    spec
}

fn windows(n: usize) -> Vec<Vec<ItemId>> {
    let mut rng = Seed::new(8).stream("test/windows");
    let mut window =
        |_| (0..rng.random_range(1..16)).map(|_| rng.random_range(1..=ITEMS as u32)).collect::<Vec<u32>>();
    let ids = (0..n).map(&mut window);
    ids.map(|ids| ids.into_iter().map(|id| ItemId::new(id).unwrap()).collect()).collect()
}

fn bits(model: &LruRec) -> Vec<u32> {
    model.params.flat.read(|weights| weights.iter().map(|weight| weight.to_bits()).collect())
}

#[test]
fn steps_of_training_have_the_losses_and_weights_of_the_cpu() {
    let (spec, windows) = (spec(), windows(60));
    for machine in machines() {
        let model = || LruRec::init(&spec, ITEMS, Seed::new(3)).unwrap();
        let mut cpu = Trainer::new(model(), &spec).unwrap();
        let mut device = Trainer::on(Ops::new(&machine), model(), &spec).unwrap();
        for (step, batch) in windows.chunks(20).enumerate() {
            let mut packed = Packed::default();
            packed.clear();
            batch.iter().for_each(|window| packed.push_window(window, spec.max_len, true));
            let masks = Masks::new(step as u64 + 1, spec.dropout, spec.lru_dropout);
            let (expected, found) = (cpu.step(&packed, masks).unwrap(), device.step(&packed, masks).unwrap());
            assert_eq!(found.to_bits(), expected.to_bits(), "step {step}: {found} is not {expected}");
        }
        assert!(bits(device.give_back().unwrap()) == bits(cpu.give_back().unwrap()), "the weights differ");
    }
}

#[test]
fn histories_get_the_candidates_and_ranks_of_the_cpu() {
    let (spec, histories) = (spec(), windows(40));
    let model = LruRec::init(&spec, ITEMS, Seed::new(4)).unwrap();
    let targets: Vec<ItemId> = (1..=40).map(|id| ItemId::new(id).unwrap()).collect();
    let query = Query { histories: &histories, targets: &targets, k: 20, mask: HistoryMask::All };
    let expected = model.retrieve(&query).unwrap();
    for machine in machines() {
        let found = on_device(&machine, &model, &spec, &query);
        assert_eq!(found.0, expected.candidates);
        assert_eq!(found.1, expected.ranks.iter().map(|rank| rank.get() - 1).collect::<Vec<u32>>());
    }
}

/// Candidates, and how many items come before each target.
fn on_device(
    machine: &Arc<dyn Machine>,
    model: &LruRec,
    spec: &LruSpec,
    query: &Query<'_>,
) -> (Vec<u32>, Vec<u32>) {
    let mut ops = Ops::new(machine);
    let view = model.view();
    let mut weights = ops.floats();
    ops.set(&mut weights, view.weights).unwrap();
    let mut turned = vec![Turned::new(&ops), Turned::new(&ops)];
    for (block, turned) in view.plan.blocks.iter().zip(&mut turned) {
        turned.update(&mut ops, view.shape, block, &weights).unwrap();
    }
    let mut packed = Packed::default();
    packed.clear();
    query.histories.iter().for_each(|history| packed.push_history(history, spec.max_len));
    let (mut batch, mut state) = (Batch::new(&ops), State::new(&ops, 2));
    batch.fill(&mut ops, &packed).unwrap();
    let on = View { shape: view.shape, plan: view.plan, weights: &weights, turned: &turned };
    on.forward(&mut ops, &batch, Masks::new(0, 0.0, 0.0), Wanted::Last, &mut state).unwrap();
    let (mut masks, mut offsets) = (Vec::new(), vec![0u32]);
    for history in query.histories {
        masks.extend(masked(history, query.mask, spec.max_len));
        offsets.push(masks.len() as u32);
    }
    let targets: Vec<u32> = query.targets.iter().map(|item| item.get()).collect();
    let ids = |values: &[u32]| Array::of(machine, values).unwrap();
    let (targets, masks, offsets) = (ids(&targets), ids(&masks), ids(&offsets));
    let walked = Kernels::new(Arc::clone(machine))
        .walk(Walk {
            width: spec.hidden_dim,
            k: query.k,
            masked: MASKED,
            states: state.blocks[1].out.all(),
            weight: weights.part(view.plan.embedding.clone()),
            bias: weights.part(view.plan.bias.clone()),
            targets: targets.all(),
            masks: masks.all(),
            offsets: offsets.all(),
        })
        .unwrap();
    (walked.candidates.get().unwrap(), walked.better.get().unwrap())
}
