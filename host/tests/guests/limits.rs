// SPDX-License-Identifier: Apache-2.0
//! CPUs, memory, scratch space.

use super::harness::Home;

#[test]
fn the_guest_has_the_cpus_it_was_given() {
    let Some(home) = Home::new() else { return };
    for cpus in ["1", "2", "32"] {
        // With the console, so that a guest that fails says where; and one that hangs is not given
        // the time that 32 vCPUs on few CPUs may otherwise take.
        let mut args = vec!["run", "--debug-console", "--start-timeout", "100s"];
        args.extend(["--cpus", cpus, "--", "nproc"]);
        let done = home.ampoule(&args);
        assert_eq!(done.stdout.trim(), cpus, "{done:?}");
    }
}

#[test]
fn the_guest_has_the_memory_it_was_given() {
    let Some(home) = Home::new() else { return };
    for (memory, mib) in [("64M", 64u64), ("1G", 1024), ("5G", 5120)] {
        let script = "grep MemTotal /proc/meminfo | tr -dc 0-9";
        let done = home.ampoule(&["run", "--memory", memory, "--", "sh", "-c", script]);
        let total = done
            .stdout
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{done:?}"))
            / 1024;
        assert!(
            total <= mib && total >= mib * 9 / 10 - 24,
            "{memory}: {total} MiB"
        );
    }
}

#[test]
fn writing_is_bounded_by_scratch() {
    let Some(home) = Home::new() else { return };
    let script = "dd if=/dev/zero of=/tmp/a bs=1M count=12 2>/dev/null; dd if=/dev/zero of=b bs=1M count=12 2>/dev/null; du -m -c /tmp/a b | tail -1 | cut -f1";
    let done = home.ampoule(&["run", "--scratch", "16M", "--", "sh", "-c", script]);
    let used: u64 = done
        .stdout
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("{done:?}"));
    assert!((12..=16).contains(&used), "{done:?}");
}
