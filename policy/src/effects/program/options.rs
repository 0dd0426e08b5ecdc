// SPDX-License-Identifier: Apache-2.0
//! Options and operands of a command line, after the conventions of `getopt_long(3)`: clusters of
//! short options (`-rf`), values joined or apart, abbreviated long options, `--` as the end.

use super::super::word::Arg;

/// A command line taken apart.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// Options in order: `-r`, `--force`, each with its value if it takes one.
    pub options: Vec<(String, Option<&'a Arg>, String)>,
    /// What is no option.
    pub operands: Vec<&'a Arg>,
}

impl<'a> Options<'a> {
    /// Takes `args` apart. `valued` lists the options that take a value, `-n` and `--name` alike.
    #[must_use]
    pub fn scan(args: &'a [Arg], valued: &[&str]) -> Self {
        let mut found = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let text = arg.text.as_str();
            if text == "--" {
                found.operands.extend(rest.by_ref());
            } else if let Some(long) = text.strip_prefix("--") {
                match long.split_once('=') {
                    Some((name, value)) => {
                        found.push(format!("--{name}"), Some(arg), value);
                    }
                    None if valued.contains(&text) => {
                        let value = rest.next();
                        let text = value.map_or("", |value| &value.text);
                        found.push(format!("--{long}"), value, text);
                    }
                    None => found.push(text.to_owned(), None, ""),
                }
            } else if text.len() > 1 && text.starts_with('-') {
                found.cluster(arg, valued, &mut rest);
            } else {
                found.operands.push(arg);
            }
        }
        found
    }

    fn push(&mut self, name: String, arg: Option<&'a Arg>, value: &str) {
        self.options.push((name, arg, value.to_owned()));
    }

    /// `-rf`, `-n5`, `-n 5`, and single-dash long options (`-auto-approve`, `-delete`), which are
    /// kept whole as well as taken apart.
    fn cluster(&mut self, arg: &'a Arg, valued: &[&str], rest: &mut std::slice::Iter<'a, Arg>) {
        let text = arg.text.as_str();
        let (whole, joined) = text.split_once('=').unwrap_or((text, ""));
        if text.chars().count() > 2 {
            let value = (!joined.is_empty()).then_some(arg);
            if valued.contains(&whole) && joined.is_empty() {
                let value = rest.next();
                let text = value.map_or("", |value| &value.text);
                self.push(whole.to_owned(), value, text);
                return;
            }
            self.push(whole.to_owned(), value, joined);
        }
        for (at, letter) in text.char_indices().skip(1) {
            let name = format!("-{letter}");
            if !valued.contains(&name.as_str()) {
                self.push(name, None, "");
                continue;
            }
            let after = &text[at + letter.len_utf8()..];
            if after.is_empty() {
                let value = rest.next();
                let text = value.map_or("", |value| &value.text);
                self.push(name, value, text);
            } else {
                self.push(name, Some(arg), after.trim_start_matches('='));
            }
            return;
        }
    }

    /// Whether any of these options is given. A long one may be abbreviated to no less than four
    /// letters (`--recurs`): shorter ones are mostly ambiguous.
    #[must_use]
    pub fn has(&self, names: &[&str]) -> bool {
        self.options.iter().any(|(given, ..)| {
            names.iter().any(|name| {
                given == name
                    || (given.len() >= 5
                        && name.starts_with("--")
                        && name.starts_with(given.as_str()))
            })
        })
    }

    /// Whether any of these options is given in full. For options that make a command harmless:
    /// an abbreviation must not, and `--force` is none of `--force-with-lease`.
    #[must_use]
    pub fn has_exactly(&self, names: &[&str]) -> bool {
        let mut options = self.options.iter();
        options.any(|(given, ..)| names.contains(&given.as_str()))
    }

    /// The value of the last of these options.
    #[must_use]
    pub fn value(&self, names: &[&str]) -> Option<&str> {
        self.values(names).last()
    }

    /// All values of these options.
    pub fn values(&self, names: &[&str]) -> impl Iterator<Item = &str> {
        self.options
            .iter()
            .filter(move |(given, ..)| names.contains(&given.as_str()))
            .map(|(.., value)| value.as_str())
    }

    /// An operand's text.
    #[must_use]
    pub fn operand(&self, index: usize) -> Option<&str> {
        self.operands.get(index).map(|arg| arg.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<Arg> {
        line.split(' ').map(Arg::known).collect()
    }

    #[test]
    fn clusters_values_abbreviations_and_the_end_are_understood() {
        let line = args("-rf -n5 -o out --name=x --recurs a -- -b");
        let found = Options::scan(&line, &["-n", "-o"]);
        assert!(found.has(&["-r"]) && found.has(&["-f"]));
        assert_eq!(found.value(&["-n"]), Some("5"));
        assert_eq!(found.value(&["-o"]), Some("out"));
        assert_eq!(found.value(&["--name"]), Some("x"));
        assert!(found.has(&["--recursive"]));
        let operands: Vec<_> = found.operands.iter().map(|arg| arg.text.as_str()).collect();
        assert_eq!(operands, ["a", "-b"]);
    }

    #[test]
    fn single_dash_long_options_are_kept_whole() {
        let line = args("destroy -auto-approve -target=x");
        let found = Options::scan(&line, &[]);
        assert!(found.has(&["-auto-approve"]));
        assert_eq!(found.value(&["-target"]), Some("x"));
    }
}
