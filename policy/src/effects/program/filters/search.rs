// SPDX-License-Identifier: Apache-2.0
//! Programs that search: `grep`, `rg`, `ag`, `ack`.

use super::super::options::Options;
use super::super::{Call, Outcome, Run};
use super::input::{Use, exact, gather};
use super::pattern::Pattern;
use super::{scan, value_arg};
use crate::effects::place::Area;
use crate::effects::word::{Arg, Stream, UNKNOWN};
use crate::effects::{Effect, Harm, Kind};
use crate::list::is_any;

const VALUED: &str = "-e --regexp -f --file -m --max-count -A --after-context -B --before-context \
    -C --context -D -d --include --exclude --exclude-dir --color --label";
const RG: &str = "-e --regexp -f --file -m --max-count -A --after-context -B --before-context -C --context \
    -g --glob --iglob -t --type -T --type-not -j --threads -M --max-columns -r --replace --pre \
    --pre-glob --sort --sortr --max-depth -d --type-add --color --colors --engine -E --encoding \
    --max-filesize --ignore-file --path-separator";
const AG: &str = "-A --after -B --before -C --context -G --file-search-regex --ignore -m --max-count \
    --depth -p --path-to-ignore --type --match --output -g";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let (valued, recursive) = match call.name {
        "grep" | "egrep" | "fgrep" | "zgrep" | "bzgrep" | "xzgrep" | "zegrep" | "zfgrep"
        | "zstdgrep" => (VALUED, false),
        "rgrep" => (VALUED, true),
        "rg" | "ripgrep" | "ugrep" => (RG, true),
        "ag" | "ack" | "ack-grep" | "pt" | "sift" => (AG, true),
        _ => return None,
    };
    let options = scan(call.args, valued);
    let files = ["-e", "--regexp", "-f", "--file", "--files"];
    let named = options.has_exactly(&files);
    let skip = usize::from(!named);
    let operands = options.operands.get(skip..).unwrap_or_default();
    let recursive = recursive || options.has(&["-r", "-R", "--recursive"]);
    let mut out = Outcome::default();
    let lists = options.has(&["-l", "-L", "--files-with-matches", "--files"]);
    let counts = ["-q", "--quiet", "--silent", "-c", "--count"];
    let how = if lists || options.has(&counts) {
        Use::Looks
    } else {
        Use::Shows
    };
    let nothing_piped = call.stdin.text.as_deref().is_none_or(str::is_empty);
    if operands.is_empty() && recursive && nothing_piped {
        out.stdout.taint = call.stdin.taint.clone();
        out.stdout.taint.file.get_or_insert_with(|| ".".to_owned());
    } else {
        let input = gather(call, operands, how, &mut out);
        if operands.is_empty() {
            out.stdout.text = input
                .text
                .as_deref()
                .and_then(|t| matching(call, &options, t));
        }
        out.stdout.taint = input.taint;
    }
    hunt(call, &options, operands, &mut out);
    if lists {
        out.stdout.text = Some(listing(operands));
    }
    if let Some(program) = value_arg(&options, &["--pre"]) {
        out.runs.push(Run::Command {
            words: vec![program],
            stdin: Stream::empty(),
        });
    }
    Some(out)
}

/// Names under the folders searched, one line for each.
pub(super) fn listing(folders: &[&Arg]) -> String {
    if folders.is_empty() {
        return format!("./{UNKNOWN}\n");
    }
    let lines = folders.iter().map(|folder| {
        let folder = folder.text.trim_end_matches('/');
        format!("{folder}/{UNKNOWN}\n")
    });
    lines.collect()
}

/// The lines of a known text that match, where options and pattern are simple.
fn matching(call: &Call, options: &Options, text: &str) -> Option<String> {
    let simple =
        "-i -v -E -F -e -a -h --ignore-case --invert-match --regexp --color --line-buffered";
    let known = |(name, _, value): &(String, _, String)| {
        is_any(simple, name) || (name.len() > 2 && value.is_empty() && !name.starts_with("--"))
    };
    if !options.options.iter().all(known) || options.values(&["-e", "--regexp"]).count() > 1 {
        return None;
    }
    let wanted = options.value(&["-e", "--regexp"]);
    let wanted = exact(wanted.or_else(|| options.operand(0))?)?;
    let fold = options.has(&["-i", "--ignore-case"]);
    let fixed = options.has(&["-F"]) || call.name == "fgrep";
    let extended = options.has(&["-E"]) || !call.name.ends_with("grep") || call.name == "egrep";
    let pattern = if fixed {
        Pattern::fixed(wanted, fold)?
    } else {
        Pattern::read(wanted, extended, fold)?
    };
    let others = options.has(&["-v", "--invert-match"]);
    let (mut kept, mut steps) = (String::new(), 0);
    for line in text.lines() {
        // What is not known of a line may match.
        let found = pattern.is_in(exact(line)?, &mut steps)?;
        if found != others {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    Some(kept)
}

/// Looking for passwords all over a home folder or the system.
fn hunt(call: &Call, options: &Options, folders: &[&Arg], out: &mut Outcome) {
    let patterns = options
        .values(&["-e", "--regexp"])
        .chain(options.operand(0));
    let words =
        "password passwd secret api_key apikey api-key token private key aws_ akia credential";
    let wanted = patterns.map(str::to_ascii_lowercase).any(|pattern| {
        let mut words = words.split_ascii_whitespace();
        words.any(|word| pattern.contains(word))
    });
    if !wanted {
        return;
    }
    let wide = folders.iter().find(|folder| {
        let area = call.place(&folder.text).area;
        matches!(area, Area::Root | Area::HomeRoot)
            || (area == Area::System
                && matches!(folder.text.trim_end_matches('/'), "/etc" | "/var"))
    });
    if let Some(folder) = wide {
        let effect = Effect::new(
            Kind::TouchSecret,
            Harm::Medium,
            call.path(&folder.text),
            "secret:hunt",
            "looks for passwords and keys everywhere",
        );
        out.stdout
            .taint
            .secret
            .get_or_insert_with(|| folder.text.clone());
        out.add(effect, folder);
    }
}
