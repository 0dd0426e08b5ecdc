// SPDX-License-Identifier: Apache-2.0
//! What keys do: move about in the model, ask something, or command.

use policy::approval::ItemId;
use policy::approval::event::TEXT;
use policy::approval::item::Subject;
use policy::text::unprintable;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Model, Pane};
use crate::cli::approvals::meant::Meant;

/// Characters of what stands in place of actions.
const LINE: usize = 80;

/// Digits of a number of hours.
const DIGITS: usize = 4;

/// How long a confirmation must have been on the screen before a yes counts: nobody has read what
/// came up under a key that was on its way.
const READ_MS: u64 = 500;

/// What is to be done outside of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// End.
    Quit,
    /// Draw all of the screen again: another program wrote on it.
    Redraw,
    /// Say yes.
    Approve {
        /// To what.
        id: ItemId,
        /// The revision that was seen.
        seen: u32,
        /// For how many hours, if not once.
        hours: Option<u32>,
    },
    /// Say no.
    Deny {
        /// To what.
        id: ItemId,
        /// The revision that was seen.
        seen: u32,
        /// Why.
        note: Option<String>,
    },
    /// Write something.
    Comment {
        /// To what.
        id: ItemId,
        /// What.
        text: String,
    },
}

/// What a question is about, as it was when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The approval.
    pub(super) id: ItemId,
    /// The revision that was on the screen.
    pub(super) revision: u32,
    /// Each action that the answer holds for, in a line.
    pub(super) lines: Vec<String>,
    /// Whether the answer holds for that revision only.
    pub(super) decides_revision: bool,
    /// Lines of it that were not on the screen.
    pub(super) below: usize,
}

/// What is being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// For how many hours.
    Hours(Target, String),
    /// Whether it is meant; for how many hours, and asked when.
    Confirm(Target, Option<u32>, u64),
    /// Why not.
    Deny(Target, String),
    /// What to write.
    Comment(Target, String),
    /// Nothing any more, and why. It stays until it is closed: what somebody goes on writing is
    /// no command.
    Gone(Target, String),
}

impl Prompt {
    /// What it is about.
    pub(super) fn target(&self) -> &Target {
        match self {
            Self::Hours(target, _)
            | Self::Confirm(target, ..)
            | Self::Deny(target, _)
            | Self::Comment(target, _)
            | Self::Gone(target, _) => target,
        }
    }

    fn text(&mut self) -> Option<(&mut String, usize)> {
        match self {
            Self::Hours(_, text) => Some((text, DIGITS)),
            Self::Deny(_, text) | Self::Comment(_, text) => Some((text, TEXT)),
            Self::Confirm(..) | Self::Gone(..) => None,
        }
    }

    fn takes(&self, c: char) -> bool {
        match self {
            Self::Hours(..) => c.is_ascii_digit(),
            _ => !unprintable(c),
        }
    }

    fn write(&mut self, written: impl Iterator<Item = char>) {
        for c in written {
            let takes = self.takes(c);
            if let Some((text, most)) = self.text()
                && takes
                && text.len() + c.len_utf8() <= most
            {
                text.push(c);
            }
        }
    }
}

impl Model {
    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Command> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let held = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SUPER;
        let held = key.modifiers.intersection(held);
        if held == KeyModifiers::CONTROL && key.code == KeyCode::Char('c') {
            return Some(Command::Quit);
        }
        if held == KeyModifiers::CONTROL && key.code == KeyCode::Char('l') {
            return Some(Command::Redraw);
        }
        self.message.clear();
        self.gap = None;
        if std::mem::take(&mut self.help) {
            return None;
        }
        if let Some(prompt) = self.prompt.take() {
            return self.answer(prompt, key.code, held);
        }
        if !held.is_empty() {
            return None;
        }
        self.command(key.code)
    }

    /// Takes a text that was pasted: into what is being written, else nowhere.
    pub(super) fn paste(&mut self, text: &str) {
        let line = text
            .chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c });
        if let Some(prompt) = &mut self.prompt {
            prompt.write(line);
        }
    }

    fn command(&mut self, code: KeyCode) -> Option<Command> {
        let now = self.now_ms;
        match code {
            KeyCode::Char('q') => return Some(Command::Quit),
            KeyCode::Char('?') => self.help = true,
            KeyCode::Char('a') => self.ask(true, |target| Prompt::Confirm(target, None, now)),
            KeyCode::Char('A') => self.ask(true, |target| Prompt::Hours(target, String::new())),
            KeyCode::Char('d') => self.ask(true, |target| Prompt::Deny(target, String::new())),
            KeyCode::Char('c') => self.ask(false, |target| Prompt::Comment(target, String::new())),
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => self.go(true),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => self.go(false),
            KeyCode::Enter => self.enter(),
            KeyCode::Esc => self.zoom = false,
            _ => self.travel(code),
        }
        None
    }

    fn travel(&mut self, code: KeyCode) {
        let page = self.drawn.height.saturating_sub(1).max(1);
        match code {
            KeyCode::Up | KeyCode::Char('k') => self.go_by(false, 1),
            KeyCode::Down | KeyCode::Char('j') => self.go_by(true, 1),
            KeyCode::PageUp => self.go_by(false, page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.go_by(true, page),
            KeyCode::Home | KeyCode::Char('g') => self.go_by(false, usize::MAX),
            KeyCode::End | KeyCode::Char('G') => self.go_by(true, usize::MAX),
            _ => {}
        }
    }

    /// To the next pane, or the one before.
    fn go(&mut self, next: bool) {
        self.focus = match (self.focus, next) {
            (Pane::Tasks, true) | (Pane::Approvals, false) => Pane::Actions,
            (Pane::Actions, true) | (Pane::Page, false) => Pane::Approvals,
            (Pane::Approvals, true) | (Pane::Tasks, false) => Pane::Page,
            (Pane::Page, true) | (Pane::Actions, false) => Pane::Tasks,
        };
    }

    fn enter(&mut self) {
        match self.focus {
            Pane::Tasks => self.focus = Pane::Actions,
            Pane::Approvals => self.focus = Pane::Page,
            Pane::Actions | Pane::Page => self.zoom = !self.zoom,
        }
    }

    fn go_by(&mut self, down: bool, lines: usize) {
        let moved = |at: usize| match down {
            true => at.saturating_add(lines),
            false => at.saturating_sub(lines),
        };
        match self.focus {
            Pane::Tasks => {
                let ids = self.ids();
                let at = ids.iter().position(|id| self.task.as_ref() == Some(id));
                let last = ids.len().saturating_sub(1);
                self.task = ids.into_iter().nth(moved(at.unwrap_or(0)).min(last));
                self.up = 0;
            }
            Pane::Actions => {
                let most = self.story().map_or(0, |story| story.deeds().len());
                self.up = match down {
                    true => self.up.saturating_sub(lines),
                    false => self.up.saturating_add(lines).min(most.saturating_sub(1)),
                };
            }
            Pane::Approvals => {
                let last = self.waiting.len().saturating_sub(1);
                self.turn_to(moved(self.at()).min(last));
            }
            // The screen knows how long it is: `drawn` says where it came to.
            Pane::Page => self.top = moved(self.top),
        }
    }

    /// Asks about the selected approval, once it is on the screen.
    fn ask(&mut self, decides_revision: bool, prompt: impl FnOnce(Target) -> Prompt) {
        let Some(item) = self.open() else {
            self.message = "no approval waits".to_owned();
            return;
        };
        let (id, revision) = (item.id().clone(), item.revision());
        let lines = match item.subject() {
            Subject::Action => Meant::of(item).lines(),
            Subject::Flood { .. } => vec![Meant::of(item).line_of(LINE)],
        };
        if !self.is_read() {
            self.focus = Pane::Page;
            self.message = format!("this is {id}; look at it, then press the key again");
            return;
        }
        if !self.is_steady() {
            self.message = format!("{id} came or changed just now; look, then press the key again");
            return;
        }
        self.prompt = Some(prompt(Target {
            below: self.drawn.below,
            id,
            revision,
            lines,
            decides_revision,
        }));
    }

    /// Takes a key that answers.
    fn answer(&mut self, mut prompt: Prompt, code: KeyCode, held: KeyModifiers) -> Option<Command> {
        match (&prompt, code) {
            (Prompt::Confirm(..), _) => {
                let yes = code == KeyCode::Char('y') && held.is_empty();
                return self.confirm(yes, prompt);
            }
            (Prompt::Gone(..), KeyCode::Esc | KeyCode::Enter) => {
                self.turned();
                return None;
            }
            _ => {}
        }
        match code {
            KeyCode::Esc => {
                self.nothing(&prompt);
                return None;
            }
            KeyCode::Enter => return self.done(prompt),
            KeyCode::Char('u') if held == KeyModifiers::CONTROL => {
                if let Some((text, _)) = prompt.text() {
                    text.clear();
                }
            }
            KeyCode::Backspace => {
                if let Some((text, _)) = prompt.text() {
                    text.pop();
                }
            }
            KeyCode::Char(c) if held.is_empty() => prompt.write(std::iter::once(c)),
            _ => {}
        }
        self.prompt = Some(prompt);
        None
    }

    fn nothing(&mut self, prompt: &Prompt) {
        self.message = format!("{} stays as it is", prompt.target().id);
    }

    fn confirm(&mut self, yes: bool, prompt: Prompt) -> Option<Command> {
        let Prompt::Confirm(target, hours, asked_ms) = &prompt else {
            return None;
        };
        if !yes {
            self.nothing(&prompt);
            return None;
        }
        if self.now_ms.saturating_sub(*asked_ms) < READ_MS {
            self.message = "that was too fast to be read; look, then press y again".to_owned();
            self.prompt = Some(prompt);
            return None;
        }
        let (id, seen, hours) = (target.id.clone(), target.revision, *hours);
        Some(Command::Approve { id, seen, hours })
    }

    /// Enter was pressed.
    fn done(&mut self, prompt: Prompt) -> Option<Command> {
        match prompt {
            Prompt::Hours(target, text) => match text.parse() {
                Ok(0) | Err(_) => {
                    self.message = "write how many hours, e.g. 8, or Esc".to_owned();
                    self.prompt = Some(Prompt::Hours(target, text));
                    None
                }
                Ok(hours) => {
                    self.prompt = Some(Prompt::Confirm(target, Some(hours), self.now_ms));
                    None
                }
            },
            // These were answered before.
            Prompt::Confirm(..) | Prompt::Gone(..) => None,
            Prompt::Deny(target, text) => {
                let note = Some(text).filter(|text| !text.trim().is_empty());
                let (id, seen) = (target.id, target.revision);
                Some(Command::Deny { id, seen, note })
            }
            Prompt::Comment(target, text) if text.trim().is_empty() => {
                self.nothing(&Prompt::Comment(target, text));
                None
            }
            Prompt::Comment(target, text) => Some(Command::Comment {
                id: target.id,
                text,
            }),
        }
    }
}
