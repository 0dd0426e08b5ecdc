// SPDX-License-Identifier: Apache-2.0
//! The user's terminal in raw mode, and back, whatever happens.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::messages::WindowSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// A terminal in raw mode; dropping it gives it back as it was.
#[derive(Debug)]
pub struct Terminal {
    fd: OwnedFd,
    before: Termios,
}

impl Terminal {
    /// Puts the terminal behind `fd` into raw mode: keys go to the guest, which has its own
    /// line discipline.
    ///
    /// # Errors
    /// `ENOTTY` when it is no terminal.
    pub fn raw(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        let before = tcgetattr(&fd)?;
        let mut raw = before.clone();
        raw.make_raw();
        let terminal = Self { fd, before };
        tcsetattr(&terminal.fd, OptionalActions::Drain, &raw)?;
        Ok(terminal)
    }

    /// The size of its window now.
    #[must_use]
    pub fn size(&self) -> WindowSize {
        size_of(self.fd.as_fd())
    }
}

fn size_of(fd: BorrowedFd<'_>) -> WindowSize {
    tcgetwinsize(fd).map_or(WindowSize { rows: 24, cols: 80 }, |size| WindowSize {
        rows: size.ws_row.into(),
        cols: size.ws_col.into(),
    })
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(&self.fd, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, Winsize, tcsetwinsize};

    #[test]
    fn raw_mode_lasts_as_long_as_the_value() {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new())
            .unwrap()
            .into_string()
            .unwrap();
        let tty = std::fs::File::options()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        let size = Winsize {
            ws_row: 33,
            ws_col: 101,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&tty, size).unwrap();
        let echoes = || {
            tcgetattr(&tty)
                .unwrap()
                .local_modes
                .contains(LocalModes::ECHO)
        };
        assert!(echoes());
        let terminal = Terminal::raw(tty.as_fd()).unwrap();
        assert!(!echoes());
        assert_eq!(
            terminal.size(),
            WindowSize {
                rows: 33,
                cols: 101
            }
        );
        drop(terminal);
        assert!(echoes());
    }

    #[test]
    fn what_is_no_terminal_is_refused() {
        assert!(Terminal::raw(std::fs::File::open("/dev/null").unwrap().as_fd()).is_err());
    }
}
