//! Whole prompts against the ids that Hugging Face's Python tokenizers give for text built as the reference builds it.

use bench::experiment::ReadOut;
use bench::prompt::{Prompts, Sample, Verbalizer, template};
use serde::Deserialize;

use super::{items, real, spec};

#[derive(Deserialize)]
struct Golden {
    titles: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    history: Vec<usize>,
    candidates: Vec<usize>,
    answer: usize,
    limit: usize,
    llama2: Ids,
    llama3: Ids,
    qwen3: Ids,
}

#[derive(Deserialize)]
struct Ids {
    evaluation: Vec<u32>,
    training: Vec<u32>,
}

/// Made by `golden.py` with tokenizers 0.23.1.
fn golden() -> Golden {
    serde_json::from_str(include_str!("golden.json")).expect("golden.json")
}

#[test]
fn prompts_of_the_real_tokenizers_are_those_of_the_reference() {
    let golden = golden();
    assert_eq!((golden.titles.len(), golden.cases.len()), (26, 5));
    for model in ["llama2", "llama3", "qwen3"] {
        let Some(tokenizer) = real(model) else { return };
        for case in &golden.cases {
            let ids = match model {
                "llama2" => &case.llama2,
                "llama3" => &case.llama3,
                _ => &case.qwen3,
            };
            // The folder of Llama 3 names no end token, that of Qwen 3 the chat's; the script uses the base models' own.
            let eos = *ids.training.last().expect("ids");
            let verbalizer =
                Verbalizer::new(&tokenizer, case.candidates.len(), ReadOut::InContext).expect("labels");
            let lines = format!("max_prompt_tokens = {}", case.limit);
            let prompts =
                Prompts::new(tokenizer.clone(), &golden.titles, &verbalizer, &spec(&lines)).expect("prompts");
            let joining = prompts.joining();
            assert!(joining.joined && joining.vocabulary_proof, "{model}: {joining:?}");
            assert_eq!((joining.unjoinable_titles, joining.prompts_checked), (0, 32), "{model}");

            let (history, candidates) = (items(&case.history), items(&case.candidates));
            let evaluation = prompts.evaluation(&history, &candidates).expect("a prompt");
            assert_eq!(evaluation.ids, ids.evaluation, "{model}, {}", case.name);
            let sample = Sample { user: 0, history: &history, candidates, answer: case.answer };
            let training = prompts.training(&sample).expect("a prompt");
            let mut expected = ids.training.clone();
            *expected.last_mut().expect("ids") = tokenizer.eos().expect("an end token");
            assert_eq!(training.ids, expected, "{model}, {}", case.name);
            assert_eq!(training.is_truncated(), case.name == "cut on the left", "{model}, {}", case.name);
            if model != "qwen3" {
                assert_eq!(tokenizer.eos(), Some(eos), "{model}");
            }
        }
    }
}

#[test]
fn the_text_is_that_of_the_protocol_word_for_word() {
    let text = template::text(&["First", "Second"], &["One", "Two", "Three"]);
    assert_eq!(
        text,
        "### Instruction:\nGiven user history in chronological order, recommend an item from the candidate pool with its \
         index letter.\n\n### Input:\nUser history: (1) First \n (2) Second; \n Candidate pool: (A) One \n (B) Two \n \
         (C) Three\n\n### Response:\n"
    );
    assert!(template::text(&[], &["One"]).contains("User history: ; \n Candidate pool: (A) One\n\n###"));
}

#[test]
fn labels_are_letters_and_then_pairs_of_letters() {
    let labels = [0, 19, 25, 26, 27, 51, 52, 701].map(template::label);
    assert_eq!(labels, ["A", "T", "Z", "AA", "AB", "AZ", "BA", "ZZ"]);
    assert_eq!(template::MOST_LABELS, 702);
}
