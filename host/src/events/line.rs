// SPDX-License-Identifier: Apache-2.0
//! An event as the line it is recorded as: secrets taken out, every text and the whole of bounded
//! length, nothing in it that a terminal would act on.
//!
//! ```text
//! {"v":1,"n":17,"at_ms":1785412345678,"task":"7k3m9x2p","root":3,"kind":"verdict",...}
//!  ^^^^^^^^^^^^^ added when it is written, the rest when it is noted
//! ```

use serde::Serialize;
use serde_json::{Map, Value};

use super::redact::{self, REDACTED};
use super::what::Event;
use crate::text::printable;
use policy::text::{cut, unprintable};

/// The version of lines.
pub const VERSION: u64 = 1;

/// Longest line, its end included.
pub const LINE: usize = 64 << 10;

/// Longest text in it; a longer one says at its end how many bytes more it had.
pub const TEXT: usize = 4 << 10;

/// Longest name of a field.
const NAME: usize = 256;

/// Bytes that all values of a line may have; the rest of [`LINE`] is for the names of its fields,
/// for what every line has, and for the marks where something was cut.
const VALUES: usize = LINE - (12 << 10);

/// Deepest value in a value.
const DEPTH: usize = 32;

/// What a line has after its number.
#[derive(Serialize)]
struct Body<'a> {
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<u64>,
    kind: &'a str,
    #[serde(flatten)]
    what: &'a Map<String, Value>,
    /// How many texts and values were cut or left out.
    #[serde(skip_serializing_if = "is_zero")]
    cut: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The line of an event without its beginning: what follows the number.
pub(super) fn body(event: Event, at_ms: u64) -> String {
    let mut budget = Budget {
        left: VALUES,
        cut: 0,
    };
    let task = event.task.map(|task| budget.text(&task, NAME));
    let mut what = match serde_json::to_value(event.what) {
        Ok(Value::Object(what)) => what,
        _ => Map::new(),
    };
    let kind = match what.remove("kind") {
        Some(Value::String(kind)) => kind,
        _ => "note".to_owned(),
    };
    // What is long comes last: it takes what the others left.
    let mut names: Vec<String> = what.keys().cloned().collect();
    names.sort_by_key(|name| what.get(name).map(size));
    for name in names {
        if let Some(value) = what.get_mut(&name) {
            budget.value(value, 0);
        }
    }
    let body = Body {
        at_ms,
        task: task.as_deref(),
        root: event.root,
        kind: &kind,
        what: &what,
        cut: budget.cut,
    };
    let text = serde_json::to_string(&body).unwrap_or_default();
    plain(text.strip_prefix('{').unwrap_or(r#""kind":"note"}"#))
}

/// A whole line, its end included.
pub(super) fn line(number: u64, body: &str) -> String {
    format!("{{\"v\":{VERSION},\"n\":{number},{body}\n")
}

/// Characters that turn a terminal's line, as JSON writes them out; in JSON all of them are in
/// texts.
fn plain(text: &str) -> String {
    if !text.contains(unprintable) {
        return text.to_owned();
    }
    let mut said = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                said.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            said.push(c);
        }
    }
    said
}

/// A rough size, to sort by.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(_) | Value::Object(_) => usize::MAX,
        _ => 0,
    }
}

/// What is left of a line.
struct Budget {
    left: usize,
    cut: u64,
}

impl Budget {
    /// Makes a value fit, its texts without secrets.
    fn value(&mut self, value: &mut Value, depth: usize) {
        match value {
            Value::String(text) => *text = self.text(text, TEXT),
            Value::Array(items) => self.array(items, depth),
            Value::Object(fields) => self.object(fields, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.take(24),
        }
    }

    fn array(&mut self, items: &mut Vec<Value>, depth: usize) {
        self.take(2);
        if depth >= DEPTH {
            self.cut += 1;
            items.clear();
        }
        for at in 1..items.len() {
            let announced = match items.get(at - 1) {
                Some(Value::String(option)) => redact::announces(option).then_some(option),
                _ => None,
            };
            let secret = match (announced, items.get(at)) {
                (Some(option), Some(Value::String(next))) => {
                    !next.starts_with('-')
                        && !redact::is_harmless(next)
                        && !redact::is_place(option, next)
                }
                _ => false,
            };
            if let (true, Some(item)) = (secret, items.get_mut(at)) {
                *item = Value::from(REDACTED);
            }
        }
        let mut kept = 0;
        for item in items.iter_mut() {
            if self.left == 0 {
                break;
            }
            self.value(item, depth + 1);
            self.take(1);
            kept += 1;
        }
        self.cut += (items.len() - kept) as u64;
        items.truncate(kept);
    }

    fn object(&mut self, fields: &mut Map<String, Value>, depth: usize) {
        let all = std::mem::take(fields);
        self.take(2);
        if depth >= DEPTH {
            self.cut += 1;
            return;
        }
        // `{"name": "API_TOKEN", "value": "x"}`
        let named = ["name", "key", "header"].iter().any(|name| {
            let name = all.get(*name).and_then(Value::as_str);
            name.is_some_and(redact::is_secret)
        });
        for (name, mut value) in all {
            if self.left == 0 {
                self.cut += 1;
                continue;
            }
            let secret = redact::is_secret(&name) || (named && name == "value");
            let given = match &value {
                Value::String(text) => !redact::is_harmless(text),
                Value::Number(_) => true,
                _ => false,
            };
            if secret && given {
                value = Value::from(REDACTED);
            }
            let name = self.text(&name, NAME);
            self.value(&mut value, depth + 1);
            self.take(2);
            fields.insert(name, value);
        }
    }

    /// A text without secrets, cut to `most` bytes and to what is left.
    fn text(&mut self, text: &str, most: usize) -> String {
        let text = redact::redact(text);
        let mut end = text.len();
        let mut written = 2;
        for (at, c) in text.char_indices() {
            let more = written + width(c);
            if at + c.len_utf8() > most || more > self.left {
                end = at;
                break;
            }
            written = more;
        }
        self.take(written);
        let kept = text.get(..end).unwrap_or_default();
        if end == text.len() {
            return text.into_owned();
        }
        self.cut += 1;
        let mark = format!("… ({} bytes more)", text.len() - end);
        self.take(mark.len());
        format!("{kept}{mark}")
    }

    fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }
}

/// Bytes of a character as JSON has it here.
fn width(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        _ if unprintable(c) => 6 * c.len_utf16(),
        _ => c.len_utf8(),
    }
}

/// A line that is none of ours, for people: printable and short.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    const MOST: usize = 120;
    let text = String::from_utf8_lossy(bytes.get(..MOST * 4).unwrap_or(bytes)).into_owned();
    let text = printable(&redact::redact(&text));
    cut(&text, MOST)
}

#[cfg(test)]
mod tests;
