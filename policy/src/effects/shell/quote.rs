// SPDX-License-Identifier: Apache-2.0
//! What quotes and backslashes mean.

/// The text of `$'…'` without its quotes, escapes decoded (bash(1), QUOTING).
pub(super) fn ansi_c(inner: &str) -> String {
    let mut made = String::new();
    let mut rest = inner.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            made.push(c);
            continue;
        }
        let Some(kind) = rest.next() else { break };
        match kind {
            'n' => made.push('\n'),
            't' => made.push('\t'),
            'r' => made.push('\r'),
            'a' => made.push('\u{7}'),
            'b' => made.push('\u{8}'),
            'f' => made.push('\u{c}'),
            'v' => made.push('\u{b}'),
            'e' | 'E' => made.push('\u{1b}'),
            'x' => code(&mut made, &mut rest, 16, 2, 0),
            'u' => code(&mut made, &mut rest, 16, 4, 0),
            'U' => code(&mut made, &mut rest, 16, 8, 0),
            'c' => {
                rest.next();
            }
            '0'..='7' => {
                let first = kind.to_digit(8).unwrap_or_default();
                code(&mut made, &mut rest, 8, 2, first);
            }
            other => made.push(other),
        }
    }
    made
}

fn code(
    made: &mut String,
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    radix: u32,
    most: u32,
    first: u32,
) {
    let mut value = first;
    for _ in 0..most {
        let Some(digit) = rest.peek().and_then(|c| c.to_digit(radix)) else {
            break;
        };
        rest.next();
        value = value.saturating_mul(radix).saturating_add(digit);
    }
    made.push(char::from_u32(value).unwrap_or('\u{fffd}'));
}

/// A bare word without its backslashes: each makes the next character literal, a line's end goes.
/// Gives runs of text and whether each was made literal.
pub(super) fn bare(raw: &str) -> Vec<(String, bool)> {
    let mut runs: Vec<(String, bool)> = Vec::new();
    let mut rest = raw.chars();
    let mut push = |c: char, literal: bool| match runs.last_mut() {
        Some((text, last)) if *last == literal => text.push(c),
        _ => runs.push((c.to_string(), literal)),
    };
    while let Some(c) = rest.next() {
        if c != '\\' {
            push(c, false);
            continue;
        }
        match rest.next() {
            Some('\n') | None => {}
            Some(next) => push(next, true),
        }
    }
    runs
}

/// What is between double quotes without its backslashes, or in a here-document.
pub(super) fn double(raw: &str) -> String {
    let mut made = String::with_capacity(raw.len());
    let mut rest = raw.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\\' {
            match rest.peek() {
                Some('\n') => {
                    rest.next();
                }
                Some('"' | '\\' | '$' | '`') => made.extend(rest.next()),
                _ => made.push(c),
            }
        } else {
            made.push(c);
        }
    }
    made
}

/// The text without line ends that a backslash takes away in the middle of words; nothing when
/// there are none.
pub(super) fn continued(text: &str) -> Option<String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\\n") {
        made.push_str(before);
        let word = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '~' | '$');
        let inside = before.ends_with(word) && after.starts_with(word);
        if !inside {
            made.push_str("\\\n");
        }
        rest = after;
    }
    made.push_str(rest);
    (made.len() < text.len()).then_some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(ansi_c(r"\x72\155 \u002d\e"), "rm -\u{1b}");
        assert_eq!(double(r#"a\"b\x\$c"#), r#"a"b\x$c"#);
        assert_eq!(
            bare(r"r\m"),
            [("r".to_owned(), false), ("m".to_owned(), true)]
        );
    }
}
