// SPDX-License-Identifier: Apache-2.0
//! Tables of words, kept as one text with white space between them: a table reads best that way.

/// Whether a list has a word. Most are asked about words that they do not have, hundreds of them
/// for one action; that a text is nowhere in another is found many bytes at once.
#[must_use]
pub fn is_any(list: &str, word: &str) -> bool {
    list.contains(word) && list.split_ascii_whitespace().any(|one| one == word)
}
