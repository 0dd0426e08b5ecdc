// SPDX-License-Identifier: Apache-2.0
//! `ampoule events`: what happened to tasks, a line an event, from the one record of it.
//!
//! Nothing in the record is passed over: what this version cannot read is shown as what it is,
//! whatever was asked for, since it may be just that.

pub(super) mod phrase;

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{CliError, store, values};
use crate::events::{self, Head, KINDS, Line, Place, Reader, Recorded, Text, VERSION, What};
use crate::folders::Folders;
use crate::store::{Store, StoreError, now_ms};
use crate::task::TaskId;

/// How often a record that is followed is looked at.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// How long a line without an end may be one that is being written.
const UNFINISHED: Duration = Duration::from_millis(25);

/// How often it is looked at again.
const LOOKS: usize = 4;

/// An event of a task that has ended is recorded by then.
const LATE_MS: i64 = 2000;

/// Tasks that an ambiguous beginning is said to be of, at most.
const CANDIDATES: usize = 6;

const READ: &str = "cannot read the record of events";

const WRITE: &str = "cannot write to stdout";

/// Show what happened to tasks, the oldest first
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Go on with what happens from now on; of a task, until it has ended
    #[arg(short, long)]
    follow: bool,
    /// Only events of these kinds, e.g. verdict,decided
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    kind: Vec<String>,
    /// Only what happened in the last while, e.g. 10m
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    since: Option<Duration>,
    /// Only the last of them
    #[arg(short = 'n', long = "last", value_name = "LAST")]
    last: Option<usize>,
    /// The lines as they are recorded, JSON each
    #[arg(long)]
    json: bool,
    /// Only events of this task: its id or the beginning of it
    task: Option<String>,
}

/// A kind that is none.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no kind of event; there are {all}", all = KINDS.join(", "))]
struct NotAKind(String);

fn kind(text: &str) -> Result<String, NotAKind> {
    match KINDS.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(NotAKind(text.to_owned())),
    }
}

impl Events {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let path = events::path(folders);
        let task = match &self.task {
            Some(prefix) => Some(find(folders, &path, prefix)?),
            None => None,
        };
        let since = self.since.map(|since| {
            let since = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
            u64::try_from(now_ms().saturating_sub(since)).unwrap_or(0)
        });
        let mut filter = Filter {
            task,
            kinds: self.kind,
            since,
            recent: since.is_none(),
            is_over: false,
        };
        let follows_one = self.follow && filter.task.is_some();
        let tasks = follows_one.then(|| Store::open(folders)).transpose()?;
        let mut reader = Reader::open(&path);
        if let Some(last) = self.last {
            go_to_last(&mut reader, &mut filter, last).map_err(CliError::io(READ))?;
        }
        let mut view = View {
            out: BufWriter::new(io::stdout().lock()),
            json: self.json,
            path: &path,
        };
        loop {
            // What is there by then is all there is.
            let last = !self.follow || filter.is_over || is_long_over(tasks.as_ref(), &filter);
            let looks = if last { LOOKS } else { 1 };
            let whole = read(&mut reader, looks, |line| view.show(line, &mut filter))?;
            if last && !whole {
                let torn = reader.torn();
                torn.iter()
                    .try_for_each(|line| view.show(line, &mut filter))?;
            }
            view.out.flush().map_err(CliError::io(WRITE))?;
            if last || (!filter.is_over && nobody_reads_for_a_while()) {
                return Ok(0);
            }
        }
    }
}

/// Whether the task asked for ended, or its record was removed, so long ago that no event of it is
/// on its way: that it ended is not among them if its loop was killed before.
fn is_long_over(tasks: Option<&Store>, filter: &Filter) -> bool {
    let (Some(tasks), Some(task)) = (tasks, &filter.task) else {
        return false;
    };
    match tasks.find(task) {
        Ok(task) => {
            let ended = task.ended_ms.unwrap_or(i64::MAX);
            now_ms().saturating_sub(ended) > LATE_MS
        }
        Err(StoreError::Unknown(_)) => true,
        // It is looked for again.
        Err(_) => false,
    }
}

/// The task meant. One whose record was removed is known by its events.
pub(super) fn find(folders: &Folders, path: &Path, prefix: &str) -> Result<String, CliError> {
    let unknown = match store(folders)?.find(prefix) {
        Ok(task) => return Ok(task.id.into()),
        Err(unknown @ StoreError::Unknown(_)) => unknown,
        Err(error) => return Err(error.into()),
    };
    let prefix = TaskId::prefix(prefix).map_err(StoreError::from)?;
    let mut found = BTreeSet::new();
    let mut reader = Reader::open(path);
    while let Some(line) = reader.read().map_err(CliError::io(READ))? {
        let task = head(&line.text).and_then(|head| head.task.clone());
        let begins = task.filter(|task| task.starts_with(&prefix));
        found.extend(begins.filter(|_| found.len() < CANDIDATES));
    }
    match found.len() {
        0 => Err(unknown.into()),
        1 => Ok(found.pop_first().unwrap_or_default()),
        _ => {
            let ids = found.into_iter().collect();
            Err(StoreError::Ambiguous { prefix, ids }.into())
        }
    }
}

fn head(text: &Text) -> Option<&Head> {
    match text {
        Text::Event(Recorded { head, .. }) => Some(head),
        Text::Foreign(head) => Some(head),
        Text::Unreadable(_) => None,
    }
}

/// Which lines are asked for.
struct Filter {
    task: Option<String>,
    kinds: Vec<String>,
    since: Option<u64>,
    /// Whether the last line that has a time is recent enough: those without are as old.
    recent: bool,
    /// The task asked for has ended, as far as was read, shown or not.
    is_over: bool,
}

impl Filter {
    fn takes(&mut self, line: &Line) -> bool {
        // What another version means by a field is not known.
        let Some(head) = head(&line.text).filter(|head| head.v == VERSION) else {
            return self.recent;
        };
        if let Text::Event(event) = &line.text
            && matches!(event.what, What::TaskEnded { .. })
            && self.task.is_some()
        {
            self.is_over |= head.task == self.task;
        }
        self.recent = self.since.is_none_or(|since| head.at_ms >= since);
        let task = self.task.is_none() || head.task == self.task;
        let kind = self.kinds.is_empty() || self.kinds.contains(&head.kind);
        self.recent && task && kind
    }
}

/// Goes to where the last lines begin that are asked for. Only their places are kept.
fn go_to_last(reader: &mut Reader, filter: &mut Filter, last: usize) -> io::Result<()> {
    let mut places: VecDeque<Place> = VecDeque::new();
    while let Some(line) = reader.read()? {
        if line.place.offset == 0 {
            places.clear(); // of a file that was replaced
        }
        if filter.takes(&line) && last > 0 {
            if places.len() == last {
                places.pop_front();
            }
            places.push_back(line.place);
        }
    }
    if let Some(first) = places.front() {
        reader.seek(*first)?;
        filter.recent = true;
    }
    Ok(())
}

/// Reads to the end, for now; says whether no line there lacks its own end.
fn read(
    reader: &mut Reader,
    looks: usize,
    mut each: impl FnMut(&Line) -> Result<(), CliError>,
) -> Result<bool, CliError> {
    for look in 0..looks {
        if look > 0 {
            std::thread::sleep(UNFINISHED);
        }
        while let Some(line) = reader.read().map_err(CliError::io(READ))? {
            each(&line)?;
        }
        if !reader.is_within_a_line() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is written to stdout.
struct View<'a, W: Write> {
    out: BufWriter<W>,
    json: bool,
    path: &'a Path,
}

impl<W: Write> View<'_, W> {
    fn show(&mut self, line: &Line, filter: &mut Filter) -> Result<(), CliError> {
        if !filter.takes(line) {
            return Ok(());
        }
        let wrote = match (&line.text, self.json) {
            (_, false) => writeln!(self.out, "{}", phrase::line(line)),
            // Who reads JSON reads no other line.
            (Text::Unreadable(_), true) => {
                eprintln!("ampoule: {}: {}", self.path.display(), phrase::line(line));
                Ok(())
            }
            (_, true) => {
                let wrote = self.out.write_all(&line.raw);
                wrote.and_then(|()| self.out.write_all(b"\n"))
            }
        };
        wrote.map_err(CliError::io(WRITE))
    }
}

/// Waits a while; says whether nobody reads stdout any more, which else only a write would tell.
fn nobody_reads_for_a_while() -> bool {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    matches!(poll(&mut fds, Some(&PAUSE)), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests;
