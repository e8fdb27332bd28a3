//! Where models are kept and whom to ask: the variables that `huggingface_hub` reads.

use std::fmt;
use std::path::PathBuf;

use crate::backbone::Error;
use crate::fetch;

/// The hub where no variable names another.
const ENDPOINT: &str = "https://huggingface.co";

/// A token of the hub. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The token in `text`, without the white space around it; none where there is nothing else.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Whether it stands in `bytes`. What is too short to be a token stands everywhere, and counts as nowhere.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.len() >= 8 && bytes.windows(self.0.len()).any(|window| window == self.0.as_bytes())
    }

    /// What the header `Authorization` holds.
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

/// Where models are kept, and how the hub is asked.
#[derive(Debug, Clone)]
pub struct Hub {
    /// The folder of the cache, with `models--ORGANISATION--NAME/{blobs,refs,snapshots}`.
    pub cache: PathBuf,
    /// The address of the hub, without a slash at its end.
    pub endpoint: String,
    /// Who asks; none for what is public.
    pub token: Option<Token>,
    /// Whether nobody may be asked.
    pub offline: bool,
    /// Patience.
    pub options: fetch::Options,
}

impl Hub {
    /// As the environment says: `HF_HUB_CACHE`, `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`, and the
    /// older names of these.
    ///
    /// # Errors
    /// When `HF_ENDPOINT` is no address that may be asked.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`Hub::from_env`], with another environment.
    ///
    /// # Errors
    /// As [`Hub::from_env`].
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| get(name));
        let yes = |name: &str| {
            get(name).is_some_and(|value| {
                ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
            })
        };
        let user = || get("HOME").or_else(|| get("USERPROFILE")).map_or_else(PathBuf::new, PathBuf::from);
        let path = |text: String| match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                user().join(rest.trim_start_matches('/'))
            }
            _ => PathBuf::from(text),
        };
        let home = get("HF_HOME").map(path).unwrap_or_else(|| {
            get("XDG_CACHE_HOME").map_or_else(|| user().join(".cache"), path).join("huggingface")
        });
        let cache = first(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).map_or_else(|| home.join("hub"), path);
        let endpoint = get("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        fetch::check_base(&endpoint).map_err(|problem| Error::Endpoint { problem })?;
        let saved = || {
            let path = get("HF_TOKEN_PATH").map_or_else(|| home.join("token"), path);
            // A token that cannot be read is as good as none; who needs one is told how to set it.
            std::fs::read_to_string(path).ok().filter(|_| !yes("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        };
        let token =
            first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).or_else(saved).and_then(|text| Token::new(&text));
        let offline = yes("HF_HUB_OFFLINE") || yes("TRANSFORMERS_OFFLINE");
        Ok(Self { cache, endpoint, token, offline, options: fetch::Options::default() })
    }
}

/// A path with the home folder in place of a tilde, as a shell would have it.
pub(super) fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}
