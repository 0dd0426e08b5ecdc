// SPDX-License-Identifier: Apache-2.0
//! The lines of what is asked, and of what the keys do.

use ratatui::style::Color;
use ratatui::text::{Line, Span};

use super::draw::{BOLD, DIM};
use super::fit;
use super::keys::{Prompt, Target};
use super::panes::Lines;

/// Columns and rows below which a question is as short as can be.
const SMALL: (u16, u16) = (40, 10);

/// Rows of a question beside the actions that it is about.
const FRAME: usize = 6;

/// What the keys do.
const KEYS: [&str; 15] = [
    "Tab, h, l      another pane",
    "j, k, arrows   up and down in it; PgUp, PgDn, g, G",
    "Enter          open; again: the whole screen; Esc: back",
    "",
    "a              approve once what is shown (y confirms)",
    "A              approve, and the very same again for some hours",
    "d              deny, with a note or without",
    "c              comment; it goes on waiting",
    "",
    "q, Ctrl-C      quit; nothing is decided by that",
    "Ctrl-L         draw the screen again",
    "",
    "What comes from a task is escaped; lines that begin with | are in",
    "its words. ASK waits for people, DENY was refused, ... has no verdict",
    "yet. `ampoule approvals` and `ampoule events` tell more.",
];

/// The help.
pub(super) fn help(columns: usize) -> Lines {
    let title = Line::styled(fit::cut("ampoule watch", columns), BOLD);
    let keys = KEYS.iter().map(|line| Line::raw(fit::cut(line, columns)));
    let end = Line::styled(fit::cut("any key: back", columns), DIM);
    [title, Line::raw("")]
        .into_iter()
        .chain(keys)
        .chain([Line::raw(""), end])
        .collect()
}

/// A question in the last rows, and what is wrong with the answer so far.
pub(super) fn lines(prompt: &Prompt, wrong: &str, (width, height): (u16, u16)) -> Lines {
    let columns = usize::from(width);
    let small = width < SMALL.0 || height < SMALL.1;
    let mut texts = texts(prompt, small);
    if !wrong.is_empty() {
        texts.push(wrong.to_owned());
    }
    let gone = matches!(prompt, Prompt::Gone(..));
    if !small && !gone {
        let actions = actions(&prompt.target().lines, usize::from(height));
        texts.splice(1..1, actions);
    }
    if !small {
        texts.insert(0, "━".repeat(columns));
    }
    let style = BOLD.fg(Color::Yellow);
    let mut lines: Lines = texts
        .iter()
        .flat_map(|text| match small || gone {
            true => fit::wrap(text, columns.max(2)),
            false => vec![text.as_str()],
        })
        .map(|text| Line::styled(fit::cut(text, columns), style))
        .collect();
    if let Prompt::Hours(_, text) | Prompt::Deny(_, text) | Prompt::Comment(_, text) = prompt {
        lines.push(written(text, columns));
    }
    // Of what has no room the end is what is answered.
    let over = lines.len().saturating_sub(usize::from(height));
    lines.drain(..over);
    lines
}

/// All that the answer holds for. Where they have no room it is said how many are left out: a yes
/// would hold for those as well.
fn actions(lines: &[String], height: usize) -> Vec<String> {
    let room = height.saturating_sub(FRAME).max(1);
    let (shown, left) = match lines.len() > room {
        true => lines.split_at(room.saturating_sub(1)),
        false => (lines, &[][..]),
    };
    let shown = shown.iter().map(|line| format!("  {}", fit::plain(line)));
    let left = match left.len() {
        0 => None,
        left => Some(format!(
            "  and {left} more actions, which have no room here"
        )),
    };
    shown.chain(left).collect()
}

fn texts(prompt: &Prompt, small: bool) -> Vec<String> {
    let Target {
        id,
        revision,
        below,
        ..
    } = prompt.target();
    let once = |hours: &Option<u32>| match hours {
        None => "once".to_owned(),
        Some(1) => "for 1 hour".to_owned(),
        Some(hours) => format!("for {hours} hours"),
    };
    let unread = match below {
        0 => String::new(),
        below => format!("  {below} lines of it are below what was on the screen"),
    };
    let texts = match (prompt, small) {
        (Prompt::Confirm(_, hours, _), true) => {
            vec![format!("{id} r{revision} {}? y/n", once(hours))]
        }
        (Prompt::Confirm(_, hours, _), false) => vec![
            format!("Approve {id}, revision {revision}, {}?", once(hours)),
            unread,
            "y: yes   any other key: no".to_owned(),
        ],
        (Prompt::Hours(..), true) => vec![format!("{id} hours?")],
        (Prompt::Hours(..), false) => {
            vec![format!("Approve {id} for how many hours?   Enter, Esc")]
        }
        (Prompt::Deny(..), true) => vec![format!("deny {id}: why?")],
        (Prompt::Deny(..), false) => vec![format!(
            "Deny {id}. Why? The agent is told; may be empty.   Enter, Esc"
        )],
        (Prompt::Comment(..), true) => vec![format!("to {id}:")],
        (Prompt::Comment(..), false) => vec![format!("Write to {id}:   Enter, Esc")],
        (Prompt::Gone(_, why), true) => vec![format!("{why}. Enter")],
        (Prompt::Gone(_, why), false) => vec![
            why.clone(),
            "Enter or Esc: close   no other key counts".to_owned(),
        ],
    };
    texts.into_iter().filter(|text| !text.is_empty()).collect()
}

/// What was written so far, its end at least, and a cursor.
fn written(text: &str, columns: usize) -> Line<'static> {
    let text = fit::plain(text);
    let room = columns.saturating_sub(3).max(2);
    let mut tail = text.as_str();
    while fit::width(tail) > room {
        let mut chars = tail.chars();
        chars.next();
        tail = chars.as_str();
    }
    Line::from(vec![
        Span::styled("> ", BOLD),
        Span::raw(tail.to_owned()),
        Span::styled("█", BOLD),
    ])
}
