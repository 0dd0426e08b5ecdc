// SPDX-License-Identifier: Apache-2.0
//! The gate's thread: one poll over the listeners of all commands and the connection to the host.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use protocol::actions::{Declared, Hold, Intent, Uses, Withdrawn};
use protocol::{Frame, Kind};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::calls::Call;
use super::door::{Door, Part};
use super::free::Free;
use super::images::{self, Images};
use super::loads::Loads;
use super::place::{Identity, Originals};
use super::plan::Deed;
use super::process;
use super::programs::Granted;
use super::sys::{self, Answer, Notification};
use super::who::Who;
use crate::clock;
use crate::link::{Connect, Link};

/// Stack of the thread: a page of a process' memory and some paths.
const STACK: usize = 256 * 1024;
/// Parents that are followed to find out whose a process is.
const MOST_PARENTS: u32 = 64;
/// Bytes that the host has not taken yet, from which on programs that declare are not heard.
const MOST_BACKLOG: usize = 4 << 20;
/// How long the agent waits for what waits to be let go.
const PAUSE: Duration = Duration::from_secs(1);
/// `ERESTARTSYS` of `include/linux/errno.h`: a call that is to be made again. A process that stops
/// has work to do before it returns to its program, and that is where the kernel sees to it.
const ERESTARTSYS: i32 = 512;
/// How often questions are looked at whose process may be gone, and a lost host is called again.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};
const TICK_NS: u64 = 200_000_000;

/// A command to be gated from now on.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) listener: OwnedFd,
    /// The root action that it is.
    pub(crate) root: u64,
    /// Its first process, on the way to its first program.
    pub(crate) process: u32,
    pub(crate) who: Who,
    pub(crate) free: Free,
}

#[derive(Debug)]
pub(super) enum Order {
    Watch(Box<Watch>),
    /// All commands are being stopped where they are: what waits is to wait no more, and is made
    /// again when they go on.
    Pause(Sender<()>),
    /// They go on.
    Continue,
    /// This guest is a copy: what the original was told and granted is not the copy's.
    Copied,
    /// No command is left.
    End,
}

/// The way to the gate's thread.
#[derive(Debug)]
pub(crate) struct Gate {
    orders: Sender<Order>,
    bell: Arc<OwnedFd>,
    thread: JoinHandle<()>,
}

impl Gate {
    /// Starts it.
    pub(crate) fn start(
        connect: Arc<dyn Connect>,
        socket: Option<PathBuf>,
        confirms: bool,
    ) -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let bell = Arc::new(eventfd(0, flags)?);
        let loads = confirms.then(Loads::watch).transpose()?;
        let (orders, received) = mpsc::channel();
        let rung = Arc::clone(&bell);
        let builder = thread::Builder::new().stack_size(STACK);
        let thread = builder.name("gate".into()).spawn(move || {
            // Its own, so that what it makes for others gets the bits they ask for.
            if sys::own_folders().is_ok() {
                rustix::process::umask(rustix::fs::Mode::empty());
            }
            let door = Door::open(socket.as_deref());
            Serve::new(connect, received, rung, door, loads).run();
        })?;
        Ok(Self {
            orders,
            bell,
            thread,
        })
    }

    pub(crate) fn watch(&self, watch: Watch) {
        self.order(Order::Watch(Box::new(watch)));
    }

    /// Lets go of all that waits; to be called when the commands have been told to stop. A call
    /// that the gate has taken up cannot be stopped (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`).
    pub(crate) fn pause(&self) {
        let (done, is_done) = mpsc::channel();
        self.order(Order::Pause(done));
        let _ = is_done.recv_timeout(PAUSE);
    }

    pub(crate) fn go_on(&self) {
        self.order(Order::Continue);
    }

    pub(crate) fn copied(&self) {
        self.order(Order::Copied);
    }

    /// Ends it, and with it its connection and all that it was told, granted and let pass.
    pub(crate) fn end(self) {
        self.order(Order::End);
        // It waits for nobody.
        let _ = self.thread.join();
    }

    fn order(&self, order: Order) {
        // The thread ends by an order or with the process.
        let _ = self.orders.send(order);
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
    }
}

/// A call that waits for the host.
pub(super) struct Pending {
    pub(super) call: Call,
    pub(super) deed: Deed,
    pub(super) intent: Intent,
    /// How often it was judged again.
    pub(super) rounds: u32,
}

pub(super) struct Listener {
    pub(super) watch: Watch,
    pub(super) starting: bool,
}

pub(super) struct Serve {
    pub(super) connect: Arc<dyn Connect>,
    pub(super) orders: Receiver<Order>,
    pub(super) bell: Arc<OwnedFd>,
    pub(super) own: Option<Identity>,
    pub(super) link: Option<Link>,
    pub(super) listeners: BTreeMap<u64, Listener>,
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) images: Images,
    pub(super) granted: Granted,
    /// Grants that were not looked up yet: no program was started since.
    pub(super) offered: Option<Frame>,
    /// Unknown until the host has said it.
    pub(super) hold: Option<Hold>,
    /// A call that came before that.
    pub(super) early: Option<(u64, Notification)>,
    pub(super) uses: Uses,
    pub(super) uses_due: Option<u64>,
    /// Calls that were refused since it was told last, because too many wait.
    pub(super) turned_away: u64,
    pub(super) paused: bool,
    pub(super) originals: Originals,
    /// The host was needed: if it is lost it is called again.
    pub(super) called: bool,
    /// When the host is called again, and questions are looked at again.
    pub(super) next_call: u64,
    next_look: u64,
    pub(super) next_listener: u64,
    pub(super) next_intent: u64,
    pub(super) buffer: Vec<u8>,
    pub(super) door: Door,
    /// Where it is not had, programs are looked at after their start only.
    pub(super) loads: Option<Loads>,
    over: bool,
}

#[derive(Clone, Copy)]
enum Source {
    Bell,
    Host,
    Listener(u64),
    Door(Part),
    Loads,
}

impl Serve {
    fn new(
        connect: Arc<dyn Connect>,
        orders: Receiver<Order>,
        bell: Arc<OwnedFd>,
        door: Door,
        loads: Option<Loads>,
    ) -> Self {
        Self {
            connect,
            orders,
            bell,
            own: images::exe(std::process::id()),
            link: None,
            listeners: BTreeMap::new(),
            pending: BTreeMap::new(),
            images: Images::default(),
            granted: Granted::default(),
            offered: None,
            hold: None,
            early: None,
            called: false,
            uses: Uses::default(),
            uses_due: None,
            turned_away: 0,
            paused: false,
            originals: Originals::now(),
            next_call: 0,
            next_look: 0,
            next_listener: 1,
            next_intent: 1,
            buffer: vec![0; 16 * 1024],
            door,
            loads,
            over: false,
        }
    }

    fn run(mut self) {
        while !self.over {
            let ready = self.wait();
            for (source, flags) in ready {
                match source {
                    Source::Bell => self.on_orders(),
                    Source::Host => self.on_host(flags),
                    Source::Listener(number) => self.on_calls(number, flags),
                    Source::Loads => self.on_loads(),
                    Source::Door(part) => self.on_door(part, flags),
                }
            }
            self.tick();
        }
    }

    fn wait(&self) -> Vec<(Source, PollFlags)> {
        let mut sources = vec![Source::Bell];
        let mut fds = vec![PollFd::new(&*self.bell, PollFlags::IN)];
        if let Some(link) = &self.link {
            sources.push(Source::Host);
            fds.push(PollFd::new(link, link.interest(true)));
        }
        let serves = !self.paused && self.early.is_none();
        for (number, listener) in self.listeners.iter().filter(|_| serves) {
            sources.push(Source::Listener(*number));
            fds.push(PollFd::new(&listener.watch.listener, PollFlags::IN));
        }
        if let Some(loads) = &self.loads {
            sources.push(Source::Loads);
            fds.push(PollFd::new(loads, PollFlags::IN));
        }
        let backlog = self.link.as_ref().map_or(0, Link::backlog);
        self.door
            .watch(backlog > MOST_BACKLOG, &mut |part, fd, flags| {
                sources.push(Source::Door(part));
                fds.push(PollFd::from_borrowed_fd(fd, flags));
            });
        let waits = !self.pending.is_empty() || self.uses_due.is_some();
        let lost = self.link.is_none() && self.called && !self.listeners.is_empty();
        let timeout = (waits || lost).then_some(&TICK);
        if poll(&mut fds, timeout).is_err() {
            return Vec::new();
        }
        let flags = fds.iter().map(PollFd::revents);
        let ready = sources.into_iter().zip(flags);
        ready.filter(|(_, flags)| !flags.is_empty()).collect()
    }

    fn on_orders(&mut self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.bell, &mut count);
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Watch(watch) => {
                    let listener = Listener {
                        watch: *watch,
                        starting: true,
                    };
                    self.listeners.insert(self.next_listener, listener);
                    self.next_listener = self.next_listener.saturating_add(1);
                }
                Order::Pause(done) => {
                    self.let_go();
                    let _ = done.send(());
                }
                Order::Continue => self.paused = false,
                Order::Copied => {
                    self.lose();
                    self.hold = None;
                }
                Order::End => {
                    self.tell_uses();
                    self.over = true;
                }
            }
        }
    }

    fn let_go(&mut self) {
        self.paused = true;
        if let Some((listener, notification)) = self.early.take() {
            self.answer(
                Call::new(listener, &notification),
                Answer::Fail(ERESTARTSYS),
            );
        }
        for (id, pending) in std::mem::take(&mut self.pending) {
            self.answer(pending.call, Answer::Fail(ERESTARTSYS));
            self.say(Kind::Withdrawn, &Withdrawn { id });
        }
    }

    /// The next number of a question or a declaration.
    pub(super) fn number(&mut self) -> u64 {
        let number = self.next_intent;
        self.next_intent = number.saturating_add(1);
        number
    }

    /// What programs in the guest say of themselves goes to the host as it is.
    fn on_door(&mut self, part: Part, flags: PollFlags) {
        if let Part::Listener = part {
            if let Some(accepted) = self.door.accept() {
                let root = self.root_of(accepted.process());
                self.door.add(accepted, root);
            }
            return;
        }
        for said in self.door.on(part, flags) {
            let declared = Declared {
                id: self.number(),
                root: said.root,
                json: said.line,
            };
            self.say(Kind::Declared, &declared);
            self.door.said(said.client, declared);
        }
        self.tell_gone();
    }

    /// Nobody need answer who has gone.
    pub(super) fn tell_gone(&mut self) {
        for id in self.door.gone() {
            self.say(Kind::Withdrawn, &Withdrawn { id });
        }
    }

    /// The root action that a process belongs to, as far as its parents tell; 0 for none.
    pub(super) fn root_of(&self, process: u32) -> u64 {
        let watched = |process| {
            let mut listeners = self.listeners.values();
            listeners.find(|listener| listener.watch.process == process)
        };
        let mut at = process;
        for _ in 0..MOST_PARENTS {
            if let Some(listener) = watched(at) {
                return listener.watch.root;
            }
            match process::parent(at) {
                Some(parent) if parent > 1 => at = parent,
                _ => break,
            }
        }
        0
    }

    fn tick(&mut self) {
        if self.called && !self.listeners.is_empty() && !self.paused {
            self.call_host();
        }
        let now = clock::now();
        if self.uses_due.is_some_and(|due| now >= due) {
            self.tell_uses();
        }
        if now >= self.next_look {
            self.next_look = now.saturating_add(TICK_NS);
            self.forget_gone();
            self.tell_turned_away();
        }
    }

    fn tell_uses(&mut self) {
        if self.uses_due.take().is_some() {
            let uses = std::mem::take(&mut self.uses);
            self.say(Kind::Uses, &uses);
        }
    }

    /// Questions whose process is gone need no answer.
    fn forget_gone(&mut self) {
        let gone = self.pending.iter();
        let gone = gone.filter(|(_, pending)| !self.waits(pending.call));
        let gone: Vec<u64> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.pending.remove(&id);
            self.say(Kind::Withdrawn, &Withdrawn { id });
        }
    }
}

#[cfg(test)]
mod tests;
