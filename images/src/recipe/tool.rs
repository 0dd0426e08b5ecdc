// SPDX-License-Identifier: Apache-2.0
//! The programs a build calls. A missing one is named with the Debian package that brings it, a
//! failing one with the end of what it wrote.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Lines of a failed program's output that an error shows.
const TAIL_LINES: usize = 15;

/// Why a program did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Programs or headers are not installed.
    #[error("cannot build: {} missing; apt-get install {}", .what.join(", "), .packages.join(" "))]
    Missing {
        /// Their names.
        what: Vec<&'static str>,
        /// What to install.
        packages: Vec<&'static str>,
    },
    /// It cannot be started, or its output not be kept.
    #[error("cannot run {program}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with an error.
    #[error("{program} ended with {status}:\n{tail}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        tail: String,
    },
}

/// Something a build needs on the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// A program in `PATH`, or an absolute path.
    pub(super) what: &'static str,
    /// The Debian package that has it.
    pub(super) package: &'static str,
}

/// Names everything that is missing at once.
pub(super) fn require(needs: &[Need]) -> Result<(), ToolError> {
    let missing: Vec<_> = needs.iter().filter(|need| !is_there(need.what)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    packages.dedup();
    Err(ToolError::Missing {
        what: missing.iter().map(|need| need.what).collect(),
        packages,
    })
}

fn is_there(what: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Joining an absolute path gives that path, so headers are found in the same way.
    std::env::split_paths(&path).any(|folder| folder.join(what).is_file())
}

/// Runs a program with its output in `log`.
pub(super) fn run(command: &mut Command, log: &Path) -> Result<(), ToolError> {
    let program = show(command);
    let start = |source| ToolError::Start {
        program: show_short(&program),
        source,
    };
    let file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .map_err(start)?;
    let errors = file.try_clone().map_err(start)?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .status();
    let status = status.map_err(start)?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read(log).unwrap_or_default();
    Err(ToolError::Failed {
        program,
        status,
        tail: tail(&String::from_utf8_lossy(&text)),
    })
}

/// Runs a program and returns what it wrote to stdout.
pub(super) fn output(command: &mut Command) -> Result<String, ToolError> {
    let program = show(command);
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ToolError::Start {
            program: show_short(&program),
            source,
        })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let tail = tail(&String::from_utf8_lossy(&done.stderr));
    Err(ToolError::Failed {
        program,
        status: done.status,
        tail,
    })
}

/// A command whose environment says nothing about the one who runs it.
pub(super) fn clean_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    for kept in ["PATH", "HOME", "http_proxy", "https_proxy", "no_proxy"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// The newest file that matches `<folder>/<prefix>*<suffix>`, by version number.
pub(super) fn newest(folder: &Path, prefix: &str, suffix: &str) -> Option<PathBuf> {
    let mut found: Vec<(Vec<u64>, PathBuf)> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
            let numbers = version
                .split('.')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .ok()?;
            Some((numbers, folder.join(&name)))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path)
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn show_short(program: &str) -> String {
    program.split(' ').next().unwrap_or_default().to_owned()
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines
        .get(lines.len().saturating_sub(TAIL_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_tools_are_named_with_their_packages() {
        let needs = [
            Need {
                what: "sh",
                package: "dash",
            },
            Need {
                what: "no-such-program",
                package: "first",
            },
            Need {
                what: "/usr/include/no-such.h",
                package: "second",
            },
        ];
        let error = require(&needs).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot build: no-such-program, /usr/include/no-such.h missing; \
             apt-get install first second"
        );
    }

    #[test]
    fn failed_program_shows_the_end_of_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let error = run(
            command.args(["-c", "seq 100; exit 3"]),
            &folder.path().join("log"),
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.ends_with("\n100"),
            "{error}"
        );
        assert!(!error.contains("\n85\n"), "{error}");
    }

    #[test]
    fn newest_compares_versions_as_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "linux-source-6.9.tar.xz",
            "linux-source-6.12.tar.xz",
            "linux-source-x",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = newest(folder.path(), "linux-source-", ".tar.xz").unwrap();
        assert!(found.ends_with("linux-source-6.12.tar.xz"));
    }
}
