// SPDX-License-Identifier: Apache-2.0
//! Parts of a question in words. What is not ours is escaped.

use policy::action::Act;
use policy::approval::Reach;
use policy::blast::Blast;
use policy::effects::word::UNKNOWN;
use policy::effects::{Effect, Target};
use serde::Serialize;
use serde_json::{Value, json};

use crate::text::escaped;

/// What exactly, in the form that is bound.
pub(super) fn what(act: &Act) -> Vec<String> {
    let words = |words: &[String]| {
        words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let body = |text: Option<&str>| text.map(block).unwrap_or_default();
    let (first, more) = match act {
        Act::Exec(argv) => (format!("exec {}", words(argv)), Vec::new()),
        Act::Shell(text) => ("shell".to_owned(), block(text)),
        Act::Write(write) => {
            let first = format!("write {}", quoted(&write.path));
            (first, body(write.content.as_deref()))
        }
        Act::Patch(diff) => ("patch".to_owned(), block(diff)),
        Act::Delete(paths) => (format!("delete {}", words(paths)), Vec::new()),
        Act::Request(request) => {
            let first = format!("request {} {}", name(&request.method), name(&request.url));
            (first, body(request.body.as_deref()))
        }
        Act::Install(install) => {
            let first = format!(
                "install {} {}",
                name(&install.manager),
                words(&install.packages)
            );
            (first, Vec::new())
        }
    };
    std::iter::once(first).chain(more).collect()
}

/// Lines of a text that is not ours, each marked.
pub(super) fn block(text: &str) -> Vec<String> {
    text.split('\n')
        .map(|line| format!("| {}", name(line)))
        .collect()
}

pub(super) fn effect(effect: &Effect) -> String {
    let via = match effect.via.as_slice() {
        [] => String::new(),
        via => format!(", in {}", name(&via.join(", "))),
    };
    format!(
        "{:<8} {:<12} {}: {} ({}{via})",
        kebab(&effect.harm),
        kebab(&effect.kind),
        target(&effect.target),
        name(&effect.why),
        name(&effect.rule)
    )
}

pub(super) fn reach(reach: &Reach) -> String {
    let (harm, kind) = (kebab(&reach.harm), kebab(&reach.kind));
    format!("{harm:<8} {kind:<12} {}", target(&reach.target))
}

fn target(target: &Target) -> String {
    match target {
        Target::Path(path, place) => {
            let secret = if place.secret { ", holds secrets" } else { "" };
            let startup = if place.startup { ", runs later" } else { "" };
            format!("{} ({}{secret}{startup})", quoted(path), kebab(&place.area))
        }
        Target::Host(host) => name(host),
        Target::Resource(kind, resource) => format!("{} {}", name(kind), quoted(resource)),
        Target::Package(text) | Target::Program(text) | Target::System(text) => quoted(text),
        Target::Nothing => "nothing in particular".to_owned(),
    }
}

pub(super) fn blast(value: &Value) -> Vec<String> {
    let plain = |value: &Value| match value {
        Value::String(text) => name(text),
        other => name(&other.to_string()),
    };
    if let Ok(Some(counted)) = serde_json::from_value::<Option<Blast>>(value.clone()) {
        // A stored item may hold what we did not write.
        return counted.summary().iter().map(|line| escaped(line)).collect();
    }
    match value {
        Value::Null => vec!["not counted".to_owned()],
        Value::Object(fields) => (fields.iter())
            .map(|(key, value)| format!("{}: {}", name(key), plain(value)))
            .collect(),
        other => vec![plain(other)],
    }
}

/// Text that is not ours, in one line.
pub(super) fn name(text: &str) -> String {
    escaped(&text.replace(UNKNOWN, "…"))
}

/// A word as a shell would have to be given it, so that `a b` is told from `a` and `b`, and a line
/// break from a backslash and an n.
pub(super) fn quoted(word: &str) -> String {
    let word = word.replace(UNKNOWN, "…");
    let plain = |c: char| c.is_alphanumeric() || "_./:=@%+,-…".contains(c);
    if escaped(&word) != word {
        let inside = word.replace('\\', r"\\").replace('\'', r"\'");
        return format!("$'{}'", escaped(&inside));
    }
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// As JSON calls it.
pub(super) fn kebab(value: &impl Serialize) -> String {
    let value = json!(value);
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_when_quoted() {
        for (word, shown) in [
            ("build/a.o", "build/a.o"),
            ("größe", "größe"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            (r"a\nb", r"'a\nb'"),
            ("a\nb", r"$'a\nb'"),
            ("a\\'\u{202e}", r"$'a\\\'\u{202e}'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
