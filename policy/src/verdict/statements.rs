// SPDX-License-Identifier: Apache-2.0
//! Where the statements of a policy file begin, and whether they are small enough to parse.
//!
//! Cedar's parser and type checker recurse over what is nested or chained, and end the process
//! when the stack does (a debug build with 2 MiB of it: at 40 brackets, 600 `if`, 5000 `+`). So
//! all three are bounded before Cedar sees the text. The positions serve messages only: what is a
//! policy and what is a comment is for Cedar to say.

/// Deepest nesting of brackets in one policy.
pub(super) const DEPTH: usize = 16;

/// Most `if` in one policy.
const IFS: usize = 64;

/// Most dots, brackets and arithmetic in one policy.
const LINKS: usize = 1000;

/// What is read from one byte to the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Code,
    Comment,
    Text,
    Escape,
}

/// The offset of each statement's first byte, or of what nests too deep.
pub(super) fn statements(text: &str) -> Result<Vec<usize>, usize> {
    let mut scan = Scan::default();
    let mut state = In::Code;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().copied().enumerate() {
        state = match (state, byte) {
            (In::Comment, b'\n') | (In::Text, b'"') => In::Code,
            (In::Comment, _) => In::Comment,
            (In::Text, b'\\') => In::Escape,
            (In::Text | In::Escape, _) => In::Text,
            (In::Code, b'/') if bytes.get(at.saturating_add(1)) == Some(&b'/') => In::Comment,
            (In::Code, byte) => {
                let before = bytes.get(..at).unwrap_or_default();
                scan.code(before, byte).ok_or(at)?;
                if byte == b'"' { In::Text } else { In::Code }
            }
        };
    }
    Ok(scan.starts)
}

/// What is known of the statements so far.
#[derive(Default)]
struct Scan {
    starts: Vec<usize>,
    inside: bool,
    depth: usize,
    ifs: usize,
    links: usize,
}

impl Scan {
    /// Takes in a byte that is in no comment and no text; nothing when that is one too many.
    fn code(&mut self, before: &[u8], byte: u8) -> Option<()> {
        if byte.is_ascii_whitespace() {
            return Some(());
        }
        if !self.inside {
            self.inside = true;
            self.starts.push(before.len());
        }
        let mut link = matches!(byte, b'.' | b'+' | b'-' | b'*');
        match byte {
            b';' => (self.inside, self.depth, self.ifs, self.links) = (false, 0, 0, 0),
            b'(' | b'[' | b'{' => {
                link = true;
                self.depth = self.depth.saturating_add(1);
            }
            b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b'f' if word_i(before) => self.ifs = self.ifs.saturating_add(1),
            _ => {}
        }
        self.links = self.links.saturating_add(usize::from(link));
        (self.depth <= DEPTH && self.ifs <= IFS && self.links <= LINKS).then_some(())
    }
}

/// The text ends in an `i` that begins a word.
fn word_i(before: &[u8]) -> bool {
    match before {
        [.., last, b'i'] => !last.is_ascii_alphanumeric() && *last != b'_',
        _ => false,
    }
}

/// Line and column of an offset, both from 1; columns count characters.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text
        .get(..text.floor_char_boundary(offset))
        .unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default();
    (line, column.chars().count().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_begin_after_comments_and_semicolons_outside_text() {
        let text = "// a; b\n  permit(\";\\\";\");\n@id(\"x\") // ;\nforbid ();  // end";
        let starts = statements(text).unwrap();
        let found: Vec<_> = starts.iter().map(|at| &text[*at..*at + 3]).collect();
        assert_eq!(found, ["per", "@id"]);
        assert_eq!(position(text, starts[1]), (3, 1));
        assert_eq!(position("aé b", 4), (1, 4));
    }

    #[test]
    fn what_would_exhaust_the_stack_is_refused_where_it_does() {
        assert!(statements(&"(".repeat(DEPTH)).is_ok());
        assert_eq!(statements(&"(".repeat(DEPTH + 1)), Err(DEPTH));
        assert!(statements(&" if true then 1 else".repeat(IFS + 1)).is_err());
        assert!(statements(&"a.certified ".repeat(IFS + 1)).is_ok());
        assert!(statements(&"1 + ".repeat(LINKS + 1)).is_err());
        assert!(statements(&"1 + 1;".repeat(LINKS + 1)).is_ok());
        assert!(statements(&"\"((((\", ".repeat(LINKS)).is_ok());
    }
}
