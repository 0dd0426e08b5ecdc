// SPDX-License-Identifier: Apache-2.0
//! One task: its supervisor's connection, its gate's, and everything in between, in one thread.
//!
//! The gate's frames are read as they come and answered in that order, but for those that people
//! are asked about, which are answered when they are decided. A gate that breaks the protocol
//! loses its connection, and nothing passes until it has made another.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use policy::action::Action;
use policy::posture::Held;
use protocol::actions::Intent;

use super::asks::{Asker, Asks, Terms, Tree};
use super::court::{Court, short};
use super::record::Book;
use super::serve::Shared;
use super::wire::{Begin, FromLoop, Root, ToLoop, Waits};
use crate::api::{Lines, Received, send_line};
use crate::events::What;
use crate::poll::Interests;

mod answers;
mod approved;
mod back;
mod gate;
mod held;
mod roots;
mod said;
mod unasked;

use approved::Approved;
use gate::Gate;
#[cfg(test)]
pub(super) use gate::SHARE;

/// How long a supervisor may take to say for which task it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was judged and waits.
#[derive(Debug)]
enum Source {
    Root(Root),
    Intent(Box<Intent>),
    /// What somebody said will be done.
    Said(Box<Action>),
}

/// A root action that was let start.
#[derive(Debug)]
struct Started {
    argv: Vec<String>,
    /// With what people approved, if they were asked.
    approved: Option<Approved>,
    /// A program of it was seen to start.
    begun: bool,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Supervisor,
    Gate,
}

/// One task.
#[derive(Debug)]
struct Task<'a> {
    shared: &'a Shared,
    socket: OwnedFd,
    lines: Lines,
    court: Court,
    /// Whether anything of it is judged.
    gated: bool,
    /// How often policies and model changed, as the gate was told.
    generation: u64,
    asks: Asks<Source>,
    book: Book,
    gate: Option<Gate>,
    /// How much the gate has told.
    told: u64,
    roots: BTreeMap<u64, Started>,
    said: said::Said,
    held: Held,
    /// As the supervisor knows.
    waits: Waits,
    over: bool,
    /// How its supervisor says it ended.
    ended: Option<(Option<i32>, String)>,
}

/// Serves a supervisor until it has gone.
///
/// # Errors
/// What the system says of its connection.
pub fn serve(socket: OwnedFd, shared: &Shared) -> io::Result<()> {
    let mut lines = Lines::default();
    let since = Instant::now();
    let begin = loop {
        match lines.take()? {
            Some(ToLoop::Begin(begin)) => break begin,
            Some(_) => return Err(io::ErrorKind::InvalidData.into()),
            None => {}
        }
        let mut interests = Interests::new();
        interests.read(socket.as_fd(), ());
        let left = PATIENCE.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        interests.wait(Instant::now().checked_add(left))?;
        if lines.receive(&socket, false)? == Received::Closed {
            return Ok(());
        }
    };
    match Task::new(&begin, shared, (socket, lines)) {
        Ok(task) => task.run(&begin),
        Err((socket, why)) => send_line(&socket, &FromLoop::Refused(why), None, false),
    }
}

impl<'a> Task<'a> {
    fn new(
        begin: &Begin,
        shared: &'a Shared,
        (socket, lines): (OwnedFd, Lines),
    ) -> Result<Self, (OwnedFd, String)> {
        let court = Court::new(&shared.shelf, begin);
        let limits = match court.limits() {
            Ok(limits) => limits,
            Err(why) => return Err((socket, short(&format!("no policies are in force: {why}")))),
        };
        if begin.ungated && !limits.ungated {
            let why =
                "--ungated is not allowed; the operator's limits.toml may say `ungated = true`";
            return Err((socket, why.to_owned()));
        }
        let record = match shared.record(&begin.folders) {
            Ok(record) => record,
            Err(why) => return Err((socket, short(&why))),
        };
        let terms = Terms {
            task: begin.task.to_string(),
            folders: begin.folders.clone(),
            on_ask: begin.on_ask,
            wait: Duration::from_millis(begin.wait_ms),
        };
        Ok(Self {
            shared,
            socket,
            lines,
            court,
            gated: !begin.ungated,
            generation: 0,
            asks: Asks::new(terms, shared.person()),
            book: Book::new(begin.task.to_string(), record),
            gate: None,
            told: 0,
            roots: BTreeMap::new(),
            said: said::Said::default(),
            held: Held::default(),
            waits: Waits::Nothing,
            over: false,
            ended: None,
        })
    }

    fn run(mut self, begin: &Begin) -> io::Result<()> {
        let served = self.serve(begin);
        self.over = true;
        self.last_words();
        self.hear();
        self.withdraw_all(|_| true, "its task ended");
        let gone = || {
            (
                None,
                "its supervisor is gone, and did not say how it ended".to_owned(),
            )
        };
        let (code, reason) = self.ended.take().unwrap_or_else(gone);
        self.book.note(None, What::TaskEnded { code, reason });
        served
    }

    fn serve(&mut self, begin: &Begin) -> io::Result<()> {
        self.begin(begin);
        self.take_hold(begin.held.clone());
        // What came with the first line is in no socket any more.
        self.lines()?;
        if !begin.ungated {
            // The guest is still on its way.
            self.court.look_up_grants();
        }
        while !self.over {
            let mut interests = Interests::new();
            interests.read(self.socket.as_fd(), Name::Supervisor);
            let gate = self.gate.as_ref().filter(|gate| gate.wire.is_open());
            if let Some(gate) = gate.filter(|_| !self.is_paused()) {
                interests.both(gate.wire.as_fd(), gate.wire.is_sending(), Name::Gate);
            }
            let was_paused = self.is_paused();
            for name in interests.wait(self.next_look())? {
                match name {
                    Name::Supervisor => self.supervisor()?,
                    Name::Gate => self.gate(),
                }
            }
            if self.next_look().is_some_and(|at| Instant::now() >= at) {
                self.hear();
            }
            self.tell_waits();
            if was_paused && !self.is_paused() {
                // What had come by then.
                self.gate();
                self.tell_waits();
            }
        }
        Ok(())
    }

    fn begin(&mut self, begin: &Begin) {
        let gated = !begin.ungated;
        let what = match begin.again {
            true => What::Note {
                text: "the policy loop was started again".to_owned(),
            },
            false => What::TaskStarted {
                image: begin.image.clone(),
                argv: begin.argv.iter().map(|word| word.lossy()).collect(),
                workspace: begin
                    .workspace
                    .as_ref()
                    .map(|path| path.display().to_string()),
                by: self.shared.person().map(|who| who.to_string()),
                gated,
            },
        };
        let broken = self.book.broken();
        let sealed = match (gated, broken) {
            (_, Some(why)) => Err(why),
            (true, None) => {
                self.book.note(None, what);
                Ok(())
            }
            // What is not judged is at least known to have been started so.
            (false, None) => self.book.seal(None, what),
        };
        if let Err(why) = sealed {
            self.tell(&FromLoop::Refused(short(&why)));
            self.over = true;
            return;
        }
        let warning = (!gated).then_some("nothing that the task does is judged (--ungated)");
        let warning = warning.map(str::to_owned);
        self.tell(&FromLoop::Begun { gated, warning });
        if let Some(plan) = &begin.plan {
            self.plan(plan, gated);
        }
    }

    /// Tells the supervisor. One that does not listen has ended.
    fn tell(&mut self, line: &FromLoop) {
        if send_line(&self.socket, line, None, false).is_err() {
            self.over = true;
        }
    }

    fn supervisor(&mut self) -> io::Result<()> {
        let received = self.lines.receive(&self.socket, false)?;
        self.lines()?;
        self.over |= received == Received::Closed;
        Ok(())
    }

    fn lines(&mut self) -> io::Result<()> {
        while let Some(line) = self.lines.take()? {
            match line {
                ToLoop::Begin(_) => return Err(io::ErrorKind::InvalidData.into()),
                ToLoop::Root(root) => self.root(root),
                ToLoop::Gone(root) => {
                    let why = "nobody waits for the command any more";
                    self.withdraw(Asker::Root(root), why);
                }
                ToLoop::Hold(hold) => self.hold(hold),
                ToLoop::Parked => self.parked(),
                ToLoop::Unparked { parked_ms } => {
                    let waited_ms = parked_ms;
                    self.book.note(None, What::Resumed { waited_ms });
                }
                ToLoop::Ended { code, reason } => self.ended = Some((code, short(&reason))),
                ToLoop::Guest => {
                    if let Some(socket) = self.lines.descriptor() {
                        self.connected(socket);
                    }
                }
            }
        }
        Ok(())
    }

    /// How the supervisor said that the task ended. One that is gone when it is told something may
    /// have said that before.
    fn last_words(&mut self) {
        while let Ok(Received::Some) = self.lines.receive(&self.socket, false) {}
        while let Ok(Some(line)) = self.lines.take() {
            if let ToLoop::Ended { code, reason } = line {
                self.ended = Some((code, short(&reason)));
            }
        }
    }

    /// With what an approval for a root action stands.
    fn tree(&self, root: u64) -> Tree {
        match self.said.is_of_plan(root) {
            true => Tree::Plan,
            false => Tree::Root(root),
        }
    }
}
