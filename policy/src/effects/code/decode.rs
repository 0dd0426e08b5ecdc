// SPDX-License-Identifier: Apache-2.0
//! Encodings that hide what code does: base64, hexadecimal, rot13, per cent, escapes.

/// Base64 of either alphabet, white space and padding ignored.
pub(super) fn base64(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut bits: u32 = 0;
    let mut count: u32 = 0;
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' | b'\n' | b'\r' | b' ' | b'\t' => continue,
            _ => return None,
        };
        bits = ((bits << 6) | u32::from(value)) & 0xFF_FFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(low_byte(bits >> count));
        }
    }
    Some(readable(&bytes))
}

/// Pairs of hexadecimal digits, white space ignored.
pub(super) fn hex(text: &str) -> Option<String> {
    let digits: Option<Vec<u32>> = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .map(|letter| letter.to_digit(16))
        .collect();
    let digits = digits?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| low_byte(pair.iter().fold(0, |sum, digit| sum * 16 + digit)))
        .collect();
    Some(readable(&bytes))
}

/// Letters moved by 13.
pub(super) fn rot13(text: &str) -> String {
    let turn = |letter: u8, first: u8| char::from(first + (letter - first + 13) % 26);
    text.chars()
        .map(|letter| match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii_lowercase() => turn(byte, b'a'),
            Ok(byte) if byte.is_ascii_uppercase() => turn(byte, b'A'),
            _ => letter,
        })
        .collect()
}

/// `%41` as in addresses.
pub(super) fn percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = pair
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    readable(&bytes)
}

/// Bytes as text: UTF-8, or one character for each byte.
pub(super) fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // UTF-16 as PowerShell encodes it ends up here or above with NULs in between.
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn low_byte(bits: u32) -> u8 {
    bits.to_le_bytes().first().copied().unwrap_or_default()
}

/// The character of a number, if it is one.
pub(super) fn character(number: i64) -> Option<char> {
    u32::try_from(number).ok().and_then(char::from_u32)
}

/// Escapes of a quoted string. `decimal` is how Lua reads `\101`.
pub(super) fn unescape(text: &str, decimal: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('e') => out.push('\u{1B}'),
            Some('a') => out.push('\u{7}'),
            Some('\n') | None => {}
            Some('x') => number(&mut rest, &mut out, (16, 2)),
            Some('u') => number(&mut rest, &mut out, (16, 4)),
            Some('U') => number(&mut rest, &mut out, (16, 8)),
            Some(digit @ '0'..='9') => {
                let mut with_digit = format!("{digit}");
                let radix = if decimal { 10 } else { 8 };
                while with_digit.len() < 3 {
                    let Some(next) = rest.clone().next().filter(|next| next.is_digit(radix)) else {
                        break;
                    };
                    with_digit.push(next);
                    rest.next();
                }
                out.extend(code(&with_digit, radix));
            }
            Some(other) => out.push(other),
        }
    }
    out
}

/// The digits after `\x`, `\u` or `\U`, in braces or not.
fn number(rest: &mut std::str::Chars, out: &mut String, (radix, most): (u32, usize)) {
    let braced = rest.clone().next() == Some('{');
    if braced {
        rest.next();
    }
    let most = if braced { 8 } else { most };
    let digits: String = rest
        .clone()
        .take_while(|letter| letter.is_digit(radix))
        .take(most)
        .collect();
    for _ in 0..digits.len() {
        rest.next();
    }
    if braced && rest.clone().next() == Some('}') {
        rest.next();
    }
    out.extend(code(&digits, radix));
}

fn code(digits: &str, radix: u32) -> Option<char> {
    char::from_u32(u32::from_str_radix(digits, radix).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_undone() {
        assert_eq!(base64("cm0gLXJmIC8=").as_deref(), Some("rm -rf /"));
        assert_eq!(base64("cm0g\nLXJmIC8").as_deref(), Some("rm -rf /"));
        assert_eq!(base64("rm -rf /!"), None);
        assert_eq!(hex("72 6d20").as_deref(), Some("rm "));
        assert_eq!(hex("zz"), None);
        assert_eq!(rot13("ez -es /"), "rm -rf /");
        assert_eq!(percent("rm%20-rf%2"), "rm -rf%2");
        assert_eq!(unescape(r"\x72\u006d\u{20}\055\162f\\", false), "rm -rf\\");
        assert_eq!(unescape(r"\114\109", true), "rm");
    }
}
