//! The tokenizer of a built-in backbone: pairs of bytes of the titles, merged by frequency.

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

use super::Error;
use crate::prompt::template;

/// The token before every text.
pub const BOS: &str = "<s>";
/// The token after every text.
pub const EOS: &str = "</s>";

/// Where tokens end. Labels such as ` (A)` and ` (12)` are three pieces, so that the letter of a candidate is the token of the
/// answer; digits and line breaks stand alone; anything else may merge across words (Liu et al. 2025, SuperBPE), which
/// makes prompts of catalogues with repeated phrases two or three times shorter.
const PIECES: &str = concat!(
    r" \((?=(?:[A-Z]{1,2}|\d{1,3})\))",
    r"|(?<= \()[A-Z]{1,2}(?=\))",
    r"|(?<= \([A-Z0-9])\)|(?<= \([A-Z0-9]{2})\)|(?<= \([0-9]{3})\)",
    r"|\p{N}",
    r"| *\n+",
    r"|(?:(?! *\n| \((?:[A-Z]{1,2}|\d{1,3})\))[^\p{N}\n])+",
);

/// The same, but no token has more than one word, as in the vocabularies of large models: their prompts have about as many tokens.
const WORDS: &str = concat!(
    r" \((?=(?:[A-Z]{1,2}|\d{1,3})\))",
    r"|(?<= \()[A-Z]{1,2}(?=\))",
    r"|(?<= \([A-Z0-9])\)|(?<= \([A-Z0-9]{2})\)|(?<= \([0-9]{3})\)",
    r"|\p{N}",
    r"| *\n+",
    r"| ?[\p{L}\p{M}]+",
    r"| ?[^\s\p{L}\p{M}\p{N}]+",
    r"|[^\S\n]+",
);

/// How often the fixed text of prompts is shown to the trainer, so that it becomes few tokens.
const TEMPLATE_WEIGHT: usize = 64;

/// Train a tokenizer of at most `vocabulary` tokens on `titles` and on the text of prompts with `labels` labels, and write
/// it as tokenizer.json. The same titles give the same bytes.
///
/// # Errors
/// If the trainer refuses the texts.
pub fn train<S: AsRef<str>>(titles: &[S], labels: usize, vocabulary: usize) -> Result<Vec<u8>, Error> {
    train_on(titles, labels, vocabulary, PIECES)
}

/// The fewest tokens that [`train_words`] can do with: all bytes, beginning and end.
pub const LEAST_WORDS: usize = 258;

/// The vocabulary of [`train_words`] with which titles have about as many tokens as with the tokenizer of a model of `model_vocab` rows. With 1,000
/// they have 2 to 5 % more than with Llama 2's (32,000 rows), on the papers' three catalogues; with 4,000 1 to 4 % more or less than with Qwen 3's
/// and 2 to 26 % more than with Llama 3's, which has tokens of three digits.
#[must_use]
pub const fn words_like(model_vocab: usize) -> usize {
    match model_vocab {
        0..1000 => model_vocab,
        1000..40_000 => 1000,
        _ => 4000,
    }
}

/// The same with tokens that are no longer than a word, to stand in for the tokenizer of a large model that is not here.
///
/// # Errors
/// As [`train`].
pub fn train_words<S: AsRef<str>>(titles: &[S], labels: usize, vocabulary: usize) -> Result<Vec<u8>, Error> {
    train_on(titles, labels, vocabulary, WORDS)
}

fn train_on<S: AsRef<str>>(
    titles: &[S],
    labels: usize,
    vocabulary: usize,
    pieces: &str,
) -> Result<Vec<u8>, Error> {
    let refused = |problem: Box<dyn std::error::Error + Send + Sync>| Error::Tokenizer(problem.to_string());
    let split = Split::new(SplitPattern::Regex(pieces.to_owned()), SplitDelimiterBehavior::Isolated, false)
        .map_err(refused)?;
    let bytes = ByteLevel::new(false, true, false);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(Sequence::new(vec![
        PreTokenizerWrapper::Split(split),
        PreTokenizerWrapper::ByteLevel(bytes),
    ]))));
    tokenizer.with_decoder(Some(bytes));
    let mut trainer = TrainerWrapper::BpeTrainer(
        BpeTrainerBuilder::new()
            .vocab_size(vocabulary)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(vec![AddedToken::from(BOS, true), AddedToken::from(EOS, true)])
            // All bytes: a title of another catalogue is long, but never refused.
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build(),
    );
    let frame = template::text(&[""], &vec![""; labels]);
    let shown = titles.iter().map(|title| format!(" {}", title.as_ref()));
    let texts: Vec<String> = shown.chain(std::iter::repeat_n(frame, TEMPLATE_WEIGHT)).collect();
    tokenizer.train(&mut trainer, texts.iter()).map_err(refused)?;
    let id = |token: &str| {
        tokenizer.token_to_id(token).ok_or_else(|| Error::Tokenizer(format!("no token {token} came of it")))
    };
    let begin = TemplateProcessing::builder()
        .try_single(format!("{BOS} $A"))
        .map_err(Error::Tokenizer)?
        .special_tokens(vec![(BOS, id(BOS)?)])
        .build()
        .map_err(|problem| Error::Tokenizer(problem.to_string()))?;
    tokenizer.with_post_processor(Some(begin));
    Ok(tokenizer.to_string(true).map_err(refused)?.into_bytes())
}
