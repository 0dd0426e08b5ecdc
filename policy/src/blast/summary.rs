// SPDX-License-Identifier: Apache-2.0
//! A [`Blast`] in words for people, a line for each thing worth knowing.

use std::collections::BTreeSet;

use super::{Blast, Recovery, Source, Tally};
use crate::effects::place::Setting;
use crate::effects::place::below;
use crate::effects::word::UNKNOWN;
use crate::text::misleads;

/// Names in a line before `…`.
const NAMED: usize = 3;

/// Longest name that is shown, in characters.
const WIDTH: usize = 120;

impl Blast {
    /// The worst first, none when it reaches nothing. Characters that mislead are escaped.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.files(&mut lines);
        self.outward(&mut lines);
        self.machine(&mut lines);
        if !lines.is_empty() {
            lines.push(self.containment().to_owned());
        }
        if self.partial {
            lines.push("counted in part: there may be more".to_owned());
        }
        lines
    }

    fn files(&self, lines: &mut Vec<String>) {
        if self.whole_workspace {
            lines.push("takes the whole workspace".to_owned());
        }
        if self.history {
            let local = self.deletes.of(Recovery::CommittedHere).files;
            let more = match local {
                0 => String::new(),
                n => format!(", and with it the only commits of {} deleted too", files(n)),
            };
            lines.push(format!("deletes the repository's history{more}"));
        }
        for (does, tally) in [("deletes", &self.deletes), ("overwrites", &self.overwrites)] {
            if !tally.is_empty() {
                lines.push(self.tally(does, tally));
            }
        }
        if self.creates > 0 {
            lines.push(format!("creates {}", files(self.creates)));
        }
        if !self.unresolved.is_empty() {
            let what = some(&self.unresolved);
            lines.push(format!("could change {what}: known only when it runs"));
        }
    }

    /// `deletes 132 files (4.2 MB) under src: 120 are committed, 12 are the only copy (src/new.rs, …)`; the names are of files
    /// that are changed or the only copy.
    fn tally(&self, does: &str, tally: &Tally) -> String {
        let total = tally.total();
        let at_least = if self.partial { "at least " } else { "" };
        let mut line = format!(
            "{does} {at_least}{} ({})",
            files(total.files),
            bytes(total.bytes)
        );
        if !self.targets.is_empty() {
            line.push_str(&format!(" under {}", some(&self.targets)));
        }
        let mut parts = Vec::new();
        for (recovery, words) in KINDS {
            let count = tally.of(*recovery);
            if count.files > 0 {
                let are = if count.files == 1 { "is" } else { "are" };
                parts.push(format!("{} {are} {words}", number(count.files)));
            }
        }
        for (count, words) in [
            (tally.outside().files, "outside the workspace"),
            (tally.from(Source::Guest).files, "as the guest says"),
        ] {
            if count > 0 {
                parts.push(format!("{} {words}", number(count)));
            }
        }
        line.push_str(&format!(": {}", parts.join(", ")));
        let lasting = tally
            .of(Recovery::OnlyCopy)
            .files
            .saturating_add(tally.of(Recovery::Modified).files);
        if lasting > 0 && !self.only_copies.is_empty() {
            let named = self.only_copies.iter().take(NAMED);
            let named: Vec<&str> = named.map(String::as_str).collect();
            let more = if lasting > NAMED as u64 { ", …" } else { "" };
            line.push_str(&format!(" ({}{more})", named.join(", ")));
        }
        line
    }

    fn outward(&self, lines: &mut Vec<String>) {
        if !self.receivers.is_empty() {
            let what = if self.sent.is_empty() {
                "data".to_owned()
            } else {
                let total = self.sends.total();
                let many = files(total.files);
                format!("{} ({many}, {})", some(&self.sent), bytes(total.bytes))
            };
            lines.push(format!("sends {what} to {}", some(&self.receivers)));
        }
        let spoken: BTreeSet<String> = self.hosts.difference(&self.receivers).cloned().collect();
        if !spoken.is_empty() {
            lines.push(format!("speaks to {}", some(&spoken)));
        }
        let resources = self.resources.iter();
        let resources: BTreeSet<String> = resources
            .map(|resource| format!("{} {}", resource.kind, resource.name))
            .collect();
        if !resources.is_empty() {
            lines.push(format!("changes what is elsewhere: {}", some(&resources)));
        }
        if !self.credentials.is_empty() {
            lines.push(format!("touches credentials: {}", some(&self.credentials)));
        }
    }

    fn machine(&self, lines: &mut Vec<String>) {
        if !self.systems.is_empty() {
            lines.push(format!("acts on the machine: {}", some(&self.systems)));
        }
        if !self.packages.is_empty() {
            lines.push(format!("installs {}", some(&self.packages)));
        }
        if self.unseen_code {
            let reach = match some(&self.credentials_in_reach) {
                none if none.is_empty() => none,
                some => format!(", with credentials in reach: {some}"),
            };
            lines.push(format!("runs code that nobody has read{reach}"));
        }
    }

    fn containment(&self) -> &'static str {
        if self.contained_by_review {
            "nothing of it lasts until a person applies the changes"
        } else if self.leaves_machine {
            "leaves the machine: no review takes it back"
        } else {
            "happens at once: no review stands before it"
        }
    }
}

/// The worst last, so that the examples follow it.
const KINDS: &[(Recovery, &str)] = &[
    (Recovery::Committed, "committed"),
    (Recovery::CommittedHere, "committed, but only here"),
    (Recovery::Regenerable, "made again by a build"),
    (Recovery::History, "of the repository itself"),
    (Recovery::Unknown, "of a kind nobody could tell"),
    (Recovery::Modified, "changed since the last commit"),
    (Recovery::OnlyCopy, "the only copy"),
];

fn some(names: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for (at, name) in names.iter().take(NAMED).enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        text.push_str(name);
    }
    if names.len() > NAMED {
        text.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    text
}

fn files(count: u64) -> String {
    let noun = if count == 1 { "file" } else { "files" };
    format!("{} {noun}", number(count))
}

/// With commas: `12,000`.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `4.2 MB`
fn bytes(count: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "kB", "MB", "GB", "TB"] {
        let next = unit.saturating_mul(1000);
        if count < next || name == "TB" {
            let tenths = count / (unit / 10).max(1);
            let whole = count / unit;
            return if name == "B" || whole >= 100 {
                format!("{} {name}", number(whole))
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            };
        }
        unit = next;
    }
    String::new()
}

/// A path as people know it: from the workspace or the home, nothing in it that misleads.
pub(super) fn shown(setting: &Setting, path: &str) -> String {
    match below(path, &setting.workspace) {
        Some("") => return ".".to_owned(),
        Some(rest) => return plain(rest),
        None => {}
    }
    match below(path, &setting.home) {
        Some("") => "~".to_owned(),
        Some(rest) => plain(&format!("~/{rest}")),
        None => plain(path),
    }
}

/// Escapes what is not seen or turns text around, and cuts what is long.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    for (at, letter) in text.chars().enumerate() {
        if at == WIDTH {
            out.push('…');
            break;
        }
        match letter {
            UNKNOWN => out.push('…'),
            letter if hides(letter) => out.extend(letter.escape_unicode()),
            letter => out.push(letter),
        }
    }
    out
}

/// What is shown as its code: beside what misleads also variants, private use and unassigned planes,
/// of which nobody knows what a terminal makes.
fn hides(letter: char) -> bool {
    letter.is_control()
        || misleads(letter)
        || matches!(letter,
            '\u{FE00}'..='\u{FE0F}' | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{10FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers_read_easily() {
        for (count, wanted) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (4_230_000, "4.2 MB"),
            (123_400_000, "123 MB"),
            (u64::MAX, "18,446,744 TB"),
        ] {
            assert_eq!(bytes(count), wanted);
        }
        assert_eq!(number(12_000), "12,000");
    }

    #[test]
    fn a_name_that_turns_text_around_is_escaped_and_a_long_one_cut() {
        assert_eq!(plain("a\u{202E}b\n"), "a\\u{202e}b\\u{a}");
        assert_eq!(plain(&"x".repeat(500)).chars().count(), WIDTH + 1);
    }
}
