// SPDX-License-Identifier: Apache-2.0
//! The lines of each pane: a title and what stands below it, cut to columns and rows.

use policy::approval::{Item, ItemId};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::draw::{BOLD, DIM};
use super::fit;
use super::model::{Listed, Model, Pane};
use super::page::{self, Row};
use super::story::{Deed, Mark};
use crate::cli::approvals::list::{between, percent};
use crate::cli::approvals::meant::Meant;
use crate::cli::approvals::show;
use crate::cli::events::phrase::utc;

/// Lines of a pane.
pub(super) type Lines = Vec<Line<'static>>;

/// Columns from which a list has all of its columns, and from which it has some.
const ALL: usize = 70;
const SOME: usize = 38;

/// The page of an approval.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Its title.
    pub(super) title: String,
    /// As much of it as there is room for.
    pub(super) lines: Lines,
    /// Which approval it is.
    pub(super) what: Option<(ItemId, u32)>,
    /// Lines above.
    pub(super) top: usize,
    /// Lines below.
    pub(super) below: usize,
}

/// The tasks.
pub(super) fn tasks(model: &Model, columns: usize, rows: usize) -> (String, Lines) {
    let widths = match columns {
        ALL.. => [8, 14, 4, 16, 9],
        48.. => [8, 7, 4, 9, 9],
        SOME.. => [8, 0, 4, 7, 9],
        _ => [8, 0, 0, 0, 0],
    };
    let listed = model.listed();
    let cells = |listed: &Listed| {
        let task = &listed.task;
        let waits = match listed.waits.as_slice() {
            [] => "-".to_owned(),
            [one] => one.clone(),
            [first, more @ ..] => format!("{first} +{}", more.len()),
        };
        let age = between(task.created_ms, model.now_ms);
        let cells = [
            &task.id,
            &task.image,
            &age,
            &task.state,
            &listed.posture,
            &waits,
        ];
        cells.map(|cell| fit::plain(cell))
    };
    let titles = ["TASK", "IMAGE", "AGE", "STATE", "POSTURE", "WAITS"].map(str::to_owned);
    let style = |listed: &Listed| match (listed.waits.is_empty(), listed.task.alive) {
        (false, _) => Style::new().fg(Color::Yellow),
        (true, true) => Style::new(),
        (true, false) => DIM,
    };
    let at = (listed.iter()).position(|listed| model.task.as_ref() == Some(&listed.task.id));
    let table = Table {
        titles: &titles,
        widths: &widths,
        size: (columns, rows),
        selected: (at.unwrap_or(0), model.focus == Pane::Tasks),
    };
    let none = "no task is recorded; `ampoule run` starts one";
    let of = listed.iter().map(|listed| (cells(listed), style(listed)));
    (format!("Tasks {}", listed.len()), table.lines(of, none))
}

/// The approvals that wait.
pub(super) fn approvals(model: &Model, columns: usize, rows: usize) -> (String, Lines) {
    let widths = match columns {
        48.. => [8, 8, 4, 6],
        // Whose it is says the list of tasks, too.
        SOME.. => [8, 0, 4, 6],
        _ => [8, 0, 0, 0],
    };
    let taken = widths.iter().filter(|width| **width > 0);
    let rest = columns.saturating_sub(taken.map(|width| width + 1).sum::<usize>() + 2);
    let now = model.now_ms;
    let cells = |item: &Item| {
        let meant = Meant::of(item);
        let late = item.last().map_or(now, |portion| portion.deadline_ms);
        let cells = [
            item.id().to_string(),
            item.task().to_owned(),
            between(now, late),
            meant.risk().map_or_else(|| "-".to_owned(), percent),
            meant.line_of(rest),
        ];
        cells.map(|cell| fit::plain(&cell))
    };
    let titles = ["ID", "TASK", "LEFT", "RISK", "ACTION"].map(str::to_owned);
    let table = Table {
        titles: &titles,
        widths: &widths,
        size: (columns, rows),
        selected: (model.at(), model.focus == Pane::Approvals),
    };
    let of = model.waiting.iter().map(|item| (cells(item), Style::new()));
    let title = format!("Waiting for you {}", model.waiting.len());
    (title, table.lines(of, "nothing waits for you"))
}

/// A list with a selected line.
struct Table<'a> {
    titles: &'a [String],
    /// Of each column but the last; none hides it.
    widths: &'a [usize],
    /// Columns and rows.
    size: (usize, usize),
    /// Which line, and whether it has the keys.
    selected: (usize, bool),
}

impl Table<'_> {
    fn lines<const N: usize>(
        &self,
        of: impl ExactSizeIterator<Item = ([String; N], Style)>,
        none: &str,
    ) -> Lines {
        let (columns, rows) = self.size;
        if of.len() == 0 {
            return vec![Line::styled(fit::cut(none, columns), DIM)];
        }
        let mut lines = Vec::new();
        // The titles give way to what is listed.
        if rows > 2 {
            lines.push(Line::styled(self.line(self.titles, "  "), DIM));
        }
        let room = rows.saturating_sub(lines.len()).max(1);
        let (at, has_keys) = self.selected;
        let first = at.saturating_add(1).saturating_sub(room);
        for (number, (cells, style)) in of.enumerate().skip(first).take(room) {
            let is_it = number == at;
            let text = self.line(&cells, if is_it { "▸ " } else { "  " });
            let style = match (is_it, has_keys) {
                (true, true) => style.add_modifier(Modifier::REVERSED),
                (true, false) => style.add_modifier(Modifier::BOLD),
                (false, _) => style,
            };
            lines.push(Line::styled(text, style));
        }
        lines
    }

    fn line(&self, cells: &[String], sign: &str) -> String {
        let mut line = sign.to_owned();
        for (cell, width) in cells
            .iter()
            .zip(self.widths)
            .filter(|(_, width)| **width > 0)
        {
            line.push_str(&fit::cell(cell, *width));
            line.push(' ');
        }
        line.push_str(cells.last().map_or("", String::as_str));
        fit::cell(&line, self.size.0)
    }
}

/// What the selected task did, the newest below.
pub(super) fn actions(model: &Model, columns: usize, rows: usize) -> (String, Lines) {
    let Some(task) = &model.task else {
        return ("Actions".to_owned(), Vec::new());
    };
    let up = match model.up {
        0 => String::new(),
        up => format!(", {up} newer below"),
    };
    let title = format!("Actions of {} (UTC){up}", fit::plain(task));
    let mut lines: Lines = Vec::new();
    let deeds = model.story().map(|story| story.deeds().iter().rev());
    for deed in deeds.into_iter().flatten().skip(model.up) {
        if lines.len() >= rows {
            break;
        }
        let of = of_deed(deed, columns, model.zoom);
        lines.extend(of.into_iter().rev());
    }
    lines.truncate(rows);
    lines.reverse();
    if lines.is_empty() {
        lines.push(Line::styled(
            fit::cut("no event of it is recorded", columns),
            DIM,
        ));
    }
    (title, lines)
}

/// An action in a line; what was not simply let pass has its reason in another.
fn of_deed(deed: &Deed, columns: usize, whole: bool) -> Lines {
    let style = match deed.mark {
        Mark::Allow => Style::new().fg(Color::Green),
        Mark::Ask => BOLD.fg(Color::Yellow),
        Mark::Deny => BOLD.fg(Color::Red),
        Mark::Open | Mark::Gone | Mark::Event => DIM,
    };
    let time = utc(deed.at_ms);
    let time = match columns >= SOME {
        true => format!("{} ", time.get(11..19).unwrap_or_default()),
        false => String::new(),
    };
    let mark = format!("{:<5} ", deed.mark.word());
    let before = time.len() + mark.len();
    let room = columns.saturating_sub(before);
    let (text, why) = (fit::plain(&deed.text), fit::plain(&deed.why));
    let indent = " ".repeat(before);
    let texts: Vec<String> = match whole && room >= 2 {
        true => fit::wrap(&text, room)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        false => vec![fit::cut(&text, room)],
    };
    let begins = vec![Span::styled(time, DIM), Span::styled(mark, style)];
    let mut lines: Lines = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        let mut spans = match at {
            0 => begins.clone(),
            _ => vec![Span::raw(indent.clone())],
        };
        spans.push(Span::raw(text));
        lines.push(Line::from(spans));
    }
    let told = matches!(deed.mark, Mark::Ask | Mark::Deny | Mark::Gone);
    if !why.is_empty() && (told || whole) {
        lines.push(Line::styled(
            format!("{indent}{}", fit::cut(&why, room)),
            DIM,
        ));
    }
    lines
}

/// The selected approval, as `ampoule approvals show` has it.
pub(super) fn page(model: &Model, columns: usize, rows: usize) -> Page {
    let Some(item) = model.open() else {
        return Page {
            title: "Approval".to_owned(),
            lines: vec![Line::styled(
                fit::cut("nothing waits for you", columns),
                DIM,
            )],
            ..Page::default()
        };
    };
    let lines = page::rows(&show::text(item, model.now_ms), columns);
    let top = model.top.min(lines.len().saturating_sub(rows));
    let below = lines.len().saturating_sub(top.saturating_add(rows));
    let revision = item.revision();
    let was = model.approval.as_ref().map(|(_, revision)| *revision);
    let changed = match was.filter(|was| *was != revision) {
        Some(was) => format!(", CHANGED from {was} while you looked"),
        None => String::new(),
    };
    let more = match below {
        0 => String::new(),
        below => format!(" ({below} more lines)"),
    };
    let mut part = String::new();
    let styled = lines.into_iter().map(|row| {
        if !row.title.trim().is_empty() {
            part = row.title.trim().to_owned();
        }
        of_row(row, &part)
    });
    Page {
        title: format!("{} revision {revision}{changed}{more}", item.id()),
        lines: styled.skip(top).take(rows).collect(),
        what: (rows > 0).then(|| (item.id().clone(), revision)),
        top,
        below,
    }
}

fn of_row(row: Row, part: &str) -> Line<'static> {
    let style = match part {
        _ if row.foreign => Style::new().fg(Color::Cyan),
        "ACTION" | "FLOOD" => BOLD,
        "risk" | "hard" => Style::new().fg(Color::Yellow),
        "safer" => Style::new().fg(Color::Green),
        _ => Style::new(),
    };
    let title = Span::styled(row.title, DIM);
    Line::from(vec![title, Span::styled(row.text, style)])
}
