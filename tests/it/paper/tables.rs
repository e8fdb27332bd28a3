//! Tables I to IV: their shape and their numbers.

use bench::document::Mark;
use bench::eval::Rung::{Retriever, Tuned, ZeroShot};

use super::{LLAMA_2, LLAMA_3, cell, report, study, table, users, warnings};

/// Ten users, of whom five are in R: one seed of a retriever and of two rankers of its candidates.
fn two_backbones() -> Vec<super::Study> {
    let retriever = users(10, &[5, 4, 3, 2, 1]);
    let llama_2 = users(10, &[1, 2, 3, 4, 10]);
    let llama_3 = users(10, &[1, 1, 2, 4, 5]);
    // In alphabetical order, as a shell gives them; the paper has Llama 2 first.
    vec![
        study(
            "b-llama-3.1-8b",
            "ml-100k",
            LLAMA_3,
            &[(Retriever, &[&retriever]), (ZeroShot, &[&retriever]), (Tuned, &[&llama_3])],
        ),
        study("b-llama-2-7b", "ml-100k", LLAMA_2, &[(Retriever, &[&retriever]), (Tuned, &[&llama_2])]),
    ]
}

#[test]
fn tables_ii_and_iii_have_the_rows_and_columns_of_the_paper() {
    let paper = report(&two_backbones(), None).unwrap();
    for id in ["table-2", "table-3"] {
        let table = table(&paper, id);
        let rows: Vec<&str> = table.rows.iter().map(|row| row.cells[0].text.as_str()).collect();
        assert_eq!(rows, ["M@5", "N@5", "R@5", "M@10", "N@10", "R@10", "mean gain"]);
        let columns: Vec<String> = table.columns.iter().map(bench::document::Column::heading).collect();
        assert_eq!(columns, ["Metric", "LlamaRec [c]", "Llama-3.1-8B [d]", "gain (%)"]);
        assert_eq!(table.group_of(1), Some("ML-100K"));
    }
}

#[test]
fn means_over_r_and_over_all_users_follow_from_the_ranks() {
    let paper = report(&two_backbones(), None).unwrap();
    let close = |id: &str, name: &str, column: &str, expected: f64| {
        let found = cell(table(&paper, id), name, "ML-100K", column).value.unwrap();
        assert!((found - expected).abs() < 1e-12, "{id} {name} {column}: {found} {expected}");
    };
    // (1 + 1/2 + 1/3 + 1/4) / 5, and the same over ten users.
    close("table-2", "M@5", "LlamaRec", (1.0 + 0.5 + 1.0 / 3.0 + 0.25) / 5.0);
    close("table-3", "M@5", "LlamaRec", (1.0 + 0.5 + 1.0 / 3.0 + 0.25) / 10.0);
    close("table-2", "R@5", "LlamaRec", 0.8);
    close("table-2", "R@10", "LlamaRec", 1.0);
    close("table-3", "R@10", "Llama-3.1-8B", 0.5);
    close("table-2-in-full", "LRURec", "M@5", (1.0 / 5.0 + 0.25 + 1.0 / 3.0 + 0.5 + 1.0) / 5.0);
}

#[test]
fn percent_improvements_are_of_unrounded_values_and_the_same_over_r_and_over_all() {
    let paper = report(&two_backbones(), None).unwrap();
    let (two, three) = (table(&paper, "table-2"), table(&paper, "table-3"));
    // 1 + 1 + 1/2 + 1/4 + 1/5 against 1 + 1/2 + 1/3 + 1/4.
    let gain: f64 = 100.0 * (2.95 - (1.0 + 0.5 + 1.0 / 3.0 + 0.25)) / (1.0 + 0.5 + 1.0 / 3.0 + 0.25);
    let found = cell(two, "M@5", "ML-100K", "gain");
    assert!((found.value.unwrap() - gain).abs() < 1e-9, "{found:?} {gain}");
    assert_eq!(found.text, "+41.60");
    // From the printed 0.5900 and 0.4167 it would be 41.59.
    let printed = |name: &str| cell(two, "M@5", "ML-100K", name).text.parse::<f64>().unwrap();
    let of_printed = 100.0 * (printed("Llama-3.1-8B") - printed("LlamaRec")) / printed("LlamaRec");
    assert_eq!(format!("{of_printed:.2}"), "41.59");
    assert_eq!(cell(two, "R@10", "ML-100K", "gain").text, "+0.00");
    let mut sum = 0.0;
    for name in ["M@5", "N@5", "R@5", "M@10", "N@10", "R@10"] {
        let (over_r, overall) = (cell(two, name, "ML-100K", "gain"), cell(three, name, "ML-100K", "gain"));
        assert!((over_r.value.unwrap() - overall.value.unwrap()).abs() < 1e-9, "{name}");
        sum += over_r.value.unwrap();
    }
    // The paper has 38.65 and 38.43 here, which cannot both hold.
    let means = [two, three].map(|table| cell(table, "mean gain", "ML-100K", "gain").value.unwrap());
    assert!((means[0] - sum / 6.0).abs() < 1e-9 && (means[0] - means[1]).abs() < 1e-9, "{means:?}");
    let note = two.notes.iter().map(|note| note.text.plain()).find(|note| note.contains("rounded"));
    assert_eq!(
        note.unwrap(),
        "Metrics are rounded to the nearest 4th decimal and percents to the nearest 2nd, exact halves to even; percents, means of \
         percents, best and second are from unrounded values."
    );
}

#[test]
fn best_and_second_are_marked_in_each_dataset_and_ties_share_the_place() {
    let (one, two) = (users(10, &[1, 2, 3, 4, 10]), users(10, &[1, 1, 2, 4, 10]));
    let first = users(10, &[5, 4, 3, 2, 1]);
    let mut studies = Vec::new();
    for (dataset, better) in [("beauty", &two), ("ml-100k", &one)] {
        let worse = if better == &two { &one } else { &two };
        let name = |backbone: &str| format!("{dataset}-{backbone}");
        studies.push(study(&name("2"), dataset, LLAMA_2, &[(Retriever, &[&first]), (Tuned, &[worse])]));
        studies.push(study(&name("3"), dataset, LLAMA_3, &[(Retriever, &[&first]), (Tuned, &[better])]));
    }
    let paper = report(&studies, None).unwrap();
    let three = table(&paper, "table-3");
    // The papers' order of datasets, whatever that of the files is.
    assert_eq!(
        three.groups.iter().map(|group| group.title.as_str()).collect::<Vec<_>>(),
        ["", "ML-100K", "Beauty"]
    );
    let mark = |group: &str, name: &str, column: &str| cell(three, name, group, column).mark;
    assert_eq!(
        [mark("Beauty", "M@5", "LlamaRec"), mark("Beauty", "M@5", "Llama-3")],
        [Some(Mark::Second), Some(Mark::Best)]
    );
    assert_eq!(
        [mark("ML-100K", "M@5", "LlamaRec"), mark("ML-100K", "M@5", "Llama-3")],
        [Some(Mark::Best), Some(Mark::Second)]
    );
    for column in ["LlamaRec", "Llama-3"] {
        assert_eq!(mark("Beauty", "R@10", column), Some(Mark::Best), "all hits alike");
    }
    let full = table(&paper, "table-3-in-full");
    assert_eq!(cell(full, "LRURec [a]", "Beauty", "R@10").mark, Some(Mark::Best));
    // 1 + 1/2 + 1/3 + 1/4 + 1/5 is more than LlamaRec's 1 + 1/2 + 1/3 + 1/4.
    assert_eq!(cell(full, "LRURec [a]", "Beauty", "M@5").mark, Some(Mark::Second));
    assert_eq!(cell(full, "LlamaRec (Llama-2-7b)", "Beauty", "M@5").mark, None);
}

#[test]
fn superscripts_name_what_is_beaten_after_holm_over_the_whole_report_and_only_within_a_dataset() {
    // 400 users in R; the tuned one is far ahead of the other in half of them, in every metric.
    let good: Vec<u32> =
        (0..1000).map(|user| if user < 400 { 1 + u32::from(user % 2 == 0) } else { 0 }).collect();
    let bad: Vec<u32> = good.iter().map(|rank| rank * 6).collect();
    let studies = [
        study("a2", "beauty", LLAMA_2, &[(Retriever, &[&bad]), (Tuned, &[&bad])]),
        study("a3", "beauty", LLAMA_3, &[(Retriever, &[&bad]), (Tuned, &[&good])]),
        study("g", "games", LLAMA_3, &[(Retriever, &[&bad]), (Tuned, &[&bad])]),
    ];
    let paper = report(&studies, None).unwrap();
    let three = table(&paper, "table-3");
    // a LRURec, b LlamaRec, c Llama-3.1-8B on Beauty.
    assert_eq!(cell(three, "N@10", "Beauty", "Llama-3").significance, "ab");
    assert_eq!(cell(three, "N@10", "Beauty", "LlamaRec").significance, "");
    assert_eq!(cell(three, "N@10", "Games", "Llama-3").significance, "");
    let two = table(&paper, "table-2");
    assert_eq!(cell(two, "N@10", "Beauty", "Llama-3").significance, "ab", "the same R");
    assert_eq!(cell(two, "N@10", "Beauty", "LlamaRec").significance, "");
    let rows = &paper.verdicts.family.rows;
    // Three pairs on Beauty, one on Games, six metrics.
    assert_eq!(rows.len(), 24);
    let p: Vec<f64> = rows.iter().map(|row| row.p).collect();
    let holm = bench::significance::holm(&p).unwrap();
    assert_eq!(rows.iter().map(|row| row.p_holm).collect::<Vec<_>>(), holm);
    let caption = three.notes.iter().map(|note| note.text.plain()).collect::<Vec<_>>().join("\n");
    for part in [
        "Holm's correction over all 24 tests of this report",
        "Letters. Beauty: a = LRURec; b = LlamaRec (Llama-2-7b); c = Llama-3.1-8B. Games: a = LRURec; b = Llama-3.1-8B.",
    ] {
        assert!(caption.contains(part), "{part}\n{caption}");
    }
}

#[test]
fn methods_of_different_retrievers_have_no_letters_against_each_other_over_r() {
    let good: Vec<u32> =
        (0..1000).map(|user| if user < 400 { 1 + u32::from(user % 2 == 0) } else { 0 }).collect();
    let bad: Vec<u32> = good.iter().map(|rank| rank * 6).collect();
    let mut studies = [
        study("a2", "beauty", LLAMA_2, &[(Retriever, &[&bad]), (Tuned, &[&bad])]),
        study("a3", "beauty", LLAMA_3, &[(Retriever, &[&bad]), (Tuned, &[&good])]),
    ];
    for (_, method) in &mut studies[1].methods {
        method.runs[0].shared = Some("another retriever".to_owned());
    }
    let paper = report(&studies, None).unwrap();
    // a and b are the retrievers, c LlamaRec on the first, d Llama-3.1-8B on the second.
    assert_eq!(cell(table(&paper, "table-3"), "N@10", "Beauty", "Llama-3").significance, "abc");
    assert_eq!(cell(table(&paper, "table-2"), "N@10", "Beauty", "Llama-3").significance, "b");
}

#[test]
fn table_i_has_ours_beside_what_is_printed() {
    let paper = report(&two_backbones(), None).unwrap();
    let one = table(&paper, "table-1");
    let columns: Vec<&str> = one.columns.iter().map(|column| column.title.as_str()).collect();
    assert_eq!(columns, ["Dataset", "Users", "Items", "Interact", "Length", "Density"]);
    let texts = |at: usize| one.rows[at].cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>();
    assert_eq!(texts(0), ["ML-100K", "10", "3,650", "90,274", "147.99", "4e-2"]);
    assert_eq!(texts(1), ["ML-100K", "610", "3,650", "100K", "147.99", "4e-2"]);
    assert_eq!(one.rows[1].tags, ["published"]);
    assert!(
        warnings(&paper)
            .iter()
            .any(|warning| warning.starts_with("This is not the published ML-100K: 10 users"))
    );
}

#[test]
fn table_iv_has_the_papers_methods_and_copied_numbers_have_neither_marks_nor_tests() {
    let ranks = users(10, &[1, 2, 3, 4, 10]);
    let studies = [
        study("a2", "beauty", LLAMA_2, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]),
        study("a3", "beauty", LLAMA_3, &[(Retriever, &[&ranks]), (Tuned, &[&ranks])]),
    ];
    let paper = report(&studies, None).unwrap();
    let four = table(&paper, "table-4");
    let columns: Vec<&str> = four.columns.iter().map(|column| column.title.as_str()).collect();
    assert_eq!(columns[..6], ["Metric", "PALR", "GPT4Rec", "RecMind", "POD", "P5"]);
    let rows: Vec<&str> = four.rows.iter().map(|row| row.cells[0].text.as_str()).collect();
    assert_eq!(rows, ["N@5", "R@5", "N@10", "R@10"]);
    assert_eq!(
        four.rows[0].cells[1..6].iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>(),
        ["N/A", "N/A", "0.0289", "0.0395", "0.0367"]
    );
    for row in &four.rows {
        for cell in &row.cells[1..6] {
            assert_eq!((cell.mark, cell.significance.as_str()), (None, ""));
        }
    }
    let full = table(&paper, "table-4-in-full");
    let copied: Vec<_> = full.rows.iter().filter(|row| row.tags == ["published"]).collect();
    assert!(copied.len() > 10, "{}", copied.len());
    for row in &copied {
        assert!(
            row.unranked && row.cells.iter().all(|cell| cell.mark.is_none() && cell.significance.is_empty())
        );
        assert!(["no", "unknown"].contains(&row.cells[1].text.as_str()));
    }
    let palr = copied.iter().find(|row| row.cells[0].text == "PALR").unwrap();
    assert_eq!(palr.cells[1].text, "no");
    let note = full.notes.iter().find(|note| note.mark.as_ref() == palr.cells[0].footnotes.first()).unwrap();
    assert_eq!(
        note.text.plain(),
        "“PALR: Personalization Aware LLMs for Recommendation” (arXiv:2305.07622), copied from Choi and Kim, Table IV; not comparable: \
         copied; preprocessing, split and ranked set are those of PALR's own paper."
    );
}

#[test]
fn a_reference_is_named_by_experiment_backbone_or_method() {
    let studies = two_backbones();
    let of = |name: Option<&str>| {
        let paper = report(&studies, name).unwrap();
        let block = &paper.blocks[0];
        block.lines[block.reference].method.name.clone()
    };
    assert_eq!(of(None), "LlamaRec (Llama-2-7b)");
    for name in ["b-llama-3.1-8b", "Llama-3.1-8B", "meta-llama/Llama-3.1-8B"] {
        assert_eq!(of(Some(name)), "Llama-3.1-8B");
    }
    assert_eq!(of(Some("LRURec")), "LRURec");
    // Without the paper's two backbones it is what the first experiment ends in.
    let alone = report(&studies[..1], None).unwrap();
    assert_eq!(alone.blocks[0].lines[alone.blocks[0].reference].method.name, "Llama-3.1-8B");
}

#[test]
fn a_stage_that_experiments_share_is_shown_once() {
    let paper = report(&two_backbones(), None).unwrap();
    let names: Vec<&str> = paper.blocks[0].lines.iter().map(|line| line.method.name.as_str()).collect();
    assert_eq!(names, ["LRURec", "Llama-3.1-8B, zero-shot", "LlamaRec (Llama-2-7b)", "Llama-3.1-8B"]);
    assert_eq!(paper.blocks[0].lines[0].experiments, ["b-llama-3.1-8b", "b-llama-2-7b"]);
}

#[test]
fn figures_are_there_for_every_dataset() {
    let paper = report(&two_backbones(), None).unwrap();
    let ids: Vec<&str> = paper.document.figures().map(|figure| figure.id.as_str()).collect();
    assert_eq!(ids, ["metrics-ml-100k", "improvement-ml-100k", "ladder-ml-100k"]);
}
