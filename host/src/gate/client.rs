// SPDX-License-Identifier: Apache-2.0
//! The way to the policy loop: it is there, or it is started and there at once.
//!
//! Who starts it makes its socket and listens, and gives the listener to the new process as its
//! standard input. So whoever connects need not wait for that to be up: a connection waits in the
//! socket's backlog. A lock keeps two of them apart. The socket's name has the program's identity
//! in it: after an update the next task starts the new program, and the old one ends with its
//! tasks.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::folders::{FolderError, Folders, make_private};
use crate::sockets;
use crate::supervise::files::binaries;

/// The program that judges.
pub const PROGRAM: &str = "ampoule-policy";

/// Its hidden word.
pub const SERVE: &str = "serve";

/// Why nothing can be judged. Then nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The program is not where it belongs.
    #[error("cannot find {PROGRAM}, which belongs beside ampoule")]
    Program(#[source] io::Error),
    /// A folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The process.
    #[error("cannot {what} the policy loop")]
    Start {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another user listens there.
    #[error("{} is another user's socket; remove it", .0.display())]
    Foreign(PathBuf),
}

fn start(what: &'static str) -> impl FnOnce(io::Error) -> ClientError {
    move |source| ClientError::Start { what, source }
}

/// Where the loop is on this host.
#[derive(Clone, Debug)]
pub struct Place {
    program: PathBuf,
    /// Where it listens.
    pub socket: PathBuf,
}

impl Place {
    /// Of the program beside this one.
    ///
    /// # Errors
    /// It is not there.
    pub fn find(folders: &Folders) -> Result<Self, ClientError> {
        let program = binaries().map_err(ClientError::Program)?.join(PROGRAM);
        Self::of(folders, program)
    }

    /// Of this program.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(folders: &Folders, program: PathBuf) -> Result<Self, ClientError> {
        let is = fs::metadata(&program).map_err(ClientError::Program)?;
        let name = format!(
            "policy-{:x}-{:x}-{:x}.sock",
            is.ino(),
            is.mtime(),
            is.mtime_nsec()
        );
        Ok(Self {
            program,
            socket: folders.runtime.join(name),
        })
    }

    /// Connects to the loop, which is started if there is none.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub fn connect(&self, folders: &Folders) -> Result<OwnedFd, ClientError> {
        if let Some(socket) = self.try_connect()? {
            return Ok(socket);
        }
        folders.make_runtime()?;
        let _lock = lock(&self.socket, true).map_err(start("lock"))?;
        // Somebody else may have been faster.
        if let Some(socket) = self.try_connect()? {
            return Ok(socket);
        }
        self.start(folders)?;
        let gone = || start("reach")(io::ErrorKind::ConnectionRefused.into());
        self.try_connect()?.ok_or_else(gone)
    }

    /// A connection, unless nobody listens.
    fn try_connect(&self) -> Result<Option<OwnedFd>, ClientError> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None);
        let socket = socket.map_err(|errno| start("reach")(errno.into()))?;
        match sockets::connect(&socket, &self.socket) {
            Ok(()) if sockets::is_own(&socket).map_err(start("reach"))? => Ok(Some(socket)),
            Ok(()) => Err(ClientError::Foreign(self.socket.clone())),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(start("reach")(error)),
            },
        }
    }

    /// Starts it. To be called under the lock.
    fn start(&self, folders: &Folders) -> Result<(), ClientError> {
        // Of one that was killed.
        let _ = fs::remove_file(&self.socket);
        let listener = sockets::listener(&self.socket).map_err(start("listen for"))?;
        make_private(&folders.state)?;
        let mut log = File::options();
        let log = log.append(true).create(true).mode(0o600);
        let log = log.open(folders.state.join("policy.log"));
        let spawned = Command::new(&self.program)
            .arg(SERVE)
            .arg(&self.socket)
            // Nothing of the caller's: it serves others too.
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .stderr(log.map_err(start("make a log for"))?)
            .spawn();
        if let Err(error) = spawned {
            let _ = fs::remove_file(&self.socket);
            return Err(start("start")(error));
        }
        Ok(())
    }
}

/// The lock of who starts or ends a loop; waits for it if `wait`.
///
/// # Errors
/// What the system says.
pub(super) fn lock(socket: &Path, wait: bool) -> io::Result<File> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(socket.with_file_name("policy.lock"))?;
    let operation = match wait {
        true => FlockOperation::LockExclusive,
        false => FlockOperation::NonBlockingLockExclusive,
    };
    rustix::io::retry_on_intr(|| flock(&file, operation))?;
    Ok(file)
}
