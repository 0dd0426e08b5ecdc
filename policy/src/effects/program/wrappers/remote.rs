// SPDX-License-Identifier: Apache-2.0
//! Wrappers that run a command elsewhere: `ssh`, `docker exec`, `kubectl exec`.

use super::super::network::ssh_client;
use super::super::options::Options;
use super::super::{Call, Outcome, Run};
use super::{front, joined, like, piped};
use crate::effects::word::{Arg, Stream, Taint};
use crate::effects::{Effect, Harm, Kind, Target};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "ssh" | "autossh" | "slogin" | "plink" => Some(ssh(call)),
        "mosh" => Some(mosh(call)),
        "docker" | "podman" | "nerdctl" | "docker-compose" | "podman-compose" | "finch" => {
            container(call)
        }
        "crictl" | "lxc" | "incus" | "multipass" | "limactl" | "distrobox" | "apptainer"
        | "singularity" | "buildah" | "machinectl" | "colima" => machine(call),
        "kubectl" | "oc" | "k" | "kubecolor" => kubernetes(call),
        "adb" => adb(call),
        "gcloud" | "vagrant" | "fly" | "flyctl" | "heroku" | "doctl" => cloud(call),
        "ansible" => ansible(call),
        "pdsh" | "pssh" | "parallel-ssh" | "dsh" | "clush" | "salt" => many(call),
        _ => None,
    }
}

/// A connection to a host, and a line of shell run there.
fn on_host(call: &Call, host: &Arg, words: &[Arg], out: &mut Outcome) {
    let name = host.text.rsplit('@').next().unwrap_or_default();
    out.add(
        Effect::new(
            Kind::Connect,
            Harm::Low,
            Target::Host(name.to_owned()),
            format!("{}:connect", call.name),
            "logs in to another machine",
        ),
        host,
    );
    let text = match (words, &call.stdin.text) {
        ([], Some(text)) if !text.trim().is_empty() => Arg {
            text: text.clone(),
            taint: call.stdin.taint.clone(),
            span: host.span,
            glob: false,
        },
        ([], _) => return unseen(call, host, out),
        (words, _) => joined(words),
    };
    sent(call, host, out);
    out.runs.push(Run::Shell {
        text,
        arguments: Vec::new(),
        stdin: if words.is_empty() {
            Stream::empty()
        } else {
            call.stdin.clone()
        },
        host: Some(name.to_owned()),
    });
}

/// A script for the host that cannot be read here.
fn unseen(call: &Call, host: &Arg, out: &mut Outcome) {
    if !piped(call.stdin) {
        return;
    }
    let why = match &call.stdin.taint.network {
        Some(from) => format!(
            "runs code downloaded from {from}, that nobody has seen, on {}",
            host.text
        ),
        None => format!("runs a script that was not seen on {}", host.text),
    };
    let target = Target::Host(host.text.clone());
    out.add(
        Effect::new(Kind::Execute, Harm::High, target, "ssh:unseen", why),
        host,
    );
}

/// What goes to a host on standard input.
fn sent(call: &Call, host: &Arg, out: &mut Outcome) {
    let taint = &call.stdin.taint;
    let (harm, what) = match (&taint.secret, &taint.file) {
        (Some(secret), _) => (Harm::High, secret),
        (None, Some(file)) => (Harm::Low, file),
        (None, None) => return,
    };
    let effect = Effect::new(
        Kind::Send,
        harm,
        Target::Host(host.text.clone()),
        "ssh:send",
        format!("sends {what} to {}", host.text),
    );
    out.add(effect, host);
}

fn ssh(call: &Call) -> Outcome {
    // `-M` has a value for `autossh` alone.
    let monitor = if call.name == "autossh" { "-M " } else { "" };
    let valued =
        monitor.to_owned() + "-b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -P -Q -R -S -W -w -B";
    let valued = valued.as_str();
    let first = front(call.args, valued);
    let mut out = Outcome::default();
    let Some((host, rest)) = first.rest.split_first() else {
        ssh_client(&first.options, "", &mut out);
        return out;
    };
    ssh_client(&first.options, &host.text, &mut out);
    // Options may follow the host as well.
    let second = front(rest, valued);
    ssh_client(&second.options, &host.text, &mut out);
    let quiet = |options: &Options| options.has_exactly(&["-N", "-O", "-W", "-Q", "-V"]);
    if quiet(&first.options) || quiet(&second.options) {
        let nothing = Stream::empty();
        on_host(
            &Call {
                stdin: &nothing,
                ..*call
            },
            host,
            &[],
            &mut out,
        );
    } else {
        on_host(call, host, second.rest, &mut out);
    }
    out
}

fn mosh(call: &Call) -> Outcome {
    let first = front(call.args, "-p --port --ssh --predict --server --client");
    let mut out = Outcome::default();
    if let Some((host, rest)) = first.rest.split_first() {
        on_host(call, host, front(rest, "").rest, &mut out);
    }
    out
}

const EXEC: &str = "-e --env -u --user -w --workdir --env-file --detach-keys --index --name --publish -p -v \
    --volume --entrypoint -l --label";

/// What a command inside reads: nothing where a terminal was asked for and nothing is piped.
fn inner(call: &Call, options: &Options, words: &[Arg]) -> Outcome {
    let terminal = options.has(&["-t", "--tty"]) && call.stdin.text.is_none();
    let terminal = terminal && call.stdin.taint == Taint::default();
    let stdin = if terminal {
        Stream::empty()
    } else {
        call.stdin.clone()
    };
    Outcome {
        runs: vec![Run::Command {
            words: words.to_vec(),
            stdin,
        }],
        ..Outcome::default()
    }
}

/// `docker exec`, `docker compose exec` and `run`; all else is a table's.
fn container(call: &Call) -> Option<Outcome> {
    let globals = "-H --host -c --context --config -l --log-level -f --file -p --project-name --profile \
        --env-file --project-directory -n --namespace --url --connection --ansi --progress";
    let mut args = front(call.args, globals).rest;
    let mut compose = call.name.ends_with("-compose");
    match args {
        [first, rest @ ..] if first.text == "compose" => {
            compose = true;
            args = front(rest, globals).rest;
        }
        [first, rest @ ..] if first.text == "container" => args = rest,
        _ => {}
    }
    let (first, rest) = args.split_first()?;
    let executes = first.text == "exec" || (compose && first.text == "run");
    if !executes {
        return None;
    }
    let inside = front(rest, EXEC);
    let words = inside.rest.get(1..).unwrap_or_default();
    if words.is_empty() {
        return Some(Outcome::default());
    }
    Some(inner(call, &inside.options, words))
}

/// Other machines and containers: `lxc exec NAME -- command`.
fn machine(call: &Call) -> Option<Outcome> {
    let outer = front(
        call.args,
        "-r --runtime-endpoint -i --image-endpoint -p --profile -M --machine -H",
    );
    let (first, rest) = outer.rest.split_first()?;
    let enters = match call.name {
        "distrobox" => first.text == "enter",
        "machinectl" | "limactl" => first.text == "shell",
        "buildah" => first.text == "run",
        "colima" => first.text == "ssh",
        _ => first.text == "exec",
    };
    if !enters {
        return None;
    }
    let inside = front(
        rest,
        "-n --name -u --user -e --env --cwd --workdir -d --shell -B --bind --uid",
    );
    let end = rest.iter().position(|arg| arg.text == "--");
    let words = match end {
        Some(at) => rest.get(at + 1..),
        None => inside.rest.get(1..),
    };
    let words = words.unwrap_or_default();
    if words.is_empty() {
        return Some(Outcome::default());
    }
    Some(inner(call, &inside.options, words))
}

/// `kubectl exec POD -- command`; all else is a table's.
fn kubernetes(call: &Call) -> Option<Outcome> {
    let valued = "-n --namespace --context --kubeconfig --cluster --user -s --server -c --container -f \
        --filename --as --as-group --token --request-timeout --pod-running-timeout -v --profile --shell \
        --certificate-authority --client-certificate --client-key --tls-server-name --cache-dir";
    let end = call.args.iter().position(|arg| arg.text == "--");
    let (own, after) = call.args.split_at(end.unwrap_or(call.args.len()));
    let outer = front(own, valued);
    let (first, rest) = outer.rest.split_first()?;
    if !matches!(first.text.as_str(), "exec" | "rsh") {
        return None;
    }
    let inside = front(rest, valued);
    let mut out = Outcome::default();
    let mut options = inside.options;
    let mut words = after.get(1..).unwrap_or_default();
    let mut pod = inside.rest.first();
    if let Some((_, later)) = inside.rest.split_first() {
        // Options may stand between the pod and the command.
        let late = front(later, valued);
        options.options.extend(late.options.options);
        if words.is_empty() {
            words = late.rest;
        }
    } else {
        // `kubectl exec -f pod.yaml -- ls`
        pod = Some(first);
    }
    if !words.is_empty() {
        out = inner(call, &options, words);
    }
    if let Some(pod) = pod {
        let target = Target::Resource("kubernetes".into(), pod.text.clone());
        let why = "runs a command inside a pod of the cluster";
        let effect = Effect::new(Kind::Connect, Harm::Low, target, "kubectl:exec", why);
        out.add(effect, pod);
    }
    Some(out)
}

fn adb(call: &Call) -> Option<Outcome> {
    let outer = front(call.args, "-s -t -H -P -L");
    let (first, rest) = outer.rest.split_first()?;
    if !matches!(first.text.as_str(), "shell" | "exec-out") {
        return None;
    }
    let mut out = Outcome::default();
    on_host(call, first, front(rest, "-e").rest, &mut out);
    Some(out)
}

/// `gcloud compute ssh HOST --command='…'` and its kin; all else is a table's.
fn cloud(call: &Call) -> Option<Outcome> {
    let valued = "--command -c -C --ssh-command --zone --project -a --app --machine \
        --ssh-flag --size -r --remote --region --ssh-key-path --ssh-user";
    let valued: Vec<&str> = valued.split_ascii_whitespace().collect();
    let options = Options::scan(call.args, &valued);
    let words: Vec<&str> = options
        .operands
        .iter()
        .map(|arg| arg.text.as_str())
        .collect();
    let host = match (call.name, words.as_slice()) {
        ("gcloud" | "doctl", ["compute", "ssh", ..]) => options.operands.get(2),
        ("gcloud", ["alpha" | "beta", "compute", "ssh", ..]) => options.operands.get(3),
        ("vagrant", ["ssh", ..]) => options.operands.first(),
        ("fly" | "flyctl", ["ssh", "console", ..]) => options.operands.first(),
        ("heroku", ["run" | "run:detached", ..]) => options.operands.first(),
        _ => return None,
    }?;
    let host = match call.name {
        "gcloud" | "doctl" => (*host).clone(),
        // Which machine it is, is said elsewhere.
        name => like(host, name),
    };
    let mut out = Outcome::default();
    let names = ["--command", "-c", "-C", "--ssh-command"];
    let given = options
        .options
        .iter()
        .find(|(name, ..)| names.contains(&name.as_str()));
    let command = match (call.name, given) {
        (_, Some((_, Some(arg), text))) => vec![like(arg, text)],
        ("heroku", None) => options
            .operands
            .iter()
            .skip(1)
            .map(|arg| (*arg).clone())
            .collect(),
        _ => Vec::new(),
    };
    on_host(call, &host, &command, &mut out);
    Some(out)
}

/// `ansible HOSTS -m shell -a '…'`; playbooks and other modules are a table's.
fn ansible(call: &Call) -> Option<Outcome> {
    let valued = "-m --module-name -a --args -i --inventory -u --user -f --forks -l --limit -e \
        --extra-vars --become-user --become-method --private-key --key-file -c --connection -T -t -B -P \
        --vault-password-file --vault-id -M";
    let valued: Vec<&str> = valued.split_ascii_whitespace().collect();
    let options = Options::scan(call.args, &valued);
    let module = options.value(&["-m", "--module-name"]).unwrap_or("command");
    let module = module.rsplit('.').next().unwrap_or_default();
    if !matches!(module, "shell" | "command" | "raw" | "script" | "win_shell") {
        return None;
    }
    let host = options.operands.first()?;
    let given = options
        .options
        .iter()
        .find(|(name, ..)| name == "-a" || name == "--args");
    let mut out = Outcome::default();
    if let Some((_, Some(arg), text)) = given {
        let nothing = Stream::empty();
        let call = &Call {
            stdin: &nothing,
            ..*call
        };
        on_host(call, host, &[like(arg, text)], &mut out);
    }
    Some(out)
}

/// A command on many hosts.
fn many(call: &Call) -> Option<Outcome> {
    let mut out = Outcome::default();
    if call.name == "salt" {
        let rest = front(call.args, "-t --timeout -b --batch-size --out -c").rest;
        let [hosts, function, words @ ..] = rest else {
            return None;
        };
        if !matches!(
            function.text.as_str(),
            "cmd.run" | "cmd.shell" | "cmd.run_all"
        ) {
            return None;
        }
        on_host(call, hosts, words, &mut out);
        return Some(out);
    }
    let valued = "-w -g -x -l -f -t -u -R -h --hosts -H --host -p --par -o --outdir -e --errdir -O -m -M \
        --user --timeout";
    let found = front(call.args, valued);
    let hosts = found.options.options.iter().find(|(name, ..)| {
        matches!(
            name.as_str(),
            "-w" | "-g" | "-h" | "-H" | "--hosts" | "--host" | "-m"
        )
    });
    let host = match hosts {
        Some((_, Some(arg), value)) => like(arg, value),
        _ => call.args.first()?.clone(),
    };
    on_host(call, &host, found.rest, &mut out);
    Some(out)
}
