//! Prompts as token ids.

use std::sync::Arc;

use rand::RngExt;

use super::assembly::Assembly;
use super::error::Error;
use super::samples::Sample;
use super::seams::{Fixed, Joining, SAMPLES, vocabulary_proof};
use super::template;
use super::titles::{TitleIds, Titles};
use super::tokenizer::Tokenizer;
use super::truncate::{Prompt, cut_left, cut_training_left};
use super::verbalizer::Verbalizer;
use crate::data::ItemId;
use crate::experiment::{OverlongPrompts, RankerSpec};
use crate::seed::Seed;

/// Makes prompts of items. Titles are tokenized once, where it is proven that this changes no id ([`Joining`]).
#[derive(Debug)]
pub struct Prompts {
    tokenizer: Arc<Tokenizer>,
    titles: Titles,
    assembly: Option<Assembly>,
    joining: Joining,
    /// Ids that training appends for each label.
    labels: Vec<u32>,
    history_items: usize,
    limit: usize,
    overlong: OverlongPrompts,
    loses_bos: bool,
}

impl Prompts {
    /// Prepare the prompts of items with these `titles` (index i is item i + 1) and of up to as many candidates as `verbalizer`
    /// has labels. `spec` gives the numbers of items and tokens.
    ///
    /// # Errors
    /// If a title is blank, if the tokenizer refuses a text, or if `max_prompt_tokens` leaves no room for titles.
    pub fn new<S: AsRef<str> + Sync>(
        tokenizer: impl Into<Arc<Tokenizer>>,
        titles: &[S],
        verbalizer: &Verbalizer,
        spec: &RankerSpec,
    ) -> Result<Self, Error> {
        let tokenizer = tokenizer.into();
        let titles = Titles::new(&tokenizer, titles, spec.title_tokens as usize)?;
        let mut prompts = Self {
            joining: Joining {
                joined: false,
                titles: titles.len(),
                unjoinable_titles: 0,
                prompts_checked: 0,
                vocabulary_proof: vocabulary_proof(&tokenizer),
                reason: None,
            },
            titles,
            assembly: None,
            labels: verbalizer.trained().to_vec(),
            tokenizer,
            history_items: spec.history_items as usize,
            limit: spec.max_prompt_tokens as usize,
            overlong: spec.overlong_prompts,
            loses_bos: spec.truncated_training_loses_bos,
        };
        prompts.check_room()?;
        prompts.join()?;
        Ok(prompts)
    }

    /// Refuse a limit that the fixed text alone exceeds: one item of history and all candidates, with empty titles, and
    /// what comes before and after.
    fn check_room(&self) -> Result<(), Error> {
        let candidates = self.labels.len();
        let text = template::text(&[""], &vec![""; candidates]);
        let needed = self.tokenizer.encode(&text)?.len() + usize::from(self.tokenizer.bos().is_some()) + 2;
        if needed >= self.limit {
            return Err(Error::NoRoom { limit: self.limit, candidates, needed });
        }
        Ok(())
    }

    /// Tokenize all titles and prove that joining them changes nothing; without proof, say why.
    fn join(&mut self) -> Result<(), Error> {
        let proof = self.joining.vocabulary_proof;
        let fixed = match Fixed::new(&self.tokenizer, self.history_items, self.labels.len(), proof)? {
            Ok(fixed) => fixed,
            Err(reason) => {
                self.joining.reason = Some(reason);
                return Ok(());
            }
        };
        let ids = TitleIds::new(&self.tokenizer, &fixed, &self.titles)?;
        self.joining.unjoinable_titles = ids.unjoinable;
        let assembly = Assembly { fixed, titles: ids };
        let mut rng = Seed::new(0).stream("prompt/joined-check");
        let mut draw = |most: usize| rng.random_range(0..most as u64) as usize;
        if self.titles.is_empty() {
            return Ok(());
        }
        for _ in 0..SAMPLES {
            let (h, c) = (1 + draw(self.history_items), 1 + draw(self.labels.len()));
            let history: Vec<usize> = (0..h).map(|_| draw(self.titles.len())).collect();
            let candidates: Vec<usize> = (0..c).map(|_| draw(self.titles.len())).collect();
            let mut joined = Vec::new();
            if assembly.append(history.iter().copied(), candidates.iter().copied(), &mut joined).is_none() {
                continue;
            }
            if joined != self.tokenizer.encode(&self.text(&history, &candidates))? {
                self.joining.reason = Some("a whole prompt has other ids than its joined parts".into());
                return Ok(());
            }
            self.joining.prompts_checked += 1;
        }
        self.joining.joined = true;
        self.assembly = Some(assembly);
        Ok(())
    }

    fn text(&self, history: &[usize], candidates: &[usize]) -> String {
        let shown = |items: &[usize]| items.iter().map(|&item| self.titles.shown(item)).collect::<Vec<_>>();
        template::text(&shown(history), &shown(candidates))
    }

    /// How ids of prompts come about, for the record.
    #[must_use]
    pub fn joining(&self) -> &Joining {
        &self.joining
    }

    /// The titles as they are shown.
    #[must_use]
    pub fn titles(&self) -> &Titles {
        &self.titles
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The prompt that shows the last items of `history` and the `candidates` in this order, up to the line break that the
    /// answer follows.
    ///
    /// # Errors
    /// For an item without a title, or for more candidates than labels.
    pub fn evaluation(&self, history: &[ItemId], candidates: &[ItemId]) -> Result<Prompt, Error> {
        let mut prompt = Prompt::default();
        self.evaluation_into(history, candidates, &mut prompt)?;
        Ok(prompt)
    }

    /// [`Prompts::evaluation`] into a prompt whose memory is used again.
    ///
    /// # Errors
    /// As [`Prompts::evaluation`].
    pub fn evaluation_into(
        &self,
        history: &[ItemId],
        candidates: &[ItemId],
        prompt: &mut Prompt,
    ) -> Result<(), Error> {
        self.body(history, candidates, 0, prompt)?;
        prompt.cut_tokens = cut_left(&mut prompt.ids, self.tokenizer.bos().is_some(), self.limit) as u32;
        Ok(())
    }

    /// The prompt of a training sample, with the answer's label and the end token as its last two ids.
    ///
    /// # Errors
    /// As [`Prompts::evaluation`]; and if the answer is no candidate, or if the tokenizer has no end token.
    pub fn training(&self, sample: &Sample<'_>) -> Result<Prompt, Error> {
        let mut prompt = Prompt::default();
        self.training_into(sample, &mut prompt)?;
        Ok(prompt)
    }

    /// [`Prompts::training`] into a prompt whose memory is used again.
    ///
    /// # Errors
    /// As [`Prompts::training`].
    pub fn training_into(&self, sample: &Sample<'_>, prompt: &mut Prompt) -> Result<(), Error> {
        let candidates = sample.candidates.len();
        if sample.answer >= candidates {
            return Err(Error::Answer { answer: sample.answer, candidates });
        }
        let eos = self.tokenizer.required_eos()?;
        self.body(sample.history, &sample.candidates, 2, prompt)?;
        prompt.ids.extend([self.labels[sample.answer], eos]);
        let has_bos = self.tokenizer.bos().is_some();
        prompt.cut_tokens = cut_training_left(&mut prompt.ids, has_bos, self.limit, self.loses_bos) as u32;
        Ok(())
    }

    /// The beginning token and the whole text, without as many old items as are to be dropped for `reserved` more tokens to
    /// fit.
    fn body(
        &self,
        history: &[ItemId],
        candidates: &[ItemId],
        reserved: usize,
        prompt: &mut Prompt,
    ) -> Result<(), Error> {
        if candidates.is_empty() || candidates.len() > self.labels.len() {
            return Err(Error::Candidates { found: candidates.len(), labels: self.labels.len() });
        }
        let mut history = &history[history.len().saturating_sub(self.history_items)..];
        let titles = self.titles.len();
        if let Some(item) = history.iter().chain(candidates).find(|item| item.index() >= titles) {
            return Err(Error::UnknownItem { item: item.get(), titles });
        }
        prompt.dropped_items = 0;
        loop {
            self.assemble(history, candidates, &mut prompt.ids)?;
            let fits = prompt.ids.len() + reserved <= self.limit;
            if fits || self.overlong == OverlongPrompts::CutLeft || history.len() <= 1 {
                return Ok(());
            }
            history = &history[1..];
            prompt.dropped_items += 1;
        }
    }

    /// Tokens of the longest prompt that users with these `sequences` of items can have before anything is cut, up to the line
    /// break that the answer follows: that with the history items in a row and with the candidates that have the most tokens.
    ///
    /// # Errors
    /// For an item without a title, or a text that the tokenizer refuses.
    pub fn longest(&self, sequences: &[Vec<ItemId>]) -> Result<usize, Error> {
        let titles = self.titles.len();
        let of = |item| Ok(self.tokenizer.encode(self.titles.shown(item))?.len());
        let lengths = (0..titles).map(of).collect::<Result<Vec<usize>, Error>>()?;
        /// Of a number and its line, about: a longer history of shorter titles may be the longer one.
        const LINE: usize = 5;
        let (mut most, mut history): (usize, &[ItemId]) = (0, &[]);
        for items in sequences {
            if let Some(item) = items.iter().find(|item| item.index() >= titles) {
                return Err(Error::UnknownItem { item: item.get(), titles });
            }
            for shown in items.windows(self.history_items.min(items.len()).max(1)) {
                let length = shown.iter().map(|item| lengths[item.index()] + LINE).sum();
                if length > most {
                    (most, history) = (length, shown);
                }
            }
        }
        let mut candidates: Vec<ItemId> = (1..=titles as u32).filter_map(ItemId::new).collect();
        candidates.sort_by_key(|item| std::cmp::Reverse(lengths[item.index()]));
        candidates.truncate(self.labels.len());
        let mut ids = Vec::new();
        self.assemble(history, &candidates, &mut ids)?;
        Ok(ids.len())
    }

    fn assemble(&self, history: &[ItemId], candidates: &[ItemId], out: &mut Vec<u32>) -> Result<(), Error> {
        let indices = |items: &'_ [ItemId]| items.iter().map(|item| item.index()).collect::<Vec<_>>();
        out.clear();
        out.extend(self.tokenizer.bos());
        if let Some(assembly) = &self.assembly {
            let index = |item: &ItemId| item.index();
            if assembly.append(history.iter().map(index), candidates.iter().map(index), out).is_some() {
                return Ok(());
            }
            out.truncate(usize::from(self.tokenizer.bos().is_some()));
        }
        out.extend(self.tokenizer.encode(&self.text(&indices(history), &indices(candidates)))?);
        Ok(())
    }
}
