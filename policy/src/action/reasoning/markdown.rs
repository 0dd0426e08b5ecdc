// SPDX-License-Identifier: Apache-2.0
//! Code in prose as Markdown marks it: between fences, between back quotes.

use super::words;

/// A part of a text and where it begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// Code between fences.
    Fence {
        /// The word after the fence: `bash`.
        tag: &'a str,
        /// The code.
        body: &'a str,
        /// Where the code begins.
        at: usize,
    },
    /// A clause of a sentence.
    Clause {
        /// The clause.
        text: &'a str,
        /// Where it begins.
        at: usize,
    },
}

/// The parts of a text, in order.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    let mut fence: Option<(&str, &str, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        match fence {
            Some((mark, tag, start)) if closes(trimmed, mark) => {
                let body = text.get(start..at).unwrap_or_default();
                found.push(Part::Fence {
                    tag,
                    body,
                    at: start,
                });
                fence = None;
            }
            Some(_) => {}
            None => match opens(trimmed) {
                Some((mark, tag)) => fence = Some((mark, tag, at + line.len())),
                None => clauses(line, at, &mut found),
            },
        }
        at += line.len();
    }
    // A fence that is never closed goes on to the end.
    if let Some((_, tag, start)) = fence {
        let body = text.get(start..).unwrap_or_default();
        found.push(Part::Fence {
            tag,
            body,
            at: start,
        });
    }
    found
}

/// The mark that opens a fence, and the word after it.
fn opens(line: &str) -> Option<(&str, &str)> {
    let letter = line
        .chars()
        .next()
        .filter(|letter| matches!(letter, '`' | '~'))?;
    let length = line.find(|other| other != letter).unwrap_or(line.len());
    let (mark, rest) = line.split_at_checked(length)?;
    // ```` ```x``` ```` on one line is no fence.
    if length < 3 || (letter == '`' && rest.contains('`')) {
        return None;
    }
    let tag = rest.trim().trim_start_matches(['{', '.']);
    let tag = tag
        .split([' ', ',', '}', ':', '{'])
        .next()
        .unwrap_or_default();
    Some((mark, tag))
}

fn closes(line: &str, mark: &str) -> bool {
    line.starts_with(mark)
        && line
            .trim_start_matches(mark.chars().next().unwrap_or('`'))
            .is_empty()
}

/// Clauses end with a full stop, a semicolon, `but`; not within code.
fn clauses<'a>(line: &'a str, at: usize, found: &mut Vec<Part<'a>>) {
    let mut start = 0;
    let mut quoted = false;
    let mut letters = line.char_indices().peekable();
    while let Some((place, letter)) = letters.next() {
        quoted ^= letter == '`';
        let next = letters.peek().map(|(_, next)| *next);
        let stop = matches!(letter, '.' | '!' | '?') && next.is_none_or(char::is_whitespace);
        let but = letter == ' '
            && line
                .get(place..)
                .is_some_and(|rest| rest.starts_with(" but ") || rest.starts_with(" then "));
        if quoted || !(stop || but || letter == ';') {
            continue;
        }
        let end = place + letter.len_utf8();
        if let Some(text) = line.get(start..end) {
            found.push(Part::Clause {
                text,
                at: at + start,
            });
        }
        start = end;
    }
    if let Some(text) = line.get(start..).filter(|text| !text.trim().is_empty()) {
        found.push(Part::Clause {
            text,
            at: at + start,
        });
    }
}

/// Code between back quotes, and where it begins.
pub(super) fn inline(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 && !part.trim().is_empty() {
            let blanks = part.len() - part.trim_start().len();
            found.push((part.trim(), at + blanks));
        }
        at += part.len() + 1;
    }
    found
}

/// The language of a block, or nothing when it is no code that runs.
pub(super) fn language(tag: &str, body: &str) -> Option<&'static str> {
    Some(match tag.to_ascii_lowercase().as_str() {
        "sh" | "bash" | "shell" | "zsh" | "ksh" | "fish" | "console" | "terminal"
        | "shell-session" | "shellsession" | "sh-session" | "command" | "commands" | "cmd" => "sh",
        "python" | "py" | "python3" | "ipython" => "python",
        "js" | "javascript" | "node" | "ts" | "typescript" | "mjs" | "tsx" | "jsx" => "node",
        "ruby" | "rb" => "ruby",
        "perl" | "pl" => "perl",
        "php" => "php",
        "lua" => "lua",
        "awk" => "awk",
        "powershell" | "ps1" | "pwsh" => "powershell",
        "" => return plain(body).then_some("sh"),
        _ => return None,
    })
}

/// Whether a block without a tag is commands: output and data are shown so as well.
fn plain(body: &str) -> bool {
    let lines = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut lines = lines.peekable();
    let prompts = lines.peek().is_some_and(|line| line.starts_with("$ "));
    prompts || lines.next().is_some_and(words::is_command)
}

/// Lines after a prompt alone, when there is any; all lines otherwise.
pub(super) fn without_prompts(body: &str) -> String {
    let after = |line: &'_ str| {
        let line = line.trim_start();
        ["$ ", "% ", "❯ ", "➜ ", "# $ "]
            .iter()
            .find_map(|prompt| line.strip_prefix(prompt).map(str::to_owned))
    };
    let prompted: Vec<String> = body.lines().filter_map(after).collect();
    if prompted.is_empty() {
        body.trim().to_owned()
    } else {
        prompted.join("\n")
    }
}
