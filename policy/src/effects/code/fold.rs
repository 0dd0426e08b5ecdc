// SPDX-License-Identifier: Apache-2.0
//! Constants put together: what operators and functions without effects give when what they are
//! given is known.

use super::super::word::{Taint, UNKNOWN};
use super::decode;
use super::value::{PARTS, Shape, TEXT, Value, is_path};

/// Most combinations of values that may be one or the other.
const COMBINATIONS: usize = 8;

/// Everything that taints any of these.
pub(super) fn taint_of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Taint {
    let mut taint = Taint::default();
    for value in values {
        taint.join(&value.taint);
    }
    taint
}

/// `a + b + c`
pub(super) fn add(values: &[Value]) -> Value {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for value in values {
        let choices = value.choices();
        if let [only] = choices.as_slice() {
            for row in &mut rows {
                row.push(only.clone());
            }
            continue;
        }
        let longer = rows.iter().flat_map(|row| {
            choices.iter().map(|choice| {
                let mut row = row.clone();
                row.push(choice.clone());
                row
            })
        });
        rows = longer.take(COMBINATIONS).collect();
    }
    let sums = rows.iter().map(|row| add_row(row));
    let sum = sums.reduce(Value::either).unwrap_or_default();
    sum.tainted(&taint_of(values))
}

fn add_row(values: &[Value]) -> Value {
    let numbers: Option<Vec<i64>> = values
        .iter()
        .map(|value| match value.shape {
            Shape::Number(number) => Some(number),
            _ => None,
        })
        .collect();
    if let Some(numbers) = numbers {
        return Value::number(numbers.iter().fold(0, |sum, part| sum.wrapping_add(*part)));
    }
    if let Some(lists) = values.iter().map(Value::parts).collect::<Option<Vec<_>>>() {
        return Value::list(lists.concat());
    }
    if !values.iter().any(|value| value.as_text().is_some()) {
        return Value::default();
    }
    let mut text = String::new();
    for value in values {
        grow(&mut text, &value.word());
    }
    let mut value = Value::text(&text);
    value.glob = values.iter().any(|part| part.glob);
    value
}

/// Adds to a text, and makes it too long to be kept when it would be.
fn grow(text: &mut String, part: &str) {
    if text.len().saturating_add(part.len()) <= TEXT {
        text.push_str(part);
    } else if text.len() <= TEXT {
        text.push_str(&" ".repeat(TEXT + 1 - text.len()));
    }
}

/// An operator other than `+`.
pub(super) fn binary(operator: &str, left: &Value, right: &Value) -> Value {
    let taint = taint_of([left, right]);
    let value = match (operator, &left.shape, &right.shape) {
        ("%", Shape::Text(text), _) => Value::text(&percent_format(text, right)),
        ("*", Shape::Text(text), Shape::Number(times)) => repeat(text, *times),
        ("/", Shape::Object(_), _) | ("/", _, Shape::Object(_)) => {
            path(&join_paths(&[left.clone(), right.clone()]))
        }
        (_, Shape::Number(left), Shape::Number(right)) => {
            arithmetic(operator, *left, *right).map_or_else(Value::default, Value::number)
        }
        _ => Value::default(),
    };
    value.tainted(&taint)
}

fn arithmetic(operator: &str, left: i64, right: i64) -> Option<i64> {
    match operator {
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" | "//" => left.checked_div_euclid(right),
        "%" => left.checked_rem_euclid(right),
        "^" => Some(left ^ right),
        "&" => Some(left & right),
        "|" => Some(left | right),
        "<<" => left.checked_shl(u32::try_from(right).ok()?),
        ">>" => left.checked_shr(u32::try_from(right).ok()?),
        _ => None,
    }
}

/// A text several times.
pub(super) fn repeat(text: &str, times: i64) -> Value {
    match usize::try_from(times) {
        Ok(times) if text.len().saturating_mul(times) <= TEXT => Value::text(&text.repeat(times)),
        Err(_) => Value::text(""),
        Ok(_) => Value::default(),
    }
}

/// `"%s/%d" % (a, b)`
pub(super) fn percent_format(text: &str, values: &Value) -> String {
    let one = [values.clone()];
    let mut values = values.parts().unwrap_or(&one).iter();
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let directive = rest.find(|letter| letter.is_alphabetic() || *letter == '%');
        match directive {
            Some('%') => out.push('%'),
            Some('c') => {
                let number = values.next().and_then(Value::as_number);
                out.push(number.and_then(decode::character).unwrap_or(UNKNOWN));
            }
            Some(_) => {
                let word = values.next().map_or(UNKNOWN.to_string(), Value::word);
                grow(&mut out, &word);
            }
            None => {}
        }
    }
    out
}

/// `"{}/{name}".format(a, name=b)`
pub(super) fn brace_format(text: &str, args: &[Value], named: &[(String, Value)]) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(['{', '}']) {
        out.push_str(before);
        let brace = if rest.as_bytes().get(before.len()) == Some(&b'{') {
            '{'
        } else {
            '}'
        };
        if let Some(after) = after.strip_prefix(brace) {
            out.push(brace);
            rest = after;
            continue;
        }
        let (field, after) = match (brace, after.split_once('}')) {
            ('{', Some(parts)) => parts,
            _ => ("", after),
        };
        if brace == '{' {
            let name = field.split([':', '!', '.', '[']).next().unwrap_or_default();
            let value = match name.parse::<usize>() {
                Ok(index) => args.get(index),
                Err(_) if name.is_empty() => {
                    next += 1;
                    args.get(next - 1)
                }
                Err(_) => named
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value),
            };
            grow(&mut out, &value.map_or(UNKNOWN.to_string(), Value::word));
        }
        rest = after;
    }
    grow(&mut out, rest);
    out
}

/// A part of a list, map or text.
pub(super) fn index(value: &Value, key: &Value) -> Option<Value> {
    let found = match &value.shape {
        Shape::List(parts) => parts.get(place(key.as_number()?, parts.len())?)?.clone(),
        Shape::Map(parts) => {
            let key = key.as_text()?;
            parts.iter().find(|(name, _)| *name == key)?.1.clone()
        }
        Shape::Text(text) => {
            let letters: Vec<char> = text.chars().collect();
            let letter = letters.get(place(key.as_number()?, letters.len())?)?;
            Value::text(&letter.to_string())
        }
        _ => return None,
    };
    Some(found.tainted(&value.taint))
}

/// Where a bound that may count from the end stands.
fn place(bound: i64, length: usize) -> Option<usize> {
    if bound >= 0 {
        return usize::try_from(bound).ok();
    }
    length.checked_sub(usize::try_from(bound.unsigned_abs()).ok()?)
}

/// `value[start:end:step]`
pub(super) fn slice(value: &Value, bounds: [Option<i64>; 3]) -> Value {
    let [start, end, step] = bounds;
    let backwards = step.is_some_and(|step| step < 0);
    let step = step.and_then(|step| usize::try_from(step.unsigned_abs()).ok());
    let step = step.unwrap_or(1).max(1);
    let cut = |length: usize| {
        let clamp = |bound: i64| place(bound, length).unwrap_or(0).min(length);
        let (start, end) = if backwards {
            // Backwards the bounds change places and the first is counted in.
            (
                end.map_or(0, |end| clamp(end).saturating_add(1)),
                start.map_or(length, |start| clamp(start).saturating_add(1)),
            )
        } else {
            (start.map_or(0, clamp), end.map_or(length, clamp))
        };
        (start.min(length), end.min(length))
    };
    let sliced = match &value.shape {
        Shape::Text(text) => {
            let letters: Vec<char> = text.chars().collect();
            let (start, end) = cut(letters.len());
            let part = letters.get(start..end).unwrap_or_default().iter();
            let text: String = if backwards {
                part.rev().step_by(step).collect()
            } else {
                part.step_by(step).collect()
            };
            let value = Value::text(&text);
            if backwards { value.decoded() } else { value }
        }
        Shape::List(parts) => {
            let (start, end) = cut(parts.len());
            let part = parts.get(start..end).unwrap_or_default().iter().cloned();
            Value::list(if backwards {
                part.rev().step_by(step).collect()
            } else {
                part.step_by(step).collect()
            })
        }
        _ => Value::default(),
    };
    sliced.tainted(&value.taint)
}

/// What a loop goes over, when all of it is known.
pub(super) fn elements(value: &Value) -> Option<Vec<Value>> {
    let parts: Vec<Value> = match &value.shape {
        Shape::List(parts) => parts.to_vec(),
        Shape::Map(parts) => parts.iter().map(|(name, _)| Value::text(name)).collect(),
        Shape::Text(text) if !text.contains(UNKNOWN) => text
            .chars()
            .map(|letter| Value::text(&letter.to_string()))
            .collect(),
        Shape::Object(object) if is_path(&object.class) => vec![value.clone()],
        _ => return None,
    };
    Some(parts).filter(|parts| parts.len() <= PARTS)
}

/// A path as an object.
pub(super) fn path(text: &str) -> Value {
    Value::object("pathlib.Path", vec![Value::text(text)])
}

/// Parts of a path put together; an absolute one starts anew.
pub(super) fn join_paths(parts: &[Value]) -> String {
    let mut whole = String::new();
    for part in parts {
        let part = part.word();
        if part.starts_with(['/', '~']) || whole.is_empty() {
            whole = part;
        } else {
            if !whole.ends_with('/') {
                whole.push('/');
            }
            whole.push_str(&part);
        }
    }
    whole
}

/// Parts with a text in between.
pub(super) fn join(between: &Value, parts: &Value) -> Option<Value> {
    // PHP takes either order.
    let (between, parts) = match (between.parts(), parts.parts()) {
        (None, Some(parts)) => (between.word(), parts),
        (Some(found), _) => (parts.word(), found),
        (None, None) => match parts.as_text() {
            Some(text) if between.known()?.is_empty() => return Some(Value::text(&text)),
            _ => return None,
        },
    };
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            grow(&mut text, &between);
        }
        grow(&mut text, &part.word());
    }
    let mut value = Value::text(&text).tainted(&taint_of(parts));
    value.glob = parts.iter().any(|part| part.glob);
    Some(value)
}

/// Backwards.
pub(super) fn reversed(value: &Value) -> Value {
    slice(value, [None, None, Some(-1)])
}
