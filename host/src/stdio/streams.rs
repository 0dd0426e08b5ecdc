// SPDX-License-Identifier: Apache-2.0
//! Our own stdin, stdout and stderr, used without ever blocking and without changing them.
//!
//! `O_NONBLOCK` belongs to the open file description, which we share with our parent and with
//! the other programs of a pipeline: setting it would break them. So a pipe or terminal is
//! opened anew through `/proc/self/fd`, a socket is written with `MSG_DONTWAIT`, and a regular
//! file cannot block for long anyway.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

/// Bytes that fit where poll said that there is room: a pipe reports room from one page on
/// (pipe(7), `PIPE_BUF`).
const ROOM: usize = 4096;

#[derive(Debug)]
enum Way {
    /// Writes do not block: opened anew.
    Own(OwnedFd),
    /// A socket.
    Socket(OwnedFd),
    /// Blocks only briefly: a regular file or a device that is no terminal.
    Brief(OwnedFd),
    /// May block: at most [`ROOM`] bytes after poll said so.
    Careful(OwnedFd),
    /// Nobody reads any more, or nobody ever did.
    Discard,
}

/// Where a command's output goes.
#[derive(Debug)]
pub struct Output {
    way: Way,
    broken: bool,
    ends_line: bool,
}

impl Output {
    /// To a duplicate of `fd`.
    ///
    /// # Errors
    /// When the descriptor is not open.
    pub fn to(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let kept = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        let way = match FileType::from_raw_mode(fstat(fd)?.st_mode) {
            FileType::Socket => Way::Socket(kept),
            FileType::Fifo => anew(fd).map_or(Way::Careful(kept), Way::Own),
            FileType::CharacterDevice if rustix::termios::isatty(fd) => {
                anew(fd).map_or(Way::Careful(kept), Way::Own)
            }
            _ => Way::Brief(kept),
        };
        Ok(Self {
            way,
            broken: false,
            ends_line: true,
        })
    }

    /// To nowhere.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            way: Way::Discard,
            broken: false,
            ends_line: true,
        }
    }

    /// What to poll for room, if it can block at all.
    #[must_use]
    pub fn room(&self) -> Option<BorrowedFd<'_>> {
        match &self.way {
            Way::Own(fd) | Way::Socket(fd) | Way::Careful(fd) => Some(fd.as_fd()),
            Way::Brief(_) | Way::Discard => None,
        }
    }

    /// Whether its reader has gone away.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether what was written so far ends with a newline, or is nothing.
    #[must_use]
    pub fn ends_line(&self) -> bool {
        self.ends_line
    }

    /// Writes what fits; `None` when nothing does now. Bytes for a reader that has gone away are
    /// dropped and count as written.
    ///
    /// # Errors
    /// Anything but a lack of room or of a reader: a full disk, for one.
    pub fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        let all = parts.iter().map(|part| part.len()).sum();
        let wrote = match &self.way {
            Way::Own(fd) | Way::Brief(fd) => rustix::io::writev(fd, parts),
            Way::Socket(fd) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                sendmsg(fd, parts, &mut SendAncillaryBuffer::default(), flags)
            }
            Way::Careful(fd) => match parts.iter().find(|part| !part.is_empty()) {
                Some(part) => rustix::io::write(fd, &part[..part.len().min(ROOM)]),
                None => Ok(0),
            },
            Way::Discard => Ok(all),
        };
        match wrote {
            Ok(n) => {
                self.ends_line = last_byte(parts, n).map_or(self.ends_line, |b| b == b'\n');
                Ok(Some(n))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(Errno::PIPE | Errno::CONNRESET) => {
                self.way = Way::Discard;
                self.broken = true;
                Ok(Some(all))
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

fn last_byte(parts: &[IoSlice<'_>], written: usize) -> Option<u8> {
    let mut left = written;
    for part in parts {
        if left <= part.len() {
            return left.checked_sub(1).and_then(|at| part.get(at)).copied();
        }
        left -= part.len();
    }
    None
}

/// The same pipe or terminal under a description of its own.
fn anew(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
}

/// Where a command's input comes from. Read only after poll said that there is something.
#[derive(Debug)]
pub struct Input {
    fd: OwnedFd,
    terminal: bool,
}

impl Input {
    /// From a duplicate of `fd`.
    ///
    /// # Errors
    /// When the descriptor is not open.
    pub fn from(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let terminal = rustix::termios::isatty(fd);
        Ok(Self {
            fd: rustix::io::fcntl_dupfd_cloexec(fd, 3)?,
            terminal,
        })
    }

    /// What to poll, unless this process is in the background of its terminal: reading there
    /// would stop it. A terminal that does not control this process has no background.
    #[must_use]
    pub fn ready(&self) -> Option<BorrowedFd<'_>> {
        let own = Ok(rustix::process::getpgrp());
        let elsewhere = |foreground: rustix::io::Result<_>| foreground.is_ok() && foreground != own;
        let background = self.terminal && elsewhere(rustix::termios::tcgetpgrp(&self.fd));
        (!background).then(|| self.fd.as_fd())
    }

    /// Reads what is there; 0 at the end; `None` when there is nothing now.
    ///
    /// # Errors
    /// What read says.
    pub fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.fd, into) {
            Ok(n) => Ok(Some(n)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            // A terminal that hung up, or one whose foreground is somebody else's.
            Err(Errno::IO) if self.terminal => Ok(Some(0)),
            Err(errno) => Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_full_pipe_says_so_and_stays_blocking_for_its_other_users() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut output = Output::to(writer.as_fd()).unwrap();
        let block = [b'x'; 65536];
        while output.write(&[IoSlice::new(&block)]).unwrap().is_some() {}
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
        drop(reader);
        assert_eq!(output.write(&[IoSlice::new(b"more")]).unwrap(), Some(4));
        assert!(output.is_broken());
    }

    #[test]
    fn a_full_socket_says_so() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let mut output = Output::to(writer.as_fd()).unwrap();
        let block = [b'x'; 65536];
        while output.write(&[IoSlice::new(&block)]).unwrap().is_some() {}
        assert_eq!(reader.read(&mut [0; 65536]).unwrap(), 65536);
    }

    #[test]
    fn a_file_is_appended_to_at_its_own_place() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"before ").unwrap();
        let mut output = Output::to(file.as_fd()).unwrap();
        assert_eq!(
            output
                .write(&[IoSlice::new(b"a"), IoSlice::new(b"b\n")])
                .unwrap(),
            Some(3)
        );
        assert!(output.ends_line());
        let mut text = String::new();
        std::io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "before ab\n");
    }
}
