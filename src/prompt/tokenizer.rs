//! The tokenizer of a backbone: `tokenizer.json` as its model was trained with.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::{Error, shown};
use super::guard::guarded;

/// End-of-text tokens of base models, for folders whose configuration names none.
const KNOWN_ENDS: &[&str] = &["</s>", "<|end_of_text|>", "<|endoftext|>", "<eos>"];

/// A tokenizer that adds nothing by itself and reads control tokens in a text as plain characters: a title that says `<s>`,
/// `<|eot_id|>` or `<think>` is text. (The reference would put the control token itself into the prompt.)
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    bos: Option<u32>,
    eos: Option<u32>,
    /// Whether `eos` is only a well-known name in the vocabulary, which no file calls the end.
    guessed: bool,
    vocab_size: usize,
    fingerprint: String,
    /// What [`super::seams::vocabulary_proof`] found; a walk over the vocabulary, done once.
    pub(super) vocabulary_proof: OnceLock<bool>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("path", &self.path).field("vocab_size", &self.vocab_size).finish()
    }
}

/// A text's ids in the parts between seams.
pub(super) struct Parts {
    /// The ids of each part.
    pub ids: Vec<Vec<u32>>,
    /// Whether every seam is one between words of the pre-tokenizer, which tokens never cross.
    pub between_words: bool,
}

impl Tokenizer {
    /// The tokenizer in the file `path`, with `tokenizer_config.json` and `special_tokens_map.json` beside it where they are.
    ///
    /// # Errors
    /// If the file is missing or is no tokenizer, or if the files beside it name tokens that it does not have.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let read = |path: PathBuf| match std::fs::read(&path) {
            Ok(bytes) => Ok(Some((path, bytes))),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { path, source }),
        };
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let beside = [
            read(path.with_file_name("tokenizer_config.json"))?,
            read(path.with_file_name("special_tokens_map.json"))?,
        ];
        let beside: Vec<_> =
            beside.iter().flatten().map(|(path, bytes)| (path.as_path(), &bytes[..])).collect();
        Self::read(path, &bytes, &beside)
    }

    /// A tokenizer that is in memory. `name` stands for its path in messages; `config` is a `tokenizer_config.json`.
    ///
    /// # Errors
    /// As [`Tokenizer::from_file`].
    pub fn from_bytes(name: &str, bytes: &[u8], config: Option<&[u8]>) -> Result<Self, Error> {
        let beside = Path::new(name).with_file_name("tokenizer_config.json");
        let beside: Vec<_> = config.iter().map(|config| (beside.as_path(), *config)).collect();
        Self::read(Path::new(name), bytes, &beside)
    }

    fn read(path: &Path, bytes: &[u8], beside: &[(&Path, &[u8])]) -> Result<Self, Error> {
        match guarded(|| Self::parse(path, bytes, beside)) {
            Ok(read) => read,
            Err(said) => Err(malformed(path, format!("the library of tokenizers gives up on it ({said})"))),
        }
    }

    fn parse(path: &Path, bytes: &[u8], beside: &[(&Path, &[u8])]) -> Result<Self, Error> {
        let malformed = |problem: String| malformed(path, problem);
        let mut inner =
            tokenizers::Tokenizer::from_bytes(bytes).map_err(|problem| malformed(problem.to_string()))?;
        if let tokenizers::ModelWrapper::BPE(model) = inner.get_model()
            && let Some(dropout) = model.dropout.filter(|&dropout| dropout > 0.0)
        {
            return Err(Error::Dropout { path: path.to_owned(), dropout: f64::from(dropout) });
        }
        inner.with_truncation(None).map_err(|problem| malformed(problem.to_string()))?;
        inner.with_padding(None);
        let largest =
            inner.get_vocab(true).into_values().max().ok_or_else(|| malformed("it has no token".into()))?;
        // Before special tokens are read as text: a template may name them only.
        let around = |added: bool| {
            inner.encode_fast("a", added).map(|encoding| encoding.get_ids().to_vec()).map_err(|problem| {
                Error::Encode { path: path.to_owned(), problem: problem.to_string(), text: shown("a") }
            })
        };
        let (plain, whole) = (around(false)?, around(true)?);
        let before = if plain.is_empty() {
            &[][..]
        } else {
            whole.windows(plain.len()).position(|window| window == plain).map_or(&[][..], |at| &whole[..at])
        };
        let bos = match before {
            [] => None,
            [one] => Some(*one),
            ids => return Err(Error::LongBeginning { path: path.to_owned(), ids: ids.to_vec() }),
        };
        // Qwen marks `<think>` and `<|fim_prefix|>` as not special; in a title they are text all the same. Runs of blanks and the
        // like, which some vocabularies add, stay tokens.
        let controls: Vec<_> = inner
            .get_added_tokens_decoder()
            .into_values()
            .filter(|token| !token.special && is_control(&token.content))
            .map(|token| token.special(true))
            .collect();
        inner.add_special_tokens(controls).map_err(|problem| malformed(problem.to_string()))?;
        inner.set_encode_special_tokens(true);
        let mut tokenizer = Self {
            inner,
            path: path.to_owned(),
            bos,
            eos: None,
            guessed: false,
            vocab_size: largest as usize + 1,
            fingerprint: hex::encode(Sha256::digest(bytes)),
            vocabulary_proof: OnceLock::new(),
        };
        tokenizer.configure(beside)?;
        Ok(tokenizer)
    }

    /// Take the end token, and where they rule it the beginning token, from the files beside the tokenizer.
    fn configure(&mut self, beside: &[(&Path, &[u8])]) -> Result<(), Error> {
        for &(path, bytes) in beside {
            let value: Value = serde_json::from_slice(bytes).map_err(|problem| Error::Malformed {
                path: path.to_owned(),
                problem: problem.to_string(),
                expected: "a JSON object that names special tokens",
            })?;
            let id = |key: &str, role| match token_of(&value, key) {
                None => Ok(None),
                Some(token) => match self.inner.token_to_id(token) {
                    Some(id) => Ok(Some(id)),
                    None => {
                        Err(Error::UnknownSpecial { path: path.to_owned(), role, token: token.to_owned() })
                    }
                },
            };
            if self.eos.is_none() {
                self.eos = id("eos_token", "end-of-text")?;
            }
            // Llama's and Gemma's classes build their post-processor from this flag, whatever tokenizer.json says.
            let class = value["tokenizer_class"].as_str().unwrap_or_default();
            if ["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer"]
                .iter()
                .any(|known| class.starts_with(known))
            {
                match value["add_bos_token"].as_bool() {
                    Some(true) if self.bos.is_none() => self.bos = id("bos_token", "beginning-of-text")?,
                    Some(false) => self.bos = None,
                    _ => {}
                }
            }
        }
        if self.eos.is_none() {
            self.eos = KNOWN_ENDS.iter().find_map(|token| self.inner.token_to_id(token));
            self.guessed = self.eos.is_some();
        }
        Ok(())
    }

    /// The same tokenizer with another end-of-text token, such as the one that config.json names.
    #[must_use]
    pub fn with_eos(mut self, id: u32) -> Self {
        self.eos = Some(id);
        self.guessed = false;
        self
    }

    /// Whether no file beside the tokenizer names the end-of-text token: there is none, or it was recognized by its name alone.
    /// What config.json says of it counts for more then.
    #[must_use]
    pub fn lacks_stated_eos(&self) -> bool {
        self.guessed || self.eos.is_none()
    }

    /// The ids of `text`, without special tokens.
    ///
    /// # Errors
    /// If the tokenizer has no token for a part of the text and no unknown token either.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.ask(text, || self.inner.encode_fast(text, false))?.get_ids().to_vec())
    }

    /// The text of `ids`, as the tokenizer's decoder writes it.
    ///
    /// # Errors
    /// If the decoder refuses them.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        self.ask("", || self.inner.decode(ids, false))
    }

    /// The ids of `text`, parted at the bytes `seams` (ascending), unless a token crosses one of them.
    pub(super) fn parts(&self, text: &str, seams: &[usize]) -> Result<Option<Parts>, Error> {
        let encoding = self.ask(text, || self.inner.encode(text, false))?;
        let (ids, offsets, words) = (encoding.get_ids(), encoding.get_offsets(), encoding.get_word_ids());
        let mut parts = Parts { ids: Vec::with_capacity(seams.len() + 1), between_words: true };
        let mut from = 0;
        for &seam in seams {
            let at = from
                + offsets[from..].iter().take_while(|(start, end)| *start < seam && *end <= seam).count();
            if at == 0 || at == ids.len() || offsets[at..].iter().any(|(start, _)| *start < seam) {
                return Ok(None);
            }
            parts.between_words &= words[at - 1] != words[at];
            parts.ids.push(ids[from..at].to_vec());
            from = at;
        }
        parts.ids.push(ids[from..].to_vec());
        Ok(Some(parts))
    }

    /// Every token as the vocabulary writes it, special ones aside.
    pub(super) fn pieces(&self) -> Vec<String> {
        self.inner.get_vocab(false).into_keys().collect()
    }

    /// What the library answers about `text`; its panics are refusals.
    fn ask<T>(&self, text: &str, question: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, Error> {
        let refused = |problem| Error::Encode { path: self.path.clone(), problem, text: shown(text) };
        guarded(question).map_err(refused)?.map_err(|problem| refused(problem.to_string()))
    }

    /// The token before every prompt, if this tokenizer has one.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// The token after every answer, if it is known.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// The token after every answer, without which nothing can be taught.
    ///
    /// # Errors
    /// [`Error::NoEnd`] if it is not known.
    pub fn required_eos(&self) -> Result<u32, Error> {
        self.eos.ok_or_else(|| Error::NoEnd { path: self.path.clone() })
    }

    /// One more than the largest id.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token of an id, as tokenizer.json spells it.
    #[must_use]
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token as the vocabulary writes it.
    #[must_use]
    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of tokenizer.json, in hex.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Whether an added token is written as a control token is: `<...>` or `[...]`.
fn is_control(token: &str) -> bool {
    let enclosed = |open, close| token.len() > 2 && token.starts_with(open) && token.ends_with(close);
    enclosed('<', '>') || enclosed('[', ']')
}

/// A token's text in a configuration: a string, or an object with its content.
fn token_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str().or_else(|| value[key]["content"].as_str())
}

/// Whether `tokenizer` can belong to a model of `model_vocab` embedding rows.
///
/// Models have more rows than tokens when they are padded to a round number (Qwen 2.5: 151,936 rows, 151,665 tokens). More than
/// an eighth above the tokens (and more than 1,024) is taken for another model's tokenizer.
///
/// # Errors
/// If an id has no row, or if there are far more rows than ids.
pub fn check_vocabulary(tokenizer: &Tokenizer, model_vocab: usize) -> Result<(), Error> {
    let tokens = tokenizer.vocab_size();
    if tokens > model_vocab {
        return Err(Error::VocabularyTooLarge {
            path: tokenizer.path.clone(),
            largest: (tokens - 1) as u32,
            model: model_vocab,
        });
    }
    if model_vocab - tokens > 1024.max(tokens / 8) {
        return Err(Error::VocabularyTooSmall { path: tokenizer.path.clone(), tokens, model: model_vocab });
    }
    Ok(())
}

fn malformed(path: &Path, problem: String) -> Error {
    Error::Malformed { path: path.to_owned(), problem, expected: "a tokenizer.json of Hugging Face" }
}
