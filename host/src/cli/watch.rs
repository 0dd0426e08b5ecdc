// SPDX-License-Identifier: Apache-2.0
//! `ampoule watch`: tasks, what they do and what waits for people, as it happens, and the keys to
//! decide it.
//!
//! ```text
//! record, approvals, tasks ─► Feed ─┐
//!                                   ├─► Model ─► draw
//!                        keys ──────┘     └─► Command ─► Desk
//! ```
//!
//! A part of `ampoule-policy`, since it weighs more than all that `ampoule` has to start quickly
//! with. It decides as `ampoule approvals` does and holds nothing: ended at any time, all is as it
//! was.

mod act;
mod ask;
mod draw;
mod feed;
mod fit;
mod keys;
mod model;
mod page;
mod panes;
mod screen;
mod story;

use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use policy::approval::store::Filter;
use policy::approval::{ItemId, Store as _};
use ratatui::crossterm::event::{self, Event};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::events::find;
use super::{CliError, chain, store};
use crate::approvals::{Approvals, ApprovalsError, now_ms, who};
use crate::events::path;
use crate::folders::Folders;
use crate::sys::signals::Signals;
use act::Desk;
use feed::Feed;
use keys::Command;
use model::{Model, Pane};
use screen::Screen;

/// Signals that end it, and the one that says that the terminal has another size.
const SIGNALS: [i32; 5] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGWINCH,
];

/// How often it is drawn while much is read.
const FRAME: Duration = Duration::from_millis(100);

const TERMINAL: &str = "cannot use the terminal";

/// Watch tasks and what waits for you, and decide it with a key
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Only this task: its id or the beginning of it
    task: Option<String>,
}

impl Watch {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        if !screen::is_there() {
            eprintln!(
                "ampoule: watch needs a terminal; without one use `ampoule events -f` and \
                 `ampoule approvals ls`"
            );
            return Ok(2);
        }
        let tasks = store(folders)?;
        let approvals = Approvals::open(folders)?;
        let only = match &self.task {
            Some(prefix) => Some(only(folders, &approvals, prefix)?),
            None => None,
        };
        let desk = Desk {
            folders,
            store: &approvals,
            by: who().map_err(ApprovalsError::from)?,
        };
        let mut view = View {
            model: Model::new(only, now_ms()),
            feed: Feed::new(folders, &tasks, &approvals),
            desk,
            shown: None,
        };
        let signals = Signals::block(&SIGNALS).map_err(CliError::io(TERMINAL))?;
        view.feed.turn(&mut view.model);
        if !view.model.waiting.is_empty() {
            view.model.focus = Pane::Approvals;
            view.model.choose();
        }
        let mut screen = Screen::take().map_err(CliError::io(TERMINAL))?;
        let ended = view.run(&mut screen, &signals);
        drop(screen);
        ended
    }
}

/// The task meant. One that only asked is known by its approvals.
fn only(folders: &Folders, approvals: &Approvals, prefix: &str) -> Result<String, CliError> {
    let found = find(folders, &path(folders), prefix);
    if found.is_ok() {
        return found;
    }
    let filter = Filter {
        task: Some(prefix.to_owned()),
        waiting: false,
    };
    let asked = approvals.list(&filter).map_err(ApprovalsError::from)?;
    match asked.is_empty() {
        true => found,
        false => Ok(prefix.to_owned()),
    }
}

/// What is shown, and where it is from.
struct View<'a> {
    model: Model,
    feed: Feed<'a>,
    desk: Desk<'a>,
    /// What was recorded last as seen.
    shown: Option<(ItemId, u32)>,
}

impl View<'_> {
    fn run(&mut self, screen: &mut Screen, signals: &Signals) -> Result<u8, CliError> {
        let failed = || CliError::io(TERMINAL);
        let mut changed = true;
        let mut drawn: Option<Instant> = None;
        loop {
            changed |= self.model.tick(now_ms());
            changed |= self.feed.turn(&mut self.model);
            let early = self.model.reading && drawn.is_some_and(|then| then.elapsed() < FRAME);
            if changed && !early {
                self.draw(screen)?;
                drawn = Some(Instant::now());
                changed = false;
            }
            let gone = wait(signals, self.model.reading).map_err(failed())?;
            while let Some(signal) = signals.next().map_err(failed())? {
                if signal != libc::SIGWINCH {
                    // As the shell calls a command that a signal ended.
                    return Ok(u8::try_from(signal.saturating_add(128)).unwrap_or(1));
                }
                changed = true;
            }
            if gone {
                return Ok(0);
            }
            while event::poll(Duration::ZERO).map_err(failed())? {
                changed = true;
                drawn = None;
                match self.take(event::read().map_err(failed())?) {
                    Some(Command::Quit) => return Ok(0),
                    Some(Command::Redraw) => screen.clear().map_err(failed())?,
                    Some(command) => self.perform(command),
                    None => {}
                }
            }
        }
    }

    fn draw(&mut self, screen: &mut Screen) -> Result<(), CliError> {
        let drawn = screen.draw(&self.model).map_err(CliError::io(TERMINAL))?;
        if drawn.page.is_some() {
            self.model.top = drawn.top;
        }
        // From here on it counts how long that person takes, and what they saw.
        if let Some((id, _)) = &drawn.page
            && self.shown != drawn.page
            && self.model.is_chosen()
        {
            if let Err(error) = self.desk.shown(id) {
                self.model.message = chain(&error);
            }
            self.shown.clone_from(&drawn.page);
        }
        self.model.drawn = drawn;
        Ok(())
    }

    fn take(&mut self, event: Event) -> Option<Command> {
        self.model.now_ms = now_ms();
        match event {
            Event::Key(key) => self.model.key(key),
            Event::Paste(text) => {
                self.model.paste(&text);
                None
            }
            _ => None,
        }
    }

    fn perform(&mut self, command: Command) {
        self.model.message = self.desk.perform(command);
        self.feed.decided();
    }
}

/// Waits for a key, a signal or the next look; says whether the terminal is gone.
fn wait(signals: &Signals, busy: bool) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut fds = [
        PollFd::new(&stdin, PollFlags::IN),
        PollFd::new(signals, PollFlags::IN),
    ];
    let pause = if busy {
        Duration::ZERO
    } else {
        feed::APPROVALS
    };
    let pause = Timespec::try_from(pause).ok();
    match poll(&mut fds, pause.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let [stdin, _] = fds;
    Ok(stdin
        .revents()
        .intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL))
}

#[cfg(test)]
mod tests;
