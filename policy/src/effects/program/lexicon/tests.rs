// SPDX-License-Identifier: Apache-2.0
//! Command lines of tools that nobody listed, and how bad they should read.

use super::super::tables::check::split;
use super::super::{Call, NoFiles, Run};
use super::*;
use crate::effects::place::Setting;

fn judged(line: &str) -> Outcome {
    let (words, stdin) = split(line);
    let setting = Setting::default();
    let (program, args) = words.split_first().unwrap();
    run(&Call {
        name: &program.text,
        args,
        stdin: &stdin,
        cwd: Some("/workspace"),
        setting: &setting,
        files: &NoFiles,
    })
}

fn harm(line: &str) -> Harm {
    let outcome = judged(line);
    outcome
        .effects
        .iter()
        .map(|effect| effect.harm)
        .max()
        .unwrap()
}

#[test]
fn deleting_what_does_not_come_back_is_high() {
    for line in [
        "foo delete database prod --force",
        "foo db:drop",
        "foo delete-stack api",
        "foo terminateInstances i-1",
        "foo cluster destroy -y",
        "foo destroy",
        "foo app:delete web --confirm",
        "foo remove user bob",
        "foo backups purge",
        "foo delete --all",
        "foo delete item --force",
        "foo projects:delete x",
        "foo instance rm i-1",
        "foo wipe /dev/sda",
        "foo reset database",
        "drop-all-tables",
        "delete_user.sh bob",
        "foo disable mfa",
        "foo grant admin bob",
        "foo deploy --env production",
        "foo rollback prod",
        "foo sync --delete --all",
        "foo --config x.toml cluster delete web --yes",
        "foo reset --destroy-storage",
        "foo rm -rf store://bucket",
        "foo clearsnapshots --all",
        "foo project-info remove-keys --all",
        "foo jobs cancel --all",
        "foo -q 'drop database shop'",
        "foo sql 'TRUNCATE orders'",
        "foo --script='DELETE FROM users'",
        "dfs -rm -r /data",
        "foo widget delete w-1",
        "foo widgets:delete w-1",
        "foo -d '{}' host:443 shop.v1.Tenants/DeleteTenant",
        "foo --deleteAll=true",
        "./deploy.sh --destroy",
        "foo deploy --destroy",
    ] {
        assert!(harm(line) >= Harm::High, "{line}");
    }
}

#[test]
fn housekeeping_and_single_things_are_at_most_medium() {
    for line in [
        "foo remove lodash",
        "foo clean",
        "foo reset cache",
        "foo delete item",
        "foo clear cache --all",
        "foo purge cache",
        "foo uninstall x -y",
        "foo deploy",
        "foo restart web",
        "foo prune --all",
        "foo auth login",
        "foo down",
        "foo prune --delete-cache",
        "foo deploy -a web -y",
        "foo stop web",
        "foo session delete s-1",
        "foo store gc",
        "foo env prune",
        "foo -d '{}' host:443 shop.v1.Tenants/GetTenant",
        "foo -q 'DELETE FROM users WHERE id = 3'",
    ] {
        let harm = harm(line);
        assert!(harm <= Harm::Medium, "{line} {harm:?}");
    }
}

#[test]
fn looking_making_and_names_of_files_are_low() {
    for line in [
        "foo",
        "foo list",
        "foo delete database prod --help",
        "foo destroy --dry-run",
        "foo create drop-table-migration",
        "foo generate migration DropUsers",
        "foo run delete.py",
        "foo ./delete/all",
        "foo -m 'delete the production database'",
        "foo test reset",
        "foo build --force",
        "foo release list",
        "foo src/delete.rs drop database",
        "foo --version",
        "foo restart --env production",
        "foo note 'drop table users'",
        "foo -m 'truncate the log'",
        "foo run --rm web",
        "foo db-status production",
    ] {
        let harm = harm(line);
        assert!(harm <= Harm::Low, "{line} {harm:?}");
    }
}

#[test]
fn a_dry_run_that_is_switched_off_is_none() {
    assert_eq!(harm("foo destroy --dry-run --no-dry-run"), Harm::High);
    assert_eq!(harm("foo destroy --dry-run=false"), Harm::High);
}

#[test]
fn secrets_and_addresses_are_told() {
    let kinds = |line: &str| {
        let outcome = judged(line);
        let worst = outcome.effects.into_iter().max_by_key(|effect| effect.harm);
        worst.map(|effect| (effect.kind, effect.harm)).unwrap()
    };
    assert_eq!(kinds("foo --file=.env"), (Kind::TouchSecret, Harm::Medium));
    assert_eq!(kinds("foo upload ~/.ssh/id_rsa"), (Kind::Send, Harm::High));
    assert_eq!(
        kinds("foo .env https://example.com/x"),
        (Kind::Send, Harm::High)
    );
    let hosts = judged("foo https://a@example.com:8080/x").effects;
    let host = Target::Host("example.com:8080".to_owned());
    assert!(hosts.iter().any(|effect| effect.target == host));
}

#[test]
fn the_command_after_dashes_and_shell_in_options_run() {
    let shown = |line: &str| -> Vec<String> {
        let runs = judged(line).runs.into_iter();
        let texts = runs.map(|run| match run {
            Run::Command { words, .. } => words.iter().map(|word| word.text.clone()).collect(),
            Run::Shell { text, .. } => vec![text.text],
            other => vec![format!("{other:?}")],
        });
        texts.map(|words: Vec<String>| words.join(" ")).collect()
    };
    assert_eq!(shown("foo exec web -- rm -rf /data"), ["rm -rf /data"]);
    assert_eq!(shown("foo --command 'rm -rf /data'"), ["rm -rf /data"]);
    assert_eq!(
        shown("foo forall -c 'git reset --hard'"),
        ["git reset --hard"]
    );
    for line in [
        "foo -- -x",
        "foo -c 'a b'",
        "foo --help -- rm x",
        "foo --command 'DROP TABLE x'",
    ] {
        assert!(shown(line).is_empty(), "{line}");
    }
}

#[test]
fn a_program_is_always_unknown() {
    for line in ["foo", "foo list", "foo --help"] {
        let effects = judged(line).effects;
        assert!(effects.iter().any(|effect| effect.kind == Kind::Unknown));
    }
}
