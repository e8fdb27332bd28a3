//! What a language model is shown: prompts, the letters that it answers with, and the samples that teach it.
//!
//! Section 4 of the protocol, as data: [`template`] is the text, [`Titles`] cuts and tokenizes every title once,
//! [`Prompts`] puts ids together and cuts what is too long, [`Verbalizer`] says which id is which letter and proves that
//! the id that is read is the id that is trained, [`samples`] draws candidates. Nothing here knows a model.

mod assembly;
mod error;
mod guard;
mod prompts;
pub mod samples;
mod seams;
pub mod template;
mod titles;
mod tokenizer;
mod truncate;
mod verbalizer;

pub use error::Error;
pub use prompts::Prompts;
pub use samples::{Sample, TrainingSamples};
pub use seams::Joining;
pub use titles::Titles;
pub use tokenizer::{Tokenizer, check_vocabulary};
pub use truncate::{Prompt, Truncation};
pub use verbalizer::{Audit, LabelIds, Verbalizer};
