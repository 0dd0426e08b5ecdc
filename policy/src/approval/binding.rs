// SPDX-License-Identifier: Apache-2.0
//! What an approval binds: one digest over everything that says what runs.
//!
//! Words or text, folder, names of the environment, interpreter, and the bytes of every script
//! that was read. The agent's reason is no part of it: it changes nothing that runs.
//!
//! Each part is written with its tag and its length before it, each list with its count, so that
//! no two different inputs give the same bytes: `["a b"]` is not `["a", "b"]`, and no folder is
//! not the empty one.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::action::{Act, Action};
use crate::effects::{Analysis, Script};

/// What the digest is for, and the version of what it covers.
const DOMAIN: &[u8] = b"ampoule approval binding 1";

/// The digest of what was judged. Only the same again is what was approved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Binding([u8; 32]);

/// Not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a binding has 64 hexadecimal digits in lower case")]
pub struct NotABinding;

impl Binding {
    /// Of an action, the scripts that were read with it and the interpreter that runs it, if one
    /// was found.
    #[must_use]
    pub fn of(action: &Action, analysis: &Analysis, interpreter: Option<&str>) -> Self {
        let mut canon = Canon(Sha256::new());
        canon.part(b'D', DOMAIN);
        canon.act(&action.act);
        canon.maybe(b'd', action.cwd.as_deref());
        // Sorted: their order decides nothing of what runs, and neither does a repetition.
        let names: BTreeSet<&str> = action.env.iter().map(String::as_str).collect();
        canon.list(b'e', names.iter().copied());
        canon.maybe(b'i', interpreter);
        let scripts: BTreeSet<&Script> = analysis.scripts.iter().collect();
        canon.count(b's', scripts.len());
        for script in scripts {
            canon.part(b'p', script.path.as_bytes());
            canon.part(b'h', script.digest.as_bytes());
        }
        Self(canon.0.finalize().into())
    }
}

/// Writes parts so that they can be told apart.
struct Canon(Sha256);

impl Canon {
    fn count(&mut self, tag: u8, count: usize) {
        self.0.update([tag]);
        // No machine has more than 64 bits of length.
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.update(count.to_be_bytes());
    }

    fn part(&mut self, tag: u8, bytes: &[u8]) {
        self.count(tag, bytes.len());
        self.0.update(bytes);
    }

    fn maybe(&mut self, tag: u8, text: Option<&str>) {
        self.list(tag, text.into_iter());
    }

    fn list<'a>(&mut self, tag: u8, texts: impl Iterator<Item = &'a str> + Clone) {
        self.count(tag, texts.clone().count());
        for text in texts {
            self.part(b'.', text.as_bytes());
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Exec(words) => self.list(b'X', words.iter().map(String::as_str)),
            Act::Shell(text) => self.part(b'S', text.as_bytes()),
            Act::Write(write) => {
                self.part(b'W', write.path.as_bytes());
                self.maybe(b'c', write.content.as_deref());
            }
            Act::Patch(diff) => self.part(b'P', diff.as_bytes()),
            Act::Delete(paths) => self.list(b'R', paths.iter().map(String::as_str)),
            Act::Request(request) => {
                self.part(b'Q', request.method.as_bytes());
                self.part(b'u', request.url.as_bytes());
                self.maybe(b'c', request.body.as_deref());
            }
            Act::Install(install) => {
                self.part(b'I', install.manager.as_bytes());
                self.list(b'k', install.packages.iter().map(String::as_str));
            }
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({self})")
    }
}

impl FromStr for Binding {
    type Err = NotABinding;

    fn from_str(text: &str) -> Result<Self, NotABinding> {
        let digit = |byte: &u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits: Option<Vec<u8>> = text.as_bytes().iter().map(digit).collect();
        let digits = digits.ok_or(NotABinding)?;
        let (pairs, []) = digits.as_chunks::<2>() else {
            return Err(NotABinding);
        };
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        bytes.try_into().map(Self).map_err(|_| NotABinding)
    }
}

impl TryFrom<String> for Binding {
    type Error = NotABinding;
    fn try_from(text: String) -> Result<Self, NotABinding> {
        text.parse()
    }
}

impl From<Binding> for String {
    fn from(binding: Binding) -> Self {
        binding.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{FileWrite, Install, Request};
    use proptest::prelude::*;

    fn exec(words: &[&str]) -> Action {
        Action::of(Act::Exec(words.iter().map(|&word| word.into()).collect()))
    }

    fn bind(action: &Action) -> Binding {
        Binding::of(action, &Analysis::default(), None)
    }

    fn script(path: &str, digest: &str) -> Script {
        Script {
            path: path.into(),
            digest: digest.into(),
        }
    }

    #[test]
    fn any_change_of_what_runs_is_another_binding() {
        let action = exec(&["sh", "x.sh"]);
        let analysis = Analysis {
            scripts: vec![script("x.sh", "aa")],
            ..Analysis::default()
        };
        let with = |change: fn(&mut Action)| {
            let mut action = action.clone();
            change(&mut action);
            Binding::of(&action, &analysis, Some("/bin/sh"))
        };
        let scripts = |scripts: Vec<Script>| {
            let analysis = Analysis {
                scripts,
                ..Analysis::default()
            };
            Binding::of(&action, &analysis, Some("/bin/sh"))
        };
        let all = [
            with(|_| {}),
            with(|a| a.act = Act::Exec(vec!["sh".into(), "y.sh".into()])),
            with(|a| a.act = Act::Shell("sh x.sh".into())),
            with(|a| a.cwd = Some("/w".into())),
            with(|a| a.cwd = Some(String::new())),
            with(|a| a.env = vec!["PATH".into()]),
            with(|a| a.env = vec!["PATH".into(), "A".into()]),
            Binding::of(&action, &analysis, Some("/bin/bash")),
            Binding::of(&action, &analysis, None),
            scripts(vec![]),
            scripts(vec![script("x.sh", "ab")]),
            scripts(vec![script("x.s", "haa")]),
            scripts(vec![script("x.sh", "aa"), script("y.sh", "aa")]),
        ];
        let distinct: BTreeSet<&Binding> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn order_of_names_and_the_reason_change_nothing() {
        let mut one = exec(&["make"]);
        one.env = vec!["A".into(), "B".into()];
        let mut other = one.clone();
        other.env = vec!["B".into(), "A".into(), "A".into()];
        other.reason = Some("trust me".into());
        assert_eq!(bind(&one), bind(&other));
    }

    #[test]
    fn acts_of_the_same_words_are_told_apart() {
        let text = || "a".to_owned();
        let acts = [
            Act::Exec(vec![text()]),
            Act::Shell(text()),
            Act::Patch(text()),
            Act::Delete(vec![text()]),
            Act::Write(FileWrite {
                path: text(),
                content: None,
            }),
            Act::Write(FileWrite {
                path: text(),
                content: Some(String::new()),
            }),
            Act::Request(Request {
                method: text(),
                url: text(),
                body: None,
            }),
            Act::Install(Install {
                manager: text(),
                packages: vec![text()],
            }),
        ];
        let count = acts.len();
        let all: BTreeSet<Binding> = acts.map(|act| bind(&Action::of(act))).into();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_binding_reads_back_and_nothing_else_does() {
        let binding = bind(&exec(&["ls"]));
        assert_eq!(binding.to_string().parse(), Ok(binding));
        let text = binding.to_string();
        for wrong in [&text[1..], &text[2..], "", &text.to_uppercase(), "é"] {
            assert!(wrong.parse::<Binding>().is_err(), "{wrong}");
        }
    }

    /// Short words of few letters, so that moving a letter from one part to the next is likely.
    fn word() -> impl Strategy<Value = String> {
        "[ab.]{0,3}"
    }

    prop_compose! {
        fn input()(
            words in prop::collection::vec(word(), 1..4),
            shell in any::<bool>(),
            cwd in prop::option::of(word()),
            env in prop::collection::btree_set(word(), 0..3),
            interpreter in prop::option::of(word()),
            scripts in prop::collection::btree_set((word(), word()), 0..3),
        ) -> (Action, Vec<Script>, Option<String>) {
            let act = if shell { Act::Shell(words.concat()) } else { Act::Exec(words) };
            let mut action = Action::of(act);
            action.cwd = cwd;
            action.env = env.into_iter().collect();
            let scripts = scripts.iter().map(|(path, digest)| script(path, digest)).collect();
            (action, scripts, interpreter)
        }
    }

    /// The same letters, cut into parts in some way.
    fn cut(letters: &str, mut cuts: Vec<usize>) -> (Action, Vec<Script>, Option<String>) {
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([letters.len()]);
        let parts: Vec<&str> = (std::iter::once(0).chain(cuts.iter().copied()).zip(ends))
            .map(|(from, to)| &letters[from..to])
            .collect();
        let [first, second, cwd, name, interpreter, path, digest] = parts.try_into().unwrap();
        let mut action = exec(&[first, second]);
        action.cwd = Some(cwd.into());
        action.env = vec![name.into()];
        (action, vec![script(path, digest)], Some(interpreter.into()))
    }

    fn bind_all(input: &(Action, Vec<Script>, Option<String>)) -> Binding {
        let analysis = Analysis {
            scripts: input.1.clone(),
            ..Analysis::default()
        };
        Binding::of(&input.0, &analysis, input.2.as_deref())
    }

    proptest! {
        #[test]
        fn different_inputs_never_collide(one in input(), other in input()) {
            prop_assert_eq!(one == other, bind_all(&one) == bind_all(&other));
        }

        #[test]
        fn the_same_letters_cut_otherwise_never_collide(
            letters in "[a.\u{0}]{4}",
            cuts in prop::collection::vec(prop::collection::vec(0usize..=4, 6), 2),
        ) {
            let all: Vec<_> = cuts.into_iter().map(|cuts| cut(&letters, cuts)).collect();
            prop_assert_eq!(all[0] == all[1], bind_all(&all[0]) == bind_all(&all[1]));
        }
    }
}
