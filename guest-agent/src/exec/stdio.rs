// SPDX-License-Identifier: Apache-2.0
//! A command's standard streams: three pipes, or one terminal.

use std::os::fd::OwnedFd;

use protocol::Kind;
use protocol::messages::WindowSize;
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The group `tty`, which terminals belong to (devpts is mounted with `gid=5`).
const TTY_GROUP: u32 = 5;

/// Both ends of a command's streams. Ours are non-blocking.
#[derive(Debug)]
pub(crate) struct Stdio {
    /// The child's stdin, stdout, stderr.
    pub(crate) child: [OwnedFd; 3],
    /// Where what the host sends goes.
    pub(crate) input: Option<OwnedFd>,
    /// Where what the command writes comes from, and as which frame it goes to the host.
    pub(crate) outputs: [Option<(Kind, OwnedFd)>; 2],
    /// The controlling side of the terminal.
    pub(crate) terminal: Option<OwnedFd>,
}

/// Three pipes; stdin is `/dev/null` when none will be sent.
///
/// The pipes are given to the command's user, or it could not open `/dev/stdout`, which leads to
/// the pipe's inode and its owner.
pub(crate) fn pipes(stdin: bool, uid: Option<u32>) -> Result<Stdio, Errno> {
    let (from_out, out) = owned_pipe(uid)?;
    let (from_err, err) = owned_pipe(uid)?;
    ioctl_fionbio(&from_out, true)?;
    ioctl_fionbio(&from_err, true)?;
    let (child_in, input) = if stdin {
        let (child_in, input) = owned_pipe(uid)?;
        ioctl_fionbio(&input, true)?;
        (child_in, Some(input))
    } else {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        (open(c"/dev/null", flags, Mode::empty())?, None)
    };
    Ok(Stdio {
        child: [child_in, out, err],
        input,
        outputs: [
            Some((Kind::Stdout, from_out)),
            Some((Kind::Stderr, from_err)),
        ],
        terminal: None,
    })
}

fn owned_pipe(uid: Option<u32>) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    if let Some(uid) = uid {
        fchown(&writer, Some(Uid::from_raw(uid)), None)?;
    }
    Ok((reader, writer))
}

/// A terminal of a size. All the command writes comes as stdout.
pub(crate) fn terminal(size: WindowSize, uid: Option<u32>) -> Result<Stdio, Errno> {
    // `rustix::pty::openpt` knows no O_CLOEXEC on every system; the device is the same.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let ours = open(c"/dev/ptmx", flags, Mode::empty())?;
    unlockpt(&ours)?;
    let theirs = ioctl_tiocgptpeer(
        &ours,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?;
    resize(&ours, size)?;
    if let Some(uid) = uid {
        let (owner, group) = (Uid::from_raw(uid), Gid::from_raw(TTY_GROUP));
        fchown(&theirs, Some(owner), Some(group))?;
    }
    ioctl_fionbio(&ours, true)?;
    let again = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, 3);
    Ok(Stdio {
        input: Some(again(&ours)?),
        outputs: [Some((Kind::Stdout, again(&ours)?)), None],
        terminal: Some(ours),
        child: [again(&theirs)?, again(&theirs)?, theirs],
    })
}

/// Tells a terminal its size; the kernel tells the command (SIGWINCH).
pub(crate) fn resize(terminal: &OwnedFd, size: WindowSize) -> Result<(), Errno> {
    let cells = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let size = Winsize {
        ws_row: cells(size.rows),
        ws_col: cells(size.cols),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size)
}
