// SPDX-License-Identifier: Apache-2.0
//! Code that a command line holds or names: SQL after `-c`, the command after `exec`, a script on
//! stdin. SQL and phrases are judged here, the rest is handed on as [`Run`].

use super::super::super::word::{Arg, Stream};
use super::super::super::{Effect, Harm, Kind, Span, Target, sql};
use super::super::{Call, Outcome, Run};
use super::line::Line;
use super::pattern::{Globs, Paths};
use super::raw::RawCode;
use super::table::{Phrase, Problem, Tool, list};
use super::{judge, plain};

/// Most lines of a script of a tool's own commands that are judged.
const LINES: usize = 500;

/// Languages that `Run::Code` knows, engines of SQL and tools with targets.
const LANGUAGES: [&str; 7] = ["python", "perl", "node", "ruby", "awk", "php", "lua"];
const ENGINES: [&str; 10] = [
    "postgres",
    "mysql",
    "sqlite",
    "mssql",
    "oracle",
    "clickhouse",
    "cassandra",
    "bigquery",
    "influx",
    "sql",
];
const TARGETS: [&str; 9] = [
    "npm", "pnpm", "yarn", "bun", "composer", "deno", "make", "just", "task",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Sql(&'static str),
    Shell,
    Command,
    Phrases,
    Lines,
    Target(&'static str),
    Code(&'static str),
}

impl Language {
    fn parse(text: &str) -> Result<Self, String> {
        let known = |list: &[&'static str], wanted: &str| {
            let found = list.iter().find(|name| **name == wanted).copied();
            found.ok_or_else(|| format!("no such language: {text}"))
        };
        Ok(match text.split_once(':').unwrap_or((text, "")) {
            ("sql", engine) => Self::Sql(known(&ENGINES, engine)?),
            ("target", tool) => Self::Target(known(&TARGETS, tool)?),
            ("shell", _) => Self::Shell,
            ("command", _) => Self::Command,
            ("phrases", _) => Self::Phrases,
            ("lines", _) => Self::Lines,
            _ => Self::Code(known(&LANGUAGES, text)?),
        })
    }
}

/// Where code is.
#[derive(Clone, Debug)]
enum From {
    Options(Vec<String>),
    Operands(usize),
    Rest,
    Stdin,
    FileOptions(Vec<String>),
    FileOperands(usize),
}

impl From {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("no such source of code: {text}");
        let number = |text: &str| match text.strip_prefix("operands") {
            Some("") => Ok(0),
            Some(rest) => {
                let rest = rest.strip_prefix(':').ok_or_else(bad)?;
                rest.parse().map_err(|_| bad())
            }
            None => Err(bad()),
        };
        Ok(match text {
            "rest" => Self::Rest,
            "stdin" => Self::Stdin,
            option if option.starts_with('-') => Self::Options(list(option)),
            text => match text.strip_prefix("file:") {
                Some(option) if option.starts_with('-') => Self::FileOptions(list(option)),
                Some(operands) => Self::FileOperands(number(operands)?),
                None => Self::Operands(number(text)?),
            },
        })
    }
}

/// A place of a line that holds code.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) paths: Paths,
    pub(super) after: Option<usize>,
    pub(super) dashes: bool,
    language: Language,
    from: Vec<From>,
    only: Globs,
    absent: Vec<String>,
    cut: Option<char>,
}

impl Code {
    pub(super) fn new(raw: &RawCode, tool: &str) -> Result<Self, Problem> {
        let fail = |problem| (format!("{tool} (code of `{}`)", raw.path), problem);
        let from = raw.from.split_whitespace().map(From::parse);
        Ok(Self {
            language: Language::parse(&raw.language).map_err(fail)?,
            from: from.collect::<Result<_, _>>().map_err(fail)?,
            paths: Paths::parse(&raw.path),
            after: raw.after,
            dashes: raw.dashes,
            only: Globs::parse(&raw.only),
            absent: list(&raw.absent),
            cut: raw.cut,
        })
    }

    /// Options whose values are code or name it.
    pub(super) fn options(&self) -> impl Iterator<Item = &[String]> {
        self.from.iter().filter_map(|from| match from {
            From::Options(names) | From::FileOptions(names) => Some(names.as_slice()),
            _ => None,
        })
    }
}

/// Adds what the line's code would do. Whether there was any.
pub(super) fn add(tool: &Tool, line: &Line, call: &Call, outcome: &mut Outcome) -> bool {
    let mut any = false;
    for code in &tool.codes {
        let Some(length) = code.paths.length(&line.words) else {
            continue;
        };
        if line.has_exactly(&code.absent) {
            continue;
        }
        for from in &code.from {
            for piece in pieces(from, code, line, length, call) {
                any = true;
                hand(tool, code, &piece, call, outcome);
            }
        }
    }
    any
}

/// Some code, in words where it is a command.
struct Piece {
    words: Vec<Arg>,
    stream: bool,
}

impl Piece {
    fn one(arg: Arg) -> Self {
        Self {
            words: vec![arg],
            stream: false,
        }
    }

    fn stream(stream: &Stream) -> Option<Self> {
        let text = stream.text.clone();
        let known = text.is_some() || stream.taint.network.is_some() || stream.taint.decoded;
        known.then(|| Self {
            words: vec![Arg {
                text: text.unwrap_or_default(),
                taint: stream.taint.clone(),
                ..Arg::default()
            }],
            stream: true,
        })
    }
}

fn pieces(from: &From, code: &Code, line: &Line, length: usize, call: &Call) -> Vec<Piece> {
    let operands = |skip: usize| {
        let operands = line.options.operands.iter().skip(length + skip);
        operands.map(|arg| (*arg).clone()).collect::<Vec<Arg>>()
    };
    let files = |paths: Vec<Arg>| {
        let paths = paths.into_iter().take(16);
        let read = paths.filter_map(|arg| {
            let path = call.setting.absolute(&arg.text, call.cwd)?;
            Piece::stream(&call.files.read(&path)?)
        });
        read.collect()
    };
    let words = match from {
        From::Options(names) => {
            let values = line.values(names).into_iter();
            return values
                .filter_map(|arg| chosen(code, arg))
                .map(Piece::one)
                .collect();
        }
        From::Stdin => return Piece::stream(call.stdin).into_iter().collect(),
        From::FileOptions(names) => return files(line.values(names)),
        From::FileOperands(skip) => return files(operands(*skip)),
        From::Operands(skip) => operands(*skip),
        From::Rest => line.rest.to_vec(),
    };
    let words: Vec<Arg> = words
        .into_iter()
        .filter_map(|arg| chosen(code, arg))
        .collect();
    if words.is_empty() {
        return Vec::new();
    }
    vec![Piece {
        words,
        stream: false,
    }]
}

/// The part of a word that is code, if it is any.
fn chosen(code: &Code, arg: Arg) -> Option<Arg> {
    if !code.only.is_empty() && !code.only.matches(&arg.text) {
        return None;
    }
    let Some(cut) = code.cut.filter(|_| code.language != Language::Command) else {
        return Some(arg);
    };
    let (_, after) = arg.text.split_once(cut)?;
    Some(Arg {
        text: after.trim_start_matches('!').to_owned(),
        ..arg
    })
}

/// Judges a piece, or hands it on.
fn hand(tool: &Tool, code: &Code, piece: &Piece, call: &Call, outcome: &mut Outcome) {
    let text = joined(&piece.words);
    if piece.stream && (text.taint.network.is_some() || text.taint.decoded) {
        outcome.effects.push(foreign(tool));
    }
    match code.language {
        Language::Sql(engine) => {
            let effects = sql::statements(&text.text, engine).into_iter();
            outcome
                .effects
                .extend(effects.map(|effect| effect.at(text.span)));
        }
        Language::Phrases => phrases(&tool.phrases, &text, &tool.resource, outcome),
        Language::Lines => lines(tool, &text.text, call, outcome),
        Language::Command => outcome.runs.push(Run::Command {
            words: command(&piece.words, code.cut),
            stdin: call.stdin.clone(),
        }),
        Language::Shell => outcome.runs.push(Run::Shell {
            text,
            arguments: Vec::new(),
            stdin: call.stdin.clone(),
            host: None,
        }),
        Language::Code(language) => outcome.runs.push(Run::Code { language, text }),
        Language::Target(tool) => {
            let name = piece.words.first().map(|arg| arg.text.clone());
            let name = name.unwrap_or_default();
            outcome.runs.push(Run::Target { tool, name });
        }
    }
}

/// The words of a command, its program without a version: `prisma@latest`.
fn command(words: &[Arg], cut: Option<char>) -> Vec<Arg> {
    let mut words = words.to_vec();
    if let (Some(program), Some(cut)) = (words.first_mut(), cut) {
        let end = program.text.rfind(cut).filter(|at| *at > 0);
        program.text.truncate(end.unwrap_or(program.text.len()));
    }
    words
}

fn foreign(tool: &Tool) -> Effect {
    let target = Target::Resource(tool.resource.clone().into(), String::new());
    let name = format!("{}:foreign-code", tool.name);
    let why = "runs statements that came over the network or were hidden by an encoding";
    Effect::new(Kind::Execute, Harm::High, target, name, why)
}

/// Words as one text, apart by spaces.
fn joined(words: &[Arg]) -> Arg {
    let mut whole = words.first().cloned().unwrap_or_default();
    for word in words.get(1..).unwrap_or_default() {
        whole.text.push(' ');
        whole.text.push_str(&word.text);
        whole.taint.join(&word.taint);
        whole.span.end = word.span.end;
    }
    whole
}

fn phrases(phrases: &[Phrase], text: &Arg, resource: &str, outcome: &mut Outcome) {
    let small: String = text
        .text
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    for phrase in phrases {
        if phrase
            .words
            .iter()
            .any(|word| small.contains(word.as_str()))
        {
            let target = Target::Resource(resource.to_owned().into(), String::new());
            let (rule, why) = (phrase.rule.clone(), phrase.why.clone());
            let effect = Effect::new(phrase.kind, phrase.harm, target, rule, why);
            outcome.effects.push(effect.at(text.span));
        }
    }
}

/// A script of the tool's own commands, each line as if it stood on the command line.
fn lines(tool: &Tool, text: &str, call: &Call, outcome: &mut Outcome) {
    for line in text.lines().take(LINES) {
        let args: Vec<Arg> = line.split_whitespace().map(Arg::known).collect();
        if args.is_empty()
            || args
                .first()
                .is_some_and(|arg| plain(&arg.text) == tool.name)
        {
            continue;
        }
        // An empty stdin, so that this ends.
        let stdin = Stream::default();
        let call = Call {
            args: &args,
            stdin: &stdin,
            ..*call
        };
        let found = judge::judge(tool, &call).effects.into_iter();
        let found = found.map(|effect| effect.at(Span::default()));
        outcome
            .effects
            .extend(found.filter(|effect| effect.harm > Harm::Low));
    }
}
