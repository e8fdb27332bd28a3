use bench::experiment::{
    Averaging, DatasetSource, ItemOrder, Origin, ProtocolPreset, ReadOut, RetrieverSpec, TitleEncoding,
    WeightDecayRule,
};
use serde_json::json;

use super::{Folder, MINIMAL};

fn origin(
    folder: &Folder,
    overrides: &[&str],
    env: &[(&str, &str)],
    key: &str,
) -> (serde_json::Value, Origin) {
    let experiment = folder.load_with(overrides, env).expect("valid");
    let setting = experiment.resolved.get(key).expect("the setting applies");
    (setting.value.clone(), setting.origin.clone())
}

#[test]
fn a_later_layer_wins_and_every_value_says_where_it_came_from() {
    let folder = Folder::with("");
    let key = "retriever.batch_size";
    let file = |name: &str, line| Origin::File { path: folder.path(name), line };
    let head = "name = \"x\"\nseeds = [1]\ninherits = \"sub/parent.toml\"\ndataset.name = \"beauty\"\n";
    folder.write("sub/grandparent.toml", "abstract = true\n[retriever]\nkind = \"lru\"\n");
    folder.write("sub/parent.toml", "inherits = \"grandparent.toml\"\n");

    folder.write("x.toml", head);
    let of_dataset = Origin::DatasetDefault { dataset: "beauty".to_owned() };
    assert_eq!(origin(&folder, &[], &[], key), (json!(64), of_dataset));
    assert_eq!(origin(&folder, &[], &[], "retriever.hidden_dim"), (json!(64), Origin::Default));
    assert_eq!(origin(&folder, &[], &[], "retriever.kind"), (json!("lru"), file("sub/grandparent.toml", 3)));

    folder.write("sub/grandparent.toml", "[retriever]\nkind = \"lru\"\nbatch_size = 1\n");
    assert_eq!(origin(&folder, &[], &[], key), (json!(1), file("sub/grandparent.toml", 3)));

    folder.write("sub/parent.toml", "inherits = \"grandparent.toml\"\nretriever.batch_size = 2\n");
    assert_eq!(origin(&folder, &[], &[], key), (json!(2), file("sub/parent.toml", 2)));

    folder.write("x.toml", format!("{head}[retriever]\nbatch_size = 3\n"));
    assert_eq!(origin(&folder, &[], &[], key), (json!(3), file("x.toml", 6)));

    let env = [("BENCH_RETRIEVER__BATCH_SIZE", "4"), ("HOME", "/"), ("BENCH_DATA_DIR", "/data")];
    let var = Origin::Env { var: "BENCH_RETRIEVER__BATCH_SIZE".to_owned() };
    assert_eq!(origin(&folder, &[], &env, key), (json!(4), var));

    let arg = "retriever.batch_size = 5";
    let command_line = Origin::CommandLine { arg: arg.to_owned() };
    assert_eq!(origin(&folder, &[arg], &env, key), (json!(5), command_line));
}

#[test]
fn the_papers_values_depend_on_the_dataset() {
    let shape = |name: &str| {
        let folder = Folder::with(&MINIMAL.replace("synthetic", name));
        let RetrieverSpec::Lru(spec) = folder.load().expect("valid").retriever else {
            panic!("lru was asked for")
        };
        (spec.max_len, spec.batch_size, spec.weight_decay, spec.dropout, spec.lru_dropout)
    };
    assert_eq!(shape("ml-100k"), (200, 16, 0.0, 0.5, 0.5));
    assert_eq!(shape("beauty"), (50, 64, 0.01, 0.5, 0.5));
    assert_eq!(shape("games"), (50, 64, 0.01, 0.5, 0.5));
    assert_eq!(shape("synthetic"), (50, 64, 0.01, 0.5, 0.5));
}

#[test]
fn the_reference_preset_sets_every_quirk_and_typed_settings_win_over_it() {
    let backbone = "[backbone]\nname = \"a/b\"\n";
    let text = format!("protocol = \"reference\"\n{}{backbone}", MINIMAL.replace("synthetic", "ml-100k"));
    let experiment = Folder::with(&text).load().expect("valid");
    assert_eq!(experiment.protocol, ProtocolPreset::Reference);
    let RetrieverSpec::Lru(lru) = &experiment.retriever else { panic!("lru was asked for") };
    assert_eq!(lru.weight_decay_rule, WeightDecayRule::Reference001);
    assert_eq!((lru.weight_decay, lru.effective_weight_decay()), (0.0, 0.01));
    assert_eq!(experiment.evaluation.averaging, Averaging::Batches);
    assert_eq!(experiment.dataset.title_encoding, TitleEncoding::Latin1);
    assert_eq!(experiment.dataset.item_order, ItemOrder::PythonSet);
    assert_eq!(experiment.ranker.as_ref().map(|ranker| ranker.read_out), Some(ReadOut::Standalone));
    let quirks: Vec<&str> = bench::experiment::settings_reference()
        .into_iter()
        .filter_map(|doc| doc.reference.map(|_| doc.key))
        .collect();
    assert_eq!(quirks.len(), 14, "{quirks:?}");
    let preset = Origin::Preset { name: "reference".to_owned() };
    for key in quirks {
        let setting = experiment.resolved.get(key).expect(key);
        assert_eq!(setting.origin, preset, "{key}");
    }

    let typed = format!("{text}[evaluation]\naveraging = \"users\"\n");
    let experiment = Folder::with(&typed).load().expect("valid");
    assert_eq!(experiment.evaluation.averaging, Averaging::Users);

    // Amazon's titles are read as UTF-8 by the reference too, and its item order there changes from run to run.
    let beauty = Folder::with(&text.replace("ml-100k", "beauty")).load().expect("valid");
    assert_eq!(beauty.dataset.title_encoding, TitleEncoding::Utf8);
    assert_eq!(beauty.dataset.item_order, ItemOrder::Hashed);
}

#[test]
fn the_default_protocol_is_correct_where_the_reference_errs_in_evaluation() {
    let experiment = Folder::with(&MINIMAL.replace("synthetic", "ml-100k")).load().expect("valid");
    let RetrieverSpec::Lru(lru) = &experiment.retriever else { panic!("lru was asked for") };
    assert_eq!(*lru, bench::experiment::LruSpec::paper_default(&DatasetSource::Ml100k));
    assert_eq!(experiment.evaluation.averaging, Averaging::Users);
    assert_eq!(experiment.evaluation.cutoffs, [5, 10]);
    assert_eq!(experiment.evaluation.candidates, 20);
    assert_eq!(experiment.dataset, bench::experiment::DatasetSpec::new(DatasetSource::Ml100k));
    assert!(!experiment.needs_backbone());
    assert!(experiment.ranker.is_none());
}

#[test]
fn a_file_that_two_parents_share_stays_weaker_than_both() {
    let folder = Folder::with(&format!("inherits = [\"a.toml\", \"b.toml\"]\n{MINIMAL}"));
    folder.write("base.toml", "retriever.batch_size = 1\nretriever.patience = 1\nretriever.blocks = 1\n");
    folder.write("a.toml", "inherits = \"base.toml\"\nretriever.batch_size = 2\nretriever.blocks = 2\n");
    folder.write("b.toml", "inherits = \"base.toml\"\nretriever.batch_size = 3\n");
    let RetrieverSpec::Lru(lru) = folder.load().expect("valid").retriever else {
        panic!("lru was asked for")
    };
    assert_eq!((lru.batch_size, lru.blocks, lru.patience), (3, 2, 1));
}

#[test]
fn lists_replace_lists() {
    let folder = Folder::with(&format!("inherits = \"a.toml\"\n{MINIMAL}"));
    folder.write("a.toml", "seeds = [7, 8, 9]\n");
    let seeds: Vec<u64> = folder.load().expect("valid").seeds.iter().map(|seed| seed.get()).collect();
    assert_eq!(seeds, [1]);
}

#[test]
fn a_name_and_a_description_stay_with_their_file() {
    let folder = Folder::with("inherits = \"a.toml\"\nname = \"y\"\n");
    folder.write("a.toml", format!("description = \"of a\"\n{MINIMAL}"));
    let experiment = folder.load().expect("valid");
    assert_eq!((experiment.name.as_str(), experiment.description.as_str()), ("y", ""));
}

#[test]
fn strings_from_outside_need_no_quotes() {
    let folder = Folder::with(MINIMAL);
    let experiment = folder
        .load_with(
            &["name=2024", "evaluation.mask_history='all'", "seeds=[3, 4]"],
            &[("BENCH_PROTOCOL", "reference")],
        )
        .expect("valid");
    assert_eq!(experiment.name, "2024");
    assert_eq!(experiment.evaluation.mask_history, bench::experiment::HistoryMask::All);
    assert_eq!(experiment.seeds.len(), 2);
    assert_eq!(experiment.protocol, ProtocolPreset::Reference);
}

#[test]
fn the_resolved_settings_load_as_the_same_experiment() {
    let csv = "[dataset]\nname = \"csv\"\nratings_file = \"r.tsv\"\ntitles_file = 'a \"b\".tsv'\ndelimiter = \"\\t\"\nheader = false\n\
               user_column = 1\nitem_column = 2\ntime_column = false\nrating_column = 3\nmin_rating = 1\n";
    let whole = "description = \"a # \\\"quoted\\\" one\\nin two lines\"\nprotocol = \"reference\"\n[backbone]\nname = \"a/b\"\n";
    let (top, sections) = whole.split_once("[backbone]").expect("a section");
    for text in [
        MINIMAL.to_owned(),
        format!("{top}{MINIMAL}[backbone]{sections}"),
        format!("name = \"x\"\nseeds = [1, 9223372036854775807]\n{csv}[retriever]\nkind = \"random\"\n"),
    ] {
        let experiment = Folder::with(&text).load_with(&["evaluation.candidates = 7"], &[]).expect("valid");
        let toml = experiment.resolved.to_toml();
        let again = Folder::with(&toml).load().unwrap_or_else(|problems| panic!("{problems}\n{toml}"));
        let values = |e: &bench::experiment::Experiment| {
            e.resolved.settings.iter().map(|s| (s.key.clone(), s.value.clone())).collect::<Vec<_>>()
        };
        assert_eq!(values(&again), values(&experiment));
        assert_eq!((again.dataset, again.retriever), (experiment.dataset, experiment.retriever));
        assert!(toml.contains("candidates = 7 # -S evaluation.candidates = 7"), "{toml}");
        assert!(experiment.resolved.to_json().as_array().is_some_and(|settings| settings.len() > 10));
    }
}

#[test]
fn only_what_decides_retrieval_is_in_its_key() {
    let key = |overrides: &[&str]| {
        let folder = Folder::with(MINIMAL);
        folder.load_with(overrides, &[]).expect("valid").retrieval_key_material()
    };
    let base = key(&[]);
    for same in [
        "name=other",
        "description=other",
        "seeds=[2]",
        "evaluation.cutoffs=[1]",
        "evaluation.averaging=batches",
    ] {
        assert_eq!(key(&[same]), base, "{same}");
    }
    assert_eq!(key(&["backbone.name=a/b"]), base);
    assert_eq!(key(&["retriever.dropout=0.50"]), base);
    for other in [
        "dataset.users=801",
        "dataset.tie_rule=file-order",
        "retriever.dropout=0.51",
        "retriever.kind=popularity",
        "evaluation.candidates=21",
        "evaluation.mask_history=all",
    ] {
        assert_ne!(key(&[other]), base, "{other}");
    }
    serde_json::from_str::<serde_json::Value>(&base).expect("it is JSON");

    let csv = |overrides: &[&str]| {
        let text = MINIMAL.replace("\"synthetic\"", "\"csv\"\nratings_file = \"a.csv\"");
        Folder::with(&text).load_with(overrides, &[]).expect("valid").retrieval_key_material()
    };
    assert_eq!(
        csv(&["dataset.ratings_file=b.csv"]),
        csv(&[]),
        "a file is known by its hash, not by its name"
    );
    assert_ne!(csv(&["dataset.titles_file=t.csv"]), csv(&[]));
    assert!(!csv(&[]).contains("a.csv"));
}
