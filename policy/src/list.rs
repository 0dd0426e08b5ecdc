// SPDX-License-Identifier: Apache-2.0
//! Tables of words, kept as one text with white space between them: a table reads best that way.

/// Whether a list has a word.
pub(crate) fn is_any(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|one| one == word)
}
