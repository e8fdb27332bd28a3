//! Loading a checkpoint of bf16 into NF4: speed, peak memory, and what they come to for Llama 3.1 8B.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use bench::backbone::{Folder, ModelConfig, load};
use bench::events::{Interrupt, Silent};
use bench::nn::quant::{Frozen, Storage};
use serde_json::{Map, Value, json};

const STORAGE: Storage = Storage::Nf4 { double: true };
/// Tensors of a file of the generated checkpoint.
const SHARD: usize = 8;

/// Llama 3.1 8B with other numbers of layers and tokens.
fn config(layers: usize, vocab: usize) -> ModelConfig {
    let text = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": layers, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": vocab, "max_position_embeddings": 131_072, "rms_norm_eps": 1e-5,
        "rope_theta": 500_000.0, "tie_word_embeddings": false,
        "rope_scaling": { "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192 },
    });
    ModelConfig::from_json(text.to_string().as_bytes()).expect("the description of Llama 3.1 8B")
}

/// Names and shapes of the checkpoint.
fn tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let (d, f, kv) = (config.hidden, config.intermediate, config.kv_heads * config.head_dim);
    let mut tensors = vec![("model.embed_tokens".to_owned(), vec![config.vocab, d])];
    for layer in 0..config.layers {
        let shapes: [(&str, &[usize]); 9] = [
            ("input_layernorm", &[d]),
            ("self_attn.q_proj", &[d, d]),
            ("self_attn.k_proj", &[kv, d]),
            ("self_attn.v_proj", &[kv, d]),
            ("self_attn.o_proj", &[d, d]),
            ("post_attention_layernorm", &[d]),
            ("mlp.gate_proj", &[f, d]),
            ("mlp.up_proj", &[f, d]),
            ("mlp.down_proj", &[d, f]),
        ];
        tensors.extend(shapes.map(|(name, shape)| (format!("model.layers.{layer}.{name}"), shape.to_vec())));
    }
    tensors.push(("model.norm".to_owned(), vec![d]));
    tensors.push(("lm_head".to_owned(), vec![config.vocab, d]));
    tensors.into_iter().map(|(name, shape)| (format!("{name}.weight"), shape)).collect()
}

/// Bytes of the model in memory, by its shapes.
fn bytes(config: &ModelConfig) -> usize {
    let one = |(name, shape): (String, Vec<usize>)| {
        let elements = shape.iter().product();
        match shape.len() {
            1 => Storage::F32.bytes(elements),
            _ if name.contains("layers") => STORAGE.bytes(elements),
            _ => Storage::Bf16.bytes(elements),
        }
    };
    tensors(config).into_iter().map(one).sum()
}

/// Write a sharded checkpoint of bf16 numbers between -0.03 and 0.03; the result are its bytes.
fn write(folder: &Path, config: &ModelConfig) -> io::Result<u64> {
    let (mut map, mut total, mut state) = (Map::new(), 0u64, 0x9e37_79b9_7f4a_7c15u64);
    for (shard, tensors) in tensors(config).chunks(SHARD).enumerate() {
        let file = format!("model-{shard:05}.safetensors");
        let (mut header, mut at) = (Map::new(), 0);
        for (name, shape) in tensors {
            let end = at + 2 * shape.iter().product::<usize>();
            header
                .insert(name.clone(), json!({ "dtype": "BF16", "shape": shape, "data_offsets": [at, end] }));
            map.insert(name.clone(), Value::String(file.clone()));
            at = end;
        }
        let header = Value::Object(header).to_string();
        let mut out = BufWriter::with_capacity(1 << 20, File::create(folder.join(&file))?);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for _ in 0..at / 8 {
            // xorshift (Marsaglia 2003); sign and mantissa are random, exponents those of 2^-6 to 2^-9.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            out.write_all(&(state & 0x81ff_81ff_81ff_81ff | 0x3b00_3b00_3b00_3b00).to_le_bytes())?;
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        total += file.metadata()?.len();
    }
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string())?;
    fs::write(folder.join("config.json"), config.to_json())?;
    fs::write(folder.join("tokenizer.json"), "{}")?;
    Ok(total)
}

/// Take the files out of the system's cache, so that the next load reads the disk.
fn forget(folder: &Folder) {
    #[cfg(target_os = "linux")]
    for file in folder.shards().into_iter().filter_map(|path| File::open(path).ok()) {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = folder;
}

/// Memory of this process as the system states it, in bytes: `VmRSS` (now) or `VmHWM` (peak).
fn memory(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Print how fast each storage is written and read back, on one thread: its loops alone, in the cache.
fn storages() {
    const ROWS: usize = 64;
    const COLS: usize = 4096;
    let values: Vec<f32> = (0..ROWS * COLS).map(|i| (i as f32 * 0.01).sin()).collect();
    let rate = |work: &mut dyn FnMut()| {
        let mut best = f64::INFINITY;
        for _ in 0..200 {
            let start = Instant::now();
            work();
            best = best.min(start.elapsed().as_secs_f64());
        }
        (ROWS * COLS) as f64 / best / 1e6
    };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    one.install(|| {
        for storage in [Storage::F32, Storage::Bf16, Storage::Int8, Storage::Nf4 { double: false }, STORAGE] {
            let written = rate(&mut || drop(black_box(Frozen::quantize(storage, ROWS, COLS, &values))));
            let matrix = Frozen::quantize(storage, ROWS, COLS, &values);
            let mut block = vec![0f32; ROWS * 256];
            let read = rate(&mut || {
                for col in (0..COLS).step_by(256) {
                    matrix.read(0, ROWS, col, 256, &mut block, 256);
                    black_box(&mut block);
                }
            });
            println!(
                "{storage:26} one thread: quantizes {written:6.0} M weights/s, reads {read:6.0} M weights/s"
            );
        }
    });
}

/// Seconds of processor time that this process has used, on all threads.
fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold spaces; user and system time are the 12th and 13th field behind it, in 1/100 s.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
}

/// Print what loading costs.
pub fn report() {
    storages();
    let small = config(2, 32_064);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = match write(folder.path(), &small) {
        Ok(written) => written as f64,
        Err(error) => return println!("load: no checkpoint could be generated ({error})"),
    };
    let (gb, whole) = (1e9, config(32, 128_256));
    println!(
        "load {:.2} GB of bf16 (2 layers of Llama 3.1 8B, a quarter of its tokens) into {STORAGE}, {} threads",
        written / gb,
        rayon::current_num_threads()
    );
    let opened = Folder::open(folder.path()).expect("the generated folder");
    let mut warm = f64::INFINITY;
    let mut overhead = 0f64;
    for (from, repeats) in [("disk", 1), ("cache", 3)] {
        let (mut best, mut busy) = (f64::INFINITY, f64::NAN);
        for _ in 0..repeats {
            if from == "disk" {
                forget(&opened);
            }
            // 5 resets the peak.
            let _ = fs::write("/proc/self/clear_refs", "5");
            let before = memory("VmRSS:");
            let (start, used) = (Instant::now(), processor_seconds());
            let weights =
                load(&opened, STORAGE, &Silent, &Interrupt::default()).expect("the generated files");
            best = best.min(start.elapsed().as_secs_f64());
            busy = busy.min(processor_seconds().zip(used).map_or(f64::NAN, |(now, used)| now - used));
            let peak = memory("VmHWM:");
            assert_eq!(weights.bytes(), bytes(&small), "bytes of the model by its shapes");
            if let (Some(before), Some(peak)) = (before, peak) {
                overhead = overhead.max(peak.saturating_sub(before) as f64 - weights.bytes() as f64);
            }
        }
        let rate = written / best / gb;
        println!(
            "  from the {from:5}  {best:6.2} s ({busy:.2} s of processor time)  {rate:5.2} GB/s  {:6.0} M weights/s",
            rate * 500.0
        );
        warm = warm.min(best);
    }
    println!(
        "  peak memory: the model, {:.3} GB, and {:.3} GB more",
        bytes(&small) as f64 / gb,
        overhead / gb
    );
    // The overhead is what is in work on each thread: it does not grow with the model.
    println!(
        "  Llama 3.1 8B, by its shapes: {:.2} GB + {:.2} GB = {:.2} GB at peak (limit 7); {:.0} s from the cache",
        bytes(&whole) as f64 / gb,
        overhead / gb,
        bytes(&whole) as f64 / gb + overhead / gb,
        whole.parameters() as f64 * 2.0 / written * warm
    );
}
