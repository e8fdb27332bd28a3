//! How this process was called, without what is nobody's business.

use std::path::Path;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// The command line of this process as somebody would type it: of absolute paths only the last name, of secrets nothing.
#[must_use]
pub fn command_line() -> String {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let tokens =
        ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().filter_map(|name| std::env::var(name).ok());
    let tokens: Vec<String> = tokens.filter(|token| token.trim().len() >= 4).collect();
    shown_command(words, &tokens)
}

/// The same of other words, and the values that must not be shown.
#[must_use]
pub fn shown_command(words: impl IntoIterator<Item = String>, secrets: &[String]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for (at, word) in words.into_iter().enumerate() {
        let word: String = word.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let word = if at == 0 { last(&word) } else { argument(&word, secrets) };
        let plain = |c: char| c.is_alphanumeric() || "-_./=:,@+".contains(c);
        let quoted = word.is_empty() || !word.chars().all(plain);
        shown.push(if quoted { format!("'{}'", word.replace('\'', "'\\''")) } else { word });
    }
    shown.join(" ")
}

fn argument(word: &str, secrets: &[String]) -> String {
    if secrets.iter().any(|secret| word.contains(secret.trim())) || word.contains("hf_") {
        return HIDDEN.to_owned();
    }
    match word.split_once('=') {
        Some((name, value)) => {
            let private = ["token", "secret", "password", "api_key"];
            // A setting such as `ranker.title_tokens` counts tokens and is none.
            let is_number = value.trim().parse::<f64>().is_ok();
            let hidden = private.iter().any(|known| name.to_ascii_lowercase().contains(known)) && !is_number;
            format!("{}={}", path(name), if hidden { HIDDEN.to_owned() } else { path(value) })
        }
        None => path(word),
    }
}

/// An absolute path, or one of somebody's home, as its last name; an address without who asks.
fn path(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let host = rest.split('/').next().unwrap_or(rest);
        let Some((_, after)) = host.rsplit_once('@') else { return word.to_owned() };
        return format!("{scheme}://{after}{}", &rest[host.len()..]);
    }
    let bytes = word.trim_start_matches(['"', '\'']).as_bytes();
    let drive =
        bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && b"/\\".contains(&bytes[2]);
    let absolute = drive || bytes.first().is_some_and(|first| b"/\\~".contains(first));
    if absolute { last(word) } else { word.to_owned() }
}

fn last(path: &str) -> String {
    let path = path.trim_matches(['"', '\'']);
    let name = path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    let name = Path::new(name).file_name().map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| name != "~").unwrap_or_else(|| "(folder)".to_owned())
}
