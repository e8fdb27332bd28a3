//! What a built-in backbone reads: prompts of the ranker with their answers, made of the catalogue and of training interactions
//! alone. Two kinds:
//!
//! - **Echo**: which letter has the last title of the history? This keeps looking up alive.
//! - **Prompt**: which of these came next? A prompt of the ranker, word for word, for a prefix of training items.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_pcg::Pcg64;

use super::Error;
use super::init::Roles;
use crate::data::{ItemId, Split};
use crate::prompt::{Tokenizer, template};

/// A text and the tokens that are to be learnt in it.
#[derive(Debug, Clone, Default)]
pub struct Lesson {
    /// The tokens.
    pub ids: Vec<u32>,
    /// For each position, the token that is to follow, where that is asked.
    pub labels: Vec<Option<u32>>,
}

impl Lesson {
    fn show(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.labels.resize(self.ids.len(), None);
    }

    fn ask(&mut self, answer: u32) {
        if let Some(label) = self.labels.last_mut() {
            *label = Some(answer);
        }
        self.show(&[answer]);
    }
}

/// Makes lessons.
pub struct Teacher<'a> {
    split: &'a Split,
    titles: Vec<Vec<u32>>,
    /// Each title's tokens, ascending, without repetition.
    tokens: Vec<Vec<u32>>,
    /// How rare each token is among the titles: ln(titles / titles that have it).
    rarity: BTreeMap<u32, f32>,
    /// (user, position) of every training item that has one before it.
    steps: Vec<(u32, u32)>,
    bos: u32,
    eos: u32,
    opening: Vec<u32>,
    history_end: Vec<u32>,
    middle: Vec<u32>,
    numbers: Vec<Vec<u32>>,
    letters: Vec<Vec<u32>>,
    answers: Vec<u32>,
    separator: Vec<u32>,
    response: Vec<u32>,
    history_items: usize,
}

/// Among how many items the one with the nearest title is looked for.
const LOOKED_AT: usize = 24;

/// Where the wrong candidates of a prompt come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// In turns what came next for somebody else, which makes them popular, and any item.
    Any,
    /// Besides, items whose titles are like the right one's: a retriever's candidates are like each other.
    Near,
}

impl<'a> Teacher<'a> {
    /// Titles are cut at `title_tokens`; prompts have `labels` candidates and up to `history_items` items of history.
    ///
    /// # Errors
    /// If the tokenizer refuses a text, or if there is nothing to ask about.
    pub fn new<S: AsRef<str>>(
        tokenizer: &Tokenizer,
        titles: &[S],
        split: &'a Split,
        (labels, history_items, title_tokens): (usize, usize, usize),
    ) -> Result<Self, Error> {
        let encode = |text: &str| tokenizer.encode(text);
        let cut = |title: &S| -> Result<Vec<u32>, Error> {
            let mut ids = encode(&format!(" {}", title.as_ref().trim()))?;
            ids.truncate(title_tokens);
            Ok(ids)
        };
        let titles: Vec<Vec<u32>> = titles.iter().map(cut).collect::<Result<_, _>>()?;
        let tokens: Vec<Vec<u32>> = titles
            .iter()
            .map(|title| title.iter().copied().collect::<BTreeSet<u32>>().into_iter().collect())
            .collect();
        let mut rarity = BTreeMap::<u32, f32>::new();
        for &token in tokens.iter().flatten() {
            *rarity.entry(token).or_default() += 1.0;
        }
        for titles_with in rarity.values_mut() {
            *titles_with = (tokens.len() as f32 / *titles_with).ln();
        }
        let numbered = |users: (usize, &Vec<ItemId>)| {
            let user = users.0 as u32;
            (1..users.1.len() as u32).map(move |at| (user, at))
        };
        let steps: Vec<(u32, u32)> = split.train.iter().enumerate().flat_map(numbered).collect();
        if titles.len() < 2 || steps.is_empty() {
            return Err(Error::TooFewItems { items: titles.len() });
        }
        let opening = template::text(&["x"], &["x"]);
        let opening = opening.split(" (1)").next().unwrap_or_default();
        let answers = (0..labels).map(|index| {
            let ids = encode(&format!("{}{}", template::CLOSING, template::label(index)))?;
            Ok(ids.last().copied().unwrap_or_default())
        });
        Ok(Self {
            split,
            tokens,
            rarity,
            steps,
            bos: tokenizer.bos().unwrap_or_default(),
            eos: tokenizer.eos().unwrap_or_default(),
            opening: encode(opening)?,
            history_end: [encode(";")?, encode(" \n")?].concat(),
            middle: encode(" Candidate pool:")?,
            numbers: (1..=history_items)
                .map(|number| encode(&format!(" ({number})")))
                .collect::<Result<_, _>>()?,
            letters: (0..labels)
                .map(|index| encode(&format!(" ({})", template::label(index))))
                .collect::<Result<_, _>>()?,
            answers: answers.collect::<Result<_, Error>>()?,
            separator: encode(" \n")?,
            response: [encode("\n\n")?, encode(template::CLOSING)?].concat(),
            history_items,
            titles,
        })
    }

    /// The largest pool.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.letters.len().min(self.titles.len())
    }

    fn title(&self, item: ItemId) -> &[u32] {
        &self.titles[item.index()]
    }

    fn history(&self, lesson: &mut Lesson, items: &[ItemId]) {
        for (index, &item) in items.iter().enumerate() {
            if index > 0 {
                lesson.show(&self.separator);
            }
            lesson.show(&self.numbers[index]);
            lesson.show(self.title(item));
        }
    }

    fn end_of_history(&self, lesson: &mut Lesson) {
        lesson.show(&self.history_end);
        lesson.show(&self.middle);
    }

    /// The tokens with a part to play.
    #[must_use]
    pub fn roles(&self) -> Roles {
        let mut counts = BTreeMap::<u32, usize>::new();
        for token in self.tokens.iter().flatten() {
            *counts.entry(*token).or_default() += 1;
        }
        let labels = self.letters.iter().chain(&self.numbers).flatten();
        let fixed = [&self.opening, &self.history_end, &self.middle, &self.separator, &self.response];
        for token in fixed.into_iter().flatten().chain(labels) {
            counts.remove(token);
        }
        let tokens: usize = self.titles.iter().map(Vec::len).sum();
        let title = tokens as f64 / self.titles.len() as f64;
        let entry = title + 4.0;
        Roles {
            letters: self.answers.clone(),
            answer: self.response.last().copied().unwrap_or_default(),
            bos: self.bos,
            words: counts.into_iter().collect(),
            titles: self.titles.len(),
            title,
            entry,
            prompt: entry * (self.letters.len() + self.history_items) as f64 + 40.0,
        }
    }

    /// A prompt of the ranker. Of the wrong candidates a third came next for somebody else, which makes them popular, a third has
    /// titles like the right one's, and a third is any item.
    pub fn prompt(&self, size: usize, rng: &mut Pcg64) -> Lesson {
        let (user, at) = self.steps[below(self.steps.len(), rng)];
        let items = &self.split.train[user as usize];
        self.asked(&items[..at as usize], items[at as usize], size, Wrong::Near, rng)
    }

    /// Which letter has the last item of the history? A prompt of the ranker in all but the answer: what the first weights do
    /// roughly, this teaches to do well.
    pub fn echo(&self, size: usize, rng: &mut Pcg64) -> Lesson {
        let (user, at) = self.steps[below(self.steps.len(), rng)];
        let history = &self.split.train[user as usize][..at as usize];
        self.asked(history, history[history.len() - 1], size, Wrong::Any, rng)
    }

    fn any(&self, rng: &mut Pcg64) -> Option<ItemId> {
        ItemId::new(1 + below(self.titles.len(), rng) as u32)
    }

    /// How much two titles have in common: the summed rarity of the tokens that both have.
    fn likeness(&self, one: ItemId, other: ItemId) -> f32 {
        let (one, other) = (&self.tokens[one.index()], &self.tokens[other.index()]);
        let shared = one.iter().filter(|&token| other.binary_search(token).is_ok());
        shared.map(|token| self.rarity.get(token).copied().unwrap_or_default()).sum()
    }

    /// Of some items drawn at random the one whose title is most like that of `item`.
    fn near(&self, item: ItemId, rng: &mut Pcg64) -> Option<ItemId> {
        let drawn = (0..LOOKED_AT).filter_map(|_| self.any(rng)).filter(|&other| other != item);
        drawn.max_by(|&a, &b| self.likeness(item, a).total_cmp(&self.likeness(item, b)))
    }

    fn asked(
        &self,
        history: &[ItemId],
        target: ItemId,
        size: usize,
        wrong: Wrong,
        rng: &mut Pcg64,
    ) -> Lesson {
        let size = size.min(self.labels());
        let mut pool = vec![target];
        let mut tries = 0;
        while pool.len() < size && tries < 50 * size {
            tries += 1;
            let kinds = if wrong == Wrong::Near { 3 } else { 2 };
            let drawn = match tries % kinds {
                0 => {
                    let (user, at) = self.steps[below(self.steps.len(), rng)];
                    Some(self.split.train[user as usize][at as usize])
                }
                1 => self.any(rng),
                _ => self.near(target, rng),
            };
            let Some(drawn) = drawn else { continue };
            if !pool.contains(&drawn) && !history.contains(&drawn) {
                pool.push(drawn);
            }
        }
        shuffle(&mut pool, rng);
        let mut lesson = Lesson::default();
        lesson.show(&[self.bos]);
        lesson.show(&self.opening);
        let shown = history.len().saturating_sub(self.history_items);
        self.history(&mut lesson, &history[shown..]);
        self.end_of_history(&mut lesson);
        for (index, &item) in pool.iter().enumerate() {
            if index > 0 {
                lesson.show(&self.separator);
            }
            lesson.show(&self.letters[index]);
            lesson.show(self.title(item));
        }
        lesson.show(&self.response);
        let answer = pool.iter().position(|&item| item == target).unwrap_or_default();
        lesson.ask(self.answers[answer]);
        lesson.ask(self.eos);
        lesson
    }
}

fn below(n: usize, rng: &mut Pcg64) -> usize {
    rng.random_range(0..n.max(1) as u64) as usize
}

fn shuffle<T>(items: &mut [T], rng: &mut Pcg64) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, rng));
    }
}
