//! What is written here is read by transformers and PEFT, and gives the same logits there.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bench::backbone::{
    Adapter, AdapterSpec, Architecture, Batch, Decoder, ModelConfig, RopeConfig, RopeScaling, Workspace,
};
use bench::nn::matmul::Precision;
use bench::seed::Seed;

use super::twin::{ALL, assert_close, fill, random, tiny, tokens};

/// Logits behind the last token of each prompt, by transformers and PEFT.
fn theirs(python: &std::ffi::OsStr, model: &Path, adapter: &Path, prompts: &[Vec<u32>]) -> Vec<Vec<f64>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/backbone/peft_logits.py");
    let mut child = Command::new(python)
        .arg(script)
        .args([model, adapter])
        .env("CUDA_VISIBLE_DEVICES", "")
        .env("HF_HUB_OFFLINE", "1")
        .env("PYTHONWARNINGS", "ignore")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the Python that BENCH_PEER_PYTHON names");
    let mut stdin = child.stdin.take().unwrap();
    for prompt in prompts {
        let words: Vec<String> = prompt.iter().map(u32::to_string).collect();
        writeln!(stdin, "{}", words.join(" ")).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "transformers and PEFT failed; see above");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect()).collect()
}

#[test]
fn an_adapter_written_here_gives_the_same_logits_in_python() {
    let Some(python) = std::env::var_os("BENCH_PEER_PYTHON") else {
        println!("skipped: BENCH_PEER_PYTHON is not set (it names a Python with transformers and PEFT)");
        return;
    };
    let llama3 = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 32,
    };
    for (architecture, scaling, tied) in [
        (Architecture::Llama, llama3, true),
        (Architecture::Mistral, RopeScaling::None, false),
        (Architecture::Qwen2, RopeScaling::None, true),
        (Architecture::Qwen3, RopeScaling::None, false),
    ] {
        let config = ModelConfig {
            architecture,
            rope: RopeConfig { theta: 10_000.0, scaling },
            tied,
            qkv_bias: architecture == Architecture::Qwen2,
            qk_norm: architecture == Architecture::Qwen3,
            // Qwen 2 has no width of heads of its own.
            head_dim: if architecture == Architecture::Qwen2 { 6 } else { 8 },
            sliding_window: (architecture == Architecture::Mistral).then_some(24),
            ..tiny()
        };
        let model = random(&config);
        let spec = AdapterSpec { r: 4, alpha: 6.5, dropout: 0.1, targets: ALL.to_vec() };
        let mut adapter = Adapter::new(&config, &spec, Seed::new(1));
        fill(&mut adapter, 0.3);
        let folder = tempfile::tempdir().unwrap();
        let (backbone, adapted) = (folder.path().join("backbone"), folder.path().join("adapter"));
        let weights = model.to_weights();
        weights.save(&backbone).unwrap();
        let files = adapter.to_peft(backbone.to_str().unwrap());
        std::fs::create_dir(&adapted).unwrap();
        std::fs::write(adapted.join("adapter_config.json"), &files.config).unwrap();
        std::fs::write(adapted.join("adapter_model.safetensors"), &files.weights).unwrap();

        let prompts = [tokens(1, 70, config.vocab), tokens(2, 9, config.vocab)];
        let decoder = Decoder::new(weights, Precision::F32);
        let every: Vec<u32> = (0..config.vocab as u32).collect();
        let batch = Batch::new(&[&prompts[0], &prompts[1]], 1);
        let found = decoder.letter_scores(&batch, &every, Some(&adapter), &mut Workspace::default());
        let expected = theirs(&python, &backbone, &adapted, &prompts);
        assert_eq!(expected.len(), 2);
        for (found, expected) in found.chunks(config.vocab).zip(&expected) {
            assert_close(&format!("{architecture:?}"), found, expected, 2e-5);
        }
    }
}
