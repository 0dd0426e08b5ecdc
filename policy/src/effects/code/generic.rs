// SPDX-License-Identifier: Apache-2.0
//! JavaScript, Perl, Ruby, PHP and Lua without their grammars: tokens, and a tolerant reader that
//! finds the calls in them. What it does not understand it steps over.

mod operands;
mod parser;
mod postfix;
mod quotes;
mod statements;
mod tokens;

use super::syntax::Program;

/// How a language writes what they all have.
#[derive(Debug)]
pub(super) struct Dialect {
    /// What begins a comment to the end of the line.
    comments: &'static [&'static str],
    /// What is around a longer comment.
    long_comments: &'static [(&'static str, &'static str)],
    /// What puts texts together, beside `+`.
    concat: &'static [&'static str],
    /// What is between an object and its method.
    members: &'static [&'static str],
    /// Blocks end with `end`.
    ends: bool,
    /// `/…/` is a pattern.
    patterns: bool,
    /// Functions are called without parentheses.
    bare_calls: bool,
    /// Back quotes run a command.
    back_quotes: bool,
    /// Which language it is.
    kind: Kind,
}

/// Which language, for what only one of them has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Node,
    Perl,
    Ruby,
    Php,
    Lua,
}

static NODE: Dialect = Dialect {
    comments: &["//", "#!"],
    long_comments: &[("/*", "*/")],
    concat: &[],
    members: &[".", "?."],
    ends: false,
    patterns: true,
    bare_calls: false,
    back_quotes: false,
    kind: Kind::Node,
};

static PERL: Dialect = Dialect {
    comments: &["#"],
    long_comments: &[],
    concat: &["."],
    members: &["->"],
    ends: false,
    patterns: true,
    bare_calls: true,
    back_quotes: true,
    kind: Kind::Perl,
};

static RUBY: Dialect = Dialect {
    comments: &["#"],
    long_comments: &[],
    concat: &["<<"],
    members: &[".", "&."],
    ends: true,
    patterns: true,
    bare_calls: true,
    back_quotes: true,
    kind: Kind::Ruby,
};

static PHP: Dialect = Dialect {
    comments: &["//", "#"],
    long_comments: &[("/*", "*/")],
    concat: &["."],
    members: &["->", "?->", "::"],
    ends: false,
    patterns: false,
    bare_calls: true,
    back_quotes: true,
    kind: Kind::Php,
};

static LUA: Dialect = Dialect {
    comments: &["--", "#!"],
    long_comments: &[("--[[", "]]")],
    concat: &[".."],
    members: &[".", ":"],
    ends: true,
    patterns: false,
    bare_calls: true,
    back_quotes: false,
    kind: Kind::Lua,
};

/// Reads JavaScript.
pub(super) fn node(text: &str) -> Program {
    parser::parse(text, &NODE, 0)
}

/// Reads Perl.
pub(super) fn perl(text: &str) -> Program {
    parser::parse(text, &PERL, 0)
}

/// Reads Ruby.
pub(super) fn ruby(text: &str) -> Program {
    parser::parse(text, &RUBY, 0)
}

/// Reads PHP: all of the text, or what is between its marks.
pub(super) fn php(text: &str) -> Program {
    if !text.contains("<?") {
        return parser::parse(text, &PHP, 0);
    }
    let code: Vec<&str> = text
        .split("<?")
        .skip(1)
        .map(|part| part.split("?>").next().unwrap_or_default())
        .map(|part| part.strip_prefix("php").unwrap_or(part))
        .collect();
    parser::parse(&code.join("\n;"), &PHP, 0)
}

/// Reads Lua.
pub(super) fn lua(text: &str) -> Program {
    parser::parse(text, &LUA, 0)
}
