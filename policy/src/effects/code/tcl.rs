// SPDX-License-Identifier: Apache-2.0
//! Commands that a script of Tcl or Expect runs: `spawn …`, `exec …`, `system …`.

use super::super::program::{Outcome, Run};
use super::super::word::{Arg, Stream};

/// Most commands that are followed.
const RUNS: usize = 64;

/// What the text would do.
pub(super) fn analyse(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in text.split(['\n', ';', '[', '{']).map(str::trim) {
        let Some((word, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        if !matches!(word, "spawn" | "exec" | "system") {
            continue;
        }
        if outcome.runs.len() >= RUNS {
            outcome.findings.push(super::powershell::more());
            break;
        }
        let rest = rest.trim_end_matches([']', '}', ' ']);
        let rest = match rest.split_once("-noecho ").or(rest.split_once("-- ")) {
            Some(("", rest)) => rest,
            _ => rest,
        };
        outcome.runs.push(Run::Shell {
            text: Arg::known(rest),
            arguments: Vec::new(),
            stdin: Stream::empty(),
            host: None,
        });
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spawned_and_executed_commands_are_run() {
        let outcome = analyse("set timeout 5\nspawn rm -rf /x; puts [exec ls -la]");
        let texts = outcome.runs.iter().filter_map(|run| match run {
            Run::Shell { text, .. } => Some(text.text.as_str()),
            _ => None,
        });
        assert_eq!(texts.collect::<Vec<_>>(), ["rm -rf /x", "ls -la"]);
    }
}
