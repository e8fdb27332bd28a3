//! Training batches and evaluation histories, real where the datasets are at hand.

use std::collections::BTreeMap;
use std::path::Path;

use bench::data::{Dataset, ItemId, Part, Split};
use bench::events::Silent;
use bench::experiment::{DatasetSource, DatasetSpec, LruSpec};
use bench::nn::init::permutation;
use bench::retrieve::lru::LruRec;
use bench::retrieve::lru::packed::{Packed, windows};
use bench::seed::Seed;
use candle_core::{Device, Tensor};
use rand::RngExt;

/// The datasets of the paper: name, users, items, mean training window.
pub const SHAPES: [(&str, usize, usize, f64); 3] =
    [("beauty", 22_332, 12_086, 6.9), ("games", 15_264, 7_676, 7.6), ("ml-100k", 610, 3_650, 149.0)];

/// What one dataset's measurements are made on.
pub struct Input {
    /// Its settings in the paper.
    pub spec: LruSpec,
    /// How many items.
    pub items: usize,
    /// Training windows, a batch after another.
    pub batches: Vec<Vec<Vec<ItemId>>>,
    /// Test histories and targets of all users.
    pub histories: Vec<Vec<ItemId>>,
    pub targets: Vec<ItemId>,
    /// Whether these are the real dataset's.
    pub real: bool,
}

fn source(name: &str) -> DatasetSource {
    match name {
        "beauty" => DatasetSource::Beauty,
        "games" => DatasetSource::Games,
        _ => DatasetSource::Ml100k,
    }
}

/// `steps` batches of `name`, and everyone's test history.
pub fn load(name: &str, steps: usize) -> Input {
    let spec = LruSpec::paper_default(&source(name));
    let data = std::env::var_os("BENCH_DATA_DIR");
    let loaded =
        data.and_then(|dir| Dataset::load(&DatasetSpec::new(source(name)), Path::new(&dir), &Silent).ok());
    let real = loaded.is_some();
    let (train, histories, targets, items) = match loaded {
        Some(dataset) => {
            let split = Split::leave_one_out(&dataset).expect("5-core users have three items");
            let (histories, targets) = (split.histories(Part::Test), split.test.clone());
            (split.train, histories, targets, split.n_items)
        }
        None => made_up(name),
    };
    let cut = windows(&train, spec.max_len, false);
    let mut rng = Seed::new(7).stream("bench/batches");
    let mut batches = Vec::new();
    while batches.len() < steps {
        for batch in permutation(&mut rng, cut.len()).chunks_exact(spec.batch_size) {
            let window = |w: &u32| {
                let (s, from, to) = cut[*w as usize];
                train[s as usize][from as usize..to as usize].to_vec()
            };
            batches.push(batch.iter().map(window).collect());
        }
    }
    batches.truncate(steps);
    Input { spec, items, batches, histories, targets, real }
}

type MadeUp = (Vec<Vec<ItemId>>, Vec<Vec<ItemId>>, Vec<ItemId>, usize);

fn made_up(name: &str) -> MadeUp {
    let (_, users, items, mean) = SHAPES.into_iter().find(|shape| shape.0 == name).expect("a known dataset");
    let mut rng = Seed::new(7).stream("bench/made-up");
    let mut sequence = |n: usize| -> Vec<ItemId> {
        (0..n).filter_map(|_| ItemId::new(rng.random_range(1..=items as u64) as u32)).collect()
    };
    let mut lengths = Seed::new(7).stream("bench/lengths");
    let mut train = Vec::new();
    for _ in 0..users {
        let extra = -(1.0 - lengths.random::<f64>()).ln() * (mean - 3.0);
        train.push(sequence(3 + extra as usize));
    }
    let mut histories = train.clone();
    histories.iter_mut().for_each(|history| history.extend(sequence(1)));
    let targets = sequence(users);
    (train, histories, targets, items)
}

impl Input {
    /// A batch as this crate trains it.
    pub fn packed(&self, batch: usize) -> Packed {
        let mut packed = Packed::default();
        packed.clear();
        for window in &self.batches[batch] {
            packed.push_window(window, self.spec.max_len, self.spec.first_item_label);
        }
        packed
    }

    /// Labels in a batch, on average: the positions that need computing.
    pub fn mean_positions(&self) -> f64 {
        let all: usize = (0..self.batches.len()).map(|b| self.packed(b).labels.len()).sum();
        all as f64 / self.batches.len() as f64
    }

    /// Write the batches padded, and initial weights, for the peer.
    pub fn export(&self, batches: &Path, weights: &Path) {
        let (s, b, l) = (self.batches.len(), self.spec.batch_size, self.spec.max_len);
        let (mut ids, mut labels) = (vec![0i64; s * b * l], vec![0i64; s * b * l]);
        for (row, window) in self.batches.iter().flatten().enumerate() {
            let inputs = &window[..window.len() - 1];
            right(&mut ids[row * l..][..l], inputs);
            right(&mut labels[row * l..][..l], window);
        }
        let evaluated = self.histories.len().div_ceil(b).min(20) * b;
        let (mut eval_ids, mut answers) = (vec![0i64; evaluated * l], vec![0i64; evaluated]);
        for row in 0..evaluated {
            let user = row % self.histories.len();
            right(&mut eval_ids[row * l..][..l], &self.histories[user]);
            answers[row] = i64::from(self.targets[user].get());
        }
        let tensor =
            |data: Vec<i64>, shape: &[usize]| Tensor::from_vec(data, shape, &Device::Cpu).expect("a tensor");
        let e = evaluated / b;
        let named = BTreeMap::from([
            ("input_ids", tensor(ids, &[s, b, l])),
            ("labels", tensor(labels, &[s, b, l])),
            ("eval_input_ids", tensor(eval_ids, &[e, b, l])),
            ("eval_answers", tensor(answers, &[e, b])),
        ]);
        safetensors::serialize_to_file(named, None, batches).expect("write the batches");
        let model = LruRec::init(&self.spec, self.items, Seed::new(1)).expect("a model");
        std::fs::write(weights, model.params.to_safetensors().expect("weights")).expect("write the weights");
    }
}

/// The last items that fit, at the right end.
fn right(row: &mut [i64], items: &[ItemId]) {
    let count = items.len().min(row.len());
    let at = row.len() - count;
    for (to, item) in row[at..].iter_mut().zip(&items[items.len() - count..]) {
        *to = i64::from(item.get());
    }
}
