// SPDX-License-Identifier: Apache-2.0
//! Wrappers that run a command for each of many: `xargs`, `parallel`.

use super::super::filters::input::{MOST, Use, bounded, file};
use super::super::{Call, Outcome, Run};
use super::{command, front, joined, like, piped};
use crate::effects::Span;
use crate::effects::word::{Arg, Stream, UNKNOWN};

/// Most commands that are followed one by one; what is left runs in the last.
const RUNS: usize = 16;

/// Most words that are added to a command.
const WORDS: usize = 1024;

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "xargs" | "gxargs" => xargs(call),
        "parallel" | "rush" => parallel(call),
        _ => return None,
    })
}

fn xargs(call: &Call) -> Outcome {
    let valued = "-a --arg-file -d --delimiter -E -I -J -L -n --max-args -P --max-procs -s \
        --max-chars -R -S --process-slot-var";
    let front = front(call.args, valued);
    let options = &front.options;
    let mut out = Outcome::default();
    if options.has_exactly(&["--help", "--version"]) {
        return out;
    }
    let given = |names: &[&str]| {
        options
            .options
            .iter()
            .find(|(n, ..)| names.contains(&n.as_str()))
    };
    let source = match given(&["-a", "--arg-file"]) {
        Some((_, Some(arg), path)) => file(call, &like(arg, path), Use::Shows, &mut out),
        _ => call.stdin.clone(),
    };
    let place = match given(&["-I", "-J", "-i", "--replace"]) {
        Some((_, _, value)) if !value.is_empty() => Some(value.clone()),
        Some(_) => Some("{}".to_owned()),
        // `-i%` is kept as a cluster of letters.
        None => None,
    };
    let delimiter = match given(&["-d", "--delimiter"]) {
        Some((_, _, value)) if value == "\\n" => Some('\n'),
        Some((_, _, value)) if value == "\\t" => Some('\t'),
        Some((_, _, value)) if value != "\\0" => value.chars().next(),
        Some(_) => Some('\0'),
        None if options.has(&["-0", "--null"]) => Some('\0'),
        None if place.is_some() || options.has(&["-L", "--max-lines"]) => Some('\n'),
        None => None,
    };
    let items = items(&source, delimiter);
    if front.rest.is_empty() {
        // `echo` is what it runs by itself.
        let words: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
        out.stdout.text = source
            .text
            .as_ref()
            .and_then(|_| bounded(words.join(" ") + "\n"));
        out.stdout.taint = source.taint;
        return out;
    }
    match place {
        Some(place) => replaced(front.rest, &place, &items, &mut out),
        None => {
            let most = options.value(&["-n", "--max-args", "-L", "--max-lines"]);
            let most = most.and_then(|most| most.parse().ok()).unwrap_or(WORDS);
            appended(front.rest, most, &items, &mut out);
        }
    }
    out
}

/// What is read, in words; one that is not known when nothing is.
fn items(source: &Stream, delimiter: Option<char>) -> Vec<Arg> {
    let item = |text: &str| Arg {
        text: text.to_owned(),
        glob: false,
        taint: source.taint.clone(),
        span: Span::default(),
    };
    let Some(text) = &source.text else {
        return vec![item(UNKNOWN.encode_utf8(&mut [0; 4]))];
    };
    let mut found: Vec<Arg> = match delimiter {
        // A list that `find -print0` would give is known with lines here.
        Some('\0') if !text.contains('\0') => text.lines().take(WORDS).map(item).collect(),
        Some(delimiter) => {
            let parts = text.split(delimiter).filter(|part| !part.trim().is_empty());
            parts
                .take(WORDS)
                .map(|part| item(part.trim_matches('\n')))
                .collect()
        }
        None => words(text).iter().map(|word| item(word)).collect(),
    };
    if found.len() >= WORDS {
        found.push(item(UNKNOWN.encode_utf8(&mut [0; 4])));
    }
    found
}

/// Words as `xargs` reads them: apart by white space, with quotes and backslashes.
fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let (mut begun, mut quote, mut escaped) = (false, None, false);
    for letter in text.chars() {
        if escaped {
            word.push(letter);
            escaped = false;
        } else if quote == Some(letter) {
            quote = None;
        } else if quote.is_some() {
            word.push(letter);
        } else if letter == '\\' {
            (escaped, begun) = (true, true);
        } else if letter == '\'' || letter == '"' {
            (quote, begun) = (Some(letter), true);
        } else if letter.is_ascii_whitespace() {
            if begun {
                found.push(std::mem::take(&mut word));
            }
            begun = false;
        } else {
            word.push(letter);
            begun = true;
        }
        if found.len() >= WORDS {
            return found;
        }
    }
    if begun {
        found.push(word);
    }
    found
}

fn appended(words: &[Arg], most: usize, items: &[Arg], out: &mut Outcome) {
    let mut chunks: Vec<&[Arg]> = items.chunks(most.max(1)).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    // Long command lines are not repeated.
    let most = if words.len() > WORDS { 1 } else { RUNS };
    let followed = chunks.len().min(most);
    for (at, chunk) in chunks.iter().take(followed).enumerate() {
        let mut all = words.to_vec();
        if at + 1 == followed {
            // The last one stands for all that are left.
            all.extend(
                chunks
                    .iter()
                    .skip(at)
                    .flat_map(|chunk| chunk.iter().cloned()),
            );
        } else {
            all.extend_from_slice(chunk);
        }
        push(all, out);
    }
}

fn replaced(words: &[Arg], place: &str, items: &[Arg], out: &mut Outcome) {
    let places: usize = words
        .iter()
        .map(|word| word.text.matches(place).count())
        .sum();
    let longest = items.iter().map(|item| item.text.len()).max().unwrap_or(0);
    let fits = words.len() <= WORDS && places.saturating_mul(longest) <= MOST;
    let most = if fits { RUNS } else { 0 };
    for item in items.iter().take(most) {
        push(
            words.iter().map(|word| put(word, place, item)).collect(),
            out,
        );
    }
    if items.len() > most {
        let unknown = Arg {
            text: UNKNOWN.to_string(),
            ..items.first().cloned().unwrap_or_default()
        };
        push(
            words
                .iter()
                .map(|word| put(word, place, &unknown))
                .collect(),
            out,
        );
    }
}

/// A word with an item in its place.
pub(super) fn put(word: &Arg, place: &str, item: &Arg) -> Arg {
    let places = if place.is_empty() {
        0
    } else {
        word.text.matches(place).count()
    };
    if places == 0 {
        return word.clone();
    }
    let text = if places.saturating_mul(item.text.len()) > MOST {
        UNKNOWN.to_string()
    } else {
        word.text.replace(place, &item.text)
    };
    let mut word = like(word, &text);
    word.glob = false;
    word.taint.join(&item.taint);
    word
}

fn push(words: Vec<Arg>, out: &mut Outcome) {
    out.runs.push(Run::Command {
        words,
        stdin: Stream::empty(),
    });
}

const SOURCES: [&str; 4] = [":::", ":::+", "::::", "::::+"];

/// GNU parallel: a line of shell for each item.
fn parallel(call: &Call) -> Outcome {
    let valued = "-j --jobs -P --max-procs -a --arg-file -d --delimiter -S --sshlogin --sshloginfile \
        --slf -n -N -L -I --colsep -C --joblog --results --timeout --delay --retries --tmpdir \
        --workdir --wd --env --tagstring --load --memfree --nice --halt";
    let front = front(call.args, valued);
    let options = &front.options;
    let mut out = Outcome::default();
    if options.has_exactly(&["--help", "--version", "--citation"]) {
        return out;
    }
    let is_source = |arg: &Arg| SOURCES.contains(&arg.text.as_str());
    let end = front.rest.iter().position(is_source);
    let (words, given) = front.rest.split_at(end.unwrap_or(front.rest.len()));
    let mut found = given_items(call, given, &mut out);
    for (name, arg, path) in &options.options {
        if let ("-a" | "--arg-file", Some(arg)) = (name.as_str(), arg) {
            let source = file(call, &like(arg, path), Use::Shows, &mut out);
            found.extend(items(&source, Some('\n')));
        }
    }
    if found.is_empty() && words.is_empty() {
        // Each line that is piped in is a command.
        if let (true, Some(arg)) = (
            piped(call.stdin),
            call.args.first().or(Some(&Arg::known("sh"))),
        ) {
            out.runs.extend(command(call, &[like(arg, "sh")]));
        }
        return out;
    }
    if found.is_empty() {
        found = items(call.stdin, Some('\n'));
    }
    if found.len() > RUNS {
        // The last one stands for all that are left.
        let rest = found.split_off(RUNS - 1);
        let texts: Vec<&str> = rest.iter().map(|item| item.text.as_str()).collect();
        let between = if words.is_empty() { "\n" } else { " " };
        found.push(like(&joined(&rest), &texts.join(between)));
    }
    let host = options.value(&["-S", "--sshlogin"]).map(str::to_owned);
    let line = joined(words);
    out.runs.extend(found.iter().map(|item| Run::Shell {
        text: if words.is_empty() {
            item.clone()
        } else {
            with_item(&line, item)
        },
        arguments: Vec::new(),
        stdin: Stream::empty(),
        host: host.clone(),
    }));
    out
}

/// What follows `:::` (words) and `::::` (files of lines).
fn given_items(call: &Call, given: &[Arg], out: &mut Outcome) -> Vec<Arg> {
    let Some((kind, given)) = given.split_first() else {
        return Vec::new();
    };
    let given = given
        .iter()
        .filter(|arg| !SOURCES.contains(&arg.text.as_str()));
    if !kind.text.starts_with("::::") {
        return given.cloned().collect();
    }
    let mut found = Vec::new();
    for arg in given.take(RUNS) {
        found.extend(items(&file(call, arg, Use::Shows, out), Some('\n')));
    }
    found
}

/// A line with an item where it is marked, or at its end.
fn with_item(line: &Arg, item: &Arg) -> Arg {
    let marks = ["{}", "{1}", "{.}", "{/}", "{//}", "{/.}"];
    let mut text = line.clone();
    if !marks.iter().any(|mark| line.text.contains(mark)) {
        text.text = format!("{} {}", text.text, item.text);
        text.taint.join(&item.taint);
        return text;
    }
    let unknown = like(item, UNKNOWN.encode_utf8(&mut [0; 4]));
    for (at, mark) in marks.iter().enumerate() {
        text = put(&text, mark, if at < 2 { item } else { &unknown });
    }
    text
}
