// SPDX-License-Identifier: Apache-2.0
//! Taking a guest from a pool, as `ampoule run` does it.
//!
//! Whatever is at the pool's place is believed as far as this user's processes are: it must be
//! one of them, in a folder that is this user's alone, and answer soon. Then the guest and its
//! descriptors are looked at; and if any of it is not as it must be, there is no guest.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::wire::{self, Answer, Request};
use crate::folders::Folders;
use crate::poll::Interests;
use crate::sockets;
use crate::supervise::machine::Machine;
use crate::task::TaskId;
use crate::template::Key;

/// How long a pool may take to answer. It has the guest ready; a task that waits longer would
/// have been restored meanwhile.
const ANSWER: Duration = Duration::from_secs(1);

/// A guest that is ours, and waits for what only its task knows.
#[derive(Debug)]
pub struct Taken {
    /// Its name, and so the task's.
    pub id: TaskId,
    /// Its VMM.
    pub machine: Machine,
    /// guest-init's connection.
    pub control: OwnedFd,
    /// The agent's.
    pub agent: OwnedFd,
    /// Why it has no cgroup, or no limits.
    pub cgroup_note: Option<String>,
    /// Closed once its task runs: the pool makes another then.
    pub connection: OwnedFd,
}

/// Why no guest was taken though there is a pool.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Its folder may be entered by others.
    #[error("the folder of the pools is not this user's alone")]
    Folder,
    /// Whoever listens is not this user.
    #[error("the pool is another user's process")]
    Foreign,
    /// It said why.
    #[error("{0}")]
    Refused(String),
    /// It says nothing.
    #[error("the pool did not answer within {0:?}")]
    Silent(Duration),
    /// It talks nonsense.
    #[error("the pool made no sense")]
    Nonsense,
    /// It is not to be reached.
    #[error("the pool cannot be reached")]
    Io(#[from] io::Error),
}

/// Takes a guest of this kind; `None` where there is no pool of it.
///
/// # Errors
/// As [`TakeError`] says; nothing is left.
pub fn take(folders: &Folders, key: &Key) -> Result<Option<Taken>, TakeError> {
    let Some(connection) = connect(&super::socket(folders, key))? else {
        return Ok(None);
    };
    match ask(&connection, &Request::Take(key.name()))? {
        (Answer::Guest { id, cgroup_note }, descriptors) => {
            let descriptors: Result<[OwnedFd; wire::DESCRIPTORS], _> = descriptors.try_into();
            let [pidfd, life, connector, control, agent] =
                descriptors.map_err(|_| TakeError::Nonsense)?;
            let machine = Machine::adopted([pidfd, life, connector]);
            Ok(Some(Taken {
                id,
                machine: machine.map_err(|_| TakeError::Nonsense)?,
                control,
                agent,
                cgroup_note,
                connection,
            }))
        }
        (Answer::Refused(why), _) => Err(TakeError::Refused(crate::text::printable(&why))),
        (Answer::Status(_), _) => Err(TakeError::Nonsense),
    }
}

/// Asks the pool that listens at `socket` how it is; `None` if none does.
///
/// # Errors
/// As [`TakeError`] says.
pub fn status(socket: &Path) -> Result<Option<wire::Status>, TakeError> {
    let Some(connection) = connect(socket)? else {
        return Ok(None);
    };
    match ask(&connection, &Request::Status)?.0 {
        Answer::Status(status) => Ok(Some(status)),
        _ => Err(TakeError::Nonsense),
    }
}

/// Connects to whoever listens at `path`, if it is one of this user's processes.
fn connect(path: &Path) -> Result<Option<OwnedFd>, TakeError> {
    let folder = path.parent().unwrap_or(path);
    let meta = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        meta => meta?,
    };
    let own = meta.uid() == rustix::process::geteuid().as_raw();
    if !own || !meta.is_dir() || meta.mode() & 0o077 != 0 {
        return Err(TakeError::Folder);
    }
    let socket = sockets::packet_socket()?;
    match sockets::connect(&socket, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    match sockets::is_own(&socket)? {
        true => Ok(Some(socket)),
        false => Err(TakeError::Foreign),
    }
}

fn ask(socket: &OwnedFd, request: &Request) -> Result<(Answer, Vec<OwnedFd>), TakeError> {
    wire::send(socket, request, &[])?;
    let until = Instant::now() + ANSWER;
    loop {
        let mut answered = Interests::new();
        answered.read(socket.as_fd(), ());
        answered.wait(Some(until))?;
        match wire::receive(socket) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if Instant::now() >= until => return Err(TakeError::Silent(ANSWER)),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(TakeError::Nonsense);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let path = dir.path().join("x.sock");
        (dir, path)
    }

    #[test]
    fn where_nobody_listens_there_is_no_pool_and_where_one_died_it_is_said() {
        let (dir, path) = place();
        assert!(status(&path).unwrap().is_none());
        assert!(status(&dir.path().join("no/x.sock")).unwrap().is_none());
        drop(sockets::packet_listener(&path).unwrap());
        assert!(matches!(status(&path), Err(TakeError::Io(_))));
    }

    #[test]
    fn a_folder_that_others_may_enter_holds_no_pool() {
        let (dir, path) = place();
        let _listener = sockets::packet_listener(&path).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(status(&path), Err(TakeError::Folder)));
    }

    #[test]
    fn who_listens_and_says_nothing_or_nonsense_is_not_waited_for_long() {
        let (_dir, path) = place();
        let listener = sockets::packet_listener(&path).unwrap();
        let since = Instant::now();
        assert!(matches!(status(&path), Err(TakeError::Silent(_))));
        assert!(since.elapsed() < Duration::from_secs(30));
        let liar = std::thread::spawn(move || {
            let mut asked = Interests::new();
            asked.read(listener.as_fd(), ());
            // The first is gone, and still in the queue.
            let _ = rustix::net::accept(&listener).unwrap();
            asked.wait(None).unwrap();
            let client = rustix::net::accept(&listener).unwrap();
            wire::send(&client, &Answer::Refused("\x1b[2J".into()), &[]).unwrap();
            client
        });
        assert!(matches!(status(&path), Err(TakeError::Nonsense)));
        drop(liar.join().unwrap());
    }
}
