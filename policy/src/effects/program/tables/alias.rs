// SPDX-License-Identifier: Apache-2.0
//! `git -c alias.p='push -f' p origin main`: the command that an alias of the same line stands for.

use super::super::super::word::{Arg, Stream};
use super::super::{Call, Outcome, Run};

/// The command behind an alias that the line itself defines, if it uses one.
pub(super) fn git(call: &Call) -> Option<Outcome> {
    let settings = call.args.windows(2).filter_map(|pair| {
        let [option, setting] = pair else { return None };
        let (name, value) = setting.text.strip_prefix("alias.")?.split_once('=')?;
        (option.text == "-c").then_some((name, value))
    });
    for (name, value) in settings {
        let used = call.args.iter().position(|arg| arg.text == name);
        let Some(rest) = used.and_then(|at| call.args.get(at.saturating_add(1)..)) else {
            continue;
        };
        if value.starts_with('!') {
            continue;
        }
        let words = ["git"].into_iter().chain(value.split_whitespace());
        let words = words.map(Arg::known).chain(rest.iter().cloned());
        return Some(Outcome {
            runs: vec![Run::Command {
                words: words.collect(),
                stdin: Stream::empty(),
            }],
            ..Outcome::default()
        });
    }
    None
}
