//! The same bits for any number of threads and on every instruction set.

use std::process::Command;

use bench::data::Part;
use bench::experiment::HistoryMask;
use bench::nn::simd::instruction_set;
use bench::retrieve::{Query, Retriever};
use sha2::{Digest, Sha256};

use super::tiny::{run, spec, split, training_spec};
use crate::nn::tools::assert_same_for_any_number_of_threads;

/// Asks [`a_digest_is_printed_when_asked_for`] to work.
const ASK: &str = "BENCH_TEST_DIGEST";

/// A hash of everything that training and retrieval give: weights, curve, candidates, scores and ranks.
fn digest() -> String {
    let split = split(60);
    let mut hash = Sha256::new();
    for (d, c, f) in [(8, 12, 20), (32, 16, 48)] {
        let mut spec = training_spec();
        (spec.hidden_dim, spec.state_dim, spec.feed_forward_dim) = (d, c, f);
        let trained = run(&spec, &split, 11).unwrap();
        trained.model.params.flat.read(|w| w.iter().for_each(|x| hash.update(x.to_le_bytes())));
        for point in &trained.curve {
            hash.update(point.metric.to_le_bytes());
            hash.update(point.train_loss.unwrap_or(0.0).to_le_bytes());
        }
        let histories = split.histories(Part::Test);
        let query = Query {
            histories: &histories,
            targets: split.targets(Part::Test),
            k: 20,
            mask: HistoryMask::Window,
        };
        let found = trained.model.retrieve(&query).unwrap();
        found.candidates.iter().for_each(|id| hash.update(id.to_le_bytes()));
        found.scores.iter().for_each(|score| hash.update(score.to_le_bytes()));
        found.ranks.iter().for_each(|rank| hash.update(rank.get().to_le_bytes()));
    }
    hex::encode(hash.finalize())
}

#[test]
fn training_and_retrieval_give_the_same_bits_for_any_number_of_threads() {
    assert_same_for_any_number_of_threads("training", digest);
}

#[test]
fn a_batch_of_many_tasks_gives_the_same_gradient_for_any_number_of_threads() {
    use bench::retrieve::lru::forward::Masks;
    use bench::retrieve::lru::packed::Packed;
    use bench::retrieve::lru::train::Trainer;
    let mut spec = spec();
    (spec.hidden_dim, spec.state_dim, spec.feed_forward_dim, spec.max_len) = (33, 40, 100, 50);
    let windows = super::tiny::sequences(&[40; 60], 2000, 5);
    assert_same_for_any_number_of_threads("gradient", || {
        let mut packed = Packed::default();
        packed.clear();
        windows.iter().for_each(|window| packed.push_window(window, spec.max_len, true));
        let mut trainer = Trainer::new(super::tiny::model(&spec, 2000, 1), &spec).unwrap();
        let loss = trainer.gradients(&packed, Masks::new(3, 0.5, 0.5)).unwrap();
        (loss.to_bits(), trainer.gradient().unwrap().read(crate::nn::tools::bits))
    });
}

/// The other side of the test below: the instruction set is chosen once in a process.
#[test]
fn a_digest_is_printed_when_asked_for() {
    if std::env::var_os(ASK).is_some() {
        println!("digest on {} {}", instruction_set(), digest());
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut digests = Vec::new();
    for set in ["portable", "avx2", "avx512"] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["retrieve::reproducible::a_digest_is_printed_when_asked_for", "--exact", "--nocapture"])
            .env(ASK, "1")
            .env("BENCH_SIMD", set)
            .output()
            .unwrap();
        let text = String::from_utf8(child.stdout).unwrap();
        assert!(child.status.success(), "{text}");
        let line =
            text.lines().find_map(|line| line.split_once("digest on ")).expect("a digest").1.to_owned();
        println!("asked for {set}: {line}");
        digests.push(line.split_once(' ').unwrap().1.to_owned());
    }
    assert_eq!(digests[0], digests[1], "portable and AVX2");
    assert_eq!(digests[1], digests[2], "AVX2 and AVX-512");
}
