//! What a built-in backbone reads: lists of titles with questions about them, made of the catalogue and of training
//! interactions alone.
//!
//! A lesson shows a pool of lettered titles and asks which letter belongs to a text. The kinds, in the order of difficulty:
//!
//! 1. **Find**: the question repeats a title of the pool (its letter is the answer). One pool serves many questions.
//! 2. **Echo**: a prompt of the ranker, word for word, whose answer is the last title of the history.
//! 3. **Prompt**: a prompt of the ranker for a prefix of training items, and the item that came next.

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

/// Where the right candidate of a prompt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Anywhere.
    Any,
    /// Rather at the front, as in a retriever's list.
    LikelyFirst,
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
            numbers: (1..=history_items.max(1))
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

    /// A pool; entry i has the letter `letters[i]`.
    fn pool<'t>(&self, lesson: &mut Lesson, letters: &[usize], entries: impl Iterator<Item = &'t [u32]>) {
        lesson.show(&[self.bos]);
        lesson.show(&self.middle);
        for (&letter, entry) in letters.iter().zip(entries) {
            lesson.show(&self.letters[letter]);
            lesson.show(entry);
            lesson.show(&self.separator);
        }
    }

    /// Letters of a pool: A, B, C and so on in every other lesson, else any, so that all are learnt early.
    fn dealt(&self, size: usize, rng: &mut Pcg64) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.letters.len()).collect();
        if rng.random_range(0..2u32) == 0 {
            shuffle(&mut all, rng);
        }
        all.truncate(size);
        all
    }

    /// Which letter has this title? Many questions to one list.
    pub fn find(&self, size: usize, questions: usize, rng: &mut Pcg64) -> Lesson {
        let size = size.min(self.labels());
        let letters = self.dealt(size, rng);
        let entries = distinct(size, self.titles.len(), rng);
        let mut lesson = Lesson::default();
        self.pool(&mut lesson, &letters, entries.iter().map(|item| self.titles[*item].as_slice()));
        for _ in 0..questions {
            let at = below(size, rng);
            // Each question begins as a prompt does: what stands after an answer's letter must not look like its entry.
            lesson.show(&[self.bos]);
            lesson.show(&self.opening);
            lesson.show(&self.numbers[0]);
            lesson.show(&self.titles[entries[at]]);
            self.end_of_history(&mut lesson);
            lesson.show(&self.response);
            lesson.ask(self.answers[letters[at]]);
        }
        lesson
    }

    /// Lessons of about `tokens` tokens in all, at least one.
    pub fn fill(&self, tokens: usize, mut lesson: impl FnMut(&Self) -> Lesson) -> Vec<Lesson> {
        let (mut all, mut sum) = (Vec::new(), 0);
        while sum < tokens.max(1) {
            let one = lesson(self);
            sum += one.ids.len();
            all.push(one);
        }
        all
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

    /// The tokens of prompts that belong to no title, ascending.
    #[must_use]
    pub fn frame(&self) -> BTreeSet<u32> {
        let lists =
            [&self.opening, &self.history_end, &self.middle, &self.separator, &self.response, &self.answers];
        let parts = self.numbers.iter().chain(&self.letters).chain(lists);
        parts.flatten().copied().chain([self.bos, self.eos]).collect()
    }

    /// The tokens with a part to play.
    #[must_use]
    pub fn roles(&self) -> Roles {
        let mut counts = BTreeMap::<u32, usize>::new();
        for title in &self.titles {
            let tokens: BTreeSet<u32> = title.iter().copied().collect();
            for token in tokens {
                *counts.entry(token).or_default() += 1;
            }
        }
        Roles {
            letters: self.answers.clone(),
            label: self.letters[0][0],
            history_end: self.middle.last().copied().unwrap_or_default(),
            response: self.response.clone(),
            bos: self.bos,
            words: counts.into_iter().collect(),
            titles: self.titles.len(),
        }
    }

    /// A prompt of the ranker. Of the wrong candidates a third came next for somebody else, which makes them popular, a third has
    /// titles like the right one's, and a third is any item.
    pub fn prompt(&self, size: usize, order: Order, rng: &mut Pcg64) -> Lesson {
        let (user, at) = self.steps[below(self.steps.len(), rng)];
        let items = &self.split.train[user as usize];
        self.asked(&items[..at as usize], items[at as usize], size, (Wrong::Near, order), rng)
    }

    /// Which letter has the last item of the history? A prompt of the ranker in all but the answer: what [`Teacher::find`] teaches
    /// over short ways, this teaches over the length of a prompt.
    pub fn echo(&self, size: usize, rng: &mut Pcg64) -> Lesson {
        let (user, at) = self.steps[below(self.steps.len(), rng)];
        let history = &self.split.train[user as usize][..at as usize];
        self.asked(history, history[history.len() - 1], size, (Wrong::Any, Order::Any), rng)
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
        (wrong, order): (Wrong, Order),
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
        if order == Order::LikelyFirst
            && let Some(at) = pool.iter().position(|&item| item == target)
        {
            let front = likely_first(pool.len(), rng);
            pool.swap(at, front);
        }
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

/// A place below `n`: i has the chance of 1 / (i + 1), normalized.
fn likely_first(n: usize, rng: &mut Pcg64) -> usize {
    let weight = |at: usize| 1.0 / (at as f64 + 1.0);
    let total: f64 = (0..n).map(weight).sum();
    let mut rest = total * rng.random_range(0.0..1.0);
    for at in 0..n {
        rest -= weight(at);
        if rest < 0.0 {
            return at;
        }
    }
    0
}

fn shuffle<T>(items: &mut [T], rng: &mut Pcg64) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, rng));
    }
}

/// `count` different numbers below `n`.
fn distinct(count: usize, n: usize, rng: &mut Pcg64) -> Vec<usize> {
    let mut drawn: Vec<usize> = Vec::with_capacity(count);
    while drawn.len() < count.min(n) {
        let one = below(n, rng);
        if !drawn.contains(&one) {
            drawn.push(one);
        }
    }
    drawn
}
