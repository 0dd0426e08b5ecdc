// SPDX-License-Identifier: Apache-2.0
//! What is said of a command line that is not understood: clap's words, in one line.
//!
//! clap has a sentence, a tip, the usage and a hint at `--help`, each in lines of its own. A log
//! or a program that runs us keeps the last line of stderr, so ours has to be the only one.

use std::ffi::OsString;

use clap::Command;
use clap::error::ErrorKind;

/// The line, or nothing when what clap has to say is help that was asked for, or the version.
pub(super) fn line(error: &clap::Error, command: &Command, args: &[OsString]) -> Option<String> {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion => return None,
        _ => {}
    }
    let text = error.render().to_string();
    let mut said = String::new();
    let mut hinted = error.kind() == ErrorKind::ValueValidation; // ours say what to write
    let lines = text.lines().map(str::trim);
    for line in lines.take_while(|line| !line.starts_with("Usage: ")) {
        match line.strip_prefix("tip: ") {
            // It would make the command of what is most likely an option.
            Some(tip) if tip.starts_with("to pass ") => {}
            Some(tip) if names_hidden(tip, command) => {}
            Some(tip) => {
                said.push_str("; ");
                said.push_str(tip);
                hinted = true;
            }
            None if line.is_empty() || line.starts_with("For more information") => {}
            None => {
                said.push_str(if said.is_empty() { "" } else { " " });
                said.push_str(line.trim_start_matches("error: "));
            }
        }
    }
    if !hinted {
        said.push_str(&format!("; see `{} --help`", path(command, args)));
    }
    Some(said)
}

/// Whether a tip names a sub-command that is not for people.
fn names_hidden(tip: &str, command: &Command) -> bool {
    let mut hidden = command.get_subcommands().filter(|one| one.is_hide_set());
    hidden.any(|one| tip.contains(&format!("'{}'", one.get_name())))
}

/// The sub-command that was meant: `ampoule image import`.
fn path(command: &Command, args: &[OsString]) -> String {
    let (mut path, mut command) = (command.get_name().to_owned(), command);
    for word in args.iter().skip(1) {
        let Some(inner) = command.find_subcommand(word) else {
            break;
        };
        path.push(' ');
        path.push_str(inner.get_name());
        command = inner;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::Arguments;
    use super::*;
    use clap::{CommandFactory, Parser};

    fn line_of(line: &str) -> Option<String> {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Arguments::try_parse_from(&args).unwrap_err();
        super::line(&error, &Arguments::command(), &args)
    }

    #[test]
    fn a_wrong_command_line_is_one_line_that_says_what_to_write() {
        for (line, expected) in [
            (
                "ampoule run --rm -- true",
                "unexpected argument '--rm' found; see `ampoule run --help`",
            ),
            (
                "ampoule run --memroy 1G -- true",
                "unexpected argument '--memroy' found; a similar argument exists: '--memory'",
            ),
            (
                "ampoule run --ttl 10 -- true",
                "invalid value '10' for '--ttl <TTL>': '10' has no unit; \
                 write 10s, 10m or 10h, e.g. 10s, 5m, 1h30m",
            ),
            (
                "ampoule run --ttl",
                "a value is required for '--ttl <TTL>' but none was supplied; \
                 see `ampoule run --help`",
            ),
            (
                "ampoule run",
                "the following required arguments were not provided: <COMMAND>...; \
                 see `ampoule run --help`",
            ),
            (
                "ampoule run -d --json -- true",
                "the argument '--detach' cannot be used with '--json'; see `ampoule run --help`",
            ),
            (
                "ampoule image import base",
                "the following required arguments were not provided: <TAR>; \
                 see `ampoule image import --help`",
            ),
            (
                "ampoule inspec",
                "unrecognized subcommand 'inspec'; a similar subcommand exists: 'inspect'",
            ),
            (
                "ampoule plan",
                "unrecognized subcommand 'plan'; see `ampoule --help`",
            ),
            (
                "ampoule ps --no-such",
                "unexpected argument '--no-such' found; see `ampoule ps --help`",
            ),
        ] {
            assert_eq!(line_of(line).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn help_and_version_are_left_to_clap() {
        for line in ["ampoule run --help", "ampoule --version", "ampoule image"] {
            assert_eq!(line_of(line), None, "{line}");
        }
    }
}
