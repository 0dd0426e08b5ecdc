// SPDX-License-Identifier: Apache-2.0
//! Programs whose sub-commands, options and operands are told by tables: `git`, `kubectl`, `aws`.
//!
//! ```text
//! data/*.toml ─► raw (serde) ─► table (patterns) ─► judge: line + rules ─► Outcome
//!                                   └─► check: every example of every rule
//! ```
//!
//! A table is data, so that an operator can read one, argue with it and add another. Its language:
//!
//! * A *path* is sub-commands joined by `/`, `|` between alternatives, `*` within a word, `**` for
//!   up to four words: `stash/drop|clear`, `**/delete-*`. Lists of paths are split by white space.
//! * Rules are tried in order and the first that matches speaks; one with `also = true` speaks and
//!   lets the others go on. A rule whose harm is `none` is thus an exception, put before.
//! * `flags` are groups, each of which needs one of its options; options that make a command
//!   harmless (`absent`, `harmless`, an exception's `flags`) count only when written in full.
//! * A last `*` of a path is none of the words that only look, so that `team/*` leaves `team ls`.
//! * What is worth a look is asked about where an argument names production, but not by a rule with
//!   `steady = true`, which is no worse there.
//! * `code` says where a line holds SQL, shell, another command; `phrase` knows words of code.
//! * What no line of a table speaks of goes to `lexicon`, never to nothing.

mod alias;
pub(super) mod check;
mod code;
mod data;
mod judge;
mod line;
mod pattern;
mod raw;
mod rule;
pub mod settings;
mod table;
#[cfg(test)]
mod tests;

pub use table::{Table, TableError};

use super::{Call, Outcome};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let name = plain(call.name);
    let aliased = (name == "git").then(|| alias::git(call)).flatten();
    aliased.or_else(|| data::table(name)?.judge(call))
}

/// A program's name without what a system or a version adds to it: `terraform.exe`, `pip3.12`.
fn plain(name: &str) -> &str {
    let endings = [".exe", ".cmd", ".bat"];
    let name = endings
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name);
    let versioned = name.starts_with("pip") && name.len() > 3;
    if versioned && name[3..].chars().all(|c| c.is_ascii_digit() || c == '.') {
        return "pip";
    }
    name
}
