// SPDX-License-Identifier: Apache-2.0
//! Characters that change how the line around them looks, and lines that are too long.

/// Zero-width and bidirectional marks, line and paragraph separators (Unicode 15, general
/// categories Cf, Zl and Zp, as far as terminals act on them). Control characters are not among
/// them: `char::is_control` knows those.
#[must_use]
pub fn misleads(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Whether a character is no part of a line as people read it: a control character, or one that
/// misleads.
#[must_use]
pub fn unprintable(c: char) -> bool {
    c.is_control() || misleads(c)
}

/// The first characters of a text, with a mark where there are more.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
