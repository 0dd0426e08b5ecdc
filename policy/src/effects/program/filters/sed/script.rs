// SPDX-License-Identifier: Apache-2.0
//! A script of `sed`, taken apart.

use super::super::input::MOST;
use super::super::pattern::Pattern;
use crate::effects::word::UNKNOWN;

/// Longest replacement that is followed.
const LONGEST: usize = 1 << 10;

/// Most commands of a script that are followed.
const COMMANDS: usize = 256;

/// The commands of a script.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) commands: Vec<Command>,
    /// It does more than is computed here, so that its output is not known.
    pub(super) opaque: bool,
}

/// A command and the lines it is for.
#[derive(Debug)]
pub(super) struct Command {
    from: Option<Address>,
    to: Option<Address>,
    others: bool,
    pub(super) what: What,
}

#[derive(Debug)]
enum Address {
    Line(usize),
    Last,
    Match(Option<Pattern>),
}

/// What a command does.
#[derive(Debug)]
pub(super) enum What {
    Delete,
    Print,
    Quit,
    Substitute(Substitute),
    Letters(Vec<char>, Vec<char>),
    /// Runs a command, or the line itself when it is empty.
    Run(String),
    /// Writes lines to a file.
    Write(String),
}

/// `s/…/…/`.
#[derive(Debug)]
pub(super) struct Substitute {
    pattern: Option<Pattern>,
    replacement: Option<Vec<Piece>>,
    all: bool,
    nth: usize,
    print: bool,
    pub(super) runs: bool,
    pub(super) file: Option<String>,
}

#[derive(Debug)]
enum Piece {
    Letter(char),
    Match,
}

/// Takes a script apart. What is not followed makes it opaque, but the rest is read all the same.
pub(super) fn read(text: &str, extended: bool) -> Script {
    let mut reader = Reader {
        letters: text.chars().collect(),
        at: 0,
        extended,
        opaque: text.contains(UNKNOWN),
    };
    let mut commands = Vec::new();
    while commands.len() < COMMANDS {
        match reader.command() {
            Step::Command(command) => commands.push(command),
            Step::Nothing => {}
            Step::End => break,
        }
    }
    reader.opaque |= commands.len() >= COMMANDS;
    Script {
        commands,
        opaque: reader.opaque,
    }
}

enum Step {
    Command(Command),
    Nothing,
    End,
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    extended: bool,
    opaque: bool,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    fn skip(&mut self, among: &str) {
        while self.peek().is_some_and(|letter| among.contains(letter)) {
            self.at += 1;
        }
    }

    fn until(&mut self, ends: &str) -> String {
        let mut text = String::new();
        while let Some(letter) = self.peek().filter(|letter| !ends.contains(*letter)) {
            text.push(letter);
            self.at += 1;
        }
        text.trim().to_owned()
    }

    fn command(&mut self) -> Step {
        self.skip(" \t\n;}");
        let from = self.address();
        let mut to = None;
        self.skip(" \t");
        if from.is_some() && self.peek() == Some(',') {
            self.at += 1;
            self.skip(" \t");
            to = self.address();
            self.opaque |= to.is_none();
        }
        self.skip(" \t");
        let others = self.peek() == Some('!');
        self.skip("! \t");
        let Some(letter) = self.take() else {
            return Step::End;
        };
        let Some(what) = self.what(letter) else {
            return Step::Nothing;
        };
        let ranges_of_matches = matches!((&from, &to), (Some(Address::Match(_)), Some(_)));
        self.opaque |= ranges_of_matches || matches!(to, Some(Address::Match(_)));
        Step::Command(Command {
            from,
            to,
            others,
            what,
        })
    }

    fn what(&mut self, letter: char) -> Option<What> {
        match letter {
            'd' => Some(What::Delete),
            'p' => Some(What::Print),
            'q' => Some(What::Quit),
            's' => self.substitute(),
            'y' => {
                let delimiter = self.take()?;
                let from = self.part(delimiter)?;
                let to = self.part(delimiter)?;
                let plain = |text: String| text.chars().collect::<Vec<char>>();
                self.opaque |= from.contains('\\') || to.contains('\\') || from.len() > 256;
                Some(What::Letters(plain(from), plain(to)))
            }
            'e' => Some(What::Run(self.until("\n"))),
            'w' | 'W' => Some(What::Write(self.until("\n"))),
            '#' => {
                self.until("\n");
                None
            }
            'a' | 'i' | 'c' | 'r' | 'R' => {
                self.opaque = true;
                // The text goes on where a line ends in a backslash.
                while self.until("\n").ends_with('\\') && self.peek().is_some() {
                    self.at += 1;
                }
                None
            }
            'b' | 't' | 'T' | ':' => {
                self.opaque = true;
                self.until("\n;");
                None
            }
            _ => {
                self.opaque = true;
                None
            }
        }
    }

    fn address(&mut self) -> Option<Address> {
        match self.peek()? {
            '$' => {
                self.at += 1;
                Some(Address::Last)
            }
            '0'..='9' => {
                let mut number = 0usize;
                while let Some(digit) = self.peek().and_then(|letter| letter.to_digit(10)) {
                    let digit = usize::try_from(digit).unwrap_or(0);
                    number = number.saturating_mul(10).saturating_add(digit);
                    self.at += 1;
                }
                if self.peek() == Some('~') {
                    self.opaque = true;
                    self.skip("~0123456789");
                }
                Some(Address::Line(number))
            }
            '+' | '~' => {
                self.opaque = true;
                self.skip("+~0123456789");
                Some(Address::Last)
            }
            '/' => {
                self.at += 1;
                self.matching('/')
            }
            '\\' => {
                self.at += 1;
                let delimiter = self.take()?;
                self.matching(delimiter)
            }
            _ => None,
        }
    }

    fn matching(&mut self, delimiter: char) -> Option<Address> {
        let text = self.part(delimiter)?;
        let fold = self.peek() == Some('I');
        self.skip("IM");
        let pattern = Pattern::read(&text, self.extended, fold);
        self.opaque |= pattern.is_none();
        Some(Address::Match(pattern))
    }

    /// Up to a delimiter; `\/` is a plain `/`.
    fn part(&mut self, delimiter: char) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.take() {
                None => {
                    self.opaque = true;
                    return None;
                }
                Some(letter) if letter == delimiter => return Some(text),
                Some('\\') => {
                    let next = self.take()?;
                    if next != delimiter {
                        text.push('\\');
                    }
                    text.push(next);
                }
                Some(letter) => text.push(letter),
            }
        }
    }

    fn substitute(&mut self) -> Option<What> {
        let delimiter = self.take()?;
        let pattern = self.part(delimiter)?;
        let replacement = self.part(delimiter)?;
        let mut found = Substitute {
            pattern: None,
            replacement: pieces(&replacement),
            all: false,
            nth: 1,
            print: false,
            runs: false,
            file: None,
        };
        let mut fold = false;
        while let Some(flag) = self.peek().filter(|flag| !"\n;} ".contains(*flag)) {
            self.at += 1;
            match flag {
                'g' => found.all = true,
                'p' => found.print = true,
                'i' | 'I' => fold = true,
                'e' => found.runs = true,
                'w' => found.file = Some(self.until("\n")),
                digit => match digit.to_digit(10).and_then(|n| usize::try_from(n).ok()) {
                    Some(number) => found.nth = number,
                    None => self.opaque = true,
                },
            }
        }
        found.pattern = Pattern::read(&pattern, self.extended, fold);
        Some(What::Substitute(found))
    }
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    if text.len() > LONGEST {
        return None;
    }
    let mut found = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        found.push(match letter {
            '&' => Piece::Match,
            '\\' => match letters.next()? {
                'n' => Piece::Letter('\n'),
                't' => Piece::Letter('\t'),
                '0' => Piece::Match,
                other if other.is_alphanumeric() => return None,
                other => Piece::Letter(other),
            },
            letter => Piece::Letter(letter),
        });
    }
    Some(found)
}

impl Command {
    /// Whether it is for this line; nothing when that is not known.
    pub(super) fn applies(
        &self,
        line: usize,
        total: usize,
        text: &str,
        steps: &mut usize,
    ) -> Option<bool> {
        let number = |address: &Address| match address {
            Address::Line(number) => Some(*number),
            Address::Last => Some(total),
            Address::Match(_) => None,
        };
        let inside = match (&self.from, &self.to) {
            (None, _) => true,
            (Some(Address::Match(pattern)), None) => pattern.as_ref()?.is_in(text, steps)?,
            (Some(from), None) => number(from)? == line,
            (Some(from), Some(to)) => (number(from)?..=number(to)?).contains(&line),
        };
        Some(inside != self.others)
    }
}

impl Substitute {
    /// The text with matches replaced, and whether it is printed for that.
    pub(super) fn apply(&self, text: &str, steps: &mut usize) -> Option<(String, bool)> {
        let (pattern, replacement) = (self.pattern.as_ref()?, self.replacement.as_ref()?);
        if self.runs {
            return None;
        }
        let letters: Vec<char> = text.chars().collect();
        let mut changed = String::new();
        let (mut from, mut count, mut done) = (0, 0, false);
        while let Some((start, end)) = pattern.find(&letters, from, steps).ok()? {
            count += 1;
            changed.extend(letters.get(from..start)?);
            if count >= self.nth {
                done = true;
                for piece in replacement {
                    match piece {
                        Piece::Letter(letter) => changed.push(*letter),
                        Piece::Match => changed.extend(letters.get(start..end)?),
                    }
                }
            } else {
                changed.extend(letters.get(start..end)?);
            }
            if changed.len() > MOST {
                return None;
            }
            from = end;
            if start == end {
                changed.extend(letters.get(end));
                from = end + 1;
            }
            if (done && !self.all) || from > letters.len() {
                break;
            }
        }
        changed.extend(letters.get(from..).unwrap_or_default());
        Some((changed, done && self.print))
    }
}
