use bench::experiment::ReadOut;
use bench::prompt::{Audit, LabelIds, Verbalizer};

use super::tiny::{self, Words};
use super::{message, real};

/// The ids of both read-outs.
fn both(audit: &Audit) -> (Vec<&[u32]>, Vec<&[u32]>) {
    audit.labels.iter().map(|label| (&label.in_context[..], &label.standalone[..])).unzip()
}

#[test]
fn llama_2_reads_other_ids_on_their_own_than_after_the_prompt_for_all_letters() {
    let Some(tokenizer) = real("llama2") else { return };
    let audit = Audit::new(&tokenizer, 20, ReadOut::Standalone).expect("an audit");
    // Protocol, section 4: "A" is 29909 after the line break and 319, a word's start, alone.
    assert_eq!(
        audit.labels[0],
        LabelIds { label: "A".into(), in_context: vec![29909], standalone: vec![319] }
    );
    assert_eq!((audit.differing(), audit.labels.len()), (20, 20));
    assert_eq!(audit.context.last(), Some(&13));
    assert!(!audit.reads_what_is_trained());
    assert_eq!(
        audit.warning().as_deref(),
        Some(
            "scores of 20 of 20 labels are read from ids that training never writes (\"A\": read 319, trained 29909); set \
             ranker.read_out = \"in-context\""
        )
    );
    let standalone = Verbalizer::new(&tokenizer, 20, ReadOut::Standalone).expect("labels");
    let in_context = Verbalizer::new(&tokenizer, 20, ReadOut::InContext).expect("labels");
    assert_eq!((standalone.trained()[0], standalone.read()[0]), (29909, 319));
    assert_eq!(standalone.trained(), in_context.read());
    assert!(in_context.audit().reads_what_is_trained() && in_context.audit().warning().is_none());
    assert_eq!(
        in_context.audit().sentence(),
        "Labels A to T: \"A\" is 29909 in context and 319 standalone, \"T\" is 29911 in context and 323 standalone; the two \
         readings differ for 20 of 20. Scores are read in context: the ids read are the ids trained."
    );
}

#[test]
fn llama_3_and_qwen_3_read_the_same_ids_both_ways() {
    for (name, ending) in [("llama3", 512), ("qwen3", 510)] {
        let Some(tokenizer) = real(name) else { return };
        for read_out in [ReadOut::InContext, ReadOut::Standalone] {
            let verbalizer = Verbalizer::new(&tokenizer, 26, read_out).expect("labels");
            // The bytes A to Z.
            assert_eq!(verbalizer.read(), (32..58).collect::<Vec<u32>>(), "{name}");
            assert_eq!((verbalizer.trained(), verbalizer.len()), (verbalizer.read(), 26), "{name}");
            assert_eq!(verbalizer.audit().warning(), None);
            // `:` and the line break are one token.
            assert_eq!(verbalizer.audit().context.last(), Some(&ending), "{name}");
        }
    }
}

#[test]
fn more_than_26_candidates_are_labelled_by_pairs_where_pairs_are_tokens() {
    let pairs: Vec<String> =
        ["A", "B"].iter().flat_map(|a| ('A'..='Z').map(move |b| format!("{a} {b}"))).collect();
    let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
    let tokenizer = tiny::sentence_pieces(&pairs);
    let verbalizer = Verbalizer::new(&tokenizer, 78, ReadOut::InContext).expect("labels");
    assert_eq!(verbalizer.len(), 78);
    assert_eq!(verbalizer.trained()[26], tokenizer.token_to_id("AA").expect("a token"));
    assert_eq!(verbalizer.trained()[77], tokenizer.token_to_id("BZ").expect("a token"));
    let letters = tiny::sentence_pieces(&[]);
    let (a, sixty) = (
        letters.token_to_id("A").expect("a token"),
        message(Verbalizer::new(&letters, 60, ReadOut::InContext)),
    );
    assert_eq!(
        sixty,
        format!(
            "tiny/tokenizer.json: the label \"AA\" is 2 tokens [{a}, {a}] after the prompt, expected one; ask for fewer \
             candidates or use another backbone"
        )
    );
    assert_eq!(
        message(Verbalizer::new(&letters, 703, ReadOut::InContext)),
        "703 candidates cannot be labelled: labels go from A to ZZ, which are 702; ask for fewer candidates"
    );
    assert_eq!(
        message(Verbalizer::new(&letters, 0, ReadOut::InContext)),
        "a prompt has 0 candidates, expected 1 to 702, for which labels were checked"
    );
}

#[test]
fn a_letter_of_several_tokens_on_its_own_is_refused_only_where_that_is_read() {
    // Alone, a letter is a blank and itself: two tokens.
    let tokenizer = tiny::sentence_pieces(&[]);
    Verbalizer::new(&tokenizer, 20, ReadOut::InContext).expect("labels");
    let ids = ["\u{2581}", "A"].map(|token| tokenizer.token_to_id(token).expect("a token"));
    assert_eq!(
        message(Verbalizer::new(&tokenizer, 20, ReadOut::Standalone)),
        format!(
            "tiny/tokenizer.json: the label \"A\" is 2 tokens {ids:?} on its own, expected one; set ranker.read_out = \
             \"in-context\" or use another backbone"
        )
    );
}

#[test]
fn a_letter_that_merges_with_the_line_break_before_it_is_found() {
    // A pattern that leaves the line break to the word after it.
    let mut file = tiny::bytes_json(Words::Llama3, &["\u{10a} A"]);
    file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = serde_json::json!(r"\n?\w+|\s|[^\s\w]+");
    let tokenizer = tiny::read(&file, None);
    let id = |token: &str| tokenizer.token_to_id(token).expect("a token");
    let (e, colon, newline, merged) = (id("e"), id(":"), id("\u{10a}"), id("\u{10a}A"));
    let s = id("s");
    assert_eq!(
        message(Verbalizer::new(&tokenizer, 3, ReadOut::InContext)),
        format!(
            "tiny/tokenizer.json: the label \"A\" merges with the text before it: the prompt ends in {:?} and with the label \
             in {:?}, so no single id can be read for it; use another backbone",
            [s, e, colon, newline],
            [s, e, colon, merged]
        )
    );
}

#[test]
fn two_letters_of_one_id_are_refused() {
    // Everything is lower-cased and C is unknown like D.
    let mut file = tiny::sentence_pieces_json(&[]);
    let vocabulary = file["model"]["vocab"].as_object_mut().expect("a map");
    for token in ["C", "D", "<0x43>", "<0x44>"] {
        vocabulary.remove(token);
    }
    let tokenizer = tiny::read(&file, None);
    Verbalizer::new(&tokenizer, 3, ReadOut::InContext).expect("labels");
    assert_eq!(
        message(Verbalizer::new(&tokenizer, 4, ReadOut::InContext)),
        "tiny/tokenizer.json: the labels \"C\" and \"D\" are both token 0 after the prompt; ask for fewer candidates or use \
         another backbone"
    );
}

#[test]
fn an_audit_survives_being_stored() {
    let tokenizer = tiny::bytes(Words::Llama3, &[]);
    let audit = Audit::new(&tokenizer, 5, ReadOut::InContext).expect("an audit");
    let text = serde_json::to_string(&audit).expect("JSON");
    assert_eq!(serde_json::from_str::<Audit>(&text).expect("an audit"), audit);
    assert_eq!(both(&audit).0, both(&audit).1);
    assert_eq!(audit.tokenizer.len(), 64);
}
