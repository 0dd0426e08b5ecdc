// SPDX-License-Identifier: Apache-2.0
//! Functions without effects, by the verbs of their rows: encodings undone, paths and lists made.

use super::super::program::Call;
use super::super::word::{Taint, UNKNOWN};
use super::decode;
use super::fold::{add, elements, join, join_paths, path, percent_format, reversed, taint_of};
use super::methods;
use super::value::{Shape, TEXT, Value};
use crate::list::is_any;

/// Longest list made of a range of numbers.
const RANGE: i64 = 512;

/// Words in names of environment variables that hold secrets.
const SECRET_WORDS: &str = "TOKEN SECRET PASSWORD PASSWD PASSPHRASE CREDENTIAL CREDENTIALS APIKEY API_KEY ACCESS_KEY \
    PRIVATE_KEY SIGNING_KEY ENCRYPTION_KEY DATABASE_URL _DSN _PAT _PSK";

/// Names of libraries for the whole environment.
const ENVIRONMENTS: &str =
    "os.environ os.environb process.env ENV $ENV $_ENV $_SERVER Deno.env Bun.env import.meta.env";

/// Text in an encoding by name, or nothing when it hides nothing.
pub(super) fn codec(text: &str, name: &str) -> Option<Value> {
    let name = name.to_lowercase().replace(['-', ' '], "_");
    let plain = match name.trim_end_matches("_codec") {
        "base64" | "base64url" => decode::base64(text),
        "hex" => decode::hex(text),
        "rot13" | "rot_13" => Some(decode::rot13(text)),
        "zlib" | "zip" | "bz2" | "uu" | "quopri" => None,
        "unicode_escape" | "string_escape" => Some(decode::unescape(text, false)),
        _ => return None,
    };
    Some(
        plain
            .map_or_else(Value::default, |plain| Value::text(&plain))
            .decoded(),
    )
}

/// A variable of the environment.
pub(super) fn environment(name: Option<&str>, call: &Call) -> Value {
    let secret = |name: &str| Taint {
        secret: Some(name.to_owned()),
        ..Taint::default()
    };
    match name {
        None => Value::unknown(secret("the environment")),
        Some("HOME" | "USERPROFILE") => Value::text(&call.setting.home),
        Some("PWD") => Value::text("."),
        Some("TMPDIR" | "TEMP" | "TMP") => Value::text("/tmp"),
        Some(name) if is_secret(name) => Value::unknown(secret(name)),
        Some(_) => Value::default(),
    }
}

/// Whether a variable's name says that it holds a secret.
fn is_secret(name: &str) -> bool {
    let upper = name.to_uppercase();
    let mut words = SECRET_WORDS.split_ascii_whitespace();
    words.any(|word| upper.contains(word)) || upper.ends_with("_KEY")
}

/// Whether a library's name stands for the whole environment.
pub(super) fn is_environment(name: &str) -> bool {
    is_any(ENVIRONMENTS, name)
}

/// What a function without effects gives, by the verb of its row.
pub(super) fn function(verb: &str, args: &[Value], call: &Call) -> Option<Value> {
    let value = decoded(verb, args)
        .or_else(|| together(verb, args, call))
        .or_else(|| path_of(verb, args, call))
        .or_else(|| counted(verb, args))
        .or_else(|| read(verb, args, call))?;
    Some(value.tainted(&taint_of(args)))
}

/// Encodings undone.
fn decoded(verb: &str, args: &[Value]) -> Option<Value> {
    let known = args.first().and_then(Value::known);
    let plain = match verb {
        "base64" => known.and_then(|text| decode::base64(&text)),
        "hex" => known.and_then(|text| decode::hex(&text)),
        "rot13" => known.map(|text| decode::rot13(&text)),
        "opaque" => None,
        "codec" => {
            let name = args.get(1).and_then(Value::known).unwrap_or_default();
            return codec(&known?, &name).or_else(|| args.first().cloned());
        }
        "percent" => return Some(Value::text(&decode::percent(&known?))),
        "reverse" => return Some(reversed(args.first()?)),
        "chr" => return Some(Value::text(&characters(args)?)),
        "pack" => return pack(args),
        _ => return None,
    };
    Some(
        plain
            .map_or_else(Value::default, |plain| Value::text(&plain))
            .decoded(),
    )
}

/// Texts and lists put together or taken apart.
fn together(verb: &str, args: &[Value], call: &Call) -> Option<Value> {
    let first = args.first();
    Some(match verb {
        "same" => first.cloned().unwrap_or_else(|| Value::text("")),
        "nothing" => Value::default(),
        "text" => match first.and_then(Value::as_text) {
            Some(text) => Value::text(&text),
            None => bytes(first).unwrap_or_default(),
        },
        "concat" => add(args),
        "join" => match args {
            [only] => join(&Value::text(""), only)?,
            _ => join(first?, args.get(1)?)?,
        },
        "join-rest" => {
            let rest = args.get(1..)?.iter();
            let parts = rest.flat_map(|part| {
                part.parts()
                    .map_or_else(|| part.choices(), <[Value]>::to_vec)
            });
            join(first?, &Value::list(parts.collect()))?
        }
        "spaced" => join(&Value::text(" "), first?)?,
        "split" => {
            let text = first?.as_text()?;
            Value::list(text.split_whitespace().map(Value::text).collect())
        }
        "split-by" => methods::method(args.get(1)?, "split", args.get(..1)?, call)?,
        "sprintf" => {
            let rest = Value::list(args.get(1..)?.to_vec());
            Value::text(&percent_format(&first?.as_text()?, &rest))
        }
        "unpack" => methods::method(args.get(1)?, "unpack1", args.get(..1)?, call)?,
        "list" => Value::list(elements(first?)?),
        "tuple" => Value::list(args.to_vec()),
        _ => return None,
    })
}

/// Paths.
fn path_of(verb: &str, args: &[Value], call: &Call) -> Option<Value> {
    let text = || args.first().and_then(Value::as_text);
    Some(match verb {
        "path-join" => Value::text(&join_paths(args)),
        "path" => path(&join_paths(args)),
        "expand" => Value::text(&expand(&text()?, call)),
        "here" => Value::text("."),
        "home" => path(&call.setting.home),
        "temp" => Value::text(&format!("/tmp/{UNKNOWN}")),
        "glob" => Value::list(vec![Value::text(&text()?).globbed()]),
        "list-folder" => Value::list(vec![Value::default()]),
        "entries" => Value::list(vec![path(&format!("{}/{UNKNOWN}", text()?))]),
        "walk" => walk(&text()?),
        "dirname" => match text()?.rsplit_once('/') {
            Some(("", _)) => Value::text("/"),
            Some((folder, _)) => Value::text(folder),
            None => Value::text("."),
        },
        "basename" => Value::text(text()?.rsplit('/').next()?),
        _ => return None,
    })
}

/// Numbers.
fn counted(verb: &str, args: &[Value]) -> Option<Value> {
    let first = args.first();
    match verb {
        "ord" => {
            let letter = first?.as_text()?.chars().next()?;
            Some(Value::number(i64::from(u32::from(letter))))
        }
        "number" => number(&first?.as_text()?, args.get(1).and_then(Value::as_number)),
        "length" => length(first?),
        "range" => range(args),
        _ => None,
    }
}

/// What comes in from outside: variables of the environment, standard input.
fn read(verb: &str, args: &[Value], call: &Call) -> Option<Value> {
    match verb {
        "environment" => {
            let name = args.first().map(|name| name.known().unwrap_or_default());
            Some(environment(name.as_deref(), call))
        }
        "stdin" => {
            let text = call.stdin.text.as_ref().filter(|text| text.len() <= TEXT);
            let value = text.map_or_else(Value::default, |text| Value::text(text));
            Some(value.tainted(&call.stdin.taint))
        }
        _ => None,
    }
}

fn expand(text: &str, call: &Call) -> String {
    match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", call.setting.home)
        }
        _ => text.to_owned(),
    }
}

/// `os.walk`: folder, folders in it, files in it.
fn walk(text: &str) -> Value {
    let inside = || Value::list(vec![Value::default()]);
    let step = Value::list(vec![Value::text(text), inside(), inside()]);
    Value::list(vec![step])
}

/// Numbers as the characters they stand for.
pub(super) fn characters(numbers: &[Value]) -> Option<String> {
    let mut flat = Vec::new();
    for number in numbers {
        match number.parts() {
            Some(parts) => flat.extend(parts.iter().map(Value::as_number)),
            None => flat.push(number.as_number()),
        }
    }
    flat.into_iter()
        .map(|number| decode::character(number?))
        .collect()
}

/// `bytes([114, 109])`
fn bytes(value: Option<&Value>) -> Option<Value> {
    let parts = value?.parts()?;
    Some(Value::text(&characters(parts)?).decoded())
}

/// `pack(format, …)` of Perl, PHP and Ruby.
pub(super) fn pack(args: &[Value]) -> Option<Value> {
    let (format, values) = args.split_first()?;
    let format = format.known()?;
    let plain = match format.chars().next()?.to_ascii_lowercase() {
        'h' => decode::hex(&values.first()?.known()?)?,
        'c' | 'u' | 'w' => characters(values)?,
        'a' => values.first()?.as_text()?,
        'm' => return None,
        _ => return None,
    };
    Some(Value::text(&plain).decoded())
}

fn number(text: &str, radix: Option<i64>) -> Option<Value> {
    let radix = radix
        .and_then(|radix| u32::try_from(radix).ok())
        .unwrap_or(10);
    if !(2..=36).contains(&radix) {
        return None;
    }
    let digits = text.trim();
    let digits = if radix == 16 {
        digits.trim_start_matches("0x")
    } else {
        digits
    };
    i64::from_str_radix(digits, radix).ok().map(Value::number)
}

fn length(value: &Value) -> Option<Value> {
    let length = match &value.shape {
        Shape::Text(text) if !text.contains(UNKNOWN) => text.chars().count(),
        Shape::List(parts) => parts.len(),
        _ => return None,
    };
    i64::try_from(length).ok().map(Value::number)
}

fn range(args: &[Value]) -> Option<Value> {
    let numbers: Option<Vec<i64>> = args.iter().map(Value::as_number).collect();
    let (start, end, step) = match *numbers?.as_slice() {
        [end] => (0, end, 1),
        [start, end] => (start, end, 1),
        [start, end, step] => (start, end, step),
        _ => return None,
    };
    let size = usize::try_from(step.unsigned_abs())
        .ok()
        .filter(|step| *step > 0)?;
    let numbers: Vec<i64> = if step > 0 {
        (start..end.min(start.saturating_add(RANGE)))
            .step_by(size)
            .collect()
    } else {
        let low = end.saturating_add(1).max(start.saturating_sub(RANGE));
        (low..=start).rev().step_by(size).collect()
    };
    Some(Value::list(
        numbers.into_iter().map(Value::number).collect(),
    ))
}
