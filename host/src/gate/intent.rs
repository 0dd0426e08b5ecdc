// SPDX-License-Identifier: Apache-2.0
//! What the gate in the guest says, as actions of `policy`.
//!
//! A start of a program has several readings, and the tightest of their verdicts counts: what runs
//! is the file, but a file may be several programs and tell them by the name it was called with,
//! a script is what its `#!` line says, and variables may make a program run another.
//!
//! | of | readings |
//! | --- | --- |
//! | a program | its file's name with the arguments; the name it was called with, when another |
//! | busybox and its like | the name it was called with |
//! | a script | also as the kernel starts it: interpreter, script, arguments |
//! | variables that hold commands | also as a line of shell that sets them |
//! | a write | a write |
//! | a removal, another name | `rm`, `mv`, `ln` |
//! | a connection | a request for a connection to the address |
//!
//! A program that is the image's own is called by its name. Any other is called by its path: what
//! it is named says nothing about it.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::net::{IpAddr, SocketAddr};

use policy::action::{Act, Action, CONNECT, FileWrite, Request};
use policy::effects::program::tables::settings;
use protocol::actions::{self, Connect, Intent, Rename, Run};

use super::scripts::Scripts;

/// Files that are many programs.
const MANY: [&str; 3] = ["busybox", "toybox", "coreutils"];

/// Of a `#!` line Linux reads so much behind the two (`BINPRM_BUF_SIZE`, and a nul).
const LINE: usize = 253;

/// Netlink (socket.h): questions to the kernel of the guest.
const NETLINK: &str = "16";

/// The command in the guest that speaks to its gate (`images`, `own_program`).
const CLIENT: &[u8] = b"/usr/local/bin/ampoule-agent";

/// An intent that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its readings, the plainest first; at least one.
    pub readings: Vec<Action>,
    /// What is known of it without judging.
    pub fixed: Option<Fixed>,
}

/// What is known without judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixed {
    /// Nothing of it leaves the guest.
    Contained,
    /// It is refused, by this rule of the gate.
    Refused(&'static str, &'static str),
}

/// Reads an intent.
#[must_use]
pub fn read(intent: &Intent, scripts: &Scripts<'_>) -> Read {
    let (acts, mut fixed) = match &intent.act {
        None => {
            let why = "its gate could not say what it is";
            let nothing = Act::Exec(vec!["(nothing)".to_owned()]);
            (vec![nothing], Some(Fixed::Refused("gate:unread", why)))
        }
        Some(actions::Act::Run(run)) => {
            (started(run, scripts), nameless(run).or_else(|| client(run)))
        }
        Some(actions::Act::Write(write)) => (vec![written(&write.path)], None),
        Some(actions::Act::Remove(path)) => (vec![words(&["rm"], &[path])], None),
        Some(actions::Act::Rename(rename)) => (vec![renamed(rename)], None),
        Some(actions::Act::Connect(to)) => connected(to),
    };
    if intent.cut {
        let why = "it is longer than can be told, so nobody could read it";
        fixed = Some(Fixed::Refused("gate:cut", why));
    }
    let env = match &intent.act {
        Some(actions::Act::Run(run)) => names(run),
        _ => Vec::new(),
    };
    let action = |act| Action {
        act,
        cwd: Some(text(&intent.cwd)),
        env: env.clone(),
        reason: None,
    };
    Read {
        readings: acts.into_iter().map(action).collect(),
        fixed,
    }
}

/// The names of its environment, but for those that a program sets for what it starts itself and
/// whose value, which is told, is what it always is.
fn names(run: &Run) -> Vec<String> {
    let told: Vec<String> = run.telling.iter().map(|pair| text(pair)).collect();
    let plain = |name: &str| {
        let mut values = told.iter().filter_map(|pair| pair.split_once('='));
        values.any(|(told, value)| told == name && is_plain(name, value))
    };
    let names = run.env.iter().map(|name| text(name));
    names.filter(|name| !plain(name)).collect()
}

/// Folders that git's own programs are in.
const GIT_CORE: [&str; 2] = ["/usr/lib/git-core", "/usr/libexec/git-core"];

fn is_plain(name: &str, value: &str) -> bool {
    match name {
        "GIT_EXEC_PATH" => GIT_CORE.contains(&value),
        "GIT_CONFIG_PARAMETERS" => settings::are_plain(value),
        _ => false,
    }
}

/// Bytes as text: those that are none become U+FFFD, which is a finding of its own.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path's last part.
#[must_use]
pub fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn nameless(run: &Run) -> Option<Fixed> {
    let why = "its program is no file of any folder, so nobody can say what it is";
    run.nameless.then_some(Fixed::Refused("gate:nameless", why))
}

/// Our own command says to the gate what it is given, whatever words those are. It is static, so
/// that no variable makes it anything else.
fn client(run: &Run) -> Option<Fixed> {
    (run.of_image && run.program == CLIENT).then_some(Fixed::Contained)
}

fn started(run: &Run, scripts: &Scripts<'_>) -> Vec<Act> {
    let program = text(&run.program);
    let name = base(&program);
    let given: Vec<String> = run.argv.iter().map(|word| text(word)).collect();
    let called = given.first().map_or("", |word| base(word));
    // A shell that is to be a login shell.
    let called = called.strip_prefix('-').unwrap_or(called);
    let arguments = given.get(1..).unwrap_or_default();
    let plain = if run.of_image { name } else { &program };
    let is_many = MANY.iter().any(|many| name.starts_with(many));
    let mut readings = Vec::new();
    if is_many && !called.is_empty() {
        // `busybox rm x` names it in the next word.
        readings.push(called_as(called, arguments));
    } else {
        readings.push(called_as(plain, arguments));
        if called != name && !called.is_empty() {
            readings.push(called_as(called, arguments));
        }
    }
    readings.extend(interpreted(&program, arguments, scripts));
    readings.extend(with_variables(run, plain, arguments));
    readings
}

fn called_as(name: &str, arguments: &[String]) -> Act {
    let mut words = vec![name.to_owned()];
    words.extend_from_slice(arguments);
    Act::Exec(words)
}

/// A script as the kernel starts it (binfmt_script): one argument at most stands in its line.
fn interpreted(program: &str, arguments: &[String], scripts: &Scripts<'_>) -> Option<Act> {
    let bytes = scripts.bytes(program)?.strip_prefix(b"#!")?;
    let line = bytes.split(|byte| matches!(byte, b'\n' | 0)).next()?;
    let line = text(line.get(..LINE).unwrap_or(line));
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, argument) = match line.split_once([' ', '\t']) {
        Some((interpreter, rest)) => (interpreter, Some(rest.trim_matches([' ', '\t']))),
        None => (line, None),
    };
    let mut words = vec![interpreter.to_owned()];
    words.extend(argument.map(str::to_owned));
    words.push(program.to_owned());
    words.extend_from_slice(arguments);
    (!interpreter.is_empty()).then_some(Act::Exec(words))
}

/// Variables whose values are commands, set before it as in a shell. Those that are loaded as code
/// are told by their names alone, which every reading has.
fn with_variables(run: &Run, plain: &str, arguments: &[String]) -> Option<Act> {
    let set = run.telling.iter().map(|pair| text(pair));
    let set: Vec<String> = set
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let commands = name != "PATH" && value.contains([' ', ';', '|', '&', '`', '$']);
            (commands && name.chars().all(is_name)).then(|| format!("{name}={}", quoted(value)))
        })
        .collect();
    if set.is_empty() {
        return None;
    }
    let words = std::iter::once(plain).chain(arguments.iter().map(String::as_str));
    let words = set.into_iter().chain(words.map(quoted));
    Some(Act::Shell(words.collect::<Vec<_>>().join(" ")))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn written(path: &[u8]) -> Act {
    Act::Write(FileWrite {
        path: text(path),
        content: None,
    })
}

/// A command with paths after its options.
fn words(command: &[&str], paths: &[&[u8]]) -> Act {
    let command = command.iter().map(|&word| word.to_owned());
    let paths = paths.iter().map(|path| text(path));
    let end = std::iter::once("--".to_owned());
    Act::Exec(command.chain(end).chain(paths).collect())
}

fn renamed(rename: &Rename) -> Act {
    let command = if rename.link { "ln" } else { "mv" };
    words(&[command], &[&rename.from, &rename.to])
}

fn connected(connect: &Connect) -> (Vec<Act>, Option<Fixed>) {
    let refused = |rule, why| Some(Fixed::Refused(rule, why));
    let fixed = match connect.family.as_str() {
        "unix" => Some(Fixed::Contained),
        NETLINK => Some(Fixed::Contained),
        "tcp" | "udp" => match connect.to.parse::<SocketAddr>() {
            Ok(to) if is_inside(to.ip()) => Some(Fixed::Contained),
            Ok(_) => None,
            Err(_) => refused("gate:address", "its address is none"),
        },
        _ => refused(
            "gate:socket-family",
            "sockets of its kind lead where nobody can say",
        ),
    };
    let request = Act::Request(Request {
        method: CONNECT.to_owned(),
        url: match connect.family.as_str() {
            family @ ("tcp" | "udp") => format!("{family}://{}", connect.to),
            family => format!("{family}:{}", connect.to),
        },
        body: None,
    });
    (vec![request], fixed)
}

/// Whether an address is the guest itself. To none at all connects there, too.
fn is_inside(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "test data has no hostile sizes")]
mod tests {
    use super::*;
    use policy::effects::place::Setting;
    use proptest::prelude::*;
    use protocol::actions::{GuestFile, Write};

    fn bytes(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn run(program: &str, argv: &[&str]) -> Run {
        Run {
            program: program.into(),
            argv: bytes(argv),
            of_image: true,
            ..Run::default()
        }
    }

    fn read_of(act: actions::Act, files: &[GuestFile]) -> Read {
        let setting = Setting::default();
        let intent = Intent {
            cwd: b"/workspace".to_vec(),
            act: Some(act),
            ..Intent::default()
        };
        read(&intent, &Scripts::new(&setting, None, files))
    }

    fn lines(run: Run, files: &[GuestFile]) -> Vec<String> {
        let readings = read_of(actions::Act::Run(run), files).readings;
        let line = |action: Action| match action.act {
            Act::Exec(words) => words.join(" "),
            Act::Shell(text) => text,
            other => format!("{other:?}"),
        };
        readings.into_iter().map(line).collect()
    }

    #[test]
    fn what_git_sets_for_its_own_programs_is_no_finding_and_anything_else_is() {
        let run = |pairs: &[&str]| Run {
            env: pairs
                .iter()
                .filter_map(|pair| Some(pair.split_once('=')?.0.as_bytes().to_vec()))
                .collect(),
            telling: bytes(pairs),
            ..Run::default()
        };
        let core = "GIT_EXEC_PATH=/usr/lib/git-core";
        let plain = "GIT_CONFIG_PARAMETERS='user.name'='A B' 'user.email'='a@b'";
        assert!(names(&run(&[core, plain])).is_empty());
        let pager = "GIT_CONFIG_PARAMETERS='user.name'='a' 'core.pager'='sh -c x'";
        assert_eq!(names(&run(&[pager])), ["GIT_CONFIG_PARAMETERS"]);
        let other = "GIT_EXEC_PATH=/tmp/git";
        assert_eq!(names(&run(&[other, "HOME=/h"])), ["GIT_EXEC_PATH", "HOME"]);
    }

    #[test]
    fn a_program_is_read_by_its_file_and_by_the_name_it_was_called_with() {
        assert_eq!(
            lines(run("/usr/bin/rm", &["rm", "-r", "x"]), &[]),
            ["rm -r x"]
        );
        let lied = lines(run("/usr/bin/rm", &["ls", "-r", "x"]), &[]);
        assert_eq!(lied, ["rm -r x", "ls -r x"]);
        let busybox = lines(run("/bin/busybox", &["rm", "x"]), &[]);
        assert_eq!(busybox, ["rm x"]);
        let login = lines(run("/bin/busybox", &["-sh"]), &[]);
        assert_eq!(login, ["sh"]);
        let itself = lines(run("/bin/busybox", &["busybox", "rm", "x"]), &[]);
        assert_eq!(itself, ["busybox rm x"]);
        assert_eq!(lines(run("/bin/busybox", &[]), &[]), ["busybox"]);
        let mut own = run("/workspace/bin/ls", &["ls"]);
        own.of_image = false;
        assert_eq!(lines(own, &[]), ["/workspace/bin/ls"]);
    }

    #[test]
    fn a_script_is_read_as_the_kernel_starts_it() {
        let file = |text: &str| GuestFile {
            path: b"/workspace/x".to_vec(),
            bytes: text.into(),
            cut: false,
        };
        for (line, wanted) in [
            (
                "#!/usr/bin/python3\nimport os",
                "/usr/bin/python3 /workspace/x -v",
            ),
            (
                "#! /usr/bin/env -S rm -rf \n",
                "/usr/bin/env -S rm -rf /workspace/x -v",
            ),
        ] {
            let read = lines(run("/workspace/x", &["x", "-v"]), &[file(line)]);
            assert_eq!(read[1], wanted);
        }
        assert_eq!(lines(run("/workspace/x", &["x"]), &[file("#!")]).len(), 1);
    }

    #[test]
    fn variables_that_hold_commands_are_read_with_it() {
        let mut git = run("/usr/bin/git", &["git", "push"]);
        git.telling = bytes(&["PATH=/a b", "GIT_SSH_COMMAND=sh -c 'x'", "A-B=c d"]);
        let read = lines(git, &[]);
        assert_eq!(read[1], r"GIT_SSH_COMMAND='sh -c '\''x'\''' 'git' 'push'");
    }

    #[test]
    fn what_cannot_be_named_or_read_whole_is_refused_by_name() {
        let mut memfd = run("/memfd:x (deleted)", &["x"]);
        memfd.nameless = true;
        let fixed = read_of(actions::Act::Run(memfd), &[]).fixed;
        assert!(matches!(fixed, Some(Fixed::Refused("gate:nameless", _))));
        let setting = Setting::default();
        let scripts = Scripts::new(&setting, None, &[]);
        let cut = Intent {
            cut: true,
            act: Some(actions::Act::Write(Write::default())),
            ..Intent::default()
        };
        let fixed = read(&cut, &scripts).fixed;
        assert!(matches!(fixed, Some(Fixed::Refused("gate:cut", _))));
        let fixed = read(&Intent::default(), &scripts).fixed;
        assert!(matches!(fixed, Some(Fixed::Refused("gate:unread", _))));
    }

    #[test]
    fn our_own_command_may_be_told_anything_and_only_it() {
        let words = ["ampoule-agent", "ask", "--", "rm", "-rf", "/"];
        let fixed = |program: &str, of_image: bool| {
            let mut run = run(program, &words);
            run.of_image = of_image;
            read_of(actions::Act::Run(run), &[]).fixed
        };
        let own = "/usr/local/bin/ampoule-agent";
        assert_eq!(fixed(own, true), Some(Fixed::Contained));
        assert_eq!(fixed(own, false), None);
        assert_eq!(fixed("/workspace/ampoule-agent", true), None);
    }

    #[test]
    fn connections_inside_of_the_guest_are_told_from_others() {
        let fixed = |family: &str, to: &str| {
            let (family, to) = (family.to_owned(), to.to_owned());
            read_of(actions::Act::Connect(Connect { to, family }), &[]).fixed
        };
        for (family, to) in [
            ("tcp", "127.0.0.1:80"),
            ("udp", "[::1]:53"),
            ("tcp", "0.0.0.0:80"),
            ("tcp", "[::ffff:127.0.0.1]:80"),
            ("unix", "/run/x"),
        ] {
            assert_eq!(fixed(family, to), Some(Fixed::Contained), "{to}");
        }
        assert_eq!(fixed("tcp", "1.2.3.4:443"), None);
        for (family, to) in [("tcp", "1.2.3.4"), ("udp", ""), ("40", "2:1028"), ("", "")] {
            let refused = matches!(fixed(family, to), Some(Fixed::Refused(..)));
            assert!(refused, "{family} {to}");
        }
    }

    proptest! {
        #[test]
        fn anything_has_a_reading(
            program in prop::collection::vec(any::<u8>(), 0..20),
            argv in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..4),
            telling in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..4),
            script in prop::collection::vec(any::<u8>(), 0..40),
            of_image in any::<bool>(),
        ) {
            let file = GuestFile { path: program.clone(), bytes: [b"#!".to_vec(), script].concat(), cut: false };
            let run = Run { program, argv, telling, of_image, ..Run::default() };
            prop_assert!(!read_of(actions::Act::Run(run), &[file]).readings.is_empty());
        }
    }
}
