// SPDX-License-Identifier: Apache-2.0
//! All tables hold, and what they say of everyday and of bad commands.

use super::super::super::Harm;
use super::super::super::place::Setting;
use super::super::super::word::{Arg, Stream};
use super::super::{Call, NoFiles, Outcome, Run};
use super::data::FILES;
use super::*;

fn judged(line: &str) -> Outcome {
    let (words, stdin) = check::split(line);
    let setting = Setting::default();
    let (program, args) = words.split_first().unwrap();
    let call = Call {
        name: &program.text,
        args,
        stdin: &stdin,
        cwd: Some("/workspace"),
        setting: &setting,
        files: &NoFiles,
    };
    run(&call).unwrap_or_else(|| panic!("no table has {line}"))
}

fn harm(line: &str) -> Harm {
    let effects = judged(line).effects;
    effects
        .iter()
        .map(|effect| effect.harm)
        .max()
        .unwrap_or_default()
}

#[test]
fn every_table_that_comes_with_us_holds() {
    let mut wrong = Vec::new();
    for file in &FILES {
        match Table::unchecked(file.text, file.name) {
            Ok(table) => {
                let examples = check::examples(file.text, file.name, &table).unwrap();
                wrong.extend(examples.iter().map(ToString::to_string));
                let mut names: Vec<&str> = table.names().collect();
                let mut listed: Vec<&str> = file.programs.split_whitespace().collect();
                names.sort_unstable();
                listed.sort_unstable();
                if names != listed {
                    wrong.push(format!("{}: speaks of {}", file.name, names.join(" ")));
                }
            }
            Err(error) => wrong.push(error.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Commands of ordinary work: nobody wants to be asked.
const EVERYDAY: &str = include_str!("tests/everyday.txt");

/// Commands that a colleague would want to be asked about.
const ASKED: &str = include_str!("tests/asked.txt");

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn ordinary_work_is_at_most_medium() {
    let asked = lines(EVERYDAY).filter(|line| harm(line) >= Harm::High);
    let asked: Vec<String> = asked
        .map(|line| format!("{line}: {:?}", judged(line).effects))
        .collect();
    assert!(asked.is_empty(), "{}", asked.join("\n"));
}

#[test]
fn what_a_colleague_would_ask_about_is_high() {
    let missed = lines(ASKED).filter(|line| harm(line) < Harm::High);
    let missed: Vec<String> = missed
        .map(|line| format!("{line}: {:?}", judged(line).effects))
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// What a line runs, in short.
fn runs(line: &str) -> Vec<String> {
    let runs = judged(line).runs.into_iter();
    let texts = |words: Vec<Arg>| {
        let words: Vec<String> = words.into_iter().map(|arg| arg.text).collect();
        words.join(" ")
    };
    let short = runs.map(|run| match run {
        Run::Command { words, .. } => texts(words),
        Run::Shell { text, .. } => format!("sh: {}", text.text),
        Run::Code { language, text } => format!("{language}: {}", text.text),
        Run::Target { tool, name } => format!("{tool} {name}"),
        Run::File { path, .. } => path.text,
    });
    short.collect()
}

#[test]
fn commands_inside_of_commands_are_handed_on() {
    for (line, wanted) in [
        ("docker exec -it -u root web rm -rf /data", "rm -rf /data"),
        (
            "docker run --rm -v x:/y -w /y node:20 npm publish -x",
            "npm publish -x",
        ),
        (
            "docker compose -f a.yml exec -T web rails db:drop",
            "rails db:drop",
        ),
        (
            "kubectl -n x exec -it web -c app -- sh -c 'rm x'",
            "sh -c rm x",
        ),
        (
            "git submodule foreach --recursive git clean -fdx",
            "sh: git clean -fdx",
        ),
        (
            "git submodule foreach 'git clean -fdx'",
            "sh: git clean -fdx",
        ),
        ("git bisect run make test", "make test"),
        ("git -c core.pager='rm -rf x' log", "sh: rm -rf x"),
        ("git -c alias.x='!rm -rf y' x", "sh: rm -rf y"),
        ("git rebase -i --exec 'rm x' main", "sh: rm x"),
        (
            "npx -y -p a prisma@latest migrate reset",
            "prisma migrate reset",
        ),
        ("poetry run python x.py --y", "python x.py --y"),
        ("uv run --with x pytest -k y", "pytest -k y"),
        ("bundle exec rake db:drop", "rake db:drop"),
        ("npm run build -- --prod", "npm build"),
        ("npm exec -c 'rm x'", "sh: rm x"),
        ("doppler run -- terraform destroy", "terraform destroy"),
        ("heroku run -a x rails db:drop", "rails db:drop"),
        ("manage.py shell -c 'import os'", "python: import os"),
        (
            "az vm run-command invoke -n x --scripts 'rm -rf /'",
            "sh: rm -rf /",
        ),
        ("gcloud compute ssh x --command='rm y'", "sh: rm y"),
    ] {
        assert_eq!(
            runs(line).last().map(String::as_str),
            Some(wanted),
            "{line}"
        );
    }
}

#[test]
fn an_option_that_makes_harmless_counts_only_in_full_and_while_it_is_on() {
    for (line, wanted) in [
        ("git push --force --dry-run", Harm::None),
        ("git push --force --dry-run --no-dry-run", Harm::High),
        ("git push --force --dry", Harm::High),
        ("kubectl delete ns x --dry-run=client", Harm::None),
        ("kubectl delete ns x --dry-run=none", Harm::Critical),
        ("git push --force -- --dry-run", Harm::High),
        ("git commit -m --help", Harm::Low),
        ("docker volume rm --help", Harm::None),
        ("helm install x y --version 1", Harm::Medium),
    ] {
        assert_eq!(harm(line), wanted, "{line}");
    }
}

#[test]
fn production_raises_what_would_run_elsewhere() {
    assert_eq!(harm("kubectl rollout undo deploy/web"), Harm::Medium);
    assert_eq!(harm("kubectl rollout undo deploy/web -n prod"), Harm::High);
    assert_eq!(harm("kubectl get pods -n prod"), Harm::None);
}

#[test]
fn what_is_steady_or_only_said_is_no_worse_in_production() {
    for line in [
        "kubectl rollout restart deploy/web -n prod",
        "kubectl --context prod delete pod web-1",
        "kubectl -n prod apply -f x.yaml",
        "gh pr close 1 --comment 'not for production yet'",
    ] {
        assert_eq!(harm(line), Harm::Medium, "{line}");
    }
}

#[test]
fn a_listed_sub_command_does_not_hide_one_that_deletes() {
    assert_eq!(harm("dagster run wipe"), Harm::High);
    assert!(harm("ctr images rm x") >= Harm::Medium);
    assert_eq!(harm("kubectl auth can-i delete pods"), Harm::None);
    assert!(harm("npm run delete-users") < Harm::High);
    assert!(harm("cargo run -- delete --dry-run") < Harm::High);
}

#[test]
fn an_option_that_says_it_deletes_is_high_in_every_tool() {
    let deletes = "gcloud storage rsync --delete-unmatched-destination-objects . gs://x";
    assert_eq!(harm(deletes), Harm::High);
    for line in [
        "gh pr create --delete-branch",
        "gcloud storage rsync --delete-unmatched-destination-objects=false . gs://x",
        "git branch --delete merged",
    ] {
        assert!(harm(line) < Harm::High, "{line}");
    }
    assert!(harm("wrangler d1 execute x --command 'DELETE FROM y'") >= Harm::High);
    assert!(harm("wrangler d1 execute x --local --command 'DELETE FROM y'") < Harm::High);
}

#[test]
fn a_protection_that_is_switched_off_is_high_in_every_tool() {
    for line in [
        "az backup protection disable -g x -v y",
        "aws ec2 disable-ebs-encryption-by-default",
        "gcloud storage buckets disable-audit-logging x",
    ] {
        assert_eq!(harm(line), Harm::High, "{line}");
    }
    for line in [
        "az backup protection enable-for-vm -g x",
        "git remote remove backup",
        "aws ec2 get-ebs-encryption-by-default",
    ] {
        assert!(harm(line) < Harm::High, "{line}");
    }
}

#[test]
fn statements_that_came_over_the_network_are_high() {
    let mut stdin = Stream::default();
    stdin.taint.network = Some("example.com".to_owned());
    let setting = Setting::default();
    let call = Call {
        name: "psql",
        args: &[],
        stdin: &stdin,
        cwd: None,
        setting: &setting,
        files: &NoFiles,
    };
    let effects = run(&call).unwrap().effects;
    assert!(
        effects
            .iter()
            .any(|effect| effect.rule == "psql:foreign-code")
    );
}

#[test]
fn a_table_of_ones_own_is_read_and_its_mistakes_are_placed() {
    let rule = "[[tool]]\nnames = \"acme\"\n[[tool.rule]]\nid = \"drop\"\npath = \"drop\"\n\
        does = \"delete high\"\nwhy = \"drops\"\nexamples = [\"acme drop x\"]\n";
    let table = Table::parse(rule, "own.toml").unwrap();
    assert_eq!(table.names().collect::<Vec<_>>(), ["acme"]);
    for (from, to, said) in [
        (
            "\"acme drop x\"",
            "\"acme list\"",
            "own.toml: rule acme:drop: does not match",
        ),
        (
            "delete high",
            "delete hard",
            "own.toml: rule acme:drop: unknown variant",
        ),
        ("path", "pth", "own.toml:5: unknown field"),
        ("[\"acme drop x\"]", "[]", "needs at least one example"),
        ("names = \"acme\"", "names = \"\"", "needs `names`"),
        ("why = \"drops\"\n", "", "needs `id` and `why`"),
    ] {
        let error = Table::parse(&rule.replace(from, to), "own.toml").unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_line_of_very_many_words_is_read_in_bounds_and_told() {
    let args = vec![Arg::known("+x"); 100_000];
    let (stdin, setting) = (Stream::default(), Setting::default());
    let call = Call {
        name: "git",
        args: &args,
        stdin: &stdin,
        cwd: None,
        setting: &setting,
        files: &NoFiles,
    };
    let outcome = run(&call).unwrap();
    assert_eq!(outcome.findings.len(), 1);
    assert!(outcome.effects.len() < 50);
}

proptest::proptest! {
    #[test]
    fn any_line_of_any_tool_is_judged_without_a_panic(
        file in 0..FILES.len(),
        tool in 0_usize..1000,
        words in proptest::collection::vec("[-a-z+:=.*@/é\u{F0000}]{0,12}", 0..8),
    ) {
        let programs: Vec<&str> = FILES[file].programs.split_whitespace().collect();
        let args: Vec<Arg> = words.iter().map(|word| Arg::known(word)).collect();
        let (stdin, setting) = (Stream::default(), Setting::default());
        let call = Call {
            name: programs[tool % programs.len()],
            args: &args,
            stdin: &stdin,
            cwd: None,
            setting: &setting,
            files: &NoFiles,
        };
        assert!(run(&call).is_some_and(|outcome| !outcome.effects.is_empty()));
    }
}
