// SPDX-License-Identifier: Apache-2.0
//! Build files and the lines they come to.

use proptest::prelude::*;

use super::super::place::Setting;
use super::super::program::Files;
use super::super::word::UNKNOWN;
use super::*;

#[derive(Debug)]
struct Folder(Vec<(String, String)>);

impl Files for Folder {
    fn read(&self, path: &str) -> Option<Stream> {
        let found = self.0.iter().find(|(known, _)| known == path);
        found.map(|(_, text)| Stream::known(text.clone()))
    }
}

fn lines(files: &[(&str, &str)], tool: &str, name: &str) -> Option<Vec<String>> {
    let files = files.iter().map(|(path, text)| {
        let path = if path.starts_with('/') {
            (*path).to_owned()
        } else {
            format!("/workspace/app/{path}")
        };
        (path, (*text).to_owned())
    });
    let files = Folder(files.collect());
    let setting = Setting::default();
    let stdin = Stream::default();
    let call = Call {
        name: tool,
        args: &[],
        stdin: &stdin,
        cwd: Some("/workspace/app"),
        setting: &setting,
        files: &files,
    };
    let runs = target(tool, name, &call)?;
    let show = |text: &str| text.replace(UNKNOWN, "?");
    let lines = runs.iter().map(|run| match run {
        Run::Shell { text, .. } => show(&text.text),
        Run::Code { language, text } => format!("{language}: {}", show(text.text.trim())),
        other => format!("{other:?}"),
    });
    Some(lines.collect())
}

fn all(file: &str, text: &str, tool: &str, cases: &[(&str, &[&str])]) {
    for (name, wanted) in cases {
        let found = lines(&[(file, text)], tool, name);
        assert_eq!(
            found.as_deref().unwrap_or_default(),
            *wanted,
            "{tool} {name}"
        );
    }
    assert_eq!(
        lines(&[(file, text)], tool, "no-such-target"),
        None,
        "{tool}"
    );
    assert_eq!(lines(&[], tool, "test"), None, "{tool}");
}

const MAKEFILE: &str = "
# A comment: with a colon
NAME = app
DIR := build/$(NAME)
DIR ?= /
FLAGS = -O2
FLAGS += -g
SOURCES = $(wildcard src/*.c)
OBJECTS = $(SOURCES:.c=.o)
VERSION := $(shell git describe)
define script
echo one
endef
.PHONY: all clean

all: $(DIR)/bin
ifeq ($(X),1)
\t@echo $(VERSION)
endif
\t-@$(MAKE) other

$(DIR)/bin: main.o | dirs
\t$(CC) $(FLAGS) -o $@ $< $^

%.o: %.c
\tcc -c $< -o $@

dirs: ; mkdir -p $(DIR)

clean:
\trm -rf $(DIR) \\
\t  $(NOTHING)/x
\trm -f $(OBJECTS)
\tfor f in *; do echo $$f; done

loop: loop2
\techo loop
loop2: loop
\techo loop2

deploy: NAME = web
deploy:
\techo $(HOME) $(patsubst %.c,%.o,a.c b.h) $(unknown-function x,y)
\techo '$(self)'
self = $(self)
include more.mk
";

#[test]
fn makefiles_come_to_their_recipes() {
    all(
        "Makefile",
        MAKEFILE,
        "make",
        &[
            (
                "",
                &[
                    "git describe",
                    "cc -c main.c -o main.o",
                    "mkdir -p build/app",
                    "cc -O2 -g -o build/app/bin main.o main.o dirs",
                    "echo ?",
                    "make other",
                ],
            ),
            (
                "clean",
                &[
                    "git describe",
                    "rm -rf build/app /x",
                    "rm -f src/*.o",
                    "for f in *; do echo $f; done",
                ],
            ),
            ("loop", &["git describe", "echo loop2", "echo loop"]),
            (
                "deploy",
                &["git describe", "echo /home/task a.o b.h ?", "echo '?'"],
            ),
            ("x.o", &["git describe", "cc -c x.c -o x.o"]),
            (
                "dirs loop2",
                &[
                    "git describe",
                    "mkdir -p build/app",
                    "echo loop",
                    "echo loop2",
                ],
            ),
        ],
    );
    let files = [
        ("Makefile", "include more.mk\n"),
        ("more.mk", "x:\n\techo x\n"),
        ("GNUmakefile", "y:\n\techo y\n"),
    ];
    assert_eq!(lines(&files, "make", ""), Some(vec!["echo y".to_owned()]));
    assert_eq!(
        lines(&files[..2], "gmake", "x"),
        Some(vec!["echo x".to_owned()])
    );
    let one = ".ONESHELL:\nx:\n\tcd /\n\trm -rf *\n";
    assert_eq!(
        lines(&[("makefile", one)], "make", "x"),
        Some(vec!["cd /\nrm -rf *".to_owned()])
    );
}

#[test]
fn functions_of_make_that_pick_words_leave_none_out_that_may_run() {
    let text = "
W = $(wildcard src/*.c)
a: ; echo $(filter-out src/main.c,src/main.c src/x.c) $(filter %.c,x.c y.h)
b: ; echo $(patsubst src/%.c,build/%.o,$(filter-out src/main.c,$(W)))
c: ; rm $(filter-out %*.c,$(W)) $(filter-out $(shell x),/) $(filter-out %,z)
d: ; rm $(filter a/%,$(W) b/x) $(filter $(shell x),/)
out/x.o: src/x.c ; mkdir -p $(@D) $(dir $@ y) && cc $(<F) $(^D)
";
    let line = |name: &str| {
        let found = lines(&[("Makefile", text)], "make", name).unwrap();
        found.last().unwrap().trim_end().to_owned()
    };
    assert_eq!(line("a"), "echo src/x.c x.c");
    assert_eq!(line("b"), "echo build/*.o");
    // A pattern with a star in it is not what the kernel's stars stand for.
    assert_eq!(line("c"), "rm src/*.c /");
    assert_eq!(line("d"), "rm src/*.c /");
    let wanted = "mkdir -p out out/ ./ && cc x.c src";
    assert_eq!(line("out/x.o"), wanted);
}

#[test]
fn packages_come_to_their_scripts_with_what_is_around_them() {
    let text = r#"{"scripts": {"pretest": "lint", "test": "jest", "build": "tsc && node x.js", "postinstall": "node evil.js",
        "start": "node ."}}"#;
    for tool in ["npm", "yarn", "pnpm", "bun"] {
        all(
            "package.json",
            text,
            tool,
            &[
                ("test", &["lint", "jest"]),
                ("build", &["tsc && node x.js"]),
                ("install", &["node evil.js"]),
                ("restart", &["node ."]),
                ("", &[]),
            ],
        );
    }
    let above = [("/workspace/package.json", text)];
    assert_eq!(
        lines(&above, "npm", "build"),
        Some(vec!["cd '/workspace' && tsc && node x.js".to_owned()])
    );
    assert_eq!(lines(&[("package.json", "{not json")], "npm", "test"), None);
}

#[test]
fn justfiles_come_to_their_recipes() {
    let text = "
set shell := ['bash', '-c']
dir := 'out'
rev := `git rev-parse HEAD`
alias b := build

# builds
[private]
@build target='all': clean (lint \"x\")
    cargo build {{target}} \\
      --release
    -echo {{rev}}

clean:
    rm -rf {{dir}}

lint mode:
    echo {{mode}}

py:
    #!/usr/bin/env python3
    import os
    os.remove('x')
";
    all(
        "justfile",
        text,
        "just",
        &[
            (
                "",
                &[
                    "git rev-parse HEAD",
                    "rm -rf out",
                    "echo ?",
                    "cargo build all --release",
                    "echo ?",
                ],
            ),
            (
                "b",
                &[
                    "git rev-parse HEAD",
                    "rm -rf out",
                    "echo ?",
                    "cargo build all --release",
                    "echo ?",
                ],
            ),
            (
                "py",
                &[
                    "git rev-parse HEAD",
                    "python: #!/usr/bin/env python3\nimport os\nos.remove('x')",
                ],
            ),
        ],
    );
}

#[test]
fn taskfiles_come_to_their_commands() {
    let text = "
version: '3'
vars:
  DIR: out
tasks:
  default:
    deps: [clean]
    cmds:
      - go build {{.FLAGS}}
      - task: test
      - cmd: echo done
        silent: true
  clean:
    desc: 'Removes: all'
    cmds:
    - rm -rf {{.DIR}}
  test: go test ./...
  long:
    cmds:
      - |
        cd /
        rm -rf x
      - echo 'a: b'
  one:
    cmd: echo one
  build:all:
    - echo all
";
    all(
        "Taskfile.yml",
        text,
        "task",
        &[
            (
                "",
                &["rm -rf out", "go build ?", "go test ./...", "echo done"],
            ),
            ("long", &["cd /\nrm -rf x", "echo 'a: b'"]),
            ("one", &["echo one"]),
            ("build:all", &["echo all"]),
        ],
    );
}

const PYPROJECT: &str = "
[tool.poe.tasks]
test = 'pytest'
lint = { cmd = 'ruff check', deps = ['fix'] }
fix.shell = 'ruff check --fix'
all = ['lint', 'test']
[tool.pdm.scripts]
test = 'pytest -q'
pre_test = 'echo pre'
up = { composite = ['test', 'rm -rf x'] }
list = { cmd = ['rm', '-rf', 'y'] }
[tool.taskipy.tasks]
tidy = 'rm -rf z'
[tool.hatch.envs.default.scripts]
cov = ['pytest --cov', 'coverage report']
";

#[test]
fn scripts_of_python_tools_come_to_their_lines() {
    let text = PYPROJECT;
    all(
        "pyproject.toml",
        text,
        "poe",
        &[("all", &["ruff check --fix", "ruff check", "pytest"])],
    );
    all(
        "pyproject.toml",
        text,
        "pdm",
        &[
            ("test", &["echo pre", "pytest -q"]),
            ("up", &["pytest -q", "rm -rf x"]),
            ("list", &["rm -rf y"]),
        ],
    );
    all("pyproject.toml", text, "task", &[("tidy", &["rm -rf z"])]);
    all(
        "pyproject.toml",
        text,
        "hatch",
        &[("cov", &["pytest --cov", "coverage report"])],
    );
}

#[test]
fn other_manifests_come_to_their_scripts() {
    all(
        "composer.json",
        r#"{"scripts": {"test": ["@lint", "phpunit", "App\\Tool::run", "@php x.php"], "lint": "phpcs",
            "post-install-cmd": "sh setup.sh"}}"#,
        "composer",
        &[
            ("test", &["phpcs", "phpunit", "php x.php"]),
            ("install", &["sh setup.sh"]),
        ],
    );
    all(
        "deno.jsonc",
        "{ // tasks\n \"tasks\": {\"a\": \"deno run a.ts\", \"b\": {\"command\": \"echo b\", \"dependencies\": [\"a\"]},}, }",
        "deno",
        &[
            ("a", &["deno run a.ts"]),
            ("b", &["deno run a.ts", "echo b"]),
        ],
    );
    all(
        "Rakefile",
        "task default: [:test]\ndesc 'x'\ntask :test => :clean do\n  sh 'rspec'\nend\ntask(:clean) { rm_rf 'out' }\n",
        "rake",
        &[
            ("", &["ruby: rm_rf 'out'", "ruby: sh 'rspec'"]),
            ("clean", &["ruby: rm_rf 'out'"]),
        ],
    );
}

#[test]
fn scripts_tell_their_language_by_their_first_line_then_by_their_name() {
    for (path, text, wanted) in [
        ("x", "#!/bin/sh\n", "sh"),
        ("x", "#! /usr/bin/env bash", "sh"),
        ("x.sh", "#!/usr/bin/python3.11 -u\n", "python"),
        ("x", "#!/usr/bin/env -S python3 -u\n", "python"),
        ("x", "#!/usr/bin/env -S A=1 -u B node --x\n", "node"),
        ("x", "#!/usr/bin/env -i perl -w\n", "perl"),
        ("x", "#!/usr/bin/awk -f\n", "awk"),
        ("x", "#!/usr/bin/env ts-node\n", "node"),
        ("x", "#!/usr/bin/make -f\n", ""),
        ("a/b.py", "import os", "python"),
        ("b.PL", "", "perl"),
        ("b.mjs", "", "node"),
        ("b.rb", "", "ruby"),
        ("b.php", "<?php", "php"),
        ("b.lua", "", "lua"),
        ("b.sh", "\u{7f}ELF\0", ""),
        ("b", "echo hi", ""),
        ("b.txt", "", ""),
    ] {
        assert_eq!(language(path, text), wanted, "{path} {text:?}");
    }
}

#[test]
fn build_files_that_go_on_and_on_end() {
    let mut doubling = "A0 = x\n".to_owned();
    for at in 1..60 {
        doubling.push_str(&format!("A{at} = $(A{}) $(A{})\n", at - 1, at - 1));
    }
    doubling.push_str("all:\n\techo $(A59)\n");
    let many: String = (0..2000)
        .map(|at| format!("t{at}: t{}\n\techo {at}\n", at + 1))
        .collect();
    assert!(lines(&[("Makefile", &doubling)], "make", "").is_some());
    assert!(lines(&[("Makefile", &many)], "make", "t0").is_some_and(|lines| lines.len() <= RUNS));
    assert!(
        lines(
            &[("Makefile", "include Makefile\nall:\n\techo")],
            "make",
            ""
        )
        .is_some()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_build_file_makes_a_reader_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", ":", "=", ":=", "\n", "\t", "  ", "- ", "$", "$(", "${", ")", "}", "{{", "}}", "[", "]", "\"", "'", ",", "%",
                "|", "#", "define ", "endef", "include a", "tasks:", "cmds:", "cmd: ", "deps: ", "task ", "do", "end", "é", "\\",
                "{\"scripts\":{\"a\":\"b\"}}", "[tool.pdm.scripts]", "`", "alias ", "@", "&&", ";", "#!", "(", "?=", "+=",
            ]),
            0..60,
        ),
    ) {
        let text = parts.concat();
        for (tool, files, _) in TOOLS {
            for file in files.split_ascii_whitespace() {
                let _ = lines(&[(file, &text)], tool, "a");
                let _ = lines(&[(file, &text)], tool, "");
            }
        }
        let _ = language("a", &text);
    }
}
