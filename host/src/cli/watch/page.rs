// SPDX-License-Identifier: Apache-2.0
//! What `ampoule approvals show` says of an approval, in the lines of a pane.

use super::fit;
use crate::cli::approvals::show::TITLE;

/// Columns from which titles have a column of their own.
const WIDE: usize = 40;

/// What marks each line of a text that is not ours.
const MARK: &str = "| ";

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The title, with the blanks before the text.
    pub(super) title: String,
    /// What stands there.
    pub(super) text: String,
    /// Whether it is in words that are not ours.
    pub(super) foreign: bool,
}

/// The lines of a page of so many columns.
pub(super) fn rows(page: &str, columns: usize) -> Vec<Row> {
    page.lines()
        .flat_map(|line| wrapped(line, columns))
        .collect()
}

fn wrapped(line: &str, columns: usize) -> Vec<Row> {
    let (title, text) = line.split_at_checked(TITLE + 1).unwrap_or((line, ""));
    let (first, more) = match title.trim_end() {
        _ if columns >= WIDE => (title.to_owned(), " ".repeat(TITLE + 1)),
        "" => ("  ".to_owned(), "  ".to_owned()),
        title => (format!("{title} "), "  ".to_owned()),
    };
    let (mark, text) = match text.strip_prefix(MARK) {
        Some(text) => (MARK, text),
        None => ("", text),
    };
    let foreign = !mark.is_empty() || text == "(the agent's words)";
    let text = fit::plain(text);
    // The longer of the two: a title is at most as wide as its column.
    let before = fit::width(&first).max(more.len()) + mark.len();
    let lines = fit::wrap(&text, columns.saturating_sub(before).max(2));
    let row = |(at, text): (usize, &str)| Row {
        title: if at == 0 { first.clone() } else { more.clone() },
        text: format!("{mark}{text}"),
        foreign,
    };
    lines.into_iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(page: &str, columns: usize) -> Vec<String> {
        let rows = rows(page, columns).into_iter();
        rows.map(|row| format!("{}{}", row.title, row.text).trim_end().to_owned())
            .collect()
    }

    #[test]
    fn a_line_goes_on_below_its_text_and_keeps_its_mark() {
        let page = format!("why         | {}\n\nin          /w", "a".repeat(40));
        assert_eq!(
            flat(&page, 40),
            [
                format!("why         | {}", "a".repeat(26)),
                format!("            | {}", "a".repeat(14)),
                String::new(),
                "in          /w".to_owned()
            ]
        );
    }

    #[test]
    fn in_a_narrow_pane_titles_take_no_column() {
        let page = "why         | abcdefgh ijkl\n            | x";
        assert_eq!(
            flat(page, 12),
            ["why | abcdef", "  | gh ijk", "  | l", "  | x"]
        );
    }
}
