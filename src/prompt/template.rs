//! The text of a prompt, word for word (protocol, section 4).
//!
//! The text is a chain of segments. A title's segment begins with the blank after its label and ends with the line break
//! after it, so a prompt is `opening title label title ... middle title label title ... closing`. Both kinds of seam (`)` before
//! a blank, a line break before a blank or `#`) are where tokenizers part words anyway; [`super::Joining`] checks that.

/// What the model is told to do.
pub const INSTRUCTION: &str = "Given user history in chronological order, recommend an item from the candidate pool with its index letter.";

/// The last lines, after the empty line that ends the candidates.
pub const CLOSING: &str = "### Response:\n";

/// Labels of candidates: A to Z, then AA to ZZ.
pub const MOST_LABELS: usize = 26 + 26 * 26;

/// The label of the candidate at `index`, from 0: `A` to `Z`, then `AA` to `ZZ`.
///
/// The reference has 20 candidates and knows single letters only; longer labels go on as the columns of a spreadsheet.
///
/// # Panics
/// From [`MOST_LABELS`] on.
#[must_use]
pub fn label(index: usize) -> String {
    const LETTERS: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    assert!(index < MOST_LABELS, "label {index} of {MOST_LABELS}");
    let letter = |at: usize| char::from(LETTERS[at]);
    match index.checked_sub(26) {
        None => letter(index).to_string(),
        Some(rest) => [letter(rest / 26), letter(rest % 26)].iter().collect(),
    }
}

/// What follows a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Another title of the same list.
    Separator,
    /// The end of the history.
    History,
    /// The end of the candidates.
    Candidates,
}

impl Ending {
    pub(super) const ALL: [Self; 3] = [Self::Separator, Self::History, Self::Candidates];

    /// The text up to its line break.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Separator => " \n",
            Self::History => "; \n",
            Self::Candidates => "\n\n",
        }
    }
}

/// Everything before the first title: the opening and the label of the first item.
pub(super) fn opening(with_history: bool) -> String {
    let first = if with_history { "(1)" } else { "" };
    format!("### Instruction:\n{INSTRUCTION}\n\n### Input:\nUser history: {first}")
}

/// The label of a history item, from 0, with the blank before it.
pub(super) fn number(index: usize) -> String {
    format!(" ({})", index + 1)
}

/// The label of a candidate, with the blank before it.
pub(super) fn letter(index: usize) -> String {
    format!(" ({})", label(index))
}

/// What stands between the line break after the history and the first candidate's title.
pub(super) const MIDDLE: &str = " Candidate pool: (A)";

/// The segment of a title: the blank after its label, the title, its ending.
pub(super) fn segment(title: &str, ending: Ending) -> String {
    format!(" {title}{}", ending.text())
}

/// The whole prompt up to the line break that the answer follows, without the beginning-of-text token.
///
/// `history` and `candidates` are titles as they are shown, already cut.
#[must_use]
pub fn text<S: AsRef<str>>(history: &[S], candidates: &[S]) -> String {
    let mut text = opening(!history.is_empty());
    for (i, title) in history.iter().enumerate() {
        if i > 0 {
            text.push_str(&number(i));
        }
        let last = i + 1 == history.len();
        text.push_str(&segment(title.as_ref(), if last { Ending::History } else { Ending::Separator }));
    }
    if history.is_empty() {
        text.push_str(Ending::History.text());
    }
    for (i, title) in candidates.iter().enumerate() {
        text.push_str(&if i == 0 { MIDDLE.to_owned() } else { letter(i) });
        let last = i + 1 == candidates.len();
        text.push_str(&segment(title.as_ref(), if last { Ending::Candidates } else { Ending::Separator }));
    }
    text.push_str(CLOSING);
    text
}
