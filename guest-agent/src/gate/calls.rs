// SPDX-License-Identifier: Apache-2.0
//! Calls that wait: taken, planned, answered.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::AsFd;

use protocol::actions::{Done as Told, Intent, Use, Verdict};
use protocol::{Kind, Message};
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::images::{self, Look, Noted};
use super::perform::{self, Done, Waiter};
use super::place::Caller;
use super::plan::{self, Around, Asking, Deed, Plan};
use super::process;
use super::programs::{Pass, Program};
use super::serve::{Pending, Serve};
use super::sys::{self, Answer, Notification};
use crate::clock;

/// Most questions that wait. More are refused: a task cannot fill the guest's memory with them.
const MOST_PENDING: usize = 1024;
const MOST_PENDING_BYTES: usize = 16 << 20;
/// How often a start is judged again for files that the host had another copy of.
const MOST_ROUNDS: u32 = 4;
/// Uses of grants that wait to be told; more are counted only.
const MOST_USES: usize = 256;
/// How long uses wait for more of them.
const USES_NS: u64 = 50_000_000;

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Where it came from.
    pub(super) listener: u64,
    /// Its name there.
    pub(super) id: u64,
    pub(super) caller: Caller,
}

impl Call {
    pub(super) fn new(listener: u64, notification: &Notification) -> Self {
        Self {
            listener,
            id: notification.id,
            caller: Caller {
                thread: notification.thread,
            },
        }
    }
}

impl Serve {
    pub(super) fn on_calls(&mut self, number: u64, flags: PollFlags) {
        if flags.intersects(PollFlags::IN) {
            // One may have become so by another listener in the same round.
            if self.early.is_some() {
                return;
            }
            let Some(listener) = self.listeners.get(&number) else {
                return;
            };
            // An error: whoever waited is gone.
            if let Ok(call) = sys::receive(&listener.watch.listener) {
                self.on_call(number, &call);
            }
        } else if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            // No process of the command is left.
            self.listeners.remove(&number);
            self.pending
                .retain(|_, pending| pending.call.listener != number);
        }
    }

    pub(super) fn on_call(&mut self, number: u64, notification: &Notification) {
        let call = Call::new(number, notification);
        if self.is_start_of_command(number, notification) {
            return self.answer(call, Answer::Continue);
        }
        let system_call = libc::c_long::from(notification.call);
        let starts = matches!(system_call, libc::SYS_execve | libc::SYS_execveat);
        let is_first = system_call == libc::SYS_set_tid_address;
        // A program that is granted may be started by whatever runs: nothing of it is left then.
        let looks_later = starts && !self.images.waits_for(call.caller.thread);
        if !looks_later && self.images.look(call.caller, is_first) == Look::Wrong {
            return self.end(call);
        }
        if is_first {
            return self.answer(call, Answer::Continue);
        }
        self.call_host();
        if self.hold.is_none() {
            self.early = Some((number, *notification));
            return;
        }
        if starts {
            self.look_up();
        }
        let Some(listener) = self.listeners.get(&number) else {
            return;
        };
        let around = Around {
            caller: call.caller,
            who: &listener.watch.who,
            free: &listener.watch.free,
            grants: &self.granted,
            originals: &self.originals,
            strict: (self.hold.as_ref()).is_none_or(|hold| hold.no_grants || hold.read_only),
        };
        let plan = plan::plan(&around, notification);
        // What was read is this thread's only if it still waits.
        if !self.waits(call) {
            return;
        }
        match plan {
            Plan::Answer(answer) => self.answer(call, answer),
            Plan::Granted(pass) => self.start_granted(call, pass),
            Plan::Do(deed) => self.perform(call, deed, 0),
            Plan::Ask(_) if looks_later && self.images.look(call.caller, false) == Look::Wrong => {
                self.end(call);
            }
            Plan::Ask(asking) => self.ask(call, asking),
        }
    }

    /// The agent's own child, on its way to the command's first program: the host has judged that
    /// already, and the child is no program of the task's yet.
    fn is_start_of_command(&mut self, number: u64, notification: &Notification) -> bool {
        let own = self.own;
        let Some(listener) = self.listeners.get_mut(&number) else {
            return false;
        };
        // Of the first program any thread may be the first to call.
        if !listener.starting || process::of_thread(notification.thread) != listener.watch.process {
            return false;
        }
        let is_child = own.is_some() && images::exe(notification.thread) == own;
        let starts = libc::c_long::from(notification.call) == libc::SYS_execve;
        // The first thing that the C library of a program does.
        listener.starting = is_child && starts;
        let starting = listener.starting;
        if !starting {
            // Its first program was judged before it was started, by the agent's own child.
            self.images.pass(notification.thread);
        }
        starting
    }

    /// Whether whoever made a call still waits.
    pub(super) fn waits(&self, call: Call) -> bool {
        let listener = self.listeners.get(&call.listener);
        listener.is_some_and(|one| sys::waits(&one.watch.listener, call.id))
    }

    pub(super) fn answer(&self, call: Call, answer: Answer) {
        if let Some(listener) = self.listeners.get(&call.listener) {
            // An error: whoever waited is gone.
            let _ = sys::send(&listener.watch.listener, call.id, answer);
        }
    }

    /// A process that runs something else than what was let pass.
    fn end(&mut self, call: Call) {
        let process = match process::open(call.caller.thread) {
            Ok((process, pidfd)) => {
                sys::kill(pidfd);
                process
            }
            // It is gone already.
            Err(_) => call.caller.thread,
        };
        self.answer(call, Answer::Fail(libc::EACCES));
        let told = Told {
            root: self.root(call),
            pid: process,
            errno: libc::EACCES.unsigned_abs(),
            rule: "gate:changed-program".into(),
            detail: "it was ended: it runs something else than what was let pass".into(),
            ..Told::default()
        };
        self.say(Kind::Done, &told);
    }

    fn root(&self, call: Call) -> u64 {
        let listener = self.listeners.get(&call.listener);
        listener.map_or(0, |listener| listener.watch.root)
    }

    fn start_program(&mut self, call: Call, program: Program) {
        let noted = self
            .images
            .expect(call.caller, &program.start, program.told);
        self.answer_start(call, noted);
    }

    fn answer_start(&mut self, call: Call, noted: Result<Noted, Errno>) {
        match noted {
            Ok(_) if self.waits(call) => self.answer(call, Answer::Continue),
            Ok(noted) => self.images.take_back(noted),
            Err(errno) => self.answer(call, Answer::Fail(errno.raw_os_error())),
        }
    }

    /// Where every file that is run is confirmed, the kernel was told to run this one unasked, and
    /// no other: it need not be noted, unless another start of the process was, which came to
    /// nothing.
    fn start_granted(&mut self, call: Call, pass: Pass) {
        if self.loads.is_some() && !self.images.waits_for(call.caller.thread) {
            self.answer(call, Answer::Continue);
        } else {
            let noted = self.images.expect(call.caller, &pass.start, None);
            self.answer_start(call, noted);
        }
        self.used(call, pass);
    }

    fn used(&mut self, call: Call, pass: Pass) {
        if self.uses.uses.len() >= MOST_USES {
            self.uses.lost = self.uses.lost.saturating_add(1);
            return;
        }
        let root = self.root(call);
        self.uses.uses.push(Use {
            grant: pass.grant,
            root,
            pid: call.caller.thread,
            argv: pass.argv,
        });
        let due = || clock::now().saturating_add(USES_NS);
        self.uses_due.get_or_insert_with(due);
    }

    fn perform(&mut self, call: Call, deed: Deed, intent: u64) {
        let leaves = match &deed {
            Deed::Connect { .. } => true,
            // Nothing is kept in it.
            Deed::Open { there, .. } => there.is_device(),
            _ => false,
        };
        let read_only = self.hold.as_ref().is_none_or(|hold| hold.read_only);
        if read_only && !leaves {
            return self.answer(call, Answer::Fail(libc::EROFS));
        }
        let Some(listener) = self.listeners.get(&call.listener) else {
            return;
        };
        let waiter = Waiter {
            listener: listener.watch.listener.as_fd(),
            id: call.id,
            caller: call.caller,
            who: &listener.watch.who,
        };
        match perform::perform(deed, &waiter) {
            Done::Answer(answer) => self.answer(call, answer),
            Done::Descriptor {
                file,
                close_on_exec,
            } => {
                let given = sys::give(waiter.listener, call.id, file.as_fd(), close_on_exec);
                if let Err(error) = given {
                    let errno = error.raw_os_error().unwrap_or(libc::EIO);
                    self.answer(call, Answer::Fail(errno));
                }
            }
            Done::Later => {}
            Done::Changed => self.changed(call, intent),
        }
    }

    /// What was judged is not what is there now.
    fn changed(&mut self, call: Call, intent: u64) {
        self.answer(call, Answer::Fail(libc::EACCES));
        let told = Told {
            id: intent,
            root: self.root(call),
            pid: call.caller.thread,
            errno: libc::EACCES.unsigned_abs(),
            rule: "gate:changed".into(),
            detail: "what was judged has changed since".into(),
        };
        self.say(Kind::Done, &told);
    }

    fn ask(&mut self, call: Call, asking: Asking) {
        let intent = Intent {
            id: 0,
            root: self.root(call),
            pid: call.caller.thread,
            cwd: asking.cwd,
            act: Some(asking.act),
            cut: asking.cut,
            files: asking.files,
        };
        self.ask_host(Pending {
            call,
            deed: asking.deed,
            intent,
            rounds: 0,
        });
    }

    fn ask_host(&mut self, mut pending: Pending) {
        let size = pending.intent.encoded_len();
        let room = MOST_PENDING_BYTES.saturating_sub(self.pending_bytes());
        if self.pending.len() >= MOST_PENDING || size > room {
            self.turned_away = self.turned_away.saturating_add(1);
            return self.answer(pending.call, Answer::Fail(libc::EAGAIN));
        }
        let id = self.number();
        pending.intent.id = id;
        self.say(Kind::Intent, &pending.intent);
        self.pending.insert(id, pending);
    }

    /// All at once: told one by one they would be as many messages as the calls.
    pub(super) fn tell_turned_away(&mut self) {
        let count = std::mem::take(&mut self.turned_away);
        if count == 0 {
            return;
        }
        let told = Told {
            errno: libc::EAGAIN.unsigned_abs(),
            rule: "gate:full".into(),
            detail: format!("{count} calls were refused: too many wait already"),
            ..Told::default()
        };
        self.say(Kind::Done, &told);
    }

    fn pending_bytes(&self) -> usize {
        let sizes = self.pending.values().map(|one| one.intent.encoded_len());
        sizes.fold(0, usize::saturating_add)
    }

    pub(super) fn decided(&mut self, verdict: &Verdict) {
        let Some(pending) = self.pending.remove(&verdict.id) else {
            return;
        };
        let call = pending.call;
        if !self.waits(call) {
            return;
        }
        if !verdict.allow {
            return self.answer(call, Answer::Fail(libc::EACCES));
        }
        let Pending {
            deed,
            intent,
            rounds,
            ..
        } = pending;
        match deed {
            Deed::Start(program) => {
                self.start_as_judged(call, program, (intent, rounds), verdict);
            }
            deed => self.perform(call, deed, verdict.id),
        }
    }

    /// Starts a program if what was judged is what is there. Where the host judged a file from a
    /// copy of its own that is not what is here, it is asked again, with that file.
    fn start_as_judged(
        &mut self,
        call: Call,
        mut program: Program,
        (mut intent, rounds): (Intent, u32),
        verdict: &Verdict,
    ) {
        if !program.is_as_judged() {
            return self.changed(call, verdict.id);
        }
        let paths = verdict.files.iter().map(|file| file.path.clone());
        if program.add_changed(paths, call.caller, &self.originals) == 0 {
            return self.start_program(call, program);
        }
        if rounds >= MOST_ROUNDS {
            return self.changed(call, verdict.id);
        }
        intent.files = program.files();
        self.ask_host(Pending {
            call,
            deed: Deed::Start(program),
            intent,
            rounds: rounds.saturating_add(1),
        });
    }
}
