// SPDX-License-Identifier: Apache-2.0
//! Tokens that are known by how they begin.

use std::ops::Range;

/// Bytes that decide whether it is a token at all.
const LOOK: usize = 256;

/// How tokens of one kind look.
struct Form {
    /// How they begin.
    prefix: &'static str,
    /// Characters after it, at least.
    least: usize,
    /// Which of `-`, `_` and `.` are among these, beside letters and digits.
    marks: &'static str,
    /// Whether they are found within a word too: no word has such a beginning.
    anywhere: bool,
}

const fn form(prefix: &'static str, least: usize, marks: &'static str, anywhere: bool) -> Form {
    Form {
        prefix,
        least,
        marks,
        anywhere,
    }
}

const FORMS: [Form; 27] = [
    // docs.github.com, "About authentication to GitHub".
    form("ghp_", 20, "", true),
    form("gho_", 20, "", true),
    form("ghu_", 20, "", true),
    form("ghs_", 20, "", true),
    form("ghr_", 20, "", true),
    form("github_pat_", 20, "_", true),
    form("glpat-", 16, "_-.", true),
    // OpenAI, Anthropic and those that imitate them.
    form("sk-", 16, "_-", false),
    // Stripe.
    form("sk_live_", 16, "", true),
    form("rk_live_", 16, "", true),
    form("sk_test_", 16, "", true),
    // Slack.
    form("xoxb-", 10, "-", true),
    form("xoxp-", 10, "-", true),
    form("xoxa-", 10, "-", true),
    form("xoxr-", 10, "-", true),
    form("xoxs-", 10, "-", true),
    form("xapp-", 10, "-", true),
    // AWS: exactly sixteen of A-Z and 0-9, see `fits`.
    form("AKIA", 16, "", false),
    form("ASIA", 16, "", false),
    // Google.
    form("AIza", 35, "_-", false),
    form("ya29.", 20, "_-.", false),
    // Hugging Face, npm, PyPI, DigitalOcean, Vault.
    form("hf_", 30, "", false),
    form("npm_", 30, "", false),
    form("pypi-AgE", 40, "_-", false),
    form("dop_v1_", 40, "", false),
    form("hvs.", 20, "_-", false),
    // A JWT: a JSON object in base64, a dot, another.
    form("eyJ", 16, "_-.", false),
];

/// Finds them all.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        if !may_begin(rest) {
            at += 1;
            continue;
        }
        let begins = at == 0 || !is_word(bytes, at - 1);
        let len = FORMS
            .iter()
            .filter(|form| begins || form.anywhere)
            .find_map(|form| length(form, rest));
        match len {
            Some(len) => {
                spans.push(at..at + len);
                at += len;
            }
            None => at += 1,
        }
    }
}

/// Whether one of [`FORMS`] may begin so: nearly no byte is looked at more closely.
fn may_begin(text: &[u8]) -> bool {
    match text {
        [b'g', b, ..] => matches!(b, b'h' | b'i' | b'l'),
        [b's' | b'r', b, ..] => *b == b'k',
        [b'x', b, ..] => matches!(b, b'o' | b'a'),
        [b'A', b, ..] => matches!(b, b'K' | b'S' | b'I'),
        [b'h', b, ..] => matches!(b, b'f' | b'v'),
        [a, b, ..] => matches!(
            (a, b),
            (b'y', b'a') | (b'n', b'p') | (b'p', b'y') | (b'd', b'o') | (b'e', b'y')
        ),
        _ => false,
    }
}

/// The length of a token of this form at the beginning of `text`.
fn length(form: &Form, text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(form.prefix.as_bytes())?;
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || form.marks.as_bytes().contains(byte);
    // Of what is none, only a bounded part is looked at: it may begin again at every byte.
    let count = rest.iter().take(LOOK).take_while(|byte| part(byte)).count();
    if count < form.least || !fits(form.prefix, rest.get(..count)?) {
        return None;
    }
    let count = rest.iter().take_while(|byte| part(byte)).count();
    Some(form.prefix.len() + count)
}

/// Whether the rest of a token is what it must be.
fn fits(prefix: &str, body: &[u8]) -> bool {
    match prefix {
        "AKIA" | "ASIA" => body.len() == 16 && !body.iter().any(u8::is_ascii_lowercase),
        // `sk-estimators-and-pipelines` is none.
        "sk-" => body.iter().any(u8::is_ascii_digit),
        "eyJ" => {
            let mut parts = body.split(|byte| *byte == b'.');
            let header = parts.next().is_some_and(|part| part.len() >= 6);
            header && parts.next().is_some_and(|part| part.len() >= 6)
        }
        _ => true,
    }
}

/// Whether a text has a digit: words of English have none.
pub(super) fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether the byte there is part of a word.
pub(super) fn is_word(bytes: &[u8], at: usize) -> bool {
    bytes
        .get(at)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_looked_for() {
        for form in FORMS {
            assert!(may_begin(form.prefix.as_bytes()), "{}", form.prefix);
        }
    }
}
