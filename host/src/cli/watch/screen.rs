// SPDX-License-Identifier: Apache-2.0
//! The terminal: taken for the time of the view and given back as it was, however that ends.

use std::io::{self, IsTerminal, Stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};

use super::draw::draw;
use super::model::{Drawn, Model};

/// Whether the terminal is ours. The panic hook has no other way to know.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken.
#[derive(Debug)]
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

/// Whether there is one to read keys from and to draw on.
pub(super) fn is_there() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal()
}

impl Screen {
    /// Takes it.
    pub(super) fn take() -> io::Result<Self> {
        // Dropping is not enough: a released program ends at a panic.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        TAKEN.store(true, Ordering::SeqCst);
        let taken = enter();
        if taken.is_err() {
            give_back();
        }
        taken.map(Self)
    }

    /// Draws.
    pub(super) fn draw(&mut self, model: &Model) -> io::Result<Drawn> {
        let mut drawn = Drawn::default();
        self.0.draw(|frame| drawn = draw(model, frame))?;
        Ok(drawn)
    }

    /// Forgets what is on it, so that all of it is drawn the next time.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    enable_raw_mode()?;
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        // A text that is pasted is no keys.
        EnableBracketedPaste,
        cursor::Hide
    )?;
    Terminal::new(CrosstermBackend::new(io::stdout()))
}

/// Gives it back. What fails is tried on: the terminal may be gone.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}
