// SPDX-License-Identifier: Apache-2.0
//! One statement of SQL.

use super::condition::{always, clause, condition};
use super::tokens::Token;
use super::verbs::{code, make, server, transfer};
use super::{Found, Harm, Kind};

/// Words after which another statement may begin.
const BEFORE: &str = "begin then else loop analyze verbose atomic end";

/// Words that begin a statement that does more than look.
const VERBS: &str = "drop truncate delete update alter grant revoke create insert replace merge upsert import \
    comment rename attach detach copy load export unload backup bulk do execute exec prepare call \
    perform shutdown kill reset purge set flush change install";

/// Verbs that are functions too.
const FUNCTIONS: &str = "truncate insert replace load import reset export";

/// Words between a verb and the name of what it is done to.
const FILLERS: &str = "from table tables only if exists not into ignore low_priority quick cascade concurrently \
    database schema user role column temporary temp unlogged external or replace index view \
    materialized sequence function procedure trigger type domain extension server policy all on \
    keyspace tablespace login publication subscription owned by global local stored dictionary";

/// Calls that reach outside of the database.
const CALLS: [(&str, Kind, Harm, &str); 9] = [
    (
        "xp_cmdshell xp_regwrite xp_regdeletekey sp_oacreate sys_exec sys_eval dbms_scheduler",
        Kind::Execute,
        Harm::Critical,
        "runs a program on the database's machine",
    ),
    (
        "pg_read_file pg_read_binary_file pg_ls_dir lo_import load_file utl_file openrowset",
        Kind::Read,
        Harm::High,
        "reads files of the database's machine",
    ),
    (
        "lo_export pg_file_write writefile",
        Kind::Write,
        Harm::High,
        "writes files on the database's machine",
    ),
    (
        "load_extension",
        Kind::Execute,
        Harm::High,
        "loads native code into the database",
    ),
    (
        "dblink dblink_exec dblink_connect utl_http utl_tcp utl_smtp",
        Kind::Connect,
        Harm::Medium,
        "has the database speak to another host",
    ),
    (
        "pg_terminate_backend pg_cancel_backend",
        Kind::Disrupt,
        Harm::Medium,
        "ends other people's connections",
    ),
    (
        "pg_shadow pg_authid dba_users sys_user_cred",
        Kind::TouchSecret,
        Harm::High,
        "reads the database's password hashes",
    ),
    (
        "deletedb dbms_utility_drop",
        Kind::Delete,
        Harm::High,
        "deletes a database",
    ),
    (
        "pg_reload_conf pg_rotate_logfile pg_promote",
        Kind::Write,
        Harm::Low,
        "changes how the server runs",
    ),
];

/// Reads a statement.
pub(super) fn read(found: &mut Found, tokens: &[Token], depth: usize) {
    let Some(first) = tokens.first() else {
        return;
    };
    if first.is_any("explain describe desc") && !tokens.iter().take(12).any(|it| it.is("analyze")) {
        return;
    }
    if tokens.iter().all(|token| *token == Token::Unknown) {
        let why = "statements that are known only when it runs";
        found.add((Kind::Unknown, Harm::Medium), "unknown", "", why);
        return;
    }
    let makes =
        first.is_any("create alter") && later(tokens, "function procedure trigger event rule");
    let merges = first.is("merge");
    let prepares = first.is_any("prepare declare");
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let begins = before.is_none_or(|it| {
            it.sign('(') || it.sign(')') || it.is_any(BEFORE) || (prepares && it.is("as"))
        });
        let verb = token.is_any(VERBS) && begins && (at == 0 || !(makes || merges));
        if verb && found.another() {
            head(found, clause(tokens.get(at..).unwrap_or_default()), depth);
        }
        if let Token::Word(word) | Token::Name(word) = token {
            call(found, word);
        }
    }
    outside(found, tokens);
}

/// Whether one of the first words after the verb is one of these.
pub(super) fn later(tokens: &[Token], words: &str) -> bool {
    tokens.iter().take(8).any(|token| token.is_any(words))
}

pub(super) fn has(tokens: &[Token], words: &[&str]) -> bool {
    tokens
        .windows(words.len().max(1))
        .any(|window| window.iter().zip(words).all(|(token, word)| token.is(word)))
}

fn call(found: &mut Found, word: &str) {
    for (names, kind, harm, why) in CALLS {
        if names.split(' ').any(|name| name == word) {
            found.add((kind, harm), "reaches-out", word, why);
        }
    }
}

/// What reaches files and programs wherever it stands.
fn outside(found: &mut Found, tokens: &[Token]) {
    if has(tokens, &["into", "outfile"]) || has(tokens, &["into", "dumpfile"]) {
        let why = "writes files on the database's machine";
        found.add((Kind::Write, Harm::High), "outfile", "", why);
    }
    let users = tokens.windows(3).any(|window| {
        let [a, dot, b] = window else {
            return false;
        };
        a.name() == Some("mysql") && dot.sign('.') && b.name() == Some("user")
    });
    if users && tokens.first().is_some_and(|token| token.is("select")) {
        let why = "reads the database's password hashes";
        found.add(
            (Kind::TouchSecret, Harm::High),
            "password-hashes",
            "mysql.user",
            why,
        );
    }
    if has(tokens, &["disable", "row", "level"]) || has(tokens, &["no", "force", "row"]) {
        let why = "lets everybody see every row";
        found.add((Kind::Escalate, Harm::High), "row-security-off", "", why);
    }
}

/// What begins with this verb.
fn head(found: &mut Found, tokens: &[Token], depth: usize) {
    let Some((Token::Word(verb), rest)) = tokens.split_first() else {
        return;
    };
    let called = rest.first().is_some_and(|token| token.sign('('));
    if called && FUNCTIONS.split(' ').any(|word| word == verb) {
        return;
    }
    let name = name(rest);
    match verb.as_str() {
        "drop" => drop(found, rest, &name),
        "truncate" => {
            let why = "deletes every row of a table";
            found.add((Kind::Delete, Harm::High), "truncate", &name, why);
        }
        "delete" => rows(found, rest, ("delete", &name)),
        "update" if rest.iter().any(|token| token.is("set")) => {
            rows(found, rest, ("update", &name));
        }
        "alter" => alter(found, rest, &name),
        "grant" | "revoke" => rights(found, verb == "grant", rest),
        "create" | "insert" | "replace" | "merge" | "upsert" | "import" | "comment" | "rename"
        | "attach" | "detach" => make(found, verb, rest, &name),
        "copy" | "load" | "export" | "unload" | "backup" | "bulk" => {
            transfer(found, verb, rest, &name);
        }
        "do" | "execute" | "exec" | "prepare" | "call" | "perform" => code(found, rest, depth),
        "shutdown" | "kill" | "reset" | "purge" | "set" | "flush" | "change" | "install" => {
            server(found, verb, rest);
        }
        _ => {}
    }
}

/// The name of what a verb is done to.
fn name(tokens: &[Token]) -> String {
    let tokens = tokens.iter().skip_while(|token| token.is_any(FILLERS));
    let mut name = String::new();
    for token in tokens.take(5) {
        match token {
            Token::Word(text) | Token::Name(text) if name.is_empty() || name.ends_with('.') => {
                name.push_str(text);
            }
            Token::Sign('.') if !name.is_empty() => name.push('.'),
            _ => break,
        }
    }
    name
}

fn drop(found: &mut Found, rest: &[Token], name: &str) {
    let what = rest.first();
    let is = |words: &str| what.is_some_and(|token| token.is_any(words));
    let why_all = "deletes a database with all that is in it";
    let (harm, rule, why) = if is("database schema keyspace tablespace owned catalog pluggable") {
        (Harm::Critical, "drop-database", why_all)
    } else if is("temporary temp") {
        (Harm::Low, "drop-temporary", "deletes a temporary table")
    } else if is(
        "index view function procedure trigger sequence type domain rule materialized \
                  synonym macro cast operator aggregate collation event statistics policy prepare \
                  constraint default check",
    ) {
        let why = "deletes a part of the schema that can be made again";
        (Harm::Medium, "drop-other", why)
    } else if is("user role login") {
        (
            Harm::High,
            "drop-user",
            "deletes an account of the database",
        )
    } else {
        (
            Harm::High,
            "drop-table",
            "deletes a table with all its rows",
        )
    };
    if rest.is_empty() {
        return;
    }
    found.add((Kind::Delete, harm), rule, name, why);
}

/// `DELETE` and `UPDATE`.
fn rows(found: &mut Found, rest: &[Token], (verb, name): (&str, &str)) {
    let condition = condition(rest);
    let all = condition.is_none_or(always);
    let rights =
        "password role admin is_admin superuser is_superuser is_staff permissions password_hash";
    match (verb, all) {
        ("delete", true) => {
            let why = "deletes every row: nothing is left out by a condition";
            found.add((Kind::Delete, Harm::High), "delete-all", name, why);
        }
        ("delete", false) => {
            let why = "deletes the rows that a condition names";
            found.add((Kind::Delete, Harm::Medium), "delete-some", name, why);
        }
        (_, true) => {
            let why = "overwrites a column in every row";
            found.add((Kind::Write, Harm::High), "update-all", name, why);
        }
        (_, false) if rest.iter().any(|token| token.is_any(rights)) => {
            let why = "changes rights or passwords";
            found.add((Kind::Escalate, Harm::Medium), "update-rights", name, why);
        }
        _ => {
            let why = "changes the rows that a condition names";
            found.add((Kind::Write, Harm::Low), "update-some", name, why);
        }
    }
}

fn alter(found: &mut Found, rest: &[Token], name: &str) {
    let what = rest.first();
    let is = |words: &str| what.is_some_and(|token| token.is_any(words));
    let (kind, harm, rule, why) = if is("user role login") {
        let why = "changes an account's password or rights";
        (Kind::Escalate, Harm::High, "alter-user", why)
    } else if is("system") {
        let why = "changes how the server runs for everybody";
        (Kind::Persist, Harm::High, "alter-system", why)
    } else if rest.iter().any(|token| token.is("delete")) {
        let rule = if condition(rest).is_none_or(always) {
            return rows(found, rest, ("delete", name));
        } else {
            "delete-some"
        };
        let why = "deletes the rows that a condition names";
        (Kind::Delete, Harm::Medium, rule, why)
    } else if drops(rest) {
        let why = "deletes a column or partition with its values";
        (Kind::Delete, Harm::High, "drop-column", why)
    } else if rest
        .iter()
        .any(|token| token.is_any("rename disable detach owner"))
    {
        let why = "renames, hands over or switches off what programs rely on";
        (Kind::Write, Harm::Medium, "alter-name", why)
    } else {
        (Kind::Write, Harm::Low, "alter", "changes the schema")
    };
    found.add((kind, harm), rule, name, why);
}

/// Whether values go: a column, not a constraint or a default.
fn drops(tokens: &[Token]) -> bool {
    let keeps = "constraint index key default not primary foreign check identity expression";
    tokens.windows(2).any(|window| {
        let [drop, what] = window else {
            return false;
        };
        drop.is("drop") && !what.is_any(keeps)
    })
}

fn rights(found: &mut Found, grants: bool, rest: &[Token]) {
    if !grants {
        let why = "takes rights away";
        let many = ["tables", "sequences", "functions", "schemas"];
        let every = many.iter().any(|what| has(rest, &["on", "all", what]));
        let harm = if every { Harm::High } else { Harm::Medium };
        found.add((Kind::Disrupt, harm), "revoke", "", why);
        return;
    }
    let mighty = rest.iter().any(|token| {
        token.is_any(
            "all superuser super dba sysadmin db_owner public admin option root rds_superuser file",
        ) || token.sign('*')
    });
    let harm = if mighty { Harm::High } else { Harm::Medium };
    let why = "gives rights away";
    found.add((Kind::Escalate, harm), "grant", "", why);
}
