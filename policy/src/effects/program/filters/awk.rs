// SPDX-License-Identifier: Apache-2.0
//! `awk` as a filter: programs that print fields are computed. Programs that run commands or write
//! files are code, which `interpreters` hands on.

use super::super::options::Options;
use super::super::{Call, Outcome};
use super::input::{MOST, exact};
use super::pattern::Pattern;
use super::{filter, printf, scan};
use crate::effects::word::Arg;

/// A call of `awk`, taken apart.
#[derive(Debug)]
pub(in crate::effects::program) struct Awk<'a> {
    /// Its program.
    pub(in crate::effects::program) program: Option<&'a Arg>,
    /// Files its program is in.
    pub(in crate::effects::program) scripts: Vec<Arg>,
    /// Files it reads.
    pub(in crate::effects::program) files: Vec<&'a Arg>,
    options: Options<'a>,
}

/// Takes a call apart.
pub(in crate::effects::program) fn split<'a>(args: &'a [Arg]) -> Awk<'a> {
    let valued =
        "-F --field-separator -v --assign -f --file -e --source -i --include -l --load -E --exec";
    // What follows the program is the program's, options included.
    let options = scan(args, valued);
    let mut scripts = Vec::new();
    let mut program = None;
    for (name, arg, value) in &options.options {
        match (name.as_str(), arg) {
            ("-f" | "--file" | "-E" | "--exec", Some(arg)) => scripts.push(Arg {
                text: value.clone(),
                ..(*arg).clone()
            }),
            ("-e" | "--source", Some(arg)) => program = Some(*arg),
            _ => {}
        }
    }
    let mut files = options.operands.clone();
    if scripts.is_empty() && program.is_none() && !files.is_empty() {
        program = Some(files.remove(0));
    }
    // Operands that assign variables are no files.
    files.retain(|arg| !arg.text.contains('='));
    Awk {
        program,
        scripts,
        files,
        options,
    }
}

/// Whether a program runs commands, reads other files or writes any.
pub(in crate::effects::program) fn runs_code(program: &str) -> bool {
    let code = outside_strings(program);
    let pipes = code.replace("||", "").contains('|');
    let mut prints = code.match_indices("print").map(|(at, _)| at);
    let writes = prints.any(|at| {
        let statement = code.get(at..).unwrap_or_default();
        let end = statement.find([';', '}', '\n']).unwrap_or(statement.len());
        statement.get(..end).unwrap_or_default().contains('>')
    });
    pipes
        || writes
        || ["system", "getline", "@load", "@include"]
            .iter()
            .any(|word| code.contains(word))
}

/// A program without what is in its strings and patterns.
fn outside_strings(program: &str) -> String {
    let mut code = String::new();
    let mut letters = program.chars();
    while let Some(letter) = letters.next() {
        let before = code.trim_end().chars().last();
        let value = before.is_some_and(|last| last.is_alphanumeric() || ")]_$".contains(last));
        let opens = letter == '"' || (letter == '/' && !value);
        code.push(letter);
        if !opens {
            continue;
        }
        while let Some(inner) = letters.next() {
            if inner == '\\' {
                letters.next();
            } else if inner == letter {
                break;
            }
        }
        // Whatever follows, a closed string is a value.
        code.push(if letter == '"' { '"' } else { ' ' });
    }
    code
}

/// A filter, or nothing when its program is code to look into.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let awk = split(call.args);
    let program = awk.program?;
    if !awk.scripts.is_empty() || program.is_unknown() || runs_code(&program.text) {
        return None;
    }
    let assigns = awk.options.has(&["-v", "--assign"]);
    let separator = awk.options.value(&["-F", "--field-separator"]);
    let print = Print::read(&program.text).filter(|_| !assigns);
    if let Some(text) = print.as_ref().filter(|print| print.begin) {
        let mut out = Outcome::default();
        out.stdout.text = text.line("", separator, 0);
        return Some(out);
    }
    Some(filter(call, &awk.files, |text| {
        let print = print?;
        let (mut printed, mut steps) = (String::new(), 0);
        for (at, line) in exact(text)?.lines().enumerate() {
            if print.selects(line, at + 1, &mut steps)? {
                printed.push_str(&print.line(line, separator, at + 1)?);
            }
            if printed.len() > MOST {
                return None;
            }
        }
        Some(printed)
    }))
}

/// `/x/ {print $1, "y"}`.
struct Print {
    begin: bool,
    row: Option<usize>,
    pattern: Option<Pattern>,
    formatted: bool,
    items: Vec<Vec<Item>>,
}

enum Item {
    Text(String),
    Field(usize),
    Last,
    Row,
}

impl Print {
    fn read(program: &str) -> Option<Self> {
        let program = program.trim();
        let (head, body) = program.split_once('{').unwrap_or((program, "print}"));
        let body = body.strip_suffix('}')?.trim().trim_end_matches(';').trim();
        let (mut begin, mut row, mut pattern) = (false, None, None);
        match head.trim() {
            "" | "1" => {}
            "BEGIN" => begin = true,
            head => {
                if let Some(number) = head.strip_prefix("NR") {
                    let number = number.trim().strip_prefix("==")?;
                    row = Some(number.trim().parse().ok()?);
                } else {
                    let inner = head.strip_prefix('/')?.strip_suffix('/')?;
                    pattern = Some(Pattern::read(inner, true, false)?);
                }
            }
        }
        let (formatted, list) = match body.strip_prefix("printf") {
            Some(list) => (true, list),
            None => (false, body.strip_prefix("print")?),
        };
        let list = list.trim();
        let inner = list
            .strip_prefix('(')
            .and_then(|list| list.strip_suffix(')'));
        let mut items = items(inner.unwrap_or(list))?;
        if items.is_empty() {
            items.push(vec![Item::Field(0)]);
        }
        Some(Self {
            begin,
            row,
            pattern,
            formatted,
            items,
        })
    }

    fn selects(&self, line: &str, row: usize, steps: &mut usize) -> Option<bool> {
        if self.row.is_some_and(|wanted| wanted != row) {
            return Some(false);
        }
        let pattern = self.pattern.as_ref();
        pattern.map_or(Some(true), |pattern| pattern.is_in(line, steps))
    }

    fn line(&self, line: &str, separator: Option<&str>, row: usize) -> Option<String> {
        let fields: Vec<&str> = match separator {
            None | Some(" ") => line.split_ascii_whitespace().collect(),
            Some("\\t") => line.split('\t').collect(),
            Some("\\|" | "[|]") => line.split('|').collect(),
            Some(one) if one.len() == 1 && one != "." => line.split(one).collect(),
            Some(_) => return None,
        };
        let text = |item: &Item| match item {
            Item::Text(text) => text.clone(),
            Item::Field(0) => line.to_owned(),
            Item::Field(at) => fields
                .get(at - 1)
                .map_or_else(String::new, |f| (*f).to_owned()),
            Item::Last => fields.last().map_or_else(String::new, |f| (*f).to_owned()),
            Item::Row => row.to_string(),
        };
        let values = self.items.iter();
        let values: Vec<String> = values
            .map(|parts| parts.iter().map(text).collect())
            .collect();
        if self.formatted {
            let (format, values) = values.split_first()?;
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            return printf::format(format, &values);
        }
        Some(values.join(" ") + "\n")
    }
}

/// Most values that a program prints in a line and is followed for.
const ITEMS: usize = 64;

/// Expressions apart by commas, each of values side by side.
fn items(list: &str) -> Option<Vec<Vec<Item>>> {
    let mut found: Vec<Vec<Item>> = Vec::new();
    let mut rest = list.trim_start();
    if rest.is_empty() {
        return Some(found);
    }
    found.push(Vec::new());
    while let Some(first) = rest.chars().next() {
        let item;
        (item, rest) = match first {
            ',' if found.len() < ITEMS => {
                found.push(Vec::new());
                rest = rest.get(1..)?.trim_start();
                continue;
            }
            '"' => string(rest.get(1..)?)?,
            '$' => {
                let rest = rest.get(1..)?;
                if let Some(after) = rest.strip_prefix("NF") {
                    (Item::Last, after)
                } else {
                    let end = rest
                        .find(|c: char| !c.is_ascii_digit())
                        .unwrap_or(rest.len());
                    (
                        Item::Field(rest.get(..end)?.parse().ok()?),
                        rest.get(end..)?,
                    )
                }
            }
            'N' => (Item::Row, rest.strip_prefix("NR")?),
            '0'..='9' => {
                let end = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                (Item::Text(rest.get(..end)?.to_owned()), rest.get(end..)?)
            }
            _ => return None,
        };
        let parts = found.last_mut()?;
        parts.push(item);
        if parts.len() > ITEMS {
            return None;
        }
        rest = rest.trim_start();
        if rest.starts_with(|c: char| c.is_ascii_alphabetic() && c != 'N') {
            return None;
        }
    }
    Some(found)
}

/// A string after its opening quote, and what follows it.
fn string(text: &str) -> Option<(Item, &str)> {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => {
                let inner = text.get(..at)?;
                let (bytes, _) = super::echo::unescape(inner, super::echo::Octal::Any);
                let text_of = String::from_utf8(bytes).ok()?;
                return Some((Item::Text(text_of), text.get(at + 1..)?));
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}
