// SPDX-License-Identifier: Apache-2.0
//! Filters of whole lines: `cat`, `head`, `tail`, `rev`, `sort`, `fold`, `paste`, `wc`.

use super::super::options::Options;
use super::super::{Call, Outcome, Run};
use super::input::{Use, exact, gather, write};
use super::{filter, scan, value_arg};
use crate::effects::word::Stream;

/// Filters whose output is not computed, and their options with values. What taints their input
/// taints their output.
const OPAQUE: &str = "column -s -c -N -o -l -H -R -W|strings -n -t -e --bytes|hexdump -n -s -e -f|hd -n -s|\
    od -A -j -N -t -w -S|less -p -P -t -x -b|more -n|most|bat -l -r -m --style --theme --language \
    --line-range --paging|batcat -l -r --style --language --line-range --paging|fmt -w|\
    pr -w -l -h|expand -t|unexpand -t|shuf -n -i -o|pv -L -s -N|numfmt --from --to --field -d|\
    join -t -1 -2 -o -a -v|comm --output-delimiter|tsort|ptx|csplit -f -n|jq --arg --argjson --slurpfile \
    --rawfile --indent -L -f --from-file|gojq --arg --argjson|xmllint --xpath -o --output|fx|gron|\
    mlr|csvcut -c -d|csvgrep -c -m -r|csvlook|xsv|ts|vis|lolcat|glow|mdcat|highlight|pygmentize \
    -l -f -O|ccze|fzf -q -f -d -n --query --filter --preview-window|peco|xmlstarlet|tidy|\
    html2text|diff -U -C -x -I -L --exclude --label|colordiff|cmp -n -i|sdiff -w|diff3|difft|delta|\
    wdiff|zdiff|zcmp|look|zless|zmore|dos2unix|unix2dos|envsubst|iconv -f -t -o --from-code --to-code|\
    man -P --pager -S -s -M -L -p -C|info|apropos|whatis|tldr|help|cowsay|figlet|nkf|recode|uuencode";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "cat" => cat(call),
        "tac" => per_text(call, "-s --separator", |text, _| {
            Some(join(text.lines().rev()))
        }),
        "rev" => rev(call),
        "head" => head(call),
        "tail" => tail(call),
        "sort" => sort(call),
        "uniq" => uniq(call),
        "fold" => fold(call),
        "paste" => paste(call),
        "nl" => per_text(call, "-b -d -f -h -i -l -n -s -v -w", |text, _| {
            let lines = text.lines().enumerate();
            let lines = lines.map(|(at, line)| format!("{:>6}\t{line}\n", at + 1));
            Some(lines.collect())
        }),
        "wc" => wc(call),
        "md5sum" | "sha1sum" | "sha224sum" | "sha256sum" | "sha384sum" | "sha512sum" | "b2sum"
        | "b3sum" | "cksum" | "sum" | "md5" | "shasum" | "xxhsum" | "xxh64sum" => {
            looked(call, "-a --algorithm -l")
        }
        name => return opaque(call, name),
    })
}

fn opaque(call: &Call, name: &str) -> Option<Outcome> {
    let row = OPAQUE.split('|').map(str::trim).find_map(|row| {
        let (first, valued) = row.split_once(' ').unwrap_or((row, ""));
        (first == name).then_some(valued)
    })?;
    let options = scan(call.args, row);
    let operands = match name {
        "jq" | "gojq" | "gron" | "mlr" if !options.has(&["-f", "--from-file"]) => {
            options.operands.get(1..).unwrap_or_default()
        }
        "man" | "info" | "apropos" | "whatis" | "tldr" | "help" | "cowsay" | "figlet"
        | "envsubst" | "numfmt" => &[],
        _ => &options.operands,
    };
    let mut out = filter(call, operands, |text| {
        // Both leave plain text as it is.
        let same = (name == "iconv" && text.is_ascii() && !wide(&options))
            || (name == "envsubst" && !text.contains('$'))
            || name == "pv";
        same.then(|| text.to_owned())
    });
    if matches!(name, "shuf" | "xmllint" | "iconv")
        && let Some(target) = value_arg(&options, &["-o", "--output"])
    {
        let content = std::mem::take(&mut out.stdout);
        write(call, &target, &content, &mut out);
    }
    if let ("dos2unix" | "unix2dos", false) = (name, options.operands.is_empty()) {
        for arg in &options.operands {
            write(call, arg, &Stream::default(), &mut out);
        }
    }
    if let ("man", Some(pager)) = (name, value_arg(&options, &["-P", "--pager"])) {
        out.runs.push(Run::Shell {
            text: pager,
            arguments: Vec::new(),
            stdin: Stream::empty(),
            host: None,
        });
    }
    if name == "jq" && call.args.iter().any(|arg| arg.text.contains("@base64d")) {
        out.stdout.taint.decoded = true;
    }
    Some(out)
}

/// Character sets in which ASCII text is other bytes.
fn wide(options: &Options) -> bool {
    let sets = options.values(&["-f", "-t", "--from-code", "--to-code"]);
    sets.into_iter().any(|set| {
        let set = set.to_ascii_uppercase();
        ["16", "32", "UCS", "EBCDIC", "UTF-7", "UTF7", "037"]
            .iter()
            .any(|other| set.contains(other))
    })
}

/// Counts or sums: nothing of the content can be read from the output.
fn looked(call: &Call, valued: &str) -> Outcome {
    let options = scan(call.args, valued);
    let mut out = Outcome::default();
    gather(call, &options.operands, Use::Looks, &mut out);
    out
}

fn per_text(
    call: &Call,
    valued: &str,
    change: impl FnOnce(&str, &Options) -> Option<String>,
) -> Outcome {
    let options = scan(call.args, valued);
    filter(call, &options.operands, |text| change(text, &options))
}

fn join<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn cat(call: &Call) -> Outcome {
    per_text(call, "", |text, options| {
        let marked = options.has(&[
            "-A",
            "-b",
            "-e",
            "-E",
            "-n",
            "-s",
            "-t",
            "-T",
            "-v",
            "--number",
            "--show-all",
        ]);
        (!marked).then(|| text.to_owned())
    })
}

fn rev(call: &Call) -> Outcome {
    let mut out = per_text(call, "", |text, _| {
        let lines = text.lines().map(|line| line.chars().rev().chain(['\n']));
        Some(lines.flatten().collect())
    });
    out.stdout.taint.decoded = true;
    out
}

/// How much `head` and `tail` keep: `-n 5`, `-5`, `-c 20`, `-n -5`, `-n +2`.
struct Count {
    sign: Option<char>,
    number: usize,
    bytes: bool,
}

fn count(options: &Options) -> Option<Count> {
    let bytes = options.value(&["-c", "--bytes"]);
    let lines = options.value(&["-n", "--lines"]);
    let old = options.options.iter().find_map(|(name, ..)| {
        let digits = name.strip_prefix('-')?;
        digits.parse::<u32>().ok().map(|_| digits)
    });
    let text = bytes.or(lines).or(old).unwrap_or("10");
    let sign = text.chars().next().filter(|first| "+-".contains(*first));
    Some(Count {
        sign,
        number: text.trim_start_matches(['+', '-']).parse().ok()?,
        bytes: bytes.is_some(),
    })
}

fn head(call: &Call) -> Outcome {
    per_text(call, "-n --lines -c --bytes", |text, options| {
        let count = count(options)?;
        let lines: Vec<&str> = pieces(text, &count)?;
        let keep = match count.sign {
            Some('-') => lines.len().saturating_sub(count.number),
            _ => count.number,
        };
        one_file(options)?;
        Some(lines.into_iter().take(keep).collect())
    })
}

fn tail(call: &Call) -> Outcome {
    let valued = "-n --lines -c --bytes -s --sleep-interval --pid";
    per_text(call, valued, |text, options| {
        let count = count(options)?;
        let lines: Vec<&str> = pieces(text, &count)?;
        let skip = match count.sign {
            Some('+') => count.number.saturating_sub(1),
            _ => lines.len().saturating_sub(count.number),
        };
        one_file(options)?;
        Some(lines.into_iter().skip(skip).collect())
    })
}

/// Several files are printed with headings, which nothing here needs.
fn one_file(options: &Options) -> Option<()> {
    (options.operands.len() < 2).then_some(())
}

/// The lines with their ends, or the characters, of a text.
fn pieces<'a>(text: &'a str, count: &Count) -> Option<Vec<&'a str>> {
    if count.bytes {
        let text = exact(text).filter(|text| text.is_ascii())?;
        return Some(text.split_inclusive(|_: char| true).collect());
    }
    Some(text.split_inclusive('\n').collect())
}

fn sort(call: &Call) -> Outcome {
    let valued = "-k --key -t --field-separator -o --output -S --buffer-size -T \
        --temporary-directory --parallel --batch-size --compress-program --files0-from";
    let options = scan(call.args, valued);
    let mut out = filter(call, &options.operands, |text| {
        let plain = ["-r", "-u", "--reverse", "--unique"];
        let given = |(name, ..): &(String, _, _)| plain.contains(&name.as_str());
        if !options.options.iter().all(given) {
            return None;
        }
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        if options.has(&["-u", "--unique"]) {
            lines.dedup();
        }
        if options.has(&["-r", "--reverse"]) {
            lines.reverse();
        }
        Some(join(lines.into_iter()))
    });
    if let Some(file) = value_arg(&options, &["-o", "--output"]) {
        let content = std::mem::take(&mut out.stdout);
        write(call, &file, &content, &mut out);
    }
    if let Some(program) = value_arg(&options, &["--compress-program"]) {
        out.runs.push(Run::Command {
            words: vec![program],
            stdin: Stream::empty(),
        });
    }
    out
}

fn uniq(call: &Call) -> Outcome {
    let options = scan(
        call.args,
        "-f -s -w --skip-fields --skip-chars --check-chars",
    );
    let input = options.operands.get(..1).unwrap_or_default();
    let mut out = filter(call, input, |text| {
        if !options.options.is_empty() {
            return None;
        }
        let mut lines: Vec<&str> = text.lines().collect();
        lines.dedup();
        Some(join(lines.into_iter()))
    });
    if let Some(file) = options.operands.get(1) {
        let content = std::mem::take(&mut out.stdout);
        write(call, file, &content, &mut out);
    }
    out
}

fn fold(call: &Call) -> Outcome {
    per_text(call, "-w --width -c -b", |text, options| {
        let width: usize = options
            .value(&["-w", "--width"])
            .unwrap_or("80")
            .parse()
            .ok()?;
        if width == 0 || options.has(&["-s", "--spaces"]) {
            return None;
        }
        let mut folded = String::new();
        for line in exact(text)?.lines() {
            for (at, letter) in line.chars().enumerate() {
                if at > 0 && at % width == 0 {
                    folded.push('\n');
                }
                folded.push(letter);
            }
            folded.push('\n');
        }
        Some(folded)
    })
}

fn paste(call: &Call) -> Outcome {
    per_text(call, "-d --delimiters", |text, options| {
        if options.operands.len() > 1 {
            return None;
        }
        if !options.has(&["-s", "--serial"]) {
            return Some(text.to_owned());
        }
        let delimiter = match options.value(&["-d", "--delimiters"]) {
            None => "\t",
            Some("\\0") => "",
            Some("\\n") => "\n",
            Some("\\t") => "\t",
            Some(one) if one.chars().count() < 2 => one,
            Some(_) => return None,
        };
        let lines: Vec<&str> = text.lines().collect();
        Some(lines.join(delimiter) + "\n")
    })
}

fn wc(call: &Call) -> Outcome {
    let options = scan(call.args, "--files0-from --total");
    let mut out = Outcome::default();
    let input = gather(call, &options.operands, Use::Looks, &mut out);
    if let ([], Some(text)) = (
        options.operands.as_slice(),
        input.text.as_deref().and_then(exact),
    ) {
        let number = match options.options.as_slice() {
            [(name, ..)] if name == "-l" => text.matches('\n').count(),
            [(name, ..)] if name == "-w" => text.split_whitespace().count(),
            [(name, ..)] if name == "-c" => text.len(),
            [(name, ..)] if name == "-m" => text.chars().count(),
            _ => return out,
        };
        out.stdout.text = Some(format!("{number}\n"));
    }
    out
}
