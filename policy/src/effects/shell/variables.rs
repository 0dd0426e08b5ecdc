// SPDX-License-Identifier: Apache-2.0
//! Variables: what they hold when nothing set them, and `$x`.

use super::super::word::{Arg, UNKNOWN};
use super::expand::{How, Piece};
use super::{Shell, Value, Variable};

/// Variables that name a program by custom, and the program that stands for it.
const PROGRAMS: &str = "PYTHON=python3 PYTHON3=python3 CC=cc CXX=c++ EDITOR=vi VISUAL=vi PAGER=less \
    SHELL=/bin/bash BASH=/bin/bash MAKE=make CARGO=cargo NODE=node NPM=npm PIP=pip GIT=git GO=go SUDO=sudo \
    BROWSER=true KUBECTL=kubectl DOCKER=docker JAVA=java RUSTC=rustc AR=ar LD=ld";

impl Shell<'_> {
    /// A variable's value: what the action gave it, else what is known of it, else unknown.
    pub(super) fn lookup(&self, name: &str) -> Value {
        match self.scope.variables.get(name) {
            Some(Variable::One(value)) => value.clone(),
            Some(Variable::Many(values)) => values.first().cloned().unwrap_or_default(),
            None => self.preset(name),
        }
    }

    /// What a word becomes as it is put into a variable: what stood bare has its tilde expanded
    /// (a quoted one is marked with `./` before it).
    pub(super) fn held(&self, arg: &Arg) -> Value {
        let mut text = arg.text.clone();
        if let Some(rest) = text.strip_prefix('~').filter(|rest| ends_tilde(rest)) {
            text = format!("{}{rest}", self.setting.home);
        }
        Value {
            text,
            taint: arg.taint.clone(),
        }
    }

    /// Whether the action itself gave it a value.
    pub(super) fn is_assigned(&self, name: &str) -> bool {
        self.scope.variables.contains_key(name)
    }

    fn preset(&self, name: &str) -> Value {
        let known = match name {
            "HOME" => Some(self.setting.home.as_str()),
            "PWD" => self.scope.cwd.as_deref(),
            "IFS" => Some(" \t\n"),
            "PATH" => Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            "TMPDIR" | "TMP" | "TEMP" | "RUNNER_TEMP" => Some("/tmp"),
            "OSTYPE" => Some("linux-gnu"),
            "UID" | "EUID" => Some("1000"),
            "XDG_CACHE_HOME" => Some("~/.cache"),
            "XDG_CONFIG_HOME" => Some("~/.config"),
            "XDG_DATA_HOME" => Some("~/.local/share"),
            "GITHUB_WORKSPACE" | "CI_PROJECT_DIR" | "WORKSPACE" => {
                Some(self.setting.workspace.as_str())
            }
            _ => PROGRAMS.split_ascii_whitespace().find_map(|pair| {
                let (known, program) = pair.split_once('=')?;
                (known == name).then_some(program)
            }),
        };
        if let Some(known) = known {
            return Value::known(known);
        }
        let mut value = Value::known(&UNKNOWN.to_string());
        if names_secret(name) {
            value.taint.secret = Some(name.to_owned());
        }
        value
    }

    /// `$x`, without its dollar.
    pub(super) fn parameter(&mut self, name: &str, how: How, made: &mut Vec<Piece>) {
        match name {
            "@" | "*" => {
                let values = self.scope.arguments.clone();
                push_all(&values, name == "@" || how == How::Split, how, made);
            }
            "#" => made.push(Piece::of(
                self.scope.arguments.len().to_string(),
                How::Quoted,
            )),
            "$" | "!" | "?" | "-" | "_" => made.push(Piece::of(UNKNOWN, How::Quoted)),
            "0" => made.push(Piece::of("bash", How::Quoted)),
            _ => {
                let value = match name.parse::<usize>() {
                    Ok(index) => self.argument(index),
                    Err(_) => self.lookup(name),
                };
                made.push(piece(value, how));
            }
        }
    }

    /// `$1`: what a function or script was given, else unknown.
    pub(super) fn argument(&self, index: usize) -> Value {
        let given = index
            .checked_sub(1)
            .and_then(|at| self.scope.arguments.get(at));
        match given {
            Some(value) => value.clone(),
            // Inside of a function or script that was called with less it is empty.
            None if !self.running.is_empty() => Value::default(),
            None => Value::known(&UNKNOWN.to_string()),
        }
    }
}

/// Whether a tilde before it is all of its word or path segment.
pub(super) fn ends_tilde(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

pub(super) fn piece(value: Value, how: How) -> Piece {
    Piece {
        text: value.text,
        how,
        taint: value.taint,
    }
}

/// All values of a list, each a word of its own if `apart`.
pub(super) fn push_all(values: &[Value], apart: bool, how: How, made: &mut Vec<Piece>) {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            made.push(Piece::of("", if apart { How::Break } else { how }));
            if !apart {
                made.push(Piece::of(" ", how));
            }
        }
        made.push(piece(value.clone(), how));
    }
}

/// Whether a variable of such a name holds a secret.
fn names_secret(name: &str) -> bool {
    const ENDS: &str = "TOKEN SECRET PASSWORD PASSWD PASSPHRASE API_KEY APIKEY ACCESS_KEY PRIVATE_KEY \
        SECRET_KEY SECRET_ACCESS_KEY AUTH CREDENTIALS PAT PASS";
    let upper = name.to_ascii_uppercase();
    ENDS.split_ascii_whitespace().any(|end| {
        upper
            .strip_suffix(end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    })
}
