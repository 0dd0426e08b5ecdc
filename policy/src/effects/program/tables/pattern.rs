// SPDX-License-Identifier: Apache-2.0
//! Patterns of words: globs with `*`, and paths of sub-commands.

use super::super::super::word::UNKNOWN;

/// How many words `**` may stand for.
const DEEP: usize = 4;

/// Last words of sub-commands that only look.
const LOOKS: [&str; 7] = ["ls", "list", "status", "info", "stats", "help", "version"];

/// Whether `text` is as `pattern` says, where `*` is any number of characters. Linear but for one
/// step back to the last `*`, so at worst the product of both lengths.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut star: Option<(&str, &str)> = None;
    loop {
        if let Some(rest) = pattern.strip_prefix('*') {
            star = Some((rest, text));
            pattern = rest;
            continue;
        }
        match (pattern.chars().next(), text.chars().next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b => {
                pattern = &pattern[a.len_utf8()..];
                text = &text[b.len_utf8()..];
            }
            _ => {
                let Some((after, tried)) = star else {
                    return false;
                };
                let Some(skipped) = tried.chars().next() else {
                    return false;
                };
                let tried = &tried[skipped.len_utf8()..];
                star = Some((after, tried));
                (pattern, text) = (after, tried);
            }
        }
    }
}

/// Several globs of which one must match. `<unknown>` is a word nothing is known of, `<star>` a `*`.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs(Vec<String>);

impl Globs {
    /// Globs apart by `|` or white space.
    pub(super) fn parse(text: &str) -> Self {
        let globs = text.split(|c: char| c == '|' || c.is_whitespace());
        Self(
            globs
                .filter(|glob| !glob.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.as_str() {
            "<unknown>" => text.trim_matches(UNKNOWN).is_empty() && !text.is_empty(),
            "<star>" => text == "*",
            pattern => glob(pattern, text),
        })
    }
}

/// One step of a path.
#[derive(Clone, Debug)]
enum Step {
    Word(Globs),
    Deep,
}

/// A path of sub-commands: `stash/drop|clear`.
#[derive(Clone, Debug)]
pub(super) struct Path(Vec<Step>);

impl Path {
    fn parse(text: &str) -> Self {
        let steps = text.split('/').map(|step| match step {
            "**" => Step::Deep,
            step => Step::Word(Globs::parse(step)),
        });
        Self(steps.collect())
    }

    /// Whether it ends in whatever word: `team/*`.
    fn open(&self) -> bool {
        matches!(self.0.last(), Some(Step::Word(globs)) if globs.0 == ["*"])
    }

    /// How many of the first words the path takes, if it matches.
    fn length(&self, words: &[String]) -> Option<usize> {
        length(&self.0, words, 0)
    }
}

/// Tables are bounded in steps, and `**` in words, so the recursion is as deep as a path is long.
fn length(steps: &[Step], words: &[String], at: usize) -> Option<usize> {
    let Some((step, steps)) = steps.split_first() else {
        return Some(at);
    };
    match step {
        Step::Word(globs) => {
            let word = words.get(at)?;
            globs.matches(word).then_some(())?;
            length(steps, words, at + 1)
        }
        Step::Deep => (at..=at + DEEP).find_map(|at| length(steps, words, at)),
    }
}

/// Paths of which one must match; no path at all matches everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths(Vec<Path>);

impl Paths {
    /// Most steps of a path.
    pub(super) const STEPS: usize = 8;

    /// Paths apart by white space.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.split_whitespace().map(Path::parse).collect())
    }

    /// The longest path's steps.
    pub(super) fn steps(&self) -> usize {
        let steps = self.0.iter().map(|path| path.0.len());
        steps.max().unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same as [`Self::length`], but a last `*` is none of the words that only look: a rule for
    /// `team/*` does not speak of `team ls`.
    pub(super) fn length_of_change(&self, words: &[String]) -> Option<usize> {
        if self.is_empty() {
            return Some(0);
        }
        self.0.iter().find_map(|path| {
            let length = path.length(words)?;
            let last = length.checked_sub(1).and_then(|at| words.get(at));
            let looks = last.is_some_and(|word| LOOKS.contains(&word.as_str()));
            (!(looks && path.open())).then_some(length)
        })
    }

    /// How many of the first words belong to the path, if one matches.
    pub(super) fn length(&self, words: &[String]) -> Option<usize> {
        if self.is_empty() {
            return Some(0);
        }
        self.0.iter().find_map(|path| path.length(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_written() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abcc", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b", "abx", false),
            ("", "", true),
            ("", "a", false),
            ("+*", "+main", true),
        ] {
            assert_eq!(glob(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn paths_take_the_words_they_name() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (path, line, wanted) in [
            ("stash/drop|clear", "stash clear", Some(2)),
            ("stash/drop|clear", "stash list", None),
            ("**/delete", "compute instances delete vm", Some(3)),
            ("**/delete", "delete", Some(1)),
            ("**/delete", "a b c d e delete", None),
            ("a b", "b x", Some(1)),
            ("", "b x", Some(0)),
        ] {
            assert_eq!(Paths::parse(path).length(&words(line)), wanted, "{path}");
        }
        for (path, line, wanted) in [
            ("team/*", "team ls", None),
            ("team/*", "team add", Some(2)),
            ("team/ls", "team ls", Some(2)),
            ("team/* team", "team ls", Some(1)),
        ] {
            let found = Paths::parse(path).length_of_change(&words(line));
            assert_eq!(found, wanted, "{path} {line}");
        }
    }
}
