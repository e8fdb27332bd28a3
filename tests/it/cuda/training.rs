//! LRURec on a device: the same weights and candidates as on the CPU, to the last bit.

use bench::cuda::Ops;
use bench::data::{ItemId, Part, Split};
use bench::events::{Interrupt, Silent};
use bench::experiment::{Averaging, DatasetSource, HistoryMask, LruSpec};
use bench::retrieve::lru::LruRec;
use bench::retrieve::lru::forward::Masks;
use bench::retrieve::lru::packed::Packed;
use bench::retrieve::lru::train::{TrainOptions, Trained, Trainer, train as train_lru, train_on};
use bench::retrieve::{Query, Retriever};
use bench::seed::Seed;
use rand::RngExt;

use crate::support::Memory;

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
        assert!(bits(&device.give_back().unwrap()) == bits(&cpu.give_back().unwrap()), "the weights differ");
    }
}

#[test]
fn a_whole_training_has_the_curve_the_weights_and_the_candidates_of_the_cpu() {
    let mut spec = spec();
    (spec.batch_size, spec.max_epochs, spec.validate_every_steps, spec.patience) = (16, 3, 4, 2);
    let mut rng = Seed::new(12).stream("test/split");
    let mut item = || ItemId::new(rng.random_range(1..=ITEMS as u32)).unwrap();
    let train: Vec<Vec<ItemId>> = (0..50).map(|user| (0..2 + user % 15).map(|_| item()).collect()).collect();
    let (validation, test) = ((0..50).map(|_| item()).collect(), (0..50).map(|_| item()).collect());
    let fingerprint = serde_json::from_str("\"ab\"").unwrap();
    let split = Split { train, validation, test, n_items: ITEMS, fingerprint };
    let (interrupt, seed) = (Interrupt::default(), Seed::new(9));
    let options = TrainOptions {
        averaging: Averaging::Users,
        mask_history: HistoryMask::All,
        reporter: &Silent,
        interrupt: &interrupt,
        checkpoints: &Memory::new(Interrupt::default()),
    };
    let expected = train_lru(&spec, &split, seed, options).unwrap();
    let histories = split.histories(Part::Test);
    let query =
        Query { histories: &histories, targets: split.targets(Part::Test), k: 20, mask: HistoryMask::All };
    let candidates = expected.model.retrieve(&query).unwrap();
    for machine in machines() {
        let memory = Memory::new(Interrupt::default());
        let options = TrainOptions { checkpoints: &memory, ..options };
        let found = train_on(Ops::new(&machine), &spec, &split, seed, options).unwrap();
        let metrics =
            |trained: &Trained| trained.curve.iter().map(|point| point.metric.to_bits()).collect::<Vec<_>>();
        let losses =
            |trained: &Trained| trained.curve.iter().map(|point| point.train_loss).collect::<Vec<_>>();
        assert_eq!((metrics(&found), losses(&found)), (metrics(&expected), losses(&expected)));
        assert_eq!((found.best_step, found.steps), (expected.best_step, expected.steps));
        assert!(bits(&found.model) == bits(&expected.model), "the weights differ");
        // Retrieved there too, by the model that is in training.
        let mut trainer = Trainer::on(Ops::new(&machine), found.model, &spec).unwrap();
        let again = trainer.retrieve(&query).unwrap();
        assert_eq!(
            (again.candidates, again.ranks),
            (candidates.candidates.clone(), candidates.ranks.clone())
        );
        assert!(again.scores.iter().zip(&candidates.scores).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert_eq!(again.tied_users, candidates.tied_users);
    }
}
