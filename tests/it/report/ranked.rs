//! A report with a ranker: tests, marks, figures and files.

use std::collections::BTreeSet;
use std::path::Path;

use bench::baseline::built_in;
use bench::document::{Block, Chart, Checked, Mark, Table, html, markdown};
use bench::eval::{Averaging, Metric, Rung};
use bench::report::{Input, Report, Strata, document, read_results, write_report};
use bench::run::{
    AuditRecord, BackboneRecord, Cell, CurvePoint, LabelRecord, PromptRecord, RankedPart, RankerRecord,
    RankingCell, Reading, StoredPart, StoredRanking,
};
use proptest::prelude::*;

use super::cell;

/// The users of R, whose item the model puts at `ranks`, of a part as the retriever left it.
fn ranked(part: &StoredPart, models: &[(Rung, &[u32])]) -> RankedPart {
    let users: Vec<usize> = (0..part.ranks.len()).filter(|user| part.ranks[*user] <= 20).collect();
    let shown = |user: &usize| part.candidates[user * 20..(user + 1) * 20].to_vec();
    let candidates: Vec<u32> = users.iter().flat_map(shown).collect();
    let targets = vec![99; users.len()];
    let readings = models.iter().map(|(rung, ranks)| {
        let scores = users.iter().flat_map(|user| {
            // The others keep their order around the place of the target.
            let place = ranks[*user];
            let mut next = (1..).filter(move |rank| *rank != place);
            let of = |item: &u32| if *item == 99 { place } else { next.next().unwrap() };
            shown(user).iter().map(of).map(|rank| -(rank as f32)).collect::<Vec<f32>>()
        });
        Reading::new(*rung, "in-context", scores.collect(), (&candidates, &targets)).unwrap()
    });
    let readings = readings.collect();
    RankedPart { users: users.iter().map(|user| *user as u32).collect(), candidates, targets, readings }
}

/// A seed: the ranks of all users by the retriever, and of those of R by the models; 0 is not retrieved.
fn seed(seed: u64, retriever: &[u32], zero_shot: &[u32], tuned: &[u32]) -> (Cell, RankingCell) {
    let mut cell = cell(seed, retriever);
    cell.manifest.dataset.users = retriever.len() as u64;
    let point =
        |step, train_loss, metric| CurvePoint { step, epoch: 1, train_loss, metric, wall_seconds: 1.0 };
    cell.curve =
        vec![point(500, Some(7.0), 0.1), point(1500, Some(6.5), 0.125), point(2000, Some(6.25), 0.12)];
    let test = ranked(&cell.retrieval.test, &[(Rung::ZeroShot, zero_shot), (Rung::Tuned, tuned)]);
    let prompts = PromptRecord {
        prompts: test.users.len() as u64,
        of: test.users.len() as u64,
        tokens: 100 * test.users.len() as u64,
        longest: 120,
        ..PromptRecord::default()
    };
    let mut manifest = cell.manifest.clone();
    manifest.key = format!("{:064x}", seed + 1000);
    manifest.stage = "ranking".to_owned();
    manifest.ranker = Some(RankerRecord {
        backbone: BackboneRecord {
            name: "meta-llama/Llama-2-7b-hf".to_owned(),
            revision: None,
            source: "hub".to_owned(),
            identity: "ab".repeat(32),
            architecture: "llama".to_owned(),
            parameters: 6_738_415_616,
            vocabulary: 32_000,
            quantization: "nf4".to_owned(),
            compute_type: "bf16".to_owned(),
            bytes: 4 << 30,
            files: Default::default(),
            random: None,
        },
        retrieval_key: cell.manifest.key.clone(),
        tuned: true,
        candidate_order: "shuffled".to_owned(),
        validation: prompts.clone(),
        test: prompts,
        training: None,
        cut_titles: 0,
    });
    let letter =
        |label: &str, id| LabelRecord { label: label.to_owned(), in_context: vec![id], standalone: vec![id] };
    let ranking = RankingCell {
        manifest,
        ranking: StoredRanking { k: 20, validation: test.clone(), test },
        curve: vec![point(0, None, 0.25), point(1500, Some(1.5), 0.75)],
        audit: AuditRecord {
            read_out: "in-context".to_owned(),
            tokenizer: "cd".repeat(32),
            context: vec![13],
            labels: vec![letter("A", 29909), letter("B", 29933)],
        },
        settings: vec![],
    };
    (cell, ranking)
}

pub fn report(seeds: &[(Cell, RankingCell)], strata: Option<Strata<'_>>) -> Report {
    let (cells, rankings): (Vec<Cell>, Vec<RankingCell>) = seeds.iter().cloned().unzip();
    let numbers: Vec<u64> = cells.iter().map(|cell| cell.manifest.seed).collect();
    Report::build(&Input {
        experiment: "ml-100k-llama-2-7b",
        description: "",
        settings: &[],
        cutoffs: &[5, 10],
        averaging: Averaging::Users,
        batch_size: Some(16),
        seeds: &numbers,
        cells: &cells,
        rankings: &rankings,
        baselines: &built_in().unwrap(),
        strata,
        warnings: &[],
    })
    .unwrap()
}

/// 200 users, half of them in R at rank 10; the backbone leaves them there, and tuning takes them to the top.
pub fn clear(number: u64) -> (Cell, RankingCell) {
    let ranks = |rank: u32| -> Vec<u32> { (0..200).map(|user| if user < 100 { rank } else { 0 }).collect() };
    seed(number, &ranks(10), &ranks(10), &ranks(1))
}

fn metric(name: &str) -> Metric {
    name.parse().unwrap()
}

fn table<'a>(document: &'a Checked, id: &str) -> &'a Table {
    document.tables().find(|table| table.id == id).unwrap_or_else(|| panic!("no table {id}"))
}

#[test]
fn every_pair_of_rungs_is_tested_in_every_metric_that_an_order_can_change() {
    let report = report(&[clear(42), clear(43)], None);
    let found = report.ranker.as_ref().unwrap().significance.as_ref().unwrap();
    // Three pairs, and MRR, NDCG and Recall at 5 and 10; Recall@20 is that of the candidates.
    assert_eq!(found.contrasts.len(), 3 * 6);
    assert!(found.contrasts.iter().all(|contrast| contrast.metric != metric("R@20")));
    let gain = found.contrast(Rung::Tuned, Rung::Retriever, metric("M@10")).unwrap();
    // From 1/10 to 1 for half of the users.
    assert!((gain.difference - 0.45).abs() < 1e-12 && (gain.relative.unwrap() - 9.0).abs() < 1e-9);
    assert_eq!((gain.wins, gain.ties, gain.losses, gain.users), (100, 100, 0, 200));
    assert_eq!(gain.test, "crossed t (users and seeds)");
    assert!(gain.p_holm < 1e-9 && gain.p_holm >= gain.p);
    let same = found.contrast(Rung::ZeroShot, Rung::Retriever, metric("N@10")).unwrap();
    assert_eq!((same.difference, same.p, same.p_holm, same.verdict(0.05)), (0.0, 1.0, 1.0, "the same"));
}

#[test]
fn superscripts_name_who_is_beaten_and_the_caption_says_how() {
    let report = report(&[clear(42), clear(43)], None);
    let document = document(&report).unwrap();
    let overall = table(&document, "overall");
    let row = |name: &str| overall.rows.iter().find(|row| row.cells[0].text == name).unwrap();
    assert_eq!(row("tuned").tags, ["c", "the result"]);
    // Column 4 is M@10.
    let letters = |name: &str| row(name).cells[4].significance.clone();
    assert_eq!([letters("retriever's order"), letters("zero-shot"), letters("tuned")], ["", "", "a,b"]);
    assert_eq!(row("tuned").cells[4].mark, Some(Mark::Best));
    // Two that are equal share the second place; the bounds and the errors compete with nobody.
    assert_eq!(row("zero-shot").cells[4].mark, Some(Mark::Second));
    assert_eq!(row("retriever's order").cells[4].mark, Some(Mark::Second));
    for name in
        ["random order (expected)", "perfect order", "SE over users of tuned", "SE over seeds of tuned"]
    {
        assert!(row(name).cells.iter().all(|cell| cell.mark.is_none()), "{name}");
    }
    // Nor does the recall of the candidates tell them apart.
    assert_eq!(row("tuned").cells[7].significance, "");
    let notes: String = overall.notes.iter().map(|note| note.text.plain()).collect();
    assert!(notes.contains("p by Holm below 0.05 over all 18 comparisons of this report"), "{notes}");
    assert!(notes.contains("test: crossed t (users and seeds)"), "{notes}");
    // Over R the same orders are ahead, by the same tests.
    let of_r = table(&document, "ranker-only");
    let tuned = of_r.rows.iter().find(|row| row.cells[0].text == "tuned").unwrap();
    let at = of_r.columns.iter().position(|column| column.title == "M@10").unwrap();
    assert_eq!((tuned.cells[at].significance.as_str(), &tuned.tags), ("a,b", &row("tuned").tags));
    let caption = overall.caption.plain();
    assert!(caption.contains("200 users") && caption.contains("|R| = 100 ± 0.0, 2 seeds"), "{caption}");
}

#[test]
fn one_seed_has_tests_over_users_only_and_says_so() {
    let report = report(&[clear(42)], None);
    let text = markdown(&document(&report).unwrap(), "figures");
    assert!(
        text.contains("One seed: the test is about other users, and says nothing about another training.")
    );
    assert!(text.lines().filter(|line| line.starts_with('|')).all(|line| !line.contains('±')), "{text}");
    let found = report.ranker.unwrap().significance.unwrap();
    let gain = found.contrast(Rung::Tuned, Rung::Retriever, metric("R@5")).unwrap();
    assert!(gain.test.starts_with("paired randomization"), "{}", gain.test);
}

#[test]
fn nobody_in_r_is_told_and_leaves_no_number_that_is_none() {
    let report =
        report(&[seed(1, &[0; 30], &[0; 30], &[0; 30]), seed(2, &[0; 30], &[0; 30], &[0; 30])], None);
    assert_eq!(report.ranker.as_ref().unwrap().significance, None);
    let document = document(&report).unwrap();
    let text = markdown(&document, "figures");
    for expected in [
        "R is empty: no order of the candidates differs from another, so there is nothing to compare.",
        "R is empty: no held-out item is among the candidates, so no rank is drawn.",
        "Nobody was ranked.",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    for text in [&text, &html(&document), &serde_json::to_string(&report).unwrap()] {
        assert!(!text.contains("NaN") && !text.contains("inf "));
    }
}

#[test]
fn published_rows_compete_with_nobody() {
    let document = document(&report(&[clear(42), clear(43)], None)).unwrap();
    let published: Vec<_> = document
        .tables()
        .flat_map(|table| &table.rows)
        .filter(|row| row.tags.iter().any(|tag| tag == "published"))
        .collect();
    assert!(published.len() >= 3, "{}", published.len());
    assert!(
        published
            .iter()
            .flat_map(|row| &row.cells)
            .all(|cell| { cell.mark.is_none() && cell.significance.is_empty() })
    );
}

#[test]
fn what_could_not_have_been_found_is_a_warning() {
    // One user of 40 moves from rank 2 to 1.
    let (mut retriever, mut tuned) = (vec![0; 40], vec![0; 40]);
    (retriever[0], tuned[0]) = (2, 1);
    (retriever[1], tuned[1]) = (4, 4);
    let report =
        report(&[seed(1, &retriever, &retriever, &tuned), seed(2, &retriever, &retriever, &tuned)], None);
    let contrasts = &report.ranker.as_ref().unwrap().significance.as_ref().unwrap().contrasts;
    let weak = contrasts.iter().filter(|contrast| contrast.underpowered).count();
    let start = format!("Underpowered: in {weak} of 18 comparisons");
    assert!(report.warnings.iter().any(|warning| warning.starts_with(&start)), "{:?}", report.warnings);
    let few = "Few seeds for the tests: 2 seeds: where seeds matter much, a 95 % interval may cover as little as 87 %.";
    assert!(report.warnings.iter().any(|warning| warning == few), "{:?}", report.warnings);
}

#[test]
fn figures_show_what_results_have() {
    let history: Vec<u32> = (0..200).map(|user| if user < 100 { 5 } else { 9 }).collect();
    let popularity: Vec<u32> = (0..200).collect();
    let strata = Strata { history: &history, popularity: &popularity };
    let report = report(&[clear(42), clear(43)], Some(strata));
    let document = document(&report).unwrap();
    let ids: Vec<&str> = document.figures().map(|figure| figure.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "metrics",
            "ladder",
            "improvement",
            "ranks",
            "by-history",
            "by-popularity",
            "ranker-curve",
            "retriever-curve"
        ]
    );
    for figure in document.figures() {
        match (figure.id.as_str(), &figure.chart) {
            ("metrics", Chart::Bars(chart)) => {
                let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
                assert_eq!(names, ["LRURec", "zero-shot", "tuned"]);
                // Tuned: everybody of R is first, which is half of the users.
                assert!(chart.series[2].values.iter().all(|value| value.unwrap().value == 0.5));
                let (low, high) = chart.series[2].values[0].unwrap().interval.unwrap();
                // Half ones and half zeros among 200: SE sqrt(0.25 / 199), t of 199 degrees 1.9719566 (tables).
                let half = 1.9719566 * (0.25f64 / 199.0).sqrt();
                assert!(
                    (low - (0.5 - half)).abs() < 1e-6 && (high - (0.5 + half)).abs() < 1e-6,
                    "{low} {high}"
                );
            }
            ("ladder", Chart::Ladder(chart)) => {
                let rungs: Vec<(&str, bool)> =
                    chart.rungs.iter().map(|r| (r.name.as_str(), r.bound)).collect();
                let expected = [
                    ("random order", true),
                    ("LRURec", false),
                    ("zero-shot", false),
                    ("tuned", false),
                    ("perfect order", true),
                ];
                assert_eq!(rungs, expected);
                // NDCG@10 at rank 10 is 1 / log2(11), for half of the users.
                assert!((chart.rungs[1].estimate.value - 0.5 / 11f64.log2()).abs() < 1e-12);
            }
            ("improvement", Chart::Intervals(chart)) => {
                assert_eq!(chart.rows.len(), 6);
                let mrr = chart.rows.iter().find(|row| row.name == "MRR@10").unwrap();
                assert!((mrr.values[1].unwrap().value - 0.45).abs() < 1e-12);
            }
            ("ranks", Chart::Ranks(chart)) => {
                assert_eq!((chart.series[0].counts[9], chart.series[0].users), (200, 200));
                assert_eq!((chart.series[1].counts[0], chart.series[1].counts.len()), (200, 20));
            }
            ("by-history", Chart::Bins(chart)) => {
                let bins: Vec<(&str, u64)> =
                    chart.bins.iter().map(|bin| (bin.label.as_str(), bin.users)).collect();
                assert_eq!(bins, [("5", 100), ("9", 100)]);
                let tuned: Vec<f64> =
                    chart.series[2].values.iter().map(|value| value.unwrap().value).collect();
                assert_eq!(tuned, [1.0, 0.0]);
            }
            ("by-popularity", Chart::Bins(chart)) => {
                assert_eq!(chart.bins.len(), 5);
                assert_eq!((chart.bins[0].label.as_str(), chart.bins[0].users), ("0–39", 40));
                let tuned: Vec<f64> =
                    chart.series[2].values.iter().map(|value| value.unwrap().value).collect();
                assert_eq!(tuned, [1.0, 1.0, 0.5, 0.0, 0.0]);
            }
            ("ranker-curve" | "retriever-curve", Chart::Curves(chart)) => {
                assert_eq!((chart.panels.len(), chart.panels[0].curves.len()), (2, 2));
                assert_eq!(chart.panels[0].curves[0].best, Some(1));
            }
            (id, _) => panic!("{id} is another chart"),
        }
    }
}

/// Every number in a JSON value.
fn numbers(value: &serde_json::Value, found: &mut BTreeSet<u64>) {
    match value {
        serde_json::Value::Number(number) => {
            let number = number.as_f64().unwrap();
            // Shares are shown in percent too.
            found.extend([number.to_bits(), (100.0 * number).to_bits()]);
        }
        serde_json::Value::Array(all) => all.iter().for_each(|one| numbers(one, found)),
        serde_json::Value::Object(all) => all.values().for_each(|one| numbers(one, found)),
        _ => {}
    }
}

/// Numbers that follow from others: sums of times, mean lengths, changes.
const DERIVED: [&str; 5] = ["training", "ranker-training", "prompts", "averaging", "validation"];

/// Whether what is shown is the exact value, rounded, and the exact value one of `results.json`.
fn check_numbers(report: &Report) {
    let document = document(report).unwrap();
    let mut known = BTreeSet::new();
    numbers(&serde_json::to_value(report).unwrap(), &mut known);
    let mut checked = 0;
    for table in document.tables() {
        // What a paper prints is text in results.json.
        let own = table.rows.iter().filter(|row| table.id != "dataset" || row.tags.is_empty());
        for cell in own.flat_map(|row| &row.cells) {
            let spread = cell.spread.as_ref().map(|spread| (spread.text.as_str(), spread.value));
            for (text, value) in cell.value.map(|value| (cell.text.as_str(), value)).into_iter().chain(spread)
            {
                let plain = text.replace(',', "");
                let digits = plain.trim_start_matches(['+', '-']);
                if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
                    let places = digits.split_once('.').map_or(0, |(_, after)| after.len());
                    let rounded = format!("{value:.places$}");
                    assert_eq!(rounded.trim_start_matches('-'), digits, "{}: {text} of {value}", table.id);
                    checked += 1;
                }
                if !DERIVED.contains(&table.id.as_str()) {
                    assert!(
                        known.contains(&(value + 0.0).to_bits()) || known.contains(&value.to_bits()),
                        "{}: {value} ({text}) is nowhere in results.json",
                        table.id
                    );
                }
            }
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn every_number_of_a_table_is_one_of_results_rounded() {
    check_numbers(&report(&[clear(42), clear(43)], None));
    check_numbers(&super::Material::two_seeds().report());
}

#[test]
fn every_id_is_one_that_a_later_report_may_take_away() {
    let document = self::document(&report(&[clear(42), clear(43)], None)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_report(folder.path(), &report(&[clear(42), clear(43)], None)).unwrap();
    let names = |name: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder.path().join(name)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("tables").len(), 2 * document.tables().count());
    assert_eq!(names("figures").len(), 4 * document.figures().count());
    for own in ["figures/mine.png", "tables/mine.csv"] {
        std::fs::write(folder.path().join(own), "mine").unwrap();
    }
    // The same experiment without its second stage.
    let later = super::Material::two_seeds().report();
    write_report(folder.path(), &later).unwrap();
    let later = self::document(&later).unwrap();
    assert_eq!(names("tables").len(), 2 * later.tables().count() + 1);
    assert_eq!(names("figures").len(), 4 * later.figures().count() + 1);
    assert_eq!(std::fs::read_to_string(folder.path().join("figures/mine.png")).unwrap(), "mine");
}

#[test]
fn the_formats_tell_the_same_and_a_page_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(&[clear(42), clear(43)], None);
    let [page, text, latex, results] = write_report(folder.path(), &report).unwrap();
    assert_eq!(read_results(&results).unwrap(), report);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let (page, text, latex) = (read(&page), read(&text), read(&latex));
    for heading in ["Ranker", "Significance", "The letters", "Provenance"] {
        assert!(page.contains(&format!(">{heading}</h2>")), "{heading}");
        assert!(text.contains(&format!("\n## {heading}\n")), "{heading}");
        assert!(latex.contains(&format!("\\section{{{heading}}}")), "{heading}");
    }
    assert!(!page.contains("src=\"http") && !page.contains("<link"));
    // Pictures that the text names are there.
    for name in text.split("figures/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(folder.path().join("figures").join(name).is_file(), "{name}");
    }
    let csv = read(&folder.path().join("tables/significance.csv"));
    assert_eq!(csv.lines().count(), 1 + 18);
    let blocks =
        document(&report).unwrap().sections.iter().map(|section| section.blocks.len()).sum::<usize>();
    assert!(blocks > 25, "{blocks}");
    let code = document(&report).unwrap();
    assert!(code.sections.iter().flat_map(|s| &s.blocks).all(|block| !matches!(block, Block::Code(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_ranks_make_a_report_whose_numbers_are_those_of_results(
        users in prop::collection::vec(prop::array::uniform6(0u32..=20), 3..12),
        one in any::<bool>(),
        long in prop::collection::vec(1u32..40, 12),
    ) {
        let at = |at: usize| -> Vec<u32> { users.iter().map(|user| user[at]).collect() };
        // Of whom the retriever does not find, a model knows nothing.
        let model = |at: usize| -> Vec<u32> { users.iter().map(|user| user[at].max(1)).collect() };
        let mut seeds = vec![seed(1, &at(0), &model(1), &model(2))];
        if !one {
            seeds.push(seed(2, &at(3), &model(4), &model(5)));
        }
        let known = &long[..users.len()];
        let report = report(&seeds, Some(Strata { history: known, popularity: known }));
        check_numbers(&report);
        let json = serde_json::to_string(&report).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Report>(&json).unwrap(), &report);
        let figures = report.figures.unwrap();
        for breakdown in &figures.breakdowns {
            // Every user is in one group.
            prop_assert_eq!(breakdown.bins.iter().map(|bin| bin.users).sum::<u64>(), users.len() as u64);
            let mean: f64 = breakdown.bins.iter().map(|bin| bin.users as f64 * bin.methods[0].interval.mean).sum();
            let all = figures.methods[0].overall[&figures.metric].mean;
            prop_assert!((mean / users.len() as f64 - all).abs() < 1e-9);
        }
    }
}
