// SPDX-License-Identifier: Apache-2.0
//! Filters that encode and decode: `base64`, `xxd`, `openssl enc`, `gzip`.
//!
//! What they decode is computed, and marked as decoded: a person who read the command line could
//! not read that.

use super::super::{Call, Outcome};
use super::input::{Use, exact, file, write, written};
use super::{filter, scan, value_arg};
use crate::effects::word::{Arg, Stream};
use crate::list::is_any;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE32HEX: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
const BASE16: &[u8; 16] = b"0123456789ABCDEF";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "base64" => base(call, BASE64),
        "base32" => base(call, BASE32),
        "basenc" => basenc(call),
        "xxd" => xxd(call),
        "uudecode" | "base58" | "base91" | "ascii85" | "basez" => opaque_decoder(call),
        "openssl" => return openssl(call),
        name => return compression(call, name),
    })
}

/// An alphabet's bits for each of its letters.
fn bits(alphabet: &[u8]) -> u32 {
    alphabet.len().trailing_zeros()
}

/// The bytes that an encoded text stands for, up to the first letter that is none.
fn decode(text: &str, alphabet: &[u8], lenient: bool) -> Vec<u8> {
    let bits = bits(alphabet);
    let (mut held, mut count) = (0u32, 0);
    let mut bytes = Vec::new();
    for letter in text.bytes() {
        if letter.is_ascii_whitespace() {
            continue;
        }
        let folded = if bits < 6 {
            letter.to_ascii_uppercase()
        } else {
            letter
        };
        let Some(value) = alphabet.iter().position(|one| *one == folded) else {
            if letter == b'=' {
                // Encoded texts may follow each other.
                (held, count) = (0, 0);
                continue;
            }
            if lenient {
                continue;
            }
            break;
        };
        held = (held << bits) | u32::try_from(value).unwrap_or(0);
        count += bits;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from((held >> count) & 0xff));
            held &= (1 << count) - 1;
        }
    }
    bytes
}

fn encode(text: &str, alphabet: &[u8]) -> String {
    let bits = bits(alphabet);
    let (mut held, mut count) = (0u32, 0);
    let mut encoded = String::new();
    let mut push = |value: u32| {
        let letter = usize::try_from(value).ok().and_then(|at| alphabet.get(at));
        encoded.extend(letter.map(|letter| char::from(*letter)));
    };
    for byte in text.bytes() {
        held = (held << 8) | u32::from(byte);
        count += 8;
        while count >= bits {
            count -= bits;
            push((held >> count) & ((1 << bits) - 1));
            held &= (1 << count) - 1;
        }
    }
    if count > 0 {
        push(held << (bits - count));
    }
    let group = match bits {
        6 => 4,
        5 => 8,
        _ => 1,
    };
    while !encoded.len().is_multiple_of(group) {
        encoded.push('=');
    }
    encoded
}

/// Decoded text, if it is text.
fn decoded(text: &str, alphabet: &[u8], lenient: bool) -> Option<String> {
    String::from_utf8(decode(exact(text)?, alphabet, lenient)).ok()
}

fn base(call: &Call, alphabet: &[u8]) -> Outcome {
    let options = scan(call.args, "-w --wrap -b --break -o --output");
    let decoding = options.has(&["-d", "-D", "--decode"]);
    let lenient = options.has(&["-i", "--ignore-garbage"]);
    let mut out = filter(call, &options.operands, |text| {
        if decoding {
            return decoded(text, alphabet, lenient);
        }
        let wrap = options.value(&["-w", "--wrap"]).unwrap_or("76");
        let encoded = encode(exact(text)?, alphabet);
        Some(wrapped(&encoded, wrap.parse().ok()?))
    });
    out.stdout.taint.decoded |= decoding;
    // macOS writes with `-o`.
    if let Some(target) = value_arg(&options, &["-o", "--output"]) {
        let content = std::mem::take(&mut out.stdout);
        write(call, &target, &content, &mut out);
    }
    out
}

fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    for (at, letter) in text.chars().enumerate() {
        if width > 0 && at > 0 && at.is_multiple_of(width) {
            lines.push('\n');
        }
        lines.push(letter);
    }
    if width > 0 && !text.is_empty() {
        lines.push('\n');
    }
    lines
}

fn basenc(call: &Call) -> Outcome {
    let options = scan(call.args, "-w --wrap");
    if options.has_exactly(&["--base64url"]) {
        base(call, BASE64URL)
    } else if options.has_exactly(&["--base32"]) {
        base(call, BASE32)
    } else if options.has_exactly(&["--base32hex"]) {
        base(call, BASE32HEX)
    } else if options.has_exactly(&["--base16"]) {
        base(call, BASE16)
    } else if options.has_exactly(&["--base64"]) {
        base(call, BASE64)
    } else {
        opaque_decoder(call)
    }
}

fn opaque_decoder(call: &Call) -> Outcome {
    let options = scan(call.args, "-o -w --wrap");
    let mut out = filter(call, &options.operands, |_| None);
    out.stdout.taint.decoded = true;
    out
}

fn xxd(call: &Call) -> Outcome {
    // `-ps` is no `-s` with a value to follow.
    let postscript = call.args.iter().any(|arg| arg.text == "-ps");
    let options = if postscript {
        scan(
            call.args,
            "-c -cols -g -groupsize -l -len -seek -o -n -name",
        )
    } else {
        scan(
            call.args,
            "-c -cols -g -groupsize -l -len -s -seek -o -n -name",
        )
    };
    let reverse = options.has(&["-r", "-revert"]);
    let plain = options.has(&["-p", "-ps", "-plain", "-postscript"]);
    let input = options.operands.get(..1).unwrap_or_default();
    let mut out = filter(call, input, |text| {
        let text = exact(text)?;
        match (reverse, plain) {
            (true, true) => decoded(text, BASE16, true),
            (true, false) => {
                let hex: String = text.lines().map(dump_line).collect();
                decoded(&hex, BASE16, true)
            }
            (false, true) => {
                let width = options.value(&["-c", "-cols"]).unwrap_or("30");
                let width: usize = width.parse().ok()?;
                let hex = encode(text, BASE16).to_ascii_lowercase();
                Some(wrapped(&hex, width.saturating_mul(2)))
            }
            (false, false) => None,
        }
    });
    out.stdout.taint.decoded |= reverse;
    if let Some(target) = options.operands.get(1) {
        let content = std::mem::take(&mut out.stdout);
        write(call, target, &content, &mut out);
    }
    out
}

/// The bytes of a line of a dump: `00000000: 726d 202d 7266  rm -rf`.
fn dump_line(line: &str) -> String {
    let bytes = line.split_once(':').map_or("", |(_, rest)| rest);
    let bytes = bytes.trim_start();
    bytes
        .split_once("  ")
        .map_or(bytes, |(hex, _)| hex)
        .to_owned()
}

/// `openssl` as a filter. What it says to hosts and certificate authorities is not for here.
fn openssl(call: &Call) -> Option<Outcome> {
    let (command, args) = call.args.split_first()?;
    let valued = "-in -out -inkey -k -pass -passin -passout -K -iv -S -iter -md -days -subj \
        -config -keyout -newkey -CA -CAkey -CAfile -name -certfile -inform -outform -signature -sign \
        -verify -recip -bufsize -rand -extfile -extensions";
    let options = scan(args, valued);
    let command = command.text.as_str();
    let filters = "enc base64 dgst rand x509 rsa ec pkey req pkcs8 pkcs12 genrsa genpkey ecparam dhparam \
        version list passwd asn1parse verify md5 sha1 sha256 sha512 prime crl rsautl pkeyutl smime cms \
        help speed ciphers errstr";
    let cipher = command.starts_with("aes") || command.starts_with("des");
    if !cipher && !is_any(filters, command) {
        return None;
    }
    let mut out = Outcome::default();
    let quiet =
        options.has(&["-noout", "-pubout"]) || matches!(command, "x509" | "dgst" | "verify");
    let how = if quiet { Use::Looks } else { Use::Shows };
    let input = match value_arg(&options, &["-in", "-inkey"]) {
        Some(path) => file(call, &path, how, &mut out),
        None => call.stdin.clone(),
    };
    // Its options are words with one dash, not clusters of letters.
    let given = |names: &[&str]| args.iter().any(|arg| names.contains(&arg.text.as_str()));
    let decoding = given(&["-d", "-decrypt"]);
    let base64 = command == "base64" || given(&["-base64", "-a"]);
    let ciphered = cipher || options.options.iter().any(|(name, ..)| is_cipher(name));
    if base64 && !ciphered && matches!(command, "base64" | "enc") {
        out.stdout.text = input.text.as_deref().and_then(|text| {
            if decoding {
                decoded(text, BASE64, false)
            } else {
                Some(wrapped(&encode(exact(text)?, BASE64), 64))
            }
        });
    }
    if !quiet {
        out.stdout.taint = input.taint;
    }
    out.stdout.taint.decoded |= decoding;
    if let Some(target) = value_arg(&options, &["-out", "-keyout"]) {
        let content = std::mem::take(&mut out.stdout);
        write(call, &target, &content, &mut out);
    }
    Some(out)
}

fn is_cipher(option: &str) -> bool {
    let kinds = "-aes -des -bf -camellia -chacha -aria -rc -sm4 -seed -cast";
    option.len() > 3
        && kinds
            .split_ascii_whitespace()
            .any(|kind| option.starts_with(kind))
}

/// Compressors, and whether their name alone decompresses to standard output.
fn compression(call: &Call, name: &str) -> Option<Outcome> {
    let packs = "gzip bzip2 xz zstd lz4 pigz pbzip2 lzma brotli compress lzop";
    let unpacks = "gunzip bunzip2 unxz unzstd unlz4 unpigz unlzma uncompress";
    let shows = "zcat bzcat xzcat zstdcat lz4cat gzcat lzcat";
    let among = |list: &str| is_any(list, name);
    if !(among(packs) || among(unpacks) || among(shows)) {
        return None;
    }
    let options = scan(call.args, "-S --suffix -T --threads -b -p -o -D");
    let unpacking = !among(packs) || options.has(&["-d", "--decompress", "--uncompress"]);
    let printing = among(shows)
        || options.operands.is_empty()
        || options.has(&[
            "-c",
            "--stdout",
            "--to-stdout",
            "-t",
            "--test",
            "-l",
            "--list",
        ]);
    let mut out = filter(call, &options.operands, |_| None);
    out.stdout.taint.decoded |= unpacking;
    if !printing {
        // Each file becomes another one that holds the same, so reading it is no effect.
        let content = std::mem::take(&mut out.stdout);
        out.effects.clear();
        for arg in &options.operands {
            let effect = written(call, arg, false);
            out.effects.push(effect);
            if let Some(path) = unpacked(call, arg).filter(|_| unpacking) {
                let taint = content.taint.clone();
                out.writes.push((path, Stream { text: None, taint }));
            }
        }
    }
    Some(out)
}

/// The absolute path of what `x.sh.gz` unpacks to.
fn unpacked(call: &Call, arg: &Arg) -> Option<String> {
    let (stem, _) = arg.whole()?.rsplit_once('.')?;
    call.setting.absolute(stem, call.cwd)
}
