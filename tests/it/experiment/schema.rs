use std::collections::BTreeSet;

use bench::experiment::{
    CsvSpec, DatasetSource, DatasetSpec, LruSpec, RecBoleSpec, RetrieverSpec, SyntheticSpec,
};
use bench::experiment::{settings_markdown, settings_reference};

use super::{Folder, MINIMAL};

#[test]
fn every_setting_is_described_once() {
    let settings = settings_reference();
    let keys: BTreeSet<&str> = settings.iter().map(|setting| setting.key).collect();
    assert_eq!(keys.len(), settings.len());
    assert!(settings.len() > 80, "{}", settings.len());
    for setting in &settings {
        assert!(
            setting.doc.ends_with('.') && !setting.doc.contains("  "),
            "{}: {}",
            setting.key,
            setting.doc
        );
        assert!(!setting.expected.is_empty() && !setting.default.is_empty());
    }
    let markdown = settings_markdown();
    assert_eq!(markdown.lines().count(), settings.len() + 2);
    assert!(markdown.contains(
        "| `retriever.hidden_dim` | an integer from 1 to 4096 | `64` |  | `retriever.kind = \"lru\"` |"
    ));
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_types() {
    let dataset = |lines: &str| {
        let text = MINIMAL.replace("name = \"synthetic\"", lines);
        Folder::with(&text).load().unwrap_or_else(|problems| panic!("{problems}"))
    };
    let synthetic = dataset("name = \"synthetic\"");
    assert_eq!(synthetic.dataset, DatasetSpec::new(DatasetSource::Synthetic(SyntheticSpec::default())));
    assert_eq!(synthetic.retriever, RetrieverSpec::Lru(LruSpec::paper_default(&synthetic.dataset.source)));

    let csv = dataset("name = \"csv\"\nratings_file = \"r.csv\"");
    assert_eq!(csv.dataset, DatasetSpec::new(DatasetSource::Csv(CsvSpec::new("r.csv".into(), None))));
    let csv = dataset("name = \"csv\"\nratings_file = \"r.csv\"\ntitles_file = \"t.csv\"");
    let titled = CsvSpec::new("r.csv".into(), Some("t.csv".into()));
    assert_eq!(csv.dataset, DatasetSpec::new(DatasetSource::Csv(titled)));

    let recbole = dataset("name = \"recbole\"\ninter_file = \"r.inter\"\nitem_file = \"r.item\"");
    let atomic = RecBoleSpec::new("r.inter".into(), Some("r.item".into()));
    assert_eq!(recbole.dataset, DatasetSpec::new(DatasetSource::RecBole(atomic)));
    let timeless = dataset("name = \"recbole\"\ninter_file = \"r.inter\"\ntime_field = false");
    let RecBoleSpec { .. } = match timeless.dataset.source {
        DatasetSource::RecBole(spec) => {
            assert_eq!((spec.time_field.as_deref(), spec.rating_field.as_deref()), (None, Some("rating")));
            spec
        }
        other => panic!("{other:?}"),
    };
    for (name, source) in [
        ("ml-100k", DatasetSource::Ml100k),
        ("beauty", DatasetSource::Beauty),
        ("games", DatasetSource::Games),
    ] {
        let experiment = dataset(&format!("name = \"{name}\""));
        assert_eq!(experiment.retriever, RetrieverSpec::Lru(LruSpec::paper_default(&source)));
        assert_eq!(experiment.dataset, DatasetSpec::new(source));
    }
}

#[test]
fn every_choice_of_the_table_is_understood() {
    // A choice in the table that the types do not know would surface as a failure to fit together.
    let base = format!("{MINIMAL}[backbone]\nname = \"a/b\"\n");
    let mut tried = 0;
    for setting in settings_reference() {
        if setting.key.ends_with(".name") || setting.key == "retriever.kind" {
            continue;
        }
        let list = setting.expected.starts_with("a list of \"");
        for choice in setting.expected.split('"').skip(1).step_by(2) {
            if setting.expected.contains("one ASCII character") {
                continue;
            }
            let value = if list { format!("[\"{choice}\"]") } else { format!("\"{choice}\"") };
            let assignment = format!("{}={value}", setting.key);
            // Synthetic titles are not read from a file.
            let dataset = if setting.key == "dataset.title_encoding" { "ml-100k" } else { "synthetic" };
            Folder::with(&base.replace("synthetic", dataset))
                .load_with(&[&assignment], &[])
                .unwrap_or_else(|problems| panic!("{assignment}: {problems}"));
            tried += 1;
        }
    }
    assert!(tried >= 35, "{tried}");
}

#[test]
fn formats_md_lists_the_variables_that_are_no_settings() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/formats.md")).unwrap();
    let after = document.split_once("These variables are options of the program and").unwrap().1;
    let list = after.split_once("Any other variable").unwrap().0;
    let listed: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(listed, bench::experiment::PROGRAM_VARIABLES);
}
