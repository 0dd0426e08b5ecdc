// SPDX-License-Identifier: Apache-2.0
//! Commands, from the host's side of the wire.

mod support;

use std::time::{Duration, Instant};

use protocol::kind::DATA_CAP;
use protocol::messages::{Exec, ExecError, Resize, WindowSize};
use protocol::{Kind, read_frame};
use support::*;

#[test]
fn output_and_exit_code_are_the_commands() {
    let done = Host::start().run(sh("echo out; echo err >&2; exit 3"));
    assert_eq!(done.stdout, b"out\n");
    assert_eq!(done.stderr, b"err\n");
    assert_eq!((done.exited.code, done.exited.signal), (3, 0));
}

#[test]
fn arguments_environment_and_folder_arrive() {
    let mut exec = command(&["sh", "-c", "echo \"$0|$1|$K|$PWD|$HOME\"", "a b", ""]);
    exec.env = vec![b"K=V=W".to_vec()];
    exec.cwd = b"/usr".to_vec();
    assert_eq!(Host::start().run(exec).text(), "a b||V=W|/usr|/root\n");
}

#[test]
fn a_signal_reaches_the_whole_process_group() {
    let mut host = Host::start();
    let (id, mut stdio) = host.started(sh("echo up; sleep 100 & wait; echo never"));
    until(&mut stdio, "up");
    host.signal(id, 15);
    let (stdout, _) = output(&mut stdio);
    assert_eq!(stdout, b"");
    assert_eq!(host.exited().signal, 15);
}

#[test]
fn a_signal_can_be_handled() {
    let mut host = Host::start();
    let script = "trap 'echo got; exit 7' TERM; echo up; while :; do sleep 0.01; done";
    let (id, mut stdio) = host.started(sh(script));
    until(&mut stdio, "up");
    host.signal(id, 15);
    until(&mut stdio, "got");
    assert_eq!(host.exited().code, 7);
}

#[test]
fn a_signal_that_comes_before_the_exec_is_not_lost() {
    let mut host = Host::start();
    for _ in 0..20 {
        let (id, mut stdio) = host.begin(command(&["sleep", "100"]));
        host.signal(id, 15);
        assert_eq!(output(&mut stdio).0, b"");
        read_frame(&mut host.agent).unwrap(); // Started
        assert_eq!(host.exited().signal, 15);
    }
}

#[test]
fn dispositions_are_the_defaults_though_the_agent_ignores_some() {
    let done = Host::start().run(command(&[
        "grep",
        "-E",
        "^Sig(Ign|Blk)",
        "/proc/self/status",
    ]));
    assert_eq!(
        done.text().matches("0000000000000000").count(),
        2,
        "{}",
        done.text()
    );
}

#[test]
fn no_descriptor_of_the_agent_is_inherited() {
    let done = Host::start().run(sh("ls /proc/$$/fd"));
    assert_eq!(done.text(), "0\n1\n2\n");
}

#[test]
fn stdin_and_its_end_arrive() {
    let mut host = Host::start();
    let (_, mut stdio) = host.started(with_stdin(command(&["sort"])));
    stdin(&mut stdio, b"b\n");
    stdin(&mut stdio, b"a\n");
    stdin_end(&mut stdio);
    assert_eq!(output(&mut stdio).0, b"a\nb\n");
    assert_eq!(host.exited().code, 0);
}

#[test]
fn stdin_that_had_to_wait_for_room_arrives_whole_with_its_end() {
    let mut host = Host::start();
    let (_, mut stdio) = host.started(with_stdin(sh("sleep 0.5; wc -c")));
    // Fills the pipe; then two frames that come together, the first of which has to wait.
    stdin(&mut stdio, &[b'x'; 65536]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    let mut together = Vec::new();
    protocol::write_frame(&mut together, Kind::Stdin, b"0123456789").unwrap();
    protocol::write_frame(&mut together, Kind::StdinEnd, b"").unwrap();
    std::io::Write::write_all(&mut stdio, &together).unwrap();
    stdio
        .set_read_timeout(Some(std::time::Duration::from_secs(20)))
        .unwrap();
    assert_eq!(output(&mut stdio).0, b"65546\n");
}

#[test]
fn without_stdin_it_is_empty() {
    assert_eq!(
        Host::start()
            .run(sh("cat; readlink /proc/self/fd/0"))
            .text(),
        "/dev/null\n"
    );
}

#[test]
fn a_command_that_does_not_read_stdin_still_takes_signals_and_ends() {
    let mut host = Host::start();
    let (id, mut stdio) = host.started(with_stdin(command(&["sleep", "100"])));
    let mut writer = stdio.try_clone().unwrap();
    let feeding = std::thread::spawn(move || {
        // More than all buffers; stops when the command is gone.
        for _ in 0..64 {
            if protocol::write_frame(&mut writer, Kind::Stdin, &[b'x'; 65536]).is_err() {
                break;
            }
        }
    });
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(host.run(sh("echo other")).stdout, b"other\n");
    host.signal(id, 9);
    assert_eq!(host.exited().signal, 9);
    assert_eq!(output(&mut stdio).0, b"");
    feeding.join().unwrap();
}

#[test]
fn what_a_command_cannot_be_run_for_is_told_apart() {
    let mut host = Host::start();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("plain", "#!/bin/sh\n", 0o644);
    let script = file("script", "#!/no/such -x\n", 0o755);
    let text = file("text", "just text\n", 0o755);
    let mut refused = |program: &str| {
        let failed = host.refused(command(&[program]));
        (failed.error(), failed.detail)
    };
    let missing = refused("no-such-program");
    assert_eq!(
        missing,
        (
            ExecError::NotFound,
            "no such program: no-such-program".into()
        )
    );
    assert_eq!(refused("/no/such").0, ExecError::NotFound);
    let (error, detail) = refused(&script);
    assert_eq!(error, ExecError::NotFound);
    assert!(
        detail.ends_with("wants the interpreter \"/no/such\", which is not there"),
        "{detail}"
    );
    let (error, detail) = refused(&plain);
    assert_eq!(error, ExecError::NotExecutable);
    assert!(detail.ends_with("permission denied"), "{detail}");
    assert_eq!(refused(&text).0, ExecError::NotExecutable);
    assert!(refused("/usr").1.ends_with("it is a folder"));
    let failed = host.refused(Exec {
        cwd: b"/no/such".to_vec(),
        ..sh("true")
    });
    assert_eq!(failed.error(), ExecError::BadCwd);
    let failed = host.refused(Exec {
        user: "nobody-here".into(),
        ..sh("true")
    });
    assert_eq!(failed.error(), ExecError::BadUser);
}

#[test]
fn the_user_is_the_unprivileged_one_unless_another_is_named() {
    if !am_root() {
        eprintln!("skipped: becoming another user takes root");
        return;
    }
    let mut host = Host::start();
    let id = |user: &str| Exec {
        user: user.into(),
        ..sh("id -u; id -g; id -G; echo $HOME")
    };
    assert!(host.run(id("")).text().starts_with("1000\n1000\n1000\n"));
    assert_eq!(host.run(id("root")).text(), "0\n0\n0\n/root\n");
    assert_eq!(host.run(id("77:88")).text(), "77\n88\n88\n/tmp\n");
}

#[test]
fn an_unprivileged_command_can_open_its_own_streams() {
    let script = Exec {
        user: String::new(),
        ..sh("echo hi > /dev/stdout; echo ho > /dev/stderr")
    };
    let done = Host::start().run(script);
    assert_eq!(
        (done.stdout.as_slice(), done.stderr.as_slice()),
        (&b"hi\n"[..], &b"ho\n"[..])
    );
}

#[test]
fn a_background_process_does_not_hold_up_the_end() {
    let begun = Instant::now();
    let done = Host::start().run(sh("sleep 5 & echo done"));
    assert_eq!(done.stdout, b"done\n");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_background_process_that_writes_for_ever_does_not_either() {
    let mut host = Host::start();
    let done = host.run(sh("yes & sleep 0.05; kill -0 $!; echo code $?>&2"));
    assert_eq!(done.stderr, b"code 0\n");
}

#[test]
fn all_that_a_command_wrote_before_it_ended_arrives() {
    let mut host = Host::start();
    for _ in 0..20 {
        // As much as a pipe holds, and the end right after.
        let done = host.run(command(&["head", "-c", "65536", "/dev/zero"]));
        assert_eq!(done.stdout.len(), 65536);
    }
}

#[test]
fn many_commands_run_at_once() {
    let mut host = Host::start();
    let running: Vec<_> = (0..60).map(|_| host.begin(sh("read x; echo $x"))).collect();
    // None has stdin, so each reads the end of /dev/null.
    for (_, mut stdio) in running {
        assert_eq!(output(&mut stdio).0, b"\n");
    }
}

#[test]
fn a_host_that_does_not_read_slows_that_command_alone() {
    let mut host = Host::start();
    let (id, _unread) = host.started(command(&["yes"]));
    assert_eq!(host.run(sh("echo other")).stdout, b"other\n");
    host.signal(id, 9);
    assert_eq!(host.exited().id, id);
}

#[test]
fn bulk_output_arrives_whole_in_frames_of_bounded_size() {
    const BYTES: usize = 64 << 20;
    let mut host = Host::start();
    let script = format!("head -c {BYTES} /dev/zero | tr '\\0' 'x'");
    let (_, mut stdio) = host.started(sh(&script));
    let mut got = 0;
    loop {
        let frame = read_frame(&mut stdio).unwrap();
        if frame.kind == Kind::OutputEnd {
            break;
        }
        assert!(frame.body.len() <= DATA_CAP as usize);
        assert!(frame.body.iter().all(|byte| *byte == b'x'));
        got += frame.body.len();
    }
    assert_eq!(got, BYTES);
}

#[test]
fn a_host_that_goes_away_ends_the_command_like_a_closed_pipe() {
    let mut host = Host::start();
    let (_, stdio) = host.started(command(&["yes"]));
    drop(stdio);
    assert_eq!(host.exited().signal, 13);
}

#[test]
fn the_connection_ends_after_the_output() {
    let mut host = Host::start();
    let (_, mut stdio) = host.started(sh("true"));
    output(&mut stdio);
    assert!(closed(&mut stdio));
}

#[test]
fn resource_use_is_reported() {
    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let exited = Host::start().run(sh(script)).exited;
    assert!(exited.user_us > 1000, "{exited:?}");
    assert!(exited.max_rss_kib > 100, "{exited:?}");
}

#[test]
fn a_terminal_is_one_and_has_its_size() {
    let mut host = Host::start();
    let script = "tty >/dev/null && test -t 2 && stty size && echo $TERM && ps -o sid= -p $$ >/dev/null </dev/tty";
    let done = host.run(on_terminal(sh(script)));
    assert_eq!(done.text(), "33 99\r\nxterm\r\n");
    assert_eq!(done.exited.code, 0);
}

#[test]
fn a_terminal_is_resized_and_the_command_is_told() {
    let mut host = Host::start();
    let script = "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.01; done";
    let (id, mut stdio) = host.started(on_terminal(sh(script)));
    until(&mut stdio, "up");
    let size = Some(WindowSize { rows: 11, cols: 22 });
    host.send(Kind::Resize, &Resize { id, size });
    until(&mut stdio, "11 22");
    assert_eq!(host.exited().code, 0);
}

#[test]
fn typing_end_of_file_ends_a_terminals_input() {
    let mut host = Host::start();
    for typed in [&b"line\n"[..], b"part"] {
        let (_, mut stdio) = host.started(on_terminal(command(&["cat"])));
        stdin(&mut stdio, typed);
        stdin_end(&mut stdio);
        let text = String::from_utf8(output(&mut stdio).0).unwrap();
        let word = std::str::from_utf8(typed).unwrap().trim();
        // Once echoed, once from cat.
        assert_eq!(text.matches(word).count(), 2, "{text:?}");
        assert_eq!(host.exited().code, 0);
    }
}

#[test]
fn an_interrupt_goes_to_the_terminals_foreground() {
    let mut host = Host::start();
    let script = "trap '' INT; set -m; echo up; sleep 100; echo after $?";
    let (id, mut stdio) = host.started(on_terminal(command(&["bash", "-c", script])));
    until(&mut stdio, "up");
    std::thread::sleep(Duration::from_millis(200));
    host.signal(id, 2);
    // The shell ignores the signal and its job, in the foreground group, inherits that.
    host.signal(id, 9);
    assert_eq!(host.exited().signal, 9);
}

#[test]
fn losing_the_connection_hangs_up_a_terminal() {
    let mut host = Host::start();
    let (_, stdio) = host.started(on_terminal(command(&["sleep", "100"])));
    drop(stdio);
    assert_eq!(host.exited().signal, 1);
}

#[test]
fn an_unexpected_frame_ends_the_agent() {
    let mut host = Host::start();
    protocol::write_frame(&mut host.agent, Kind::OutputEnd, &[]).unwrap();
    assert!(closed(&mut host.agent));
}

#[test]
fn an_id_in_use_is_refused() {
    let mut host = Host::start();
    let (id, _stdio) = host.started(command(&["sleep", "100"]));
    host.send(Kind::Exec, &Exec { id, ..sh("true") });
    let failed: protocol::messages::ExecFailed = expect(&mut host.agent, Kind::ExecFailed);
    assert!(failed.detail.contains("runs already"));
    host.signal(id, 9);
}
