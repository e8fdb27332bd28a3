//! How the weights that all built-in backbones start from were made: by lists of titles of many made-up catalogues.
//!
//! In every step the titles' tokens get new random embeddings, so nothing can be learnt about a word; what can be learnt is to look
//! up, to compare and to count on. Only the tokens that all prompts share (labels, digits, line breaks, the fixed text) are learnt
//! themselves. Catalogues are drawn as the built-in data are, from seeds above a million.

use std::collections::BTreeMap;
use std::path::Path;

use rand::RngExt;
use rand_pcg::Pcg64;

use super::geometry::Geometry;
use super::init::{self, LABELS, Roles};
use super::lessons::{Lesson, Order, Teacher};
use super::start::Start;
use super::train::Course;
use super::{Error, tokenizer};
use crate::backbone::decoder::FullModel;
use crate::data::{Dataset, Split};
use crate::events::Silent;
use crate::experiment::{DatasetSource, DatasetSpec, SyntheticSpec};
use crate::prompt::Tokenizer;
use crate::seed::Seed;

const HISTORY: usize = 10;
const TITLE_TOKENS: usize = 32;
const VOCABULARY: usize = 1024;
/// Fewer items are no catalogue.
const LEAST_ITEMS: usize = 60;

/// A made-up catalogue with its users.
pub struct World {
    titles: Vec<String>,
    split: Split,
    tokenizer: Tokenizer,
}

impl World {
    /// Of random size and habits.
    ///
    /// # Errors
    /// If no tokenizer comes of its titles.
    pub fn draw(rng: &mut Pcg64) -> Result<Self, Error> {
        loop {
            let editions = [1, 1, 2, 3, 4, 5][rng.random_range(0..6usize)];
            let spec = SyntheticSpec {
                users: rng.random_range(100..500),
                items: editions * rng.random_range(60..(600 / editions)),
                seed: rng.random_range(1_000_000..2_000_000_000),
                mean_length: f64::from(rng.random_range(7..20u32)),
                genres: rng.random_range(3..12),
                brands: rng.random_range(4..16),
                series_length: rng.random_range(3..10),
                editions,
                continue_series: 0.3 + 0.6 * rng.random_range(0.0..1.0),
                popular: 0.3 * rng.random_range(0.0..1.0),
            };
            // Of a few users with short histories nothing may be left.
            if let Some(world) = Self::of(spec)? {
                return Ok(world);
            }
        }
    }

    fn of(spec: SyntheticSpec) -> Result<Option<Self>, Error> {
        let spec = DatasetSpec::new(DatasetSource::Synthetic(spec));
        let Ok(dataset) = Dataset::load(&spec, Path::new(""), &Silent) else { return Ok(None) };
        let Ok(split) = Split::leave_one_out(&dataset) else { return Ok(None) };
        let titles: Vec<String> = dataset.items.into_iter().map(|item| item.title).collect();
        if titles.len() < LEAST_ITEMS {
            return Ok(None);
        }
        let bytes = tokenizer::train(&titles, LABELS, VOCABULARY)?;
        let tokenizer = Tokenizer::from_bytes("tokenizer.json", &bytes, None)?;
        Ok(Some(Self { titles, split, tokenizer }))
    }

    /// What asks about it.
    ///
    /// # Errors
    /// As [`Teacher::new`].
    pub fn teacher(&self) -> Result<Teacher<'_>, Error> {
        Teacher::new(&self.tokenizer, &self.titles, &self.split, (LABELS, HISTORY, TITLE_TOKENS))
    }
}

/// A world with the ids of all worlds.
struct Class<'a> {
    teacher: Teacher<'a>,
    roles: Roles,
    /// For each id of its tokenizer, the model's.
    ids: Vec<u32>,
}

/// Sizes of lists, in the order in which they are taught.
const SIZES: [usize; 8] = [2, 3, 4, 6, 8, 12, 16, 20];
/// Mean loss of a letter below which a size is known.
const KNOWN: f64 = 0.35;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Find,
    Echo,
    Prompt,
}

/// The course of many worlds: search in longer and longer lists, then prompts.
pub struct Worlds<'a> {
    classes: Vec<Class<'a>>,
    frame: BTreeMap<String, u32>,
    width: usize,
    size: usize,
    average: f64,
    seen: u32,
    kind: Kind,
}

impl<'a> Worlds<'a> {
    /// The course, and a model with roughly made heads.
    ///
    /// # Errors
    /// If there is no world, or as [`World::teacher`].
    pub fn new(worlds: &'a [World], geometry: Geometry, seed: Seed) -> Result<(Self, FullModel), Error> {
        let mut frame: BTreeMap<String, u32> = BTreeMap::new();
        let mut teachers = Vec::new();
        for world in worlds {
            let teacher = world.teacher()?;
            for token in teacher.frame().into_iter().filter_map(|id| world.tokenizer.id_to_token(id)) {
                let next = frame.len() as u32;
                frame.entry(token).or_insert(next);
            }
            teachers.push(teacher);
        }
        let classes: Vec<Class<'_>> =
            worlds.iter().zip(teachers).map(|(world, teacher)| class(world, teacher, &frame)).collect();
        let Some(first) = classes.first() else { return Err(Error::TooFewItems { items: 0 }) };
        let vocabulary = classes.iter().flat_map(|class| &class.ids).max().map_or(0, |id| *id as usize + 1);
        let (bos, eos) = (frame[tokenizer::BOS], frame[tokenizer::EOS]);
        let mut model = FullModel::zeros(&geometry.config(vocabulary, bos, eos));
        init::start(&mut model, &first.roles, seed);
        let width = model.config().hidden;
        let (size, average, seen, kind) = (0, f64::NAN, 0, Kind::Echo);
        Ok((Self { classes, frame, width, size, average, seen, kind }, model))
    }

    /// What the model has learnt of all worlds.
    #[must_use]
    pub fn start(&self, model: &FullModel) -> Start {
        Start::of(model, &self.frame)
    }
}

fn class<'a>(world: &World, teacher: Teacher<'a>, frame: &BTreeMap<String, u32>) -> Class<'a> {
    let mut next = frame.len() as u32;
    let all = 0..world.tokenizer.vocab_size() as u32;
    let ids: Vec<u32> = all
        .map(|id| {
            let framed = world.tokenizer.id_to_token(id).and_then(|token| frame.get(&token).copied());
            framed.unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    let roles = teacher.roles().renamed(|id| ids[id as usize]);
    Class { teacher, roles, ids }
}

impl Course for Worlds<'_> {
    fn next(&mut self, model: &mut FullModel, tokens: usize, rng: &mut Pcg64) -> Vec<Lesson> {
        let class = &self.classes[rng.random_range(0..self.classes.len())];
        let framed = self.frame.len() as u32;
        let rows = model.plan().slots[0].range();
        init::words(&mut model.weights[rows], self.width, &class.roles, &|id| id < framed, rng);
        let searching = self.size < SIZES.len();
        let kinds: &[Kind] = if searching {
            &[Kind::Find, Kind::Echo, Kind::Echo]
        } else {
            use Kind::{Echo, Find, Prompt};
            &[Find, Echo, Prompt, Prompt, Prompt, Prompt, Prompt, Prompt]
        };
        self.kind = kinds[rng.random_range(0..kinds.len())];
        let size =
            if searching { SIZES[self.size] } else { [20, 20, 20, 12, 6][rng.random_range(0..5usize)] };
        let kind = self.kind;
        let mut lessons = class.teacher.fill(tokens, |teacher| match kind {
            Kind::Find => teacher.find(size, (2 * size).min(20), rng),
            Kind::Echo => teacher.echo(size, rng),
            Kind::Prompt => teacher.prompt(size, Order::Any, rng),
        });
        for lesson in &mut lessons {
            for id in lesson.ids.iter_mut().chain(lesson.labels.iter_mut().flatten()) {
                *id = class.ids[*id as usize];
            }
        }
        lessons
    }

    fn keep(&self, gradient: &mut [f32]) {
        // The embedding stands first. Words keep what they drew.
        let vocabulary =
            self.classes.iter().flat_map(|class| &class.ids).max().map_or(0, |id| *id as usize + 1);
        gradient[self.frame.len() * self.width..vocabulary * self.width].fill(0.0);
    }

    fn heard(&mut self, loss: f64) {
        if self.size >= SIZES.len() || self.kind != Kind::Echo {
            return;
        }
        self.seen += 1;
        // Half of an echo's labels are end tokens, which are soon known.
        let own = 2.0 * loss;
        self.average = if self.average.is_nan() { own } else { 0.95 * self.average + 0.05 * own };
        if self.average < KNOWN && self.seen >= 20 {
            (self.size, self.average, self.seen) = (self.size + 1, f64::NAN, 0);
        }
    }

    fn level(&self) -> String {
        SIZES.get(self.size).map_or_else(|| "prompts".to_owned(), |size| format!("lists of {size}"))
    }
}
