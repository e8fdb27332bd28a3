//! What can go wrong between a title and a prompt.

use std::path::PathBuf;

/// Everything that can go wrong with tokenizers, prompts and samples.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the tokenizer cannot be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file of the tokenizer is no tokenizer.
    #[error("{}: {problem}; expected {expected}; download the file again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A tokenizer that gives other ids each time.
    #[error(
        "{}: the model drops merges at random (dropout {dropout}), so a text has no fixed ids; set \"dropout\" to null",
        path.display()
    )]
    Dropout {
        /// The file.
        path: PathBuf,
        /// The probability.
        dropout: f64,
    },
    /// A special token that is named but not there.
    #[error("{}: the {role} token is {token:?}, but the tokenizer has no such token; use the tokenizer that belongs to this file", path.display())]
    UnknownSpecial {
        /// The file that names it.
        path: PathBuf,
        /// Beginning or end.
        role: &'static str,
        /// The token.
        token: String,
    },
    /// More than one token before a text.
    #[error(
        "{}: the tokenizer puts {} tokens ({ids:?}) before a text, expected at most one, the beginning-of-text token",
        path.display(), ids.len()
    )]
    LongBeginning {
        /// The file.
        path: PathBuf,
        /// The tokens.
        ids: Vec<u32>,
    },
    /// Training needs an end token.
    #[error(
        "{}: the tokenizer names no end-of-text token; put a tokenizer_config.json with \"eos_token\" beside it",
        path.display()
    )]
    NoEnd {
        /// The file.
        path: PathBuf,
    },
    /// A text that the tokenizer refuses.
    #[error("{}: {problem} (while tokenizing {text})", path.display())]
    Encode {
        /// The tokenizer's file.
        path: PathBuf,
        /// What it says.
        problem: String,
        /// The text, quoted and shortened.
        text: String,
    },
    /// Ids that the model has no row for.
    #[error(
        "{}: token ids go up to {largest}, but the model has {model} embedding rows; use the tokenizer of this model",
        path.display()
    )]
    VocabularyTooLarge {
        /// The tokenizer's file.
        path: PathBuf,
        /// The largest id.
        largest: u32,
        /// Rows of the model.
        model: usize,
    },
    /// Far fewer ids than the model has rows.
    #[error(
        "{}: the tokenizer has {tokens} tokens, but the model has {model} embedding rows, more than padding explains; \
         use the tokenizer of this model",
        path.display()
    )]
    VocabularyTooSmall {
        /// The tokenizer's file.
        path: PathBuf,
        /// Its tokens.
        tokens: usize,
        /// Rows of the model.
        model: usize,
    },
    /// A title without a character to show.
    #[error(
        "the title of item {item} is {title:?}, expected at least one character that is not blank; \
         give it a title or drop the item"
    )]
    EmptyTitle {
        /// Id of the item, from 1.
        item: usize,
        /// The title.
        title: String,
    },
    /// A limit below what every prompt needs.
    #[error(
        "ranker.max_prompt_tokens is {limit}, but a prompt of {candidates} candidates needs {needed} tokens before any \
         title is in it; raise it to more than {needed} or ask for fewer candidates"
    )]
    NoRoom {
        /// The limit.
        limit: usize,
        /// Candidates of a prompt.
        candidates: usize,
        /// Tokens of the fixed text.
        needed: usize,
    },
    /// An item without a title.
    #[error("item {item} is in a prompt, but there are titles of {titles} items only")]
    UnknownItem {
        /// Its id, from 1.
        item: u32,
        /// How many titles there are.
        titles: usize,
    },
    /// More candidates than labels, or none.
    #[error("a prompt has {found} candidates, expected 1 to {labels}, for which labels were checked")]
    Candidates {
        /// How many there are.
        found: usize,
        /// How many labels there are.
        labels: usize,
    },
    /// The target is not a candidate.
    #[error("the answer of a training prompt is candidate {answer}, but it has {candidates}")]
    Answer {
        /// Its index, from 0.
        answer: usize,
        /// How many candidates there are.
        candidates: usize,
    },
    /// More candidates than there are labels of two letters.
    #[error(
        "{found} candidates cannot be labelled: labels go from A to ZZ, which are {most}; ask for fewer candidates"
    )]
    TooManyLabels {
        /// How many were asked for.
        found: usize,
        /// How many there can be.
        most: usize,
    },
    /// A label that is not one token.
    #[error(
        "{}: the label {label:?} is {} tokens {ids:?} {place}, expected one; {advice}",
        path.display(), ids.len()
    )]
    LabelTokens {
        /// The tokenizer's file.
        path: PathBuf,
        /// The label.
        label: String,
        /// Its ids.
        ids: Vec<u32>,
        /// In context or standalone.
        place: &'static str,
        /// What to do.
        advice: String,
    },
    /// A label that changes the tokens before it.
    #[error(
        "{}: the label {label:?} merges with the text before it: the prompt ends in {before:?} and with the label in \
         {with_label:?}, so no single id can be read for it; use another backbone",
        path.display()
    )]
    LabelMerges {
        /// The tokenizer's file.
        path: PathBuf,
        /// The label.
        label: String,
        /// Last ids of the prompt.
        before: Vec<u32>,
        /// Last ids of the prompt with the label.
        with_label: Vec<u32>,
    },
    /// Two labels with one id.
    #[error("{}: the labels {first:?} and {second:?} are both token {id} {place}; {advice}", path.display())]
    LabelsEqual {
        /// The tokenizer's file.
        path: PathBuf,
        /// One label.
        first: String,
        /// The other.
        second: String,
        /// Their id.
        id: u32,
        /// In context or standalone.
        place: &'static str,
        /// What to do.
        advice: String,
    },
    /// Too few items to draw negatives from.
    #[error(
        "ranker.negatives is {negatives}, but for user {user} (from 0) only {outside} of {items} items are outside {what}; \
         lower it{}", if *outside > 0 { " or set ranker.negatives_with_repetition = true" } else { "" }
    )]
    TooFewNegatives {
        /// Negatives of a prompt.
        negatives: usize,
        /// Index of the user.
        user: usize,
        /// Items that may be drawn.
        outside: usize,
        /// Items of the catalogue.
        items: usize,
        /// Of what they are outside.
        what: &'static str,
    },
    /// No user has two training items.
    #[error(
        "no user has two training items, so there is no training prompt; use a dataset with longer histories"
    )]
    NothingToTrain,
    /// Candidates that do not fit their users.
    #[error("{problem}; compute the candidates of this split again")]
    BadCandidates {
        /// What is wrong.
        problem: String,
    },
}

/// A text in quotes, shortened for a message.
pub(super) fn shown(text: &str) -> String {
    const LIMIT: usize = 60;
    match text.char_indices().nth(LIMIT) {
        Some((at, _)) => format!("{:?}...", &text[..at]),
        None => format!("{text:?}"),
    }
}
