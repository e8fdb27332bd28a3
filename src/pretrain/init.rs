//! The first weights of a built-in backbone.
//!
//! From small random weights, a model of this size reads millions of lists before it can look anything up: finding the letter
//! beside a title takes heads in three layers that are of no use without each other (Olsson et al. 2022; Reddy 2023). So
//! training starts with such heads in place, roughly made, and teaches them; everything else starts near zero. It is the
//! thought of mimetic initialization (Trockman and Kolter 2023), for looking up in lists:
//!
//! - The width is parted: a place for each letter, places for the text of titles, and a few flags of the template's tokens.
//!   A letter's embedding is its place; a token of titles is random, the rarer the longer; the template has no text.
//! - In the first layer one head brings each token the letter of its entry: it looks at the nearest letter, and the blank
//!   before a label stops it. The other heads average the text of the last few tokens.
//! - In the second layer the last token of a prompt looks at the end of the history, where the average is the last title.
//! - In the last layer it looks at tokens with a letter and with text like that, and takes the letter.

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
    /// What begins a label.
    pub label: u32,
    /// What ends the history.
    pub history_end: u32,
    /// The tokens before an answer, in order.
    pub response: Vec<u32>,
    /// The token before a text.
    pub bos: u32,
    /// Tokens of titles with the number of titles that have them.
    pub words: Vec<(u32, usize)>,
    /// How many titles there are.
    pub titles: usize,
}

impl Roles {
    /// The same with other ids.
    #[must_use]
    pub fn renamed(self, id: impl Fn(u32) -> u32) -> Self {
        let all = |ids: Vec<u32>| ids.into_iter().map(&id).collect();
        Self {
            letters: all(self.letters),
            label: id(self.label),
            history_end: id(self.history_end),
            response: all(self.response),
            bos: id(self.bos),
            words: self.words.into_iter().map(|(token, titles)| (id(token), titles)).collect(),
            titles: self.titles,
        }
    }
}

/// How strong the heads are; found by trial on the built-in data.
const LETTER: f64 = 6.0;
const WINDOW: f64 = 5.0;
const MATCH: f64 = 10.0;
const HAS_LETTER: f64 = 8.0;
const TO_HISTORY: f64 = 1.5;
const RESET: f64 = 0.9;
/// How far back the window is centred, in tokens.
const BACK: f64 = 4.0;
const NOISE: f64 = 0.002;

struct Builder<'m> {
    model: &'m mut FullModel,
    d: usize,
    head_dim: usize,
    frequencies: Vec<f64>,
    rng: Pcg64,
}

impl Builder<'_> {
    fn at(&self, name: &str) -> Option<std::ops::Range<usize>> {
        self.model.plan().slots.iter().find(|slot| slot.name == name).map(|slot| slot.range())
    }

    fn put(&mut self, layer: usize, part: &str, row: usize, col: usize, value: f64) {
        let width = if part == "o_proj" { self.d_heads() } else { self.d };
        if let Some(range) = self.at(&format!("model.layers.{layer}.self_attn.{part}.weight")) {
            self.model.weights[range.start + row * width + col] = value as f32;
        }
    }

    fn bias(&mut self, layer: usize, part: &str, row: usize, value: f64) {
        if let Some(range) = self.at(&format!("model.layers.{layer}.self_attn.{part}.bias")) {
            self.model.weights[range.start + row] = value as f32;
        }
    }

    fn d_heads(&self) -> usize {
        self.model.config().heads * self.head_dim
    }

    /// Head `head` copies `places` of what it looks at to the same places.
    fn copy(&mut self, layer: usize, head: usize, places: std::ops::Range<usize>, strength: f64) {
        for (row, place) in places.take(self.head_dim).enumerate() {
            self.put(layer, "v_proj", head * self.head_dim + row, place, 1.0);
            self.put(layer, "o_proj", place, head * self.head_dim + row, strength);
        }
    }
}

/// Give `model` its first weights.
pub fn start(model: &mut FullModel, roles: &Roles, seed: Seed) {
    let config: ModelConfig = model.config().clone();
    let (d, half) = (config.hidden, config.head_dim / 2);
    let letters = 0..roles.letters.len();
    let flags = d - 6;
    let text = letters.end..flags;
    let [letter_flag, end_flag, answer_flag, begin_flag, filler] = [0, 1, 2, 3, 4].map(|flag| flags + flag);
    let frequencies: Vec<f64> =
        (0..half).map(|pair| config.rope.theta.powf(-(pair as f64) / half as f64)).collect();
    let rng = seed.stream("pretrain/init");
    let mut b = Builder { model, d, head_dim: config.head_dim, frequencies, rng };

    // Noise everywhere, norms of one.
    let slots = b.model.plan().slots.clone();
    for slot in &slots {
        let deviation = match slot.shape[..] {
            [_, inputs] if slot.name.contains("mlp") => {
                let small = if slot.name.contains("down_proj") { 0.05 } else { 1.0 };
                small / (inputs as f64).sqrt()
            }
            [..] if slot.shape.len() == 2 => NOISE,
            _ => 0.0,
        };
        let fixed = if slot.name.ends_with("bias") { 0.0 } else { 1.0 };
        for at in slot.range() {
            b.model.weights[at] = if deviation > 0.0 {
                truncated_normal(&mut b.rng, deviation, 3.0 * deviation)
            } else {
                fixed
            };
        }
    }
    // The output reads letters.
    if let Some(range) = b.at("model.norm.weight") {
        for place in 0..d {
            b.model.weights[range.start + place] = if letters.contains(&place) { 2.0 } else { 0.2 };
        }
    }
    embed(&mut b, roles, [letter_flag, end_flag, answer_flag, begin_flag, filler]);

    let heads = config.heads;
    let last = config.layers - 1;
    let window: Vec<usize> = near(&b.frequencies, 0.07, 0.19);
    let reach: Vec<usize> = near(&b.frequencies, 0.025, 0.2);
    let far: Vec<usize> = (0..half - 1).filter(|&pair| b.frequencies[pair] < 0.2).collect();
    let slow: Vec<usize> = (0..half - 1).filter(|&pair| b.frequencies[pair] < 0.004).collect();
    // The nearest letter.
    for &pair in &reach {
        b.bias(0, "q_proj", pair, LETTER);
        b.put(0, "k_proj", pair, letter_flag, 1.0);
    }
    b.copy(0, 0, letters.clone(), 0.12);
    // The text of the last few tokens; of the last token of a prompt it is not wanted.
    let parts = text.clone().step_by(b.head_dim).collect::<Vec<_>>();
    for (head, &from) in (1..heads).zip(&parts) {
        let s = head * b.head_dim;
        for &pair in &window {
            let angle = -BACK * b.frequencies[pair];
            b.bias(0, "q_proj", s + pair, WINDOW * angle.cos());
            b.bias(0, "q_proj", s + half + pair, WINDOW * angle.sin());
            b.bias(0, "k_proj", s + pair, WINDOW);
        }
        b.put(0, "q_proj", s + half - 1, answer_flag, 10.0);
        b.put(0, "k_proj", s + half - 1, begin_flag, 5.0);
        let end = (from + b.head_dim).min(text.end);
        b.copy(0, head, from..end, 0.5);
    }
    // From the end of a prompt to the end of the history; all else looks at the beginning, where there is nothing.
    for (head, &from) in (0..heads).zip(&parts) {
        let s = head * b.head_dim;
        for &pair in &far {
            b.put(1, "q_proj", s + pair, answer_flag, TO_HISTORY);
            b.put(1, "k_proj", s + pair, end_flag, 1.0);
        }
        b.bias(1, "q_proj", s + half - 1, 16.0);
        b.put(1, "k_proj", s + half - 1, begin_flag, 2.0);
        let end = (from + b.head_dim).min(text.end);
        b.copy(1, head, from..end, 1.0);
    }
    // Text like the query's, with a letter.
    for head in 0..heads {
        let s = head * b.head_dim;
        for pair in slow.iter().flat_map(|&pair| [pair, pair + half]) {
            for place in text.clone() {
                let x = f64::from(truncated_normal(&mut b.rng, 1.0, 3.0)) / (text.len() as f64).sqrt();
                b.put(last, "q_proj", s + pair, place, MATCH * x);
                b.put(last, "k_proj", s + pair, place, x);
            }
        }
        b.bias(last, "q_proj", s + half - 1, HAS_LETTER);
        for place in letters.clone() {
            b.put(last, "k_proj", s + half - 1, place, 1.0);
        }
        b.put(last, "k_proj", s + half - 1, letter_flag, -2.2);
        b.put(last, "k_proj", s + half - 1, answer_flag, -3.0);
        b.copy(last, head, letters.clone(), 0.5);
    }
}

/// Pairs of a head that turn with a frequency between two.
fn near(frequencies: &[f64], least: f64, most: f64) -> Vec<usize> {
    (0..frequencies.len()).filter(|&pair| (least..most).contains(&frequencies[pair])).collect()
}

/// Candidates that the letters' places are for.
pub const LABELS: usize = 20;

/// A token of which nothing is known: nearly nothing.
pub fn unknown(row: &mut [f32], rng: &mut Pcg64) {
    for value in row {
        *value = truncated_normal(rng, NOISE, 3.0 * NOISE);
    }
}

/// Give the tokens of titles random embeddings, the rarer a token the longer, and leave out `kept`.
pub fn words(rows: &mut [f32], d: usize, roles: &Roles, kept: &dyn Fn(u32) -> bool, rng: &mut Pcg64) {
    let text = LABELS..d - 6;
    let rarest = (roles.titles as f64 / 3.0).max(2.0).ln();
    for &(token, titles) in &roles.words {
        if kept(token) {
            continue;
        }
        let weight = ((roles.titles as f64 + 1.0) / (titles as f64 + 0.5)).ln() / rarest;
        let row = &mut rows[token as usize * d..][..d];
        row.fill(0.0);
        for place in text.clone() {
            let x = f64::from(truncated_normal(rng, 1.0, 3.0)) / (text.len() as f64).sqrt();
            row[place] = (x * weight.max(0.0).powi(2)) as f32;
        }
    }
}

fn embed(b: &mut Builder<'_>, roles: &Roles, flags: [usize; 5]) {
    let Some(range) = b.at("model.embed_tokens.weight") else { return };
    let d = b.d;
    let [letter_flag, end_flag, answer_flag, begin_flag, filler] = flags;
    words(&mut b.model.weights[range.clone()], d, roles, &|_| false, &mut b.rng);
    let mut set = |token: u32, place: usize, value: f64| {
        b.model.weights[range.start + token as usize * d + place] = value as f32;
    };
    for token in roles.response.iter().chain([&roles.label]) {
        set(*token, letter_flag, RESET);
        // As long as a letter's embedding, so that the norm before attention leaves the flag below a letter's.
        set(*token, filler, (2.0 - RESET * RESET).sqrt());
    }
    for (place, &token) in roles.letters.iter().enumerate() {
        set(token, place, 1.0);
        set(token, letter_flag, 1.0);
    }
    set(roles.history_end, end_flag, 1.0);
    if let Some(&token) = roles.response.last() {
        set(token, answer_flag, 1.0);
    }
    set(roles.bos, begin_flag, 1.0);
}
