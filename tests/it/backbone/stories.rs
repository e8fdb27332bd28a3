//! A real, trained model of 260 thousand weights: its loss and its greedy text are those that its README prints.

use bench::backbone::{Batch, Decoder, Folder, Workspace, load};
use bench::events::{Interrupt, Silent};
use bench::nn::matmul::Precision;
use bench::nn::quant::Storage;
use tokenizers::Tokenizer;

use crate::support::shared;

const SENTENCE: &str =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";

fn model() -> Option<(Decoder, Tokenizer, String)> {
    let path = shared()?.join("models/stories260K");
    let folder = Folder::open(&path).unwrap();
    let weights = load(&folder, Storage::F32, &Silent, &Interrupt::default()).unwrap();
    let readme = std::fs::read_to_string(path.join("stories260K.md")).unwrap();
    let tokenizer = Tokenizer::from_file(folder.tokenizer()).unwrap();
    Some((Decoder::new(weights, Precision::F32), tokenizer, readme))
}

#[test]
fn the_loss_of_a_sentence_is_the_published_one() {
    let Some((decoder, tokenizer, _)) = model() else { return };
    let ids = tokenizer.encode(SENTENCE, true).unwrap().get_ids().to_vec();
    assert_eq!(ids[0], 1, "the sentence begins with BOS");
    let batch = Batch::new(&[&ids[..ids.len() - 1]], usize::MAX);
    let loss = decoder.loss(&batch, &ids[1..], None, &mut Workspace::default());
    // 0.1804 with transformers, says the README of the models.
    assert!((loss - 0.1804).abs() < 5e-5, "loss {loss:.5}");
}

#[test]
fn greedy_text_is_the_published_one() {
    let Some((decoder, tokenizer, readme)) = model() else { return };
    let text = readme.split("-t 0.0\n").nth(1).unwrap().split("\n```").next().unwrap();
    assert!(text.starts_with(SENTENCE) && text.len() == 565, "the README's text");
    let vocabulary: Vec<u32> = (0..decoder.config().vocab as u32).collect();
    let mut ids = vec![1];
    let mut workspace = Workspace::default();
    while ids.len() < 257 {
        let scores = decoder.letter_scores(&Batch::new(&[&ids], 1), &vocabulary, None, &mut workspace);
        let best = scores.iter().zip(0u32..).fold((f32::NEG_INFINITY, 0), |best, (score, id)| {
            if *score > best.0 { (*score, id) } else { best }
        });
        if best.1 == 1 || best.1 == 2 {
            break;
        }
        ids.push(best.1);
    }
    let found = tokenizer.decode(&ids, true).unwrap();
    assert_eq!(found.trim(), text);
}
