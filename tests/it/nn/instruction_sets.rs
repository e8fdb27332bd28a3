//! The kernels that choose their instruction set themselves give the same bits on all of them.

use std::process::Command;

use bench::nn::rope::Rope;
use bench::nn::simd::instruction_set;
use bench::nn::{embedding, rms_norm, rope, softmax, swiglu};

use super::tools::{bits, integers, poison, values};

/// Asks the child process of the test below for its digest.
const ASK: &str = "BENCH_TEST_KERNELS_DIGEST";

/// What each kernel writes, by name.
fn written() -> Vec<(&'static str, Vec<Vec<u32>>)> {
    let (m, d) = (70, 77);
    let (x, dy, w) = (values(1, m * d, 2.0), values(2, m * d, 1.0), values(3, d, 1.0));
    let (mut y, mut inverse, mut dx, mut dw) = (poison(m * d), poison(m), x.clone(), w.clone());
    rms_norm::forward(&x, &w, 1e-6, &mut y, &mut inverse);
    rms_norm::backward(&x, &w, &inverse, &dy, &mut dx, Some(&mut dw));
    let mut turned = values(4, m * 4 * 26, 2.0);
    let table = Rope::new(&values(5, 13, 1.0), 1.0, 100);
    rope::apply(&mut turned, 26, &integers(6, m, 100), &table, false);
    let (mut gated, mut d_gate, mut d_up) = (poison(m * d), poison(m * d), poison(m * d));
    swiglu::forward(&x, &dy, &mut gated);
    swiglu::backward(&x, &dy, &y, &mut d_gate, &mut d_up);
    let mut logits = values(7, 2 * 20_001, 9.0);
    let loss = softmax::cross_entropy(20_001, &mut logits, &[5, 20_000], 0.5);
    let mut table = values(8, 40 * d, 1.0);
    embedding::scatter_add(d, &integers(9, m, 40), &dy, &mut table);
    vec![
        ("RMSNorm", [y, inverse, dx, dw].iter().map(|x| bits(x)).collect()),
        ("rotary embedding", vec![bits(&turned)]),
        ("SwiGLU", [gated, d_gate, d_up].iter().map(|x| bits(x)).collect()),
        ("cross-entropy", vec![bits(&logits), vec![loss.to_bits() as u32, (loss.to_bits() >> 32) as u32]]),
        ("embedding", vec![bits(&table)]),
        ("attention", super::attention::bits_of_a_batch()),
        ("frozen weights", super::quant::bits_of_every_storage()),
    ]
}

/// The other side of the test below: the instruction set is chosen once in a process.
#[test]
fn digests_are_printed_when_asked_for() {
    if std::env::var_os(ASK).is_none() {
        return;
    }
    println!("digests on {}", instruction_set());
    for (name, parts) in written() {
        let digest = parts.iter().flatten().fold(0xcbf2_9ce4_8422_2325u64, |hash, bits| {
            (hash ^ u64::from(*bits)).wrapping_mul(0x0100_0000_01b3)
        });
        println!("digest of {name}: {digest:016x}");
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let digests = ["portable", "avx2", "avx512"].map(|set| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["nn::instruction_sets::digests_are_printed_when_asked_for", "--exact", "--nocapture"])
            .env(ASK, "1")
            .env("BENCH_SIMD", set)
            .output()
            .unwrap();
        let text = String::from_utf8(child.stdout).unwrap();
        assert!(child.status.success(), "{text}");
        let lines: Vec<String> =
            text.lines().filter(|line| line.starts_with("digest of ")).map(str::to_owned).collect();
        assert_eq!(lines.len(), 7, "{text}");
        lines
    });
    assert_eq!(digests[0], digests[1], "portable and AVX2");
    assert_eq!(digests[1], digests[2], "AVX2 and AVX-512");
}
