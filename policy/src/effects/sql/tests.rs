// SPDX-License-Identifier: Apache-2.0
//! Statements and how bad they are at worst.

use super::*;

fn harm(text: &str, engine: &'static str) -> Harm {
    let effects = statements(text, engine);
    effects
        .iter()
        .map(|effect| effect.harm)
        .max()
        .unwrap_or_default()
}

#[test]
fn looking_is_none_adding_low_and_single_rows_medium() {
    let (none, low, medium) = (Harm::None, Harm::Low, Harm::Medium);
    for (text, wanted) in [
        ("select * from users where name = 'drop table x'", none),
        ("SELECT 1", none),
        ("vacuum analyze", none),
        ("explain delete from users", none),
        ("create table a (b int, on_drop text)", low),
        ("create table drop_log (id int)", low),
        ("insert into a values (1)", low),
        ("drop temporary table a", low),
        ("update a set b = 1 where id = 3", low),
        ("drop index a", medium),
        ("delete from a where id = 3", medium),
        ("delete from a where id between 1 and 5", medium),
        (
            "delete from a where created < now() - interval '1 day'",
            medium,
        ),
        ("grant select on a to b", medium),
        ("revoke all on a from b", medium),
        ("alter table a add column b int", low),
        ("alter table a drop constraint b", low),
        (
            "delete from a where id in (select id from b where 1=1)",
            medium,
        ),
        ("select truncate(1.5, 1)", none),
        ("create user x", medium),
        ("copy a to '/tmp/x'", medium),
        (
            "create function x() returns int as $$ drop table a $$ language sql",
            low,
        ),
    ] {
        assert_eq!(harm(text, "postgres"), wanted, "{text}");
    }
}

#[test]
fn deleting_everything_reaching_out_and_giving_rights_is_high() {
    let (high, critical) = (Harm::High, Harm::Critical);
    for (text, wanted) in [
        ("explain analyze delete from users", high),
        ("explain (analyze, buffers) delete from users", high),
        ("alter table a drop column b", high),
        ("alter table a drop b", high),
        ("delete from a", high),
        ("DELETE FROM a WHERE 1=1", high),
        ("delete from a where true", high),
        ("delete from a where (id = id)", high),
        ("delete from a where x = 3 or 1 = 1", high),
        ("delete from a where id > 0", high),
        ("delete from a where name like '%'", high),
        ("update a set b = 1", high),
        ("update a set b = (select c from d where e = 1)", high),
        ("begin; delete from a; rollback", high),
        ("drop table a", high),
        ("DROP/**/TABLE a", high),
        ("-- hello\ndrop table if exists a cascade;", high),
        ("truncate a, b", high),
        (
            "with gone as (delete from a returning *) select * from gone",
            high,
        ),
        ("do $$ begin execute 'drop table a'; end $$", high),
        ("do $x$ begin delete from a; end $x$", high),
        ("drop database prod", critical),
        ("drop schema public cascade", critical),
        ("grant all privileges on *.* to 'x'@'%'", high),
        ("alter user x with superuser", high),
        ("create role x superuser login", high),
        ("copy a to program 'sh'", high),
        ("select pg_read_file('/etc/passwd')", high),
        ("select * from a into outfile '/tmp/x'", high),
        ("select usename from pg_shadow", high),
        ("alter table a disable row level security", high),
        ("create function x() returns int as 'x.so' language c", high),
    ] {
        assert_eq!(harm(text, "postgres"), wanted, "{text}");
    }
}

#[test]
fn dialects_hide_nothing() {
    for (text, engine) in [
        ("select 1 --1; drop table a", "mysql"),
        ("/*!50000 drop table a */", "mysql"),
        (r"select 'a\'; drop table b; -- '; drop table c", "mysql"),
        ("exec xp_cmdshell 'dir'", "mssql"),
        ("exec sp_executesql N'drop table a'", "mssql"),
        ("select 1\nGO\ndrop table [a]", "mssql"),
        (r"\! rm -rf x", "postgres"),
        (r"\copy a to program 'sh'", "postgres"),
        (".shell ls", "sqlite"),
        ("alter table a delete where 1", "clickhouse"),
        ("drop measurement a", "influx"),
        ("insert overwrite table a select 1", "sql"),
    ] {
        assert!(harm(text, engine) >= Harm::High, "{text}");
    }
}

#[test]
fn what_is_quoted_or_commented_does_nothing() {
    for (text, engine) in [
        ("select 1 -- drop table a", "postgres"),
        ("select 1 # drop table a", "mysql"),
        (
            "select 1 /* ; drop table a; /* x */ ; drop table b */",
            "postgres",
        ),
        (r"select 'a\'; drop table b; '", "mysql"),
        ("select 'it''s; drop table b'", "postgres"),
        ("select \"drop table a\"", "postgres"),
        ("select $$ ; drop table a; $$", "postgres"),
    ] {
        assert_eq!(harm(text, engine), Harm::None, "{text}");
    }
}

#[test]
fn what_is_unknown_is_told() {
    let unknown = "\u{F0000}";
    assert_eq!(harm(unknown, "postgres"), Harm::Medium);
    let known = format!("delete from a where id = {unknown}");
    assert_eq!(harm(&known, "postgres"), Harm::Medium);
}

#[test]
fn large_and_deep_text_is_read_in_bounds_and_asked_about() {
    let many = "select 1;".repeat(30_000);
    assert_eq!(harm(&many, "postgres"), Harm::High);
    let open = "(".repeat(40_000);
    assert_eq!(harm(&open, "postgres"), Harm::None);
    assert_eq!(
        harm(&"delete from a where ".repeat(3), "postgres"),
        Harm::Medium
    );
    for odd in ["'", "$x$", "/*", "\"", "\\", "[", "`", "drop", "--", "$"] {
        for engine in ["postgres", "mysql", "sqlite", "mssql"] {
            assert!(statements(odd, engine).len() <= 1);
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "[-a-z0-9 ;'\"$/*\\\\!.()\u{F0000}\n`#\\[\\]é]{0,80}") {
        for engine in ["postgres", "mysql", "sqlite", "mssql"] {
            let _ = statements(&text, engine);
        }
    }
}
