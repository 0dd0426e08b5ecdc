// SPDX-License-Identifier: Apache-2.0
//! The user's terminal given to a command, and back, whatever happens.
//!
//! ```text
//!  waits ── the command runs ──► raw ── dropped ──► as it was
//! ```
//!
//! Until the command runs there is nobody whom its keys could interrupt, so Ctrl-C and Ctrl-\ are
//! signals to us. Whatever else is typed is kept for the command as it is, and not shown.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::messages::WindowSize;
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize,
    tcsetattr,
};

/// What a control character is that no key is (`_POSIX_VDISABLE`).
const NO_KEY: u8 = 0;

/// A terminal of a command; dropping it gives it back as it was.
#[derive(Debug)]
pub struct Terminal {
    fd: OwnedFd,
    before: Termios,
    raw: bool,
}

impl Terminal {
    /// Takes the terminal behind `fd` for a command that does not run yet.
    ///
    /// # Errors
    /// `ENOTTY` when it is no terminal.
    pub fn waiting(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        let before = tcgetattr(&fd)?;
        let mut waiting = before.clone();
        waiting.make_raw();
        waiting.local_modes |= before.local_modes & LocalModes::ISIG;
        // Stopped, it would be left to the shell in a mode that is not the shell's.
        waiting.special_codes[SpecialCodeIndex::VSUSP] = NO_KEY;
        waiting.output_modes |= before.output_modes & OutputModes::all();
        let raw = false;
        let terminal = Self { fd, before, raw };
        tcsetattr(&terminal.fd, OptionalActions::Drain, &waiting)?;
        Ok(terminal)
    }

    /// Puts it into raw mode: the command runs, and keys go to the guest, which has its own line
    /// discipline.
    pub fn raw(&mut self) {
        let mut raw = self.before.clone();
        raw.make_raw();
        // One that is gone is noticed when it is read.
        let _ = tcsetattr(&self.fd, OptionalActions::Drain, &raw);
        self.raw = true;
    }

    /// The size of its window now.
    #[must_use]
    pub fn size(&self) -> WindowSize {
        size_of(self.fd.as_fd())
    }
}

/// Says something to people, where a command may have their terminal: in raw mode a newline alone
/// does not go back to the left.
pub fn tell(terminal: Option<&Terminal>, text: &str) {
    let mut stderr = io::stderr().lock();
    let raw = terminal.is_some_and(|terminal| terminal.raw);
    let shown = line(text, raw && rustix::termios::isatty(&stderr));
    // Nobody there to be told is no failure of the task's.
    let _ = stderr.write_all(shown.as_bytes());
}

fn line(text: &str, raw: bool) -> String {
    let end = if raw { "\r\n" } else { "\n" };
    format!("ampoule: {text}{end}")
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
    use rustix::termios::{Winsize, tcsetwinsize};

    #[test]
    fn keys_interrupt_us_until_the_command_runs_and_then_are_its_own() {
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
        let modes = || {
            let now = tcgetattr(&tty).unwrap();
            let (local, output) = (now.local_modes, now.output_modes);
            let of_keys = (LocalModes::ECHO, LocalModes::ISIG);
            let keys = (local.contains(of_keys.0), local.contains(of_keys.1));
            (keys.0, keys.1, output.contains(OutputModes::ONLCR))
        };
        assert_eq!(modes(), (true, true, true));
        let mut terminal = Terminal::waiting(tty.as_fd()).unwrap();
        // Keys are not shown, Ctrl-C is a signal, lines begin at the left.
        assert_eq!(modes(), (false, true, true));
        terminal.raw();
        let raw = tcgetattr(&tty).unwrap();
        assert!(!raw.local_modes.contains(LocalModes::ISIG));
        assert!(!raw.output_modes.contains(OutputModes::OPOST));
        assert_eq!(
            terminal.size(),
            WindowSize {
                rows: 33,
                cols: 101
            }
        );
        drop(terminal);
        assert_eq!(modes(), (true, true, true));
    }

    #[test]
    fn a_line_on_a_raw_terminal_goes_back_to_the_left() {
        assert_eq!(line("it waits", false), "ampoule: it waits\n");
        assert_eq!(line("it waits", true), "ampoule: it waits\r\n");
    }

    #[test]
    fn what_is_no_terminal_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(Terminal::waiting(file.as_fd()).is_err());
    }
}
