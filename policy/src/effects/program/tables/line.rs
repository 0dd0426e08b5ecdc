// SPDX-License-Identifier: Apache-2.0
//! A command line taken apart as its tool does: options with the values that the sub-command
//! reached so far gives them, and the rest that is another command's.

use super::super::super::word::Arg;
use super::super::options::Options;
use super::table::Tool;

/// Most arguments that are looked at. More is a way to hide one.
pub(super) const ARGS: usize = 4096;

/// A command line.
#[derive(Debug, Default)]
pub(super) struct Line<'a> {
    pub(super) options: Options<'a>,
    /// The operands' texts, in small letters where the tool does not care.
    pub(super) words: Vec<String>,
    /// What belongs to the command it runs: `docker exec web …`.
    pub(super) rest: &'a [Arg],
    /// There was a `--`.
    pub(super) dashes: bool,
    /// There is a `--` somewhere.
    later: bool,
    /// Not all arguments were looked at.
    pub(super) cut: bool,
}

impl<'a> Line<'a> {
    /// Takes `args` apart.
    pub(super) fn read(tool: &'a Tool, args: &'a [Arg]) -> Self {
        let mut line = Self {
            cut: args.len() > ARGS,
            ..Self::default()
        };
        let args = args.get(..ARGS).unwrap_or(args);
        line.later = args.iter().any(|arg| arg.text == "--");
        let mut valued = values(tool, &line.words);
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            let after = args.get(at + 1..).unwrap_or_default();
            if arg.text == "--" {
                line.dashes = true;
                if line.ends(tool, None) {
                    line.rest = after;
                } else {
                    after.iter().for_each(|arg| line.operand(tool, arg));
                }
                break;
            }
            at += 1;
            if line.joined(tool, arg) {
                continue;
            }
            if arg.text.len() > 1 && arg.text.starts_with('-') {
                at += line.option(args, at - 1, &valued);
                continue;
            }
            if line.ends(tool, Some(0)) {
                line.rest = args.get(at - 1..).unwrap_or_default();
                break;
            }
            line.operand(tool, arg);
            // Beyond a path's longest nothing new can match.
            if line.words.len() <= 8 {
                valued = values(tool, &line.words);
            }
            if (1..=2).any(|before| line.ends(tool, Some(before))) {
                let (first, others) = after.split_first().unzip();
                let dashes = first.is_some_and(|arg| arg.text == "--");
                line.rest = others.filter(|_| dashes).unwrap_or(after);
                break;
            }
        }
        line
    }

    fn operand(&mut self, tool: &Tool, arg: &'a Arg) {
        self.options.operands.push(arg);
        self.words.push(if tool.any_case {
            arg.text.to_lowercase()
        } else {
            arg.text.clone()
        });
    }

    /// An option whose value never stands apart: `mysql -psecret`, of which no letter is another.
    fn joined(&mut self, tool: &Tool, arg: &'a Arg) -> bool {
        let found = tool.joined.iter().find_map(|name| {
            let value = arg.text.strip_prefix(name.as_str())?;
            (!value.is_empty()).then(|| (name.clone(), Some(arg), value.to_owned()))
        });
        let any = found.is_some();
        self.options.options.extend(found);
        any
    }

    /// Reads the option at `at`; how many arguments its value takes.
    fn option(&mut self, args: &'a [Arg], at: usize, valued: &[&str]) -> usize {
        let alone = Options::scan(args.get(at..=at).unwrap_or_default(), valued);
        let waits = alone
            .options
            .last()
            .is_some_and(|(name, value, _)| value.is_none() && valued.contains(&name.as_str()));
        let pair = args.get(at..=at + 1).filter(|_| waits);
        let taken = usize::from(pair.is_some());
        let found = pair.map_or(alone, |pair| Options::scan(pair, valued));
        self.options.options.extend(found.options);
        taken
    }

    /// Whether what follows is another command's, so many operands after the path. With none, the
    /// tool's own options still go before it; after `--` the count does not matter.
    fn ends(&self, tool: &Tool, counted: Option<usize>) -> bool {
        tool.codes.iter().any(|code| {
            let (Some(after), Some(length)) = (code.after, code.paths.length(&self.words)) else {
                return false;
            };
            let right = |wanted| after == wanted && self.words.len() == length + after;
            counted.is_none_or(|wanted| right(wanted) && !(code.dashes && self.later))
        })
    }

    /// Whether one of these is given; `--` stands for itself.
    pub(super) fn has(&self, names: &[String]) -> bool {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.options.has(&names) || (self.dashes && names.contains(&"--"))
    }

    /// Whether one of these is given in full and not switched off.
    pub(super) fn has_exactly(&self, names: &[String]) -> bool {
        let mut on = false;
        for (given, value, text) in &self.options.options {
            if names.contains(given) {
                on = value.is_none() || !matches!(text.as_str(), "none" | "false" | "no" | "0");
            } else if let Some(name) = given.strip_prefix("--no-") {
                let undone = |listed: &String| listed.strip_prefix("--") == Some(name);
                on = on && !names.iter().any(undone);
            }
        }
        on || (self.dashes && names.iter().any(|name| name == "--"))
    }

    /// Values of these options as arguments of their own.
    pub(super) fn values(&self, names: &[String]) -> Vec<Arg> {
        let given = self.options.options.iter();
        given
            .filter(|(name, ..)| names.contains(name))
            .filter_map(|(_, arg, text)| {
                arg.map(|arg| Arg {
                    text: text.clone(),
                    ..arg.clone()
                })
            })
            .collect()
    }
}

/// Options with values, as far as the sub-command is known.
fn values<'t>(tool: &'t Tool, words: &[String]) -> Vec<&'t str> {
    let subs = tool.subvalues.iter();
    let subs = subs.filter(|sub| {
        let length = sub.paths.length(words);
        length.is_some_and(|length| !sub.right || length == words.len())
    });
    let all = tool.values.iter();
    let all = all.chain(subs.flat_map(|sub| &sub.options));
    all.map(String::as_str).collect()
}
