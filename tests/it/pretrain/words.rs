//! Tokenizers that stand in for those of large models.

use std::io::Read;

use bench::pretrain::{LEAST_WORDS, train_words, words_like};
use bench::prompt::Tokenizer;

use crate::support::shared;

/// The titles of a real catalogue.
fn titles(name: &str) -> Option<Vec<String>> {
    let path = shared()?.join(format!("data/golden/{name}.titles.jsonl.gz"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let title = |line: &str| {
        let row: Vec<serde_json::Value> = serde_json::from_str(line).unwrap();
        row.last().unwrap().as_str().unwrap().to_owned()
    };
    Some(text.lines().map(title).collect())
}

fn made(titles: &[String], vocabulary: usize) -> Tokenizer {
    let bytes = train_words(titles, 20, vocabulary).unwrap();
    Tokenizer::from_bytes("tokenizer.json", &bytes, None).unwrap()
}

#[test]
fn titles_have_about_as_many_tokens_as_with_the_tokenizer_that_is_stood_in_for() {
    for catalogue in ["ml-100k", "beauty", "games"] {
        let Some(titles) = titles(catalogue) else { return };
        let text: String =
            titles.iter().enumerate().map(|(at, title)| format!("({}) {title} \n", at % 20 + 1)).collect();
        for (name, rows, most) in
            [("llama2", 32_000, 1.06), ("llama3", 128_256, 1.3), ("qwen3", 151_936, 1.06)]
        {
            let own = shared().unwrap().join(format!("models/{name}-tokenizer/tokenizer.json"));
            let own = Tokenizer::from_file(own).unwrap().encode(&text).unwrap().len() as f64;
            let ratio = made(&titles, words_like(rows)).encode(&text).unwrap().len() as f64 / own;
            assert!((0.94..most).contains(&ratio), "{catalogue} {name}: {ratio}");
        }
    }
}

#[test]
fn the_same_titles_give_the_same_tokenizer_whose_ids_fit_the_model() {
    let titles: Vec<String> = (0..40).map(|at| format!("Some Title of Volume {at}")).collect();
    let [one, two] = [0, 1].map(|_| train_words(&titles, 5, 300).unwrap());
    assert!(one == two);
    for rows in [LEAST_WORDS, 300, 32_000] {
        let tokenizer = made(&titles, words_like(rows));
        assert!((LEAST_WORDS..=rows).contains(&tokenizer.vocab_size()), "{rows}: {}", tokenizer.vocab_size());
        assert_eq!((tokenizer.bos(), tokenizer.eos()), (Some(0), Some(1)));
    }
    // No token has two words.
    let tokenizer = made(&titles, 1000);
    assert_eq!(tokenizer.encode(" Some Title of Volume").unwrap().len(), 4);
}
