// SPDX-License-Identifier: Apache-2.0
//! What a program of awk runs: `system("…")`, `"…" | getline`, `print | "…"`, files it prints to.

use super::super::program::{Call, Outcome, Run};
use super::super::word::{Arg, Stream, UNKNOWN};
use super::super::{Effect, Harm, Kind, Target};
use super::decode;

/// Most commands that one program is followed into.
const RUNS: usize = 64;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Name(String),
    Mark(char),
}

/// What the program would do.
pub(super) fn analyse(text: &str, call: &Call) -> Outcome {
    let tokens = scan(text);
    let mut outcome = Outcome::default();
    let mut printing = false;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let after = tokens.get(at);
        match token {
            Token::Name(name) if name == "system" && after == Some(&Token::Mark('(')) => {
                let (text, _) = join(&tokens, at + 1);
                shell(&mut outcome, &text);
            }
            Token::Name(name) if name == "print" || name == "printf" => printing = true,
            Token::Mark('{' | '}' | ';' | '\n') => printing = false,
            // `|` and `|&`, but not `||`, which is one mark of its own.
            Token::Mark('|') => pipe(&tokens, at, &mut outcome),
            Token::Mark('>') if printing => {
                at += usize::from(after == Some(&Token::Mark('>')));
                let (text, _) = join(&tokens, at);
                write(&mut outcome, &text, after == Some(&Token::Mark('>')), call);
            }
            Token::Text(text) if text.starts_with("/inet") => socket(&mut outcome, text),
            _ => {}
        }
    }
    outcome.stdout = Stream::default();
    outcome
}

/// A command on either side of a pipe.
fn pipe(tokens: &[Token], at: usize, outcome: &mut Outcome) {
    let next = if tokens.get(at) == Some(&Token::Mark('&')) {
        at + 1
    } else {
        at
    };
    if tokens.get(next) == Some(&Token::Name("getline".to_owned())) {
        let start = tokens
            .get(..at - 1)
            .unwrap_or_default()
            .iter()
            .rposition(|token| {
                matches!(token, Token::Mark('{' | '}' | ';' | '\n' | '(' | '=' | '!'))
            })
            .map_or(0, |start| start + 1);
        let (text, _) = join(tokens, start);
        shell(outcome, &text);
    } else {
        let (text, _) = join(tokens, next);
        shell(outcome, &text);
    }
}

fn shell(outcome: &mut Outcome, text: &str) {
    if outcome.runs.len() >= RUNS || text.is_empty() || text.starts_with("/inet") {
        return;
    }
    outcome.runs.push(Run::Shell {
        text: Arg {
            text: text.to_owned(),
            ..Arg::default()
        },
        arguments: Vec::new(),
        stdin: Stream::default(),
        host: None,
    });
}

fn write(outcome: &mut Outcome, path: &str, append: bool, call: &Call) {
    let null = path.starts_with("/dev/std") || path == "/dev/null";
    if outcome.runs.len() >= RUNS || path.is_empty() || null {
        return;
    }
    let mut words = vec![Arg::known("tee")];
    if append {
        words.push(Arg::known("-a"));
    }
    words.push(Arg {
        text: path.to_owned(),
        ..Arg::default()
    });
    let stdin = Stream {
        text: None,
        taint: call.stdin.taint.clone(),
    };
    outcome.runs.push(Run::Command { words, stdin });
}

/// `/inet/tcp/0/host/port`
fn socket(outcome: &mut Outcome, path: &str) {
    let host = path.split('/').nth(4).unwrap_or_default();
    outcome.effects.push(Effect::new(
        Kind::Connect,
        Harm::High,
        Target::Host(host.to_owned()),
        "code:awk-socket",
        "opens a connection from a program that is only meant to read text",
    ));
}

/// Strings one after the other from here, as one; what is no string is not known.
fn join(tokens: &[Token], start: usize) -> (String, usize) {
    let mut text = String::new();
    let mut depth = 0_u32;
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Text(part) => text.push_str(part),
            Token::Name(name) if name == "getline" => break,
            Token::Name(_) => {
                if !text.ends_with(UNKNOWN) {
                    text.push(UNKNOWN);
                }
            }
            Token::Mark('(') => depth = depth.saturating_add(1),
            Token::Mark(')') if depth > 0 => depth -= 1,
            Token::Mark(')' | ';' | '}' | '\n' | '|' | '{' | ',' | '<' | '>') => break,
            Token::Mark(_) => {}
        }
        at += 1;
        if text.len() > 4096 {
            break;
        }
    }
    (text, at)
}

fn scan(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                let mut body = String::new();
                while let Some(letter) = letters.next() {
                    match letter {
                        '"' => break,
                        '\\' => {
                            body.push('\\');
                            body.extend(letters.next());
                        }
                        letter => body.push(letter),
                    }
                }
                tokens.push(Token::Text(decode::unescape(&body, false)));
            }
            '#' => while letters.next_if(|letter| *letter != '\n').is_some() {},
            '/' if !after_operand(tokens.last()) => {
                while let Some(letter) = letters.next_if(|letter| *letter != '\n') {
                    match letter {
                        '/' => break,
                        '\\' => drop(letters.next()),
                        _ => {}
                    }
                }
                tokens.push(Token::Name("pattern".to_owned()));
            }
            '|' if letters.next_if_eq(&'|').is_some() => tokens.push(Token::Mark('O')),
            '>' if letters.next_if_eq(&'=').is_some() => tokens.push(Token::Mark('G')),
            letter if letter.is_whitespace() && letter != '\n' => {}
            letter if letter.is_alphanumeric() || letter == '_' || letter == UNKNOWN => {
                let mut name = String::from(letter);
                while let Some(letter) =
                    letters.next_if(|letter| letter.is_alphanumeric() || *letter == '_')
                {
                    name.push(letter);
                }
                tokens.push(Token::Name(name));
            }
            letter => tokens.push(Token::Mark(letter)),
        }
    }
    tokens
}

fn after_operand(last: Option<&Token>) -> bool {
    matches!(
        last,
        Some(Token::Text(_) | Token::Name(_) | Token::Mark(')' | ']'))
    )
}
