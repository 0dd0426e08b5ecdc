// SPDX-License-Identifier: Apache-2.0
//! Wrappers that a line of a table describes.

use super::super::{Call, Outcome};
use super::{after_assignments, front, like, runs};
use crate::effects::word::Arg;

/// A program, its options with values, and how many operands of its own come before the command.
const PLAIN: &str = "
    nice -n --adjustment 0
    ionice -c --class -n --classdata -p --pid -P -u 0
    chrt -T -P -D -p --pid 1
    taskset 1
    timeout -k --kill-after -s --signal 1
    gtimeout -k --kill-after -s --signal 1
    nohup 0
    setsid 0
    stdbuf -i -o -e --input --output --error 0
    unbuffer 0
    time -f --format -o --output 0
    gtime -f --format -o --output 0
    command 0
    builtin 0
    exec -a 0
    busybox 0
    toybox 0
    strace -e -o -p -s -u -E -a -b -I -O -S -P -X -U 0
    ltrace -e -o -p -s -u -a -n -l -x -D -A -F 0
    dtruss -p -n 0
    valgrind 0
    heaptrack -o -p 0
    rlwrap -f -H -b -C -l -p -s -S -D -A 0
    fakeroot -l -s -i -b 0
    fakechroot 0
    faketime -f 1
    firejail 0
    proot -b -r -w -k -i -q 0
    prlimit -p --pid -o --output 0
    numactl -N -m -C -i -p --cpunodebind --membind --physcpubind --interleave 0
    cgexec -g 0
    softlimit -m -d -s -l -a -o -f -c -p -r -t 0
    setarch 1
    arch -arch -e -d 0
    linux32 0
    linux64 0
    i386 0
    x86_64 0
    tsocks 0
    torsocks -a -P -u -p 0
    torify 0
    proxychains -f 0
    proxychains4 -f 0
    dumb-init -r 0
    tini -e -p 0
    caffeinate -t -w 0
    dbus-run-session --config-file --dbus-daemon 0
    dbus-launch 0
    ssh-agent -a -E -t -O 0
    xvfb-run -e -f -n -p -s -w --error-file --auth-file --server-num --server-args 0
    catchsegv 0
    envdir 1
    envchain 1
    setlock 1
    chronic 0
    ifne 0
    lckdo -w 1
    with-contenv 0
    s6-envdir 1
    s6-setsid 0
    winpty 0
    qemu-x86_64 -L -E -cpu 0
    qemu-aarch64 -L -E -cpu 0
    choom -n -p 0
    pidproxy 1
    cpulimit -l -p -e 0
    nocache -n 0
    eatmydata 0
    trickle -d -u -t 0
    retry -t -d -m 0
    wait-for-it 1
    wait-for-it.sh 1
    dockerize -wait -timeout -template 0
    sem -j --jobs --id 0
    sshpass -p -f -d -P 0
    dtach -r -e 1
    noglob 0
    nocorrect 0
    coproc 0
";

/// A program and one of its subcommands, in the same form.
const SUBCOMMANDS: &str = "
    poetry run -C --directory -P --project 0
    pipenv run 0
    pdm run -p --project 0
    rye run -p --pyproject 0
    pixi run -e --environment --manifest-path 0
    hatch run -e --env -p 0
    bundle exec --gemfile 0
    direnv exec 1
    mise exec -C --cd -E --env -j --jobs -c 0
    mise x -C --cd -E --env -j --jobs -c 0
    rtx exec 0
    asdf exec 0
    rustup run 1
    conda run -n --name -p --prefix --cwd 0
    mamba run -n --name -p --prefix --cwd 0
    micromamba run -n --name -p --prefix --cwd -r 0
    aws-vault exec -d --duration -t --mfa-token 1
    chamber exec -b -r 1
    doppler run -p --project -c --config -t --token --mount 0
    op run --env-file --account 0
    infisical run --env --path --projectId --token 0
    dotenvx run -f --env-file -fk -e --env 0
    dotenv run -f --file -e --export -q 0
    teller run -c 0
    railway run -s --service -e --environment 0
    perf record -e -o -F -c -p --call-graph 0
    perf stat -e -o -p -r -I 0
    perf trace -e -o -p 0
    rr record -n -o 0
    rbenv exec 0
    pyenv exec 0
    nodenv exec 0
    goenv exec 0
    jenv exec 0
    volta run --node --npm --yarn 0
    fnm exec --using 0
    nvm exec 1
    opam exec --switch 0
    stack exec --package --resolver 0
    cabal exec 0
    lerna exec --scope --ignore --concurrency 0
    pnpm exec --filter -F -C --dir 0
    yarn exec 0
    flatpak-spawn --host 0
    snap run 0
    fastlane exec 0
    spack build-env 1
    guix shell 0
    nx exec 0
    composer exec -d 0
    toolbox run -c --container -r 0
";

/// Programs that hand words to a program that is not named: `k3s kubectl get pods`.
const NAMED: &str = "
    k3s kubectl kubectl
    microk8s kubectl kubectl
    minikube kubectl kubectl
    k0s kubectl kubectl
    coverage run python3
    torchrun . python3
    accelerate launch python3
    kernprof . python3
    ts-node-dev . tsx
";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    if call.name.starts_with("ld-linux") || call.name.starts_with("ld-musl") || call.name == "ld.so"
    {
        // The loader runs the program it is given.
        return Some(runs(
            call,
            front(call.args, "--library-path --preload --argv0").rest,
        ));
    }
    plain(call)
        .or_else(|| subcommand(call))
        .or_else(|| named(call))
        .or_else(|| git(call))
        .or_else(|| uv(call))
}

/// The line of a table that begins with these words: options with values, and own operands.
fn row(table: &'static str, first: &str, second: Option<&str>) -> Option<(&'static str, usize)> {
    if !table.contains(first) {
        return None;
    }
    table.lines().map(str::trim).find_map(|line| {
        let rest = line.strip_prefix(first)?.strip_prefix(' ')?;
        let rest = match second {
            Some(second) => rest.strip_prefix(second)?.strip_prefix(' ')?,
            None => rest,
        };
        let (valued, own) = rest.rsplit_once(' ').unwrap_or(("", rest));
        Some((valued, own.parse().ok()?))
    })
}

/// Words after so many operands, and after a `--`.
fn skip(words: &[Arg], own: usize) -> &[Arg] {
    let rest = words.get(own..).unwrap_or_default();
    match rest {
        [end, rest @ ..] if end.text == "--" => rest,
        rest => rest,
    }
}

fn plain(call: &Call) -> Option<Outcome> {
    let (valued, own) = row(PLAIN, call.name, None)?;
    let front = front(call.args, valued);
    let on_processes = matches!(call.name, "taskset" | "chrt" | "ionice" | "prlimit");
    if on_processes && front.options.has(&["-p", "--pid"]) {
        return Some(Outcome::default());
    }
    let words = skip(front.rest, own);
    Some(runs(call, after_assignments(words)))
}

fn subcommand(call: &Call) -> Option<Outcome> {
    // Options before the subcommand are mostly those after it.
    let (name, words) = after_globals(call)?;
    let (valued, own) = row(SUBCOMMANDS, call.name, Some(name))?;
    let words = skip(front(words, valued).rest, own);
    // `chamber exec a b -- command`
    let end = matches!(call.name, "chamber" | "mise" | "rtx" | "guix");
    let end = words.iter().position(|word| end && word.text == "--");
    let words = end.map_or(words, |at| words.get(at + 1..).unwrap_or_default());
    Some(runs(call, after_assignments(words)))
}

/// The subcommand and what follows it.
fn after_globals<'a>(call: &Call<'a>) -> Option<(&'a str, &'a [Arg])> {
    let valued =
        "-C --directory -P --project -p --env -e --gemfile --filter -F --dir -c --config --cwd";
    let (first, rest) = front(call.args, valued).rest.split_first()?;
    Some((first.text.as_str(), rest))
}

fn named(call: &Call) -> Option<Outcome> {
    let line = NAMED.lines().map(str::trim).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == call.name).then(|| (words.next(), words.next()))
    })?;
    let (Some(subcommand), Some(program)) = line else {
        return None;
    };
    let words = match call.args {
        args if subcommand == "." => args,
        [first, rest @ ..] if first.text == subcommand => rest,
        _ => return None,
    };
    let words = if program == "python3" {
        // Its own options come before the script.
        let at = words
            .iter()
            .position(|word| word.text == "-m" || !word.text.starts_with('-'))?;
        words.get(at..)?
    } else {
        skip(words, 0)
    };
    let first = call.args.first().or(words.first())?;
    let mut all = vec![like(first, program)];
    all.extend_from_slice(words);
    Some(runs(call, &all))
}

/// `git bisect run` and `git submodule foreach`; all else of git is a table's.
fn git(call: &Call) -> Option<Outcome> {
    if call.name != "git" {
        return None;
    }
    let front = front(call.args, "-C -c --git-dir --work-tree --namespace");
    match front.rest {
        [bisect, run, words @ ..] if bisect.text == "bisect" && run.text == "run" => {
            Some(runs(call, words))
        }
        [module, each, words @ ..] if module.text == "submodule" && each.text == "foreach" => {
            let words = super::front(words, "").rest;
            let text = super::joined(words);
            let mut out = Outcome::default();
            out.runs.push(super::shell(text, call.stdin.clone()));
            Some(out)
        }
        _ => None,
    }
}

/// `uv run`, which takes scripts and modules of Python as well.
fn uv(call: &Call) -> Option<Outcome> {
    let valued = "--with --with-editable --with-requirements --python -p --extra --group --env-file \
        --directory --project --index --index-url --package --only-group --no-group -P \
        --refresh-package --default-index --config-file --cache-dir --color";
    let outer = front(call.args, valued);
    let (first, rest) = outer.rest.split_first()?;
    if call.name != "uv" || first.text != "run" {
        return None;
    }
    let inner = front(rest, valued);
    let script = inner.rest.first()?;
    let module = inner.options.has(&["-m", "--module"]);
    if !module && !script.text.ends_with(".py") && script.text != "-" {
        return Some(runs(call, inner.rest));
    }
    let mut words = vec![like(script, "python3")];
    words.extend(module.then(|| like(script, "-m")));
    words.extend_from_slice(inner.rest);
    Some(runs(call, &words))
}
