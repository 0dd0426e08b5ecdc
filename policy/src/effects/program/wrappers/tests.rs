// SPDX-License-Identifier: Apache-2.0

use super::super::Run;
use super::super::readers_testing::{
    Tree, downloaded, harm, has, piped, ran, run, run_with, words,
};
use crate::effects::word::{Stream, Taint, UNKNOWN};
use crate::effects::{Harm, Kind};

const WRAPPED: &[&str] = &[
    "sudo rm -rf /",
    "sudo -u root -E rm -rf /",
    "sudo -nE -- rm -rf /",
    "sudo A=b rm -rf /",
    "doas rm -rf /",
    "doas -u bob rm -rf /",
    "pkexec rm -rf /",
    "pkexec --user root rm -rf /",
    "runuser -u root -- rm -rf /",
    "env rm -rf /",
    "env -i A=1 B=2 rm -rf /",
    "env -u X rm -rf /",
    "env - rm -rf /",
    "env -iu X A=1 rm -rf /",
    "nice rm -rf /",
    "nice -n 19 rm -rf /",
    "nice -19 rm -rf /",
    "ionice -c3 rm -rf /",
    "ionice -c 2 -n 7 rm -rf /",
    "chrt -f 99 rm -rf /",
    "taskset -c 0,1 rm -rf /",
    "taskset 0x3 rm -rf /",
    "timeout 5 rm -rf /",
    "timeout -k 5s --signal=KILL 1m rm -rf /",
    "timeout -s KILL 5 rm -rf /",
    "nohup rm -rf /",
    "setsid -f rm -rf /",
    "stdbuf -oL rm -rf /",
    "stdbuf -o L -e0 rm -rf /",
    "unbuffer rm -rf /",
    "time -p rm -rf /",
    "time -f %e rm -rf /",
    "command rm -rf /",
    "command -p -- rm -rf /",
    "builtin rm -rf /",
    "exec rm -rf /",
    "exec -a x rm -rf /",
    "busybox rm -rf /",
    "toybox rm -rf /",
    "flock /tmp/l rm -rf /",
    "flock -n -w 5 /tmp/l -- rm -rf /",
    "strace -f -e trace=file -o /tmp/o rm -rf /",
    "ltrace rm -rf /",
    "gdb -q --args rm -rf /",
    "chroot / rm -rf /",
    "chroot --userspec=a:b / rm -rf /",
    "unshare -r rm -rf /",
    "nsenter -t 1 -m -u rm -rf /",
    "systemd-run --user --unit x rm -rf /",
    "systemd-run -p A=b rm -rf /",
    "docker exec web rm -rf /",
    "docker exec -it -e A=1 -u root web rm -rf /",
    "docker container exec web rm -rf /",
    "docker -H tcp://x exec web rm -rf /",
    "docker compose -f a.yml exec -T web rm -rf /",
    "docker-compose run --rm web rm -rf /",
    "podman exec -it web rm -rf /",
    "kubectl exec web -- rm -rf /",
    "kubectl -n prod exec -it web -c app -- rm -rf /",
    "kubectl exec -n prod deploy/web -- rm -rf /",
    "kubectl exec web rm -rf /",
    "oc exec web -- rm -rf /",
    "lxc exec box -- rm -rf /",
    "nerdctl exec web rm -rf /",
    "poetry run rm -rf /",
    "poetry -C dir run rm -rf /",
    "uv run rm -rf /",
    "uv run --with x -- rm -rf /",
    "pipenv run rm -rf /",
    "bundle exec rm -rf /",
    "direnv exec . rm -rf /",
    "mise exec node@20 -- rm -rf /",
    "asdf exec rm -rf /",
    "rustup run nightly rm -rf /",
    "conda run -n base rm -rf /",
    "hatch run rm -rf /",
    "cross-env A=b rm -rf /",
    "dotenv -e .env.local -- rm -rf /",
    "dotenvx run -f .env -- rm -rf /",
    "aws-vault exec prod -- rm -rf /",
    "chamber exec a b -- rm -rf /",
    "git bisect run rm -rf /",
    "git -C x bisect run rm -rf /",
    "/lib64/ld-linux-x86-64.so.2 rm -rf /",
    "perf stat -e x rm -rf /",
    "valgrind --tool=memcheck rm -rf /",
    "script -q /dev/null rm -rf /",
    "caffeinate -i rm -rf /",
    "xvfb-run -a rm -rf /",
    "fakeroot rm -rf /",
    "firejail rm -rf /",
    "proxychains4 -q rm -rf /",
    "gosu root rm -rf /",
    "setpriv --reuid 0 rm -rf /",
    "bwrap --bind / / --dev /dev rm -rf /",
];

#[test]
fn the_command_under_a_wrapper_is_found() {
    for line in WRAPPED {
        let out = run(line);
        assert_eq!(ran(&out), ["rm -rf /"], "{line}");
    }
}

#[test]
fn lines_for_a_shell_under_a_wrapper_are_found() {
    for line in [
        "su -c 'rm -rf /'",
        "su - -c 'rm -rf /'",
        "su root -c 'rm -rf /'",
        "su -l root --command 'rm -rf /'",
        "su --command='rm -rf /' root",
        "runuser -l bob -c 'rm -rf /'",
        "env -S 'rm -rf /'",
        "env --split-string='rm -rf /'",
        "watch -n 1 rm -rf /",
        "watch 'rm -rf /'",
        "script -c 'rm -rf /' /dev/null",
        "script -qc 'rm -rf /' /dev/null",
        "flock /tmp/l -c 'rm -rf /'",
        "tmux new-session -d -s x 'rm -rf /'",
        "tmux new -d rm -rf /",
        "tmux send-keys -t x 'rm -rf /' Enter",
        "tmux run-shell 'rm -rf /'",
        "screen -S x -X stuff 'rm -rf /'",
        "nix-shell -p hello --run 'rm -rf /'",
        "hyperfine 'rm -rf /'",
        "concurrently 'rm -rf /'",
        "entr -s 'rm -rf /'",
        "nodemon --exec 'rm -rf /'",
        "watchexec -e rs -- rm -rf /",
        "npx -c 'rm -rf /'",
        "xterm -e 'rm -rf /'",
        "git submodule foreach 'rm -rf /'",
        "sops exec-env secrets.yaml 'rm -rf /'",
        "gdb -batch -ex 'shell rm -rf /'",
        "cross-env-shell A=b 'rm -rf /'",
        "sg docker -c 'rm -rf /'",
    ] {
        assert_eq!(ran(&run(line)), ["sh:rm -rf /"], "{line}");
    }
    let quoted = run("env -C 'a b' rm -rf x");
    assert_eq!(ran(&quoted), ["sh:cd 'a b' && rm -rf x"]);
}

#[test]
fn commands_on_other_hosts_are_shell_there() {
    for line in [
        "ssh web rm -rf /",
        "ssh -p 22 -i key web rm -rf /",
        "ssh root@web 'rm -rf /'",
        "ssh -tt web -p 22 -- rm -rf /",
        "autossh -M 0 web rm -rf /",
        "mosh web -- rm -rf /",
        "ansible web -b -m shell -a 'rm -rf /'",
        "gcloud compute ssh web --command='rm -rf /'",
        "pdsh -w web rm -rf /",
        "salt web cmd.run 'rm -rf /'",
    ] {
        assert_eq!(ran(&run(line)), ["web:sh:rm -rf /"], "{line}");
    }
    assert_eq!(ran(&run("sshpass -p x ssh web id")), ["ssh web id"]);
    assert_eq!(
        ran(&piped("ssh web", &Stream::known("id\n"))),
        ["web:sh:id\n"]
    );
    assert!(has(
        &piped("ssh web", &downloaded()),
        Kind::Execute,
        Harm::High
    ));
    assert_eq!(
        ran(&run("ssh -o 'ProxyCommand=nc x 1' web id")),
        ["sh:nc x 1", "web:sh:id"]
    );
    assert_eq!(harm(&run("ssh web")), Harm::Low);
    let secret = Stream {
        text: None,
        taint: Taint {
            secret: Some(".env".to_owned()),
            ..Taint::default()
        },
    };
    assert!(has(
        &piped("ssh web 'cat > x'", &secret),
        Kind::Send,
        Harm::High
    ));
}

#[test]
fn rights_gained_are_low_for_a_command_and_high_for_a_shell() {
    for line in [
        "sudo ls",
        "doas apt update",
        "sudo -u postgres psql",
        "su -c ls",
        "sudo bash -c ls",
        "sudo bash x.sh",
    ] {
        assert!(has(&run(line), Kind::Escalate, Harm::Low), "{line}");
    }
    for line in [
        "sudo su",
        "sudo -i",
        "sudo -s",
        "sudo bash",
        "sudo su -",
        "su",
        "su -",
        "su root",
        "doas -s",
    ] {
        assert!(has(&run(line), Kind::Escalate, Harm::High), "{line}");
    }
    for line in ["sudo -l", "sudo -v", "sudo -k", "sudo --version", "sudo"] {
        assert!(run(line).effects.is_empty(), "{line}");
    }
    assert_eq!(harm(&run("sudo -e /etc/hosts")), Harm::High);
    assert_eq!(harm(&run("nsenter --target 1 --mount sh")), Harm::High);
    assert_eq!(ran(&piped("sudo -s", &Stream::known("id"))), ["sh"]);
    assert_eq!(ran(&run("sudo -i")), [""; 0]);
}

#[test]
fn xargs_gives_its_command_what_it_reads() {
    for (line, stdin, wanted) in [
        ("xargs rm -rf", "/ a", vec!["rm -rf / a"]),
        ("xargs -0 rm", "a b\0c\0", vec!["rm a b c"]),
        ("xargs -n 1 rm", "a b", vec!["rm a", "rm b"]),
        ("xargs -P4 -n1 --no-run-if-empty rm", "a", vec!["rm a"]),
        (
            "xargs -I{} rm -rf {}/x",
            "a\nb c\n",
            vec!["rm -rf a/x", "rm -rf b c/x"],
        ),
        ("xargs -I % sh -c 'rm %'", "a", vec!["sh -c rm a"]),
        ("xargs --replace=X rm X", "a", vec!["rm a"]),
        ("xargs -d , rm", "a,b", vec!["rm a b"]),
        ("xargs -r -t rm", "'a b' c", vec!["rm a b c"]),
        ("xargs rm -f --", "", vec!["rm -f --"]),
    ] {
        let out = piped(line, &Stream::known(stdin));
        assert_eq!(ran(&out), wanted, "{line}");
    }
    let out = piped("xargs rm -rf", &downloaded());
    assert_eq!(ran(&out), ["rm -rf …"]);
    let Some(Run::Command { words, .. }) = out.runs.first() else {
        panic!()
    };
    assert_eq!(words[2].taint.network.as_deref(), Some("example.com"));
    let echo = piped("xargs", &Stream::known("a\nb\n"));
    assert_eq!(echo.stdout.text.as_deref(), Some("a b\n"));
    let many: String = (0..5000).map(|n| format!("f{n}\n")).collect();
    let out = piped("xargs -I{} rm {}", &Stream::known(many));
    assert_eq!(out.runs.len(), 17);
    assert_eq!(ran(&out).last().map(String::as_str), Some("rm …"));
}

#[test]
fn parallel_makes_a_line_for_each() {
    assert_eq!(
        ran(&run("parallel -j4 rm -rf ::: a b")),
        ["sh:rm -rf a", "sh:rm -rf b"]
    );
    assert_eq!(ran(&run("parallel 'rm -rf {}' ::: a")), ["sh:rm -rf a"]);
    assert_eq!(
        ran(&piped("parallel rm", &Stream::known("a\n"))),
        ["sh:rm a"]
    );
    assert_eq!(ran(&piped("parallel", &Stream::known("id\n"))), ["sh"]);
}

#[test]
fn find_runs_its_command_with_a_path_that_stands_for_all() {
    for (line, wanted) in [
        ("find . -name '*.pyc' -exec rm {} \\;", vec!["rm ./….pyc"]),
        (
            "find . -name '*.pyc' -exec rm -f {} +",
            vec!["rm -f ./….pyc +"],
        ),
        ("find . -type f -exec rm {} ;", vec!["rm ./*"]),
        ("find -exec rm {} ;", vec!["rm ./*"]),
        ("find / -exec rm -rf {} ;", vec!["rm -rf /*"]),
        (
            "find a b -name x -execdir rm {} ;",
            vec!["rm a/…/x", "rm b/…/x"],
        ),
        (
            "find . ( -name a -o -name b ) -exec sh -c 'rm {}' ;",
            vec!["sh -c rm ./…/b"],
        ),
        (
            "find . -exec echo {} ; -exec rm {} ;",
            vec!["echo ./*", "rm ./*"],
        ),
        (
            "find . -exec ls {} + -exec rm {} +",
            vec!["ls ./*", "rm ./*"],
        ),
        ("find -L . -mtime +3 -ok rm {} ;", vec!["rm ./…"]),
        ("fd -e pyc -x rm", vec!["rm ./….pyc"]),
        ("fd . src -X rm -rf", vec!["rm -rf src/*"]),
    ] {
        let wanted: Vec<String> = wanted.iter().map(|line| line.replace(" +", "")).collect();
        assert_eq!(ran(&run(line)), wanted, "{line}");
    }
}

#[test]
fn find_with_delete_is_judged_by_place_and_narrowness() {
    for (line, wanted) in [
        ("find . -name '*.pyc' -delete", Harm::Low),
        ("find . -name '*.py[co]' -delete", Harm::Low),
        ("find . -type d -empty -delete", Harm::Low),
        ("find /tmp -mtime +7 -delete", Harm::Low),
        ("find build -delete", Harm::Low),
        ("find . -path '*/node_modules/*' -delete", Harm::Low),
        ("find . -name '*.py' -delete", Harm::Medium),
        ("find src -delete", Harm::Medium),
        ("find . -delete", Harm::High),
        ("find . -type f -delete", Harm::High),
        ("find . -name '*' -delete", Harm::High),
        ("find . ! -name keep -delete", Harm::High),
        ("find -delete", Harm::High),
        ("find /var/log -name '*.gz' -delete", Harm::High),
        ("find /mnt/backups -mtime +30 -delete", Harm::High),
        ("find / -delete", Harm::Critical),
        ("find ~ -type f -delete", Harm::Critical),
        ("find ~ -name .DS_Store -delete", Harm::Medium),
        ("find / -name '*.log' -delete", Harm::High),
        ("find . -name '*.pem' -delete", Harm::High),
        ("find . -name '*.rs'", Harm::None),
        ("find . -fprint /etc/passwd", Harm::High),
    ] {
        assert_eq!(harm(&run(line)), wanted, "{line}");
    }
    let listed = run("find . -name '*.rs'").stdout.text;
    assert_eq!(listed, Some(format!("./{UNKNOWN}.rs\n")));
    let all = piped("xargs rm", &run("find .").stdout);
    assert_eq!(ran(&all), ["rm ./* ./…"]);
}

#[test]
fn packages_that_are_fetched_and_run_are_judged_by_what_is_known() {
    for (line, program, wanted) in [
        ("npx eslint .", "eslint .", Harm::Low),
        (
            "npx -y prettier@3 --check .",
            "prettier --check .",
            Harm::Low,
        ),
        ("npx --yes -p @angular/cli ng new x", "ng new x", Harm::Low),
        ("npx @angular/cli@17 new x", "ng new x", Harm::Low),
        ("npm exec -- jest --ci", "jest --ci", Harm::Low),
        ("pnpm dlx create-vite app", "create-vite app", Harm::Low),
        ("yarn dlx vercel deploy", "vercel deploy", Harm::Low),
        (
            "bunx prisma migrate reset",
            "prisma migrate reset",
            Harm::Low,
        ),
        ("uvx ruff check", "ruff check", Harm::Low),
        ("uv tool run black .", "black .", Harm::Low),
        ("pipx run cowsay hi", "cowsay hi", Harm::Medium),
        (
            "npx some-unheard-of-tool x",
            "some-unheard-of-tool x",
            Harm::Medium,
        ),
        ("npx github:someone/thing", "thing", Harm::High),
        ("uvx --from git+https://x.org/y z", "z", Harm::High),
    ] {
        let out = run(line);
        assert_eq!(
            (ran(&out), harm(&out)),
            (vec![program.to_owned()], wanted),
            "{line}"
        );
    }
    for line in [
        "npm install x",
        "yarn add x",
        "uv pip install x",
        "pipx install x",
        "docker ps",
        "kubectl get pods",
        "git push",
    ] {
        let out = run_with(&words(line), &Stream::empty(), &Tree::default());
        assert!(out.is_none(), "{line}");
    }
}

#[test]
fn a_job_for_later_persists() {
    let out = piped("at now + 1 hour", &Stream::known("rm -rf /"));
    assert!(has(&out, Kind::Persist, Harm::Medium));
    assert_eq!(ran(&out), ["sh"]);
    assert_eq!(ran(&run("at -f x.sh noon")), ["file:sh:x.sh"]);
    assert!(run("at -l").effects.is_empty());
    assert!(has(
        &run("systemd-run --on-calendar=daily rm x"),
        Kind::Persist,
        Harm::Medium
    ));
}

#[test]
fn wrappers_alone_and_odd_ones_run_nothing() {
    for line in [
        "sudo",
        "env --help",
        "nice",
        "timeout",
        "timeout 5",
        "xargs --help",
        "ssh",
        "tmux",
        "tmux ls",
        "screen -r",
        "watch",
        "flock",
        "strace",
        "strace -p 5",
        "docker exec web",
        "kubectl exec",
        "find --help",
        "parallel",
        "at -l",
        "npx",
        "su -c",
        "chroot",
        "script",
        "gdb ./x",
        "time",
        "exec",
        "taskset -p 5",
        "env -S",
        "nix-shell",
        "sudo -u",
        "env -C /",
        "uvx",
    ] {
        if let Some(out) = run_with(&words(line), &Stream::empty(), &Tree::default()) {
            assert_eq!(
                ran(&out).iter().filter(|line| !line.is_empty()).count(),
                0,
                "{line}: {out:?}"
            );
        }
    }
}

#[test]
fn preloaded_code_is_an_effect() {
    assert!(has(
        &run("env LD_PRELOAD=./x.so ls"),
        Kind::Execute,
        Harm::Medium
    ));
    assert!(run("env RUST_LOG=debug ls").effects.is_empty());
}

#[test]
fn a_terminal_in_a_container_reads_nothing() {
    let out = piped("docker exec -it web bash", &Stream::default());
    let Some(Run::Command { stdin, .. }) = out.runs.first() else {
        panic!()
    };
    assert_eq!(*stdin, Stream::empty());
}
