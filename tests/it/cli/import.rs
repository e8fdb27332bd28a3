//! `bench import`: somebody else's run in the same tables.

use super::{Place, TINY};

/// A place with a finished experiment and its own run file.
fn exported() -> Place {
    let place = Place::tiny();
    place.run(&["tiny.toml"]).succeeds();
    place.run(&["export", "tiny.toml", "--format", "trec,csv", "--to", "out"]).succeeds();
    place
}

const RUN: &str = "out/tiny/test.retrieval.seed-1.run";

fn row(text: &str, name: &str) -> Vec<String> {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(name))
        .unwrap_or_else(|| panic!("{name}\n{text}"));
    line.trim_start()[name.len()..].split_whitespace().map(str::to_owned).collect()
}

#[test]
fn an_exported_run_comes_back_with_the_same_metrics() {
    let place = exported();
    let ran = place.run(&["import", "tiny.toml", RUN, "--name", "theirs", "-S", "seeds=[1]"]).succeeds();
    let (theirs, ours) = (row(&ran.stdout, "theirs"), row(&ran.stdout, "tiny: lru, 1 seed"));
    // M@1, N@1, R@1, M@5, N@5, R@5, R@8 and |R|.
    assert_eq!(theirs.len(), 8, "{}", ran.stdout);
    assert_eq!(theirs[..7], ours[..7]);
    let users = place.read(RUN).lines().count() / 8;
    assert!(ran.stdout.contains(&format!("{users} users with a list, 0 without")), "{}", ran.stdout);
    // LRURec masks the history only inside its window, so an older item may be a candidate; nothing else is worth a warning.
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning")).collect();
    assert!(
        warnings.iter().all(|line| line.contains("show an item of the user's own history")),
        "{warnings:?}"
    );
    let cell = place.names("runs/imported").remove(0);
    let files = place.names(&format!("runs/imported/{cell}"));
    assert_eq!(files, ["import.json", "imported.safetensors", "manifest.json"]);
    let ls = place.run(&["ls"]).succeeds().stdout;
    assert!(ls.lines().any(|line| line.contains("imported") && line.contains("theirs")), "{ls}");
    // Ranks as the store has them of our own run, up to the length of the lists.
    let ours = bench::run::Store::new(place.path("runs"));
    let theirs = bench::run::Store::imported(place.path("runs"));
    let key = |store: &[bench::run::Listed], seed: u64| {
        let manifest =
            store.iter().filter_map(|cell| cell.manifest.as_ref().ok()).find(|m| m.seed == seed).unwrap();
        bench::run::CellKey::from_hex(&manifest.key).unwrap()
    };
    let bench::run::Found::Complete(ours) = ours.load(&key(&ours.list().unwrap(), 1)).unwrap() else {
        panic!()
    };
    let bench::run::Found::Complete(theirs) = theirs.load(&key(&theirs.list().unwrap(), 0)).unwrap() else {
        panic!()
    };
    assert_eq!(theirs.ranks.rank_list(), ours.retrieval.test.rank_list().unwrap().cut(8));
    assert_eq!(theirs.ranks.targets, ours.retrieval.test.targets);
    assert_eq!(theirs.record.counts.rows, users as u64 * 8);
}

#[test]
fn scores_and_ranks_in_delimited_text_give_the_same_as_trec() {
    let place = exported();
    let trec = place.run(&["import", "tiny.toml", RUN, "--name", "theirs"]).succeeds().stdout;
    let csv = |columns: &str, pick: &dyn Fn(&[&str]) -> String| {
        let rows: Vec<String> =
            place.read(RUN).lines().map(|line| pick(&line.split(' ').collect::<Vec<_>>())).collect();
        format!("{columns}\n{}\n", rows.join("\n"))
    };
    place.write("score.csv", &csv("user,item,score", &|f| format!("{},{},{}", f[0], f[2], f[4])));
    place.write("rank.tsv", &csv("Item\tUser\tRank", &|f| format!("{}\t{}\t{}", f[2], f[0], f[3])));
    for file in ["score.csv", "rank.tsv"] {
        let ran = place.run(&["import", "tiny.toml", file, "--name", "theirs"]).succeeds();
        assert_eq!(row(&ran.stdout, "theirs"), row(&trec, "theirs"), "{file}");
    }
    assert_eq!(place.names("runs/imported").len(), 3);
    // The same content is the same cell, whatever its name.
    std::fs::copy(place.path(RUN), place.path("copy.run")).unwrap();
    let ran = place.run(&["import", "tiny.toml", "copy.run", "--name", "another"]).succeeds();
    assert!(ran.stdout.contains("stored already, as theirs"), "{}", ran.stdout);
    assert_eq!(place.names("runs/imported").len(), 3);
}

#[test]
fn what_leaves_the_meaning_clear_is_counted_and_told() {
    let place = exported();
    let run = place.read(RUN);
    let lines: Vec<&str> = run.lines().collect();
    let (first, item) = (lines[0].split(' ').next().unwrap(), lines[0].split(' ').nth(2).unwrap());
    let mut text: String = lines
        .iter()
        .filter(|line| !line.starts_with(&format!("{first} ")))
        .map(|l| format!("{l}\n"))
        .collect();
    text.push_str(&format!("nobody Q0 {item} 1 1.0 x\n"));
    text.push_str(&format!("{first} Q0 nothing 1 2.0 x\n{first} Q0 {item} 7 1.0 x\n"));
    place.write("odd.run", &text);
    let ran = place.run(&["import", "tiny.toml", "odd.run"]).succeeds();
    let warnings: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    let line = lines.len() - 8 + 1;
    let told = |text: String| {
        assert!(warnings.iter().any(|warning| warning.contains(&text)), "{text}\n{warnings:?}")
    };
    told(format!("odd.run:{line}: the split has no user \"nobody\"; 1 rows of 1 such users are left out"));
    told(format!(
        "odd.run:{}: the catalogue has no item \"nothing\"; 1 rows of 1 such items keep their places",
        line + 1
    ));
    told("1 rows have another rank than the place that their score gives".to_owned());
    let short: String =
        lines.iter().filter(|line| line.split(' ').nth(3) < Some("4")).map(|l| format!("{l}\n")).collect();
    place.write("short.run", &short);
    let ran = place.run(&["import", "tiny.toml", "short.run"]).succeeds();
    assert!(
        ran.stderr.contains(
            "short.run: the longest list has 3 items; metrics at larger cutoffs, up to 8, are those at 3"
        ),
        "{}",
        ran.stderr
    );
    let few: String = lines[8..].iter().map(|l| format!("{l}\n")).collect();
    place.write("few.run", &few);
    let ran = place.run(&["import", "tiny.toml", "few.run"]).succeeds();
    let users = lines.len() / 8;
    let told =
        format!("few.run: 1 of {users} users of the split have no list; for them nothing counts as found");
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
}

#[test]
fn a_tie_goes_to_the_smaller_item_id_and_is_counted() {
    let place = exported();
    let flat: String = place
        .read(RUN)
        .lines()
        .map(|line| {
            let f: Vec<&str> = line.split(' ').collect();
            format!("{} Q0 {} {} 0.5 x\n", f[0], f[2], f[3])
        })
        .collect();
    place.write("flat.run", &flat);
    let ran = place.run(&["import", "tiny.toml", "flat.run"]).succeeds();
    assert!(
        ran.stderr.contains(" users shares its score with another item; such ties go to the smaller item id"),
        "{}",
        ran.stderr
    );
    let theirs = row(&ran.stdout, "flat.run");
    let ours = row(&ran.stdout, "tiny: lru, 2 seeds");
    assert_ne!(theirs[0], ours[0]);
}

#[test]
fn a_run_file_that_cannot_be_meant_is_told_with_its_line() {
    let place = exported();
    let run = place.read(RUN);
    let lines: Vec<&str> = run.lines().collect();
    let f: Vec<&str> = lines[0].split(' ').collect();
    let (user, item) = (f[0], f[2]);
    let other = lines[1].split(' ').nth(2).unwrap();
    let try_file = |name: &str, text: String, error: &str| {
        place.write(name, &text);
        place.run(&["import", "tiny.toml", name]).fails(96, &[&format!("error: {error}")]);
    };
    try_file(
        "nan.run",
        format!("{user} Q0 {item} 1 NaN x\n"),
        "nan.run:1: score is NaN; expected a finite number",
    );
    try_file(
        "word.run",
        format!("{user} Q0 {item} 1 high x\n"),
        "word.run:1: score \"high\" is not a number",
    );
    try_file(
        "twice.run",
        format!("{user} Q0 {item} 1 2 x\n{user} Q0 {other} 2 1 x\n{user} Q0 {item} 3 0 x\n"),
        "twice.run:3: the item stands already in line 1 of this user's list; expected each item once",
    );
    try_file(
        "five.run",
        format!("{user} Q0 {item} 1 2\n"),
        "five.run:1: 5 fields; expected 6: user Q0 item rank score tag",
    );
    try_file("empty.run", "\n".to_owned(), "empty.run: no row; expected user Q0 item rank score tag");
    try_file(
        "rank.csv",
        format!("user,item,rank\n{user},{item},1\n{user},{other},1\n"),
        "rank.csv:3: rank 1 stands already in line 2 of this user's list; expected each rank once",
    );
    try_file(
        "zero.csv",
        format!("user,item,rank\n{user},{item},0\n"),
        "zero.csv:2: rank is 0; expected ranks from 1",
    );
    try_file(
        "no.csv",
        format!("user,item\n{user},{item}\n"),
        "no.csv:1: the columns are user, item; expected score or rank too",
    );
    try_file(
        "col.csv",
        "a,b\n1,2\n".to_owned(),
        "col.csv:1: the columns are a, b; expected user, item and score or rank",
    );
    try_file(
        "long.csv",
        format!("user,item,rank\n{user},{item},1,9\n"),
        "long.csv:2: 4 fields; expected 3, as the header has",
    );
    try_file("void.csv", format!("user,item,rank\n{user},,1\n"), "void.csv:2: item is empty");
    place.write("foreign.run", "x Q0 y 1 2 t\n");
    let ran = place.run(&["import", "tiny.toml", "foreign.run"]);
    assert_eq!(ran.code, Some(96));
    assert!(
        ran.errors()[0]
            .starts_with("error: foreign.run: none of its users is known to the split (the first is \"x\"; "),
        "{}",
        ran.stderr
    );
    place
        .run(&["import", "tiny.toml", "absent.run"])
        .fails(96, &["error: read absent.run: No such file or directory (os error 2)"]);
    assert_eq!(place.names("runs/imported"), Vec::<String>::new());
}

#[test]
fn dense_ids_are_those_of_the_store() {
    let place = Place::with(&TINY.replace("seeds = [1, 2]", "seeds = [1]"));
    place.run(&["tiny.toml"]).succeeds();
    place.run(&["export", "tiny.toml", "--format", "trec", "--ids", "dense", "--to", "out"]).succeeds();
    let ran = place.run(&["import", "tiny.toml", RUN, "--ids", "dense", "--name", "theirs"]).succeeds();
    assert_eq!(row(&ran.stdout, "theirs")[..7], row(&ran.stdout, "tiny: lru, 1 seed")[..7]);
    let ran = place.run(&[
        "import",
        "tiny.toml",
        "out/tiny/validation.retrieval.seed-1.run",
        "--ids",
        "dense",
        "--part",
        "validation",
        "--name",
        "early",
    ]);
    let ran = ran.succeeds();
    assert_eq!(row(&ran.stdout, "early")[..7], row(&ran.stdout, "tiny: lru, 1 seed")[..7]);
}
