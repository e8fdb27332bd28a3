use bench::document::{TerminalStyle, markdown};
use bench::report::{Report, document, terminal};

use super::{Material, cell, ranks};

/// The lines of a section, by the start of its heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = text.find(&format!("\n## {heading}")).unwrap_or_else(|| panic!("no section {heading}"));
    let rest = &text[start + 1..];
    rest[3..].find("\n## ").map_or(rest, |end| &rest[..end + 3])
}

fn lines_with<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

fn markdown_of(report: &Report) -> String {
    let text = markdown(&document(report).unwrap(), "figures");
    // Every table must be rectangular, or it does not render.
    let mut columns = None;
    for line in text.lines() {
        if line.starts_with('|') {
            let count = line.replace("\\|", "").matches('|').count();
            assert_eq!(*columns.get_or_insert(count), count, "{line}");
        } else {
            columns = None;
        }
    }
    text
}

#[test]
fn the_test_table_reads_as_the_papers_do() {
    let text = markdown_of(&Material::two_seeds().report());
    let test = section(&text, "Test");
    assert_eq!(
        lines_with(test, "|"),
        [
            "| Seed | M@5 | N@5 | R@5 | M@10 | N@10 | R@10 | R@20 | \\|R\\| |",
            "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
            // 126 = 7 users each at ranks 1 to 6 and 6 each at 7 to 20: R@5 = 35 / 610, R@10 = 66 / 610.
            "| 42 | 0.0262 | 0.0338 | 0.0574 | 0.0328 | 0.0501 | 0.1082 | 0.2066 | 126 |",
            "| 43 | 0.0262 | 0.0338 | 0.0574 | 0.0336 | 0.0521 | 0.1148 | 0.2131 | 130 |",
            "| mean ± sd | 0.0262 ± 0.0000 | 0.0338 ± 0.0000 | 0.0574 ± 0.0000 | 0.0332 ± 0.0006 | 0.0511 ± 0.0014 | \
             0.1115 ± 0.0046 | 0.2098 ± 0.0046 | 128 ± 2.8 |",
            "| SE over seeds | 0.0000 | 0.0000 | 0.0000 | 0.0004 | 0.0010 | 0.0033 | 0.0033 | – |",
            "| SE over users | 0.0051 | 0.0060 | 0.0094 | 0.0052 | 0.0065 | 0.0126 | 0.0164 | – |",
            "| LRURec (published) | 0.0390 | 0.0468 | 0.0705 | 0.0491 | 0.0705 | 0.1426 | 0.2066 | – |",
        ]
    );
}

#[test]
fn the_dataset_table_shows_ours_in_the_form_of_the_papers() {
    let text = markdown_of(&Material::two_seeds().report());
    assert_eq!(
        lines_with(section(&text, "Dataset"), "| ")[..4],
        [
            "| Dataset | Users | Items | Interactions | Length | Density |",
            "| --- | --: | --: | --: | --: | --: |",
            "| ml-100k | 610 | 3,650 | 90,274 | 147.99 | 4e-2 |",
            "| Table I \\[llama3-llamarec\\] (published) | 610 | 3,650 | 100K | 147.99 | 4e-2 |",
        ]
    );
}

#[test]
fn the_comparison_names_rule_source_and_derivation() {
    let text = markdown_of(&Material::two_seeds().report());
    let section = section(&text, "Beside the published LRURec");
    let escaped = |text: &str| text.replace('|', "\\|").replace('_', "\\_").replace('<', "&lt;");
    assert!(section.contains(&escaped(bench::report::RULE)), "{section}");
    assert!(section.contains("\\[llamarec\\] LlamaRec: Two-Stage Recommendation"));
    assert!(section.contains("arXiv:2311.02089"));
    assert!(section.contains("<sup>†</sup> R@20 of \\[llama3-llamarec\\] is derived, 126 of 610: "));
    assert_eq!(lines_with(section, "| R@20").len(), 1);
    assert!(
        lines_with(section, "| R@20")[0].contains("| 0.2066<sup>†</sup> | +0.0033 | +1.59 | 0.0335 | yes |")
    );
}

#[test]
fn one_seed_has_no_plus_minus_and_says_why() {
    let text = markdown_of(&Material::new(vec![cell(42, &ranks(126))]).report());
    assert!(text.contains("> - One seed: nothing is known about the spread over seeds"));
    assert!(lines_with(&text, "|").iter().all(|line| !line.contains('±')), "{text}");
    assert!(section(&text, "Beside the published LRURec").contains("(one seed: SE over users only)"));
}

#[test]
fn a_limited_run_is_stamped_at_the_top() {
    let mut material = Material::two_seeds();
    for cell in &mut material.cells {
        cell.manifest.limit = Some("the first 50 users".to_owned());
    }
    let report = material.report();
    let text = markdown_of(&report);
    assert_eq!(text.lines().nth(2), Some("**Not for reporting: the first 50 users**"));
    // Every table and figure bears it.
    let stamped = text.matches("(Not for reporting: the first 50 users)").count();
    let document = document(&report).unwrap();
    assert_eq!(stamped, document.tables().count() + document.figures().count());
    assert!(terminal(&report, TerminalStyle::default()).contains("not for reporting: the first 50 users"));
}

#[test]
fn ties_missing_seeds_and_the_callers_warnings_come_first() {
    let mut material = Material::two_seeds();
    material.seeds.push(44);
    material.cells[1].retrieval.test.tied_users = 3;
    material.warnings = vec!["Titles | of 15 items differ.".to_owned()];
    material.cells[0].manifest.dataset.warnings = vec!["71 users have ties in time.".to_owned()];
    let text = markdown_of(&material.report());
    assert_eq!(
        lines_with(&text, "> - "),
        [
            "> - Incomplete: 2 of 3 seeds are finished; missing: 44.",
            "> - Seed 43: the held-out item of 3 of 610 users shares its score with another item; such ties go to the \
             smaller item id.",
            "> - 71 users have ties in time.",
            "> - Titles \\| of 15 items differ.",
        ]
    );
    assert!(text.find("[!WARNING]") < text.find("## What was run"));
}

#[test]
fn data_that_differs_from_the_published_is_told() {
    let mut material = Material::two_seeds();
    for cell in &mut material.cells {
        cell.manifest.dataset.items = 3651;
    }
    assert_eq!(
        material.report().warnings,
        [
            "This is not the published ml-100k: 610 users and 3,651 items here, 610 and 3,650 in Table I; comparisons with \
             published numbers are not like for like."
        ]
    );
}

#[test]
fn no_retrieved_user_leaves_no_subset_and_says_so() {
    let text = markdown_of(&Material::new(vec![cell(1, &ranks(0)), cell(2, &ranks(0))]).report());
    assert!(text.contains("> - At least one seed retrieved no held-out item at all: R is empty."));
    assert!(!text.contains("## On the retrieved users only"));
}

#[test]
fn settings_show_deviations_and_quirks() {
    let text = markdown_of(&Material::two_seeds().report());
    let settings = section(&text, "Settings");
    assert!(settings.contains("| retriever.dropout | 0.4 | experiments/ml-100k.toml:12 |"));
    assert!(settings.contains("| retriever.first\\_item\\_label | true | default |"));
    assert!(lines_with(settings, "|").iter().all(|line| !line.contains("max")));
    // The listing has every one.
    assert!(settings.contains("\nretriever.max_len = 200  # default\n"), "{settings}");
}

#[test]
fn a_retriever_that_does_not_train_has_no_training_section() {
    let mut material = Material::two_seeds();
    for cell in &mut material.cells {
        cell.manifest.retriever = "random".to_owned();
        cell.manifest.training = None;
    }
    let text = markdown_of(&material.report());
    assert!(!text.contains("## Training"));
    assert!(!text.contains("## Beside the published"));
}

#[test]
fn training_is_told_per_seed() {
    let text = markdown_of(&Material::two_seeds().report());
    assert!(section(&text, "Training").contains(
        "| 42 | 1,500 | 0.1250 | 11,500 | 250 | 6.2500 | 2 min 05 s | 300 MiB | 20 validations without a better one |"
    ));
}

#[test]
fn the_terminal_table_is_plain_and_narrow_unless_asked() {
    let report = Material::two_seeds().report();
    let plain = terminal(&report, TerminalStyle::default());
    let rule = "-".repeat(71);
    assert_eq!(
        plain.lines().collect::<Vec<_>>(),
        [
            "ml-100k-lrurec",
            rule.as_str(),
            " ml-100k       M@5     N@5     R@5    M@10    N@10    R@10    R@20  |R|",
            rule.as_str(),
            " seed 42    0.0262  0.0338  0.0574  0.0328  0.0501  0.1082  0.2066  126",
            " seed 43    0.0262  0.0338  0.0574  0.0336  0.0521  0.1148  0.2131  130",
            " mean       0.0262  0.0338  0.0574  0.0332  0.0511  0.1115  0.2098  128",
            " sd         0.0000  0.0000  0.0000  0.0006  0.0014  0.0046  0.0046  2.8",
            " published  0.0390  0.0468  0.0705  0.0491  0.0705  0.1426  0.2066    -",
            " agrees         no      no     yes      no      no      no     yes    -",
            rule.as_str(),
            "published: LRURec; agrees: within 2 standard errors or 3 %",
        ]
    );
    let rich = terminal(&report, TerminalStyle { colour: true, unicode: true, width: None });
    assert!(rich.contains("\u{1b}[1m") && rich.contains("───"));
}

#[test]
fn the_retrieved_users_are_told_to_give_overall_only_where_they_do() {
    let mut material = Material::two_seeds();
    let sentence = "Overall = this x \\|R\\| / \\|U\\|";
    assert!(section(&markdown_of(&material.report()), "On the retrieved users").contains(sentence));
    material.averaging = bench::eval::Averaging::Batches { size: 16 };
    assert!(!markdown_of(&material.report()).contains(sentence));
}

#[test]
fn cutoffs_beyond_the_candidates_are_not_shown_over_the_retrieved_users() {
    let mut material = Material::two_seeds();
    material.cutoffs = vec![5, 20, 50];
    let text = markdown_of(&material.report());
    let header = "| Test users of R | M@5 | N@5 | R@5 | M@20 | N@20 |";
    assert_eq!(lines_with(section(&text, "On the retrieved users"), "| Test users"), [header]);
    assert!(lines_with(section(&text, "Test\n"), "| Seed")[0].contains("R@50"));
}
