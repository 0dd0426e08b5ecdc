// SPDX-License-Identifier: Apache-2.0

use super::super::readers_testing::{
    Tree, downloaded, harm, has, piped, ran, run, run_with, words,
};
use crate::effects::word::{Arg, Stream, Taint, UNKNOWN};
use crate::effects::{Harm, Kind};

fn decoded(text: Option<&str>) -> Stream {
    Stream {
        text: text.map(str::to_owned),
        taint: Taint {
            decoded: true,
            ..Taint::default()
        },
    }
}

const CODE: &[(&str, &str)] = &[
    ("sh -c id", "sh:id"),
    ("bash -lc id", "sh:id"),
    ("bash -c -e id", "sh:id"),
    ("bash -eu -o pipefail -c id", "sh:id"),
    ("bash --norc --noprofile -c id x y", "sh:id"),
    ("zsh -ic id", "sh:id"),
    ("fish --command id", "sh:id"),
    ("/bin/dash -c id", "sh:id"),
    ("bash x.sh a b", "file:sh:x.sh a b"),
    ("bash -x ./x.sh", "file:sh:./x.sh"),
    ("source x.sh", "file:sh:x.sh"),
    (". ./x.sh a", "file:sh:./x.sh a"),
    ("eval rm -rf x", "sh:rm -rf x"),
    ("eval -- 'rm -rf x'", "sh:rm -rf x"),
    ("python3 -c 'import os'", "python:import os"),
    ("python -uc 'x'", "python:x"),
    ("python3.12 -cprint", "python:print"),
    ("python -W ignore -X dev x.py a", "file:python:x.py a"),
    ("pypy3 x.py", "file:python:x.py"),
    ("python -m pip install x", "pip install x"),
    ("python -mpytest -q", "pytest -q"),
    ("python -m pdb x.py", "file:python:x.py"),
    ("python -m cProfile -o out x.py", "file:python:x.py"),
    ("python manage.py flush", "manage.py flush"),
    ("perl -e 'system(1)'", "perl:system(1)"),
    ("perl -ne 'print' x", "perl:print"),
    ("perl -Mstrict -we 'x'", "perl:x"),
    ("perl -lane 'x' f", "perl:x"),
    ("perl -i.bak -pe 'x' f", "perl:x"),
    ("perl -e'x'", "perl:x"),
    ("ruby -rjson -e 'x'", "ruby:x"),
    ("ruby x.rb", "file:ruby:x.rb"),
    ("node -e 'x'", "node:x"),
    ("node -pe 'x'", "node:x"),
    ("node --eval='x'", "node:x"),
    ("nodejs -r ./a.js b.js", "file:node:b.js"),
    ("deno eval 'x'", "node:x"),
    ("deno run -A --allow-net x.ts", "file:node:x.ts"),
    ("bun x.ts", "file:node:x.ts"),
    ("bun run x.ts", "file:node:x.ts"),
    ("bun -e 'x'", "node:x"),
    ("php -r 'x'", "php:x"),
    ("php8.2 x.php", "file:php:x.php"),
    (
        "php artisan migrate:fresh --force",
        "artisan migrate:fresh --force",
    ),
    ("lua -e 'x'", "lua:x"),
    ("Rscript -e 'x'", "r:x"),
    ("awk 'BEGIN{system(\"id\")}'", "awk:BEGIN{system(\"id\")}"),
    ("awk '{print | \"sh\"}'", "awk:{print | \"sh\"}"),
    ("awk '{print > \"/etc/x\"}'", "awk:{print > \"/etc/x\"}"),
    ("awk -f x.awk data", "file:awk:x.awk"),
    ("vim -es -c '!id' x", "sh:id"),
    ("vim '+!id' x", "sh:id"),
    ("vim -c ':!id' -c q", "sh:id"),
    ("vim -c 'call system(\"id\")'", "sh:id"),
    ("nvim -c 'lua os.execute(1)'", "lua:os.execute(1)"),
    ("emacs --batch --eval 'x'", "elisp:x"),
    ("make", "target:make:"),
    ("make -j4 test", "target:make:test"),
    ("make -j 4 test", "target:make:test"),
    ("gmake -C sub CFLAGS=-O2 install", "target:make:install"),
    ("just build x", "target:just:build"),
    ("task build", "target:task:build"),
    ("rake db:drop", "target:rake:db:drop"),
    ("ninja -C out -v all", "target:ninja:all"),
    ("npm run build", "target:npm:build"),
    ("npm run-script build -- --prod", "target:npm:build"),
    ("npm --prefix web run build", "target:npm:build"),
    ("npm test", "target:npm:test"),
    ("npm t", "target:npm:test"),
    ("pnpm --filter web build", "target:pnpm:build"),
    ("pnpm run lint", "target:pnpm:lint"),
    ("yarn build", "target:yarn:build"),
    ("yarn workspace web run build", "target:yarn:build"),
    (
        "yarn prisma migrate reset --force",
        "prisma migrate reset --force",
    ),
    ("bun run dev", "target:bun:dev"),
    ("deno task dev", "target:deno:dev"),
    ("osascript -e 'do shell script \"id\"'", "sh:id"),
];

#[test]
fn code_and_scripts_on_the_command_line_are_found() {
    for (line, wanted) in CODE {
        let out = run(line);
        assert_eq!(
            ran(&out).first().map(String::as_str),
            Some(*wanted),
            "{line}"
        );
        assert!(harm(&out) < Harm::High, "{line}: {out:?}");
    }
}

#[test]
fn code_on_standard_input_that_is_known_is_followed() {
    for (line, wanted) in [
        ("bash", "sh:id"),
        ("sh -", "sh:id"),
        ("sh -s -- a", "sh:id"),
        ("bash -x", "sh:id"),
        ("bash /dev/stdin", "sh:id"),
        ("source /dev/stdin", "sh:id"),
        ("python3", "python:id"),
        ("python3 -", "python:id"),
        ("perl", "perl:id"),
        ("node", "node:id"),
        ("ruby -", "ruby:id"),
        ("php", "php:id"),
    ] {
        let out = piped(line, &Stream::known("id"));
        assert_eq!(ran(&out), [wanted], "{line}");
        assert!(out.effects.is_empty(), "{line}");
        let out = piped(line, &decoded(Some("id")));
        assert_eq!(ran(&out), [wanted], "{line}");
        assert!(has(&out, Kind::Obfuscate, Harm::Medium), "{line}");
    }
}

#[test]
fn code_that_nobody_has_seen_is_high() {
    for line in [
        "bash",
        "sh -s",
        "bash -ex",
        "python3",
        "python3 -",
        "perl",
        "node -",
        "ruby",
        "php",
        "source /dev/stdin",
        "fish",
    ] {
        let out = piped(line, &downloaded());
        assert!(has(&out, Kind::Execute, Harm::High), "{line}");
        assert!(
            out.effects
                .iter()
                .any(|effect| effect.why.contains("example.com")),
            "{line}"
        );
        assert!(
            has(&piped(line, &Stream::default()), Kind::Execute, Harm::High),
            "{line}"
        );
        assert!(
            has(&piped(line, &decoded(None)), Kind::Execute, Harm::High),
            "{line}"
        );
    }
    let mut both = downloaded();
    both.taint.decoded = true;
    assert!(has(&piped("sh", &both), Kind::Execute, Harm::Critical));
    assert!(has(
        &run("deno run https://example.com/x.ts"),
        Kind::Execute,
        Harm::High
    ));
}

#[test]
fn code_in_words_that_is_not_known_is_dynamic() {
    let unknown = |network: bool| Arg {
        text: UNKNOWN.to_string(),
        taint: if network {
            downloaded().taint
        } else {
            Taint::default()
        },
        ..Arg::default()
    };
    for line in [
        "sh -c",
        "bash -lc",
        "eval",
        "python3 -c",
        "node -e",
        "perl -e",
    ] {
        for (network, wanted) in [(true, Harm::High), (false, Harm::Medium)] {
            let mut words = words(line);
            words.push(unknown(network));
            let out = run_with(&words, &Stream::empty(), &Tree::default()).unwrap();
            assert!(has(&out, Kind::Execute, wanted), "{line}");
            assert_eq!(out.findings.len(), 1, "{line}");
            assert!(out.runs.is_empty(), "{line}");
        }
    }
    let mut words = words("bash -c");
    words.push(Arg::known(&format!("rm -rf {UNKNOWN}")));
    let out = run_with(&words, &Stream::empty(), &Tree::default()).unwrap();
    assert_eq!(ran(&out), ["sh:rm -rf …"]);
}

#[test]
fn a_download_as_a_process_substitution_is_high() {
    for line in ["bash", "source", "python3"] {
        let mut words = words(line);
        words.push(Arg {
            text: "/dev/fd/63".to_owned(),
            taint: downloaded().taint,
            ..Arg::default()
        });
        let out = run_with(&words, &Stream::empty(), &Tree::default()).unwrap();
        assert!(has(&out, Kind::Execute, Harm::High), "{line}");
    }
}

#[test]
fn a_script_piped_from_a_file_is_that_file() {
    let stdin = Stream {
        text: None,
        taint: Taint {
            file: Some("x.sh".to_owned()),
            ..Taint::default()
        },
    };
    assert_eq!(ran(&piped("bash -s a", &stdin)), ["file:sh:x.sh a"]);
}

#[test]
fn asking_and_setting_up_is_nothing() {
    for line in [
        "bash --version",
        "sh -n x.sh",
        "python3 --version",
        "python3 -V",
        "node --version",
        "node -v",
        "perl -v",
        "make -n install",
        "make --version",
        "just --list",
        "just",
        "npm run",
        "task --list",
        "rake -T",
        "source venv/bin/activate",
        "source ~/.bashrc",
        ". ~/.nvm/nvm.sh",
        "python -m venv .venv",
        "python3 -m json.tool x.json",
        "bash",
        "python3",
        "node --test",
        "deno test",
        "deno fmt",
        "vim",
        "bash -c",
        "python -m unittest",
        "ninja -t clean",
        "sh",
        "node",
    ] {
        let out = run(line);
        let runs: Vec<String> = ran(&out)
            .into_iter()
            .filter(|run| run != "target:just:")
            .collect();
        assert!(out.effects.is_empty() && runs.is_empty(), "{line}: {out:?}");
    }
    for line in [
        "npm install",
        "npm publish",
        "npm ci",
        "yarn",
        "yarn add x",
        "pnpm i",
        "bun install",
        "swift build",
        "R CMD build .",
    ] {
        let out = run_with(&words(line), &Stream::empty(), &Tree::default());
        assert!(out.is_none(), "{line}");
    }
}

#[test]
fn one_liners_that_edit_in_place_write() {
    assert!(has(
        &run("perl -pi -e 's/a/b/' src/main.rs"),
        Kind::Write,
        Harm::Low
    ));
    assert!(has(
        &run("perl -i -pe 's/a/b/' /etc/hosts"),
        Kind::Write,
        Harm::High
    ));
    assert!(has(
        &run("ruby -i -ne 'x' /etc/hosts"),
        Kind::Write,
        Harm::High
    ));
    assert!(has(
        &run("perl -ne 'print' .env"),
        Kind::TouchSecret,
        Harm::Medium
    ));
    assert!(has(
        &run("vim -es -c wq /etc/hosts"),
        Kind::Write,
        Harm::High
    ));
    let ed = piped("ed -s /etc/hosts", &Stream::known("1d\nw\nq\n"));
    assert!(has(&ed, Kind::Write, Harm::High));
    assert_eq!(ran(&piped("ed", &Stream::known("!id\n"))), ["sh:id"]);
}

#[test]
fn a_server_of_files_is_low_and_of_a_home_high() {
    assert_eq!(harm(&run("python3 -m http.server 8000")), Harm::Low);
    assert_eq!(harm(&run("python3 -m http.server -d ~")), Harm::High);
    assert_eq!(
        harm(&run(
            "python3 -m http.server --bind 127.0.0.1 --directory /"
        )),
        Harm::Low
    );
    assert_eq!(harm(&run("php -S localhost:8000 -t public")), Harm::Low);
}

#[test]
fn modules_that_filter_decode() {
    let out = piped("python3 -m base64 -d", &Stream::known("aWQ="));
    assert_eq!(out.stdout.text.as_deref(), Some("id"));
}

#[test]
fn a_project_that_is_known_tells_scripts_from_programs() {
    let mut tree = Tree::default();
    let manifest = r#"{"scripts": {"release": "x", "prisma": "y"}}"#;
    tree.0.insert(
        "/workspace/package.json".to_owned(),
        Stream::known(manifest),
    );
    let line = |line| ran(&run_with(&words(line), &Stream::empty(), &tree).unwrap());
    assert_eq!(line("yarn prisma"), ["target:yarn:prisma"]);
    assert_eq!(line("yarn cowsay hi"), ["cowsay hi"]);
}

#[test]
fn makefiles_on_the_command_line_are_read() {
    assert_eq!(ran(&run("make -n --eval='$(shell id)'")), ["sh:id"]);
    let out = piped("make -f -", &Stream::known("all:\n\t@id\n"));
    assert_eq!(ran(&out), ["sh:id", "target:make:"]);
}

#[test]
fn hidden_powershell_is_high() {
    assert_eq!(harm(&run("pwsh -EncodedCommand ZQ==")), Harm::High);
    assert_eq!(
        ran(&run("pwsh -NoProfile -Command Get-Date")),
        ["powershell:Get-Date"]
    );
}

#[test]
fn odd_command_lines_do_not_fail() {
    for line in [
        "sh -c",
        "sh -o",
        "sh --rcfile",
        "python -c",
        "python -m",
        "python -W",
        "perl -e",
        "perl -i",
        "node -e",
        "ruby -r",
        "make -f",
        "make --eval",
        "just -c",
        "yarn run",
        "yarn workspace",
        "deno run",
        "deno",
        "awk -f",
        "vim -c",
        "vim +",
        "ed x",
        "emacs --eval",
        "pwsh -c",
        "pwsh -",
        "eval",
        "source",
        "osascript -e 'do shell script'",
        "python -é",
        "perl -é",
        "sh -é",
    ] {
        let _ = run_with(&words(line), &Stream::known("é"), &Tree::default());
    }
}
