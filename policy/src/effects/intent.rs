// SPDX-License-Identifier: Apache-2.0
//! From an [`Action`] to its [`Analysis`]. Acts that are no command are read as the command that
//! does the same, so that one place judges: a deletion is `rm -rf`, a request `curl`.

use super::patch::{self, Change};
use super::shell::{Ground, Session};
use super::{Analysis, Finding, Hard, Span};
use crate::action::{Act, Action, CONNECT, Install, Plan, Request, STEPS};
use crate::text::misleads;

/// What an action would do.
#[must_use]
pub fn of(action: &Action, ground: Ground<'_>) -> Analysis {
    let mut session = Session::new(ground);
    step(&mut session, action)
}

/// What each step of a plan would do. Files that a step writes are there for the next ones.
#[must_use]
pub fn of_plan(plan: &Plan, ground: Ground<'_>) -> Vec<Analysis> {
    let mut session = Session::new(ground);
    let steps = plan.actions.iter().take(STEPS);
    let mut read: Vec<Analysis> = steps.map(|action| step(&mut session, action)).collect();
    if plan.actions.len() > STEPS
        && let Some(last) = read.last_mut()
    {
        last.findings.push(Finding {
            hard: Hard::TooMuch,
            span: Span::default(),
            text: format!("the plan has more than {STEPS} steps"),
        });
    }
    read
}

/// What code in a text would do: shell, unless its language says otherwise.
#[must_use]
pub fn of_code(language: &str, text: &str, ground: Ground<'_>) -> Analysis {
    let mut session = Session::new(ground);
    session.begin(None);
    match language {
        "" | "sh" | "bash" | "shell" | "console" | "zsh" => session.text(text),
        language => session.code(language, text),
    }
    session.end()
}

fn step(session: &mut Session<'_>, action: &Action) -> Analysis {
    session.begin(action.cwd.as_deref());
    match &action.act {
        // What a caller gives as one word with blanks in it is a line of shell.
        Act::Exec(argv) => session.argv(argv),
        Act::Shell(text) => session.text(text),
        Act::Write(write) => session.write(&write.path, write.content.as_deref()),
        Act::Patch(diff) => {
            for change in patch::read(diff).unwrap_or_default() {
                match change {
                    Change::Write(path) => session.write(path, None),
                    Change::Delete(path) => session.argv(&["rm", "--", path].map(str::to_owned)),
                }
            }
        }
        Act::Delete(paths) => {
            let words = ["rm", "-rf", "--"].into_iter().map(str::to_owned);
            session.argv(&words.chain(paths.iter().cloned()).collect::<Vec<_>>());
        }
        Act::Request(request) => session.argv(&requested(request)),
        // A manager is one word: anything else is a line that somebody hopes is run.
        Act::Install(install)
            if install
                .manager
                .contains(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)) =>
        {
            session.text(&installed(install).join(" "));
        }
        Act::Install(install) => session.argv(&installed(install)),
    }
    for name in &action.env {
        session.loads(name);
    }
    let mut found = session.end();
    let mut seen = |hard, text: &str| {
        let text = text.to_owned();
        found.findings.push(Finding {
            hard,
            span: Span::default(),
            text,
        });
    };
    if matches!(&action.act, Act::Patch(diff) if patch::read(diff).is_none()) {
        seen(
            Hard::Unparsed,
            "names no file: no patch in a form that is known",
        );
    }
    for text in texts(&action.act) {
        if text.contains(['\0', '\u{fffd}', super::word::UNKNOWN]) {
            seen(Hard::NotText, "holds NUL, or bytes that are no UTF-8");
        }
        if text.chars().any(hides) {
            seen(Hard::Misleading, "holds characters that mislead a reader");
        }
    }
    found
}

/// The texts of an act that a person reads.
fn texts(act: &Act) -> Vec<&str> {
    match act {
        Act::Exec(argv) => argv.iter().map(String::as_str).collect(),
        Act::Shell(text) => vec![text],
        Act::Write(write) => vec![&write.path],
        Act::Patch(diff) => {
            let changes = patch::read(diff).unwrap_or_default().into_iter();
            let path = |change| match change {
                Change::Write(path) | Change::Delete(path) => path,
            };
            changes.map(path).collect()
        }
        Act::Delete(paths) => paths.iter().map(String::as_str).collect(),
        Act::Request(request) => vec![&request.method, &request.url],
        Act::Install(install) => install.packages.iter().map(String::as_str).collect(),
    }
}

/// Characters that a reader does not see, or that turn what is seen around, and controls that are
/// no white space; NUL is a finding of its own.
fn hides(c: char) -> bool {
    misleads(c) || (c.is_control() && !matches!(c, '\n' | '\t' | '\r' | '\0'))
}

fn requested(request: &Request) -> Vec<String> {
    let method = request.method.trim().to_uppercase();
    if let Some((host, port)) = connection(request, &method) {
        return vec!["nc".to_owned(), host.to_owned(), port.to_owned()];
    }
    let mut words = vec!["curl".to_owned(), "-X".to_owned(), method];
    if let Some(body) = &request.body {
        words.extend(["--data-raw".to_owned(), body.clone()]);
    }
    words.push("--".to_owned());
    words.push(request.url.clone());
    words
}

/// Where a bare connection leads, which is what a task's gate sees of any request.
fn connection<'a>(request: &'a Request, method: &str) -> Option<(&'a str, &'a str)> {
    let (scheme, to) = request.url.split_once("://")?;
    let bare = method == CONNECT && matches!(scheme, "tcp" | "udp") && request.body.is_none();
    let (host, port) = to.rsplit_once(':').filter(|_| bare)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':');
    let fits = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':')
        && host.chars().all(plain)
        && port.parse::<u16>().is_ok();
    fits.then_some((host, port))
}

fn installed(install: &Install) -> Vec<String> {
    let verb = match install.manager.as_str() {
        "yarn" | "composer" | "cargo" | "poetry" | "uv" | "bun" => "add",
        "apk" => "add",
        "go" => "get",
        "pacman" => "-S",
        _ => "install",
    };
    let words = [install.manager.clone(), verb.to_owned()];
    words
        .into_iter()
        .chain(install.packages.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::place::Setting;
    use super::super::program::NoFiles;
    use super::*;

    fn read(json: &str) -> Analysis {
        let action: Action = serde_json::from_str(json).unwrap();
        let setting = Setting::default();
        of(
            &action,
            Ground {
                setting: &setting,
                cwd: Some("/workspace"),
                files: &NoFiles,
            },
        )
    }

    #[test]
    fn acts_are_read_as_the_commands_that_do_the_same() {
        for (json, command) in [
            (r#"{"delete":["a b"]}"#, "rm -rf -- a b"),
            (
                r#"{"request":{"url":"https://x/"}}"#,
                "curl -X GET -- https://x/",
            ),
            (
                r#"{"request":{"method":"CONNECT","url":"tcp://93.184.216.34:80"}}"#,
                "nc 93.184.216.34 80",
            ),
            (
                r#"{"request":{"method":"CONNECT","url":"udp://[2001:db8::1]:53"}}"#,
                "nc 2001:db8::1 53",
            ),
            (
                r#"{"request":{"method":"CONNECT","url":"tcp://-e:80"}}"#,
                "curl -X CONNECT -- tcp://-e:80",
            ),
            (
                r#"{"install":{"manager":"pip","packages":["x"]}}"#,
                "pip install x",
            ),
            (r#"{"exec":["ls","$(rm x)"]}"#, "ls $(rm x)"),
        ] {
            assert_eq!(read(json).commands, [command]);
        }
    }

    #[test]
    fn a_step_reads_what_an_earlier_one_wrote() {
        let plan: Plan = serde_json::from_str(
            r#"{"actions":[{"write":{"path":"x.sh","content":"rm -rf /"}},{"shell":"sh ./x.sh; ./x.sh"}]}"#,
        )
        .unwrap();
        let setting = Setting::default();
        let ground = Ground {
            setting: &setting,
            cwd: Some("/workspace"),
            files: &NoFiles,
        };
        let steps = of_plan(&plan, ground);
        let last = steps.last().unwrap();
        assert!(
            last.commands.contains(&"rm -rf /".to_owned()),
            "{:?}",
            last.commands
        );
        assert_eq!(last.scripts.len(), 1);
    }

    #[test]
    fn characters_that_mislead_or_are_no_text_are_findings() {
        for (json, wanted) in [
            ("{\"shell\":\"ls \u{202e}fdp\"}", Hard::Misleading),
            ("{\"shell\":\"l\u{200b}s\"}", Hard::Misleading),
            (r#"{"shell":"ls \u0000x"}"#, Hard::NotText),
            ("{\"exec\":[\"ls\",\"\u{fffd}\"]}", Hard::NotText),
        ] {
            let found = read(json).findings;
            assert!(found.iter().any(|finding| finding.hard == wanted), "{json}");
        }
        assert!(
            read("{\"shell\":\"echo größe\\n\\tx\"}")
                .findings
                .is_empty()
        );
    }

    #[test]
    fn odd_values_do_not_hide_what_is_done() {
        use super::super::Harm;
        for json in [
            r#"{"exec":["ls"],"env":["LD_PRELOAD"]}"#,
            r#"{"request":{"method":"DELETE ","url":"https://example.com/x"}}"#,
            r#"{"install":{"manager":"sh -c 'rm -rf ~'","packages":["x"]}}"#,
            r#"{"write":{"path":".git/config","content":"[core]"}}"#,
            r#"{"shell":"cd build; env -C ~ rm -rf *"}"#,
            r#"{"delete":["/home/task"]}"#,
        ] {
            assert!(read(json).harm() >= Harm::High, "{json}: {:?}", read(json));
        }
        let none = read(r#"{"patch":"garbage"}"#).findings;
        assert!(none.iter().any(|finding| finding.hard == Hard::Unparsed));
    }
}
