//! What a built-in backbone is taught about one catalogue.

use rand::RngExt;
use rand_pcg::Pcg64;

use super::lessons::{Lesson, Order, Teacher};
use super::train::Course;
use crate::backbone::decoder::FullModel;

/// Prompts of the ranker about training items, whose right candidate rather stands at the front, as a retriever has it, and now and then one that asks for the last title again, so that what is known
/// stays in use.
pub struct Catalogue<'a> {
    /// Makes the lessons.
    pub teacher: &'a Teacher<'a>,
}

/// One in so many steps asks for the last title again.
const ECHOES: u32 = 10;

impl Course for Catalogue<'_> {
    fn next(&mut self, _model: &mut FullModel, tokens: usize, rng: &mut Pcg64) -> Vec<Lesson> {
        let size = self.teacher.labels();
        let echo = rng.random_range(0..ECHOES) == 0;
        self.teacher.fill(tokens, |teacher| {
            if echo { teacher.echo(size, rng) } else { teacher.prompt(size, Order::LikelyFirst, rng) }
        })
    }

    fn level(&self) -> String {
        "prompts".to_owned()
    }
}
