use std::sync::OnceLock;

use bench::experiment::{Override, settings_reference};
use proptest::prelude::*;

use super::{Folder, MINIMAL, variables};

/// Pieces that make files which get past the parser.
fn keys() -> &'static [&'static str] {
    static KEYS: OnceLock<Vec<&'static str>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut keys: Vec<&str> = settings_reference().into_iter().map(|setting| setting.key).collect();
        keys.extend([
            "inherits",
            "abstract",
            "retriever",
            "dataset.x",
            "\"a.b\"",
            "ranker.x.y",
            "[retriever]",
            "[[dataset]]",
        ]);
        keys
    })
}

const VALUES: &[&str] = &[
    "1",
    "0",
    "-1",
    "99999999999999999999999999999999999999999",
    "0x_f",
    "0xff",
    "1e-3",
    "1e999",
    "-0.0",
    "nan",
    "-inf",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "\"lru\"",
    "\"popularity\"",
    "\"csv\"",
    "\"recbole\"",
    "\"ml-100k\"",
    "\"reference\"",
    "\"batches\"",
    "\"recall@10\"",
    "\"x.toml\"",
    "\"\\u0000\"",
    "'''\nx'''",
    "[]",
    "[1]",
    "[1, 1]",
    "[5, 3]",
    "[\"q_proj\"]",
    "[[1], {a = 1}]",
    "{}",
    "{kind = \"lru\"}",
    "1979-05-27",
    "[1,\n2]",
    "é",
    "",
];

fn check(text: impl AsRef<[u8]>) {
    let folder = Folder::new();
    folder.write("x.toml", text);
    match folder.load() {
        Ok(experiment) => assert!(!experiment.seeds.is_empty()),
        Err(problems) => {
            assert!(!problems.0.is_empty());
            let shown = problems.to_string();
            assert!(!shown.contains("do not fit together"), "{shown}");
            assert_eq!(shown.lines().count(), problems.0.len(), "{shown}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(bytes);
    }

    #[test]
    fn random_text_is_refused_without_a_panic(text in "[\\[\\]{}=.,\"'#a-z0-9\\n \\\\_é-]{0,120}") {
        check(text);
    }

    #[test]
    fn random_settings_are_accepted_or_refused_whole(
        top in prop::collection::vec((0..keys().len(), 0..VALUES.len()), 0..6),
        complete in any::<bool>(),
    ) {
        let mut text: String = top.iter().map(|(key, value)| format!("{} = {}\n", keys()[*key], VALUES[*value])).collect();
        if complete {
            text.push_str("name = \"x\"\nseeds = [1]\ndataset.name = \"synthetic\"\nretriever.kind = \"lru\"\n");
        }
        check(text);
    }

    #[test]
    fn random_overrides_are_accepted_or_refused_whole(
        pairs in prop::collection::vec((0..keys().len(), 0..VALUES.len()), 0..6),
        noise in "[ -~]{0,20}",
    ) {
        let folder = Folder::with(MINIMAL);
        let typed = |(key, value): &(usize, usize)| format!("{}={}", keys()[*key], VALUES[*value]);
        let overrides: Vec<Override> =
            pairs.iter().map(typed).chain([noise.clone()]).filter_map(|text| text.parse().ok()).collect();
        let names: Vec<(String, &str)> = pairs
            .iter()
            .map(|(key, value)| (format!("BENCH_{}", keys()[*key].to_uppercase().replace('.', "__")), VALUES[*value]))
            .collect();
        let env: Vec<(&str, &str)> = names.iter().map(|(var, value)| (var.as_str(), *value)).collect();
        for (overrides, env) in [(&overrides[..], vec![]), (&[], variables(&env))] {
            if let Err(problems) = bench::experiment::Experiment::load(&folder.path("x.toml"), overrides, &env) {
                prop_assert!(!problems.to_string().contains("do not fit together"), "{}", problems);
            }
        }
    }
}
