//! Made-up runs of the whole grid of the seed paper, as cells of a run store: three datasets, two backbones, any seeds. Their sizes
//! and means are near the printed ones, so that tables look like the paper's; users and seeds vary together as in a two-way model.
//! Every cell says `simulated: not for reporting`, and so does every page, table and figure that is made of it.

use std::collections::BTreeMap;
use std::path::Path;

use bench::baseline::{Scope, built_in};
use bench::eval::{Metric, MetricKind, Rung};
use bench::experiment::{Experiment, Loaded};
use bench::run::{
    AuditRecord, BackboneRecord, Cell, CellKey, CodeRecord, CurvePoint, DatasetRecord, LabelRecord,
    MANIFEST_VERSION, Machine, Manifest, ProcessRecord, PromptRecord, RANKING_STAGE_VERSION,
    RETRIEVAL_STAGE_VERSION, RankedPart, RankerRecord, RankingCell, Reading, SettingRecord, Store,
    StoredPart, StoredRanking, StoredRetrieval, Times, sha256_hex,
};
use bench::seed::Seed;
use rand::Rng;
use serde_json::json;
use statrs::distribution::{ContinuousCDF, Normal};

/// In the field `limit` of every manifest.
pub const STAMP: &str = "simulated: not for reporting";
/// Candidates of a user.
const CANDIDATES: usize = 20;
/// The item that every user is to be recommended; candidates are 1 to 20 otherwise.
const TARGET: u32 = 99;

/// A dataset of the grid: the users, items and interactions of the paper's Table I, and |R| as an audit finds it.
pub struct Data {
    name: &'static str,
    users: usize,
    items: u64,
    interactions: u64,
    retrieved: usize,
}

/// The three of the paper.
pub const PAPER: [Data; 3] = [
    Data { name: "ml-100k", users: 610, items: 3_650, interactions: 90_274, retrieved: 126 },
    Data { name: "beauty", users: 22_332, items: 12_086, interactions: 198_215, retrieved: 2_765 },
    Data { name: "games", users: 15_264, items: 7_676, interactions: 147_861, retrieved: 3_197 },
];

const BACKBONES: [(&str, &str); 2] =
    [("llama-2-7b", "meta-llama/Llama-2-7b-hf"), ("llama-3.1-8b", "meta-llama/Llama-3.1-8B")];

/// The six experiments of the paper as the repository has them, in alphabetical order as a shell gives them, with these seeds.
pub fn experiments(seeds: &[u64]) -> Vec<Experiment> {
    let mut names: Vec<String> = PAPER
        .iter()
        .flat_map(|data| BACKBONES.iter().map(|(short, _)| format!("{}-{short}", data.name)))
        .collect();
    names.sort();
    let seeds = format!("seeds={seeds:?}").parse().expect("a list of seeds");
    let overrides = [seeds];
    let load = |name: String| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(format!("{name}.toml"));
        match Experiment::check(&path, &overrides, &[]) {
            Ok(Loaded::Runnable(experiment)) => *experiment,
            other => panic!("{}: {other:?}", path.display()),
        }
    };
    names.into_iter().map(load).collect()
}

/// Write the cells of `experiments` to the store at `runs`, with this share of the papers' users.
pub fn fill(runs: &Path, experiments: &[Experiment], share: f64) {
    for experiment in experiments {
        let data = PAPER.iter().find(|data| experiment.name.starts_with(data.name)).expect("a dataset");
        let backbone = BACKBONES.iter().find(|(short, _)| experiment.name.ends_with(short));
        let users = ((data.users as f64 * share) as usize).max(40);
        for seed in &experiment.seeds {
            let simulated = Simulated::new(data, users, seed.get());
            let (key, retrieval) = simulated.retrieval(experiment);
            // Both backbones rank the candidates of one retriever.
            Store::new(runs).save(&key, &retrieval, None).expect("store a retrieval");
            if let Some((_, name)) = backbone {
                let (key, cell) = simulated.ranking(experiment, &key, name);
                Store::rankings(runs).save_with(&key, &cell, &[]).expect("store a ranking");
            }
        }
    }
}

/// One seed of a dataset.
struct Simulated<'a> {
    data: &'a Data,
    users: usize,
    seed: u64,
    normal: Normal,
}

impl<'a> Simulated<'a> {
    fn new(data: &'a Data, users: usize, seed: u64) -> Self {
        Self { data, users, seed, normal: Normal::standard() }
    }

    /// A number for each user: `share` of its variance is the same with every seed.
    fn latent(&self, name: &str, share: f64) -> Vec<f64> {
        let mut common = Seed::new(1).stream(&format!("{}-{name}", self.data.name));
        let mut own = Seed::new(self.seed).stream(&format!("{}-{name}-seed", self.data.name));
        let draw = |stream: &mut dyn Rng| {
            self.normal.inverse_cdf(((stream.next_u32() as f64) + 0.5) / (f64::from(u32::MAX) + 1.0))
        };
        // A training is a bit better or worse for all users.
        let shift = 0.02 * draw(&mut own);
        let mut one = || share.sqrt() * draw(&mut common) + (1.0 - share).sqrt() * draw(&mut own) + shift;
        (0..self.users).map(|_| one()).collect()
    }

    /// Ranks 1 to 20 of every user, distributed as `shape`; `own` is what only this method has.
    fn ranks(&self, part: &str, method: &str, shape: &Shape) -> Vec<u32> {
        let (both, own) =
            (self.latent(&format!("{part}-rank"), 0.9), self.latent(&format!("{part}-{method}"), 0.5));
        let mixed = both.iter().zip(own).map(|(both, own)| 0.75f64.sqrt() * both + 0.25f64.sqrt() * own);
        mixed.map(|value| shape.rank(self.normal.cdf(value))).collect()
    }

    fn found(&self, part: &str) -> Vec<bool> {
        let latent = self.latent(&format!("{part}-found"), 0.9);
        let mut sorted = latent.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        // |R| varies by some percent with the seed.
        let mut stream = Seed::new(self.seed).stream(&format!("{}-{part}-size", self.data.name));
        let spread = f64::from(stream.next_u32()) / f64::from(u32::MAX) - 0.5;
        let share = self.data.retrieved as f64 / self.data.users as f64 * (1.0 + 0.08 * spread);
        let cut = sorted[((self.users as f64 * share) as usize).min(self.users - 1)];
        latent.into_iter().map(|value| value < cut).collect()
    }

    fn manifest(&self, stage: &str, key: &CellKey, experiment: &Experiment) -> Manifest {
        let of = |count: u64| count * self.users as u64 / self.data.users as u64;
        let interactions = of(self.data.interactions);
        let (users, items) = (self.users as f64, self.data.items as f64);
        Manifest {
            version: MANIFEST_VERSION,
            stage: stage.to_owned(),
            key: key.as_str().to_owned(),
            experiments: vec![experiment.name.clone()],
            retriever: experiment.retriever.kind().to_owned(),
            seed: self.seed,
            dataset: DatasetRecord {
                name: self.data.name.to_owned(),
                users: self.users as u64,
                items: self.data.items,
                interactions,
                mean_length: interactions as f64 / users,
                density: interactions as f64 / (users * items),
                split_fingerprint: sha256_hex(format!("{} {}", self.data.name, self.users).as_bytes()),
                sources: Vec::new(),
                preparation: Vec::new(),
                warnings: Vec::new(),
            },
            code: CodeRecord::here(if stage == "retrieval" {
                RETRIEVAL_STAGE_VERSION
            } else {
                RANKING_STAGE_VERSION
            }),
            machine: Machine { platform: "simulated".to_owned(), threads: 1, ..Machine::default() },
            times: Times {
                started: "2026-01-01T00:00:00Z".to_owned(),
                finished: "2026-01-01T00:00:01Z".to_owned(),
                wall_seconds: BTreeMap::new(),
            },
            process: ProcessRecord::default(),
            peak_memory_bytes: None,
            training: None,
            ranker: None,
            limit: Some(STAMP.to_owned()),
            files: BTreeMap::new(),
            left_out: BTreeMap::new(),
        }
    }

    fn retrieval(&self, experiment: &Experiment) -> (CellKey, Cell) {
        let key = CellKey::of(&json!({"simulated": self.data.name, "users": self.users, "seed": self.seed}));
        let shape = Shape::printed(self.data.name, "LRURec", Scope::RetrievedSubset);
        let part = |name: &str| {
            let ranks = self.ranks(name, "LRURec", &shape);
            let mut far = Seed::new(self.seed).stream("far");
            let beyond = (self.data.items - CANDIDATES as u64) as u32;
            let ranks = ranks.into_iter().zip(self.found(name));
            let ranks: Vec<u32> = ranks
                .map(
                    |(rank, found)| {
                        if found { rank } else { CANDIDATES as u32 + 1 + far.next_u32() % beyond }
                    },
                )
                .collect();
            let mut part = StoredPart { targets: vec![TARGET; self.users], ..StoredPart::default() };
            for rank in &ranks {
                part.candidates
                    .extend((1..=CANDIDATES as u32).map(|at| if at == *rank { TARGET } else { at }));
                part.scores.extend((1..=CANDIDATES).map(|at| -(at as f32)));
            }
            part.ranks = ranks;
            part
        };
        let retrieval = StoredRetrieval { k: CANDIDATES, validation: part("validation"), test: part("test") };
        let manifest = self.manifest("retrieval", &key, experiment);
        (key, Cell { manifest, retrieval, curve: curve(), settings: settings(experiment) })
    }

    fn ranking(
        &self,
        experiment: &Experiment,
        retrieval: &CellKey,
        backbone: &str,
    ) -> (CellKey, RankingCell) {
        let key = CellKey::of(&json!({"simulated": retrieval.as_str(), "backbone": backbone}));
        let printed = if backbone.contains("Llama-2") { "LlamaRec" } else { "Llama 3.1 8B" };
        let tuned = Shape::printed(self.data.name, printed, Scope::RankerOnly);
        // Nobody prints it: a bit above a random order.
        let untuned = Shape::new([0.17, 0.33], [0.205, 0.58]);
        let first = Shape::printed(self.data.name, "LRURec", Scope::RetrievedSubset);
        let part = |name: &str| -> RankedPart {
            let found = self.found(name);
            let order = self.ranks(name, "LRURec", &first);
            let users: Vec<u32> = (0..self.users as u32).filter(|user| found[*user as usize]).collect();
            let shown = users.iter().map(|user| order[*user as usize]);
            let candidates: Vec<u32> = shown
                .flat_map(|rank| (1..=CANDIDATES as u32).map(move |at| if at == rank { TARGET } else { at }))
                .collect();
            let targets = vec![TARGET; users.len()];
            let reading = |rung: Rung, shape: &Shape| {
                let ranks = self.ranks(name, &format!("{backbone}-{rung}"), shape);
                let scores = users
                    .iter()
                    .zip(candidates.chunks(CANDIDATES))
                    .flat_map(|(user, shown)| scores(shown, ranks[*user as usize]));
                let of = (candidates.as_slice(), targets.as_slice());
                Reading::new(rung, "in-context", scores.collect(), of).expect("scores of all candidates")
            };
            let readings = vec![reading(Rung::ZeroShot, &untuned), reading(Rung::Tuned, &tuned)];
            RankedPart { users, candidates, targets, readings }
        };
        let ranking = StoredRanking { k: CANDIDATES, validation: part("validation"), test: part("test") };
        let prompts = |part: &RankedPart| PromptRecord {
            prompts: part.users.len() as u64,
            of: part.users.len() as u64,
            ..PromptRecord::default()
        };
        let ranker = RankerRecord {
            backbone: BackboneRecord {
                name: backbone.to_owned(),
                revision: None,
                source: "simulated".to_owned(),
                identity: sha256_hex(backbone.as_bytes()),
                architecture: "llama".to_owned(),
                parameters: 0,
                vocabulary: 0,
                quantization: "nf4".to_owned(),
                compute_type: "bf16".to_owned(),
                bytes: 0,
                files: Default::default(),
                random: None,
            },
            retrieval_key: retrieval.as_str().to_owned(),
            tuned: true,
            candidate_order: "retriever".to_owned(),
            validation: prompts(&ranking.validation),
            test: prompts(&ranking.test),
            training: None,
            cut_titles: 0,
        };
        let manifest = Manifest { ranker: Some(ranker), ..self.manifest("ranking", &key, experiment) };
        let label = LabelRecord { label: "A".to_owned(), in_context: vec![1], standalone: vec![1] };
        let audit = AuditRecord {
            read_out: "in-context".to_owned(),
            tokenizer: String::new(),
            context: Vec::new(),
            labels: vec![label],
        };
        (key, RankingCell { manifest, ranking, curve: curve(), audit, settings: settings(experiment) })
    }
}

/// Scores under which the target has this rank.
fn scores(shown: &[u32], rank: u32) -> Vec<f32> {
    let mut place = 0;
    shown
        .iter()
        .map(|item| {
            if *item == TARGET {
                return -(rank as f32);
            }
            place += 1;
            // The others are in their order, and those from the target's rank on stand one place lower.
            -((if place >= rank { place + 1 } else { place }) as f32)
        })
        .collect()
}

fn curve() -> Vec<CurvePoint> {
    let point = |at: u32| CurvePoint {
        step: 100 * at,
        epoch: 1,
        train_loss: (at > 0).then(|| 2.0 / f64::from(at)),
        metric: 0.3 - 0.1 / f64::from(at + 1),
        wall_seconds: f64::from(at),
    };
    (0..10).map(point).collect()
}

fn settings(experiment: &Experiment) -> Vec<SettingRecord> {
    let record = |setting: &bench::experiment::Setting| SettingRecord {
        key: setting.key.clone(),
        value: setting.value.clone(),
        origin: setting.origin.to_string(),
        is_default: false,
        is_quirk: false,
    };
    experiment.resolved.settings.iter().map(record).collect()
}

/// How often each rank occurs among 20 candidates.
struct Shape {
    cumulative: Vec<f64>,
}

impl Shape {
    /// The distribution with these MRR and Recall at 5 and at 10: geometric within 1 to 5 and within 6 to 10, even beyond.
    fn new([m5, r5]: [f64; 2], [m10, r10]: [f64; 2]) -> Self {
        let mut weights = geometric(1, r5, m5);
        weights.extend(geometric(6, r10 - r5, m10 - m5));
        weights.extend([(1.0 - r10) / 10.0; 10]);
        let mut sum = 0.0;
        let cumulative = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Self { cumulative: cumulative.collect() }
    }

    /// What a paper prints of a method on the test.
    fn printed(dataset: &str, method: &str, scope: Scope) -> Self {
        let papers = built_in().expect("the published numbers");
        let of = |kind: MetricKind, k: u32| {
            let mut rows = papers.iter().flat_map(|paper| paper.rows_of(dataset, method, scope));
            let metric = Metric::new(kind, k);
            rows.find(|row| row.metric == metric && row.split == "test").expect("a printed number").value
        };
        let at = |k: u32| [of(MetricKind::Mrr, k), of(MetricKind::Recall, k)];
        Self::new(at(5), at(10))
    }

    fn rank(&self, quantile: f64) -> u32 {
        let below = self.cumulative.iter().take_while(|cumulative| **cumulative < quantile).count();
        (below + 1).min(CANDIDATES) as u32
    }
}

/// Five weights that sum to `mass`, w(r) proportional to q^r, with sum w(r) / r as near to `reciprocal` as a q allows.
fn geometric(first: u32, mass: f64, reciprocal: f64) -> Vec<f64> {
    let weights = |q: f64| -> Vec<f64> {
        let raw: Vec<f64> = (0..5).map(|at| q.powi(at)).collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter().map(|weight| mass * weight / sum).collect()
    };
    let (mut low, mut high) = (0.01f64, 100.0f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        let found: f64 = weights(middle).iter().zip(first..).map(|(w, rank)| w / f64::from(rank)).sum();
        if found > reciprocal { low = middle } else { high = middle }
    }
    weights(low)
}
