// SPDX-License-Identifier: Apache-2.0
//! `printf`: a format that is used again until its arguments are.

use super::super::{Call, Outcome};
use super::echo::{Octal, control, digits, unescape};
use super::input::MOST;
use crate::effects::word::UNKNOWN;

/// Prints by a format.
pub(super) fn run(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let mut args = call.args;
    match args {
        [flag, _, ..] if flag.text == "-v" => {
            // Into a variable.
            out.stdout.text = Some(String::new());
            return out;
        }
        [end, rest @ ..] if end.text == "--" => args = rest,
        _ => {}
    }
    let Some((format_arg, values)) = args.split_first() else {
        return out;
    };
    for arg in args {
        out.stdout.taint.join(&arg.taint);
    }
    let values: Vec<&str> = values.iter().map(|arg| arg.text.as_str()).collect();
    out.stdout.text = format(&format_arg.text, &values);
    out
}

/// The text that a format and its values give, if that is text and not too long.
pub(super) fn format(format: &str, values: &[&str]) -> Option<String> {
    let mut state = State {
        bytes: Vec::new(),
        values: values.iter(),
        stopped: false,
    };
    loop {
        let before = state.values.len();
        state.pass(format);
        let left = state.values.len();
        if state.stopped || left == 0 || left == before {
            break;
        }
        if state.bytes.len() > MOST {
            return None;
        }
    }
    let text = String::from_utf8(state.bytes).ok()?;
    super::input::bounded(text)
}

struct State<'a> {
    bytes: Vec<u8>,
    values: std::slice::Iter<'a, &'a str>,
    stopped: bool,
}

/// A conversion: `%-08.3x`.
#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    other: bool,
    width: usize,
    precision: Option<usize>,
}

impl State<'_> {
    fn pass(&mut self, format: &str) {
        let mut chars = format.chars();
        while let Some(letter) = chars.next() {
            if self.stopped || self.bytes.len() > MOST {
                return;
            }
            match letter {
                '%' => self.convert(&mut chars),
                '\\' => self.escape(&mut chars),
                letter => self.text(letter.encode_utf8(&mut [0; 4])),
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend(text.as_bytes());
    }

    fn escape(&mut self, chars: &mut std::str::Chars) {
        let rest = chars.as_str();
        // No escape is longer than ten letters.
        let end = rest.char_indices().nth(10).map_or(rest.len(), |(at, _)| at);
        let length = match rest.chars().next() {
            None => 0,
            Some('x') => 1 + hex(rest, 2),
            Some('u') => 1 + hex(rest, 4),
            Some('U') => 1 + hex(rest, 8),
            Some('0'..='7') => {
                let mut ahead = rest.chars();
                digits(&mut ahead, 8, 3);
                rest.len() - ahead.as_str().len()
            }
            Some(letter) => letter.len_utf8(),
        };
        let piece = rest.get(..length.min(end)).unwrap_or_default();
        if piece == "c" {
            self.stopped = true;
        } else if let Some(byte) = piece.chars().next().and_then(control)
            && piece.len() == 1
        {
            self.bytes.push(byte);
        } else {
            let (bytes, _) = unescape(&format!("\\{piece}"), Octal::Any);
            self.bytes.extend(bytes);
        }
        *chars = rest.get(piece.len()..).unwrap_or_default().chars();
    }

    fn next(&mut self) -> &str {
        self.values.next().copied().unwrap_or_default()
    }

    fn convert(&mut self, chars: &mut std::str::Chars) {
        let mut spec = Spec::default();
        let mut in_precision = false;
        for letter in chars.by_ref() {
            match letter {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                ' ' | '#' | '\'' => spec.other |= letter != '\'',
                '0' if spec.width == 0 && !in_precision => spec.zero = true,
                '*' => {
                    let number = self.next().parse().unwrap_or(0).min(MOST);
                    spec.number(in_precision, |_| number);
                }
                '.' => {
                    in_precision = true;
                    spec.precision = Some(0);
                }
                '0'..='9' => {
                    let digit = usize::try_from(letter.to_digit(10).unwrap_or(0)).unwrap_or(0);
                    spec.number(in_precision, |value| {
                        value.saturating_mul(10).saturating_add(digit).min(MOST)
                    });
                }
                'l' | 'h' | 'j' | 'z' | 't' | 'L' | 'q' if letter != 'q' => {}
                '(' => {
                    // `%(%F)T`, a date.
                    self.next();
                    self.text(UNKNOWN.encode_utf8(&mut [0; 4]));
                    let rest = chars.as_str();
                    let after = rest.split_once(")T").map_or("", |(_, after)| after);
                    *chars = after.chars();
                    return;
                }
                kind => {
                    self.one(kind, &spec);
                    return;
                }
            }
        }
    }

    fn one(&mut self, kind: char, spec: &Spec) {
        match kind {
            '%' => self.text("%"),
            'b' => {
                let (bytes, stopped) = unescape(self.next(), Octal::Any);
                self.stopped = stopped;
                self.bytes.extend(bytes);
            }
            's' | 'q' => {
                let value: String = match spec.precision {
                    Some(most) => self.next().chars().take(most).collect(),
                    None => self.next().to_owned(),
                };
                self.padded(&value, spec, ' ');
            }
            'c' => {
                let value: String = self.next().chars().take(1).collect();
                self.padded(&value, spec, ' ');
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let value = number(self.next()).map(|value| digits_of(value, kind, spec));
                let value = value.unwrap_or_else(|| UNKNOWN.to_string());
                let pad = if spec.zero && !spec.left { '0' } else { ' ' };
                self.padded(&value, spec, pad);
            }
            _ => {
                self.next();
                self.text(UNKNOWN.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn padded(&mut self, value: &str, spec: &Spec, pad: char) {
        let fill = spec.width.saturating_sub(value.chars().count());
        let fill: String = std::iter::repeat_n(pad, fill).collect();
        if spec.left {
            self.text(value);
            self.text(&fill);
        } else {
            self.text(&fill);
            self.text(value);
        }
    }
}

impl Spec {
    fn number(&mut self, in_precision: bool, change: impl Fn(usize) -> usize) {
        if in_precision {
            self.precision = Some(change(self.precision.unwrap_or(0)));
        } else {
            self.width = change(self.width);
        }
    }
}

fn digits_of(value: i64, kind: char, spec: &Spec) -> String {
    match kind {
        'x' if spec.other => format!("{value:#x}"),
        'x' => format!("{value:x}"),
        'X' => format!("{value:X}"),
        'o' if spec.other => format!("0{value:o}"),
        'o' => format!("{value:o}"),
        _ if spec.plus && value >= 0 => format!("+{value}"),
        _ => value.to_string(),
    }
}

/// A number as `printf` reads it: decimal, `0x1f`, `017` or `'A`; nothing if it is not known.
fn number(text: &str) -> Option<i64> {
    if text.contains(UNKNOWN) {
        return None;
    }
    let text = text.trim();
    if let Some(letter) = text.strip_prefix(['\'', '"']) {
        return Some(letter.chars().next().map_or(0, |c| i64::from(u32::from(c))));
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16)
    } else if rest.len() > 1 && rest.starts_with('0') {
        i64::from_str_radix(rest, 8)
    } else {
        rest.parse()
    };
    let value = value.unwrap_or(0);
    Some(if negative {
        value.saturating_neg()
    } else {
        value
    })
}

/// How many hexadecimal digits follow the first letter, `most` at most.
fn hex(text: &str, most: usize) -> usize {
    let digits = text.chars().skip(1).take(most);
    digits.take_while(char::is_ascii_hexdigit).count()
}
