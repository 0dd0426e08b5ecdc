// SPDX-License-Identifier: Apache-2.0
//! The examples of a table against its rules.

use super::super::super::place::Setting;
use super::super::super::word::{Arg, Stream, UNKNOWN};
use super::super::{Call, NoFiles};
use super::table::{Table, TableError, read};

/// Every rule matches its examples and none of its counter-examples; those that do not hold.
pub(super) fn examples(
    text: &str,
    file: &str,
    table: &Table,
) -> Result<Vec<TableError>, TableError> {
    let mut wrong = Vec::new();
    for tool in read(text, file)?.tool {
        let name = tool.names.split_whitespace().next().unwrap_or_default();
        let rules = tool.rule.iter();
        let rules = rules.map(|rule| (&rule.id, &rule.examples, &rule.counter));
        let phrases = tool.phrase.iter();
        let phrases = phrases.map(|rule| (&rule.id, &rule.examples, &rule.counter));
        for (id, examples, counter) in rules.chain(phrases) {
            let rule = format!("{name}:{id}");
            let wanted = examples.iter().map(|example| (example, true));
            let unwanted = counter.iter().map(|example| (example, false));
            for (example, wanted) in wanted.chain(unwanted) {
                if matches(table, &rule, example) != wanted {
                    wrong.push(TableError::Example {
                        file: file.to_owned(),
                        rule: rule.clone(),
                        example: example.clone(),
                        wanted,
                    });
                }
            }
        }
    }
    Ok(wrong)
}

fn matches(table: &Table, rule: &str, example: &str) -> bool {
    let (words, stdin) = split(example);
    let Some((program, args)) = words.split_first() else {
        return false;
    };
    let setting = Setting::default();
    let call = Call {
        name: program.text.rsplit('/').next().unwrap_or_default(),
        args,
        stdin: &stdin,
        cwd: Some("/workspace"),
        setting: &setting,
        files: &NoFiles,
    };
    let outcome = table.judge(&call).unwrap_or_default();
    outcome.effects.iter().any(|effect| effect.rule == rule)
}

/// The words of an example: quotes hold words together, `$NAME` and `$(…)` are unknown, `<<<`
/// gives the next word as stdin. Examples need no more of the shell.
pub(in super::super) fn split(line: &str) -> (Vec<Arg>, Stream) {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                push(&mut words, &mut open, None);
            }
            (None, c) if c.is_whitespace() => open = false,
            (None | Some('"'), '$') => {
                let mut depth = 0;
                while let Some(c) = rest.peek() {
                    depth += i32::from(*c == '(');
                    depth -= i32::from(*c == ')');
                    let inside = depth > 0 || *c == ')';
                    if !(inside || c.is_alphanumeric() || *c == '_') {
                        break;
                    }
                    rest.next();
                }
                push(&mut words, &mut open, Some(UNKNOWN));
            }
            (_, c) => push(&mut words, &mut open, Some(c)),
        }
    }
    let stdin = words.iter().position(|word| word == "<<<");
    let stdin = stdin.map(|at| {
        let text = words.get(at + 1).cloned().unwrap_or_default();
        words.truncate(at);
        Stream::known(text)
    });
    let words = words.iter().map(|word| Arg::known(word)).collect();
    (words, stdin.unwrap_or_default())
}

/// Adds a character to the open word, opening one if none is.
fn push(words: &mut Vec<String>, open: &mut bool, c: Option<char>) {
    if !std::mem::replace(open, true) {
        words.push(String::new());
    }
    if let (Some(word), Some(c)) = (words.last_mut(), c) {
        word.push(c);
    }
}
