// SPDX-License-Identifier: Apache-2.0

use super::super::readers_testing::{
    Tree, downloaded, harm, has, pipe, piped, ran, run, run_with, words,
};
use crate::effects::word::{Stream, UNKNOWN};
use crate::effects::{Harm, Kind};

fn printed(line: &str) -> String {
    let text = pipe(line).text;
    text.unwrap_or_else(|| panic!("nothing is known of {line}"))
}

const OUTPUTS: &[(&str, &str)] = &[
    ("echo -n a b", "a b"),
    (r"echo -e 'a\tb\x41\0101'", "a\tbAA\n"),
    (r"echo -e 'a\cb'", "a"),
    (r"echo 'a\tb'", "a\\tb\n"),
    (r"printf '%s-%s\n' a b c", "a-b\nc-\n"),
    (r"printf '\162\155\x20%s' -rf", "rm -rf"),
    ("printf '%b' '\\0162m'", "rm"),
    ("printf '%03d|%x|%-3s|%c' 7 255 a xyz", "007|ff|a  |x"),
    ("printf '%d' 0x1f", "31"),
    (r"printf '%%\\'", "%\\"),
    ("echo cm0gLXJmIC8= | base64 -d", "rm -rf /"),
    ("echo cm0gLXJmIC8= | base64 --decode", "rm -rf /"),
    ("echo -n 'rm -rf /' | base64", "cm0gLXJmIC8=\n"),
    ("echo OJWSALLSMYQC6=== | base32 -d", "rm -rf /"),
    ("echo 726d202d7266 | xxd -r -p", "rm -rf"),
    ("echo 726d202d7266 | xxd -r -ps", "rm -rf"),
    ("echo '00000000: 726d 202d 7266  rm -rf' | xxd -r", "rm -rf"),
    ("echo -n id | xxd -p", "6964\n"),
    ("echo aWQ= | openssl enc -d -base64 -A", "id"),
    ("echo aWQ= | openssl base64 -d", "id"),
    ("echo fr- | rev", "-rf\n"),
    ("echo ez | tr a-z n-za-m", "rm\n"),
    ("echo RM | tr '[:upper:]' '[:lower:]'", "rm\n"),
    ("echo rXmX | tr -d X", "rm\n"),
    ("echo a,b | tr , '\\n'", "a\nb\n"),
    ("echo aab | tr -s a", "ab\n"),
    ("echo a:b:c | cut -d: -f2", "b\n"),
    ("echo a:b:c | cut -d : -f 1,3-", "a:c\n"),
    ("echo abcdef | cut -c2-4", "bcd\n"),
    ("echo xaXbX | sed 's/X//g'", "xab\n"),
    ("echo foo | sed -e 's/o/0/' -e 's/^/rm /'", "rm f0o\n"),
    ("echo a.b | sed 's#\\.#/#'", "a/b\n"),
    (r"printf 'a\nb\nc\n' | sed -n 2p", "b\n"),
    (r"printf 'a\nb\nc\n' | sed '1d;$d'", "b\n"),
    (r"printf 'a\nb\n' | sed '/a/d'", "b\n"),
    ("echo ab | sed y/ab/rm/", "rm\n"),
    ("echo ab12 | sed 's/[0-9]*$/-&/'", "ab-12\n"),
    ("echo a b c | awk '{print $2}'", "b\n"),
    ("echo a:b | awk -F: '{print $2, $1}'", "b a\n"),
    ("echo a b c | awk '{print $NF \"x\"}'", "cx\n"),
    ("awk 'BEGIN{printf \"%s\", \"rm\"}'", "rm"),
    (r"printf 'a\nb\n' | head -1", "a\n"),
    (r"printf 'a\nb\n' | tail -n 1", "b\n"),
    (r"printf 'a\nb\nc\n' | tail -n +2", "b\nc\n"),
    ("echo abc | head -c 2", "ab"),
    (r"printf 'a\nb\n' | tac", "b\na\n"),
    (r"printf 'b\na\nb\n' | sort -u", "a\nb\n"),
    (r"printf 'a\na\n' | uniq", "a\n"),
    (r"printf 'a\nb\n' | paste -sd ''", "ab\n"),
    ("echo abcd | fold -w2", "ab\ncd\n"),
    (r"printf 'a\nb\n' | wc -l", "2\n"),
    (r"printf 'a\nb\n' | grep b", "b\n"),
    (r"printf 'a\nB\n' | grep -vi b", "a\n"),
    ("seq 1 3", "1\n2\n3\n"),
    ("basename /a/b.txt .txt", "b\n"),
    ("dirname /a/b.txt", "/a\n"),
    ("realpath ../etc", "/etc\n"),
    ("pwd", "/workspace\n"),
    ("expr 2 + 3", "5\n"),
    ("which rm", "/usr/bin/rm\n"),
    ("command -v rm", "/usr/bin/rm\n"),
    ("yes | head -n 2", "y\ny\n"),
];

#[test]
fn constant_output_is_computed() {
    for (line, text) in OUTPUTS {
        assert_eq!(printed(line), *text, "{line}");
    }
}

#[test]
fn what_is_decoded_says_so_and_what_is_plain_does_not() {
    for line in [
        "echo aWQ= | base64 -d",
        "echo 6964 | xxd -r -p",
        "echo di | rev",
        "echo vq | tr a-z n-za-m",
        "echo x | gunzip",
    ] {
        assert!(pipe(line).taint.decoded, "{line}");
    }
    for line in [
        "echo id",
        "echo id | base64",
        "echo ID | tr A-Z a-z",
        "echo id | cat",
    ] {
        assert!(!pipe(line).taint.decoded, "{line}");
    }
}

#[test]
fn what_is_not_known_is_not_guessed() {
    for line in [
        "echo a | jq .",
        "echo a | gzip",
        "echo aab | sed 's/\\(a\\)b/\\1/'",
        "cat missing",
        "base64 -d missing",
        "date",
        "echo a | awk '{print substr($1, 1)}'",
        "echo /w== | base64 -d",
    ] {
        assert_eq!(pipe(line).text, None, "{line}");
    }
    let mut stdin = Stream::known(format!("a {UNKNOWN} c"));
    assert_eq!(piped("cut -d ' ' -f 3", &stdin).stdout.text, None);
    stdin.text = Some(format!("rm {UNKNOWN}"));
    assert_eq!(piped("cat", &stdin).stdout.text, stdin.text);
}

#[test]
fn a_secret_stays_one_through_filters() {
    let env = piped("cat .env", &Stream::empty());
    assert!(has(&env, Kind::TouchSecret, Harm::Medium));
    for line in [
        "grep KEY",
        "base64 -w0",
        "gzip -c",
        "tr -d x",
        "sort",
        "jq -R .",
        "head -1",
        "awk '{print $2}'",
        "sed s/a/b/",
        "tee copy",
        "xxd",
        "openssl enc -aes-256-cbc -k x",
        "rev",
        "column -t",
        "iconv -t UTF-16",
    ] {
        let out = piped(line, &env.stdout);
        assert_eq!(out.stdout.taint.secret.as_deref(), Some(".env"), "{line}");
    }
}

#[test]
fn showing_keys_that_are_the_persons_own_is_high() {
    for line in [
        "cat ~/.ssh/id_rsa",
        "less ~/.aws/credentials",
        "base64 ~/.ssh/id_ed25519",
        "tac ~/.netrc",
        "strings /proc/1/environ",
    ] {
        assert_eq!(harm(&run(line)), Harm::High, "{line}");
    }
}

#[test]
fn reading_secrets_is_medium_and_looking_at_them_is_low() {
    for line in [
        "head .env",
        "grep -n x .env",
        "awk 1 .env",
        "sed -n 1p .env",
        "xxd certs/server.key",
        "strings secrets.json",
        "sort .env",
        "openssl rsa -in server.key",
        "diff .env .env.local",
        "jq . credentials.json",
    ] {
        assert_eq!(harm(&run(line)), Harm::Medium, "{line}");
    }
    for line in [
        "ls -la ~/.ssh",
        "stat .env",
        "test -f .env",
        "[ -f .env ]",
        "wc -l .env",
        "sha256sum server.key",
        "grep -q KEY .env",
        "find . -name .env",
        "du -sh ~/.aws",
        "file server.pem",
    ] {
        assert_eq!(harm(&run(line)), Harm::Low, "{line}");
    }
    assert_eq!(harm(&run("cat /etc/shadow")), Harm::High);
    assert_eq!(harm(&run("getent shadow root")), Harm::High);
}

#[test]
fn mentioning_a_dangerous_thing_is_no_effect() {
    for line in [
        "echo 'rm -rf /'",
        "printf '%s' 'DROP TABLE users'",
        "grep -rn 'DROP TABLE' .",
        "rg 'rm -rf'",
        "cat README.md",
        "ls -la",
        "man rm",
        "which sudo",
        "awk '/rm -rf/ {print $1}' log.txt",
        "sed -n '/delete/p' src/main.rs",
        "head -n 20 Makefile",
        "diff a b",
        "wc -l src/main.rs",
        "true",
        "awk -F'|' '$2 > 5 {print \"a | b\"}' data.csv",
        "jq '.scripts' package.json",
        "tree -L 2",
        "du -sh *",
        "sort -k2 names.txt",
        "echo '/workspace/.env'",
        "printenv PATH",
        "date +%F",
    ] {
        let out = run(line);
        assert!(
            out.effects.is_empty() && out.runs.is_empty(),
            "{line}: {out:?}"
        );
    }
}

#[test]
fn filters_that_write_are_judged_by_the_place() {
    for (line, wanted) in [
        ("tee out.txt", Harm::Low),
        ("tee /tmp/x", Harm::Low),
        ("tee /dev/null", Harm::None),
        ("tee /etc/hosts", Harm::High),
        ("tee -a ~/.bashrc", Harm::Medium),
        ("tee ~/.bashrc", Harm::High),
        ("tee -a ~/.ssh/authorized_keys", Harm::High),
        ("tee /dev/sda", Harm::Critical),
        ("sort -o out.txt in.txt", Harm::Low),
        ("sed -i s/a/b/ src/main.rs", Harm::Low),
        ("sed -i.bak -e s/a/b/ src/main.rs", Harm::Low),
        ("sed --in-place s/a/b/ /etc/fstab", Harm::High),
        ("sed -i '' s/a/b/ src/main.rs", Harm::Low),
        ("sed 's/a/b/w /etc/passwd' x", Harm::High),
        ("base64 -d -o /etc/x y", Harm::High),
        ("xxd -r -p x /etc/cron.d/y", Harm::High),
        ("gzip log.txt", Harm::Low),
        ("openssl rand -out key.bin 32", Harm::Low),
    ] {
        assert_eq!(harm(&run(line)), wanted, "{line}");
    }
}

#[test]
fn what_tee_and_sed_write_can_be_read_later() {
    let out = piped("tee x.sh", &Stream::known("id\n"));
    assert_eq!(
        out.writes,
        [("/workspace/x.sh".to_owned(), Stream::known("id\n"))]
    );
    let mut tree = Tree::default();
    tree.0
        .insert("/workspace/x.sh".to_owned(), Stream::known("Xid\n"));
    let out = run_with(&words("sed -i s/X// x.sh"), &Stream::empty(), &tree).unwrap();
    assert_eq!(
        out.writes,
        [("/workspace/x.sh".to_owned(), Stream::known("id\n"))]
    );
    let more = run_with(&words("tee -a x.sh"), &Stream::known("ls\n"), &tree).unwrap();
    assert_eq!(more.writes[0].1.text.as_deref(), Some("Xid\nls\n"));
    let read = run_with(&words("cat x.sh"), &Stream::empty(), &tree).unwrap();
    assert_eq!(read.stdout.text.as_deref(), Some("Xid\n"));
}

#[test]
fn sed_that_runs_commands_is_seen() {
    assert_eq!(ran(&run("sed '1e id' x")), ["sh:id"]);
    assert_eq!(ran(&run("sed -n '1e exec sh' /etc/hosts")), ["sh:exec sh"]);
    assert!(has(&run("sed 's/.*/id/e' x"), Kind::Execute, Harm::High));
    assert!(run("sed 's/e/e/g' x").effects.is_empty());
}

#[test]
fn taints_of_downloads_stay() {
    for line in [
        "cat",
        "sed 's/a/b/'",
        "base64 -d",
        "gunzip",
        "tee x.sh",
        "head -n 5",
        "awk '{print}'",
    ] {
        let out = piped(line, &downloaded());
        assert_eq!(
            out.stdout.taint.network.as_deref(),
            Some("example.com"),
            "{line}"
        );
    }
}

#[test]
fn the_environment_is_a_secret() {
    for line in [
        "env",
        "printenv",
        "env FOO=bar",
        "printenv AWS_SECRET_ACCESS_KEY",
    ] {
        let out = run(line);
        assert!(has(&out, Kind::TouchSecret, Harm::Low), "{line}");
        assert!(out.stdout.taint.secret.is_some(), "{line}");
    }
    assert!(run("printenv HOME").stdout.taint.secret.is_none());
    assert!(run("env -i").effects.is_empty());
}

#[test]
fn listings_stand_for_names_in_their_folder() {
    assert_eq!(printed("ls"), format!("./{UNKNOWN}\n"));
    assert_eq!(printed("grep -rl x src"), format!("src/{UNKNOWN}\n"));
    assert_eq!(printed("mktemp -d"), format!("/tmp/{UNKNOWN}\n"));
}

const ODD: &[&str] = &[
    "printf",
    "printf '%'",
    "printf '%*'",
    "printf '\\'",
    "tr",
    "tr a",
    "tr '[:x:]' b",
    "tr z-a b",
    "cut",
    "sed",
    "sed s",
    "sed 's/a'",
    "sed 'y/a'",
    "awk",
    "awk -F",
    "awk '{print $'",
    "head -n x",
    "tail -c -1",
    "base64 -w",
    "xxd -c 0 -p",
    "basename",
    "seq",
    "expr",
    "openssl",
    "grep",
    "grep -e",
    "sort -o",
    "sed -f",
    "sed '\\'",
    "echo -e '\\x\\u\\0\\'",
    "sed 's/[/x/'",
    "sed '1,$!{s/a/b/;}'",
    "paste -d",
    "fold -w0",
    "date -s",
];

#[test]
fn hostile_input_is_bounded() {
    let long = Stream::known("a".repeat(60_000));
    for line in [
        "sed 's/a/&&&&&&&&&&&&&&&&&&&&/g'",
        "sed 's/a*a*a*a*b//'",
        "grep 'a*a*a*a*b'",
        "cut -c1- --output-delimiter=xxxxxxxxxx",
        "awk '{print $0 $0 $0}'",
        "fold -w1",
    ] {
        assert_eq!(
            piped(line, &long)
                .stdout
                .text
                .filter(|text| text.len() > 1 << 16),
            None,
            "{line}"
        );
    }
    let wide = run("printf '%99999999s' x").stdout.text;
    assert!(wide.is_none_or(|text| text.len() <= 1 << 16));
    assert_eq!(run("seq 1 999999999").stdout.text, None);
    assert_eq!(run("seq 1 0 5").stdout.text.as_deref(), Some("\n"));
    for line in ODD {
        let _ = run_with(
            &words(line),
            &Stream::known("é\u{F0000}\n"),
            &Tree::default(),
        );
    }
}

#[test]
fn hunting_for_passwords_everywhere_is_a_secret_touched() {
    let out = run("grep -rniE 'password|secret' /etc");
    assert!(has(&out, Kind::TouchSecret, Harm::Medium));
    assert_eq!(out.stdout.taint.secret.as_deref(), Some("/etc"));
    assert!(run("grep -rn password src").effects.is_empty());
}
