// SPDX-License-Identifier: Apache-2.0
//! `echo`, and the backslash escapes that it shares with `printf`.

use super::super::{Call, Outcome};
use super::input::bounded;
use crate::effects::word::UNKNOWN;

/// Prints its arguments.
pub(super) fn echo(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let flags = call.args.iter().take_while(|arg| {
        let letters = arg.text.strip_prefix('-').unwrap_or_default();
        !letters.is_empty() && letters.chars().all(|letter| "neE".contains(letter))
    });
    let (mut newline, mut escapes, mut words) = (true, false, 0);
    for flag in flags {
        words += 1;
        for letter in flag.text.chars() {
            match letter {
                'n' => newline = false,
                'e' => escapes = true,
                'E' => escapes = false,
                _ => {}
            }
        }
    }
    let mut text = String::new();
    for (at, arg) in call.args.iter().skip(words).enumerate() {
        if at > 0 {
            text.push(' ');
        }
        if arg.glob {
            // The names it matches, which are not known here.
            text.push(UNKNOWN);
        } else {
            text.push_str(&arg.text);
        }
        out.stdout.taint.join(&arg.taint);
    }
    let text = if escapes {
        let (bytes, stopped) = unescape(&text, Octal::Zero);
        newline &= !stopped;
        String::from_utf8(bytes).ok()
    } else {
        Some(text)
    };
    out.stdout.text = text
        .map(|text| if newline { text + "\n" } else { text })
        .and_then(bounded);
    out
}

/// How octal numbers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Octal {
    /// `\0101`.
    Zero,
    /// `\101` and `\0101`.
    Any,
}

/// The bytes that escapes stand for, and whether `\c` ended them.
pub(super) fn unescape(text: &str, octal: Octal) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(letter) = chars.next() {
        if letter != '\\' {
            push(&mut bytes, letter);
            continue;
        }
        let mut ahead = chars.clone();
        let Some(kind) = ahead.next() else {
            push(&mut bytes, '\\');
            break;
        };
        match kind {
            'c' => return (bytes, true),
            'x' => match digits(&mut ahead, 16, 2) {
                Some(byte) => bytes.extend(u8::try_from(byte)),
                None => bytes.extend(b"\\x"),
            },
            'u' | 'U' => {
                let most = if kind == 'u' { 4 } else { 8 };
                match digits(&mut ahead, 16, most).map(char::from_u32) {
                    Some(Some(letter)) => push(&mut bytes, letter),
                    _ => bytes.extend(b"\\u"),
                }
            }
            '0' => {
                let byte = digits(&mut ahead, 8, 3).unwrap_or(0) & 0xff;
                bytes.extend(u8::try_from(byte));
            }
            '1'..='7' if octal == Octal::Any => {
                ahead.clone_from(&chars);
                let byte = digits(&mut ahead, 8, 3).unwrap_or(0) & 0xff;
                bytes.extend(u8::try_from(byte));
            }
            other => match control(other) {
                Some(byte) => bytes.push(byte),
                None => {
                    bytes.push(b'\\');
                    push(&mut bytes, other);
                }
            },
        }
        chars = ahead;
    }
    (bytes, false)
}

/// The byte that a letter after a backslash stands for.
pub(super) fn control(letter: char) -> Option<u8> {
    Some(match letter {
        'a' => 7,
        'b' => 8,
        'e' | 'E' => 27,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '"' => b'"',
        '\'' => b'\'',
        _ => return None,
    })
}

fn push(bytes: &mut Vec<u8>, letter: char) {
    bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Up to `most` digits as a number, or nothing when there is none.
pub(super) fn digits(chars: &mut std::str::Chars, radix: u32, most: usize) -> Option<u32> {
    let mut value = None;
    for _ in 0..most {
        let mut ahead = chars.clone();
        let Some(digit) = ahead.next().and_then(|letter| letter.to_digit(radix)) else {
            break;
        };
        let so_far: u32 = value.unwrap_or(0);
        value = Some(so_far.wrapping_mul(radix).wrapping_add(digit));
        *chars = ahead;
    }
    value
}
