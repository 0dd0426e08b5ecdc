// SPDX-License-Identifier: Apache-2.0
//! Copies of file trees between host and guest, each on a thread and a connection of its own.
//!
//! - [`send`]: a tree out of the guest. Runs as root, so that nothing is left out, and only reads.
//! - [`receive`]: a tree into the guest. Runs with the rights of the unprivileged user (the
//!   thread's file-system ids), so that a link the task laid cannot lead it where the task itself
//!   could not write, and what it makes belongs to that user.
//!
//! A path is absolute, or relative to the workspace. It names the copy's root itself: nothing is
//! put "into" a folder that is there already.

mod receive;
mod send;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use protocol::messages::{Attach, CopyEnd};
use protocol::{FrameError, Kind, ports, write_message};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::link::Connect;

/// Most copies at once; more wait.
const MAX_RUNNING: usize = 16;
/// Most that wait.
const MAX_WAITING: usize = 1024;
/// A copy's stack: the walk keeps its own, on the heap.
const STACK: usize = 256 * 1024;
/// Deepest tree that is copied. Each level holds a descriptor open.
const MAX_DEPTH: usize = 256;

/// Why a copy stopped.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    /// Something about one path.
    #[error("{path}: {what}")]
    Path {
        /// Where.
        path: String,
        /// What.
        what: String,
    },
    /// The connection.
    #[error("the connection broke")]
    Frame(#[from] FrameError),
}

impl CopyError {
    fn at(path: impl AsRef<OsStr>, what: impl Display) -> Self {
        CopyError::Path {
            path: path.as_ref().to_string_lossy().into_owned(),
            what: what.to_string(),
        }
    }
}

/// A request of the host.
#[derive(Debug)]
pub(crate) enum Copy {
    Read { id: u32, path: Vec<u8> },
    Write { id: u32, path: Vec<u8> },
}

/// The copies that run and those that wait.
pub(crate) struct Copies {
    workspace: PathBuf,
    connect: Arc<dyn Connect>,
    running: Arc<AtomicUsize>,
    waiting: VecDeque<Copy>,
}

/// The queue of copies is full.
#[derive(Debug)]
pub(crate) struct Full;

impl Copies {
    pub(crate) fn new(workspace: PathBuf, connect: Arc<dyn Connect>) -> Self {
        Self {
            workspace,
            connect,
            running: Arc::default(),
            waiting: VecDeque::new(),
        }
    }

    /// Starts a copy, now or when another ends.
    pub(crate) fn add(&mut self, copy: Copy) -> Result<(), Full> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(Full);
        }
        self.waiting.push_back(copy);
        self.start_waiting();
        Ok(())
    }

    pub(crate) fn any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Starts what there is room for. A thread that cannot be made now can be later.
    pub(crate) fn start_waiting(&mut self) {
        while self.running.load(Ordering::Relaxed) < MAX_RUNNING {
            let Some(copy) = self.waiting.pop_front() else {
                return;
            };
            let (id, path) = match &copy {
                Copy::Read { id, path } | Copy::Write { id, path } => (*id, path),
            };
            let path = self.workspace.join(OsStr::from_bytes(path));
            let connect = Arc::clone(&self.connect);
            let running = Running::begin(&self.running);
            let writes = matches!(copy, Copy::Write { .. });
            let work = move || {
                let _running = running;
                // A connection that fails has nobody to tell; the host sees it end.
                let _ = run(id, &path, writes, connect.as_ref());
            };
            if thread::Builder::new()
                .stack_size(STACK)
                .spawn(work)
                .is_err()
            {
                return self.waiting.push_front(copy);
            }
        }
    }
}

/// Counts a copy as long as it lives, however its thread ends.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run(
    id: u32,
    path: &std::path::Path,
    writes: bool,
    connect: &dyn Connect,
) -> Result<(), CopyError> {
    let mut socket = connected(connect).map_err(FrameError::Io)?;
    write_message(&mut socket, Kind::Attach, &Attach { id })?;
    let done = if writes {
        receive::receive(&mut socket, path)
    } else {
        send::send(&mut socket, path)
    };
    let error = match done {
        Ok(()) => String::new(),
        // Saying so on the connection that broke cannot harm.
        Err(e) => crate::exec::command::short(e.to_string()),
    };
    write_message(&mut socket, Kind::CopyEnd, &CopyEnd { error })?;
    let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Write);
    // Until the host has closed, or closing here could throw away what it has not read.
    let _ = io::copy(&mut socket, &mut io::sink());
    Ok(())
}

/// A connection that blocks, as suits a thread of its own.
fn connected(connect: &dyn Connect) -> io::Result<File> {
    let socket = connect.connect(ports::FILES)?;
    let mut fds = [PollFd::new(&socket, PollFlags::OUT)];
    while let Err(Errno::INTR) = poll(&mut fds, None) {}
    rustix::net::sockopt::socket_error(&socket)??;
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(File::from(socket))
}
