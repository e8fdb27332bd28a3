use bench::baseline::Scope;
use bench::eval::{Averaging, Metric};
use bench::report::{Comparison, Report, read_results, write_report};

use super::{Material, cell, ranks};

fn metric(name: &str) -> Metric {
    name.parse().unwrap()
}

fn overall<'a>(report: &'a Report, name: &str) -> &'a Comparison {
    let name = metric(name);
    report.comparisons.iter().find(|c| c.scope == Scope::Overall && c.metric == name).unwrap()
}

#[test]
fn the_summary_is_the_mean_and_spread_of_the_seeds() {
    let report = Material::two_seeds().report();
    let recall = report.summary.test[&metric("R@20")];
    let (one, two) = (126.0 / 610.0, 130.0 / 610.0);
    assert!((recall.seeds.mean - (one + two) / 2.0).abs() < 1e-15);
    assert!((recall.seeds.sd.unwrap() - (two - one) / 2f64.sqrt()).abs() < 1e-15);
    assert!((recall.se_seeds.unwrap() - (two - one) / 2.0).abs() < 1e-15);
    assert_eq!((report.summary.retrieved.mean, report.summary.retrieved.min), (128.0, 126.0));
}

#[test]
fn overall_equals_the_retrieved_subset_times_its_share() {
    let report = Material::two_seeds().report();
    for seed in &report.seeds {
        let subset = seed.test_retrieved_subset.as_ref().unwrap();
        let share = seed.test.n_retrieved as f64 / seed.test.n_users as f64;
        for (name, estimate) in &seed.test.values {
            assert!((estimate.value - subset.values[name].value * share).abs() < 1e-12, "{name}");
        }
    }
}

#[test]
fn ours_stands_beside_every_published_number_of_the_retriever() {
    let report = Material::two_seeds().report();
    let found: Vec<(Scope, String)> =
        report.comparisons.iter().map(|c| (c.scope, c.metric.short())).collect();
    let mut expected: Vec<(Scope, String)> = Vec::new();
    for name in ["M@5", "N@5", "R@5", "M@10", "N@10", "R@10", "R@20"] {
        expected.push((Scope::Overall, name.to_owned()));
    }
    for name in ["M@5", "N@5", "R@5", "M@10", "N@10", "R@10"] {
        expected.push((Scope::RetrievedSubset, name.to_owned()));
    }
    assert_eq!(found, expected);
    let hit_rate = overall(&report, "R@20");
    assert_eq!(hit_rate.published, 126.0 / 610.0);
    assert_eq!(hit_rate.source.id, "llama3-llamarec");
    assert!(hit_rate.derived.is_some());
}

#[test]
fn the_verdict_follows_its_rule() {
    let report = Material::two_seeds().report();
    let mut verdicts = Vec::new();
    for comparison in report.comparisons.iter().filter(|c| c.scope == Scope::Overall) {
        let verdict = comparison.verdict.unwrap();
        let error = (comparison.se_users.unwrap().powi(2) + comparison.se_seeds.unwrap().powi(2)).sqrt();
        let allowed = (2.0 * error).max(0.03 * comparison.published);
        assert!((verdict.allowed - allowed).abs() < 1e-15, "{}", comparison.metric);
        assert_eq!(verdict.within, comparison.difference.abs() <= verdict.allowed, "{}", comparison.metric);
        verdicts.push((comparison.metric.short(), verdict.within));
    }
    // R@20 is nearly the published one; R@10 is 64.5 of 610 against .1426.
    assert!(verdicts.contains(&("R@20".to_owned(), true)));
    assert!(verdicts.contains(&("R@10".to_owned(), false)));
}

#[test]
fn three_percent_is_allowed_even_when_the_errors_are_small() {
    // Every user at rank 1 in both seeds: no spread of either kind.
    let report = Material::new(vec![cell(42, &[1; 610]), cell(43, &[1; 610])]).report();
    let comparison = overall(&report, "R@10");
    assert_eq!((comparison.se_users, comparison.se_seeds), (Some(0.0), Some(0.0)));
    assert_eq!(comparison.verdict.unwrap().allowed, 0.03 * 0.1426);
}

#[test]
fn numbers_over_different_users_get_no_verdict() {
    let report = Material::two_seeds().report();
    assert!(
        report
            .comparisons
            .iter()
            .filter(|c| c.scope == Scope::RetrievedSubset)
            .all(|c| c.verdict.is_none() && c.se_users.is_none())
    );
}

#[test]
fn another_retriever_is_not_compared_with_lrurec() {
    let mut material = Material::two_seeds();
    for cell in &mut material.cells {
        cell.manifest.retriever = "popularity".to_owned();
        cell.manifest.training = None;
    }
    let report = material.report();
    assert_eq!(report.comparisons, []);
    assert!(report.what.starts_with("The popularity retriever"));
}

#[test]
fn both_averagings_are_told_whichever_is_used() {
    let users = Material::two_seeds().report();
    let mut material = Material::two_seeds();
    material.averaging = Averaging::Batches { size: 16 };
    let batches = material.report();
    assert_eq!(users.summary.test_other_averaging.as_ref(), Some(&batches.summary.test));
    assert_eq!(batches.summary.test_other_averaging.as_ref(), Some(&users.summary.test));
    assert!(users.summary.test != batches.summary.test);
}

#[test]
fn a_split_that_differs_is_refused_with_what_differs() {
    let mut material = Material::two_seeds();
    material.cells[1].manifest.dataset.split_fingerprint = "0f".repeat(32);
    assert_eq!(
        material.build().unwrap_err().to_string(),
        format!(
            "report ml-100k-lrurec: seeds 42 and 43 differ in split fingerprint: {} and {}; runs of one report must share \
             it; run both seeds again with one experiment file",
            "f0".repeat(32),
            "0f".repeat(32)
        )
    );
}

#[test]
fn a_limited_run_does_not_mix_with_a_whole_one() {
    let mut material = Material::two_seeds();
    material.cells[1].manifest.limit = Some("the first 50 users".to_owned());
    let error = material.build().unwrap_err().to_string();
    assert!(error.contains("differ in limit: none and the first 50 users"), "{error}");
}

#[test]
fn a_seed_twice_and_no_seed_are_refused() {
    let mut material = Material::new(vec![cell(42, &ranks(1)), cell(42, &ranks(2))]);
    let expected = "report ml-100k-lrurec: seed 42 is there twice; expected every seed once";
    assert_eq!(material.build().unwrap_err().to_string(), expected);
    material.cells.clear();
    let expected =
        "report ml-100k-lrurec: no finished run; expected at least one seed; run the experiment first";
    assert_eq!(material.build().unwrap_err().to_string(), expected);
}

#[test]
fn results_come_back_from_the_file_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let report = Material::two_seeds().report();
    let [page, text, _, results] = write_report(&folder.path().join("ml-100k-lrurec"), &report).unwrap();
    assert!(text.ends_with("ml-100k-lrurec/report.md") && page.ends_with("ml-100k-lrurec/report.html"));
    assert_eq!(read_results(&results).unwrap(), report);
}

#[test]
fn the_same_cells_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let files = write_report(&folder.path().join(name), &Material::two_seeds().report()).unwrap();
        files.map(|path| std::fs::read(path).unwrap())
    };
    assert_eq!(write("one"), write("two"));
}

#[test]
fn results_of_another_schema_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    for (text, what) in [
        (r#"{"schema": "bench.results/2"}"#, "schema is bench.results/2"),
        ("{}", "no schema"),
        (r#"{"schema": "bench.results/1"}"#, "missing field `experiment`"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = read_results(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("read {}: {what}", path.display())), "{error}");
        assert!(error.ends_with("; expected a results.json of schema bench.results/1"), "{error}");
    }
    std::fs::write(&path, "{").unwrap();
    assert!(read_results(&path).unwrap_err().to_string().contains("not JSON: "));
}

proptest::proptest! {
    #[test]
    fn any_finite_number_survives_json(bits in proptest::prelude::any::<u64>()) {
        let number = f64::from_bits(bits);
        if number.is_finite() {
            let text = serde_json::to_string(&number).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), bits);
        }
    }
}

/// The first code block after a marker in docs/formats.md.
fn documented(marker: &str, language: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
    let text = std::fs::read_to_string(path).unwrap();
    let after = &text[text.find(marker).unwrap()..];
    let block = after.split_once(&format!("```{language}\n")).unwrap().1;
    block.split_once("\n```").unwrap().0.to_owned()
}

#[test]
fn the_documented_results_are_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let text = documented("<!-- example: results.json -->", "json");
    std::fs::write(&path, &text).unwrap();
    let report = read_results(&path).unwrap();
    // Nothing is documented that is not written, and nothing written that is not documented.
    let documented: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap(), documented);
}

#[test]
fn the_documented_published_numbers_are_read() {
    let text = documented("## Published numbers", "toml");
    let file = bench::baseline::Baseline::parse(std::path::Path::new("formats.md"), &text).unwrap();
    assert_eq!(
        (file.rows.len(), file.retrieved.len(), file.statistics.len(), file.claims.len()),
        (5, 1, 1, 1)
    );
}
