// SPDX-License-Identifier: Apache-2.0
//! Verdicts without people, and gates that are no gates.

use super::*;

#[test]
fn what_the_policies_allow_goes_on_and_what_they_deny_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    assert_eq!(rig.root(1, &["make"]).0, Answer::Allow);
    let id = guest.run(1, &["gcc", "-c", "a.c"]);
    let verdict = guest.verdict(id);
    assert!(verdict.allow && !verdict.asked && verdict.reason.is_empty());
    let id = guest.run(1, &["rm", "-rf", "/"]);
    let verdict = guest.verdict(id);
    assert!(!verdict.allow);
    assert!(
        verdict
            .reason
            .contains("wipes-machine: it deletes all there is"),
        "{verdict:?}"
    );
    assert_eq!(verdict.reason.lines().count(), 1);
    let (answer, reason) = rig.root(70_000, &["rm", "-rf", "/"]);
    assert_eq!(answer, Answer::Deny);
    assert!(reason.contains("wipes-machine"), "{reason}");
    rig.end();
}

#[test]
fn scripts_are_judged_as_sent_and_as_the_host_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().join("w");
    fs::create_dir(&workspace).unwrap();
    fs::write(workspace.join("x.sh"), "rm -rf src\n").unwrap();
    let with = Begin {
        workspace: Some(workspace),
        ..begin(dir.path())
    };
    let (rig, mut guest) = Rig::with_guest(with);
    let file = |path: &str, text: &str| GuestFile {
        path: path.into(),
        bytes: text.into(),
        cut: false,
    };
    // Not sent: the host's.
    let id = guest.run(1, &["sh", "x.sh"]);
    guest.asked(id);
    // Sent as harmless, where the host knows better.
    let files = vec![file("/workspace/x.sh", "true\n")];
    let id = guest.intend(2, program(&["sh", "x.sh"]), files);
    guest.asked(id);
    // One that the host does not have, bound by its bytes.
    let files = vec![file("/tmp/y.sh", "true\n")];
    let id = guest.intend(1, program(&["sh", "/tmp/y.sh"]), files);
    let verdict = guest.verdict(id);
    assert!(verdict.allow);
    let judged = verdict
        .files
        .iter()
        .find(|file| file.path == b"/tmp/y.sh")
        .unwrap();
    assert_eq!(
        judged.sha256,
        <sha2::Sha256 as sha2::Digest>::digest(b"true\n").to_vec()
    );
    let files = vec![file("/tmp/z.sh", "rm -rf /\n")];
    let id = guest.intend(1, program(&["sh", "/tmp/z.sh"]), files);
    assert!(!guest.verdict(id).allow);
    rig.end();
}

#[test]
fn connections_of_the_guest_to_itself_need_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let connect = |to: &str, family: &str| {
        let (to, family) = (to.to_owned(), family.to_owned());
        Act::Connect(Connect { to, family })
    };
    for (to, family, allow) in [
        ("127.0.0.1:80", "tcp", true),
        ("/run/x", "unix", true),
        ("1.2.3.4:443", "tcp", true),
        ("2:1028", "40", false),
        ("nowhere", "tcp", false),
    ] {
        let id = guest.intend(1, connect(to, family), Vec::new());
        assert_eq!(guest.verdict(id).allow, allow, "{to}");
    }
    rig.end();
}

#[test]
fn a_gate_that_breaks_the_protocol_loses_its_connection_and_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let second = Hello {
        version: VERSION,
        boot_ns: 1,
    };
    guest.say(Kind::Hello, &second);
    assert!(guest.is_closed());
    for bytes in [
        &b"\xff\xff\xff\xff\x50\x00"[..],
        b"\x02\0\0\0\x50\0\xff\xff",
        b"\0\0\0\0\x60\0",
    ] {
        let mut guest = rig.guest();
        guest.stream.write_all(bytes).unwrap();
        assert!(guest.is_closed(), "{bytes:?}");
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    send_line(&rig.socket, &ToLoop::Guest, Some(theirs.as_fd()), true).unwrap();
    drop(theirs);
    let mut early = Guest {
        stream: ours,
        next: 1,
    };
    early.run(1, &["true"]);
    assert!(early.is_closed());
    let mut guest = rig.guest();
    let id = guest.run(1, &["true"]);
    assert!(guest.verdict(id).allow);
    rig.end();
}

#[test]
fn a_server_ends_when_nobody_can_or_need_find_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r/policy.sock");
    fs::create_dir(dir.path().join("r")).unwrap();
    let start = |idle: Duration| {
        let listener = crate::sockets::listener(&path).unwrap();
        let server = Server::new(listener, &path).unwrap().idle(idle);
        std::thread::spawn(move || server.serve().unwrap())
    };
    let server = start(Duration::from_millis(100));
    server.join().unwrap();
    assert!(!path.exists());
    // While a task is connected it goes on, though nobody else can find it.
    let server = start(PATIENCE);
    let client = UnixStream::connect(&path).unwrap();
    let mut lines = Lines::default();
    send_line(
        &client,
        &ToLoop::Begin(Box::new(begin(dir.path()))),
        None,
        true,
    )
    .unwrap();
    lines.receive(&client, true).unwrap();
    fs::remove_file(&path).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!server.is_finished());
    drop(client);
    server.join().unwrap();
}

#[test]
#[ignore = "a measurement: cargo test --release -p host gate::tests::verdicts -- --ignored --nocapture"]
fn what_a_verdict_costs() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    for same in [false, true] {
        let mut times = Vec::new();
        for number in 0..1000 {
            let number = if same { 0 } else { number };
            let (source, object) = (format!("a{number}.c"), format!("a{number}.o"));
            let argv = [
                "gcc",
                "-O2",
                "-Wall",
                "-Iinclude",
                "-c",
                &source,
                "-o",
                &object,
            ];
            let started = Instant::now();
            let id = guest.run(1, &argv);
            assert!(guest.verdict(id).allow);
            times.push(started.elapsed());
        }
        times.sort();
        println!(
            "the same again {same}: median {:?}, 99 in 100 {:?}",
            times[500], times[990]
        );
    }
    rig.end();
}
