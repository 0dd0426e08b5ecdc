// SPDX-License-Identifier: Apache-2.0
//! Secrets taken out of a text before it is recorded.
//!
//! Pure, and linear in the text's length: an attacker chooses it. What is found by its form is
//! replaced whatever stands around it ([`tokens`]: `ghp_…`, JWTs; keys in PEM; passwords in
//! addresses); what is found by its name ([`names`]) is what a name is given ([`assigned`]).
//! A reference to a secret (`$TOKEN`, `$(pass show x)`) is none and stays, because it tells what
//! was done.
//!
//! It is a net and no proof: a secret without a form or a name passes.

mod assigned;
mod names;
mod tokens;

use std::borrow::Cow;
use std::ops::Range;

/// What stands in place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Longest part of an address before its path that is looked at.
const AUTHORITY: usize = 512;

/// Longest label of a PEM block.
const LABEL: usize = 64;

/// The text without the secrets in it.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let mut spans = Vec::new();
    keys(text, &mut spans);
    tokens::find(text, &mut spans);
    addresses(text, &mut spans);
    headers(text, &mut spans);
    assigned::find(text, &mut spans);
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(without(text, spans))
}

/// Whether a value under this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    names::is_secret(name)
}

/// Whether this argument announces that the next one is a secret: `--password`.
pub(super) fn announces(argument: &str) -> bool {
    argument.starts_with('-') && !argument.contains('=') && assigned::is_option(argument)
}

/// Whether what a secret's name is given is no secret: a reference, a place-holder, nothing.
pub(super) fn is_harmless(value: &str) -> bool {
    assigned::is_harmless(value)
}

/// Whether a secret's option is given the file that it lies in, and not the secret.
pub(super) fn is_place(option: &str, value: &str) -> bool {
    assigned::is_place(option, value)
}

fn without(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let (mut said, mut at) = (String::with_capacity(text.len()), 0);
    for span in spans {
        if span.end <= at {
            continue;
        }
        // One that begins in what was taken out is a part of the same.
        if span.start >= at {
            said.push_str(text.get(at..span.start).unwrap_or_default());
            said.push_str(REDACTED);
        }
        at = span.end;
    }
    said.push_str(text.get(at..).unwrap_or_default());
    said
}

/// Blocks of PEM with a private key; the lines that say what it is stay.
fn keys(text: &str, spans: &mut Vec<Range<usize>>) {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let mut from = 0;
    while let Some(at) = find(text, from, BEGIN) {
        from = at + BEGIN.len();
        let label = text.as_bytes().get(from..).unwrap_or_default();
        let label = label.get(..LABEL).unwrap_or(label);
        let Some(len) = label.windows(5).position(|five| five == b"-----") else {
            continue;
        };
        if !label
            .get(..len)
            .is_some_and(|label| label.windows(11).any(|words| words == b"PRIVATE KEY"))
        {
            continue;
        }
        let body = from + len + 5;
        let end = find(text, body, END).unwrap_or(text.len());
        let inner = text.get(body..end).unwrap_or_default();
        if !inner.trim().is_empty() && inner.trim() != REDACTED {
            spans.push(body..end);
        }
        from = end;
    }
}

/// Passwords in addresses: `https://user:password@host`.
fn addresses(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(at) = find(text, from, "://") {
        from = at + 3;
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        let rest = rest.get(..AUTHORITY).unwrap_or(rest);
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'<>`\\".contains(byte);
        let whole = rest.iter().position(ends).unwrap_or(rest.len());
        let whole = rest.get(..whole).unwrap_or_default();
        let path = whole.iter().position(|byte| b"/?#".contains(byte));
        let authority = whole.get(..path.unwrap_or(whole.len())).unwrap_or(whole);
        let colon = authority.iter().position(|byte| *byte == b':');
        let at_sign = authority.iter().rposition(|byte| *byte == b'@');
        let at_sign = at_sign.or_else(|| {
            // A password may have a '/' that nobody escaped; a port has digits alone.
            let after = authority.get(colon? + 1..)?;
            let port = after.iter().all(u8::is_ascii_digit);
            let later = || whole.iter().rposition(|byte| *byte == b'@');
            if port { None } else { later() }
        });
        let Some(at_sign) = at_sign else { continue };
        let span = match colon.filter(|colon| *colon < at_sign) {
            Some(colon) => from + colon + 1..from + at_sign,
            None => from..from + at_sign,
        };
        let secret = text.get(span.clone()).unwrap_or_default();
        // A name alone is mostly a name, unless it looks like a token.
        let named = span.start > from || (secret.len() >= 20 && tokens::has_digit(secret));
        if named && !is_harmless(secret) {
            spans.push(span);
        }
    }
}

/// `Authorization: …` and `Bearer …`.
fn headers(text: &str, spans: &mut Vec<Range<usize>>) {
    const NAME: &str = "authorization";
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if !matches!(byte, b'a' | b'A' | b'b' | b'B') {
            at += 1;
            continue;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let begins = |word: &str| {
            let head = rest.get(..word.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
        };
        if begins(NAME) {
            let quote = at.checked_sub(1).and_then(|before| bytes.get(before));
            let quote = quote.copied().filter(|byte| b"\"'".contains(byte));
            if let Some(span) = credentials(text, at + NAME.len(), quote) {
                at = span.end;
                spans.push(span);
                continue;
            }
        } else if begins("bearer ") && !at.checked_sub(1).is_some_and(|b| tokens::is_word(bytes, b))
        {
            spans.extend(bearer(text, at + "bearer ".len()));
        }
        at += 1;
    }
}

/// What `Authorization` has, from the name's end on.
fn credentials(text: &str, from: usize, quote: Option<u8>) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let after = rest.trim_start_matches(['"', '\'', '\\', ' ']);
    let after = after.strip_prefix([':', '='])?;
    let after = after.trim_start_matches([' ', '\\']);
    let (after, quote) = match after.bytes().next() {
        Some(open @ (b'"' | b'\'')) => (after.get(1..)?, Some(open)),
        _ => (after, quote),
    };
    let start = text.len() - after.len();
    let ends = |c: char| matches!(c, '\n' | '\r') || quote.is_some_and(|q| c == char::from(q));
    let value = after.get(..after.find(ends).unwrap_or(after.len()))?;
    let value = value.trim_end_matches(['\\', ' ']);
    let (scheme, secret) = value.split_once(' ').unwrap_or(("", value));
    let scheme = scheme.trim_end_matches('\\');
    let plain = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_harmless(value) || (plain && is_harmless(secret)) {
        return None;
    }
    Some(start..start + value.len())
}

/// What follows `Bearer `, unless it is a word of English.
fn bearer(text: &str, from: usize) -> Option<Range<usize>> {
    const WORDS: [&str; 8] = [
        "token",
        "tokens",
        "auth",
        "authentication",
        "authorization",
        "scheme",
        "of",
        "or",
    ];
    let rest = text.get(from..)?;
    let part = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    let token = rest.get(..rest.find(|c| !part(c)).unwrap_or(rest.len()))?;
    let after = rest.get(token.len()..)?.chars().next();
    let alone = after.is_none_or(|c| matches!(c, '"' | '\'' | '\\' | '\n' | '\r' | '`'));
    let word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(token));
    let secret = tokens::has_digit(token) || token.len() >= 20 || (alone && !word);
    (secret && !token.is_empty()).then(|| from..from + token.len())
}

/// Where `what` is next, from `from` on.
fn find(text: &str, from: usize, what: &str) -> Option<usize> {
    text.get(from..)?.find(what).map(|at| from + at)
}

#[cfg(test)]
mod tests;
