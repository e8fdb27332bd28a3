use bench::prompt::{Prompt, Prompts, Sample, Truncation};

use super::tiny::{self, Words};
use super::{items, prompts};

const TITLES: &[&str] = &["One", "Two", "Three", "Four", "Five"];

/// Prompts of three candidates with a limit, for a tokenizer with a beginning token; `lines` are more settings.
fn limited(limit: usize, lines: &str) -> Prompts {
    let tokenizer = tiny::bytes(Words::Llama3, tiny::BYTES);
    prompts(&tokenizer, TITLES, 3, &format!("max_prompt_tokens = {limit}\n{lines}"))
}

fn evaluation(prompts: &Prompts) -> Prompt {
    prompts.evaluation(&items(&[0, 1, 2, 3]), &items(&[4, 0, 1])).expect("a prompt")
}

fn training(prompts: &Prompts) -> Prompt {
    let history = items(&[0, 1, 2, 3]);
    let sample = Sample { user: 0, history: &history, candidates: items(&[4, 0, 1]), answer: 1 };
    prompts.training(&sample).expect("a prompt")
}

#[test]
fn a_cut_evaluation_prompt_keeps_its_beginning_token_and_its_end() {
    let whole = evaluation(&limited(10_000, ""));
    assert!(!whole.is_truncated());
    let n = whole.ids.len();
    let fits = evaluation(&limited(n, ""));
    assert_eq!(fits, whole);
    for lost in [1, 2, 7] {
        let cut = evaluation(&limited(n - lost, ""));
        assert_eq!((cut.ids.len(), cut.cut_tokens, cut.dropped_items), (n - lost, lost as u32, 0));
        assert_eq!(cut.ids[0], whole.ids[0]);
        assert_eq!(cut.ids[1..], whole.ids[1 + lost..]);
    }
}

#[test]
fn a_cut_training_prompt_loses_its_beginning_token_as_in_the_reference() {
    let whole = training(&limited(10_000, ""));
    let n = whole.ids.len();
    assert_eq!(training(&limited(n, "")), whole);
    for lost in [1, 2, 7] {
        let cut = training(&limited(n - lost, ""));
        // One too many costs the beginning token alone: text and label fit, the end token does not.
        assert_eq!(cut.ids, whole.ids[lost..]);
        assert_eq!(cut.cut_tokens, lost as u32);
    }
}

#[test]
fn without_the_quirk_a_cut_training_prompt_keeps_its_beginning_token() {
    let quirk = "truncated_training_loses_bos = false";
    let whole = training(&limited(10_000, quirk));
    let n = whole.ids.len();
    for lost in [1, 2, 7] {
        let cut = training(&limited(n - lost, quirk));
        assert_eq!(cut.ids[0], whole.ids[0]);
        assert_eq!(cut.ids[1..], whole.ids[1 + lost..]);
    }
}

#[test]
fn without_a_beginning_token_both_are_cut_alike() {
    let mut file = tiny::bytes_json(Words::Llama3, tiny::BYTES);
    file["post_processor"] = serde_json::json!(null);
    let tokenizer = std::sync::Arc::new(tiny::read(&file, None));
    assert_eq!(tokenizer.bos(), None);
    let whole = training(&prompts(&tokenizer, TITLES, 3, ""));
    let n = whole.ids.len();
    for quirk in ["true", "false"] {
        let lines = format!("max_prompt_tokens = {}\ntruncated_training_loses_bos = {quirk}", n - 5);
        assert_eq!(training(&prompts(&tokenizer, TITLES, 3, &lines)).ids, whole.ids[5..]);
    }
}

#[test]
fn dropping_the_oldest_items_keeps_the_instruction_and_numbers_what_is_left_from_one() {
    let drop = "overlong_prompts = \"drop-oldest\"";
    let n = evaluation(&limited(10_000, drop)).ids.len();
    let prompts = limited(n - 1, drop);
    let shorter = evaluation(&prompts);
    assert_eq!((shorter.cut_tokens, shorter.dropped_items), (0, 1));
    let as_if = prompts.evaluation(&items(&[1, 2, 3]), &items(&[4, 0, 1])).expect("a prompt");
    assert_eq!((shorter.ids, as_if.dropped_items), (as_if.ids, 0));
    // A training prompt leaves room for the label and the end token.
    let trained = training(&limited(n, drop));
    assert_eq!((trained.cut_tokens, trained.dropped_items), (0, 1));
}

#[test]
fn when_the_candidates_alone_are_too_long_the_rest_is_cut_on_the_left() {
    let drop = "overlong_prompts = \"drop-oldest\"";
    let history = items(&[0, 1, 2, 3]);
    let one = limited(10_000, "").evaluation(&history[3..], &items(&[4, 0, 1])).expect("a prompt").ids;
    let cut = evaluation(&limited(one.len() - 2, drop));
    assert_eq!((cut.cut_tokens, cut.dropped_items), (2, 3));
    assert_eq!((cut.ids[0], &cut.ids[1..]), (one[0], &one[3..]));
}

#[test]
fn only_the_last_items_of_a_history_are_shown() {
    let prompts = limited(10_000, "history_items = 2");
    let prompt = evaluation(&prompts);
    let last = prompts.evaluation(&items(&[2, 3]), &items(&[4, 0, 1])).expect("a prompt");
    assert_eq!(prompt, last);
}

#[test]
fn what_prompts_lost_is_counted_and_said() {
    let mut count = Truncation::default();
    count.add(&Prompt { ids: vec![0; 10], cut_tokens: 0, dropped_items: 0 });
    assert_eq!(count.warning(), None);
    count.add(&Prompt { ids: vec![0; 20], cut_tokens: 3, dropped_items: 0 });
    let mut more = Truncation::default();
    more.add(&Prompt { ids: vec![0; 15], cut_tokens: 4, dropped_items: 2 });
    let all = count.merged(more);
    let expected = Truncation {
        prompts: 3,
        cut_prompts: 2,
        cut_tokens: 7,
        shortened_prompts: 1,
        dropped_items: 2,
        tokens: 45,
        longest: 20,
    };
    assert_eq!(all, expected);
    assert_eq!(
        all.warning().as_deref(),
        Some(
            "of 3 prompts, 2 lost the beginning of the instruction (3.5 tokens on average) and 1 show fewer history items \
             (2.0 on average); raise ranker.max_prompt_tokens to show all"
        )
    );
}
