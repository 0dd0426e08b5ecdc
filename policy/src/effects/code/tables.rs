// SPDX-License-Identifier: Apache-2.0
//! What the languages call things: rows of names and what calling them does.
//!
//! A row is names, a colon between white space, and a verb with its words. `%0` is the first
//! argument, `%0|path` the first or the one named so, `%1..` all from the second, `%this` what a
//! method is called on; `*.name` is a method of anything. The verbs are in `verbs` and, for
//! functions without effects, in `fold`.

mod others;
mod python;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::super::program::Call;
use super::super::word::Taint;
use super::syntax::Program;
use super::value::Value;
use super::{generic, python as python_syntax};
use crate::list::is_any;

type Rows = HashMap<&'static str, &'static str>;

/// A language.
#[derive(Debug)]
pub(super) struct Language {
    /// As [`Run::Code`](super::super::program::Run::Code) names it.
    pub(super) name: &'static str,
    /// Reads a program.
    pub(super) parse: fn(&str) -> Program,
    /// Beginnings of names that mean the same as others.
    aliases: &'static [(&'static str, &'static str)],
    rows: &'static LazyLock<Rows>,
}

/// Names that stand for all names there are.
const SCOPES: &str = "globals sys.modules globalThis global window self __builtins__ builtins _G _ENV $GLOBALS \
    process.mainModule";

/// Names that stand for a text.
const CONSTANTS: &[(&str, &str)] = &[
    ("os.sep", "/"),
    ("os.path.sep", "/"),
    ("path.sep", "/"),
    ("File.SEPARATOR", "/"),
    ("DIRECTORY_SEPARATOR", "/"),
    ("os.curdir", "."),
    ("os.linesep", "\n"),
    ("os.EOL", "\n"),
    ("PHP_EOL", "\n"),
    ("sys.executable", "python3"),
    ("process.execPath", "node"),
    ("process.argv0", "node"),
    ("string.ascii_lowercase", "abcdefghijklmnopqrstuvwxyz"),
    ("string.ascii_uppercase", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    (
        "string.ascii_letters",
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    ),
    ("string.digits", "0123456789"),
];

impl Language {
    /// A language by its name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        LANGUAGES.iter().find(|language| language.name == name)
    }

    /// A name as the tables have it.
    pub(super) fn canonical(&self, name: &str) -> String {
        let mut name = name.replace("::", ".");
        for (from, to) in self.aliases {
            if let Some(rest) = name.strip_prefix(from) {
                name = format!("{to}{rest}");
            }
        }
        name
    }

    /// What calling a name does.
    pub(super) fn row(&self, name: &str) -> Option<&'static str> {
        let find = |name: &str| self.rows.get(name).or_else(|| SHARED.get(name)).copied();
        find(name).or_else(|| {
            let (_, last) = name.rsplit_once('.')?;
            find(&format!("*.{last}"))
        })
    }

    /// Whether a name stands for all names.
    pub(super) fn is_scope(&self, name: &str) -> bool {
        is_any(SCOPES, name)
    }

    /// The program's own arguments and other constants, by the names the language has for them.
    pub(super) fn arguments(&self, name: &str, call: &Call) -> Option<Value> {
        if self.name == "php"
            && matches!(
                name,
                "$_GET" | "$_POST" | "$_REQUEST" | "$_COOKIE" | "$_FILES"
            )
        {
            return Some(Value::unknown(Taint {
                network: Some("whoever asks".to_owned()),
                ..Taint::default()
            }));
        }
        let constant = CONSTANTS.iter().find(|(known, _)| *known == name);
        if let Some((_, text)) = constant {
            return Some(Value::text(text));
        }
        let before: &[&str] = match (self.name, name) {
            ("python", "sys.argv") => &["-c"],
            ("node", "process.argv") => &["node", "-e"],
            ("ruby", "ARGV") | ("perl", "$ARGV") => &[],
            ("php", "$argv") => &["-r"],
            _ => return None,
        };
        let before = before.iter().map(|word| Value::text(word));
        let args = call.args.iter().map(|arg| {
            let mut value = Value::text(&arg.text).tainted(&arg.taint);
            value.glob = arg.glob;
            value
        });
        Some(Value::list(before.chain(args).collect()))
    }
}

fn rows(tables: &[&'static str]) -> Rows {
    let mut rows = Rows::new();
    for line in tables.iter().flat_map(|table| table.lines()) {
        if let Some((names, row)) = line.split_once(" : ") {
            for name in names.split_ascii_whitespace() {
                rows.insert(name, row.trim());
            }
        }
    }
    rows
}

static SHARED: LazyLock<Rows> = LazyLock::new(|| rows(&[others::SHARED]));
static PYTHON: LazyLock<Rows> = LazyLock::new(|| {
    rows(&[
        python::PROCESSES,
        python::FILES,
        python::NETWORK,
        python::VALUES,
    ])
});
static NODE: LazyLock<Rows> = LazyLock::new(|| rows(&[others::NODE]));
static PERL: LazyLock<Rows> = LazyLock::new(|| rows(&[others::PERL]));
static RUBY: LazyLock<Rows> = LazyLock::new(|| rows(&[others::RUBY]));
static PHP: LazyLock<Rows> = LazyLock::new(|| rows(&[others::PHP]));
static LUA: LazyLock<Rows> = LazyLock::new(|| rows(&[others::LUA]));

static LANGUAGES: [Language; 6] = [
    Language {
        name: "python",
        parse: python_syntax::parse,
        aliases: &[
            ("__builtins__.", ""),
            ("__builtin__.", ""),
            ("builtins.", ""),
            ("posix.", "os."),
            ("nt.", "os."),
            ("os.path.os.", "os."),
            ("io.open", "open"),
            ("codecs.open", "open"),
            ("os.fdopen", "open"),
            ("pathlib.PurePath", "pathlib.Path"),
            ("pathlib.PosixPath", "pathlib.Path"),
            ("_posixsubprocess.", "subprocess."),
            ("subprocess32.", "subprocess."),
            ("cPickle.", "pickle."),
            ("_pickle.", "pickle."),
            ("dill.", "pickle."),
            ("cloudpickle.", "pickle."),
            ("six.moves.urllib.", "urllib."),
            ("urllib2.", "urllib.request."),
            ("urllib.urlopen", "urllib.request.urlopen"),
            ("httpx.Client.", "requests."),
            ("httpx.AsyncClient.", "requests."),
            ("httpx.", "requests."),
            ("requests.Session.", "requests."),
            ("requests.session.", "requests."),
            ("requests.sessions.Session.", "requests."),
            ("requests.api.", "requests."),
            ("niquests.", "requests."),
            ("cloudscraper.create_scraper.", "requests."),
            ("aiohttp.ClientSession.", "requests."),
        ],
        rows: &PYTHON,
    },
    Language {
        name: "node",
        parse: generic::node,
        aliases: &[
            ("globalThis.", ""),
            ("global.", ""),
            ("window.", ""),
            ("node:", ""),
            ("process.mainModule.", ""),
            ("module.require", "require"),
            ("fs/promises", "fs"),
            ("fs.promises", "fs"),
            ("fs-extra", "fs"),
            ("graceful-fs", "fs"),
            ("shelljs", "shell"),
            ("https", "http"),
            ("http.default.", "http."),
            ("fs.default.", "fs."),
            ("child_process.default.", "child_process."),
            ("got.", "axios."),
            ("ky.", "axios."),
            ("needle.", "axios."),
            ("superagent.", "axios."),
            ("node-fetch", "fetch"),
            ("undici.fetch", "fetch"),
            ("undici.", "axios."),
            ("axios.default", "axios"),
        ],
        rows: &NODE,
    },
    Language {
        name: "perl",
        parse: generic::perl,
        aliases: &[("CORE.GLOBAL.", ""), ("CORE.", ""), ("main.", "")],
        rows: &PERL,
    },
    Language {
        name: "ruby",
        parse: generic::ruby,
        aliases: &[
            ("Kernel.", ""),
            ("Object.", ""),
            ("Process.spawn", "spawn"),
            ("Process.exec", "exec"),
            ("IO.binread", "File.binread"),
            ("IO.read", "File.read"),
            ("IO.write", "File.write"),
            ("IO.binwrite", "File.write"),
            ("::", ""),
        ],
        rows: &RUBY,
    },
    Language {
        name: "php",
        parse: generic::php,
        aliases: &[("\\", "")],
        rows: &PHP,
    },
    Language {
        name: "lua",
        parse: generic::lua,
        aliases: &[("_G.", "")],
        rows: &LUA,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_names_and_a_verb() {
        for language in &LANGUAGES {
            assert!(language.rows.len() > 20, "{}", language.name);
            for (name, row) in language.rows.iter() {
                assert!(!row.is_empty() && !name.contains('%'), "{name} : {row}");
            }
        }
    }
}
