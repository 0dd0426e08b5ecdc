// SPDX-License-Identifier: Apache-2.0
//! What build files would run for a target: `make test`, `npm run build`, one level deep. What a
//! recipe calls in turn (`make other`) is text like any other, and followed by whoever runs it.

mod just;
mod make;
mod manifests;
mod rake;
mod taskfile;
mod variables;

#[cfg(test)]
mod tests;

use super::program::{Call, Run};
use super::word::{Arg, Stream, Taint};

/// Longest build file that is read, in bytes.
const FILE: usize = 256 << 10;

/// Most commands that one target comes to.
const RUNS: usize = 256;

/// How many folders up a build file is looked for.
const UP: usize = 12;

/// Files of each tool in the order it looks for them, and whether in the folders above as well.
const TOOLS: &[(&str, &str, bool)] = &[
    ("make", "GNUmakefile makefile Makefile", false),
    ("bmake", "BSDmakefile makefile Makefile", false),
    ("npm", "package.json", true),
    ("yarn", "package.json", true),
    ("pnpm", "package.json", true),
    ("bun", "package.json", true),
    ("node", "package.json", true),
    ("just", "justfile Justfile .justfile JUSTFILE", true),
    (
        "task",
        "Taskfile.yml taskfile.yml Taskfile.yaml taskfile.yaml Taskfile.dist.yml Taskfile.dist.yaml pyproject.toml",
        true,
    ),
    ("poe", "pyproject.toml poe_tasks.toml", true),
    ("pdm", "pyproject.toml", true),
    ("rye", "pyproject.toml", true),
    ("hatch", "pyproject.toml hatch.toml", true),
    ("pipenv", "Pipfile", true),
    ("composer", "composer.json", false),
    ("deno", "deno.json deno.jsonc package.json", true),
    ("rake", "rakefile Rakefile rakefile.rb Rakefile.rb", true),
];

/// What a tool runs for a target, or nothing when its file was not found or has no such target.
#[must_use]
pub fn target(tool: &str, name: &str, call: &Call) -> Option<Vec<Run>> {
    let tool = match tool {
        "gmake" | "gnumake" | "remake" => "make",
        "go-task" => "task",
        "npx" | "pnpx" => return None,
        tool => tool,
    };
    let (_, files, up) = TOOLS.iter().find(|(known, ..)| *known == tool)?;
    let mut folder = call.cwd?.to_owned();
    for _ in 0..UP {
        for file in files.split_ascii_whitespace() {
            let Some(found) = Build::open(&folder, file, call) else {
                continue;
            };
            let runs = found.runs(tool, name);
            // A tool that has found its file looks no further, but one that shares a file does.
            if runs.is_some() || !shared(tool, file) {
                return runs;
            }
        }
        if !up || folder == "/" {
            return None;
        }
        folder = match folder.rsplit_once('/') {
            Some((above, _)) if !above.is_empty() => above.to_owned(),
            _ => "/".to_owned(),
        };
    }
    None
}

/// Whether a file is another tool's first of all.
fn shared(tool: &str, file: &str) -> bool {
    match tool {
        "deno" => file == "package.json",
        "npm" | "yarn" | "pnpm" | "bun" => false,
        _ => file == "pyproject.toml",
    }
}

/// A build file.
#[derive(Clone, Copy, Debug)]
struct Build<'a> {
    text: &'a str,
    /// Its name, without the folder.
    file: &'a str,
    /// Where it is.
    folder: &'a str,
    taint: &'a Taint,
    call: &'a Call<'a>,
}

/// A build file that was read.
struct Opened<'a> {
    stream: Stream,
    file: &'a str,
    folder: &'a str,
    call: &'a Call<'a>,
}

impl Build<'_> {
    fn open<'a>(folder: &'a str, file: &'a str, call: &'a Call<'a>) -> Option<Opened<'a>> {
        let path = call.setting.absolute(file, Some(folder))?;
        let stream = call.files.read(&path)?;
        Some(Opened {
            stream,
            file,
            folder,
            call,
        })
    }

    /// Another file of the same folder: what a build file includes.
    fn beside(&self, file: &str) -> Option<String> {
        let path = self.call.setting.absolute(file, Some(self.folder))?;
        let text = self.call.files.read(&path)?.text?;
        (text.len() <= FILE).then_some(text)
    }

    /// A line of shell, in the folder of the file.
    fn shell(&self, text: &str) -> Run {
        let here = self.call.cwd == Some(self.folder);
        let text = if here {
            text.to_owned()
        } else {
            format!("cd '{}' && {text}", self.folder.replace('\'', r"'\''"))
        };
        Run::Shell {
            text: Arg {
                text,
                taint: self.taint.clone(),
                ..Arg::default()
            },
            arguments: Vec::new(),
            stdin: Stream::default(),
            host: None,
        }
    }

    /// Code of another language.
    fn code(&self, language: &'static str, text: &str) -> Run {
        Run::Code {
            language,
            text: Arg {
                text: text.to_owned(),
                taint: self.taint.clone(),
                ..Arg::default()
            },
        }
    }
}

impl Opened<'_> {
    fn runs(&self, tool: &str, name: &str) -> Option<Vec<Run>> {
        let text = self.stream.text.as_deref()?;
        if text.len() > FILE {
            return None;
        }
        let build = Build {
            text,
            file: self.file,
            folder: self.folder,
            taint: &self.stream.taint,
            call: self.call,
        };
        let mut runs = match (tool, self.file) {
            ("make" | "bmake", _) => make::target(&build, name),
            ("just", _) => just::target(&build, name),
            ("rake", _) => rake::target(&build, name),
            ("composer", _) => manifests::composer(&build, name),
            ("deno", "deno.json" | "deno.jsonc") => manifests::deno(&build, name),
            (_, "package.json") => manifests::package(&build, name),
            ("task", file) if !file.ends_with(".toml") => taskfile::target(&build, name),
            _ => manifests::toml(&build, tool, name),
        }?;
        runs.truncate(RUNS);
        Some(runs)
    }
}

/// The language of a script by its `#!` line, then by its ending; empty when neither says.
#[must_use]
pub fn language(path: &str, text: &str) -> &'static str {
    if text.contains('\0') {
        return "";
    }
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("#!") {
        Some(line) => interpreter(line),
        None => ending(path),
    }
}

/// The language that an interpreter's name and version stand for.
fn interpreter(line: &str) -> &'static str {
    let mut words = line.split_whitespace().map(|word| {
        let word = word
            .strip_prefix("-S")
            .filter(|rest| !rest.is_empty())
            .unwrap_or(word);
        word.rsplit('/').next().unwrap_or_default()
    });
    let mut name = words.next().unwrap_or_default();
    if name == "env" || name == "busybox" {
        while let Some(word) = words.next() {
            match word {
                "-u" | "-C" | "--unset" | "--chdir" => drop(words.next()),
                word if word.starts_with('-') || word.contains('=') => {}
                word => {
                    name = word;
                    break;
                }
            }
        }
    }
    let name = name
        .trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == '-');
    match name {
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "mksh" | "ash" | "rbash" | "fish" | "bats" => "sh",
        "python" | "pypy" | "ipython" | "uv" | "pythonw" => "python",
        "perl" | "raku" => "perl",
        "node" | "nodejs" | "deno" | "bun" | "ts-node" | "tsx" | "zx" | "qjs" => "node",
        "ruby" | "jruby" | "rake" => "ruby",
        "php" | "php-cli" => "php",
        "lua" | "luajit" | "texlua" => "lua",
        "awk" | "gawk" | "mawk" | "nawk" => "awk",
        "pwsh" | "powershell" => "powershell",
        _ => "",
    }
}

fn ending(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "sh" | "bash" | "zsh" | "ksh" | "dash" | "command" | "bats" => "sh",
        "py" | "pyw" | "py3" => "python",
        "pl" | "pm" | "t" => "perl",
        "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" | "jsx" | "tsx" => "node",
        "rb" | "rake" | "gemspec" => "ruby",
        "php" | "phtml" | "phar" => "php",
        "lua" => "lua",
        "awk" => "awk",
        "ps1" | "psm1" => "powershell",
        _ => "",
    }
}
