// SPDX-License-Identifier: Apache-2.0
//! Texts of plans, what they announce and how that compares.

use proptest::prelude::*;

use super::*;
use crate::effects::place::{Area, Place};
use crate::effects::{Analysis, Effect, Finding, Hard, Harm, Kind, Target};

fn plan(text: &str) -> Plan {
    Plan {
        goal: String::new(),
        reasoning: text.to_owned(),
        actions: Vec::new(),
    }
}

fn commands(text: &str) -> Vec<String> {
    let announced = read(&plan(text));
    let shown = announced.commands.iter().map(|code| match code.denied {
        true => format!("not {}: {}", code.language, code.text),
        false => format!("{}: {}", code.language, code.text),
    });
    shown.collect()
}

#[test]
fn code_in_a_text_is_found_however_it_is_marked() {
    for (text, wanted) in [
        (
            "```bash\nrm -rf build\ncargo build\n```\nDone.",
            vec!["sh: rm -rf build\ncargo build"],
        ),
        (
            "```console\n$ rm x\nremoved\n$ ls\n```",
            vec!["sh: rm x\nls"],
        ),
        ("~~~sh\nls -la\n~~~", vec!["sh: ls -la"]),
        (
            "```\ncurl https://a.example | sh\n```",
            vec!["sh: curl https://a.example | sh"],
        ),
        ("```\n{\"a\": 1}\n```", vec![]),
        (
            "```json\n{}\n```\n```python\nimport os\n```",
            vec!["python: import os\n"],
        ),
        ("```bash title=x\nls a", vec!["sh: ls a"]),
        (
            "Run `git push --force` and then `foo`.",
            vec!["sh: git push --force"],
        ),
        (
            "Use `A=1 make x` on `src/main.rs`, `rm`.",
            vec!["sh: A=1 make x"],
        ),
        (
            "I will never run `rm -rf /` here.",
            vec!["not sh: rm -rf /"],
        ),
        ("`./deploy.sh prod` does it", vec!["sh: ./deploy.sh prod"]),
        ("Call `foo(a, b)` and read `the docs`.", vec![]),
        ("```ls -la``` inline", vec!["sh: ls -la"]),
    ] {
        assert_eq!(commands(text), wanted, "{text}");
    }
}

#[test]
fn spans_say_where_code_stands() {
    let plan = Plan {
        goal: "Ship it".to_owned(),
        reasoning: "First:\n```sh\nrm -rf x\n```\nthen `git push -f`.".to_owned(),
        actions: Vec::new(),
    };
    let whole = text(&plan);
    for code in read(&plan).commands {
        let range =
            usize::try_from(code.span.start).unwrap()..usize::try_from(code.span.end).unwrap();
        assert_eq!(whole.get(range).unwrap().trim(), code.text);
    }
}

#[test]
fn hosts_paths_and_packages_are_found_in_any_usual_form() {
    let announced = read(&plan(
        "Fetch https://API.example.com:8443/v1?x=1 and pypi.org, ssh to git@github.com, or 10.0.0.1. \
         Edit src/main.rs, `README.md`, ~/.bashrc and .env; see e.g. std::fs and v1.2.3. \
         Install requests, numpy==1.2 and @types/node with pip. Not evil.example.",
    ));
    let hosts: Vec<&str> = announced.hosts.iter().map(String::as_str).collect();
    assert_eq!(
        hosts,
        ["10.0.0.1", "api.example.com", "github.com", "pypi.org"]
    );
    for path in ["src/main.rs", "README.md", "~/.bashrc", ".env"] {
        assert!(
            announced.paths.contains(path),
            "{path} {:?}",
            announced.paths
        );
    }
    let packages: Vec<&str> = announced.packages.iter().map(String::as_str).collect();
    assert_eq!(packages, ["@types/node", "numpy", "requests"]);
}

fn path(kind: Kind, harm: Harm, path: &str) -> Effect {
    let place = Place::of(Area::Workspace);
    Effect::new(
        kind,
        harm,
        Target::Path(path.to_owned(), place),
        "test:rule",
        "does harm",
    )
}

fn host(host: &str) -> Effect {
    Effect::new(
        Kind::Connect,
        Harm::Low,
        Target::Host(host.to_owned()),
        "test:host",
        "speaks",
    )
}

fn analysis(effects: Vec<Effect>) -> Analysis {
    Analysis {
        effects,
        ..Analysis::default()
    }
}

fn hard(text: &str, effects: Vec<Effect>) -> Vec<Hard> {
    let announced = read(&plan(text));
    let found: Vec<Finding> = compare(&announced, &[], &[analysis(effects)]);
    found.iter().map(|finding| finding.hard).collect()
}

/// A text, what a step does to what, and whether that is a finding.
const UNSAID: &[(&str, Kind, Harm, &str, bool)] = &[
    (
        "Fix the parser.",
        Kind::Connect,
        Harm::Low,
        "evil.example",
        true,
    ),
    (
        "Ask evil.example for it.",
        Kind::Connect,
        Harm::Low,
        "evil.example",
        false,
    ),
    (
        "See https://example.com/x.",
        Kind::Connect,
        Harm::Low,
        "api.example.com",
        false,
    ),
    (
        "Get it from GitHub.",
        Kind::Connect,
        Harm::Low,
        "api.github.com",
        false,
    ),
    (
        "Publish to npm.",
        Kind::Connect,
        Harm::Low,
        "registry.npmjs.org",
        false,
    ),
    (
        "Fetch example data.",
        Kind::Connect,
        Harm::Low,
        "evil.net",
        true,
    ),
    (
        "Fix the parser.",
        Kind::Connect,
        Harm::Low,
        "127.0.0.1",
        false,
    ),
    (
        "Do not contact evil.example.",
        Kind::Connect,
        Harm::Low,
        "evil.example",
        true,
    ),
    ("", Kind::Connect, Harm::Low, "evil.example", false),
    (
        "Fix the parser.",
        Kind::Delete,
        Harm::Medium,
        "/workspace/old",
        true,
    ),
    (
        "Fix the parser.",
        Kind::Delete,
        Harm::Low,
        "/workspace/target",
        false,
    ),
    (
        "Clean up first.",
        Kind::Delete,
        Harm::Medium,
        "/workspace/old",
        false,
    ),
    (
        "Clean up first.",
        Kind::Delete,
        Harm::High,
        "/home/task/photos",
        true,
    ),
    (
        "Remove the photos.",
        Kind::Delete,
        Harm::High,
        "/home/task/photos",
        false,
    ),
    (
        "Work on main.rs; I will not delete anything.",
        Kind::Delete,
        Harm::Medium,
        "/workspace/old",
        true,
    ),
    (
        "Fix the parser.",
        Kind::TouchSecret,
        Harm::High,
        "~/.ssh/id_rsa",
        true,
    ),
    (
        "Use the SSH key.",
        Kind::TouchSecret,
        Harm::High,
        "~/.ssh/id_rsa",
        false,
    ),
    (
        "Read `.env`.",
        Kind::TouchSecret,
        Harm::Medium,
        "/workspace/.env",
        false,
    ),
    ("Fix the parser.", Kind::Publish, Harm::High, "origin", true),
    ("Then push.", Kind::Publish, Harm::High, "origin", false),
    ("I won't push.", Kind::Publish, Harm::High, "origin", true),
    (
        "Fix the parser.",
        Kind::Read,
        Harm::None,
        "src/parser.rs",
        false,
    ),
    (
        "Fix the parser.",
        Kind::Persist,
        Harm::High,
        "~/.bashrc",
        true,
    ),
];

#[test]
fn what_a_step_does_and_the_text_never_mentions_is_a_finding() {
    for (text, kind, harm, name, wanted) in UNSAID {
        let effect = match kind {
            Kind::Connect => host(name),
            kind => path(*kind, *harm, name),
        };
        let wanted: Vec<Hard> = wanted
            .then_some(Hard::DoneNotAnnounced)
            .into_iter()
            .collect();
        assert_eq!(hard(text, vec![effect]), wanted, "{text} {kind:?} {name}");
    }
}

#[test]
fn a_harmful_command_that_no_step_runs_is_a_finding() {
    let drop = path(Kind::Delete, Harm::Critical, "/");
    for (text, steps, wanted) in [
        ("```sh\nrm -rf /\n```", vec![], 1),
        ("```sh\nrm -rf /\n```", vec![drop.clone()], 0),
        ("Never run `rm -rf /`.", vec![], 0),
    ] {
        let announced = read(&plan(text));
        let shown = [analysis(vec![drop.clone()])];
        let found = compare(&announced, &shown, &[analysis(steps)]);
        let count = found
            .iter()
            .filter(|finding| finding.hard == Hard::AnnouncedNotDone)
            .count();
        assert_eq!(count, wanted, "{text}");
    }
    let announced = read(&plan("```sh\nls\n```"));
    assert!(
        compare(
            &announced,
            &[analysis(vec![path(Kind::Read, Harm::Low, "x")])],
            &[]
        )
        .is_empty()
    );
}

#[test]
fn wide_claims_are_findings() {
    let many: String = (0..12).map(|at| format!("host{at}.example.com ")).collect();
    for (text, wanted) in [
        ("Allow *.example.com.", true),
        ("I need full access.", true),
        ("It may reach any host.", true),
        (many.as_str(), true),
        (
            "See a.example.com, b.example.com, c.example.com, d.example.com.",
            true,
        ),
        ("See docs.example.com.", false),
        ("**Bold** and *italic* text, 2 * 3.", false),
        ("Fix `src/*.rs`.", false),
        ("No wildcard like *.example.com is needed.", false),
    ] {
        assert_eq!(
            hard(text, Vec::new()).contains(&Hard::TooBroad),
            wanted,
            "{text}"
        );
    }
}

#[test]
fn code_between_quotes_is_where_it_stands_without_its_blanks() {
    let plan = plan("Then `  rm -rf x’ ` it is.");
    let whole = text(&plan);
    let code = &read(&plan).commands[0];
    let range = usize::try_from(code.span.start).unwrap()..usize::try_from(code.span.end).unwrap();
    assert_eq!(whole.get(range), Some("rm -rf x’"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}") {
        let announced = read(&plan(&text));
        let _ = compare(&announced, &[], &[analysis(vec![host("a.b")])]);
    }

    #[test]
    fn no_marks_make_the_reader_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "`", "```", "~~~", "\n", " ", "$ ", "rm -rf x", "://", "@", ":", ".", "*", "/", "not ", "install ", "é", "[", "]",
                "’", " but ", ";", "a.com", "1.2.3.4", "~", "sh", "…", "=",
            ]),
            0..80,
        ),
    ) {
        let plan = plan(&parts.concat());
        let whole = text(&plan);
        for code in read(&plan).commands {
            let range = usize::try_from(code.span.start).unwrap()..usize::try_from(code.span.end).unwrap();
            prop_assert!(whole.get(range).is_some());
        }
    }
}
