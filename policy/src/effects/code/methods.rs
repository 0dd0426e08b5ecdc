// SPDX-License-Identifier: Apache-2.0
//! Methods of texts, lists, numbers and paths that have no effects, under the names that any of
//! the languages gives them.

use super::super::program::Call;
use super::super::word::UNKNOWN;
use super::decode;
use super::fold;
use super::functions;
use super::value::{READ, Shape, TEXT, Value, is_path};
use crate::list::is_any;

/// Methods that give what they are called on.
const SAME: &str = "encode decode to_s toString valueOf to_str freeze dup inspect to_sym normalize tostring copy clone \
    to_a toArray tolist flatten compact uniq sort sorted resolve absolute as_posix realpath cleanpath to_path \
    force_encoding b unicode text bytes getvalue fspath as_uri href";

/// Methods that take white space away at the ends.
const TRIM: &str = "strip lstrip rstrip trim trimStart trimEnd chomp chop";

/// Methods that say something about a value, which is no part of it.
const ABOUT: &str = "startswith endswith startsWith endsWith start_with? end_with? includes include? has exists exist? \
    is_file is_dir file? directory? isdigit isalpha index find indexOf count empty? match test is_symlink stat lstat \
    is_absolute exists? key? has_key";

/// What a method gives, or nothing when it is not known here.
pub(super) fn method(on: &Value, name: &str, args: &[Value], call: &Call) -> Option<Value> {
    if is_any(ABOUT, name) && !matches!(on.shape, Shape::Name(_)) {
        return on.as_text().map(|_| Value::default());
    }
    let value = match &on.shape {
        Shape::Text(text) => text_method(text, on, name, args),
        Shape::List(parts) => list_method(parts, on, name, args),
        Shape::Map(parts) => match name {
            "get" | "fetch" | "pop" | "setdefault" | "dig" => {
                fold::index(on, args.first()?).or_else(|| args.get(1).cloned())
            }
            "values" => Some(Value::list(
                parts.iter().map(|(_, part)| part.clone()).collect(),
            )),
            "items" | "entries" => Some(Value::list(
                parts
                    .iter()
                    .map(|(key, part)| Value::list(vec![Value::text(key), part.clone()]))
                    .collect(),
            )),
            _ => None,
        },
        Shape::Number(number) => match name {
            "chr" => decode::character(*number).map(|letter| Value::text(&letter.to_string())),
            "to_s" | "toString" => Some(Value::text(&number.to_string())),
            _ => None,
        },
        Shape::Object(object) if is_path(&object.class) => {
            path_method(&on.as_text()?, on, name, (args, call))
        }
        // Text of a file stays bound to the file for as long as it is whole.
        Shape::Object(object) if object.class == READ => {
            if is_any(SAME, name) || is_any(TRIM, name) {
                return Some(on.clone());
            }
            text_method(&on.known()?, on, name, args)
        }
        _ => None,
    };
    value.map(|value| value.tainted(&on.taint).tainted(&fold::taint_of(args)))
}

fn text_method(text: &str, on: &Value, name: &str, args: &[Value]) -> Option<Value> {
    let first = args.first();
    let known = |index: usize| args.get(index).and_then(Value::known);
    if is_any(TRIM, name) {
        return Some(Value::text(text.trim()));
    }
    if is_any(SAME, name) {
        let codec = first.and_then(Value::known);
        let hidden = codec.and_then(|codec| functions::codec(text, &codec));
        return Some(hidden.unwrap_or_else(|| on.clone()));
    }
    Some(match name {
        "lower" | "toLowerCase" | "downcase" | "casefold" => Value::text(&text.to_lowercase()),
        "upper" | "toUpperCase" | "upcase" => Value::text(&text.to_uppercase()),
        "replace" | "replaceAll" | "gsub" | "sub" => {
            let (from, to) = (known(0)?, args.get(1)?.word());
            let more = text.matches(&from).count().saturating_mul(to.len());
            if from.is_empty() || text.len().saturating_add(more) > TEXT {
                return None;
            }
            Value::text(&text.replace(&from, &to))
        }
        "split" => match known(0) {
            None if first.is_none() => {
                Value::list(text.split_whitespace().map(Value::text).collect())
            }
            Some(by) if by.is_empty() => Value::list(fold::elements(on)?),
            Some(by) => Value::list(text.split(&by).map(Value::text).collect()),
            None => return None,
        },
        "chars" | "each_char" | "splitlines" | "lines" | "bytes" => {
            Value::list(fold::elements(on)?)
        }
        "join" => fold::join(on, first?)?,
        "format" => {
            return Some(Value::text(&fold::brace_format(text, args, &[])));
        }
        "reverse" => fold::reversed(on),
        "concat" => {
            let mut parts = vec![on.clone()];
            parts.extend_from_slice(args);
            fold::add(&parts)
        }
        _ => return text_part(text, on, name, args),
    })
}

/// Parts of a text, and what it stands for in an encoding.
fn text_part(text: &str, on: &Value, name: &str, args: &[Value]) -> Option<Value> {
    let first = args.first();
    let known = |index: usize| args.get(index).and_then(Value::known);
    let number = |index: usize| args.get(index).and_then(Value::as_number);
    Some(match name {
        "repeat" | "rep" => fold::repeat(text, number(0)?),
        "substring" | "slice" => fold::slice(on, [number(0), number(1), None]),
        "substr" => {
            let start = number(0)?;
            let end = number(1).map(|length| start.saturating_add(length));
            fold::slice(on, [Some(start), end, None])
        }
        "charCodeAt" | "codePointAt" | "ord" | "byte" => {
            let at = number(0)
                .and_then(|at| usize::try_from(at).ok())
                .unwrap_or(0);
            Value::number(i64::from(u32::from(text.chars().nth(at)?)))
        }
        "charAt" | "at" => fold::index(on, first?)?,
        "unpack" | "unpack1" => {
            let plain = match known(0)?.chars().next()? {
                'm' | 'u' => decode::base64(text)?,
                'a' | 'A' => text.to_owned(),
                _ => return None,
            };
            let plain = Value::text(&plain).decoded();
            if name == "unpack" {
                Value::list(vec![plain])
            } else {
                plain
            }
        }
        "fromhex" | "hex" if first.is_none() => {
            Value::number(i64::from_str_radix(text.trim_start_matches("0x"), 16).ok()?)
        }
        "to_i" | "toInt" => Value::number(text.trim().parse().ok()?),
        // A table of letters for others hides text as rot13 does.
        "tr" | "translate" => rot(text, known(0).as_deref()).unwrap_or_default().decoded(),
        _ => return None,
    })
}

fn rot(text: &str, from: Option<&str>) -> Option<Value> {
    let turned = matches!(from?, "A-Za-z" | "a-zA-Z" | "a-z" | "A-Z");
    turned.then(|| Value::text(&decode::rot13(text)))
}

fn list_method(parts: &[Value], on: &Value, name: &str, args: &[Value]) -> Option<Value> {
    if is_any(SAME, name) {
        return Some(on.clone());
    }
    Some(match name {
        "join" => match args.first() {
            Some(between) => fold::join(between, on)?,
            // JavaScript's default is a comma, Ruby's is nothing; only Ruby's is useful to hide.
            None => fold::join(&Value::text(""), on)?,
        },
        "reverse" | "reversed" | "toReversed" | "reverse!" => fold::reversed(on),
        "concat" => {
            let mut lists = vec![on.clone()];
            lists.extend_from_slice(args);
            fold::add(&lists)
        }
        "first" | "shift" | "next" => parts.first()?.clone(),
        "last" | "pop" => parts.last()?.clone(),
        "slice" => fold::slice(
            on,
            [
                args.first().and_then(Value::as_number),
                args.get(1).and_then(Value::as_number),
                None,
            ],
        ),
        "pack" => {
            let mut all = vec![args.first()?.clone()];
            all.extend_from_slice(parts);
            functions::pack(&all)?
        }
        _ => return None,
    })
}

/// `args` come with the call, for its home folder.
fn path_method(
    text: &str,
    on: &Value,
    name: &str,
    (args, call): (&[Value], &Call),
) -> Option<Value> {
    let joined = |more: &str| fold::join_paths(&[Value::text(text), Value::text(more)]);
    if is_any(SAME, name) {
        return Some(on.clone());
    }
    Some(match name {
        "expanduser" | "expand_path" => {
            let whole = functions::function("expand", &[Value::text(text)], call)?;
            fold::path(&whole.word())
        }
        "joinpath" | "join" => {
            let mut parts = vec![Value::text(text)];
            parts.extend_from_slice(args);
            fold::path(&fold::join_paths(&parts))
        }
        "with_name" => {
            let folder = text.rsplit_once('/').map_or("", |(folder, _)| folder);
            fold::path(&fold::join_paths(&[
                Value::text(folder),
                args.first()?.clone(),
            ]))
        }
        "with_suffix" => {
            let stem = text.rsplit_once('.').map_or(text, |(stem, _)| stem);
            fold::path(&format!("{stem}{}", args.first()?.word()))
        }
        "glob" => {
            let pattern = joined(&args.first()?.word());
            Value::list(vec![fold::path(&pattern).globbed()])
        }
        "rglob" => {
            // All below, by the pattern's own name.
            let pattern = joined(&args.first()?.word());
            Value::list(vec![fold::path(&pattern).globbed()])
        }
        "iterdir" | "children" | "each_child" | "entries" | "walk" => {
            Value::list(vec![fold::path(&joined("*")).globbed()])
        }
        "relative_to" => fold::path(&UNKNOWN.to_string()),
        _ => return None,
    })
}

/// Parts of a value that have a name.
pub(super) fn attribute(on: &Value, name: &str) -> Option<Value> {
    let value = match &on.shape {
        Shape::Map(_) => fold::index(on, &Value::text(name))?,
        Shape::List(_) | Shape::Text(_) if matches!(name, "length" | "size") => {
            let length = match &on.shape {
                Shape::List(parts) => parts.len(),
                _ => on.known()?.chars().count(),
            };
            Value::number(i64::try_from(length).ok()?)
        }
        Shape::Object(object) if is_path(&object.class) => {
            let text = on.as_text()?;
            match name {
                "parent" | "dirname" => {
                    let folder = text.rsplit_once('/').map_or(".", |(folder, _)| folder);
                    fold::path(if folder.is_empty() { "/" } else { folder })
                }
                "name" | "basename" => Value::text(text.rsplit('/').next().unwrap_or_default()),
                "path" | "href" => Value::text(&text),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(value.tainted(&on.taint))
}
