// SPDX-License-Identifier: Apache-2.0
//! Calls for the tests of filters, wrappers and interpreters, from lines with single quotes.

use std::collections::BTreeMap;

use super::{Call, Files, NoFiles, Outcome, Run};
use crate::action::Action;
use crate::effects::intent;
use crate::effects::place::Setting;
use crate::effects::shell::Ground;
use crate::effects::word::{Arg, Stream, Taint};
use crate::effects::{Effect, Harm, Kind};

/// Files by their absolute paths.
#[derive(Debug, Default)]
pub(super) struct Tree(pub(super) BTreeMap<String, Stream>);

impl Files for Tree {
    fn read(&self, path: &str) -> Option<Stream> {
        self.0.get(path).cloned()
    }
}

/// A line's words; what is between single quotes is one word and no pattern.
pub(super) fn words(line: &str) -> Vec<Arg> {
    let mut found: Vec<Arg> = Vec::new();
    let mut open = false;
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                if !open {
                    found.push(Arg::default());
                }
                open = true;
            }
            ' ' if !quoted => open = false,
            letter => {
                if !open {
                    found.push(Arg::default());
                }
                open = true;
                let word = found.last_mut().unwrap();
                word.text.push(letter);
                word.glob |= !quoted && "*?[".contains(letter);
            }
        }
    }
    found
}

/// What the three would make of words, with files and standard input.
pub(super) fn run_with(words: &[Arg], stdin: &Stream, tree: &Tree) -> Option<Outcome> {
    let (name, args) = words.split_first().unwrap();
    let setting = Setting::default();
    let call = Call {
        name: name.text.rsplit('/').next().unwrap(),
        args,
        stdin,
        cwd: Some("/workspace"),
        setting: &setting,
        files: tree,
    };
    super::filters::run(&call)
        .or_else(|| super::wrappers::run(&call))
        .or_else(|| super::interpreters::run(&call))
}

/// The same for a line, with nothing piped in.
pub(super) fn run(line: &str) -> Outcome {
    let out = run_with(&words(line), &Stream::empty(), &Tree::default());
    out.unwrap_or_else(|| panic!("nothing knows {line}"))
}

/// The same with something on standard input.
pub(super) fn piped(line: &str, stdin: &Stream) -> Outcome {
    let out = run_with(&words(line), stdin, &Tree::default());
    out.unwrap_or_else(|| panic!("nothing knows {line}"))
}

/// The last of a pipe of commands without effects; a `\n` in the first stays as it is.
pub(super) fn pipe(line: &str) -> Stream {
    let mut stream = Stream::empty();
    for command in line.split(" | ") {
        stream = piped(command, &stream).stdout;
    }
    stream
}

/// What is run, a line for each: words apart by spaces, `sh:` before a shell's text.
pub(super) fn ran(out: &Outcome) -> Vec<String> {
    let joined = |words: &[Arg]| {
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        texts.join(" ").replace(crate::effects::word::UNKNOWN, "…")
    };
    let line = |run: &Run| match run {
        Run::Command { words, .. } => joined(words),
        Run::Shell { text, host, .. } => {
            let host = host
                .as_ref()
                .map_or(String::new(), |host| format!("{host}:"));
            format!("{host}sh:{}", joined(std::slice::from_ref(text)))
        }
        Run::Code { language, text } => format!("{language}:{}", text.text),
        Run::File {
            language,
            path,
            arguments,
        } => format!("file:{language}:{} {}", path.text, joined(arguments))
            .trim()
            .to_owned(),
        Run::Target { tool, name } => format!("target:{tool}:{name}"),
    };
    out.runs.iter().map(line).collect()
}

/// The worst effect.
pub(super) fn harm(out: &Outcome) -> Harm {
    out.effects
        .iter()
        .map(|effect| effect.harm)
        .max()
        .unwrap_or_default()
}

/// Whether there is an effect of this kind and harm.
pub(super) fn has(out: &Outcome, kind: Kind, harm: Harm) -> bool {
    out.effects
        .iter()
        .any(|effect| effect.kind == kind && effect.harm == harm)
}

/// Unknown bytes that a download gave.
pub(super) fn downloaded() -> Stream {
    Stream {
        text: None,
        taint: Taint {
            network: Some("example.com".to_owned()),
            ..Taint::default()
        },
    }
}

const NAMES: &str = "echo printf cat head tail tac sort uniq fold paste nl wc rev tr sed cut awk base64 base32 basenc \
    xxd openssl gzip jq iconv grep rg tee sponge xclip basename dirname realpath mktemp seq yes expr which ls test \
    getent env printenv date hostname sudo su runuser doas capsh chpst bwrap nsenter unshare cross-env xargs parallel \
    find fd ssh mosh docker kubectl lxc adb gcloud ansible salt pdsh tmux screen at systemd-run script flock gdb xterm \
    watch hyperfine entr watchexec nodemon nix nix-shell sops npx uvx npm pnpm yarn bun pipx uv git coverage nice time \
    chamber sh bash source eval pwsh python3 perl ruby node php deno osascript make just task rake ninja vim ed emacs";

const WORDS: &str = "-c -e -n -i -s -d -f -I{} -I {} + ; \\; -- - -- -exec -delete -name * ? [ [a-z] ! ( ) s/a/b/g s/[/x/ \
    {print$1} BEGIN{system(\"x\")} %s %*d%b \\x \\0777 a=b A=b é 漢 \u{F0000} \u{F0000}/x ~ / /dev/fd/63 .env ../.. \
    exec run -m x.py 5 -5 +5 1,2- 99999999999999999999 -it ::: :::: compose shell -C -S --eval=x --in-place ' \" $( \
    a-z z-a [:alpha:] [=a=] [:x -ps -r -p -k";

proptest::proptest! {
    #[test]
    fn any_words_come_to_an_end(
        name in proptest::sample::select(NAMES.split_ascii_whitespace().collect::<Vec<_>>()),
        rest in proptest::collection::vec(
            proptest::sample::select(WORDS.split_ascii_whitespace().collect::<Vec<_>>()),
            0..8,
        ),
        stdin in "[a-z \\\\\n'\"{}é]{0,40}",
    ) {
        let mut words = vec![Arg::known(name)];
        words.extend(rest.iter().map(|word| Arg::known(word)));
        let stdin = Stream::known(stdin);
        let out = run_with(&words, &stdin, &Tree::default());
        if let Some(out) = out {
            proptest::prop_assert!(out.runs.len() <= 512);
            proptest::prop_assert!(out.stdout.text.is_none_or(|text| text.len() <= 1 << 16));
        }
    }
}

/// The effects of a line of shell, read whole, where there are no files.
pub(super) fn effects(line: &str) -> Vec<Effect> {
    let setting = Setting::default();
    let ground = Ground {
        setting: &setting,
        cwd: Some("/workspace"),
        files: &NoFiles,
    };
    intent::of(&Action::shell(line), ground).effects
}
