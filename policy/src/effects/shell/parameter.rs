// SPDX-License-Identifier: Apache-2.0
//! `${…}`: bash(1), Parameter Expansion, as far as the value is known.

use super::super::Span;
use super::super::pattern;
use super::super::word::{Stream, UNKNOWN};
use super::expand::{How, Piece};
use super::variables::{piece, push_all};
use super::{Shell, Value, Variable};

impl Shell<'_> {
    /// `${…}`, without dollar and braces.
    pub(super) fn braced(&mut self, inner: &str, how: How, made: &mut Vec<Piece>) {
        if let Some(name) = inner.strip_prefix('#').filter(|name| !name.is_empty()) {
            let value = self.lookup(name);
            let known = !value.text.contains(UNKNOWN);
            let count = value.text.chars().count().to_string();
            made.push(Piece::of(
                if known { count } else { UNKNOWN.to_string() },
                How::Quoted,
            ));
            return;
        }
        let (indirect, inner) = match inner.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, inner),
        };
        let (name, rest) = name(inner);
        let (index, operator) = index(rest);
        if rest.contains("$(") || rest.contains('`') {
            // Run whatever comes of the value.
            let at = rest.find(['$', '`']).unwrap_or_default();
            self.word_text(rest.get(at..).unwrap_or_default());
        }
        if operator == "@P" {
            let value = self.lookup(name);
            self.nested(&value.text, Span::default(), &Stream::empty());
        }
        if matches!(index, Some("@" | "*")) || matches!(name, "@" | "*") {
            self.list(name, operator, how, made);
            return;
        }
        let mut value = self.element(name, index);
        let mut assigned = self.is_assigned(name) || self.is_argument(name);
        if indirect {
            assigned = self.is_assigned(&value.text);
            value = self.lookup(&value.text);
        }
        let value = self.operate(value, assigned, operator);
        made.push(piece(value, how));
    }

    fn is_argument(&self, name: &str) -> bool {
        name.parse::<usize>()
            .is_ok_and(|at| at >= 1 && at <= self.scope.arguments.len())
    }

    fn element(&mut self, name: &str, index: Option<&str>) -> Value {
        if let Ok(at) = name.parse::<usize>() {
            return self.argument(at);
        }
        let index = index.map(|index| super::expand::arithmetic(&self.joined(index).text));
        match (self.scope.variables.get(name), index) {
            (Some(Variable::Many(values)), Some(index)) => match index.parse::<usize>() {
                Ok(at) => values.get(at).cloned().unwrap_or_default(),
                Err(_) => Value::known(&UNKNOWN.to_string()),
            },
            _ => self.lookup(name),
        }
    }

    /// `${a[@]}`, `${@:2}`.
    fn list(&mut self, name: &str, operator: &str, how: How, made: &mut Vec<Piece>) {
        let values = match self.scope.variables.get(name) {
            Some(Variable::Many(values)) => values.clone(),
            Some(Variable::One(value)) => vec![value.clone()],
            None if matches!(name, "@" | "*") => self.scope.arguments.clone(),
            None => vec![Value::known(&UNKNOWN.to_string())],
        };
        let slice = operator.strip_prefix(':').and_then(|rest| {
            let mut numbers = rest.split(':').map(|number| number.trim().parse::<usize>());
            let from = numbers.next()?.ok()?;
            let most = numbers.next().map_or(Some(usize::MAX), Result::ok)?;
            Some((from, most))
        });
        let values: Vec<Value> = match slice {
            Some((from, most)) => {
                let from = if matches!(name, "@" | "*") {
                    from.saturating_sub(1)
                } else {
                    from
                };
                values.into_iter().skip(from).take(most).collect()
            }
            None => values
                .into_iter()
                .map(|value| self.operate(value, true, operator))
                .collect(),
        };
        let size = values.iter().map(Value::size).sum();
        if !self.spend(size) {
            return;
        }
        push_all(&values, true, how, made);
    }

    /// What follows the name: `:-word`, `#pattern`, `/a/b`, `:1:2`, `^^`.
    fn operate(&mut self, value: Value, assigned: bool, operator: &str) -> Value {
        if operator.is_empty() {
            return value;
        }
        let unknown = value.text.contains(UNKNOWN);
        let (colon, rest) = match operator.strip_prefix(':') {
            Some(rest) => (true, rest),
            None => (false, operator),
        };
        let mut letters = rest.chars();
        let word = |shell: &mut Self, text: &str| shell.joined(text);
        match letters.next() {
            Some('-' | '=') => {
                let empty = colon && value.text.is_empty() && assigned;
                if empty || (!assigned && unknown) {
                    return word(self, letters.as_str());
                }
                value
            }
            // Set or not: what stands here may run.
            Some('+') => word(self, letters.as_str()),
            Some('?') => value,
            _ if unknown => value,
            _ if colon => slice(&value, rest),
            Some('#') => self.cut(value, rest, true),
            Some('%') => self.cut(value, rest, false),
            Some('/') => self.replace(value, letters.as_str()),
            Some('^') => cased(value, rest == "^", str::to_uppercase),
            Some(',') => cased(value, rest == ",", str::to_lowercase),
            _ => value,
        }
    }

    /// A word that stands inside of the braces, expanded.
    fn joined(&mut self, raw: &str) -> Value {
        let mut joined = Value::default();
        for (at, arg) in self.word_text(raw).iter().enumerate() {
            if at > 0 {
                joined.text.push(' ');
            }
            joined.text.push_str(&arg.text);
            joined.taint.join(&arg.taint);
        }
        joined
    }

    /// `#`, `##`, `%`, `%%`: without what matches at one end.
    fn cut(&mut self, mut value: Value, operator: &str, front: bool) -> Value {
        let sign = if front { '#' } else { '%' };
        let raw = operator.trim_start_matches(sign);
        let longest = operator.len() - raw.len() > 1;
        let pattern = self.joined(raw).text;
        let text = value.text.clone();
        let cuts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let mut cuts: Vec<usize> = cuts.take(1024).collect();
        if front == longest {
            cuts.reverse();
        }
        for at in cuts {
            let Some((head, tail)) = text.split_at_checked(at) else {
                continue;
            };
            let (gone, kept) = if front { (head, tail) } else { (tail, head) };
            // A pattern with stars goes over the text again and again.
            if !self.spend(gone.len().saturating_add(pattern.len())) {
                value.text = UNKNOWN.to_string();
                return value;
            }
            if pattern::matches(&pattern, gone) {
                kept.clone_into(&mut value.text);
                return value;
            }
        }
        value
    }

    /// `/a/b`, `//a/b`: plain text only; a pattern makes it unknown.
    fn replace(&mut self, mut value: Value, operator: &str) -> Value {
        let (all, operator) = match operator.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, operator),
        };
        let (from, to) = operator.split_once('/').unwrap_or((operator, ""));
        let (from, to) = (self.joined(from).text, self.joined(to).text);
        let front = from.strip_prefix(['#', '%']).unwrap_or(&from);
        if front.is_empty() || front.contains(['*', '?', '[', UNKNOWN]) {
            value.text = UNKNOWN.to_string();
        } else if all {
            value.text = value.text.replace(front, &to);
        } else {
            value.text = value.text.replacen(front, &to, 1);
        }
        value
    }
}

/// `name` and what follows it.
fn name(inner: &str) -> (&str, &str) {
    let special = |c: char| matches!(c, '@' | '*' | '#' | '?' | '$' | '!' | '-');
    let end = match inner.chars().next() {
        Some(c) if special(c) => c.len_utf8(),
        _ => inner
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(inner.len()),
    };
    inner.split_at(end)
}

/// `[…]` and what follows it; brackets inside of it count.
fn index(rest: &str) -> (Option<&str>, &str) {
    let mut depth = 0_u32;
    let close = rest.char_indices().find_map(|(at, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(at)
    });
    let inner = rest.strip_prefix('[').and_then(|_| {
        let (index, rest) = rest.split_at_checked(close?)?;
        Some((index.get(1..)?, rest.get(1..)?))
    });
    inner.map_or((None, rest), |(index, rest)| (Some(index), rest))
}

/// `:from` and `:from:length`, from the end when negative.
fn slice(value: &Value, rest: &str) -> Value {
    let mut numbers = rest.split(':').map(|number| number.trim().parse::<i64>());
    let (Some(Ok(from)), most) = (numbers.next(), numbers.next()) else {
        return Value::known(&UNKNOWN.to_string());
    };
    let letters: Vec<char> = value.text.chars().collect();
    let length = i64::try_from(letters.len()).unwrap_or(i64::MAX);
    let from = if from < 0 {
        length.saturating_add(from)
    } else {
        from
    };
    let end = match most {
        None => length,
        Some(Ok(most)) if most < 0 => length.saturating_add(most),
        Some(Ok(most)) => from.saturating_add(most),
        Some(Err(_)) => return Value::known(&UNKNOWN.to_string()),
    };
    let place = |at: i64| usize::try_from(at.clamp(0, length)).unwrap_or_default();
    let text = letters.get(place(from)..place(end.max(from)));
    Value {
        text: text.unwrap_or_default().iter().collect(),
        taint: value.taint.clone(),
    }
}

/// Upper or lower case, of the first letter alone or of all.
fn cased(mut value: Value, first: bool, change: fn(&str) -> String) -> Value {
    let end = if first {
        value.text.chars().next().map_or(0, char::len_utf8)
    } else {
        value.text.len()
    };
    if let Some((head, tail)) = value.text.split_at_checked(end) {
        value.text = change(head) + tail;
    }
    value
}
