//! The first weights of a built-in backbone.
//!
//! From small random weights, a model of this size reads millions of lists before it can look anything up: finding the letter
//! beside a title takes heads in three layers that are of no use without each other (Olsson et al. 2022; Reddy 2023). So
//! training starts with such heads in place and refines them; everything else starts near zero. It is the thought of mimetic
//! initialization (Trockman and Kolter 2023), for looking up in lists:
//!
//! - The width is parted: a place for each letter, a few flags, a part for the text of a token and one for the text of an entry.
//!   A letter's embedding is its place, that of a token of titles is random, the rarer the longer, and the template has no text.
//!   A filler makes all embeddings equally long, so that the norm before attention keeps these lengths.
//! - First layer, first head: each token takes the letter before it, which is that of its entry.
//! - Second layer, first head: each token of an entry sums the text of the tokens with its letter. Second head: the last token
//!   of a prompt takes the text of the history, the latest most.
//! - Last layer, first head: the last token looks at entries with text like that, and takes the letter.
//!
//! So the model begins as a ranker by common rare words, and learns from there.

use std::ops::Range;

use rand_pcg::Pcg64;

use crate::backbone::ModelConfig;
use crate::backbone::decoder::FullModel;
use crate::nn::init::truncated_normal;
use crate::seed::Seed;

/// Tokens with a part to play.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    /// The letters, in order.
    pub letters: Vec<u32>,
    /// The last token of a prompt, after which the answer comes.
    pub answer: u32,
    /// The token before a text.
    pub bos: u32,
    /// Tokens of titles, without those of the template, with the number of titles that have them.
    pub words: Vec<(u32, usize)>,
    /// How many titles there are.
    pub titles: usize,
    /// Tokens of a title, on average.
    pub title: f64,
    /// The same with the label and the line break.
    pub entry: f64,
    /// Tokens of a long prompt.
    pub prompt: f64,
}

/// Places for letters; a verbalizer has no more.
const LETTERS: usize = 26;
/// Attention's logits: of a letter before a token, and of the beginning where there is none.
const LETTER: f64 = 24.0;
const NO_LETTER: f64 = 12.0;
/// How much nearer letters count more: a sum of cosines that falls roughly as the logarithm of the distance.
const NEAREST: f64 = 5.0;
/// Of a token with the same letter, and of the beginning, which is larger so that text is summed and not averaged.
const SAME_LETTER: f64 = 12.0;
const NOTHING: f64 = 15.5;
/// What sums of text are multiplied by.
const ENTRY_TEXT: f64 = 400.0;
const HISTORY_TEXT: f64 = 2.5;
/// How much later items of the history count more, and what keeps the entries, the last token and the template out.
const LATEST: f64 = 25.0;
const NO_ENTRY: f64 = 300.0;
const IS_TEXT: f64 = 25.0;
/// Of text like that of the history.
const LIKE: f64 = 20.0;
const HAS_LETTER: f64 = 4.0;
/// How loudly the letters are told.
const TELL: f64 = 3.0;
/// Length of a letter's embedding in its place, and of flags.
const PLACE: f64 = 0.7;
const TEXT_FLAG: f64 = 0.3;
const NOISE: f64 = 0.002;

/// How the width is parted.
struct Parts {
    letters: Range<usize>,
    is_letter: usize,
    is_answer: usize,
    is_begin: usize,
    is_text: usize,
    filler: usize,
    token: Range<usize>,
    entry: Range<usize>,
}

impl Parts {
    fn new(width: usize, dims: usize) -> Self {
        let text = dims.min((width - LETTERS - 5) / 2);
        let token = LETTERS + 5..LETTERS + 5 + text;
        Self {
            letters: 0..LETTERS,
            is_letter: LETTERS,
            is_answer: LETTERS + 1,
            is_begin: LETTERS + 2,
            is_text: LETTERS + 3,
            filler: LETTERS + 4,
            entry: token.end..token.end + text,
            token,
        }
    }
}

struct Builder<'m> {
    model: &'m mut FullModel,
    d: usize,
    head_dim: usize,
    /// Of the pairs that attention turns, fastest first.
    frequencies: Vec<f64>,
    rng: Pcg64,
}

impl Builder<'_> {
    fn at(&self, name: &str) -> Option<Range<usize>> {
        self.model.plan().slots.iter().find(|slot| slot.name == name).map(|slot| slot.range())
    }

    fn put(&mut self, layer: usize, part: &str, row: usize, col: usize, value: f64) {
        let width = if part == "o_proj" { self.model.config().heads * self.head_dim } else { self.d };
        if let Some(range) = self.at(&format!("model.layers.{layer}.self_attn.{part}.weight")) {
            self.model.weights[range.start + row * width + col] = value as f32;
        }
    }

    fn bias(&mut self, layer: usize, part: &str, row: usize, value: f64) {
        if let Some(range) = self.at(&format!("model.layers.{layer}.self_attn.{part}.bias")) {
            self.model.weights[range.start + row] = value as f32;
        }
    }

    /// Attention divides by this, so queries are multiplied by it.
    fn root(&self) -> f64 {
        (self.head_dim as f64).sqrt()
    }

    /// What the norm makes of a place of value `x` in a vector of length `length`.
    fn seen(&self, x: f64, length: f64) -> f64 {
        x / length * (self.d as f64).sqrt()
    }

    /// Components of head `head` that turn by less than `most` over `distance` tokens; the two slowest pairs are for flags.
    fn still(&self, distance: f64, most: f64) -> Vec<usize> {
        let half = self.head_dim / 2;
        let pairs: Vec<usize> =
            (0..half - 2).filter(|&pair| self.frequencies[pair] * distance < most).collect();
        pairs.iter().copied().chain(pairs.iter().map(|pair| pair + half)).collect()
    }

    /// Take the noise out of a head: large biases would make it loud.
    fn clear(&mut self, layer: usize, head: usize) {
        let (width, heads) = (self.d, self.model.config().heads * self.head_dim);
        let rows = head * self.head_dim..(head + 1) * self.head_dim;
        for part in ["q_proj", "k_proj", "v_proj"] {
            if let Some(range) = self.at(&format!("model.layers.{layer}.self_attn.{part}.weight")) {
                self.model.weights[range][rows.start * width..rows.end * width].fill(0.0);
            }
        }
        if let Some(range) = self.at(&format!("model.layers.{layer}.self_attn.o_proj.weight")) {
            for row in self.model.weights[range].chunks_exact_mut(heads) {
                row[rows.clone()].fill(0.0);
            }
        }
    }

    /// Head `head` adds `strength` times `from`, as it sees it in vectors of length `length`, to `to`.
    fn copy(
        &mut self,
        layer: usize,
        head: usize,
        from: Range<usize>,
        to: Range<usize>,
        strength: f64,
        length: f64,
    ) {
        let unit = 1.0 / self.seen(1.0, length);
        for (row, (from, to)) in from.zip(to).take(self.head_dim).enumerate() {
            let row = head * self.head_dim + row;
            self.put(layer, "v_proj", row, from, unit);
            self.put(layer, "o_proj", to, row, strength);
        }
    }
}

/// Give `model` its first weights.
pub fn start(model: &mut FullModel, roles: &Roles, seed: Seed) {
    let config: ModelConfig = model.config().clone();
    let half = config.head_dim / 2;
    let frequencies: Vec<f64> =
        (0..half).map(|pair| config.rope.theta.powf(-(pair as f64) / half as f64)).collect();
    let rng = seed.stream("pretrain/init");
    let mut b = Builder { model, d: config.hidden, head_dim: config.head_dim, frequencies, rng };
    noise(&mut b);
    let still = b.still(roles.prompt, 0.6);
    let parts = Parts::new(b.d, still.len());
    if let Some(range) = b.at("model.norm.weight") {
        for place in 0..b.d {
            // The output reads letters.
            b.model.weights[range.start + place] = if parts.letters.contains(&place) { 1.2 } else { 0.2 };
        }
    }
    for (layer, head) in [(0, 0), (1, 0), (1, 1), (config.layers - 1, 0)] {
        b.clear(layer, head);
    }
    embed(&mut b, roles, &parts);
    take_letters(&mut b, roles, &parts);
    sum_entries(&mut b, roles, &parts);
    take_history(&mut b, roles, &parts);
    find_entries(&mut b, &parts, &still, config.layers - 1);
}

/// Noise everywhere, norms of one.
fn noise(b: &mut Builder<'_>) {
    let slots = b.model.plan().slots.clone();
    for slot in &slots {
        let deviation = match slot.shape[..] {
            // Nothing at first: the sums below are amplified, and so would be noise in them.
            [_, _] if slot.name.contains("down_proj") => 0.0,
            [_, inputs] if slot.name.contains("mlp") => 1.0 / (inputs as f64).sqrt(),
            [_, _] => NOISE,
            _ => 0.0,
        };
        let norm = slot.shape.len() == 1 && !slot.name.ends_with("bias");
        let fixed = if norm { 1.0 } else { 0.0 };
        for at in slot.range() {
            b.model.weights[at] = if deviation > 0.0 {
                truncated_normal(&mut b.rng, deviation, 3.0 * deviation)
            } else {
                fixed
            };
        }
    }
}

fn embed(b: &mut Builder<'_>, roles: &Roles, parts: &Parts) {
    let Some(range) = b.at("model.embed_tokens.weight") else { return };
    let d = b.d;
    let tokens = range.len() / d;
    let mut set = |token: u32, vector: &[(usize, f64)]| {
        let row = &mut b.model.weights[range.start + token as usize * d..][..d];
        row[..parts.filler].fill(0.0);
        row[parts.token.clone()].fill(0.0);
        let mut rest = 1.0;
        for &(place, value) in vector {
            row[place] = value as f32;
            rest -= value * value;
        }
        row[parts.filler] = rest.max(0.0).sqrt() as f32;
    };
    for token in 0..tokens as u32 {
        set(token, &[]);
    }
    let rarest = (roles.titles as f64 / 2.0).max(2.0).ln();
    for &(token, titles) in &roles.words {
        let weight = (roles.titles as f64 / titles as f64).ln() / rarest;
        let drawn: Vec<f64> =
            parts.token.clone().map(|_| f64::from(truncated_normal(&mut b.rng, 1.0, 3.0))).collect();
        let length = drawn.iter().map(|x| x * x).sum::<f64>().sqrt();
        let scale = 0.9 * weight.clamp(0.05, 1.0) / length;
        let mut vector = vec![(parts.is_text, TEXT_FLAG)];
        vector.extend(parts.token.clone().zip(drawn.iter().map(|x| x * scale)));
        set(token, &vector);
    }
    for (place, &token) in roles.letters.iter().enumerate().take(LETTERS) {
        set(token, &[(place, PLACE), (parts.is_letter, PLACE)]);
    }
    set(roles.answer, &[(parts.is_answer, PLACE)]);
    set(roles.bos, &[(parts.is_begin, PLACE)]);
}

/// The letter before each token. The last token of a prompt takes none.
fn take_letters(b: &mut Builder<'_>, roles: &Roles, parts: &Parts) {
    let (slowest, second) = (b.head_dim / 2 - 1, b.head_dim / 2 - 2);
    let (root, flag) = (b.root(), b.seen(PLACE, 1.0));
    b.bias(0, "q_proj", slowest, root);
    b.put(0, "k_proj", slowest, parts.is_letter, LETTER / flag);
    b.put(0, "k_proj", slowest, parts.is_begin, NO_LETTER / flag);
    b.put(0, "q_proj", second, parts.is_answer, root / flag);
    b.put(0, "k_proj", second, parts.is_begin, 200.0 / flag);
    // From a turn in half an entry on down.
    let pairs: Vec<usize> =
        (0..second).filter(|&pair| (6e-4..1.9 / roles.entry).contains(&b.frequencies[pair])).collect();
    for pair in pairs {
        b.bias(0, "q_proj", pair, root * NEAREST);
        b.put(0, "k_proj", pair, parts.is_letter, 1.0 / flag);
    }
    b.copy(0, 0, parts.letters.clone(), parts.letters.clone(), 1.0, 1.0);
}

/// Length of a vector of an entry's token after the first layer.
fn lettered() -> f64 {
    (1.0 + PLACE * PLACE).sqrt()
}

/// The text of all tokens with the same letter so far.
fn sum_entries(b: &mut Builder<'_>, roles: &Roles, parts: &Parts) {
    let slowest = b.head_dim / 2 - 1;
    let (root, letter, flag) = (b.root(), b.seen(PLACE, lettered()), b.seen(PLACE, 1.0));
    let unit = b.seen(1.0, 1.0);
    // Slowest last, so that letters get the fastest that still hold over an entry; the others turn less.
    let places = b.still(2.0 * roles.entry, 0.8);
    for (letter_place, row) in parts.letters.clone().zip(places) {
        b.put(1, "q_proj", row, letter_place, root * SAME_LETTER / letter);
        b.put(1, "k_proj", row, letter_place, 1.0 / letter);
    }
    b.bias(1, "q_proj", slowest, root * NOTHING);
    b.put(1, "k_proj", slowest, parts.is_begin, 1.0 / flag);
    b.put(1, "k_proj", slowest, parts.is_letter, -10.0 / unit);
    b.copy(1, 0, parts.token.clone(), parts.entry.clone(), ENTRY_TEXT / roles.title, lettered());
}

/// The text of the history for the last token of a prompt, later items first.
fn take_history(b: &mut Builder<'_>, roles: &Roles, parts: &Parts) {
    let (slowest, second) = (b.head_dim + b.head_dim / 2 - 1, b.head_dim + b.head_dim / 2 - 2);
    let (root, flag, letter) = (b.root(), b.seen(PLACE, 1.0), b.seen(PLACE, lettered()));
    b.put(1, "q_proj", slowest, parts.is_answer, root / flag);
    for place in parts.letters.clone() {
        b.put(1, "k_proj", slowest, place, -NO_ENTRY / letter);
    }
    let text = b.seen(TEXT_FLAG, 1.0);
    b.put(1, "k_proj", slowest, parts.is_text, IS_TEXT / text);
    for flagged in [parts.is_answer, parts.is_begin, parts.is_letter] {
        b.put(1, "k_proj", slowest, flagged, -NO_ENTRY / flag);
    }
    let turning = 2.5 / roles.prompt;
    let from = b.frequencies.iter().position(|&frequency| frequency < 1.4 * turning).unwrap_or(0);
    for pair in from..(from + 2).min(b.head_dim / 2 - 2) {
        b.put(1, "q_proj", b.head_dim + pair, parts.is_answer, root * LATEST / flag);
        b.bias(1, "k_proj", b.head_dim + pair, 1.0);
    }
    // All other tokens look at the beginning, where there is nothing.
    b.bias(1, "q_proj", second, 20.0 * root);
    b.put(1, "k_proj", second, parts.is_begin, 1.0 / flag);
    b.put(1, "q_proj", second, parts.is_answer, -20.0 * root / flag);
    b.copy(1, 1, parts.token.clone(), parts.entry.clone(), HISTORY_TEXT, 1.0);
}

/// Entries with text like that of the history, and their letters.
fn find_entries(b: &mut Builder<'_>, parts: &Parts, still: &[usize], layer: usize) {
    let slowest = b.head_dim / 2 - 1;
    let (root, unit) = (b.root(), b.seen(1.0, 1.0));
    for (place, &row) in parts.entry.clone().zip(still) {
        b.put(layer, "q_proj", row, place, 4.0 * root * LIKE / (unit * unit));
        b.put(layer, "k_proj", row, place, 1.0);
    }
    b.bias(layer, "q_proj", slowest, root);
    for place in parts.letters.clone() {
        b.put(layer, "k_proj", slowest, place, HAS_LETTER / unit);
    }
    b.put(layer, "k_proj", slowest, parts.is_answer, -400.0 / b.seen(PLACE, 1.0));
    b.put(layer, "k_proj", slowest, parts.is_letter, -10.0 / b.seen(PLACE, 1.0));
    b.copy(layer, 0, parts.letters.clone(), parts.letters.clone(), TELL, 1.0);
}
