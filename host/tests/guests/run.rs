// SPDX-License-Identifier: Apache-2.0
//! `ampoule run`: what the command sees, what it returns.

use super::harness::Home;

#[test]
fn output_and_exit_code_are_the_commands() {
    let Some(home) = Home::new() else { return };
    let done = home.ampoule(&["run", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(7), "out\n"),
        "{done:?}"
    );
    assert!(done.stderr.ends_with("err\n"), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn the_guest_is_linux_of_its_own() {
    let Some(home) = Home::new() else { return };
    let done = home.ampoule(&["run", "--", "uname", "-sn"]);
    let words: Vec<_> = done.stdout.split_whitespace().collect();
    assert_eq!(words.first(), Some(&"Linux"), "{done:?}");
    assert_ne!(
        words.get(1),
        Some(&rustix::system::uname().nodename().to_str().unwrap())
    );
}

#[test]
fn the_guests_own_name_has_an_address_and_services_have_ports() {
    let Some(home) = Home::new() else { return };
    let program = "import socket as s; address = s.gethostbyname(s.gethostname()); \
                   print(address, s.gethostbyaddr(address)[0] == s.gethostname(), \
                   s.getservbyname('https'))";
    let run = ["run", "--image", "python", "--", "python3", "-c", program];
    let done = home.ampoule(&run);
    assert_eq!(done.stdout, "127.0.1.1 True 443\n", "{done:?}");
}

#[test]
fn a_missing_program_is_127_and_one_that_cannot_be_executed_126() {
    let Some(home) = Home::new() else { return };
    assert_eq!(
        home.ampoule(&["run", "--", "no-such-program"]).code,
        Some(127)
    );
    assert_eq!(home.ampoule(&["run", "--", "/etc/passwd"]).code, Some(126));
    home.assert_nothing_left();
}

#[test]
fn a_command_ended_by_a_signal_is_128_and_its_number() {
    let Some(home) = Home::new() else { return };
    assert_eq!(
        home.ampoule(&["run", "--", "sh", "-c", "kill -SEGV $$"])
            .code,
        Some(139)
    );
}

#[test]
fn environment_and_folder_are_as_asked() {
    let Some(home) = Home::new() else { return };
    let script = "echo $K; pwd";
    let done = home.ampoule(&[
        "run",
        "--env",
        "K=a b",
        "--workdir",
        "/tmp",
        "--",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(done.stdout, "a b\n/tmp\n", "{done:?}");
}

#[test]
fn commands_run_unprivileged_unless_asked() {
    let Some(home) = Home::new() else { return };
    assert_eq!(home.ampoule(&["run", "--", "id", "-u"]).stdout, "1000\n");
    assert_eq!(
        home.ampoule(&["run", "--user", "root", "--", "id", "-u"])
            .stdout,
        "0\n"
    );
    assert_eq!(
        home.ampoule(&["run", "--user", "12:34", "--", "id", "-g"])
            .stdout,
        "34\n"
    );
}

#[test]
fn there_is_no_network_card() {
    let Some(home) = Home::new() else { return };
    assert_eq!(
        home.ampoule(&["run", "--", "ls", "/sys/class/net"]).stdout,
        "lo\n"
    );
}

#[test]
fn json_ends_with_the_task_its_exit_and_its_timings() {
    let Some(home) = Home::new() else { return };
    let done = home.ampoule(&["run", "--json", "--", "sh", "-c", "echo hi; exit 3"]);
    let last = done.stdout.lines().last().unwrap();
    let report: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(report["exit"]["code"], 3, "{done:?}");
    assert_eq!(
        report["task"].as_str(),
        home.tasks().first().map(String::as_str)
    );
    assert!(
        report["timings_ns"]["ready"].as_u64().unwrap() > 0,
        "{report}"
    );
    assert!(
        report["peak_memory_bytes"].as_u64().unwrap() > 1 << 20,
        "{report}"
    );
}

#[test]
fn eight_guests_at_once_each_give_their_own_output() {
    let Some(home) = Home::new() else { return };
    let children: Vec<_> = (0..8)
        .map(|n| {
            home.piped(&[
                "run",
                "--memory",
                "64M",
                "--",
                "echo",
                &format!("guest {n}"),
            ])
        })
        .collect();
    for (n, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.stdout,
            format!("guest {n}\n").as_bytes(),
            "{output:?}"
        );
    }
    home.assert_nothing_left();
}
