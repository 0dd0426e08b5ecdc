// SPDX-License-Identifier: Apache-2.0
//! The process `ampoule-policy serve`: a thread for each task that is connected.
//!
//! It ends a minute after the last task, and at the latest a second or two after its socket is no
//! longer the one at its path while nobody is connected. Before it ends it takes its socket away
//! under the lock of those who start one, and serves whoever came before that: so nobody connects
//! to a process that is about to end.
//!
//! Its threads share what was read of policies ([`Shelf`]) and the record of events, and nothing
//! else.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use policy::approval::Person;

use super::client::lock;
use super::force::Shelf;
use super::record::Record;
use super::task;
use crate::approvals::who;
use crate::cli::chain;
use crate::events::Events;
use crate::folders::Folders;
use crate::poll::Interests;
use crate::sockets;

/// How long it waits for another task.
const IDLE: Duration = Duration::from_secs(60);

/// How often it looks whether anybody can still find it.
const LOOK: Duration = Duration::from_secs(1);

/// Tasks at once; more wait to be accepted.
const TASKS: usize = 4096;

/// Stack of a thread: the policy engine refuses to evaluate with less than it thinks it may need.
const STACK: usize = 16 << 20;

/// What the threads share.
#[derive(Debug, Default)]
pub struct Shared {
    /// What was read of policies.
    pub shelf: Shelf,
    // Held by the thread of one task while it looks for the record of its user's folders.
    records: Mutex<Vec<(PathBuf, Events)>>,
    /// Whose tasks these are, once that was looked up: this process's user, for all of them.
    person: OnceLock<Option<Person>>,
    tasks: AtomicUsize,
}

impl Shared {
    /// Who starts the tasks, if the system knows.
    #[must_use]
    pub fn person(&self) -> Option<Person> {
        self.person.get_or_init(|| who().ok()).clone()
    }

    /// The record of events of these folders.
    ///
    /// # Errors
    /// In a line, why there is none: then nothing may run.
    pub fn record(&self, folders: &Folders) -> Result<Box<dyn Record>, String> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, events)) = records.iter().find(|(state, _)| *state == folders.state) {
            return Ok(Box::new(events.clone()));
        }
        let events = Events::open(folders).map_err(|error| chain(&error))?;
        records.push((folders.state.clone(), events.clone()));
        Ok(Box::new(events))
    }
}

/// The process's socket.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    /// What is at the path while it is found there.
    id: (u64, u64),
    idle: Duration,
    shared: Arc<Shared>,
}

impl Server {
    /// Serves who connects to `listener`, which is at `path`.
    ///
    /// # Errors
    /// It is not there.
    pub fn new(listener: UnixListener, path: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            id: id(path)?,
            path: path.to_owned(),
            idle: IDLE,
            shared: Arc::default(),
        })
    }

    /// With another time for which it waits for tasks.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Serves until nobody needs it.
    ///
    /// # Errors
    /// What the system says.
    pub fn serve(self) -> io::Result<()> {
        let mut busy = Instant::now();
        loop {
            let mut interests = Interests::new();
            if self.tasks() < TASKS {
                interests.read(self.listener.as_fd(), ());
            }
            if !interests.wait(Some(Instant::now() + LOOK))?.is_empty() {
                self.accept()?;
            }
            if self.tasks() > 0 {
                busy = Instant::now();
                continue;
            }
            let found = id(&self.path).is_ok_and(|id| id == self.id);
            let ends = match found {
                true => busy.elapsed() >= self.idle && self.hide(),
                // Nobody can come any more.
                false => true,
            };
            // Who came before it was hidden waits at the listener.
            if ends && !self.accept()? {
                return Ok(());
            }
        }
    }

    fn tasks(&self) -> usize {
        self.shared.tasks.load(Ordering::Acquire)
    }

    /// Takes the socket away, unless somebody is about to start another; whether it did.
    fn hide(&self) -> bool {
        let Ok(_lock) = lock(&self.path, false) else {
            return false;
        };
        fs::remove_file(&self.path).is_ok()
    }

    /// Accepts whoever waits; whether anybody did.
    fn accept(&self) -> io::Result<bool> {
        let mut any = false;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let socket = OwnedFd::from(stream);
                    if sockets::is_own(&socket)? {
                        any = true;
                        self.start(socket);
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(any),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    // No descriptors are left: those that are in use come back.
                    _ => {
                        std::thread::sleep(Duration::from_millis(20));
                        return Ok(any);
                    }
                },
            }
        }
    }

    fn start(&self, socket: OwnedFd) {
        let shared = Arc::clone(&self.shared);
        shared.tasks.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(shared);
        let builder = std::thread::Builder::new().name("task".to_owned());
        let spawned = builder.stack_size(STACK).spawn(move || {
            if let Err(error) = task::serve(socket, &counted.0) {
                eprintln!("ampoule-policy: a task's connection failed: {error}");
            }
        });
        // Dropped, its connection is closed: its supervisor sees that nobody judges.
        if let Err(error) = spawned {
            eprintln!("ampoule-policy: no thread for a task: {error}");
        }
    }
}

/// One task less when it is gone.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::AcqRel);
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let is = fs::symlink_metadata(path)?;
    Ok((is.dev(), is.ino()))
}
