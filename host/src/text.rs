// SPDX-License-Identifier: Apache-2.0
//! Text that a guest, an archive or a file name may have chosen, made fit for a terminal and for
//! one line: nothing in it moves the cursor, begins a line or turns the reading direction.

use policy::text::unprintable;

/// The text with a space for each such character.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |c: char| {
        if unprintable(c) { ' ' } else { c }
    };
    text.chars().map(shown).collect()
}

/// The text with each such character written out (`\n`, `\u{202e}`), for what a person decides
/// upon: what was hidden is seen.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if unprintable(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Lines of JSON with each such character written as JSON has it (`\u202e`): the same values, and
/// nothing for a terminal. JSON escapes the first 32 characters by itself, and no others.
#[must_use]
pub fn json(lines: &str) -> String {
    let mut shown = String::with_capacity(lines.len());
    for c in lines.chars() {
        if unprintable(c) && !matches!(c, '\n' | '\t') {
            let units = c.encode_utf16(&mut [0; 2]).to_vec();
            shown.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_hidden_is_seen() {
        let hostile = "a\u{1b}[2J\nb\u{202e}c\u{200b}größe";
        assert_eq!(escaped(hostile), r"a\u{1b}[2J\nb\u{202e}c\u{200b}größe");
    }

    #[test]
    fn nothing_moves_the_cursor_or_turns_the_line() {
        let hostile = "a\u{1b}]0;x\u{7}\nampoule: ok\u{9b}2J\u{202e}b\u{2028}c";
        assert_eq!(printable(hostile), "a ]0;x  ampoule: ok 2J b c");
    }

    #[test]
    fn json_says_the_same_and_nothing_to_a_terminal() {
        let value = serde_json::json!({ "a\u{202e}": ["x\u{9b}2J\u{e0041}\u{1b}\n", "größe"] });
        for text in [value.to_string(), format!("{value:#}")] {
            let shown = json(&text);
            assert!(
                !shown.chars().any(|c| unprintable(c) && c != '\n'),
                "{shown}"
            );
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
                value
            );
        }
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "größe – 大小 'x'";
        assert_eq!(printable(text), text);
    }
}
