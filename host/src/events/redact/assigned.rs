// SPDX-License-Identifier: Apache-2.0
//! What a name of a secret is given: `TOKEN=x`, `"password": "x"`, `--password x`.

use std::ops::Range;

use super::names::{self, is_secret};
use super::{REDACTED, tokens};

/// Spaces around a sign, or before a name at the beginning of its line, that are looked at.
const SPACES: usize = 64;

/// Bytes that end a value without quotes.
const ENDS: &[u8] = b";&|<>)`";

/// Options that are secrets beside those whose names say so of variables, too.
const OPTIONS: [&str; 3] = ["--pass", "--pw", "--auth"];

/// Finds them all.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let curl = text.contains("curl");
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let span = match byte {
            b'=' | b':' => assignment(text, at),
            b'-' if at == 0 || !tokens::is_word(bytes, at - 1) => option(text, at, curl),
            _ => None,
        };
        at = span.as_ref().map_or(at + 1, |span| span.end.max(at + 1));
        spans.extend(span);
    }
}

/// Whether an argument is an option that takes a secret.
pub(super) fn is_option(word: &str) -> bool {
    let long = word.starts_with("--") || word.len() > 4;
    OPTIONS.contains(&word) || (long && is_secret(word))
}

/// Whether a value is a reference to a secret, a place-holder or nothing.
pub(super) fn is_harmless(value: &str) -> bool {
    let name = |name: &str| {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(part)
    };
    let inner = |open: &str, close: &str| {
        let inner = value.strip_prefix(open)?.strip_suffix(close)?;
        Some(inner.trim())
    };
    let words = ["true", "false", "null", "none", "nil", "undefined", "%s"];
    value.is_empty()
        || value == REDACTED
        || value.starts_with("$(")
        || value.strip_prefix('$').is_some_and(name)
        || inner("${", "}").is_some_and(name)
        || inner("${{", "}}").is_some_and(|inner| !inner.contains('='))
        || inner("{", "}").is_some_and(|inner| inner.is_empty() || name(inner))
        || inner("<", ">").is_some()
        || value.bytes().all(|byte| b"*x.".contains(&byte))
        || words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// What is given with the sign (`=`, `:`) at this place.
fn assignment(text: &str, sign: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(b'\n');
    let colon = byte(sign) == b':';
    let mut start = sign + 1;
    match byte(start) {
        b'=' | b'~' => return None,
        b':' | b'/' if colon => return None,
        b'>' => start += 1, // `'password' => 'x'`
        _ => {}
    }
    // `:=`, `+=`, `?=`; comparisons give nothing.
    let before = sign.checked_sub(1).map_or(b'\n', byte);
    let mut end = sign;
    match before {
        b'=' | b'!' | b'<' | b'>' if !colon => return None,
        b':' | b'+' | b'?' if !colon => end -= 1,
        _ => {}
    }
    let name = name_before(text, end)?;
    if !is_secret(text.get(name.clone())?) {
        return None;
    }
    let spaced = byte(end.saturating_sub(1)).is_ascii_whitespace();
    if spaced || colon || start > sign + 1 {
        start += spaces(bytes.get(start..)?);
    }
    let quoted = matches!(byte(start), b'"' | b'\'') || text.get(start..)?.starts_with("\\\"");
    if !quoted && (colon || (spaced && !is_upper(text.get(name.clone())?))) {
        return lone(text, name.start, start);
    }
    value(text, start)
}

fn is_upper(name: &str) -> bool {
    !name.contains(|c: char| c.is_ascii_lowercase())
}

fn spaces(bytes: &[u8]) -> usize {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    bytes.iter().take(SPACES).take_while(blank).count()
}

/// The name that ends before `end`, quotes and spaces between aside.
fn name_before(text: &str, end: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes().get(..end)?;
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let back = bytes.iter().rev();
    let mut end = end - back.take(SPACES).take_while(blank).count();
    for mark in [&b"\"'"[..], b"\\"] {
        let before = end.checked_sub(1).and_then(|at| bytes.get(at));
        if before.is_some_and(|byte| mark.contains(byte)) {
            end -= 1;
        }
    }
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let longest = names::LONGEST + 1; // one that is longer is no name at all
    let back = bytes.get(..end)?.iter().rev();
    let count = back.take(longest).take_while(part).count();
    Some(end - count..end)
}

/// The value of a line that has nothing but a name and it, as in YAML and in headers; prose has
/// more words.
fn lone(text: &str, name: usize, start: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let lead = |byte: &&u8| b" \t-\"'\\".contains(byte);
    let back = bytes.get(..name)?.iter().rev();
    let count = back.take(SPACES).take_while(lead).count();
    let first = name - count;
    let begins = first == 0 || bytes.get(first - 1) == Some(&b'\n');
    let quoted = name.checked_sub(1).and_then(|at| bytes.get(at));
    let quoted = quoted.is_some_and(|byte| b"\"'".contains(byte));
    if !begins && !quoted {
        return None;
    }
    let rest = bytes.get(start..)?;
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'\\,".contains(byte);
    let len = rest.iter().position(ends).unwrap_or(rest.len());
    let after = rest.get(len..)?;
    let after = after.get(spaces(after)..)?;
    let alone = after
        .first()
        .is_none_or(|byte| !b" \t".contains(byte) && ends(byte));
    let secret = alone && !is_harmless(text.get(start..start + len)?);
    secret.then(|| start..start + len)
}

/// What an option of a secret is given as its next word.
fn option(text: &str, at: usize, curl: bool) -> Option<Range<usize>> {
    let bytes = text.as_bytes().get(at..)?;
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let count = bytes
        .iter()
        .take(names::LONGEST + 1)
        .take_while(part)
        .count();
    let name = text.get(at..at + count)?;
    let gap = spaces(bytes.get(count..)?);
    if gap == 0 {
        return None;
    }
    let start = at + count + gap;
    if curl && matches!(name, "-u" | "--user") {
        // `name:password`; the name stays.
        let span = value(text, start)?;
        let colon = text.get(span.clone())?.find(':')?;
        let password = span.start + colon + 1..span.end;
        return (!is_harmless(text.get(password.clone())?)).then_some(password);
    }
    let next = text.as_bytes().get(start)?;
    let takes = is_option(name) && *next != b'-' && !is_place(name, text.get(start..)?);
    if takes { value(text, start) } else { None }
}

/// Whether an option of a key is given the file that it lies in.
pub(super) fn is_place(option: &str, value: &str) -> bool {
    let file = option.ends_with("key") || option.ends_with("credentials");
    file && (value.starts_with(['/', '~', '.']) || value.starts_with("\"/"))
}

/// The value that begins there: in quotes, or up to what ends a word of shell.
fn value(text: &str, start: usize) -> Option<Range<usize>> {
    // What a command says is no secret yet; and its end is not looked for again and again.
    if text.get(start..)?.starts_with("$(") {
        return None;
    }
    let bytes = text.as_bytes();
    let span = match bytes.get(start)? {
        b'\\' if bytes.get(start + 1) == Some(&b'"') => {
            let from = start + 2;
            let end = text.get(from..)?.find("\\\"").map(|len| from + len);
            from..end.unwrap_or_else(|| word(bytes, from))
        }
        quote @ (b'"' | b'\'') => match closing(bytes, start + 1, *quote) {
            Some(end) if ends_word(bytes.get(end + 1)) => start + 1..end,
            Some(end) => start..word(bytes, end + 1),
            None => start + 1..bytes.len(),
        },
        _ => start..word(bytes, start),
    };
    let secret = text.get(span.clone())?;
    (!is_harmless(secret)).then_some(span)
}

/// Where a word that goes on at `at` ends; what is in quotes belongs to it.
fn word(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1);
        match byte {
            // Quotes around more than the word: `"TOKEN=x"`, `\"TOKEN=x\"`.
            b'"' | b'\'' if ends_word(next) => break,
            b'"' | b'\'' => match closing(bytes, at + 1, *byte) {
                Some(end) => at = end,
                None => break,
            },
            b'\\' if next.is_none_or(|next| b"\"n".contains(next)) => break,
            b'\\' => at += 1,
            _ if byte.is_ascii_whitespace() || ENDS.contains(byte) => break,
            _ => {}
        }
        at += 1;
    }
    // Nothing that was stepped over is cut in its middle.
    while at < bytes.len() && bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80) {
        at += 1;
    }
    at.min(bytes.len())
}

fn ends_word(byte: Option<&u8>) -> bool {
    byte.is_none_or(|byte| {
        byte.is_ascii_whitespace() || ENDS.contains(byte) || b"\"',}]\\:".contains(byte)
    })
}

fn closing(bytes: &[u8], from: usize, quote: u8) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let mut escaped = false;
    rest.iter()
        .position(|byte| {
            let ends = *byte == quote && !escaped;
            escaped = *byte == b'\\' && !escaped && quote == b'"';
            ends
        })
        .map(|len| from + len)
}
