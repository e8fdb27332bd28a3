//! What is nobody's business: tokens, the home folder, the name of the user, the folder where somebody works.

use super::Error;
use crate::backbone::Token;

/// Values that may not leave this machine. They are shown nowhere.
#[derive(Clone, Default)]
pub struct Privacy {
    /// Folders with what stands for them, the longest first.
    folders: Vec<(String, &'static str)>,
    token: Option<Token>,
}

impl Privacy {
    /// Folders that are written otherwise, and a token that must not be in anything.
    #[must_use]
    pub fn new(folders: impl IntoIterator<Item = (String, &'static str)>, token: Option<Token>) -> Self {
        let mut folders: Vec<(String, &'static str)> = folders
            .into_iter()
            .map(|(folder, name)| (folder.trim_end_matches(['/', '\\']).to_owned(), name))
            // `/` or `C:` is in everything.
            .filter(|(folder, _)| folder.len() > 2)
            .collect();
        folders.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        folders.dedup();
        Self { folders, token }
    }

    /// As this process finds it: the home folder becomes `~`, the working folder `.`, and the token is the hub's.
    #[must_use]
    pub fn here() -> Self {
        let mut folders = Vec::new();
        for (folder, name) in [(std::env::home_dir(), "~"), (std::env::current_dir().ok(), ".")] {
            let Some(folder) = folder else { continue };
            folders
                .extend(folder.canonicalize().ok().map(|real| (real.to_string_lossy().into_owned(), name)));
            folders.push((folder.to_string_lossy().into_owned(), name));
        }
        let token = crate::backbone::Hub::from_env().ok().and_then(|hub| hub.token);
        Self::new(folders, token)
    }

    /// Text without private folders; `None` if it has none. What is no text is left alone.
    #[must_use]
    pub fn without(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut clean = text.to_owned();
        for (folder, name) in &self.folders {
            clean = replaced(&clean, folder, name);
            // As JSON has it on systems whose paths have backslashes.
            clean = replaced(&clean, &folder.replace('\\', "\\\\"), name);
        }
        for homes in ["/home/", "/Users/", "\\Users\\", "\\\\Users\\\\"] {
            clean = without_users(&clean, homes);
        }
        (clean != text).then(|| clean.into_bytes())
    }

    /// Refuse a file that has something private all the same.
    ///
    /// # Errors
    /// [`Error::Private`] with what was found, never with its value.
    pub fn refuse(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let private = |what| Err(Error::Private { name: name.to_owned(), what });
        if self.token.as_ref().is_some_and(|token| token.is_in(bytes) || token.is_in(name.as_bytes())) {
            return private(
                "it has the token of the hub (HF_TOKEN) in it; remove it there, and make a new token",
            );
        }
        if looks_like_token(bytes) {
            return private(
                "it has something in it that looks like a token of the hub (hf_...); remove it there",
            );
        }
        let folder = |folder: &str| {
            find(bytes, folder.as_bytes(), 0).is_some()
                || find(name.as_bytes(), folder.as_bytes(), 0).is_some()
        };
        if self.folders.iter().any(|(path, _)| folder(path)) {
            return private(
                "it names the home folder or the working folder of whoever made it; take a path without them",
            );
        }
        Ok(())
    }
}

/// Where `wanted` begins as a whole path: not in the middle of a name, and not as the end of a tag such as `</root>`.
fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let windows = text.get(from..)?.windows(wanted.len());
    windows.enumerate().filter(|(_, found)| *found == wanted).map(|(at, _)| at + from).find(|&at| {
        let before = at.checked_sub(1).map(|before| text[before]);
        let after = text.get(at + wanted.len());
        !before.is_some_and(|byte| in_name(byte) || byte == b'<' || byte == b'.')
            && !after.is_some_and(|byte| in_name(*byte))
    })
}

fn replaced(text: &str, folder: &str, name: &str) -> String {
    let (mut clean, mut from) = (String::with_capacity(text.len()), 0);
    // Of the same length in bytes and made of whole characters on both sides.
    while let Some(at) = find(text.as_bytes(), folder.as_bytes(), from) {
        clean.push_str(&text[from..at]);
        clean.push_str(name);
        from = at + folder.len();
    }
    clean.push_str(&text[from..]);
    clean
}

/// `/home/somebody` as `~`, whoever that is.
fn without_users(text: &str, homes: &str) -> String {
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(homes) {
        let name = &rest[at + homes.len()..];
        let end = name.find(|c: char| !c.is_alphanumeric() && !"._-".contains(c)).unwrap_or(name.len());
        let before = rest[..at].chars().next_back();
        let whole =
            !before.is_some_and(|c| c.is_alphanumeric() || "._-~".contains(c)) || homes.contains('\\');
        if whole && end > 0 {
            clean.push_str(&rest[..at]);
            clean.push('~');
        } else {
            clean.push_str(&rest[..at + homes.len() + end]);
        }
        rest = &name[end..];
    }
    clean.push_str(rest);
    clean
}

/// `hf_` and at least 20 letters and digits.
fn looks_like_token(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"hf_";
    let starts = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    starts.into_iter().any(|(at, _)| {
        let rest = &bytes[at + MARK.len()..];
        let before = at.checked_sub(1).map(|before| bytes[before]);
        rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count() >= 20
            && !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}
