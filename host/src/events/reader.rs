// SPDX-License-Identifier: Apache-2.0
//! Reading the record from its beginning, also while it is written.
//!
//! A line that this version cannot read is handed out as what it is. The end of a line that is
//! being written is waited for by whoever follows; to others it is a torn line.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::line::{LINE, VERSION};
use super::what::What;

/// What every line of every version has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// The version of the line.
    pub v: u64,
    /// Its number.
    pub n: u64,
    /// When, since 1970.
    #[serde(default)]
    pub at_ms: u64,
    /// The task.
    #[serde(default)]
    pub task: Option<String>,
    /// The root action in it.
    #[serde(default)]
    pub root: Option<u64>,
    /// What kind of event.
    #[serde(default)]
    pub kind: String,
}

/// An event as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// What it has in common with others.
    pub head: Head,
    /// What happened.
    pub what: What,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// An event.
    Event(Recorded),
    /// An event of a version or kind that is not known here.
    Foreign(Head),
    /// Not an event: damaged, too long, or torn.
    Unreadable(String),
}

/// A line of the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub text: Text,
    /// Its bytes without its end, as far as they are kept.
    pub raw: Vec<u8>,
}

/// Where a line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// Its number among the lines of the file, from 1.
    pub line: u64,
}

/// A place in the record.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    open: Option<Open>,
    /// Where the next line begins.
    next: Place,
    /// What is known of it: its first bytes, and how many there are.
    part: Vec<u8>,
    length: u64,
}

#[derive(Debug)]
struct Open {
    file: BufReader<File>,
    id: (u64, u64),
}

impl Reader {
    /// At the record's beginning. It need not be there yet.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let path = path.to_owned();
        Self {
            path,
            open: None,
            next: Place { offset: 0, line: 1 },
            part: Vec::new(),
            length: 0,
        }
    }

    /// Goes on at a line that was read before.
    ///
    /// # Errors
    /// What the system says.
    pub fn seek(&mut self, to: Place) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            open.file.seek(SeekFrom::Start(to.offset))?;
            self.begin(to);
        }
        Ok(())
    }

    /// The next line that has an end; `None` where there is none for now.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&mut self) -> io::Result<Option<Line>> {
        loop {
            if self.open.is_none() && !self.open_file()? {
                return Ok(None);
            }
            if let Some(line) = self.read_open()? {
                return Ok(Some(line));
            }
            if !self.is_replaced()? {
                return Ok(None);
            }
            // What came between the last read and the renaming; then its unfinished line.
            if let Some(line) = self.read_open()? {
                return Ok(Some(line));
            }
            let rest = self.torn();
            self.open = None;
            self.begin(Place { offset: 0, line: 1 });
            if rest.is_some() {
                return Ok(rest);
            }
        }
    }

    /// Whether what was read last is a part of a line.
    #[must_use]
    pub fn is_within_a_line(&self) -> bool {
        self.length > 0
    }

    /// What stands after the last line's end, if anything: nobody is writing it any more.
    pub fn torn(&mut self) -> Option<Line> {
        if self.length == 0 {
            return None;
        }
        let why = format!("{} bytes without an end: a writer was cut off", self.length);
        Some(self.finish(0, |_| Text::Unreadable(why)))
    }

    fn begin(&mut self, at: Place) {
        self.next = at;
        self.part.clear();
        self.length = 0;
    }

    fn open_file(&mut self) -> io::Result<bool> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        let id = (meta.dev(), meta.ino());
        let file = BufReader::with_capacity(LINE, file);
        self.open = Some(Open { file, id });
        Ok(true)
    }

    /// Whether another file has the name by now, or this one was cut.
    fn is_replaced(&self) -> io::Result<bool> {
        let Some(open) = &self.open else {
            return Ok(true);
        };
        match fs::metadata(&self.path) {
            Ok(there) => {
                let read = self.next.offset.saturating_add(self.length);
                Ok((there.dev(), there.ino()) != open.id || there.len() < read)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read_open(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(open) = &mut self.open else {
                return Ok(None);
            };
            let bytes = match open.file.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            if bytes.is_empty() {
                return Ok(None);
            }
            let newline = bytes.iter().position(|byte| *byte == b'\n');
            let piece = bytes
                .get(..newline.unwrap_or(bytes.len()))
                .unwrap_or_default();
            // One byte more than a line may have says that it is too long.
            let room = (LINE + 1).saturating_sub(self.part.len());
            self.part
                .extend_from_slice(piece.get(..room).unwrap_or(piece));
            let len = piece.len();
            self.length += len as u64;
            open.file.consume(len + usize::from(newline.is_some()));
            if newline.is_some() {
                return Ok(Some(self.finish(1, parse)));
            }
        }
    }

    /// The line is known to its end, which has so many bytes.
    fn finish(&mut self, end: u64, text: impl FnOnce(&[u8]) -> Text) -> Line {
        let (place, length) = (self.next, self.length);
        let raw = std::mem::take(&mut self.part);
        self.begin(Place {
            offset: place.offset + length + end,
            line: place.line + 1,
        });
        let text = text(&raw);
        Line { place, text, raw }
    }
}

/// What a line says.
fn parse(line: &[u8]) -> Text {
    if line.len() > LINE {
        return Text::Unreadable(format!("longer than {LINE} bytes"));
    }
    let head: Head = match serde_json::from_slice(line) {
        Ok(head) => head,
        Err(error) => return Text::Unreadable(error.to_string()),
    };
    if head.v != VERSION {
        return Text::Foreign(head);
    }
    match serde_json::from_slice(line) {
        Ok(what) => Text::Event(Recorded { head, what }),
        Err(_) => Text::Foreign(head),
    }
}
