// SPDX-License-Identifier: Apache-2.0
//! `cut`: fields and characters of lines.

use super::super::{Call, Outcome};
use super::input::exact;
use super::{filter, scan};

const VALUED: &str = "-d --delimiter -f --fields -c --characters -b --bytes --output-delimiter";

/// Longest list and output delimiter that are followed.
const JOINED: usize = 256;

/// Cuts pieces out of lines.
pub(super) fn run(call: &Call) -> Outcome {
    let options = scan(call.args, VALUED);
    let value = |names: &[&str]| options.value(names).map(str::to_owned);
    let letters = value(&["-c", "--characters", "-b", "--bytes"]);
    let fields = value(&["-f", "--fields"]);
    let delimiter = value(&["-d", "--delimiter"]).unwrap_or_else(|| "\t".to_owned());
    let joined = value(&["--output-delimiter"]).unwrap_or_else(|| delimiter.clone());
    let others = options.has(&["--complement"]);
    let strict = options.has(&["-s", "--only-delimited"]);
    filter(call, &options.operands, |text| {
        let text = exact(text)?;
        if joined.len() > JOINED {
            return None;
        }
        let ranges = ranges(letters.as_deref().or(fields.as_deref())?)?;
        let wanted = |at: usize| {
            let inside = ranges.iter().any(|(from, to)| (*from..=*to).contains(&at));
            inside != others
        };
        let mut cut = String::new();
        for line in text.lines() {
            if letters.is_some() {
                let kept = line.chars().enumerate();
                cut.extend(kept.filter(|(at, _)| wanted(at + 1)).map(|(_, c)| c));
            } else if line.contains(delimiter.as_str()) {
                let parts = line.split(delimiter.as_str()).enumerate();
                let kept: Vec<&str> = parts
                    .filter(|(at, _)| wanted(at + 1))
                    .map(|(_, part)| part)
                    .collect();
                cut.push_str(&kept.join(&joined));
            } else if strict {
                continue;
            } else {
                cut.push_str(line);
            }
            cut.push('\n');
        }
        Some(cut)
    })
}

/// `1,3-5,7-` as pairs.
fn ranges(list: &str) -> Option<Vec<(usize, usize)>> {
    let number = |text: &str, absent| {
        if text.is_empty() {
            Some(absent)
        } else {
            text.parse().ok()
        }
    };
    if list.len() > JOINED {
        return None;
    }
    list.split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((number(from, 1)?, number(to, usize::MAX)?))
        })
        .collect()
}
