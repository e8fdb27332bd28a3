//! Joined ids are the ids of the joined text.

use std::sync::Arc;

use bench::prompt::{Prompts, Sample, Tokenizer, template};
use proptest::prelude::*;

use super::tiny::{self, Words};
use super::{items, prompts, real};

/// Every tokenizer at hand, by name.
fn tokenizers() -> Vec<(String, Arc<Tokenizer>)> {
    let mut all = vec![
        ("pieces".to_owned(), tiny::sentence_pieces(tiny::PIECES)),
        ("metaspace".into(), tiny::metaspace(tiny::PIECES, false)),
        ("metaspace in words".into(), tiny::metaspace(tiny::PIECES, true)),
        ("bytes of Llama 3".into(), tiny::bytes(Words::Llama3, tiny::BYTES)),
        ("bytes of GPT-2".into(), tiny::bytes(Words::Gpt2, tiny::BYTES)),
    ];
    for name in ["llama2", "llama3", "qwen3", "stories260K"] {
        all.extend(real(name).map(|tokenizer| (name.to_owned(), tokenizer)));
    }
    all
}

/// The prompt's text, tokenized whole.
fn whole(prompts: &Prompts, history: &[usize], candidates: &[usize]) -> Vec<u32> {
    let shown = |items: &[usize]| items.iter().map(|&i| prompts.titles().shown(i)).collect::<Vec<_>>();
    let tokenizer = prompts.tokenizer();
    let mut ids: Vec<u32> = tokenizer.bos().into_iter().collect();
    ids.extend(tokenizer.encode(&template::text(&shown(history), &shown(candidates))).expect("ids"));
    ids
}

/// Titles that are hard on seams.
const NASTY: &[&str] = &[
    "(A)",
    "(1)",
    ")",
    "(",
    ") (",
    " lead",
    "trail ",
    "  both  ",
    "\nlead",
    "trail\n",
    "a\n\nb",
    "\r\n",
    "\tx\t",
    "x;",
    ";",
    "x!",
    "!\n",
    "#",
    "###",
    "### Response:\n",
    "; \n Candidate pool: (A)",
    "\n (2) other",
    "1",
    "12345",
    "'s",
    "x'",
    "\"q\"",
    "<s>",
    "</s>",
    "<0x0A>",
    "<|eot_id|>",
    "<|endoftext|>",
    "\u{2581}x\u{2581}",
    "\u{120}x\u{10a}",
    "\u{301}accent",
    "e\u{301}",
    "\u{200b}zero",
    "\u{a0}nbsp\u{a0}",
    "\u{3000}wide\u{3000}",
    "日本語",
    "🦙",
    "\u{0}",
    "Ä",
    "x\u{2028}",
    "...",
    "\\n",
    "A",
    "&amp;",
];

#[test]
fn nasty_titles_join_in_every_place_for_every_tokenizer() {
    let titles: Vec<&str> = NASTY.iter().copied().filter(|title| !title.trim().is_empty()).collect();
    let n = titles.len();
    for (name, tokenizer) in tokenizers() {
        let prompts = prompts(&tokenizer, &titles, 26, "max_prompt_tokens = 100000\ntitle_tokens = 200");
        let joining = prompts.joining();
        assert!(joining.joined, "{name}: {joining:?}");
        for (i, title) in titles.iter().enumerate() {
            for j in [0, 7, 23] {
                let (a, b) = ((i + j) % n, (i + 2 * j + 1) % n);
                let (history, candidates) = ([a, i, b], [i, b, a, i]);
                let joined = prompts.evaluation(&items(&history), &items(&candidates)).expect("a prompt");
                assert_eq!(joined.ids, whole(&prompts, &history, &candidates), "{name}: {title:?}");
            }
        }
    }
}

#[test]
fn no_real_tokenizer_has_a_nasty_title_that_cannot_be_joined() {
    let titles: Vec<&str> = NASTY.iter().copied().filter(|title| !title.trim().is_empty()).collect();
    for name in ["llama2", "llama3", "qwen3", "stories260K"] {
        let Some(tokenizer) = real(name) else { return };
        let prompts = prompts(&tokenizer, &titles, 20, "");
        assert!(prompts.joining().vocabulary_proof, "{name}");
        assert_eq!(prompts.joining().unjoinable_titles, 0, "{name}");
    }
}

fn title() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => "[ -~]{1,12}",
        2 => "\\PC{1,8}",
        1 => "[\\s]{1,3}",
        3 => prop::sample::select(NASTY).prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 1..4)
        .prop_map(|parts| parts.concat())
        .prop_filter("a title is not blank", |title| !title.trim().is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_titles_join(
        titles in prop::collection::vec(title(), 1..12),
        history in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
        candidates in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
        title_tokens in 1u32..20,
    ) {
        let refs: Vec<&str> = titles.iter().map(String::as_str).collect();
        let pick = |chosen: &[prop::sample::Index]| chosen.iter().map(|i| i.index(titles.len())).collect::<Vec<_>>();
        let (history, candidates) = (pick(&history), pick(&candidates));
        for (name, tokenizer) in TOKENIZERS.iter() {
            let lines = format!("max_prompt_tokens = 100000\ntitle_tokens = {title_tokens}");
            let prompts = prompts(tokenizer, &refs, 8, &lines);
            let joining = prompts.joining();
            prop_assert!(joining.joined, "{}: {:?}", name, joining);
            let evaluation = prompts.evaluation(&items(&history), &items(&candidates)).expect("a prompt");
            let expected = whole(&prompts, &history, &candidates);
            prop_assert_eq!(&evaluation.ids, &expected, "{}", name);
            let answer = candidates.len() - 1;
            let (history, candidates) = (items(&history), items(&candidates));
            let sample = Sample { user: 0, history: &history, candidates, answer };
            let training = prompts.training(&sample).expect("a prompt").ids;
            prop_assert_eq!(&training[..expected.len()], &expected[..], "{}", name);
            prop_assert_eq!(training.len(), expected.len() + 2);
        }
    }
}

/// Loaded once: the real ones are large.
static TOKENIZERS: std::sync::LazyLock<Vec<(String, Arc<Tokenizer>)>> = std::sync::LazyLock::new(tokenizers);

#[test]
fn a_token_over_a_label_and_a_title_makes_prompts_be_tokenized_whole() {
    // `)` and the blank after it become one token, so no title can be parted from its label.
    let tokenizer = tiny::sentence_pieces(&[") \u{2581}"]);
    let prompts = prompts(&tokenizer, &["One", "Two"], 2, "");
    let joining = prompts.joining();
    assert!(!joining.joined && !joining.vocabulary_proof);
    assert_eq!(joining.reason.as_deref(), Some("a token crosses the text around \" Plain \\n\""));
    let ids = prompts.evaluation(&items(&[0, 1]), &items(&[1, 0])).expect("a prompt").ids;
    assert_eq!(ids, whole(&prompts, &[0, 1], &[1, 0]));
}

#[test]
fn a_token_that_only_some_titles_can_make_leaves_the_others_joined() {
    // `)`, blank, X: a token of three characters, made only before a title with X. It is merged from the right, so that no
    // token is `)` and a blank.
    let tokenizer = tiny::sentence_pieces(&["\u{2581} X", ") \u{2581}X"]);
    let all = prompts(&tokenizer, &["One", "Xylophone"], 2, "");
    // Without a word boundary, one such token in the vocabulary is enough to trust nothing.
    assert!(!all.joining().joined);
    let ids = all.evaluation(&items(&[0, 1]), &items(&[1, 0])).expect("a prompt").ids;
    assert_eq!(ids, whole(&all, &[0, 1], &[1, 0]));

    // Between words of a pre-tokenizer it depends on the title: here words with Z go on over the line break to the next
    // label, and a line break and a blank are one token there.
    let mut file = tiny::bytes_json(Words::Llama3, &["\u{10a} \u{120}"]);
    file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] =
        serde_json::json!(r"Z[^)]*|[^Z)\n]+|[)\n]");
    let tokenizer = Arc::new(tiny::read(&file, None));
    let some = prompts(&tokenizer, &["One", "aZb", "Two"], 2, "");
    let joining = some.joining();
    assert!(joining.joined && !joining.vocabulary_proof, "{joining:?}");
    assert_eq!((joining.titles, joining.unjoinable_titles), (3, 1));
    assert!(joining.prompts_checked < 32, "prompts with that title are not joined");
    for history in [[0, 1], [1, 2], [2, 0]] {
        for candidates in [[0, 2], [1, 0]] {
            let ids = some.evaluation(&items(&history), &items(&candidates)).expect("a prompt").ids;
            assert_eq!(ids, whole(&some, &history, &candidates));
        }
    }
}

#[test]
fn a_prompt_without_history_is_tokenized_whole() {
    for tokenizer in [tiny::sentence_pieces(tiny::PIECES), tiny::bytes(Words::Gpt2, tiny::BYTES)] {
        let prompts = prompts(&tokenizer, &["One", "Two"], 2, "");
        assert_eq!(
            prompts.evaluation(&[], &items(&[0, 1])).expect("a prompt").ids,
            whole(&prompts, &[], &[0, 1])
        );
    }
}
