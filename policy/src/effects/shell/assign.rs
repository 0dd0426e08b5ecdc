// SPDX-License-Identifier: Apache-2.0
//! Assignments, `export`, `local`, `unset`, and variables whose value is a command or changes what
//! other programs run.

use tree_sitter::Node;

use super::super::program::tables::settings;
use super::super::word::Stream;
use super::super::{Effect, Harm, Kind, Span, Target};
use super::expand::{source, span};
use super::{Shell, Value, Variable};
use crate::list::is_any;

/// Variables that programs run as a command line.
const COMMANDS: &str = "GIT_SSH_COMMAND GIT_PAGER GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_EXTERNAL_DIFF GIT_ASKPASS \
    SSH_ASKPASS PAGER MANPAGER EDITOR VISUAL BROWSER LESSOPEN PROMPT_COMMAND RSYNC_RSH CARGO_BUILD_RUSTC_WRAPPER \
    RUSTC_WRAPPER";

/// Variables whose value is loaded as code by every program that starts.
const LOADED: &str = "LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES BASH_ENV ENV PYTHONSTARTUP PERL5OPT RUBYOPT \
    GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS";

impl Shell<'_> {
    /// `x=…`, `x+=…`, `x[1]=…`, `x=(…)`.
    pub(super) fn assign(&mut self, node: Node<'_>, src: &str) {
        let Some(name) = node.child_by_field_name("name") else {
            return;
        };
        let (name, index) = match source(name, src).split_once('[') {
            Some((name, index)) => (name, Some(index.trim_end_matches(']'))),
            None => (source(name, src), None),
        };
        let added = source(node, src)
            .get(name.len()..)
            .is_some_and(|rest| rest.starts_with("+="));
        let value = match node.child_by_field_name("value") {
            Some(array) if array.kind() == "array" => {
                let mut cursor = array.walk();
                let words: Vec<_> = array.named_children(&mut cursor).collect();
                let words = words.into_iter().flat_map(|word| {
                    // `([0]=a [1]=b)`
                    let value = word.child_by_field_name("value");
                    let indexed = value.filter(|_| word.kind() == "variable_assignment");
                    let mut words = self.fields(indexed.unwrap_or(word), src);
                    for word in &mut words {
                        let rest = word
                            .text
                            .strip_prefix('[')
                            .and_then(|text| text.split_once("]="));
                        if let Some((_, rest)) = rest.filter(|_| indexed.is_none()) {
                            word.text = rest.to_owned();
                        }
                    }
                    words
                });
                let words: Vec<_> = words.take(super::KEPT).collect();
                Variable::Many(words.iter().map(|word| self.held(word)).collect())
            }
            Some(word) => Variable::One(self.value(word, src)),
            None => Variable::One(Value::default()),
        };
        if let Variable::One(value) = &value {
            self.telling(name, value, span(node));
        }
        self.store(name, index, value, added);
    }

    fn store(&mut self, name: &str, index: Option<&str>, value: Variable, added: bool) {
        let before = self.scope.variables.get(name).cloned();
        let stored = match (before, value, index.map(str::parse::<usize>)) {
            (Some(Variable::Many(mut values)), Variable::One(value), Some(Ok(at))) if at < 64 => {
                values.resize(values.len().max(at + 1), Value::default());
                if let Some(place) = values.get_mut(at) {
                    *place = value;
                }
                Variable::Many(values)
            }
            (_, Variable::One(value), Some(Ok(at))) if at < 64 => {
                let mut values = vec![Value::default(); at];
                values.push(value);
                Variable::Many(values)
            }
            (Some(Variable::One(mut old)), Variable::One(value), None) if added => {
                if old.text.len() + value.text.len() <= super::MADE {
                    old.text.push_str(&value.text);
                }
                old.taint.join(&value.taint);
                Variable::One(old)
            }
            (Some(Variable::Many(mut old)), Variable::Many(values), None) if added => {
                old.extend(values);
                old.truncate(super::KEPT);
                Variable::Many(old)
            }
            (_, value, _) => value,
        };
        if self.scope.variables.len() >= super::KEPT {
            let text = "more variables than are followed";
            self.hard(super::super::Hard::TooMuch, Span::default(), text);
        } else {
            self.scope.variables.insert(name.to_owned(), stored);
        }
    }

    /// What setting a variable by itself does.
    pub(super) fn telling(&mut self, name: &str, value: &Value, at: Span) {
        let is = |list: &str| is_any(list, name);
        let program = Target::Program(value.text.clone());
        // `ENV=production` is what people write; a shell's start-up file is a path.
        let custom = name == "ENV" && !value.text.contains('/');
        // Git sets it for the programs it starts itself.
        let plain = name == "GIT_CONFIG_PARAMETERS" && settings::are_plain(&value.text);
        if is(LOADED) && !value.text.is_empty() && !custom && !plain {
            let why = "has code of its own loaded into every program that starts";
            let rule = "shell:loaded-code";
            self.effect(
                Effect::new(Kind::Execute, Harm::High, program, rule, why),
                at,
            );
        } else if is(COMMANDS) && value.text.contains([' ', ';', '|', '/']) {
            // `LESSOPEN='|command %s'`
            let command = value.text.trim_start_matches(['|', '-']).to_owned();
            self.under(name, |shell| shell.nested(&command, at, &Stream::empty()));
        } else if matches!(name, "HISTFILE" | "HISTSIZE" | "HISTFILESIZE") && !name.is_empty() {
            let hides = matches!(value.text.as_str(), "/dev/null" | "0" | "");
            if hides {
                self.hides_history(at);
            }
        }
    }

    pub(super) fn hides_history(&mut self, at: Span) {
        let why = "keeps what is typed out of the history";
        let effect = Effect::new(
            Kind::Obfuscate,
            Harm::High,
            Target::Nothing,
            "shell:history",
            why,
        );
        self.effect(effect, at);
    }

    /// `export A=1`, `local x`, `declare -a z=(1)`, `unset x`.
    pub(super) fn declare(&mut self, node: Node<'_>, src: &str) -> Stream {
        let unset = node.kind() == "unset_command";
        // `declare -n r=x`: another name of x.
        let refers = source(node, src)
            .split_whitespace()
            .any(|word| word == "-n");
        let mut cursor = node.walk();
        let children: Vec<_> = node.named_children(&mut cursor).collect();
        for child in children {
            match child.kind() {
                "variable_assignment" => {
                    self.assign(child, src);
                    let name = child.child_by_field_name("name");
                    if let Some(name) = name.filter(|_| refers) {
                        let name = source(name, src);
                        let meant = self.lookup(&self.lookup(name).text);
                        self.store(name, None, Variable::One(meant), false);
                    }
                }
                "variable_name" | "word" if unset => {
                    let name = source(child, src);
                    if name == "HISTFILE" {
                        self.hides_history(span(child));
                    }
                    self.scope
                        .variables
                        .insert(name.to_owned(), Variable::One(Value::default()));
                    self.scope.functions.remove(name);
                }
                _ => {
                    // `export "$x"`, `declare "$name=$value"`.
                    for word in self.fields(child, src) {
                        if let Some((name, text)) = word.text.split_once('=') {
                            let value = Value {
                                text: text.to_owned(),
                                taint: word.taint.clone(),
                            };
                            self.telling(name, &value, word.span);
                            self.store(name, None, Variable::One(value), false);
                        }
                    }
                }
            }
        }
        Stream::empty()
    }
}
