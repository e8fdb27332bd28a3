//! Unit costs of what grows with a sweep, a catalogue and its users: the figures of docs/scale.md.
//!
//! `cargo bench --bench scale` runs all sections, `BENCH_SECTIONS=store,catalogue` some: `store` (a store of 1,000 made-up cells, and a
//! submission of 1,000), `cell` (bytes of a stored retrieval), `users` (data in memory), `catalogue` (the walk over up to `BENCH_SCALE_ITEMS` items, ten million
//! if it is not set, which takes 3 GB) and `training` (a step over up to a tenth of that).

#[path = "../report/simulated.rs"]
#[allow(dead_code, reason = "the bench of reports uses the rest")]
mod simulated;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use bench::data::ItemId;
use bench::events::Silent;
use bench::experiment::{DatasetSource, DatasetSpec, HistoryMask, LruSpec, SyntheticSpec};
use bench::pipeline::{Folders, Prepared, stored_seeds};
use bench::retrieve::lru::LruRec;
use bench::retrieve::lru::forward::Masks;
use bench::retrieve::lru::packed::Packed;
use bench::retrieve::lru::train::Trainer;
use bench::retrieve::{Query, catalogue};
use bench::run::{
    CellKey, Step, StoredPart, StoredRetrieval, list_all, peak_memory_bytes, reset_peak_memory,
};
use bench::seed::Seed;
use bench::slurm::{self, Active, Places, Resources, Submission, Wanted, Wishes};

fn main() {
    let wanted = std::env::var("BENCH_SECTIONS").unwrap_or_default();
    let asked = |name: &str| wanted.is_empty() || wanted.split(',').any(|one| one == name);
    println!("{} threads", rayon::current_num_threads());
    for (name, section) in [
        ("cell", cell as fn()),
        ("store", store),
        ("users", users),
        ("catalogue", walk),
        ("training", training),
    ] {
        if asked(name) {
            println!("\n## {name}\n");
            section();
        }
    }
}

fn timed<T>(what: impl FnOnce() -> T) -> (T, f64) {
    let began = Instant::now();
    let made = black_box(what());
    (made, began.elapsed().as_secs_f64())
}

/// The least of `times` runs, in seconds.
fn least<T>(times: usize, mut what: impl FnMut() -> T) -> f64 {
    (0..times).map(|_| timed(&mut what).1).fold(f64::INFINITY, f64::min)
}

fn items() -> usize {
    std::env::var("BENCH_SCALE_ITEMS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000)
}

/// Bytes of a stored retrieval by users and candidates.
fn cell() {
    let bytes = |users: usize, k: usize| {
        let part = || StoredPart {
            candidates: vec![1; users * k],
            scores: vec![0.5; users * k],
            ranks: vec![1; users],
            targets: vec![1; users],
            tied_users: 0,
        };
        StoredRetrieval { k, validation: part(), test: part() }.to_bytes().expect("bytes").len() as f64
    };
    let per_user = |k: usize| (bytes(20_000, k) - bytes(10_000, k)) / 10_000.0;
    println!("| bytes of a user, k = 20 | {:.1} |", per_user(20));
    println!("| of a candidate of a user | {:.1} |", (per_user(40) - per_user(20)) / 20.0);
    println!("| beside | {:.0} |", bytes(10_000, 20) - 10_000.0 * per_user(20));
}

/// A store of 1,000 cells and a submission of as many.
fn store() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folders = Folders {
        data: folder.path().join("no-data"),
        runs: folder.path().join("runs"),
        reports: folder.path().join("reports"),
        baselines: None,
        rescue: folder.path().join("rescue"),
    };
    // Three datasets and two backbones: nine cells a seed.
    let seeds: Vec<u64> = (1..=112).collect();
    let experiments = simulated::experiments(&seeds);
    let (_, made) = timed(|| simulated::fill(&folders.runs, &experiments, 0.01));
    let listed = list_all(&folders.runs).expect("a store");
    println!("| made {} cells of 40 to 223 users | {made:.2} s |", listed.len());
    println!(
        "| list them with their manifests | {:.4} s |",
        least(5, || list_all(&folders.runs).expect("a store"))
    );
    let keys: Vec<(Step, CellKey)> = listed.iter().map(key_of).collect();
    let stored = || keys.iter().filter(|(step, key)| step.is_stored(&folders.runs, key)).count();
    println!("| look whether each is stored ({}) | {:.4} s |", stored(), least(5, stored));
    let read = || stored_seeds(experiments.clone(), &folders, &Silent).expect("a store").len();
    println!("| read and verify all of {} experiments | {:.3} s |", read(), least(3, read));
    let cells = sweep(&seeds);
    let arrays = least(5, || slurm::arrays(&cells, &Active::new(), 1000));
    println!("| {} cells to arrays | {arrays:.4} s |", cells.len());
    let submission = submission(&folders.runs.to_string_lossy(), &cells);
    submission.save().expect("a manifest");
    let path = submission.folder().join("submission.json");
    let size = path.metadata().expect("a manifest").len();
    println!("| manifest of the submission | {size} bytes, {} arrays |", submission.batches.len());
    let follow = || slurm::follow(&Submission::load(&path).expect("a manifest"), None);
    println!("| read it and look for its cells | {:.4} s |", least(5, follow));
}

fn key_of(listed: &bench::run::Listed) -> (Step, CellKey) {
    let manifest = listed.manifest.as_ref().expect("a manifest");
    let step = if manifest.stage == "ranking" { Step::Ranking } else { Step::Retrieval };
    (step, CellKey::from_hex(&manifest.key).expect("a key"))
}

/// The cells of a sweep: for each seed three retrievals and two rankings of each.
fn sweep(seeds: &[u64]) -> Vec<Wanted> {
    let mut cells = Vec::new();
    for &seed in seeds {
        for data in 0..3u64 {
            let id = |step: u64| format!("{:064x}", step << 60 | data << 32 | seed);
            let cell = |step: Step, key: String, on: Vec<(Step, String)>| Wanted {
                step,
                resources: Resources { cpus: 4, memory_mib: 1024, minutes: 60, gpus: 0 },
                experiment: format!("experiment-{data}"),
                file: format!("experiments/experiment-{data}.toml"),
                seed,
                key,
                on,
            };
            cells.push(cell(Step::Retrieval, id(0), Vec::new()));
            for backbone in 1..=2 {
                cells.push(cell(Step::Ranking, id(backbone), vec![(Step::Retrieval, id(0))]));
            }
        }
    }
    cells
}

fn submission(runs: &str, cells: &[Wanted]) -> Submission {
    let text = str::to_owned;
    Submission {
        version: 1,
        name: text("sweep"),
        created: text("2026-01-01T00:00:00Z"),
        bench: text("0"),
        program: text("/bench"),
        directory: text("/"),
        folders: Places { data: text("/data"), runs: text(runs), reports: text("/reports"), baselines: None },
        files: Vec::new(),
        overrides: Vec::new(),
        wishes: Wishes { requeue: true, cpus: 4, ..Wishes::default() },
        again: None,
        batches: slurm::arrays(cells, &Active::new(), 1000),
        report: None,
    }
}

/// Memory of prepared data by users.
fn users() {
    println!(
        "| users | interactions of a user | s | peak, MiB | peak bytes for a user more |\n|---|---|---|---|---|"
    );
    let mut before: Option<(u64, u64)> = None;
    for users in [50_000, 150_000, 450_000] {
        let source = SyntheticSpec { users, items: 2_000, mean_length: 9.0, ..SyntheticSpec::default() };
        let spec = DatasetSpec::new(DatasetSource::Synthetic(source));
        reset_peak_memory();
        let (data, seconds) = timed(|| Prepared::load(&spec, Path::new("no-data"), &Silent).expect("data"));
        let peak = peak_memory_bytes().unwrap_or(0);
        let found = data.record.users;
        let each = before.map_or_else(String::new, |(users_before, peak_before)| {
            format!("{:.0}", peak.saturating_sub(peak_before) as f64 / (found - users_before) as f64)
        });
        let mib = peak as f64 / 1_048_576.0;
        println!("| {found} | {:.1} | {seconds:.2} | {mib:.0} | {each} |", data.record.mean_length);
        before = Some((found, peak));
    }
}

/// Numbers without a pattern that are quick to make, from -0.05 to 0.05.
fn numbers(n: usize) -> Vec<f32> {
    let mix = |at: usize| (at as u32).wrapping_mul(2_654_435_761) ^ (at as u32) << 7;
    (0..n).map(|at| (mix(at) >> 8) as f32 / (1 << 24) as f32 * 0.1 - 0.05).collect()
}

/// Scores of the whole catalogue for some users, the best 20 and the rank of one item.
fn walk() {
    const WIDTH: usize = 64;
    const USERS: usize = 512;
    println!("| items | users | s | ns for a user and item | weights, MiB |\n|---|---|---|---|---|");
    let most = items();
    for items in [10_000, 100_000, 1_000_000, 10_000_000].into_iter().filter(|&items| items <= most) {
        let (weight, bias) = (numbers((items + 1) * WIDTH), numbers(items + 1));
        let states = numbers(USERS * WIDTH);
        let item = ItemId::new(7).expect("an item");
        let (histories, targets) = (vec![vec![item; 9]; USERS], vec![item; USERS]);
        let query = Query { histories: &histories, targets: &targets, k: 20, mask: HistoryMask::All };
        let scorer = catalogue::Scorer { width: WIDTH, weight: &weight[..], bias: &bias[..] };
        let times = if items > 1_000_000 { 2 } else { 5 };
        let seconds = least(times, || catalogue::retrieve(scorer, &states, &query, 50).expect("candidates"));
        println!(
            "| {items} | {USERS} | {seconds:.3} | {:.3} | {:.0} |",
            1e9 * seconds / (items * USERS) as f64,
            (items * WIDTH * 4) as f64 / 1_048_576.0
        );
    }
}

/// A step of training over catalogues of different sizes: one batch of 128 histories of 8 items.
fn training() {
    let spec = LruSpec::paper_default(&DatasetSource::Beauty);
    println!("| items | s for a step | peak, MiB | bytes for an item |\n|---|---|---|---|");
    let most = items() / 10;
    let mut before: Option<(usize, u64)> = None;
    for items in [10_000, 100_000, 1_000_000].into_iter().filter(|&items| items <= most) {
        reset_peak_memory();
        let model = LruRec::init(&spec, items, Seed::new(1)).expect("a model");
        let mut trainer = Trainer::new(model, &spec).expect("a trainer");
        let mut packed = Packed::default();
        packed.clear();
        for user in 0..spec.batch_size {
            let id = |at: usize| ItemId::new(((user * 31 + at * 977) % items + 1) as u32).expect("an item");
            let history: Vec<ItemId> = (0..8).map(id).collect();
            packed.push_window(&history, spec.max_len, spec.first_item_label);
        }
        let mut step = 0;
        let seconds = least(3, || {
            step += 1;
            trainer.step(&packed, Masks::new(step, spec.dropout, spec.lru_dropout)).expect("a step")
        });
        let peak = peak_memory_bytes().unwrap_or(0);
        let each = before.map_or_else(String::new, |(items_before, peak_before)| {
            format!("{:.0}", peak.saturating_sub(peak_before) as f64 / (items - items_before) as f64)
        });
        println!("| {items} | {seconds:.3} | {:.0} | {each} |", peak as f64 / 1_048_576.0);
        before = Some((items, peak));
    }
}
