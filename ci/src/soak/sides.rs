// SPDX-License-Identifier: Apache-2.0
//! The two sides of the boundary: runs of the tests in the KVM server, each made outside a guest
//! and in one, one after the other, so that they do not disturb each other's clocks.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cases::{self, Cases};
use super::stock::Stock;
use super::turns::Turn;
use crate::kvmhost::{self, Server};
use crate::machine::Kvm;
use crate::setup;

const BOTH: &str = include_str!("both.sh");
const CASES: &str = include_str!("cases.py");

/// The server's boot, the unpacking, the template: a minute and a half where the machine is slow.
const PREPARATION: Duration = Duration::from_secs(5 * 60);

/// The exit codes of `python3 -m test` after a run to its end: all well, failures, something left
/// behind by a case, nothing to run.
const ENDED: [&str; 4] = ["0", "2", "3", "4"];

/// A run on one side.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) cases: Cases,
    /// Its exit code as the shell had it; empty when the server died before.
    code: String,
    /// How many seconds it took.
    pub(super) seconds: String,
}

/// A run on both.
#[derive(Debug)]
pub(super) struct Both {
    pub(super) outside: Run,
    pub(super) inside: Run,
}

impl Run {
    fn read(results: &Path, number: usize, side: &str) -> Self {
        let file = |what| results.join(format!("{number}.{side}.{what}"));
        let text = |what| fs::read_to_string(file(what)).unwrap_or_default();
        let word = |what| text(what).trim().to_owned();
        Self {
            cases: cases::read(&text("json")),
            code: word("code"),
            seconds: word("seconds"),
        }
    }

    /// Why the run did not come to its end, if it did not.
    pub(super) fn broken(&self) -> Option<String> {
        if ENDED.contains(&self.code.as_str()) {
            return None;
        }
        let begun = |(name, end): (&String, &cases::End)| {
            (end.kind == cases::Kind::Begun).then(|| format!(", in {name}"))
        };
        let place = self.cases.iter().find_map(begun).unwrap_or_default();
        if self.code.is_empty() {
            return Some(format!("came to no end{place}"));
        }
        Some(format!("ended with code '{}'{place}", self.code))
    }
}

impl Both {
    pub(super) fn broken(&self) -> Option<String> {
        let outside = self.outside.broken().map(|why| format!("outside {why}"));
        let inside = || self.inside.broken().map(|why| format!("in a guest {why}"));
        outside.or_else(inside)
    }
}

/// Makes the runs in one boot of the server, or on this machine; what they wrote is in `results`.
pub(super) fn run(kvm: Kvm, stock: &Stock, turns: &[Turn], results: &Path) -> Result<Vec<Both>> {
    if results.exists() {
        fs::remove_dir_all(results)
            .with_context(|| format!("cannot remove {}", results.display()))?;
    }
    fs::create_dir_all(results).with_context(|| format!("cannot make {}", results.display()))?;
    let ended = match kvm {
        Kvm::Hardware => here(stock, turns, results),
        Kvm::Device | Kvm::None => inside(stock, turns, results),
    }?;
    // The simulated server may hang itself, before the runs or in one: those it did not end are
    // broken. On a server of its own nothing but the preparation can fail.
    ensure!(
        ended || kvm != Kvm::Hardware,
        "the runs outside and in guests could not be prepared"
    );
    let numbers = 0..turns.len();
    let both = |number| Both {
        outside: Run::read(results, number, "outside"),
        inside: Run::read(results, number, "inside"),
    };
    Ok(numbers.map(both).collect())
}

/// On a server with KVM of its own. Entering another root needs root.
fn here(stock: &Stock, turns: &[Turn], results: &Path) -> Result<bool> {
    let work = tempfile::Builder::new().prefix("soak-").tempdir()?;
    let place = Place {
        data: &stock.data,
        image: &stock.image,
        results,
        work: work.path(),
    };
    // Root's files in the work folder go with root's shell, and nothing that is mounted there.
    let script = format!(
        "trap 'rm -rf --one-file-system \"${{work:?}}\"/*' EXIT\n{}",
        script(&place, turns)
    );
    let status = setup::as_root("/bin/sh").args(["-c", &script]).status();
    Ok(status.context("cannot start a shell as root")?.success())
}

/// In the simulated server. Its root is a network file system: kernel and image go to memory first,
/// as for all guests there.
fn inside(stock: &Stock, turns: &[Turn], results: &Path) -> Result<bool> {
    const WORK: &str = "/run/soak";
    let local = Path::new(WORK).join("data");
    let image = stock.image.strip_prefix(&stock.data)?;
    let place = Place {
        data: &local.join("ampoule"),
        image: &local.join("ampoule").join(image),
        results: Path::new("/out"),
        work: Path::new(WORK),
    };
    let from = kvmhost::quote(&stock.data.to_string_lossy());
    let script = format!(
        "mkdir -p {WORK}/data && cp -r {from} {WORK}/data/ampoule || exit 1\n{}",
        script(&place, turns)
    );
    let each = turns.iter().map(|turn| turn.limit.saturating_mul(2));
    let code = kvmhost::run(&Server {
        deterministic: false,
        memory_mib: 6144,
        cpus: 2,
        limit: each.sum::<Duration>().saturating_add(PREPARATION),
        out: Some(results.to_owned()),
        forward_stdin: false,
        argv: vec!["/bin/sh".into(), "-c".into(), script],
    })?;
    Ok(code == 0)
}

/// Paths in the server.
struct Place<'a> {
    data: &'a Path,
    image: &'a Path,
    results: &'a Path,
    work: &'a Path,
}

fn script(place: &Place<'_>, turns: &[Turn]) -> String {
    let quoted = |path: &Path| kvmhost::quote(&path.to_string_lossy());
    let home = place.data.parent().unwrap_or(place.data);
    let mut script = String::new();
    for (name, value) in [
        ("data", quoted(home)),
        ("image", quoted(place.image)),
        ("binaries", quoted(&setup::binaries())),
        ("results", quoted(place.results)),
        ("work", quoted(place.work)),
        ("program", kvmhost::quote(CASES)),
    ] {
        script.push_str(&format!("{name}={value}\n"));
    }
    script.push_str(BOTH);
    for (number, turn) in turns.iter().enumerate() {
        let words = turn.arguments.iter().map(|word| kvmhost::quote(word));
        let words: Vec<_> = words.collect();
        let seconds = turn.limit.as_secs();
        script.push_str(&format!("both {number} {seconds} {}\n", words.join(" ")));
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: &str, lines: &str) -> Run {
        Run {
            cases: cases::read(lines),
            code: code.into(),
            seconds: "1".into(),
        }
    }

    #[test]
    fn run_with_failures_came_to_its_end_and_a_hung_one_names_its_case() {
        assert_eq!(run("2", "").broken(), None);
        let hung = run("124", r#"{"case": "a.b", "result": "begun", "why": ""}"#);
        assert_eq!(hung.broken().unwrap(), "ended with code '124', in a.b");
        assert_eq!(run("", "").broken().unwrap(), "came to no end");
    }
}
