use super::{Folder, MINIMAL, with_retriever, with_top};

#[test]
fn problems_of_an_inherited_file_name_that_file() {
    let folder = Folder::with(&format!("inherits = \"shared/p.toml\"\n{MINIMAL}blocks = 0\n"));
    folder.write("shared/p.toml", "\nretriever.blocks = 'two'\n");
    assert_eq!(
        folder.complaints(&["retriever.blocks=x"], &[("BENCH_RETRIEVER__BLOCKS", "100")]),
        [
            "x.toml:8: retriever.blocks is 0; expected an integer from 1 to 64",
            "shared/p.toml:2: retriever.blocks is \"two\", a string; expected an integer from 1 to 64",
            "BENCH_RETRIEVER__BLOCKS: retriever.blocks is 100; expected an integer from 1 to 64",
            "-S retriever.blocks=x: retriever.blocks is \"x\", a string; expected an integer from 1 to 64",
        ]
    );
}

#[test]
fn nothing_in_a_file_is_written_twice() {
    assert_eq!(with_retriever("kind = 'random'"), "x.toml:7: not valid TOML: kind is written twice");
    assert_eq!(with_retriever("[dataset]"), "x.toml:7: not valid TOML: dataset is written twice");
}

#[test]
fn broken_toml_is_reported_beside_the_other_problems() {
    let text = format!("description = \"open\nhidden_dim = 3\n{MINIMAL}dropout = \nblocks = 0\n");
    let complaints = Folder::with(&text).complaints(&[], &[]);
    assert_eq!(
        complaints,
        [
            "x.toml:1: not valid TOML: invalid basic string, expected `\"`",
            "x.toml:2: hidden_dim is not a setting; did you mean retriever.hidden_dim?",
            "x.toml:9: not valid TOML: string values must be quoted, expected literal string",
            "x.toml:10: retriever.blocks is 0; expected an integer from 1 to 64",
        ]
    );
}

#[test]
fn inheritance_is_checked() {
    let folder = Folder::with(&format!("inherits = \"shared/papr.toml\"\n{MINIMAL}blocks = 0\n"));
    folder.write("shared/paper.toml", "");
    assert_eq!(
        folder.complaints(&[], &[]),
        [
            "x.toml:1: inherits \"shared/papr.toml\", which does not exist (it would be shared/papr.toml); did you mean \
             paper.toml?",
            "x.toml:8: retriever.blocks is 0; expected an integer from 1 to 64",
        ]
    );
    folder.write("x.toml", format!("inherits = \"shared/paper.toml\"\n{MINIMAL}"));
    folder.write("shared/paper.toml", "# a line\ninherits = [\"../shared/other.toml\"]\n");
    folder.write("shared/other.toml", "inherits = \"../x.toml\"\n");
    assert_eq!(
        folder.complaints(&[], &[]),
        ["shared/../shared/other.toml:1: inherits goes in a circle: x.toml -> shared/paper.toml -> \
          shared/../shared/other.toml -> shared/../shared/../x.toml"]
    );
    folder.write("x.toml", format!("inherits = \"x.toml\"\n{MINIMAL}"));
    assert_eq!(folder.complaints(&[], &[]), ["x.toml:1: inherits goes in a circle: x.toml -> x.toml"]);
    for (typed, shown) in
        [("3", "3, an integer"), ("''", "\"\", a string"), ("['a', 1]", "[\"a\", 1], a list")]
    {
        assert_eq!(
            with_top(&format!("inherits = {typed}")),
            format!("x.toml:1: inherits is {shown}; expected the path of a file or a list of paths")
        );
    }
}

#[test]
fn an_abstract_file_says_that_it_is_inherited_from() {
    use bench::experiment::{Experiment, Loaded};
    let folder = Folder::with("# shared\nabstract = true\n[retriever]\nkind = \"lru\"\n");
    let path = folder.path("x.toml");
    assert_eq!(
        folder.complaints(&[], &[]),
        ["x.toml:2: abstract = true marks a file that others inherit from; run a file that inherits it"]
    );
    assert!(Experiment::is_abstract(&path));
    assert_eq!(Experiment::check(&path, &[], &[]), Ok(Loaded::Abstract));
    folder.write("x.toml", "abstract = true\nretriever.kind = 3\n");
    assert_eq!(
        folder.complaints(&[], &[]),
        ["x.toml:2: retriever.kind is 3, an integer; expected \"lru\", \"popularity\" or \"random\""]
    );
    folder.write("y.toml", format!("inherits = \"z.toml\"\n{MINIMAL}"));
    folder.write("z.toml", "abstract = true\n");
    assert!(!Experiment::is_abstract(&folder.path("y.toml")));
    super::load(&folder.path("y.toml")).expect("being abstract is not inherited");
    assert_eq!(
        with_top("abstract = 'yes'"),
        "x.toml:1: abstract is \"yes\", a string; expected true or false"
    );
}

#[test]
fn what_is_no_experiment_file_says_so() {
    let folder = Folder::new();
    let complain = |name: &str| {
        let problems = super::load(&folder.path(name)).expect_err("it is no experiment");
        problems
            .to_string()
            .replace(&format!("{}/", folder.path("").display().to_string().trim_end_matches('/')), "")
    };
    folder.write("quickstart.toml", MINIMAL);
    assert_eq!(complain("quikstart.toml"), "quikstart.toml: does not exist; did you mean quickstart.toml?");
    assert_eq!(complain("banana.csv"), "banana.csv: does not exist");
    folder.write("sub/a.toml", "");
    assert_eq!(complain("sub"), "sub: is a folder; expected an experiment file (TOML)");
    folder.write("latin.toml", b"# caf\xe9\n");
    assert_eq!(
        complain("latin.toml"),
        "latin.toml: is not UTF-8 (line 1); expected an experiment file (TOML)"
    );
    folder.write("big.toml", vec![b'#'; (1 << 20) + 1]);
    assert_eq!(complain("big.toml"), "big.toml: is larger than 1 MiB; expected an experiment file (TOML)");
    folder.write("empty.toml", "");
    let missing: Vec<String> = complain("empty.toml")
        .lines()
        .map(|line| line.split(" is ").next().expect("a key").to_owned())
        .collect();
    assert_eq!(
        missing,
        ["empty.toml: dataset.name", "empty.toml: name", "empty.toml: retriever.kind", "empty.toml: seeds"]
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"));
    let folder = Folder::with(&text);
    assert_eq!(folder.load().expect("valid").name, "x");
    folder.write("x.toml", format!("{text}blocks = 0\r\n"));
    let problems = folder.load().expect_err("no blocks");
    assert_eq!((problems.0[0].line(), problems.0[0].column()), (Some(7), Some(1)));
}
