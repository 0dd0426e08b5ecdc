// SPDX-License-Identifier: Apache-2.0
//! What lines of PowerShell do, as the commands of a Unix shell that do the same.

use std::collections::BTreeSet;

use super::super::program::{Outcome, Run};
use super::super::word::{Arg, Stream, UNKNOWN};
use super::super::{Effect, Finding, Hard, Harm, Kind, Span, Target};
use super::decode;
use crate::list::is_any;

/// Most commands that are followed.
const RUNS: usize = 64;

/// Names of commands, a colon, and the words that do the same.
const ROWS: &str = "
    remove-item ri rm del erase rd rmdir clear-content clc : rm -f
    remove-itemproperty rp : reg delete
    move-item mi mv move rename-item rni ren : mv
    copy-item cpi cp copy : cp
    set-content sc out-file tee-object new-item ni : tee
    add-content ac : tee -a
    get-content gc cat type : cat
    stop-process spps kill taskkill : pkill
    stop-computer : shutdown -h now
    restart-computer : shutdown -r now
    stop-service spsv : systemctl stop
    remove-service : systemctl disable
    set-service : systemctl enable
    invoke-webrequest iwr invoke-restmethod irm curl wget start-bitstransfer : curl
    clear-disk format-volume initialize-disk remove-partition clear-recyclebin : mkfs
    set-executionpolicy : chmod a+x
    get-childitem gci ls dir : ls
    start-process saps start : nohup
";

/// Names that change how safe the machine is, whatever they are given.
const WEAKENS: &str = "set-mppreference add-mppreference disable-computerrestore vssadmin wevtutil clear-eventlog \
    remove-eventlog bcdedit disable-windowsoptionalfeature netsh new-localuser add-localgroupmember \
    register-scheduledtask schtasks remove-aduser remove-vm remove-azresourcegroup remove-azvm";

/// Text that gets code from a host.
const DOWNLOADS: &str = "downloadstring downloaddata downloadfile invoke-webrequest invoke-restmethod iwr irm webclient";

/// What the text would do.
pub(super) fn analyse(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    let words: BTreeSet<&str> = words.collect();
    let names = |name: &str| words.contains(name);
    let runs = names("iex") || names("invoke-expression") || lower.contains("scriptblock]::create");
    let downloads = DOWNLOADS
        .split_ascii_whitespace()
        .any(|word| lower.contains(word));
    if runs && downloads {
        outcome.effects.push(effect(
            (Kind::Execute, Harm::Critical),
            "code:run-download",
            "runs whatever a host sends",
        ));
    } else if runs {
        outcome.effects.push(effect(
            (Kind::Execute, Harm::Medium),
            "code:dynamic",
            "runs code that is only known when it runs",
        ));
    }
    if lower.contains("frombase64string") || lower.contains("-encodedcommand") {
        outcome.effects.push(effect(
            (Kind::Obfuscate, Harm::Medium),
            "code:decoded",
            "what runs was made unreadable to a person first",
        ));
    }
    if lower.contains("tcpclient") && lower.contains("getstream") {
        outcome.effects.push(effect(
            (Kind::Execute, Harm::Critical),
            "code:socket-shell",
            "lets whoever is at the other end of a connection run commands here",
        ));
    }
    if WEAKENS.split_ascii_whitespace().any(names) {
        outcome.effects.push(effect(
            (Kind::Disrupt, Harm::High),
            "code:weaken",
            "changes what keeps the machine safe or its services running",
        ));
    }
    if lower.contains("runas") {
        outcome.effects.push(effect(
            (Kind::Escalate, Harm::High),
            "code:become-root",
            "makes itself the administrator",
        ));
    }
    for line in commands(text) {
        if outcome.runs.len() >= RUNS {
            outcome.findings.push(more());
            break;
        }
        command(&line, &mut outcome);
    }
    outcome.stdout = Stream::default();
    outcome
}

/// The commands after those that are followed.
pub(super) fn more() -> Finding {
    Finding {
        hard: Hard::TooMuch,
        span: Span::default(),
        text: "more commands than are followed".to_owned(),
    }
}

fn effect((kind, harm): (Kind, Harm), rule: &'static str, why: &'static str) -> Effect {
    Effect::new(kind, harm, Target::Nothing, rule, why)
}

/// Words of each command, apart by `;`, `|`, line ends and braces.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (Some('"') | None, '$') => word.push(UNKNOWN),
            // A back quote hides nothing: it only escapes.
            (_, '`') => word.extend(letters.next()),
            (None, ';' | '|' | '\n' | '{' | '}' | '(' | ')' | '&') => {
                finish(&mut word, &mut found);
                found.push(Vec::new());
            }
            (None, letter) if letter.is_whitespace() || letter == ',' => {
                finish(&mut word, &mut found);
            }
            (_, letter) => word.push(letter),
        }
    }
    finish(&mut word, &mut found);
    found
}

fn finish(word: &mut String, found: &mut [Vec<String>]) {
    if let Some(last) = found.last_mut()
        && !word.is_empty()
    {
        let word = std::mem::take(word);
        // The rest of a variable's name says nothing.
        let known = word.split(UNKNOWN).next().unwrap_or_default().len();
        last.push(if known < word.len() {
            let path = word
                .find(['/', '\\'])
                .and_then(|at| word.get(at..))
                .unwrap_or_default();
            let before = word.get(..known).unwrap_or_default();
            format!("{before}{UNKNOWN}{path}")
        } else {
            word
        });
    }
}

fn command(words: &[String], outcome: &mut Outcome) {
    let Some((name, args)) = words.split_first() else {
        return;
    };
    let name = name.to_lowercase();
    let row = ROWS.lines().find_map(|line| {
        let (names, row) = line.split_once(" : ")?;
        is_any(names, &name).then_some(row)
    });
    let encoded = encoded(&name, args);
    if let Some(code) = encoded {
        outcome.runs.push(Run::Code {
            language: "powershell",
            text: Arg::known(&code),
        });
        return;
    }
    native(words, &name, row.is_some(), outcome);
    let Some(row) = row else {
        return;
    };
    let mut line: Vec<Arg> = row.split_ascii_whitespace().map(Arg::known).collect();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let lower = arg.to_lowercase();
        match lower.as_str() {
            "-recurse" | "-r" | "/s" => line.push(Arg::known("-r")),
            "-whatif" => return,
            "-outfile" | "-o" => {
                line.push(Arg::known("-o"));
                line.extend(args.next().map(|path| Arg::known(path)));
            }
            "-method" => {
                line.push(Arg::known("-X"));
                line.extend(args.next().map(|method| Arg::known(method)));
            }
            "-body" | "-infile" => {
                line.push(Arg::known("--data-raw"));
                line.extend(args.next().map(|body| Arg::known(body)));
            }
            "-value" | "-encoding" | "-filter" | "-include" | "-exclude" | "-itemtype"
            | "-headers" => {
                args.next();
            }
            lower if lower.starts_with('-') => {}
            _ => line.push(Arg::known(&arg.replace('\\', "/"))),
        }
    }
    outcome.runs.push(Run::Command {
        words: line,
        stdin: Stream::default(),
    });
}

/// Elsewhere than on Windows `rm` and `curl` are the programs themselves, with their options.
fn native(words: &[String], name: &str, known: bool, outcome: &mut Outcome) {
    let clusters = words.iter().skip(1).any(|word| is_cluster(word));
    if clusters || (!known && is_program(name)) {
        outcome.runs.push(Run::Command {
            words: words.iter().map(|word| Arg::known(word)).collect(),
            stdin: Stream::default(),
        });
    }
}

/// Letters of several options in one word, as programs of Unix have them: `-rf`, no `-Force`.
fn is_cluster(word: &str) -> bool {
    let letters = word.strip_prefix('-').unwrap_or_default();
    (1..=4).contains(&letters.len()) && letters.chars().all(|c| c.is_ascii_lowercase())
}

/// A plain name of a program: no `Verb-Noun`, variable, number or keyword.
fn is_program(name: &str) -> bool {
    const KEYWORDS: &str = "if else elseif foreach for while do until function param try catch finally return \
        switch begin process end throw break continue in filter class using";
    name.starts_with(|c: char| c.is_ascii_lowercase() || matches!(c, '/' | '.' | '~'))
        && !name.contains(['-', UNKNOWN, '=', '['])
        && !is_any(KEYWORDS, name)
}

/// The code in `powershell -enc …`.
fn encoded(name: &str, args: &[String]) -> Option<String> {
    if !matches!(name.trim_end_matches(".exe"), "powershell" | "pwsh") {
        return None;
    }
    let at = args
        .iter()
        .position(|arg| arg.to_lowercase().starts_with("-e"))?;
    let text = decode::base64(args.get(at + 1)?)?;
    Some(text.replace('\0', ""))
}
