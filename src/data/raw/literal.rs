//! One entry of an Amazon meta file: a Python dict literal or a JSON object, of which only two strings are wanted.
//!
//! The reference hands each line to Python's `eval`. This reader knows literals only (strings, numbers, `None`, `True`,
//! `False`, `null`, `true`, `false`, dicts, lists, tuples, sets), skips what is not wanted without storing it, and bounds the
//! nesting, so a hostile line costs an error and nothing else.

/// What is wanted of an entry. The bytes are UTF-8 if the line is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Value of the key `asin`, if it is a string.
    pub(crate) asin: Option<Vec<u8>>,
    /// Value of the key `title`, if it is a string.
    pub(crate) title: Option<Vec<u8>>,
}

/// What is wrong with a line, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// 1-based.
    pub(crate) byte: usize,
    pub(crate) problem: &'static str,
}

/// Real entries nest three deep.
const MAX_DEPTH: u32 = 64;

/// Read one line. As in both languages, the last of several equal keys counts.
pub(crate) fn entry(line: &[u8]) -> Result<Entry, Malformed> {
    let mut cursor = Cursor { line, at: 0, json: false };
    cursor.blanks();
    cursor.expect(b'{', "expected {")?;
    cursor.blanks();
    // Python's repr never puts the keys of these files into double quotes, JSON always does. Only escapes differ.
    cursor.json = cursor.peek() == Some(b'"');
    let mut entry = Entry::default();
    let mut text = Vec::new();
    while !cursor.closes(b'}') {
        text.clear();
        if cursor.at_string() {
            cursor.string(Some(&mut text))?;
        } else {
            cursor.value(MAX_DEPTH)?;
        }
        cursor.blanks();
        cursor.expect(b':', "expected : after a key")?;
        cursor.blanks();
        let wanted = match text.as_slice() {
            b"asin" => Some(&mut entry.asin),
            b"title" => Some(&mut entry.title),
            _ => None,
        };
        match wanted {
            Some(slot) if cursor.at_string() => {
                let mut value = Vec::new();
                cursor.string(Some(&mut value))?;
                *slot = Some(value);
            }
            Some(slot) => {
                cursor.value(MAX_DEPTH)?;
                *slot = None;
            }
            None => cursor.value(MAX_DEPTH)?,
        }
        cursor.separator(b'}')?;
    }
    cursor.at += 1;
    cursor.blanks();
    if cursor.at < line.len() { Err(cursor.problem("expected nothing after the entry")) } else { Ok(entry) }
}

struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
    json: bool,
}

impl Cursor<'_> {
    fn problem(&self, problem: &'static str) -> Malformed {
        Malformed { byte: self.at + 1, problem }
    }

    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.problem(problem));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether the closing bracket is next; it is not taken.
    fn closes(&mut self, close: u8) -> bool {
        self.blanks();
        self.peek() == Some(close)
    }

    /// A comma, or the closing bracket, which is not taken.
    fn separator(&mut self, close: u8) -> Result<(), Malformed> {
        self.blanks();
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(byte) if byte == close => {}
            _ => return Err(self.problem("expected , or the closing bracket")),
        }
        Ok(())
    }

    /// Whether a string is next: a quote, or u or b and a quote.
    fn at_string(&self) -> bool {
        match self.peek() {
            Some(b'\'' | b'"') => true,
            Some(b'u' | b'U' | b'b' | b'B') => matches!(self.line.get(self.at + 1), Some(b'\'' | b'"')),
            _ => false,
        }
    }

    /// Skip one value, at most `depth` brackets deep.
    fn value(&mut self, depth: u32) -> Result<(), Malformed> {
        match self.peek() {
            _ if self.at_string() => self.string(None),
            Some(open @ (b'{' | b'[' | b'(')) => {
                let Some(depth) = depth.checked_sub(1) else {
                    return Err(self.problem("brackets are nested too deeply"));
                };
                self.at += 1;
                let close = if open == b'(' { b')' } else { open + 2 };
                while !self.closes(close) {
                    self.value(depth)?;
                    self.blanks();
                    if open == b'{' && self.peek() == Some(b':') {
                        self.at += 1;
                        self.blanks();
                        self.value(depth)?;
                    }
                    self.separator(close)?;
                }
                self.at += 1;
                Ok(())
            }
            _ => self.word(),
        }
    }

    /// A number or a name of a constant.
    fn word(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)) {
            self.at += 1;
        }
        let word = &self.line[start..self.at];
        let constant = [&b"None"[..], b"True", b"False", b"null", b"true", b"false", b"NaN", b"nan", b"inf"];
        let numeric =
            word.iter().any(u8::is_ascii_digit) && matches!(word[0], b'0'..=b'9' | b'+' | b'-' | b'.');
        if numeric || constant.contains(&word) {
            return Ok(());
        }
        self.at = start;
        Err(self.problem("expected a value"))
    }

    /// A quoted string; its text goes to `into` if it is wanted.
    fn string(&mut self, mut into: Option<&mut Vec<u8>>) -> Result<(), Malformed> {
        if !matches!(self.peek(), Some(b'\'' | b'"')) {
            self.at += 1;
        }
        let opening = self.at;
        let quote = self.line[opening];
        self.at += 1;
        loop {
            let start = self.at;
            let rest = &self.line[start..];
            let Some(length) = rest.iter().position(|&byte| byte == quote || byte == b'\\') else {
                self.at = opening;
                return Err(self.problem("a string starts here and is never closed"));
            };
            if let Some(text) = into.as_deref_mut() {
                text.extend_from_slice(&rest[..length]);
            }
            self.at += length + 1;
            if rest[length] == quote {
                return Ok(());
            }
            let character = self.escape()?;
            if let Some(text) = into.as_deref_mut() {
                match character {
                    Escape::Char(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    Escape::Kept(byte) => text.extend_from_slice(&[b'\\', byte]),
                }
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<Escape, Malformed> {
        let Some(byte) = self.peek() else { return Err(self.problem("expected an escape after \\")) };
        self.at += 1;
        let simple = match byte {
            b'\'' | b'"' | b'\\' => char::from(byte),
            b'/' if self.json => '/',
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'a' if !self.json => '\u{7}',
            b'v' if !self.json => '\u{b}',
            b'0'..=b'7' if !self.json => return Ok(Escape::Char(self.octal(byte))),
            b'x' if !self.json => return Ok(Escape::Char(scalar(self.hex(2)?))),
            b'u' => return Ok(Escape::Char(self.utf16()?)),
            b'U' if !self.json => return Ok(Escape::Char(scalar(self.hex(8)?))),
            // Python keeps the backslash of an escape that it does not know.
            byte if byte.is_ascii() => return Ok(Escape::Kept(byte)),
            _ => {
                self.at -= 1;
                return Err(self.problem("expected an ASCII escape after \\"));
            }
        };
        Ok(Escape::Char(simple))
    }

    fn octal(&mut self, first: u8) -> char {
        let mut value = u32::from(first - b'0');
        for _ in 0..2 {
            match self.peek() {
                Some(digit @ b'0'..=b'7') => value = value * 8 + u32::from(digit - b'0'),
                _ => break,
            }
            self.at += 1;
        }
        scalar(value)
    }

    fn hex(&mut self, digits: usize) -> Result<u32, Malformed> {
        let mut value = 0u32;
        for _ in 0..digits {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.problem("expected a hexadecimal digit")) };
            value = value.wrapping_mul(16).wrapping_add(digit);
            self.at += 1;
        }
        Ok(value)
    }

    /// `\uXXXX`, or two of them that are halves of one character.
    fn utf16(&mut self) -> Result<char, Malformed> {
        let high = self.hex(4)?;
        if (0xd800..0xdc00).contains(&high) && self.line[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex(4)?;
            if (0xdc00..0xe000).contains(&low) {
                return Ok(scalar(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)));
            }
            self.at = back;
        }
        Ok(scalar(high))
    }
}

enum Escape {
    Char(char),
    /// A backslash and this byte, both kept.
    Kept(u8),
}

/// Half a surrogate pair, and numbers beyond Unicode, become U+FFFD: Rust strings cannot hold them.
fn scalar(value: u32) -> char {
    char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)
}
