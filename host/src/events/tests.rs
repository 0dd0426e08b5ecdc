// SPDX-License-Identifier: Apache-2.0

mod crash;
mod reading;
mod writing;

use std::fs;
use std::path::PathBuf;

use super::*;

/// A user's folders with a record.
struct Place {
    folders: Folders,
    _dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::below(dir.path());
        Self { folders, _dir: dir }
    }

    fn events(&self) -> Events {
        Events::open(&self.folders).unwrap()
    }

    fn path(&self) -> PathBuf {
        path(&self.folders)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// Adds bytes as nobody should.
    fn spoil(&self, bytes: &[u8]) {
        use std::io::Write;
        let mut file = fs::File::options().append(true).open(self.path()).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn lines(&self) -> Vec<reader::Line> {
        let mut reader = Reader::open(&self.path());
        let mut lines = Vec::new();
        while let Some(line) = reader.read().unwrap() {
            lines.push(line);
        }
        lines.extend(reader.torn());
        lines
    }

    /// Every event's number and what it says in short; `-` for what cannot be read.
    fn said(&self) -> Vec<String> {
        let lines = self.lines();
        lines.iter().map(|line| said(&line.text)).collect()
    }
}

fn said(text: &Text) -> String {
    match text {
        Text::Event(Recorded { head, what }) => match what {
            What::Note { text } => format!("{} {text}", head.n),
            What::Gap { lost, .. } => format!("{} gap {lost}", head.n),
            _ => format!("{} {}", head.n, head.kind),
        },
        Text::Foreign(head) => format!("{} v{} {}", head.n, head.v, head.kind),
        Text::Unreadable(_) => "-".to_owned(),
    }
}

fn note(text: impl Into<String>) -> Event {
    What::Note { text: text.into() }.into()
}

/// The same as the record alone must have them: from 1, without a gap.
fn numbers(place: &Place) -> Vec<u64> {
    let lines = place.lines();
    let numbers = lines.iter().filter_map(|line| match &line.text {
        Text::Event(event) => Some(event.head.n),
        _ => None,
    });
    numbers.collect()
}
