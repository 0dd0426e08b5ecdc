// SPDX-License-Identifier: Apache-2.0
//! Guests that start from a template: each is its own, and what is wrong with a template is named.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use crate::harness::{Home, PATIENCE, eventually};

/// Prints all that must differ between two guests, a line each.
const IDENTITY: &str = "cat /etc/machine-id; hostname; \
                        head -c 16 /dev/urandom | od -An -tx1; \
                        cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; \
                        sed -n 's/^127.0.1.1 //p' /etc/hosts";

fn how(home: &Home) -> (String, String) {
    let start = &home.inspect(&home.tasks()[0])["start"];
    let part = |name: &str| start[name].as_str().unwrap_or_default().to_owned();
    (part("how"), part("why"))
}

#[test]
fn the_first_task_boots_and_leaves_a_template_that_the_next_starts_from() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let done = home.ampoule(&["run", "--", "true"]);
    assert_eq!((done.code, &*done.stderr), (Some(0), ""));
    assert_eq!(how(&home).0, "cold");
    assert_eq!(how(&home).1, "no template of this guest yet");
    eventually("a template is made", PATIENCE, || {
        home.templates().len() == 1
    });
    assert_eq!(home.ampoule(&["run", "--", "true"]).code, Some(0));
    assert_eq!(how(&home).0, "restored");
    assert_eq!(home.ampoule(&["run", "--cold", "--", "true"]).code, Some(0));
    assert_eq!(how(&home), ("cold".into(), "asked for with --cold".into()));
    home.assert_nothing_left();
    let verified = home.ampoule(&["image", "verify", "base"]);
    assert_eq!(verified.stdout, "base: ok, with its template\n");
}

#[test]
fn two_guests_of_one_template_share_no_identity_and_no_random_numbers() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    home.make_template(256, 2);
    let run = || {
        let done = home.ampoule(&["run", "--cpus", "2", "--", "sh", "-c", IDENTITY]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(how(&home).0, "restored");
        let lines: Vec<String> = done.stdout.lines().map(str::to_owned).collect();
        assert_eq!(lines[1], format!("ampoule-{}", home.tasks()[0]));
        assert_eq!(lines[5], lines[1], "its own name has an address");
        lines
    };
    let (one, other) = (run(), run());
    assert_eq!((one.len(), one[0].len()), (6, 32), "{one:?}");
    for (a, b) in one.iter().zip(&other) {
        assert_ne!(a, b);
    }
}

#[test]
fn a_restored_guest_has_the_hosts_time_its_own_deadline_and_its_limits() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    home.make_template(256, 1);
    // A template is older than its guests' tasks: its clock is not theirs.
    std::thread::sleep(Duration::from_secs(2));
    let seconds = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    let before = seconds();
    let script = "date +%s; df -k / | tail -1 | awk '{print $2}'";
    let done = home.ampoule(&["run", "--scratch", "16M", "--", "sh", "-c", script]);
    let lines: Vec<u64> = done.stdout.lines().map(|l| l.parse().unwrap()).collect();
    assert!(
        (before..=seconds()).contains(&lines[0]),
        "{before} {lines:?}"
    );
    assert_eq!(lines[1], 16 << 10);
    let done = home.ampoule(&["run", "--ttl", "3s", "--", "sleep", "100"]);
    assert_eq!(done.code, Some(124), "{done:?}");
    assert_eq!(how(&home).0, "restored");
    let end = &home.inspect(&home.tasks()[0])["end"];
    assert_eq!(end["by"], "guest-init");
}

#[test]
fn a_restored_guest_gets_its_workspace_and_keeps_it_apart() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    home.make_template(256, 1);
    let folder = home.path().join("work");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "content").unwrap();
    let folder = folder.to_str().unwrap();
    let script = "cat file && echo new > file && cat file && rm file && ls -A | wc -l && \
                  touch /workspace/mine && stat -c %U . mine";
    for _ in 0..2 {
        let done = home.ampoule(&["run", "--workspace", folder, "--", "sh", "-c", script]);
        assert_eq!(done.stdout, "contentnew\n0\nagent\nagent\n", "{done:?}");
        assert_eq!(how(&home).0, "restored");
    }
    // And one without finds an empty folder that it may write to.
    let done = home.ampoule(&["run", "--", "sh", "-c", "ls -A | wc -l; touch x; ls"]);
    assert_eq!(done.stdout, "0\nx\n");
    assert_eq!(how(&home).0, "restored");
}

/// A template is made of a guest that has run a command under the gate.
#[test]
fn nothing_of_its_templates_gate_is_in_a_restored_guest() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let policy = home.path().join("f/ampoule/policy");
    let limits = "built_in = false\nungated = true\n";
    fs::write(policy.join("limits.toml"), limits).unwrap();
    home.make_template_of("python", (256, 1));
    let run = |options: &[&str], script: &str| {
        let image = ["run", "--image", "python"];
        let done = home.fed(
            &[&image, options, &["--", "sh"]].concat(),
            script.as_bytes(),
        );
        assert_eq!(how(&home).0, "restored", "{done:?}");
        done.stdout
    };
    // Its thread, and its socket.
    let script = "cat /proc/[0-9]*/task/[0-9]*/comm | grep -cx gate; \
                  grep -c agent.sock /proc/net/unix";
    assert_eq!(run(&["--ungated"], script), "0\n0\n");
    assert_eq!(run(&[], script), "1\n1\n");
    // What its own host says counts, of the start that the template has seen as of any other.
    let forbids = home.path().join("no-true.cedar");
    let text = "@id(\"no-true\")\n@reason(\"it is not used here\")\n\
                forbid (principal, action, resource)\n\
                when { context.programs.contains(\"true\") };\n";
    fs::write(&forbids, text).unwrap();
    let script = "/usr/bin/true; echo $?";
    assert_eq!(run(&[], script), "0\n");
    let forbids = forbids.to_str().unwrap();
    assert_eq!(run(&["--policy", forbids], script), "126\n");
}

#[test]
fn a_damaged_template_is_named_replaced_and_does_not_keep_a_task_from_running() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    type Damage = fn(&std::path::Path);
    let damages: [(Damage, &str); 3] = [
        (
            |path| {
                let copy = path.with_extension("copy");
                fs::copy(path, &copy).unwrap();
                fs::rename(&copy, path).unwrap();
            },
            "its inode differs",
        ),
        (
            |path| {
                fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
                let file = fs::File::options().write(true).open(path).unwrap();
                file.set_len(4096).unwrap();
            },
            "its length differs",
        ),
        (|path| fs::remove_file(path).unwrap(), "cannot be read"),
    ];
    for (damage, said) in damages {
        home.make_template(256, 1);
        damage(&home.templates()[0]);
        let done = home.ampoule(&["run", "--", "echo", "ran"]);
        assert_eq!((done.code, &*done.stdout), (Some(0), "ran\n"));
        assert!(done.stderr.contains(said), "{done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
        let (how, why) = how(&home);
        assert!(how == "cold" && why.contains(said), "{why}");
    }
    // One that the VMM refuses: the checks before it are blind to this.
    home.make_template(256, 1);
    forge(&home.templates()[0], |file| {
        file.write_all_at(&[0xff; 16], 200).unwrap();
    });
    let done = home.ampoule(&["run", "--", "echo", "ran"]);
    assert_eq!((done.code, &*done.stdout), (Some(0), "ran\n"), "{done:?}");
    assert!(done.stderr.contains("the snapshot is corrupt"), "{done:?}");
    let verified = home.ampoule(&["image", "verify", "base"]);
    eventually("it is made again", PATIENCE, || {
        let done = home.ampoule(&["run", "--", "true"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        how(&home).0 == "restored"
    });
    assert!(verified.code.is_some());
}

#[test]
fn a_template_that_does_not_run_is_named_removed_and_the_task_boots() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    home.make_template(256, 1);
    // What only running it can tell: its memory is not read before.
    forge(&home.templates()[0], |file| {
        let zeros = vec![0; 64 << 20];
        file.write_all_at(&zeros, 2 << 20).unwrap();
    });
    let done = home.ampoule(&["run", "--", "echo", "ran"]);
    assert_eq!((done.code, &*done.stdout), (Some(0), "ran\n"), "{done:?}");
    assert!(done.stderr.contains("does not run"), "{done:?}");
    assert_eq!(how(&home).0, "cold");
}

#[test]
fn an_image_whose_first_command_leaves_processes_has_no_template() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let recipe = home.path().join("lingers.toml");
    let lingers = "description = \"its true stays\"\nbusybox = true\n[[file]]\npath = \"/etc/passwd\"\n\
                   content = \"root:x:0:0:root:/root:/bin/sh\\nagent:x:1000:1000:agent:/:/bin/sh\\n\"\n\
                   [[file]]\npath = \"/usr/local/bin/true\"\nmode = 0o755\n\
                   content = \"#!/bin/sh\\nsleep 1000 </dev/null >/dev/null 2>&1 &\\n\"\n";
    fs::write(&recipe, lingers).unwrap();
    let built = home.ampoule(&["image", "build", recipe.to_str().unwrap()]);
    assert_eq!(built.code, Some(0), "{built:?}");
    let run = || home.ampoule(&["run", "--image", "lingers", "--", "echo", "ran"]);
    assert_eq!(run().stdout, "ran\n");
    eventually("it is said why", PATIENCE, || {
        let done = run();
        assert_eq!(done.stdout, "ran\n", "{done:?}");
        let (how, why) = how(&home);
        assert_eq!(how, "cold");
        why.contains("left processes behind")
    });
}

/// Changes a snapshot and makes its manifest agree with the file as it is now.
fn forge(path: &std::path::Path, change: impl Fn(&fs::File)) {
    use std::os::unix::fs::MetadataExt;
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    change(&file);
    fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
    let manifest = path.with_file_name("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let is = fs::metadata(path).unwrap();
    json["file"]["changed"] =
        serde_json::json!([is.mtime(), is.mtime_nsec(), is.ctime(), is.ctime_nsec()]);
    fs::write(&manifest, json.to_string()).unwrap();
}

#[test]
fn many_tasks_at_once_start_from_one_template() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    home.make_template(64, 1);
    let start = || {
        let args = ["run", "--memory", "64M", "--", "cat", "/etc/machine-id"];
        home.piped(&args)
    };
    let children: Vec<_> = (0..6).map(|_| start()).collect();
    let mut ids: Vec<Vec<u8>> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            output.stdout
        })
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    home.assert_nothing_left();
}
