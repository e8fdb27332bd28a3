//! Words for LaTeX.

/// `text` as LaTeX prints it, with T1 fonts and no package. Letters of Latin scripts stay as they are; signs that papers use
/// become their commands; what the fonts do not have becomes its code point, `[U+4E00]`, so that any title compiles.
pub(super) fn escape(text: &str) -> String {
    text.chars().map(character).collect()
}

fn character(character: char) -> String {
    let command = match character {
        '\\' => r"\textbackslash{}",
        '{' => r"\{",
        '}' => r"\}",
        '$' => r"\$",
        '&' => r"\&",
        '#' => r"\#",
        '%' => r"\%",
        '_' => r"\_",
        '^' => r"\textasciicircum{}",
        '~' => r"\textasciitilde{}",
        '<' => r"\textless{}",
        '>' => r"\textgreater{}",
        '|' => r"\textbar{}",
        '"' => r"\textquotedbl{}",
        '\'' => r"\textquotesingle{}",
        '`' => r"\textasciigrave{}",
        // Braces keep two of them from becoming a dash, and one at the start of a row from being an optional argument.
        '-' => "{-}",
        '[' => "{[}",
        ']' => "{]}",
        '*' => "{*}",
        ',' => ",{}",
        '\u{A0}' => "~",
        '–' => "--",
        '—' => "---",
        '‘' => r"\textquoteleft{}",
        '’' => r"\textquoteright{}",
        '“' => r"\textquotedblleft{}",
        '”' => r"\textquotedblright{}",
        '…' => r"\dots{}",
        '†' => r"\ensuremath{\dagger}",
        '‡' => r"\ensuremath{\ddagger}",
        '±' => r"\ensuremath{\pm}",
        '−' => r"\ensuremath{-}",
        '×' => r"\ensuremath{\times}",
        '·' => r"\ensuremath{\cdot}",
        '≤' => r"\ensuremath{\leq}",
        '≥' => r"\ensuremath{\geq}",
        '≠' => r"\ensuremath{\neq}",
        '≈' => r"\ensuremath{\approx}",
        '→' => r"\ensuremath{\rightarrow}",
        '←' => r"\ensuremath{\leftarrow}",
        '↑' => r"\ensuremath{\uparrow}",
        '↓' => r"\ensuremath{\downarrow}",
        '∞' => r"\ensuremath{\infty}",
        '√' => r"\ensuremath{\surd}",
        '∈' => r"\ensuremath{\in}",
        '∅' => r"\ensuremath{\emptyset}",
        '°' => r"\ensuremath{^\circ}",
        'µ' | 'μ' => r"\ensuremath{\mu}",
        '²' => r"\textsuperscript{2}",
        '³' => r"\textsuperscript{3}",
        'α' => r"\ensuremath{\alpha}",
        'β' => r"\ensuremath{\beta}",
        'γ' => r"\ensuremath{\gamma}",
        'δ' => r"\ensuremath{\delta}",
        'ε' => r"\ensuremath{\varepsilon}",
        'θ' => r"\ensuremath{\theta}",
        'λ' => r"\ensuremath{\lambda}",
        'ρ' => r"\ensuremath{\rho}",
        'σ' => r"\ensuremath{\sigma}",
        'τ' => r"\ensuremath{\tau}",
        'χ' => r"\ensuremath{\chi}",
        'Δ' => r"\ensuremath{\Delta}",
        'Σ' => r"\ensuremath{\Sigma}",
        ' '..='~' => return character.to_string(),
        // What inputenc and T1 know between them; the rest of these blocks they do not.
        'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ÿ' => return character.to_string(),
        'ą' | 'Ą' | 'ć' | 'Ć' | 'č' | 'Č' | 'ď' | 'Ď' | 'ę' | 'Ę' | 'ě' | 'Ě' | 'ğ' | 'Ğ' | 'ı' | 'İ'
        | 'ł' | 'Ł' | 'ń' | 'Ń' | 'ň' | 'Ň' | 'ő' | 'Ő' | 'œ' | 'Œ' | 'ř' | 'Ř' | 'ś' | 'Ś' | 'š' | 'Š'
        | 'ş' | 'Ş' | 'ţ' | 'Ţ' | 'ť' | 'Ť' | 'ů' | 'Ů' | 'ű' | 'Ű' | 'ź' | 'Ź' | 'ž' | 'Ž' | 'ż' | 'Ż' =>
        {
            return character.to_string();
        }
        other => return format!("{{[}}U+{:04X}{{]}}", u32::from(other)),
    };
    command.to_owned()
}

/// A URL for the first argument of `\href`, everything but the plainest characters in percent escapes or behind a backslash.
pub(super) fn escape_url(url: &str) -> String {
    let mut escaped = String::new();
    for byte in url.bytes() {
        match byte {
            b'%' | b'#' | b'&' | b'_' => escaped.extend(['\\', char::from(byte)]),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(char::from(byte)),
            b'-' | b'.' | b'/' | b':' | b'?' | b'=' | b'+' | b'@' | b'!' | b'(' | b')' | b',' | b';' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("\\%{other:02X}")),
        }
    }
    escaped
}
