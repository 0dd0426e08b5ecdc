// SPDX-License-Identifier: Apache-2.0
//! The model as it is on the screen.
//!
//! ```text
//! wide                          else                  low
//!  tasks        │ approvals      tasks                 the pane
//!  ─────────────┼──────────      approvals             that has
//!  actions      │ the approval   actions or approval   the keys
//! ```
//!
//! Panes have a title and no frame: nothing stands right of a guest's text but another pane.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::model::{Drawn, Model, Pane};
use super::panes::{self, Lines};
use super::{ask, fit};

/// Columns and rows from which panes are side by side.
const WIDE: (u16, u16) = (100, 16);

/// Rows from which there is more than one pane.
const HIGH: u16 = 12;

/// Most rows of a list above what it is a list of, its title counted.
const LIST: u16 = 7;

/// Most rows of what is said.
const SAID: usize = 4;

/// Style of what matters less.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// Style of what matters more.
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Draws everything; what was there to be read.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) -> Drawn {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let foot = foot(model, area);
    let (rest, footer) = below(area, u16::try_from(foot.len()).unwrap_or(1));
    let mut drawn = Drawn::default();
    if model.help {
        put(buffer, area, &ask::help(usize::from(area.width)));
        return drawn;
    }
    let prompt = model.prompt.as_ref();
    let asked = prompt.map(|prompt| ask::lines(prompt, &model.message, (area.width, area.height)));
    let asked_rows = asked.as_ref().map_or(0, Vec::len);
    let (panes, question) = match asked_rows {
        0 => (rest, Rect::default()),
        rows => below(area, u16::try_from(rows).unwrap_or(u16::MAX)),
    };
    for (pane, place) in places(model, panes) {
        show(model, buffer, (pane, place), &mut drawn);
    }
    match asked {
        Some(lines) => put(buffer, question, &lines),
        None => put(buffer, footer, &foot),
    }
    drawn
}

/// Where each pane is.
fn places(model: &Model, area: Rect) -> Vec<(Pane, Rect)> {
    if area.height < HIGH - 2 || model.zoom {
        return vec![(model.focus, area)];
    }
    let read = matches!(model.focus, Pane::Approvals | Pane::Page);
    let rows = |count: usize| {
        u16::try_from(count.max(1))
            .unwrap_or(LIST)
            .saturating_add(2)
    };
    let tasks = rows(model.ids().len()).min(LIST);
    let waiting = rows(model.waiting.len()).min(LIST);
    if area.width >= WIDE.0 && area.height >= WIDE.1 - 2 {
        let (top, bottom) = above(area, tasks.max(waiting).max(5));
        let ((a, b), (c, d)) = (beside(top, 54), beside(bottom, 46));
        return vec![
            (Pane::Tasks, a),
            (Pane::Approvals, b),
            (Pane::Actions, c),
            (Pane::Page, d),
        ];
    }
    // What is read has at least half of the rows.
    let most = (area.height / 4).max(3);
    let (tasks, rest) = above(area, tasks.min(most));
    let (waiting, rest) = above(rest, waiting.min(most));
    let last = if read { Pane::Page } else { Pane::Actions };
    vec![
        (Pane::Tasks, tasks),
        (Pane::Approvals, waiting),
        (last, rest),
    ]
}

/// Draws one pane.
fn show(model: &Model, buffer: &mut Buffer, (pane, area): (Pane, Rect), drawn: &mut Drawn) {
    let (title, inner) = above(area, 1);
    let (columns, rows) = (usize::from(inner.width), usize::from(inner.height));
    let has_keys = model.focus == pane;
    let (text, lines) = match pane {
        Pane::Tasks => panes::tasks(model, columns, rows),
        Pane::Actions => panes::actions(model, columns, rows),
        Pane::Approvals => panes::approvals(model, columns, rows),
        Pane::Page => {
            let page = panes::page(model, columns, rows);
            (drawn.page, drawn.top, drawn.below) = (page.what, page.top, page.below);
            (page.title, page.lines)
        }
    };
    if has_keys {
        drawn.height = rows;
    }
    put(
        buffer,
        title,
        &[rule(&text, usize::from(title.width), has_keys)],
    );
    put(buffer, inner, &lines);
}

/// A title and a line after it.
fn rule(text: &str, columns: usize, has_keys: bool) -> Line<'static> {
    let (sign, style) = match has_keys {
        true => ("━", BOLD.fg(Color::Cyan)),
        false => ("─", DIM),
    };
    let text = fit::cut(&format!("{sign} {text} "), columns);
    let rest = columns.saturating_sub(fit::width(&text));
    let text_style = if has_keys { style } else { BOLD };
    Line::from(vec![
        Span::styled(text, text_style),
        Span::styled(sign.repeat(rest), style),
    ])
}

/// The last rows: what the last command came to or how things are, and the keys.
fn foot(model: &Model, area: Rect) -> Lines {
    let columns = usize::from(area.width);
    let keys = match columns {
        80.. => "a approve  A for hours  d deny  c comment  Tab pane  Enter open  ? help  q quit",
        40.. => "a approve  d deny  Tab  ? help  q quit",
        _ => "a d Tab ? q",
    };
    let keys = Line::styled(fit::cut(keys, columns), DIM);
    let (said, style) = said(model);
    let said = fit::plain(&said);
    if area.height < HIGH {
        let status = Line::styled(fit::cut(&said, columns), style);
        return vec![if model.message.is_empty() {
            keys
        } else {
            status
        }];
    }
    let said = fit::wrap(&said, columns.max(2)).into_iter().take(SAID);
    let said = said.map(|line| Line::styled(line.to_owned(), style));
    said.chain([keys]).collect()
}

fn said(model: &Model) -> (String, Style) {
    if !model.message.is_empty() {
        return (model.message.clone(), BOLD);
    }
    if let Some(fault) = model.faults.first() {
        return (fault.clone(), BOLD.fg(Color::Red));
    }
    if let Some(gap) = &model.gap {
        return (format!("GAP: {gap}"), BOLD.fg(Color::Yellow));
    }
    if model.reading {
        return ("reading the record of events…".to_owned(), DIM);
    }
    let run = model.tasks.iter().filter(|task| task.alive).count();
    let waits = model.waiting.len();
    let tasks = if run == 1 { "task runs" } else { "tasks run" };
    let approvals = if waits == 1 {
        "approval waits"
    } else {
        "approvals wait"
    };
    (format!("{run} {tasks}, {waits} {approvals}"), DIM)
}

/// Writes lines into rows.
fn put(buffer: &mut Buffer, area: Rect, lines: &[Line<'_>]) {
    for (y, line) in area.rows().zip(lines) {
        buffer.set_line(y.x, y.y, line, y.width);
    }
}

/// The first rows, and the others.
fn above(area: Rect, rows: u16) -> (Rect, Rect) {
    let height = rows.min(area.height);
    let first = Rect { height, ..area };
    let rest = Rect {
        y: area.y.saturating_add(height),
        height: area.height.saturating_sub(height),
        ..area
    };
    (first, rest)
}

/// The other rows, and the last.
fn below(area: Rect, rows: u16) -> (Rect, Rect) {
    above(area, area.height.saturating_sub(rows))
}

/// Left, so much of a hundred, and right, a column between them.
fn beside(area: Rect, share: u16) -> (Rect, Rect) {
    let width = area.width / 100 * share + area.width % 100 * share / 100;
    let x = area.x.saturating_add(width).saturating_add(1);
    let right = Rect {
        x,
        width: area.right().saturating_sub(x),
        ..area
    };
    (Rect { width, ..area }, right)
}
