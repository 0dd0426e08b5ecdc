// SPDX-License-Identifier: Apache-2.0
//! Copies of running tasks.

use std::collections::BTreeSet;

use crate::harness::{Home, PATIENCE, eventually};

/// Counts in memory, tells who it is at each step, and ends when it is told to.
const COUNTER: &str = "n=0; while [ ! -e /tmp/end ]; do n=$((n+1)); \
                       echo $n $(hostname) $(cat /etc/machine-id) \
                       $(sed -n 's/^127.0.1.1 //p' /etc/hosts) \
                       $(cat /run/ampoule/copy-of 2>/dev/null || echo original); \
                       sleep 0.05; done; echo over at $n";

fn lines(home: &Home, task: &str) -> Vec<String> {
    let done = home.ampoule(&["logs", task]);
    done.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn copies_go_on_from_where_the_original_was_each_as_itself() {
    let Some(home) = Home::new() else { return };
    let work = home.path().join("work");
    std::fs::create_dir(&work).unwrap();
    std::fs::write(work.join("file"), "content").unwrap();
    let work = work.to_str().unwrap();
    let original = home.detach(&["--workspace", work, "--", "sh", "-c", COUNTER]);
    eventually("it counts", PATIENCE, || lines(&home, &original).len() > 3);
    assert_eq!(
        home.ampoule(&["exec", &original, "--", "touch", "seen"])
            .code,
        Some(0)
    );
    let done = home.ampoule(&["fork", "-n", "3", &original]);
    assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
    let copies: Vec<String> = done.stdout.lines().map(str::to_owned).collect();
    assert_eq!(copies.len(), 3);
    let mut machines = BTreeSet::new();
    for copy in &copies {
        eventually("a copy counts on", PATIENCE, || {
            lines(&home, copy).len() > 1
        });
        let last = lines(&home, copy).last().unwrap().clone();
        let words: Vec<&str> = last.split(' ').collect();
        assert!(words[0].parse::<u32>().unwrap() > 3, "{last}");
        assert_eq!(words[1], format!("ampoule-{copy}"), "{last}");
        assert_eq!(words[3], words[1], "its own name has an address: {last}");
        assert_eq!(words[4], original, "{last}");
        machines.insert(words[2].to_owned());
        // Its workspace is there, with what was changed before and nothing since.
        let done = home.ampoule(&["exec", copy, "--", "ls"]);
        assert_eq!(done.stdout, "file\nseen\n", "{done:?}");
        assert_eq!(home.inspect(copy)["spec"]["copy_of"], original.as_str());
    }
    let own = lines(&home, &original).last().unwrap().clone();
    assert!(own.ends_with(" original"), "{own}");
    machines.insert(own.split(' ').nth(2).unwrap().to_owned());
    assert_eq!(machines.len(), 4);
    for task in copies.iter().chain([&original]) {
        assert_eq!(
            home.ampoule(&["exec", task, "--", "touch", "/tmp/end"])
                .code,
            Some(0)
        );
        assert_eq!(home.ampoule(&["wait", task]).code, Some(0));
        assert!(lines(&home, task).last().unwrap().starts_with("over at "));
    }
    let numbers = |task: &str| {
        let lines = lines(&home, task);
        lines
            .iter()
            .filter_map(|l| l.split(' ').next()?.parse().ok())
            .collect::<Vec<u32>>()
    };
    // The original missed nothing and said nothing twice.
    let all = numbers(&original);
    assert!(all.windows(2).all(|pair| pair[1] == pair[0] + 1), "{all:?}");
    home.assert_nothing_left();
}

#[test]
fn random_numbers_of_copies_differ() {
    let Some(home) = Home::new() else { return };
    let script = "read x < /dev/zero & while [ ! -e /run/ampoule/copy-of ]; do sleep 0.02; done; \
                  head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid";
    let original = home.detach(&["--", "sh", "-c", script]);
    let done = home.ampoule(&["fork", "-n", "2", &original]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let copies: Vec<&str> = done.stdout.lines().collect();
    for copy in &copies {
        assert_eq!(home.ampoule(&["wait", copy]).code, Some(0));
    }
    let said: Vec<Vec<String>> = copies.iter().map(|copy| lines(&home, copy)).collect();
    assert_eq!((said[0].len(), said[1].len()), (2, 2), "{said:?}");
    assert!(
        said[0][0] != said[1][0] && said[0][1] != said[1][1],
        "{said:?}"
    );
    home.ampoule(&["kill", &original]);
    home.assert_nothing_left();
}

#[test]
fn a_copy_can_be_copied_and_keeps_what_is_left_of_the_time() {
    let Some(home) = Home::new() else { return };
    let original = home.detach(&["--ttl", "100s", "--", "sleep", "90"]);
    let fork = |task: &str| {
        let done = home.ampoule(&["fork", task]);
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout.trim().to_owned()
    };
    let copy = fork(&original);
    let second = fork(&copy);
    let ttl = |task: &str| home.inspect(task)["spec"]["ttl_ms"].as_u64().unwrap();
    assert!(ttl(&copy) < 100_000 && ttl(&second) < ttl(&copy));
    for task in [original, copy, second] {
        assert_eq!(home.ampoule(&["kill", &task]).code, Some(0));
    }
    home.assert_nothing_left();
}

#[test]
fn what_cannot_be_forked_is_said_in_one_line() {
    let Some(home) = Home::new() else { return };
    assert_eq!(home.ampoule(&["run", "--", "true"]).code, Some(0));
    let ended = home.tasks()[0].clone();
    for (args, said) in [
        (["fork", "-n1", &ended], "has ended already"),
        (["fork", "-n1", "zzzz"], "no task"),
        (["fork", "-n0", &ended], "1..=256"),
        (["fork", "-n257", &ended], "1..=256"),
    ] {
        let done = home.ampoule(&args);
        assert_ne!(done.code, Some(0));
        assert!(done.stderr.contains(said), "{done:?}");
        assert_eq!((done.stderr.lines().count(), &*done.stdout), (1, ""));
    }
}
