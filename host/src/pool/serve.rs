// SPDX-License-Identifier: Apache-2.0
//! The pool: one loop that keeps guests waiting and gives them away.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::SocketFlags;
use vmm::config::ConfigError;

use super::guard::{Guarded, Place};
use super::guest::{Handed, Source, Waiting};
use super::pace::Pace;
use super::wire::{self, Answer, Request, Status};
use crate::folders::FolderError;
use crate::image::ImageError;
use crate::poll::Interests;
use crate::sockets;
use crate::supervise::kvm::KvmError;
use crate::supervise::machine::MachineError;
use crate::supervise::room::{self, TooMany};
use crate::supervise::task::TaskError;
use crate::sys::process::reap;
use crate::sys::signals::Signals;
use crate::template::Cold;
use crate::template::make::MakeError;

/// How soon to try again after a guest that came to nothing.
const AGAIN: Duration = Duration::from_millis(100);

/// How soon to look again for a template that is being made.
const MAKING: Duration = Duration::from_secs(1);

/// How long a task that was given a guest may take until it runs, before another is made all the
/// same.
const STARTS: Duration = Duration::from_secs(30);

/// How long a guest may take until it waits.
const RESTORE: Duration = Duration::from_secs(30);

/// How soon to look again whether there is memory for another guest.
const NO_ROOM: Duration = Duration::from_secs(5);

/// How often to see whether tasks still look for guests of this kind.
const CURRENT: Duration = Duration::from_secs(10);

/// Guests in a row that may come to nothing.
const FAILURES: u32 = 3;

/// Connections at once: more wait to be accepted.
const CLIENTS: usize = 64;

/// How long a client may say nothing.
const SILENT: Duration = Duration::from_secs(5);

/// Why a pool ends.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Too large.
    #[error(transparent)]
    TooLarge(#[from] TooMany),
    /// There is one.
    #[error("a pool of such guests runs already: see `ampoule pool ls`")]
    Already,
    /// It is of no use any more.
    #[error("the image, the kernel or Ampoule itself has changed: start the pool again")]
    Changed,
    /// No guest can be restored.
    #[error("no guest can be made to wait: {0}")]
    Useless(String),
    /// The template.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// The template, which was there.
    #[error(transparent)]
    Template(#[from] Cold),
    /// Kernel or image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// This host cannot run guests.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// A folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A number that the VMM does not take.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The VMM.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// Something of a guest's.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Its own sockets and processes.
    #[error("the pool failed")]
    Host(#[from] io::Error),
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Signal,
    Listener,
    Guest(usize),
    Client(usize),
}

#[derive(Debug)]
struct Client {
    socket: OwnedFd,
    since: Instant,
    /// What it took.
    handed: Option<Handed>,
}

/// The pool.
#[derive(Debug)]
pub struct Pool<'a> {
    source: Source<'a>,
    size: u16,
    signals: Signals,
    listener: OwnedFd,
    /// The oldest first.
    guests: VecDeque<Waiting>,
    clients: Vec<Client>,
    /// VMMs that were given away and are still our children.
    children: Vec<i32>,
    taken: u64,
    pace: Pace,
    /// No guest is made before.
    not_before: Instant,
    failures: u32,
    look_at: Instant,
    full: bool,
    short: bool,
    // Last, so that what guests leave is cleared away too.
    _guarded: Guarded,
}

impl<'a> Pool<'a> {
    /// Becomes the pool of this kind. To be called while this process has one thread.
    ///
    /// # Errors
    /// As [`PoolError`] says.
    pub fn open(source: Source<'a>, size: u16, signals: Signals) -> Result<Self, PoolError> {
        source.folders.make_runtime()?;
        let place = Place::new(source.folders, &source.key);
        let guarded = place.take()?.ok_or(PoolError::Already)?;
        let now = Instant::now();
        Ok(Self {
            listener: sockets::packet_listener(&place.socket())?,
            source,
            size,
            signals,
            guests: VecDeque::new(),
            clients: Vec::new(),
            children: Vec::new(),
            taken: 0,
            pace: Pace::new(),
            not_before: now,
            failures: 0,
            look_at: now + CURRENT,
            full: false,
            short: false,
            _guarded: guarded,
        })
    }

    /// Serves until a signal ends it.
    ///
    /// # Errors
    /// As [`PoolError`] says; its guests are gone by then.
    pub fn serve(mut self) -> Result<(), PoolError> {
        loop {
            let now = Instant::now();
            self.let_go_of_the_old(now)?;
            self.refill(now)?;
            if now >= self.look_at {
                self.look_at = now + CURRENT;
                if !self.source.is_current()? {
                    return Err(PoolError::Changed);
                }
            }
            for name in self
                .interests()
                .wait(Some(self.next(now)))?
                .into_iter()
                .rev()
            {
                match name {
                    Name::Signal => {
                        if self.signal()? {
                            return Ok(());
                        }
                    }
                    Name::Listener => self.accept()?,
                    Name::Client(index) => self.client(index),
                    Name::Guest(index) => self.guest(index)?,
                }
            }
        }
    }

    fn interests(&self) -> Interests<'_, Name> {
        let mut into = Interests::new();
        into.read(self.signals.as_fd(), Name::Signal);
        if self.clients.len() < CLIENTS {
            into.read(self.listener.as_fd(), Name::Listener);
        }
        for (index, guest) in self.guests.iter().enumerate() {
            for descriptor in guest.descriptors() {
                into.read(descriptor, Name::Guest(index));
            }
        }
        for (index, client) in self.clients.iter().enumerate() {
            into.read(client.socket.as_fd(), Name::Client(index));
        }
        into
    }

    fn next(&self, now: Instant) -> Instant {
        let clients = self.clients.iter().map(Client::until);
        let guests = self
            .guests
            .iter()
            .map(|guest| guest.since + self.source.age);
        let restoring = self.guests.iter().filter(|guest| !guest.is_ready());
        let restoring = restoring.map(|guest| guest.since + RESTORE);
        let refill = self.wants_more().then(|| self.refill_at(now));
        let times = clients.chain(guests).chain(restoring).chain(refill);
        times.chain([self.look_at]).min().unwrap_or(self.look_at)
    }

    /// A guest short, and none on its way.
    fn wants_more(&self) -> bool {
        let full = self.guests.len() >= usize::from(self.size);
        !full && self.guests.iter().all(Waiting::is_ready)
    }

    fn refill_at(&self, now: Instant) -> Instant {
        let starting = self.clients.iter().filter(|client| client.handed.is_some());
        self.pace.next(starting.count(), now).max(self.not_before)
    }

    fn refill(&mut self, now: Instant) -> Result<(), PoolError> {
        let short = self.guests.len() < usize::from(self.size);
        self.pace.is_short(short, now);
        if !self.wants_more() || now < self.refill_at(now) {
            return Ok(());
        }
        if room::fitting(self.source.resources.memory_mib) == 0 {
            if !std::mem::replace(&mut self.short, true) {
                note("no memory for another guest now; the pool waits for some");
            }
            self.not_before = now + NO_ROOM;
            return Ok(());
        }
        self.short = false;
        if !self.source.has_template()? {
            self.children.extend(self.source.want_template());
            self.not_before = now + MAKING;
            return Ok(());
        }
        match Waiting::start(&self.source) {
            Ok(guest) => {
                guest.give_way(true);
                self.guests.push_back(guest);
            }
            Err(error) => self.failed(&crate::cli::chain(&error), false)?,
        }
        Ok(())
    }

    /// A guest came to nothing before it waited; its VMM may have refused the template.
    fn failed(&mut self, why: &str, refused: bool) -> Result<(), PoolError> {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            return Err(PoolError::Useless(why.to_owned()));
        }
        note(&format!("a guest of the pool did not start: {why}"));
        // Another key, or a template that is damaged or was removed.
        if !self.source.is_current()? {
            return Err(PoolError::Changed);
        }
        if refused {
            self.source.remove_template();
        }
        self.not_before = Instant::now() + AGAIN;
        Ok(())
    }

    fn let_go_of_the_old(&mut self, now: Instant) -> Result<(), PoolError> {
        // One at a time: those of one age do not all go at once.
        if let Some(oldest) = self.guests.front()
            && now >= oldest.since + self.source.age
        {
            self.guests.pop_front();
        }
        for index in (0..self.clients.len()).rev() {
            if self.clients.get(index).is_some_and(|c| now >= c.until()) {
                self.forget(index);
            }
        }
        let is_late = |guest: &Waiting| !guest.is_ready() && now >= guest.since + RESTORE;
        if let Some(late) = self.guests.iter().position(is_late) {
            self.guests.remove(late);
            self.failed("it took too long", false)?;
        }
        Ok(())
    }

    /// Whether it is to end.
    fn signal(&mut self) -> io::Result<bool> {
        let mut ends = false;
        while let Some(signal) = self.signals.next()? {
            ends |= signal != libc::SIGCHLD;
        }
        self.children
            .retain(|pid| matches!(reap(*pid, false), Ok(None)));
        Ok(ends)
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // One that is gone already, or that there is no descriptor for, is looked at again.
        let Ok(socket) = rustix::net::accept_with(&self.listener, flags) else {
            return Ok(());
        };
        if sockets::is_own(&socket)? {
            self.clients.push(Client {
                socket,
                since: Instant::now(),
                handed: None,
            });
        }
        Ok(())
    }

    fn client(&mut self, index: usize) {
        let Some(client) = self.clients.get(index) else {
            return;
        };
        match wire::receive(&client.socket) {
            Ok(None) => {}
            Ok(Some((Request::Take(key), _))) if client.handed.is_none() => self.give(index, &key),
            Ok(Some((Request::Status, _))) if client.handed.is_none() => {
                let answer = Answer::Status(self.status());
                if wire::send(&client.socket, &answer, &[]).is_err() {
                    self.forget(index);
                }
            }
            Ok(Some(_)) | Err(_) => self.forget(index),
        }
    }

    fn give(&mut self, index: usize, key: &str) {
        let Some(client) = self.clients.get_mut(index) else {
            return;
        };
        let refusal = match self.guests.iter().position(Waiting::is_ready) {
            _ if key != self.source.key.name() => "the pool has other guests",
            None => "the pool is empty",
            Some(at) => {
                let handed = self.guests.get_mut(at).map(|g| g.hand_over(&client.socket));
                if let Some(Ok(handed)) = handed {
                    self.guests.remove(at);
                    self.children.push(handed.pid);
                    self.taken = self.taken.saturating_add(1);
                    client.handed = Some(handed);
                    client.since = Instant::now();
                } else {
                    self.forget(index);
                }
                return;
            }
        };
        if wire::send(&client.socket, &Answer::Refused(refusal.to_owned()), &[]).is_err() {
            self.forget(index);
        }
    }

    /// A client is gone, or is not waited for any more.
    fn forget(&mut self, index: usize) {
        if let Some(handed) = self.clients.swap_remove(index).handed {
            handed.settle();
            self.pace.ran(Instant::now());
        }
    }

    fn guest(&mut self, index: usize) -> Result<(), PoolError> {
        let Some(guest) = self.guests.get_mut(index) else {
            return Ok(());
        };
        let was_ready = guest.is_ready();
        match guest.turn() {
            Ok(()) if guest.is_ready() && !was_ready => {
                guest.give_way(false);
                self.failures = 0;
                if self.guests.len() >= usize::from(self.size) && !self.full {
                    self.full = true;
                    note(&format!("the pool is full: {} guests wait", self.size));
                }
            }
            Ok(()) => {}
            Err(why) => {
                self.guests.remove(index);
                match was_ready {
                    true => note(&format!("a guest that waited ended: {why}")),
                    false => self.failed(&why, true)?,
                }
            }
        }
        Ok(())
    }

    fn status(&self) -> Status {
        let count = self.guests.iter().filter(|guest| guest.is_ready()).count();
        Status {
            pid: std::process::id(),
            image: self.source.image.clone(),
            memory_mib: self.source.resources.memory_mib,
            cpus: self.source.resources.cpus,
            size: self.size,
            waiting: u16::try_from(count).unwrap_or(u16::MAX),
            taken: self.taken,
        }
    }
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        // All at once: KVM takes its time for each.
        self.guests.iter().for_each(Waiting::kill);
    }
}

/// A line for who watches; a pool goes on without him.
fn note(line: &str) {
    let _ = writeln!(io::stderr(), "ampoule: {line}");
}

impl Client {
    fn until(&self) -> Instant {
        self.since
            + if self.handed.is_some() {
                STARTS
            } else {
                SILENT
            }
    }
}
