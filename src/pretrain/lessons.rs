//! What a built-in backbone reads: lists of titles with questions about them, made of the catalogue and of training
//! interactions alone.
//!
//! A lesson shows a pool of lettered titles and asks which letter belongs to a text. One pool serves many questions, so a
//! lesson has many letters to learn from where a prompt of the ranker has one. The three kinds, in the order of difficulty:
//!
//! 1. **Find**: the question repeats a title of the pool (its letter is the answer). The first levels have two entries of one
//!    token; entries grow to whole titles, then pools grow.
//! 2. **Next**: the question is a short run of a user's training items; the answer is the item that came next. The pool is made
//!    of the answers to such questions, so the wrong ones are items that others chose.
//! 3. **Prompt**: a prompt of the ranker, word for word, for a prefix of training items.

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

/// How long entries of a pool are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// This many tokens, drawn from all titles.
    Tokens(usize),
    /// Whole titles.
    Titles,
}

/// How hard a lesson is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Entries of a pool.
    pub pool: usize,
    /// Their length.
    pub entries: Entries,
}

/// Makes lessons.
pub struct Teacher<'a> {
    split: &'a Split,
    titles: Vec<Vec<u32>>,
    /// Every token of the titles.
    words: Vec<u32>,
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

/// The longest question about what comes next, in items.
const NEXT_ITEMS: usize = 3;

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
        let mut words: Vec<u32> = titles.iter().flatten().copied().collect();
        words.sort_unstable();
        words.dedup();
        let numbered = |users: (usize, &Vec<ItemId>)| {
            let user = users.0 as u32;
            (1..users.1.len() as u32).map(move |at| (user, at))
        };
        let steps: Vec<(u32, u32)> = split.train.iter().enumerate().flat_map(numbered).collect();
        if titles.len() < 2 || words.len() < 2 || steps.is_empty() {
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
            words,
            steps,
            bos: tokenizer.bos().unwrap_or_default(),
            eos: tokenizer.eos().unwrap_or_default(),
            opening: encode(opening)?,
            history_end: [encode(";")?, encode(" \n")?].concat(),
            middle: encode(" Candidate pool:")?,
            numbers: (1..=history_items.max(NEXT_ITEMS))
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

    /// Which letter has this text?
    pub fn find(&self, level: Level, questions: usize, rng: &mut Pcg64) -> Lesson {
        let size = level.pool.min(self.labels());
        let letters = self.dealt(size, rng);
        let entries: Vec<Vec<u32>> = match level.entries {
            Entries::Titles => distinct(size, self.titles.len(), rng)
                .into_iter()
                .map(|item| self.titles[item].clone())
                .collect(),
            Entries::Tokens(length) => (0..size)
                .map(|_| (0..length).map(|_| self.words[below(self.words.len(), rng)]).collect())
                .collect(),
        };
        let mut lesson = Lesson::default();
        self.pool(&mut lesson, &letters, entries.iter().map(Vec::as_slice));
        for _ in 0..questions {
            let at = below(size, rng);
            lesson.show(&self.numbers[0]);
            lesson.show(&entries[at]);
            self.end_of_history(&mut lesson);
            lesson.show(&self.response);
            lesson.ask(self.answers[letters[at]]);
        }
        lesson
    }

    /// Which of these came next?
    pub fn next(&self, size: usize, questions: usize, rng: &mut Pcg64) -> Lesson {
        let size = size.min(self.labels());
        let mut asked: Vec<(u32, u32)> = Vec::with_capacity(size);
        let mut pool: Vec<ItemId> = Vec::with_capacity(size);
        for _ in 0..20 * size {
            let (user, at) = self.steps[below(self.steps.len(), rng)];
            let next = self.split.train[user as usize][at as usize];
            if pool.len() < size && !pool.contains(&next) {
                pool.push(next);
                asked.push((user, at));
            }
        }
        let letters = self.dealt(pool.len(), rng);
        let mut lesson = Lesson::default();
        self.pool(&mut lesson, &letters, pool.iter().map(|&item| self.title(item)));
        for _ in 0..questions {
            let which = below(pool.len(), rng);
            let (user, at) = asked[which];
            let length = 1 + below(NEXT_ITEMS.min(at as usize), rng);
            let history = &self.split.train[user as usize][at as usize - length..at as usize];
            self.history(&mut lesson, history);
            self.end_of_history(&mut lesson);
            lesson.show(&self.response);
            lesson.ask(self.answers[letters[which]]);
        }
        lesson
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

    /// A prompt of the ranker. A part of the wrong candidates came next for somebody else, which makes them popular; the rest
    /// is any item.
    pub fn prompt(&self, size: usize, rng: &mut Pcg64) -> Lesson {
        let (user, at) = self.steps[below(self.steps.len(), rng)];
        let items = &self.split.train[user as usize];
        self.asked(&items[..at as usize], items[at as usize], size, rng)
    }

    /// Which letter has the last item of the history? A prompt of the ranker in all but the answer: what [`Teacher::find`] teaches
    /// over short ways, this teaches over the length of a prompt.
    pub fn echo(&self, size: usize, rng: &mut Pcg64) -> Lesson {
        let (user, at) = self.steps[below(self.steps.len(), rng)];
        let history = &self.split.train[user as usize][..at as usize];
        self.asked(history, history[history.len() - 1], size, rng)
    }

    fn asked(&self, history: &[ItemId], target: ItemId, size: usize, rng: &mut Pcg64) -> Lesson {
        let size = size.min(self.labels());
        let mut pool = vec![target];
        let mut tries = 0;
        while pool.len() < size && tries < 50 * size {
            tries += 1;
            let drawn = if tries % 2 == 0 {
                let (user, at) = self.steps[below(self.steps.len(), rng)];
                self.split.train[user as usize][at as usize]
            } else {
                match ItemId::new(1 + below(self.titles.len(), rng) as u32) {
                    Some(item) => item,
                    None => continue,
                }
            };
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
