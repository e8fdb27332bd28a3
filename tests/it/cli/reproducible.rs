//! One seed, one result.

use serde_json::Value;

use super::Place;

/// Hashes of candidates, scores and ranks of every seed, from a run of its own.
fn hashes(place: &Place, threads: &str, simd: &str) -> Vec<String> {
    let runs = format!("runs-{threads}-{simd}");
    let mut command = place.command(&["tiny.toml", "--threads", threads, "--runs-dir", &runs]);
    let output = command.env("BENCH_SIMD", simd).output().expect("start the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Value = serde_json::from_str(&place.read("reports/tiny/results.json")).unwrap();
    let seeds = results["seeds"].as_array().unwrap();
    seeds.iter().map(|seed| seed["retrieval_sha256"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn ranks_are_bit_identical_for_any_number_of_threads_and_any_instruction_set() {
    let place = Place::tiny();
    let first = hashes(&place, "1", "portable");
    assert_eq!(first.len(), 2);
    assert_ne!(first[0], first[1], "two seeds differ");
    for (threads, simd) in [("2", "portable"), ("1", "avx2"), ("2", "avx2"), ("1", "avx512"), ("3", "avx512")]
    {
        assert_eq!(hashes(&place, threads, simd), first, "{threads} threads, {simd}");
    }
}

/// What may differ between two runs of one file.
fn without_times(mut results: Value) -> Value {
    for seed in results["seeds"].as_array_mut().unwrap() {
        let seed = seed.as_object_mut().unwrap();
        assert!(seed.remove("times").is_some());
        assert!(seed.remove("process").is_some());
        assert!(seed.remove("peak_memory_bytes").is_some());
        for point in seed["curve"].as_array_mut().unwrap() {
            assert!(point.as_object_mut().unwrap().remove("wall_seconds").is_some());
        }
    }
    results
}

#[test]
fn two_runs_of_one_file_give_the_same_results_apart_from_times() {
    let place = Place::tiny();
    let mut results = ["one", "two"].map(|runs| {
        place.run(&["tiny.toml", "--runs-dir", runs]).succeeds();
        without_times(serde_json::from_str(&place.read("reports/tiny/results.json")).unwrap())
    });
    let [one, two] = &mut results;
    assert_eq!(one, two);
}
