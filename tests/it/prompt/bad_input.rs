use std::sync::Arc;

use bench::experiment::ReadOut;
use bench::prompt::{Prompts, Sample, Verbalizer};
use serde_json::json;

use super::tiny::{self, Words};
use super::{items, message, prompts, spec};

#[test]
fn a_limit_that_the_fixed_text_fills_is_refused() {
    let tokenizer = tiny::sentence_pieces(&[]);
    let verbalizer = Verbalizer::new(&tokenizer, 20, ReadOut::InContext).expect("labels");
    let with = |limit: usize| {
        Prompts::new(tokenizer.clone(), &["One"], &verbalizer, &spec(&format!("max_prompt_tokens = {limit}")))
    };
    // A token a character: blank and text, three more for the beginning token, the label and the end token.
    let text = bench::prompt::template::text(&[""], &[""; 20]);
    let needed = 1 + text.chars().count() + 3;
    assert_eq!(needed, 332);
    assert_eq!(
        message(with(needed)),
        "ranker.max_prompt_tokens is 332, but a prompt of 20 candidates needs 332 tokens before any title is in it; raise it \
         to more than 332 or ask for fewer candidates"
    );
    with(needed + 1).expect("room for a token");
}

#[test]
fn items_candidates_and_answers_that_do_not_exist_are_refused() {
    let tokenizer = tiny::bytes(Words::Gpt2, &[]);
    let prompts = prompts(&tokenizer, &["One", "Two", "Three"], 2, "");
    let (history, two) = (items(&[0]), items(&[1, 2]));
    assert_eq!(
        message(prompts.evaluation(&history, &items(&[1, 3]))),
        "item 4 is in a prompt, but there are titles of 3 items only"
    );
    assert_eq!(
        message(prompts.evaluation(&items(&[7]), &two)),
        "item 8 is in a prompt, but there are titles of 3 items only"
    );
    assert_eq!(
        message(prompts.evaluation(&history, &items(&[0, 1, 2]))),
        "a prompt has 3 candidates, expected 1 to 2, for which labels were checked"
    );
    assert_eq!(
        message(prompts.evaluation(&history, &[])),
        "a prompt has 0 candidates, expected 1 to 2, for which labels were checked"
    );
    assert_eq!(
        message(prompts.training(&Sample { user: 0, history: &history, candidates: two, answer: 2 })),
        "the answer of a training prompt is candidate 2, but it has 2"
    );
}

#[test]
fn training_without_an_end_token_is_refused_and_scoring_is_not() {
    let mut file = tiny::sentence_pieces_json(&[]);
    file["model"]["vocab"].as_object_mut().expect("a map").remove("</s>");
    file["added_tokens"].as_array_mut().expect("a list").pop();
    let tokenizer = Arc::new(tiny::read(&file, Some(&json!({}))));
    let prompts = prompts(&tokenizer, &["One", "Two"], 2, "");
    let history = items(&[0]);
    prompts.evaluation(&history, &items(&[0, 1])).expect("a prompt");
    assert_eq!(
        message(prompts.training(&Sample {
            user: 0,
            history: &history,
            candidates: items(&[0, 1]),
            answer: 0
        })),
        "tiny/tokenizer.json: the tokenizer names no end-of-text token; put a tokenizer_config.json with \"eos_token\" beside \
         it"
    );
}

#[test]
fn a_blank_title_is_refused_before_any_prompt() {
    let tokenizer = tiny::bytes(Words::Llama3, &[]);
    let verbalizer = Verbalizer::new(&tokenizer, 2, ReadOut::InContext).expect("labels");
    assert_eq!(
        message(Prompts::new(tokenizer, &["One", " "], &verbalizer, &spec(""))),
        "the title of item 2 is \" \", expected at least one character that is not blank; give it a title or drop the item"
    );
}

#[test]
fn a_text_without_any_token_is_refused_with_the_text() {
    // No byte, no unknown token: a line break cannot be written.
    let mut file = tiny::sentence_pieces_json(&[]);
    file["model"]["byte_fallback"] = json!(false);
    file["model"]["unk_token"] = json!("<none>");
    let tokenizer = tiny::read(&file, None);
    assert_eq!(
        message(tokenizer.encode("a\nb")),
        "tiny/tokenizer.json: Unk token `<none>` not found in the vocabulary (while tokenizing \"a\\nb\")"
    );
}
