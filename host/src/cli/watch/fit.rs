// SPDX-License-Identifier: Apache-2.0
//! Text in columns of a terminal.
//!
//! What is drawn may be an attacker's, and a character that this program and the terminal do not
//! count alike moves all that stands right of it. So what terminals disagree about is written out,
//! like what moves the cursor.

use policy::text::unprintable;
use unicode_width::UnicodeWidthChar;

/// Marks that may stand upon one character; more of them hide lines above and below.
const MARKS: usize = 2;

/// The text without what moves the cursor, hides, or has no width that all terminals agree about.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // Nothing to stand upon at the beginning.
    let mut marks = MARKS;
    for c in text.chars() {
        let mark = columns(c) == 0;
        if unprintable(c) || is_disputed(c) || (mark && marks >= MARKS) {
            shown.extend(c.escape_default());
            marks = MARKS;
            continue;
        }
        marks = if mark { marks.saturating_add(1) } else { 0 };
        shown.push(c);
    }
    shown
}

/// Whether its width depends on its neighbours, as terminals see it: variation selectors, letters
/// that make flags, skin tones, vowels and finals of Hangul.
fn is_disputed(c: char) -> bool {
    matches!(c,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{1f1e6}'..='\u{1f1ff}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7ff}'
        | '\u{115f}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}')
}

fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Columns of a plain text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// As much of a plain text as fits, with `…` in the last column where something is left out.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let (first, _) = split(text, most.saturating_sub(1));
    match most {
        0 => String::new(),
        _ => format!("{first}…"),
    }
}

/// The text, cut or with blanks after it: exactly so many columns.
pub(super) fn cell(text: &str, columns: usize) -> String {
    let mut cell = cut(text, columns);
    cell.extend(std::iter::repeat_n(
        ' ',
        columns.saturating_sub(width(&cell)),
    ));
    cell
}

/// A plain text in lines of at most so many columns, between words where that can be.
pub(super) fn wrap(text: &str, most: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while width(rest) > most {
        let (mut line, mut after) = split(rest, most);
        if line.is_empty() {
            break; // a wide character in a single column
        }
        let blank = line.rfind(' ').filter(|at| *at >= line.len() / 2);
        if let Some((before, more)) = blank.and_then(|at| rest.split_at_checked(at + 1)) {
            (line, after) = (before, more);
        }
        lines.push(line);
        rest = after;
    }
    lines.push(rest);
    lines
}

/// The longest beginning of at most so many columns, and what follows.
fn split(text: &str, most: usize) -> (&str, &str) {
    let mut used = 0;
    let end = text.char_indices().find_map(|(at, c)| {
        used += columns(c);
        (used > most).then_some(at)
    });
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_terminals_count_differently_is_written_out() {
        for (text, shown) in [
            ("größe 大小", "größe 大小"),
            ("e\u{301}a", "e\u{301}a"),
            ("\u{301}a", r"\u{301}a"),
            ("a\u{301}\u{302}\u{303}b", "a\u{301}\u{302}\\u{303}b"),
            ("\u{26a0}\u{fe0f}", "\u{26a0}\\u{fe0f}"),
            ("\u{1f1e9}\u{1f1ea}", r"\u{1f1e9}\u{1f1ea}"),
            ("a\u{1b}[2J\u{202e}\u{200d}", r"a\u{1b}[2J\u{202e}\u{200d}"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn a_cell_has_its_columns_also_with_wide_characters() {
        assert_eq!(cell("ab", 4), "ab  ");
        assert_eq!(cell("abcdef", 4), "abc…");
        assert_eq!(cell("大小大小", 4), "大… ");
        assert_eq!(cell("e\u{301}e\u{301}", 2), "e\u{301}e\u{301}");
        assert_eq!(cell("ab", 0), "");
    }

    #[test]
    fn lines_break_between_words_where_they_can() {
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("大", 1), ["大"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_too_long(text in "\\PC{0,80}", most in 2usize..40) {
            let text = plain(&text);
            let lines = wrap(&text, most);
            prop_assert_eq!(lines.concat(), text.clone());
            prop_assert!(lines.iter().all(|line| width(line) <= most));
            prop_assert_eq!(width(&cell(&text, most)), most);
        }
    }
}
