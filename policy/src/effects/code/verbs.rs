// SPDX-License-Identifier: Apache-2.0
//! What calls that are known do, by the row of a table: `run rm -rf %0` is the command that does
//! the same, so that one place judges it. See `tables` for what a row may say.

use super::super::word::{Arg, Stream, UNKNOWN};
use super::super::{Harm, Kind, Target, sql};
use super::calls::Given;
use super::fold;
use super::functions;
use super::machine::Machine;
use super::network;
use super::value::{Shape, TEXT, Value};

impl Machine<'_> {
    /// What a call does by its row, and what it gives: to functions that it was handed, too.
    pub(super) fn act(&mut self, name: &str, row: &'static str, given: &Given) -> Value {
        let value = self.perform(name, row, given);
        let handed = given
            .args
            .iter()
            .filter(|arg| matches!(arg.shape, Shape::Function(_)));
        for function in handed.take(4) {
            self.apply(
                function,
                &Given::of(vec![value.clone(), value.clone(), value.clone()]),
            );
        }
        value
    }

    pub(super) fn perform(&mut self, name: &str, row: &'static str, given: &Given) -> Value {
        let (verb, tokens) = row.split_once(' ').unwrap_or((row, ""));
        let picked = self.pick(tokens, given);
        let all = if tokens.is_empty() {
            &given.args
        } else {
            &picked
        };
        if let Some(value) = functions::function(verb, all, self.call) {
            return value;
        }
        match verb {
            "run" => {
                let words = self.words(tokens, given);
                self.command(words, Stream::default())
            }
            "shell" => self.shell(&first(&picked)),
            "spawn" => self.spawn(&picked, given),
            "system" => match given.args.as_slice() {
                [one] if one.parts().is_none() => self.shell(one),
                several => self.command(flat(several), Stream::default()),
            },
            "words" => self.command(flat(all), Stream::default()),
            "execv" | "execl" => self.exec(verb, &picked),
            "remote" => self.remote(&first(&picked), given),
            "open" | "read" | "write" | "append" => self.file(verb, &picked, given),
            "open-write" => self.file("open", &[first(&picked), Value::text("w")], given),
            "file-if" => self.library(&first(&picked), given),
            "http" => network::http(self, &picked, given),
            "connect" | "listen" | "received" | "upload" | "upload-file" | "leak" | "dup2" => {
                network::socket(self, verb, &picked, given)
            }
            "code" | "file" => self.code(verb, &first(&picked)),
            "put" | "dump" | "perl-open" => self.handle(verb, &picked, given),
            "print" | "print-line" => self.print(verb, all, given),
            "chdir" => self.change_folder(&first(&picked)),
            "sql" => self.sql(name, &first(&picked), given),
            "maybe-code" if !self.is_code(&first(&picked)) => Value::default(),
            "maybe-code" => self.code(verb, &first(&picked)),
            "code-last" => match given.args.last() {
                Some(code) => self.code(verb, code),
                None => Value::default(),
            },
            "import" | "import-all" | "attribute" | "by-name" | "scope" | "partial" => {
                self.bound(verb, all, given)
            }
            _ => self.other(verb, &picked, given),
        }
    }

    /// Names and functions as values.
    pub(super) fn bound(&mut self, verb: &str, args: &[Value], given: &Given) -> Value {
        let text = args.first().and_then(Value::known);
        match (verb, text) {
            ("import", Some(name)) => Value::name(&self.language.canonical(&name)),
            ("import-all", Some(name)) => {
                self.import_all(&name);
                Value::default()
            }
            ("attribute", _) => {
                let name = args.get(1).and_then(Value::known);
                match (args.first(), name) {
                    (Some(object), Some(name)) => {
                        let object = object.clone();
                        self.attribute(&object, &name)
                    }
                    _ => self.dynamic("a function whose name is made as it runs"),
                }
            }
            // `Kernel.send(:system, 'x')`
            ("by-name", Some(name)) => {
                let mut given = given.clone();
                given.args = given.args.split_off(1.min(given.args.len()));
                match given.this.clone() {
                    Some(this) => self.method(&this, &name, &given),
                    None => {
                        let name = self.language.canonical(&name);
                        self.name(&name, &given)
                    }
                }
            }
            ("by-name", None) => self.dynamic("a function whose name is made as it runs"),
            ("scope", _) => args
                .first()
                .cloned()
                .unwrap_or_else(|| Value::name("globals")),
            // What a function is bound to is not followed, but it is as if it were called.
            ("partial", _) => match given.args.split_first() {
                Some((function, rest)) => {
                    let function = function.clone();
                    self.apply(&function, &Given::of(rest.to_vec()));
                    function
                }
                None => Value::default(),
            },
            _ => Value::unknown(given.taint()),
        }
    }

    /// Verbs that are an effect of their own.
    pub(super) fn other(&mut self, verb: &str, picked: &[Value], given: &Given) -> Value {
        let (what, rule, why) = match verb {
            "native" => (
                (Kind::Execute, Harm::Medium),
                "code:native",
                "calls into native code, which can do anything",
            ),
            "secret" => (
                (Kind::TouchSecret, Harm::High),
                "code:secret-store",
                "reads a password from where the system keeps them",
            ),
            "delete" => (
                (Kind::Delete, Harm::High),
                "code:delete-remote",
                "deletes what lives elsewhere and may not come back",
            ),
            "become" if first(picked).as_number() == Some(0) => (
                (Kind::Escalate, Harm::High),
                "code:become-root",
                "makes itself the administrator",
            ),
            "fork" if self.loops > 0 => (
                (Kind::Disrupt, Harm::High),
                "code:fork-loop",
                "starts processes without end",
            ),
            "unpickle" if given.taint().network.is_some() => (
                (Kind::Execute, Harm::Critical),
                "code:unpickle-network",
                "runs whatever a host sends, as unpickling does",
            ),
            _ => return Value::unknown(given.taint()),
        };
        let target = match verb {
            "native" | "unpickle" => Target::Program(first(picked).word()),
            _ => Target::Nothing,
        };
        self.effect(what, target, rule, why);
        let mut taint = given.taint();
        if verb == "secret" {
            taint.secret = Some("a key store".to_owned());
        }
        Value::unknown(taint)
    }

    /// The values that a row's tokens stand for, literal words left out.
    pub(super) fn pick(&self, tokens: &'static str, given: &Given) -> Vec<Value> {
        let tokens = tokens.split_ascii_whitespace();
        tokens.flat_map(|token| self.values(token, given)).collect()
    }

    /// The values of one token.
    pub(super) fn values(&self, token: &str, given: &Given) -> Vec<Value> {
        let Some(token) = token.strip_prefix('%') else {
            return vec![Value::text(token)];
        };
        let mut names = token.split('|').peekable();
        let place = names.peek().copied().unwrap_or_default();
        if let Some(start) = place.strip_suffix("..") {
            let start = start.parse().unwrap_or(0);
            return given.args.iter().skip(start).cloned().collect();
        }
        if place == "this" {
            return given.this.iter().map(own).collect();
        }
        let positional = place.parse::<usize>().ok();
        if positional.is_some() {
            names.next();
        }
        let by_place = positional.and_then(|index| given.args.get(index));
        match by_place.filter(|value| !matches!(value.shape, Shape::Map(_))) {
            Some(value) => vec![value.clone()],
            None => {
                let named = names.find_map(|name| given.named(name));
                let named = named.or_else(|| by_place.cloned());
                match (named, positional) {
                    (Some(value), _) => vec![value],
                    // What must be there and is not seen is there all the same.
                    (None, Some(0)) => vec![Value::default()],
                    (None, _) => Vec::new(),
                }
            }
        }
    }

    /// The words of a `run` row: literal ones, `%0`, `%o1` in octal, `-%1` with something before,
    /// `recursive?-r` when an argument of that name is given.
    pub(super) fn words(&self, tokens: &'static str, given: &Given) -> Vec<Arg> {
        let mut words = Vec::new();
        for token in tokens.split_ascii_whitespace() {
            if let Some((name, word)) = token.split_once('?') {
                let value = given.named(name);
                if value.is_some_and(|value| !value.is_false()) {
                    words.push(Arg::known(word));
                }
                continue;
            }
            let Some((before, reference)) = token.split_once('%') else {
                words.push(Arg::known(token));
                continue;
            };
            let octal = reference.strip_prefix('o');
            let octal = octal.filter(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
            let reference = format!("%{}", octal.unwrap_or(reference));
            for value in self.values(&reference, given) {
                let parts = value
                    .parts()
                    .map_or_else(|| value.choices(), <[Value]>::to_vec);
                for part in parts {
                    let mut arg = self.here(&part).arg();
                    if let (Some(_), Shape::Number(mode)) = (octal, &part.shape) {
                        arg.text = format!("{mode:o}");
                    }
                    arg.text.insert_str(0, before);
                    if !arg.text.is_empty() {
                        words.push(arg);
                    }
                }
            }
        }
        words
    }

    /// A relative path as one in the folder that the program changed to.
    pub(super) fn here(&self, value: &Value) -> Value {
        let (Some(folder), Some(text)) = (&self.folder, value.as_text()) else {
            return value.clone();
        };
        if text.starts_with(['/', '~', '-']) || text.contains("://") {
            return value.clone();
        }
        let mut joined = Value::text(&fold::join_paths(&[Value::text(folder), value.clone()]));
        joined.glob = value.glob;
        joined.tainted(&value.taint)
    }

    pub(super) fn change_folder(&mut self, to: &Value) -> Value {
        let whole = match &self.folder {
            Some(folder) => fold::join_paths(&[Value::text(folder), to.clone()]),
            None => to.word(),
        };
        self.folder = Some(whole).filter(|folder| folder != ".");
        Value::default()
    }

    pub(super) fn print(&mut self, verb: &str, args: &[Value], given: &Given) -> Value {
        if let Some(file) = given
            .named("file")
            .filter(|_| self.language.name == "python")
        {
            if file
                .as_object()
                .is_some_and(|object| object.class == "file")
            {
                self.written(
                    &own(&file),
                    fold::add(&[args, &[Value::text("\n")]].concat()),
                );
            }
            return Value::default();
        }
        let words: Vec<String> = args.iter().map(Value::word).collect();
        self.printed_taint.join(&fold::taint_of(args));
        let known =
            self.outcome.runs.is_empty() && words.iter().all(|word| !word.contains(UNKNOWN));
        self.printed = self.printed.take().filter(|_| known).map(|mut text| {
            text.push_str(&words.join(" "));
            if verb == "print-line" {
                text.push('\n');
            }
            text
        });
        self.printed = self.printed.take().filter(|text| text.len() <= TEXT);
        Value::default()
    }

    /// Statements for a database.
    pub(super) fn sql(&mut self, name: &str, text: &Value, given: &Given) -> Value {
        let base = given.this.as_ref().and_then(Value::as_object);
        let file = base
            .and_then(|base| base.args.first())
            .and_then(Value::known);
        let in_memory = file.is_some_and(|file| file == ":memory:" || file.starts_with("/tmp/"));
        if in_memory {
            return Value::default();
        }
        for choice in text.choices() {
            let statements = choice.as_text().unwrap_or_default();
            let effects = sql::statements(&statements, engine(name));
            self.outcome.effects.extend(effects.into_iter().take(32));
        }
        Value::default()
    }
}

/// The first value, unknown when there is none.
pub(super) fn first(values: &[Value]) -> Value {
    values.first().cloned().unwrap_or_default()
}

/// What an object was made with.
pub(super) fn own(this: &Value) -> Value {
    match this.as_object() {
        Some(object) if this.as_text().is_none() => {
            object.args.first().cloned().unwrap_or_default()
        }
        _ => this.clone(),
    }
}

/// Words of all values, lists taken apart.
pub(super) fn flat(values: &[Value]) -> Vec<Arg> {
    let mut words = Vec::new();
    for value in values {
        match value.parts() {
            Some(parts) => words.extend(parts.iter().map(Value::arg)),
            None => words.extend(value.choices().iter().map(Value::arg)),
        }
    }
    words
}

/// The database that a library is for.
fn engine(name: &str) -> &'static str {
    let known = [
        ("sqlite", "sqlite"),
        ("psycopg", "postgres"),
        ("pg", "postgres"),
        ("Pg", "postgres"),
        ("mysql", "mysql"),
        ("MySQL", "mysql"),
    ];
    let found = known.iter().find(|(part, _)| name.contains(part));
    found.map_or("sql", |(_, engine)| engine)
}
