use bench::prompt::Titles;

use super::tiny::{self, Words};
use super::{items, message, prompts, real};

#[test]
fn a_title_is_cut_by_its_own_tokens_and_decoded_back() {
    let tokenizer = tiny::sentence_pieces(&["\u{2581} t", "\u{2581}t h", "\u{2581}th e"]);
    // `▁the`, then a token a character.
    let titles = Titles::new(&tokenizer, &["the cat sat", "the", "zzzz"], 5).expect("titles");
    assert_eq!([0, 1, 2].map(|i| titles.shown(i)), ["the cat", "the", "zzzz"]);
    assert_eq!((titles.len(), titles.cut()), (3, 1));
}

#[test]
fn a_cut_inside_a_character_leaves_the_decoders_mark() {
    let tokenizer = tiny::bytes(Words::Llama3, &[]);
    // Two bytes of the three of a character.
    let titles = Titles::new(&tokenizer, &["ab東"], 4).expect("titles");
    assert_eq!(titles.shown(0), "ab\u{fffd}");
}

#[test]
fn a_title_of_ten_thousand_characters_is_cut_and_ranks_like_any_other() {
    let long = "Longer ".repeat(1429);
    assert_eq!(long.len(), 10_003);
    let one_word = "x".repeat(10_000);
    let tiny = [tiny::sentence_pieces(tiny::PIECES), tiny::bytes(Words::Gpt2, tiny::BYTES)];
    for tokenizer in tiny.iter().chain([real("llama2"), real("llama3"), real("qwen3")].iter().flatten()) {
        let prompts = prompts(tokenizer, &[&long, "Short", &one_word], 2, "");
        assert_eq!(prompts.titles().cut(), 2);
        let prompt = prompts.evaluation(&items(&[0, 2, 1]), &items(&[2, 0])).expect("a prompt");
        assert!(prompt.ids.len() < 600 && !prompt.is_truncated(), "{}", prompt.ids.len());
    }
}

#[test]
fn an_empty_title_is_refused_with_its_item() {
    let tokenizer = tiny::sentence_pieces(&[]);
    assert_eq!(
        message(Titles::new(&tokenizer, &["One", "", "  "], 32)),
        "the title of item 2 is \"\", expected at least one character that is not blank; give it a title or drop the item"
    );
    assert_eq!(
        message(Titles::new(&tokenizer, &["One", "Two", " \t"], 32)),
        "the title of item 3 is \" \\t\", expected at least one character that is not blank; give it a title or drop the \
         item"
    );
}

#[test]
fn llama_2_cuts_real_titles_where_the_reference_does() {
    let Some(tokenizer) = real("llama2") else { return };
    // Python's tokenizers 0.23.1: `decoder.decode(encode(title, add_special_tokens=False).tokens[:8])`.
    let titles = [
        "The Clockmaker's Garden (1987)",
        "東京の朝 (2011)",
        "  two  spaces   three four",
        "naïve café — “quoted”",
    ];
    let cut = Titles::new(&tokenizer, &titles, 8).expect("titles");
    let shown: Vec<&str> = (0..4).map(|i| cut.shown(i)).collect();
    assert_eq!(
        shown,
        ["The Clockmaker's Garden (", "東京の朝 (20", "  two  spaces   three four", "naïve café — “qu"]
    );
}
