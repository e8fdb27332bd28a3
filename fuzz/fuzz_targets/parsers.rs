//! Every parser of bytes that come from outside, one a process: `FUZZ_PARSER` names it.
//!
//! An input must give a value or an error: no panic, no hang, and no more memory than fits it. `fuzz/README.md` has the commands.

#![no_main]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bench::audit::audit;
use bench::backbone::{Adapter, ModelConfig, PeftFiles, Weights};
use bench::baseline::Baseline;
use bench::checkpoint::Checkpoints;
use bench::data::{Dataset, ItemId, Part, Split};
use bench::events::Silent;
use bench::experiment::{ColumnRef, CsvSpec, DatasetSource, DatasetSpec, Experiment, RecBoleSpec};
use bench::import::{Format, Names};
use bench::nn::quant::Storage;
use bench::prompt::Tokenizer;
use bench::report::read_results;
use bench::run::{
    Cell, CellKey, Claims, DatasetRecord, Expected, Store, StoredRanking, StoredRetrieval, claims_in, sha256_hex,
};
use bench::slurm::{Submission, queue as slurm_queue, report_script, script};
use libfuzzer_sys::fuzz_target;

/// The parsers, by name.
const PARSERS: [(&str, fn(&[u8])); 22] = [
    ("experiment", experiment),
    ("baselines", baselines),
    ("csv", csv),
    ("titles", titles),
    ("recbole", recbole),
    ("movielens", movielens),
    ("meta", meta),
    ("gzip", gzip),
    ("trec", trec),
    ("lists", lists),
    ("config", config),
    ("weights", weights),
    ("tokenizer", tokenizer),
    ("adapter", adapter),
    ("manifest", manifest),
    ("store", store),
    ("results", results),
    ("claim", claim),
    ("checkpoint", checkpoint),
    ("submission", submission),
    ("queue", queue),
    ("bundle", bundle),
];

fuzz_target!(|bytes: &[u8]| {
    static PARSER: OnceLock<fn(&[u8])> = OnceLock::new();
    let parser = PARSER.get_or_init(|| {
        let name = std::env::var("FUZZ_PARSER").unwrap_or_default();
        let known = || PARSERS.map(|(name, _)| name).join(", ");
        let found = PARSERS.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("FUZZ_PARSER is {name:?}; expected one of {}", known())).1
    });
    parser(bytes);
});

/// A folder of this process, in memory where there is such a place.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        tempfile::Builder::new().prefix("bench-fuzz-").tempdir_in(parent).expect("a folder").keep()
    })
}

fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, bytes).expect("write the input");
    path
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The two parts of an input: what stands before the first line of three dashes, and the rest.
fn two(bytes: &[u8]) -> (&[u8], &[u8]) {
    let line = b"\n---\n";
    match bytes.windows(line.len()).position(|part| part == line) {
        Some(at) => (&bytes[..=at], &bytes[at + line.len()..]),
        None => (bytes, b""),
    }
}

fn experiment(bytes: &[u8]) {
    let path = write("experiment.toml", bytes);
    if let Err(problems) = Experiment::load(&path, &[], &[]) {
        assert!(!problems.to_string().is_empty());
    }
}

fn baselines(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(file) = Baseline::parse(Path::new("fuzz.toml"), text) {
        let _ = audit(&file, &[]);
    }
}

fn data(source: DatasetSource) {
    let mut spec = DatasetSpec::new(source);
    (spec.min_user_interactions, spec.min_item_interactions) = (1, 1);
    match Dataset::load(&spec, folder(), &Silent) {
        Ok(dataset) => {
            let _ = dataset.statistics();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn csv(bytes: &[u8]) {
    write("ratings.csv", bytes);
    let mut spec = CsvSpec::new("ratings.csv".into(), None);
    spec.header = bytes.first().is_none_or(u8::is_ascii_alphabetic);
    if !spec.header {
        (spec.user, spec.item) = (ColumnRef::Position(1), ColumnRef::Position(2));
        (spec.rating, spec.time) = (Some(ColumnRef::Position(3)), Some(ColumnRef::Position(4)));
    }
    spec.quotes = bytes.last().is_some_and(|last| last % 2 == 0);
    data(DatasetSource::Csv(spec));
}

fn titles(bytes: &[u8]) {
    write("ratings.csv", b"user,item,rating,timestamp\na,1,5,1\na,2,4,2\na,3,4,3\nb,1,5,1\nb,2,4,2\nb,3,4,3\n");
    write("titles.csv", bytes);
    data(DatasetSource::Csv(CsvSpec::new("ratings.csv".into(), Some("titles.csv".into()))));
}

fn recbole(bytes: &[u8]) {
    let (inter, item) = two(bytes);
    write("a.inter", inter);
    write("a.item", item);
    let mut spec = RecBoleSpec::new("a.inter".into(), None);
    spec.item = (!item.is_empty()).then(|| "a.item".into());
    data(DatasetSource::RecBole(spec));
}

fn movielens(bytes: &[u8]) {
    let (ratings, movies) = two(bytes);
    write("ml-latest-small/ratings.csv", ratings);
    write("ml-latest-small/movies.csv", movies);
    data(DatasetSource::Ml100k);
}

fn meta(bytes: &[u8]) {
    let (ratings, meta) = two(bytes);
    write("beauty/ratings_Beauty.csv", ratings);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(meta).expect("write to memory");
    write("beauty/meta_Beauty.json.gz", &packed.finish().expect("write to memory"));
    data(DatasetSource::Beauty);
}

fn gzip(bytes: &[u8]) {
    write("beauty/ratings_Beauty.csv", b"u,B1,5,1\nu,B2,5,2\nu,B3,5,3\n");
    write("beauty/meta_Beauty.json.gz", bytes);
    data(DatasetSource::Beauty);
}

fn run_file(bytes: &[u8], name: &str, format: Format) {
    let items = |ids: &[u32]| ids.iter().map(|id| ItemId::new(*id).expect("an id")).collect::<Vec<_>>();
    let split = Split {
        train: vec![items(&[5]), items(&[5, 6]), items(&[1]), items(&[2])],
        validation: items(&[6, 1, 2, 3]),
        test: items(&[1, 2, 3, 4]),
        n_items: 6,
        fingerprint: serde_json::from_str("\"ab\"").expect("a fingerprint"),
    };
    let path = write(name, bytes);
    if let Ok(found) = bench::import::read(&path, format, &Names::dense(4, 6), &split, Part::Test) {
        assert_eq!(found.ranks.ranks.len(), 4);
    }
}

fn trec(bytes: &[u8]) {
    run_file(bytes, "a.run", Format::Trec);
}

fn lists(bytes: &[u8]) {
    run_file(bytes, "a.csv", Format::Csv);
}

/// A model of a few hundred weights.
fn tiny() -> ModelConfig {
    let text = br#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4, "intermediate_size": 4,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2, "vocab_size": 5, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "max_position_embeddings": 16, "tie_word_embeddings": true, "hidden_act": "silu"}"#;
    ModelConfig::from_json(text).expect("a sound description")
}

fn config(bytes: &[u8]) {
    if let Ok(config) = ModelConfig::from_json(bytes) {
        let _ = (config.parameters(), config.longest_prompt(), config.problems());
    }
}

fn weights(bytes: &[u8]) {
    for storage in [Storage::F32, Storage::Nf4 { double: true }] {
        let _ = Weights::from_bytes(&tiny(), Path::new("fuzz.safetensors"), bytes, storage);
    }
}

fn tokenizer(bytes: &[u8]) {
    if let Ok(tokenizer) = Tokenizer::from_bytes("tokenizer.json", bytes, None) {
        let _ = tokenizer.encode("The Lord of the Rings (2001)");
        let _ = (tokenizer.bos(), tokenizer.eos(), tokenizer.decode(&[0, 1, 2]));
    }
}

fn adapter(bytes: &[u8]) {
    let (config, weights) = two(bytes);
    let files = PeftFiles { config: config.to_vec(), weights: weights.to_vec() };
    let _ = Adapter::from_peft(&files, &tiny(), None);
}

fn manifest(bytes: &[u8]) {
    let key = CellKey::of(&serde_json::json!(1));
    write(&format!("runs/retrieval/{key}/manifest.json"), bytes);
    let store: Store<Cell> = Store::at(folder().join("runs"));
    assert_eq!(store.list().expect("a folder that can be read").len(), 1);
    static DATASET: OnceLock<DatasetRecord> = OnceLock::new();
    let dataset = DATASET.get_or_init(|| {
        serde_json::from_value(serde_json::json!({
            "name": "beauty", "users": 2, "items": 3, "interactions": 6, "mean_length": 3.0, "density": 1.0, "split_fingerprint": "ab"
        }))
        .expect("a record")
    });
    let _ = store.glance(&key, &Expected { seed: 1, retriever: "lru", dataset });
}

fn store(bytes: &[u8]) {
    if let Ok(found) = StoredRetrieval::from_bytes(bytes) {
        let _ = (found.test.n_users(), found.test.rank_list());
    }
    let _ = StoredRanking::from_bytes(bytes);
}

fn results(bytes: &[u8]) {
    let path = write("results.json", bytes);
    let _ = read_results(&path);
}

/// What is before the counter is under a hash that no fuzzer finds; every other input gets the right one.
fn claim(bytes: &[u8]) {
    let folder = folder().join("claims");
    let _ = std::fs::remove_dir_all(&folder);
    let mut text = bytes.to_vec();
    if bytes.last().is_some_and(|last| last % 2 == 0) {
        text.extend(format!(",\"sha256\":\"{}\",\"beat\":1}}\n", sha256_hex(bytes)).bytes());
    }
    let first = write("claims/retrieval/0123456789abcdef.claim", &text);
    let _ = claims_in(&folder);
    let _ = Claims::default().take(&first).map(drop);
}

fn checkpoint(bytes: &[u8]) {
    let key = CellKey::of(&serde_json::json!(1));
    let runs = folder().join("checkpoints");
    let _ = std::fs::remove_dir_all(&runs);
    write(&format!("checkpoints/retrieval/{key}.checkpoint/train.safetensors"), bytes);
    let store: Store<Cell> = Store::at(runs);
    let checkpoints = store.checkpoints(&key, &Silent);
    if let Some(found) = checkpoints.last("train") {
        let _ = (found.words.len(), found.array("weights", 2), checkpoints.earlier(), checkpoints.resumed());
    }
}

fn submission(bytes: &[u8]) {
    let path = write("submissions/a/submission.json", bytes);
    if let Ok(found) = Submission::load(&path) {
        for batch in &found.batches {
            let _ = script(&found, batch);
        }
        let _ = report_script(&found);
    }
}

fn queue(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for read in [slurm_queue::squeue, slurm_queue::sacct, slurm_queue::scontrol] {
        let _ = read(text);
    }
}

fn bundle(bytes: &[u8]) {
    let path = write("a.zip", bytes);
    let _ = bench::bundle::check(&path);
}
