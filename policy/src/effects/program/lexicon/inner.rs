// SPDX-License-Identifier: Apache-2.0
//! Code on the command line of a program that nothing is known of: statements of SQL after an
//! option or sub-command that says so, and the command after `--`.

use super::super::Run;
use crate::effects::word::{Arg, Stream};
use crate::effects::{Effect, Harm, sql};
use crate::list::is_any;

/// Options whose value is code.
const CODE: &str = "-c -e -q -Q -x --command --query --execute --exec --sql --eval --statement --stmt --cmd -s --script";
/// Options whose value is a line of shell.
const SHELL: &str = "--command --exec --cmd --run-command --shell-command";
/// Sub-commands whose `-c` is a line of shell.
const EACH: &str = "forall foreach for-each exec run ssh";
/// Sub-commands whose operand is code.
const SAYS: &str = "sql query execute exec eval psql mysql dbquery run-sql";
/// How a statement begins that does more than look.
const VERBS: &str = "drop truncate delete update alter grant revoke insert create merge with begin";

/// Most arguments that are looked at.
const ARGS: usize = 512;

/// What statements of SQL on the line would do. Text elsewhere is only text: `note 'drop table x'`.
pub(super) fn statements(args: &[Arg]) -> Vec<Effect> {
    let mut said = false;
    let mut before = "";
    let mut effects = Vec::new();
    for arg in args.iter().take(ARGS) {
        let (name, value) = match arg.text.split_once('=') {
            Some((name, value)) if name.starts_with('-') => (name, value),
            _ => (before, arg.text.as_str()),
        };
        if (said || is_any(CODE, name)) && sqlish(value) {
            let found = sql::statements(value, "sql").into_iter();
            let found = found.filter(|effect| effect.harm >= Harm::Medium);
            effects.extend(found.map(|effect| effect.at(arg.span)));
        }
        said |= is_any(SAYS, &arg.text);
        before = arg.text.as_str();
    }
    effects
}

/// Whether a text begins as a statement does.
fn sqlish(text: &str) -> bool {
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    first.len() < text.trim().len() && is_any(VERBS, &first.to_ascii_lowercase())
}

/// Commands that it would run: words after `--`, shell after an option that says so.
pub(super) fn commands(args: &[Arg]) -> Vec<Run> {
    let args = args.get(..ARGS).unwrap_or(args);
    let mut runs = Vec::new();
    let dashes = args.iter().position(|arg| arg.text == "--");
    let after = dashes.and_then(|at| args.get(at.saturating_add(1)..));
    if let Some(words) = after.filter(|words| words.first().is_some_and(program)) {
        runs.push(Run::Command {
            words: words.to_vec(),
            stdin: Stream::default(),
        });
    }
    let before = args.get(..dashes.unwrap_or(args.len())).unwrap_or(args);
    let each = before.iter().any(|arg| is_any(EACH, &arg.text));
    let shell = before.windows(2).filter_map(|pair| match pair {
        [option, value] if is_any(SHELL, &option.text) => Some(value),
        [option, value] if each && option.text == "-c" => Some(value),
        _ => None,
    });
    let shell = shell.filter(|value| value.text.contains(' ') && !sqlish(&value.text));
    runs.extend(shell.map(|text| Run::Shell {
        text: text.clone(),
        arguments: Vec::new(),
        stdin: Stream::default(),
        host: None,
    }));
    runs
}

/// Whether a word may be a program's name.
fn program(arg: &Arg) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    arg.text
        .starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.')
        && arg.text.chars().all(plain)
}
