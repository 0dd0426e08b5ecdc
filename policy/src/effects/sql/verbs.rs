// SPDX-License-Identifier: Apache-2.0
//! What verbs of SQL do that neither take rows away nor change rights: making, copying, code in
//! strings, the server's own commands and those of the client.

use super::statement::{has, later};
use super::tokens::Token;
use super::{Found, Harm, Kind};

pub(super) fn make(found: &mut Found, verb: &str, rest: &[Token], name: &str) {
    let what = |words: &str| later(rest, words);
    let user = rest
        .first()
        .is_some_and(|token| token.is_any("user role login"));
    if verb == "create" && user {
        let mighty = rest
            .iter()
            .any(|token| token.is_any("superuser createrole dba sysadmin"));
        let harm = if mighty { Harm::High } else { Harm::Medium };
        found.add(
            (Kind::Escalate, harm),
            "create-user",
            name,
            "makes an account",
        );
    } else if verb == "create" && what("function procedure") && native(rest) {
        let why = "makes a function of code that is not SQL";
        found.add((Kind::Execute, Harm::High), "native-function", name, why);
    } else if verb == "create" && has(rest, &["or", "replace", "table"]) {
        let why = "replaces a table with all its rows";
        found.add((Kind::Delete, Harm::High), "replace-table", name, why);
    } else if verb == "insert"
        && rest
            .get(..2)
            .is_some_and(|it| it.iter().any(|it| it.is("overwrite")))
    {
        let why = "overwrites a table's rows";
        found.add((Kind::Delete, Harm::High), "insert-overwrite", name, why);
    } else if matches!(verb, "rename" | "detach") {
        let why = "renames or takes out what programs rely on";
        found.add((Kind::Write, Harm::Medium), "rename", name, why);
    } else {
        let why = "makes something new or adds rows";
        found.add((Kind::Write, Harm::Low), "make", name, why);
    }
}

/// `LANGUAGE c`, `plpythonu`, a shared object.
fn native(tokens: &[Token]) -> bool {
    tokens.windows(2).any(|window| {
        let [word, language] = window else {
            return false;
        };
        let language = match language {
            Token::Word(text) | Token::Name(text) | Token::Text(text) => text.as_str(),
            _ => return false,
        };
        let names = [
            "c",
            "plpythonu",
            "plpython3u",
            "plperlu",
            "plsh",
            "java",
            "plr",
        ];
        (word.is("language") && names.contains(&language)) || word.is("soname")
    })
}

pub(super) fn transfer(found: &mut Found, verb: &str, rest: &[Token], name: &str) {
    if has(rest, &["program"]) {
        let why = "runs a program on the database's machine";
        found.add((Kind::Execute, Harm::High), "copy-program", name, why);
    } else if verb == "load" && !later(rest, "data infile") {
        let why = "loads native code into the database";
        found.add((Kind::Execute, Harm::High), "load-library", name, why);
    } else if matches!(verb, "export" | "unload") {
        let why = "sends rows to a place outside of the database";
        found.add((Kind::Send, Harm::Medium), "export", name, why);
    } else {
        let why = "copies rows between a table and a file";
        found.add((Kind::Write, Harm::Medium), "copy-file", name, why);
    }
}

/// Code in strings: `DO $$ … $$`, `EXECUTE 'drop …'`, `sp_executesql N'…'`.
pub(super) fn code(found: &mut Found, rest: &[Token], depth: usize) {
    for token in rest.iter().take(64) {
        match token {
            Token::Text(text) => found.text(text, depth + 1),
            Token::Unknown => {
                let why = "runs statements that are known only when it runs";
                found.add((Kind::Unknown, Harm::Medium), "unknown", "", why);
            }
            _ => {}
        }
    }
}

/// What changes the server for everybody.
pub(super) fn server(found: &mut Found, verb: &str, rest: &[Token]) {
    let is = |words: &str| rest.first().is_some_and(|token| token.is_any(words));
    match verb {
        "shutdown" => {
            let why = "stops the server";
            found.add((Kind::Disrupt, Harm::High), "shutdown", "", why);
        }
        "kill" => {
            let why = "ends other people's connections";
            found.add((Kind::Disrupt, Harm::Medium), "kill", "", why);
        }
        "reset" if is("master slave binary replica") => {
            let why = "deletes the logs that copies and recovery need";
            found.add((Kind::Delete, Harm::High), "reset-logs", "", why);
        }
        "purge" if is("binary master recyclebin dba_recyclebin") => {
            let why = "deletes the logs that copies and recovery need";
            found.add((Kind::Delete, Harm::High), "purge-logs", "", why);
        }
        "set" if is("password") => {
            let why = "changes an account's password";
            found.add((Kind::TouchSecret, Harm::High), "set-password", "", why);
        }
        "set" if is("global persist") => {
            let why = "changes how the server runs for everybody";
            found.add((Kind::Write, Harm::Medium), "set-global", "", why);
        }
        "change" if is("master replication") => {
            let why = "has the server follow another one";
            found.add((Kind::Disrupt, Harm::High), "change-master", "", why);
        }
        "install" if is("plugin component") => {
            let why = "loads native code into the database";
            found.add((Kind::Execute, Harm::High), "install-plugin", "", why);
        }
        _ => {}
    }
}

/// A command of the client that runs a program or reads a file.
pub(super) fn meta(found: &mut Found, command: &str) {
    let small = command.trim().to_lowercase();
    let runs = [r"\!", ".shell", ".system", "!!", ":!!", r"\copy program"];
    let piped = small.contains('|')
        && [r"\o", r"\g", ".output", ".once", ".import", r"\w"]
            .iter()
            .any(|start| small.starts_with(start));
    let program = small.starts_with(r"\copy") && small.contains(" program ");
    if piped || program || runs.iter().any(|start| small.starts_with(start)) {
        let why = "has the client run a program";
        found.add((Kind::Execute, Harm::High), "client-shell", &small, why);
    } else if small.starts_with(".load") {
        let why = "loads native code into the database";
        found.add((Kind::Execute, Harm::High), "load-library", &small, why);
    } else if small.starts_with(".restore") {
        let why = "overwrites the database with a copy";
        found.add((Kind::Delete, Harm::High), "restore", &small, why);
    } else if small.contains("gexec") {
        let why = "runs statements that a query makes";
        found.add((Kind::Unknown, Harm::Medium), "unknown", "", why);
    } else if [r"\i", ".read", ":r", r"\."]
        .iter()
        .any(|start| small.starts_with(start))
    {
        let why = "runs statements from a file";
        found.add((Kind::Execute, Harm::Low), "include", &small, why);
    }
}
