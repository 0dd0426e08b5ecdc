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
use policy::approval::Scope;
use policy::effects::place::Setting;
use policy::effects::{Analysis, Script};
use prost::Message;
use protocol::actions::{Done, Hold, Intent, Uses, Withdrawn};
use protocol::messages::Hello;
use protocol::{Frame, FrameError, Kind, VERSION};

use super::asks::{Asker, Asks, PEOPLES, Terms, Tree};
use super::court::{Court, short};
use super::intent::text;
use super::record::Book;
use super::serve::Shared;
use super::wire::{Begin, FromLoop, Root, ToLoop};
use crate::api::{Lines, Received, send_line};
use crate::events::{UseOf, What};
use crate::poll::Interests;
use crate::supervise::wire::Wire;

mod answers;
mod roots;
mod said;

/// What the gate may say.
const GATE: &[Kind] = &[
    Kind::Hello,
    Kind::Intent,
    Kind::Uses,
    Kind::Withdrawn,
    Kind::Done,
    Kind::Declared,
];

/// How long a supervisor may take to say for which task it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Passes under grants that are recorded of one frame, and words of each.
const USES: usize = 1024;

/// Words of each that are recorded.
const WORDS: usize = 64;

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

#[derive(Clone, Debug)]
struct Approved {
    scope: Scope,
    scripts: Vec<Script>,
    approval: String,
}

impl Approved {
    /// What an approval was given for.
    fn of(action: &Action, analysis: &Analysis, setting: &Setting, approval: &str) -> Self {
        Self {
            scope: Scope::of(analysis, setting, action.cwd.as_deref()),
            scripts: analysis.scripts.clone(),
            approval: approval.to_owned(),
        }
    }

    /// Whether what is judged now has nothing in it that people were not asked about.
    fn covers(&self, action: &Action, analysis: &Analysis, setting: &Setting) -> bool {
        let seen = Scope::of(analysis, setting, action.cwd.as_deref());
        let mut scripts = analysis.scripts.iter();
        scripts.all(|script| self.scripts.contains(script)) && self.scope.holds(&seen)
    }
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Supervisor,
    Gate,
}

/// The gate's connection.
#[derive(Debug)]
struct Gate {
    wire: Wire,
    greeted: bool,
}

/// One task.
#[derive(Debug)]
struct Task<'a> {
    shared: &'a Shared,
    socket: OwnedFd,
    lines: Lines,
    court: Court,
    /// How often policies and model changed, as the gate was told.
    generation: u64,
    asks: Asks<Source>,
    book: Book,
    gate: Option<Gate>,
    roots: BTreeMap<u64, Started>,
    said: said::Said,
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
            generation: 0,
            asks: Asks::new(terms, shared.person()),
            book: Book::new(begin.task.to_string(), record),
            gate: None,
            roots: BTreeMap::new(),
            said: said::Said::default(),
            over: false,
            ended: None,
        })
    }

    fn run(mut self, begin: &Begin) -> io::Result<()> {
        let served = self.serve(begin);
        self.asks.withdraw_all(|_| true, "its task ended");
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
        // What came with the first line is in no socket any more.
        self.lines()?;
        if !begin.ungated {
            // The guest is still on its way.
            self.court.look_up_grants();
        }
        while !self.over {
            let mut interests = Interests::new();
            interests.read(self.socket.as_fd(), Name::Supervisor);
            if let Some(gate) = self.gate.as_ref().filter(|gate| gate.wire.is_open()) {
                interests.both(gate.wire.as_fd(), gate.wire.is_sending(), Name::Gate);
            }
            for name in interests.wait(self.asks.next())? {
                match name {
                    Name::Supervisor => self.supervisor()?,
                    Name::Gate => self.gate(),
                }
            }
            if self.asks.next().is_some_and(|at| Instant::now() >= at) {
                self.hear();
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
                    self.asks.withdraw(Asker::Root(root), why);
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

    /// Takes the gate's connection. All that waited on one before is forgotten: the gate asks
    /// again.
    fn connected(&mut self, socket: OwnedFd) {
        self.disconnected();
        self.gate = Some(Gate {
            wire: Wire::new(socket, GATE),
            greeted: false,
        });
    }

    fn disconnected(&mut self) {
        self.gate = None;
        let of_gate = |asker| match asker {
            Asker::Intent(_) => true,
            Asker::Said(id, _) => id != PEOPLES,
            Asker::Root(_) => false,
        };
        self.said.disconnected();
        self.asks
            .withdraw_all(of_gate, "the gate that asked is gone");
    }

    /// Reads what the gate says.
    fn gate(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.wire.flush();
            if gate.wire.receive().is_err() {
                return self.disconnected();
            }
        }
        loop {
            let frame = match self.gate.as_mut().map(|gate| gate.wire.take()) {
                Some(Ok(Some(frame))) => frame,
                Some(Ok(None)) => break,
                Some(Err(error)) => return self.broke(&error),
                None => return,
            };
            if let Err(error) = self.frame(&frame) {
                return self.broke(&error);
            }
        }
        if self.gate.as_ref().is_some_and(|gate| !gate.wire.is_open()) {
            self.disconnected();
        }
    }

    fn broke(&mut self, error: &FrameError) {
        let text = format!("the gate broke the protocol: {}", crate::cli::chain(error));
        self.book.note(None, What::Note { text: short(&text) });
        self.disconnected();
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), FrameError> {
        let kind = frame.kind;
        let greeted = self.gate.as_ref().is_some_and(|gate| gate.greeted);
        if (kind == Kind::Hello) == greeted {
            return Err(FrameError::Unexpected { kind });
        }
        match kind {
            Kind::Hello => {
                let hello: Hello = frame.decode(kind)?;
                if hello.version != VERSION {
                    return Err(FrameError::Unexpected { kind });
                }
                self.greeted();
            }
            Kind::Intent => {
                let intent: Intent = frame.decode(kind)?;
                self.intent(intent, frame.body.len());
            }
            Kind::Uses => self.uses(&frame.decode(kind)?),
            Kind::Withdrawn => {
                let Withdrawn { id } = frame.decode(kind)?;
                let why = "the process that asked is gone";
                if self.asks.withdraw(Asker::Intent(id), why) {
                    self.book.note(None, What::Withdrawn { id });
                }
                self.unsaid(id, why);
            }
            Kind::Done => self.done(&frame.decode(kind)?),
            Kind::Declared => self.heard(&frame.decode(kind)?),
            kind => return Err(FrameError::Unexpected { kind }),
        }
        Ok(())
    }

    fn greeted(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.greeted = true;
        }
        self.grant("the gate connected");
        self.say(Kind::Hold, &Hold::default());
    }

    /// Tells the gate what it need not ask, in place of all before.
    fn grant(&mut self, why: &str) {
        let grants = self.court.grants();
        let programs = u32::try_from(grants.programs.len()).unwrap_or(u32::MAX);
        let why = why.to_owned();
        self.book.note(None, What::Granted { programs, why });
        self.say(Kind::Grants, &grants);
    }

    /// Looks whether policies and model are what they were, and tells the gate if not.
    fn look_at_policies(&mut self) {
        let generation = self.court.look(&self.shared.shelf);
        if std::mem::replace(&mut self.generation, generation) != generation {
            self.grant("the policies or the model changed");
        }
    }

    /// Sends the gate a message. One that does not read loses its connection.
    fn say(&mut self, kind: Kind, message: &impl Message) {
        if let Some(gate) = &mut self.gate
            && gate.wire.post(kind, &message.encode_to_vec()).is_err()
        {
            self.disconnected();
        }
    }

    /// With what an approval for a root action stands.
    fn tree(&self, root: u64) -> Tree {
        match self.said.is_of_plan(root) {
            true => Tree::Plan,
            false => Tree::Root(root),
        }
    }

    fn uses(&mut self, uses: &Uses) {
        let over = uses.uses.len().saturating_sub(USES);
        let lost = uses
            .lost
            .saturating_add(u64::try_from(over).unwrap_or(u64::MAX));
        let told = uses.uses.iter().take(USES).map(|one| {
            let argv: Vec<String> = one.argv.iter().take(WORDS).map(|word| text(word)).collect();
            UseOf {
                grant: one.grant,
                program: argv.first().cloned().unwrap_or_default(),
                argv,
                pid: one.pid,
            }
        });
        let uses = told.collect();
        self.book.note(None, What::Uses { uses, lost });
    }

    fn done(&mut self, done: &Done) {
        let what = What::Done {
            id: done.id,
            errno: done.errno,
            rule: short(&done.rule),
            detail: short(&done.detail),
        };
        self.book.note(Some(done.root), what);
    }
}
