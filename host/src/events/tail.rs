// SPDX-License-Identifier: Apache-2.0
//! The end of the record: the number of its last line, and what a writer that was cut off left.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Deserialize;

use super::line::LINE;

/// First bytes read back from an end; a line mostly fits.
const FIRST: u64 = 2 << 10;

/// Bytes read back at a time, at most.
const MOST: u64 = 64 << 10;

/// How the record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last number; 0 when there is none.
    pub(super) last: u64,
    /// Bytes after the last line's end: a line that nobody finished.
    pub(super) torn: u64,
    /// Whether they are a whole line all the same, but for its end.
    pub(super) whole: bool,
}

/// What is read of a line of whatever version.
#[derive(Deserialize)]
struct Numbered {
    n: u64,
}

/// Looks at the end of a record of `len` bytes.
pub(super) fn look(file: &File, len: u64) -> io::Result<Tail> {
    let (mut start, bytes) = line_before(file, len)?;
    let torn = len - start;
    if torn > 0
        && let Some(last) = number(bytes.as_deref())
    {
        let whole = true;
        return Ok(Tail { last, torn, whole });
    }
    let mut last = 0;
    // Past lines that somebody else wrote; the numbers go on from the last that has one.
    while start > 0 {
        let (before, bytes) = line_before(file, start - 1)?;
        start = before;
        if let Some(number) = number(bytes.as_deref()) {
            last = number;
            break;
        }
    }
    let whole = false;
    Ok(Tail { last, torn, whole })
}

fn number(line: Option<&[u8]>) -> Option<u64> {
    let numbered: Numbered = serde_json::from_slice(line?).ok()?;
    Some(numbered.n)
}

/// Where the line begins that ends before `end`, and its bytes unless it is too long to be one.
fn line_before(file: &File, end: u64) -> io::Result<(u64, Option<Vec<u8>>)> {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let (mut at, mut chunk, mut start) = (end, FIRST, 0);
    while at > 0 {
        let size = chunk.min(at);
        let mut piece = vec![0; usize::try_from(size).unwrap_or(0)];
        at -= size;
        file.read_exact_at(&mut piece, at)?;
        let newline = piece.iter().rposition(|byte| *byte == b'\n');
        if let Some(newline) = newline {
            start = at + newline as u64 + 1;
            pieces.push(piece.split_off(newline + 1));
            break;
        }
        // Of what is no line, only the length matters.
        if end - at <= LINE as u64 {
            pieces.push(piece);
        }
        chunk = MOST.min(chunk * 4);
    }
    if end - start > LINE as u64 {
        return Ok((start, None));
    }
    pieces.reverse();
    Ok((start, Some(pieces.concat())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn look_at(text: &str) -> Tail {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        look(&file, text.len() as u64).unwrap()
    }

    #[test]
    fn the_last_number_is_found_whatever_stands_after_it() {
        let long = "x".repeat(200_000);
        for (text, last, torn, whole) in [
            (String::new(), 0, 0, false),
            ("{\"n\":1}\n{\"n\":2}\n".to_owned(), 2, 0, false),
            ("{\"n\":7}\njunk\n\n".to_owned(), 7, 0, false),
            ("{\"n\":7}\n{\"n\":8,\"a".to_owned(), 7, 9, false),
            ("{\"n\":7}\n{\"n\":8}".to_owned(), 8, 7, true),
            (format!("{{\"n\":9}}\n{long}\n"), 9, 0, false),
            (format!("{{\"n\":9}}\n{long}"), 9, 200_000, false),
            (
                format!("{{\"n\":3,\"x\":\"{}\"}}\n", &long[..60_000]),
                3,
                0,
                false,
            ),
            ("junk".to_owned(), 0, 4, false),
            ("\n".to_owned(), 0, 0, false),
            ("{\"v\":2,\"n\":5,\"hash\":\"x\"}\n".to_owned(), 5, 0, false),
        ] {
            let shown = text.get(..40).unwrap_or(&text);
            assert_eq!(look_at(&text), Tail { last, torn, whole }, "{shown}");
        }
    }
}
