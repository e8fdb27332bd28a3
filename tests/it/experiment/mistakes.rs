use super::{Folder, MINIMAL, only, with_retriever, with_top};

fn replaced(from: &str, to: &str) -> String {
    assert!(MINIMAL.contains(from));
    only(Folder::with(&MINIMAL.replace(from, to)).complaints(&[], &[]))
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    for (line, message) in [
        ("hiden_dim = 3", "x.toml:7: retriever.hiden_dim is not a setting; did you mean hidden_dim?"),
        ("hidden-dim = 3", "x.toml:7: retriever.hidden-dim is not a setting; did you mean hidden_dim?"),
        ("cutoffs = [1]", "x.toml:7: retriever.cutoffs is not a setting; did you mean evaluation.cutoffs?"),
        ("zebra = 3", "x.toml:7: retriever.zebra is not a setting; docs/formats.md lists the settings"),
    ] {
        assert_eq!(with_retriever(line), message);
    }
    for (line, message) in [
        ("seed = 3", "x.toml:1: seed is not a setting; did you mean seeds?"),
        ("hidden_dim = 3", "x.toml:1: hidden_dim is not a setting; did you mean retriever.hidden_dim?"),
        (
            "learning_rate = 3",
            "x.toml:1: learning_rate is not a setting; did you mean retriever.learning_rate or ranker.learning_rate or \
             pretrain.learning_rate?",
        ),
        ("retreiver.kind = 'lru'", "x.toml:1: retreiver is not a section; did you mean [retriever]?"),
        ("banana.kind = 'lru'", "x.toml:1: banana is not a section; docs/formats.md lists the settings"),
        (
            "'retriever.kind' = 'lru'",
            "x.toml:1: \"retriever.kind\" is not a setting; did you mean retriever.kind, without quotes?",
        ),
    ] {
        assert_eq!(with_top(line), message);
    }
}

#[test]
fn a_value_of_another_type_or_out_of_range_says_what_is_expected() {
    for (line, message) in [
        ("hidden_dim = '64'", "hidden_dim is \"64\", a string; expected an integer from 1 to 4096"),
        ("hidden_dim = 64.0", "hidden_dim is 64.0, a number; expected an integer from 1 to 4096"),
        ("hidden_dim = 0", "hidden_dim is 0; expected an integer from 1 to 4096"),
        ("hidden_dim = -1", "hidden_dim is -1; expected an integer from 1 to 4096"),
        ("dropout = 1", "dropout is 1; expected a number from 0 to below 1"),
        ("dropout = [0.5]", "dropout is [0.5], a list; expected a number from 0 to below 1"),
        ("dropout = 2020-01-01", "dropout is a date; expected a number from 0 to below 1"),
        ("dropout = {a = 1}", "dropout is a table; expected a number from 0 to below 1"),
        ("learning_rate = 0", "learning_rate is 0; expected a number above 0 and at most 10"),
        ("learning_rate = nan", "learning_rate is nan; expected a finite number above 0 and at most 10"),
        ("learning_rate = inf", "learning_rate is inf; expected a finite number above 0 and at most 10"),
        ("learning_rate = -inf", "learning_rate is -inf; expected a finite number above 0 and at most 10"),
        ("first_item_label = 1", "first_item_label is 1, an integer; expected true or false"),
        (
            "window_remainder = 'dorp'",
            "window_remainder is \"dorp\"; expected \"drop\" or \"keep\"; did you mean \"drop\"?",
        ),
        (
            "select_by = 'recall@0'",
            "select_by is \"recall@0\"; expected a metric such as \"recall@10\", \"ndcg@10\" or \"mrr@10\"",
        ),
    ] {
        assert_eq!(with_retriever(line), format!("x.toml:7: retriever.{message}"));
    }
    assert_eq!(
        replaced("\"lru\"", "\"lur\""),
        "x.toml:6: retriever.kind is \"lur\"; expected \"lru\", \"popularity\" or \"random\"; did you mean \"lru\"?"
    );
    assert_eq!(
        replaced("\"synthetic\"", "\"ml100k\""),
        "x.toml:4: dataset.name is \"ml100k\"; expected \"ml-100k\", \"beauty\", \"games\", \"synthetic\", \"csv\" or \
         \"recbole\"; did you mean \"ml-100k\"?"
    );
    assert_eq!(with_top("retriever = 'lru'"), "x.toml:6: not valid TOML: retriever is written twice");
    assert_eq!(
        with_top("ranker = 'llama'"),
        "x.toml:1: ranker is a section, not a setting; it is a string; write settings such as ranker.tune"
    );
}

#[test]
fn seeds_are_there_whole_and_different() {
    let seeds = |list: &str| replaced("seeds = [1]", &format!("seeds = {list}"));
    let expected = "expected a list of different integers from 0 to 9223372036854775807";
    assert_eq!(seeds("[]"), format!("x.toml:2: seeds is empty; {expected}; for example seeds = [42]"));
    assert_eq!(seeds("[42, 7, 42]"), "x.toml:2: seeds repeats 42; each seed is one run, so all must differ");
    assert_eq!(seeds("[42, -7]"), format!("x.toml:2: seeds holds -7; {expected}"));
    assert_eq!(seeds("[42, 0.5]"), format!("x.toml:2: seeds holds 0.5; {expected}"));
    assert_eq!(seeds("42"), format!("x.toml:2: seeds is 42, an integer; {expected}"));
    assert_eq!(
        seeds("[9223372036854775808]"),
        format!("x.toml:2: seeds holds 9223372036854775808; {expected}")
    );
    assert_eq!(
        replaced("seeds = [1]\n", ""),
        "x.toml: seeds is missing; expected a list of different integers from 0 to 9223372036854775807"
    );
}

#[test]
fn cutoffs_ascend() {
    let cutoffs = |list: &str| with_retriever(&format!("[evaluation]\ncutoffs = {list}"));
    let expected = "expected a list of ascending integers from 1 to 1000";
    assert_eq!(cutoffs("[10, 5]"), "x.toml:8: evaluation.cutoffs does not ascend at 5; sort it");
    assert_eq!(cutoffs("[5, 5]"), "x.toml:8: evaluation.cutoffs repeats 5; leave it there once");
    assert_eq!(cutoffs("[0]"), format!("x.toml:8: evaluation.cutoffs holds 0; {expected}"));
    assert_eq!(
        cutoffs("[]"),
        format!("x.toml:8: evaluation.cutoffs is empty; {expected}; for example cutoffs = [5, 10]")
    );
}

#[test]
fn a_name_is_there_and_safe_as_a_folder() {
    let rule = "expected a folder name: 1 to 100 of a-z, A-Z, 0-9, '-', '_' and '.', the first and the last a letter \
                or a digit";
    assert_eq!(replaced("name = \"x\"\n", ""), format!("x.toml: name is missing; {rule}"));
    for bad in ["", "..", ".x", "a/b", "a\\\\b", "a b", "-x", "x.", "ü", "../x"] {
        let shown = bad.replace("\\\\", "\\");
        let message = replaced("name = \"x\"", &format!("name = \"{bad}\""));
        assert_eq!(message, format!("x.toml:1: name is {shown:?}; {rule}"));
    }
    for good in ["x", "ml-100k_llama-3.1-8b", "2024"] {
        let folder = Folder::with(&MINIMAL.replace("name = \"x\"", &format!("name = \"{good}\"")));
        assert_eq!(folder.load().expect("valid").name, good);
    }
}

#[test]
fn settings_of_another_kind_are_refused() {
    let popular = MINIMAL.replace("lru", "popularity");
    let folder = Folder::with(&format!("inherits = \"a.toml\"\n{popular}"));
    folder.write("a.toml", "retriever.hidden_dim = 64\ndataset.ratings_file = 'r.csv'\n");
    assert_eq!(
        folder.complaints(&[], &[]),
        [
            "a.toml:1: retriever.hidden_dim is a setting of retriever.kind = \"lru\", but retriever.kind is \
             \"popularity\" (x.toml:7); remove one of the two",
            "a.toml:2: dataset.ratings_file is a setting of dataset.name = \"csv\", but dataset.name is \"synthetic\" \
             (x.toml:5); remove one of the two",
        ]
    );
    assert_eq!(
        with_top("ranker.lora_r = 8"),
        "x.toml:1: ranker.lora_r is a setting of a ranker, but there is no backbone to rank with; write backbone.name, or \
         remove it"
    );
    assert_eq!(
        with_top("backbone.quantization = 'nf4'"),
        "x.toml: backbone.name is missing; expected a string that is not empty"
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    assert_eq!(
        with_retriever("r_max = 0.5"),
        "x.toml:7: retriever.r_min is 0.8, but retriever.r_max is 0.5; the ring needs r_min below r_max"
    );
    let popular = MINIMAL.replace("lru", "popularity");
    assert_eq!(
        only(Folder::with(&format!("evaluation.averaging = 'batches'\n{popular}")).complaints(&[], &[])),
        "x.toml:1: evaluation.averaging is \"batches\", but retriever.kind = \"popularity\" has no batches; write \"users\""
    );
    assert_eq!(
        only(
            Folder::with(&format!("{MINIMAL}[backbone]\nname = 'a/b'\n"))
                .complaints(&["evaluation.candidates=27"], &[])
        ),
        "-S evaluation.candidates=27: evaluation.candidates is 27, but a ranker has only 26 letters; write at most 26, or \
         remove [backbone]"
    );
    assert_eq!(
        only(
            Folder::with(&format!("{MINIMAL}[backbone]\nname = 'a/b'\n"))
                .complaints(&["ranker.negatives=26"], &[])
        ),
        "-S ranker.negatives=26: ranker.negatives is 26, so a training prompt has 27 candidates, but a ranker has only 26 \
         letters; write at most 25"
    );
    let csv =
        MINIMAL.replace("\"synthetic\"", "\"csv\"\nratings_file = 'r.csv'\nmin_rating = 3\nheader = false");
    assert_eq!(
        Folder::with(&csv).complaints(&[], &[]),
        [
            "x.toml:6: dataset.min_rating is above 0, but dataset.rating_column is false; say where the ratings are, or \
             write min_rating = 0",
            "x.toml:7: dataset.item_column is the name \"item\", but dataset.header is false; give its position, counted \
             from 1",
            "x.toml:7: dataset.time_column is the name \"timestamp\", but dataset.header is false; give its position, \
             counted from 1",
            "x.toml:7: dataset.user_column is the name \"user\", but dataset.header is false; give its position, counted \
             from 1",
        ]
    );
    let csv = MINIMAL.replace("\"synthetic\"", "\"csv\"\nuser_column = 'item'");
    assert_eq!(
        Folder::with(&csv).complaints(&[], &[]),
        [
            "x.toml: dataset.ratings_file is missing; expected the path of a file",
            "x.toml:5: dataset.user_column and dataset.item_column are one column; name two",
        ]
    );
}

#[test]
fn all_problems_of_a_file_come_at_once_in_its_order() {
    let text = "\
description = 3
sedes = [1]
seeds = []

[dataset]
name = \"beuty\"

[retriever]
kind = \"lru\"
hiden_dim = 64
dropout = 1.5
learning_rate = nan
patience = \"20\"
";
    let complaints = Folder::with(text).complaints(&[], &[]);
    let lines: Vec<&str> = complaints.iter().map(|line| line.split(' ').next().expect("a place")).collect();
    assert_eq!(
        lines,
        [
            "x.toml:",
            "x.toml:1:",
            "x.toml:2:",
            "x.toml:3:",
            "x.toml:6:",
            "x.toml:10:",
            "x.toml:11:",
            "x.toml:12:",
            "x.toml:13:"
        ],
        "{complaints:#?}"
    );
    assert!(complaints[0].starts_with("x.toml: name is missing;"));
    assert!(complaints[4].ends_with("did you mean \"beauty\"?"), "{}", complaints[4]);
}

#[test]
fn an_unknown_key_from_outside_names_its_origin() {
    let folder = Folder::with(MINIMAL);
    assert_eq!(
        folder.complaints(
            &["retriever.hiden_dim=3"],
            &[
                ("BENCH_SEED", "[1]"),
                ("BENCH_RETRIEVER__HIDEN_DIM", "3"),
                ("BENCH_QUIET", "1"),
                ("PATH", "/bin")
            ]
        ),
        [
            "BENCH_RETRIEVER__HIDEN_DIM: retriever.hiden_dim is not a setting; did you mean retriever.hidden_dim?",
            "BENCH_SEED: seed is not a setting; did you mean seeds?",
            "-S retriever.hiden_dim=3: retriever.hiden_dim is not a setting; did you mean retriever.hidden_dim?",
        ]
    );
    assert_eq!(
        folder.complaints(&["retriever=lru", "inherits=a.toml", "seeds=[1]", "seeds=[2]"], &[]),
        [
            "-S inherits=a.toml: inherits can only be written in a file",
            "-S retriever=lru: retriever is a section, not a setting; it is a string; write settings such as retriever.kind",
            "-S seeds=[2]: seeds was already given (-S seeds=[1]); give it once",
        ]
    );
    let error = "retriever.kind".parse::<bench::experiment::Override>().expect_err("no value");
    assert_eq!(
        error.to_string(),
        "-S retriever.kind: expected key.path=value, such as -S retriever.dropout=0.2"
    );
}

#[test]
fn settings_of_the_dataset_without_effect_are_refused() {
    let dataset = |line: &str| {
        only(
            Folder::with(&MINIMAL.replace("[retriever]", &format!("{line}\n[retriever]")))
                .complaints(&[], &[]),
        )
    };
    assert_eq!(
        dataset("min_rating = 3"),
        "x.toml:5: dataset.min_rating is above 0, but synthetic interactions have no ratings; remove it"
    );
    assert_eq!(
        dataset("title_encoding = 'latin1'"),
        "x.toml:5: dataset.title_encoding is \"latin1\", but synthetic titles are not read from a file; remove it"
    );
    for (from, file) in [
        ("name = \"csv\"\nratings_file = \"r.csv\"", "titles_file"),
        ("name = \"recbole\"\ninter_file = \"r.inter\"", "item_file"),
    ] {
        let text = MINIMAL.replace("name = \"synthetic\"", &format!("{from}\ntitle_encoding = \"latin1\""));
        assert_eq!(
            only(Folder::with(&text).complaints(&[], &[])),
            format!(
                "x.toml:6: dataset.title_encoding is \"latin1\", but there is no dataset.{file}; remove it"
            )
        );
        let text = text.replace("title_encoding", &format!("{file} = \"t\"\ntitle_encoding"));
        Folder::with(&text).load().unwrap();
    }
}

#[test]
fn the_ring_of_eigenvalues_has_a_width() {
    assert_eq!(
        with_retriever("r_min = 0\nr_max = 0.0005"),
        "x.toml:8: retriever.r_max is 0.0005; expected a number from 0.001 to below 1"
    );
    assert_eq!(
        with_retriever("r_min = 0.5\nr_max = 0.5"),
        "x.toml:7: retriever.r_min is 0.5, but retriever.r_max is 0.5; the ring needs r_min below r_max"
    );
}

#[test]
fn what_is_meant_is_named_in_full_outside_of_files() {
    let folder = Folder::with(MINIMAL);
    assert_eq!(
        folder.complaints(&["retriever.hiden_dim=8", "sedes=[1]"], &[("BENCH_DATASET__USRES", "3")]),
        [
            "BENCH_DATASET__USRES: dataset.usres is not a setting; did you mean dataset.users?",
            "-S retriever.hiden_dim=8: retriever.hiden_dim is not a setting; did you mean retriever.hidden_dim?",
            "-S sedes=[1]: sedes is not a setting; did you mean seeds?",
        ]
    );
}

#[test]
fn a_text_that_is_no_toml_is_told_in_a_screenful() {
    let text = "1;2;3\n".repeat(5000);
    let complaints = Folder::with(&text).complaints(&[], &[]);
    let broken: Vec<&String> = complaints.iter().filter(|line| line.contains("not valid TOML")).collect();
    assert_eq!(broken.len(), 21, "{complaints:#?}");
    assert_eq!(broken[20], "x.toml:21: not valid TOML, as are 4980 lines in all from here on");
}
