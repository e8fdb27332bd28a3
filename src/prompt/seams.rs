//! Where the text of a prompt may be parted, and the proof that parting changes no id.
//!
//! Joined ids equal the ids of the joined text if no token crosses a seam and if what stands beyond a seam does not change
//! how the near side is tokenized. For each title with each ending, and for each label, the segment is tokenized between
//! its real neighbours, and three things are checked:
//!
//! 1. Every seam is a token's end.
//! 2. Every seam is the end of a word of the pre-tokenizer (words are tokenized apart), or else no token of the whole
//!    vocabulary holds the characters on both sides of a seam (merges then happen on either side alone).
//! 3. The neighbours get the ids that they have beside any other title.
//!
//! A title that fails is marked, and prompts with it are tokenized whole. If a label or the fixed text fails, or if one of
//! [`SAMPLES`] random prompts differs, all are.

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::template::{self, Ending};
use super::tokenizer::Tokenizer;

/// Random prompts that are tokenized both ways before joining is trusted.
pub(super) const SAMPLES: usize = 32;

/// How prompts get their ids, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joining {
    /// Whether ids of titles are joined; otherwise every prompt is tokenized whole.
    pub joined: bool,
    /// How many titles there are.
    pub titles: usize,
    /// Titles that cannot be joined; prompts with one of them are tokenized whole.
    pub unjoinable_titles: usize,
    /// Whole prompts that were tokenized both ways and agreed.
    pub prompts_checked: usize,
    /// Whether no token of the vocabulary can cross a seam, whatever the title.
    pub vocabulary_proof: bool,
    /// Why nothing is joined, if so.
    pub reason: Option<String>,
}

/// Whether no token of the vocabulary can cross a seam. Vocabularies write blanks and line breaks in several ways.
pub(super) fn vocabulary_proof(tokenizer: &Tokenizer) -> bool {
    let safe = |piece: &String| {
        let text = piece.replace(['\u{2581}', '\u{120}'], " ").replace('\u{10a}', "\n");
        // After a line break and a blank comes `(` or the C of "Candidate"; Llama 3 has tokens of longer blanks there.
        let crosses =
            [") ", "\n#", "\n (", "\n C"].iter().any(|seam| text.contains(seam)) || text.ends_with("\n ");
        // Bytes as tokens do not merge in any known tokenizer.
        let bytes = ["<0x0A>", "<0x20>"].iter().any(|byte| piece.contains(byte) && piece != byte);
        !crosses && !bytes
    };
    *tokenizer.vocabulary_proof.get_or_init(|| tokenizer.pieces().iter().all(safe))
}

/// The ids of everything that is no title.
#[derive(Debug)]
pub(super) struct Fixed {
    /// From the instruction to the first item's label.
    pub opening: Vec<u32>,
    /// Labels of history items, the first one empty: it is part of the opening.
    pub numbers: Vec<Vec<u32>>,
    /// From the line after the history to the first candidate's label.
    pub middle: Vec<u32>,
    /// Labels of candidates, the first one empty: it is part of the middle.
    pub letters: Vec<Vec<u32>>,
    /// The last lines.
    pub closing: Vec<u32>,
    /// The neighbours of titles and their ids.
    frames: [Frame; 3],
    proof: bool,
}

/// What stands around a title while it is tokenized.
#[derive(Debug)]
struct Frame {
    ending: Ending,
    before: Vec<u32>,
    after_text: String,
    after: Vec<u32>,
}

/// A title between labels.
const PLAIN: &str = "Plain";
/// The label before a title while it is tokenized.
const BEFORE: &str = "(1)";

impl Fixed {
    /// The ids of the fixed text for `history_items` and `candidates`, or why they cannot be told apart.
    pub(super) fn new(
        tokenizer: &Tokenizer,
        history_items: usize,
        candidates: usize,
        proof: bool,
    ) -> Result<Result<Self, String>, Error> {
        let follows = |ending| match ending {
            Ending::Separator => template::number(1),
            Ending::History => template::MIDDLE.to_owned(),
            Ending::Candidates => template::CLOSING.to_owned(),
        };
        // A label between the line break before it and the title after it.
        let label = |text: &str| parted(tokenizer, proof, &["\n", text, " Plain"]);
        let mut frames = Vec::with_capacity(3);
        for ending in Ending::ALL {
            let after_text = follows(ending);
            let segment = template::segment(PLAIN, ending);
            match parted(tokenizer, proof, &[BEFORE, &segment, &after_text])? {
                Some([before, _, after]) => frames.push(Frame { ending, before, after_text, after }),
                None => return Ok(Err(format!("a token crosses the text around {segment:?}"))),
            }
        }
        let Ok(frames) = <[Frame; 3]>::try_from(frames) else { unreachable!("three endings") };
        let opening = template::opening(true);
        let Some([_, opening, _]) = parted(tokenizer, proof, &["", &opening, " Plain"])? else {
            return Ok(Err("a token crosses the end of the opening".into()));
        };
        let labels =
            |count: usize, text: &dyn Fn(usize) -> String| -> Result<Result<Vec<Vec<u32>>, String>, Error> {
                let mut all = vec![Vec::new()];
                for i in 1..count {
                    match label(&text(i))? {
                        Some([_, ids, _]) => all.push(ids),
                        None => return Ok(Err(format!("a token crosses an end of the label {:?}", text(i)))),
                    }
                }
                Ok(Ok(all))
            };
        let numbers = match labels(history_items, &template::number)? {
            Ok(numbers) => numbers,
            Err(reason) => return Ok(Err(reason)),
        };
        let letters = match labels(candidates, &template::letter)? {
            Ok(letters) => letters,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some([_, middle, _]) = label(template::MIDDLE)? else {
            return Ok(Err("a token crosses an end of the text between history and candidates".into()));
        };
        let closing = frames[2].after.clone();
        Ok(Ok(Self { opening, numbers, middle, letters, closing, frames, proof }))
    }

    /// The ids of a title with each of the three endings, unless it cannot be parted from its neighbours.
    pub(super) fn title(&self, tokenizer: &Tokenizer, title: &str) -> Result<Option<[Vec<u32>; 3]>, Error> {
        let mut ids = [const { Vec::new() }; 3];
        for (frame, ids) in self.frames.iter().zip(&mut ids) {
            let segment = template::segment(title, frame.ending);
            match parted(tokenizer, self.proof, &[BEFORE, &segment, &frame.after_text])? {
                Some([before, own, after]) if before == frame.before && after == frame.after => *ids = own,
                _ => return Ok(None),
            }
        }
        Ok(Some(ids))
    }
}

/// The ids of three texts in a row, unless a token crosses from one to the next or might beside other neighbours.
fn parted(tokenizer: &Tokenizer, proof: bool, texts: &[&str; 3]) -> Result<Option<[Vec<u32>; 3]>, Error> {
    let whole = texts.concat();
    let first = texts[0].len();
    let second = first + texts[1].len();
    let seams: &[usize] = if first == 0 { &[second] } else { &[first, second] };
    let Some(mut parts) = tokenizer.parts(&whole, seams)? else { return Ok(None) };
    if !(proof || parts.between_words) {
        return Ok(None);
    }
    if first == 0 {
        parts.ids.insert(0, Vec::new());
    }
    Ok(<[Vec<u32>; 3]>::try_from(parts.ids).ok())
}
