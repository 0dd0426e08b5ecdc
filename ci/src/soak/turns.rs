// SPDX-License-Identifier: Apache-2.0
//! Which tests are run: whole modules, a short selection, one case alone.

use std::time::Duration;

/// The modules of issue and README: files, processes, sockets, threads, events, memory, signals.
pub(crate) const MODULES: [&str; 7] = [
    "test_os",
    "test_subprocess",
    "test_socket",
    "test_threading",
    "test_asyncio",
    "test_mmap",
    "test_signal",
];

/// For `cargo ci test`: what a guest's kernel and init are most likely to get wrong, without the
/// cases that wait for seconds. asyncio's tests are left out: loading them takes as long as these.
const SHORT: [&str; 9] = [
    "test.test_os.*",
    "test.test_mmap.*",
    "test.test_signal.PosixTests.test_k*",
    "test.test_signal.PendingSignalsTests.test_sigpending*",
    "test.test_signal.WakeupFDTests.*",
    "test.test_subprocess.POSIXProcessTestCase.test_p*",
    "test.test_socket.*Unix*",
    "test.test_socket.Basic*",
    "test.test_threading.ThreadTests.test_d*",
];

/// What may be used besides the processor: nothing beyond the machine, no sound, no screen.
const RESOURCES: &str = "all,-network,-urlfetch,-audio,-gui";

/// One run of the tests, to be made on both sides.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// For people.
    pub(super) name: String,
    /// The modules it runs something of.
    pub(super) modules: Vec<String>,
    /// The arguments of `python3 -m test`.
    pub(super) arguments: Vec<String>,
    /// How long it may take on one side.
    pub(super) limit: Duration,
}

/// Each module by itself.
pub(super) fn whole(modules: &[String]) -> Vec<Turn> {
    let turn = |module: &String| turn(module, &[], std::slice::from_ref(module), 30 * 60);
    modules.iter().map(turn).collect()
}

/// The short selection, in one run.
pub(super) fn short() -> Vec<Turn> {
    let modules: Vec<_> = MODULES
        .iter()
        .filter(|module| SHORT.iter().any(|pattern| module_of(pattern) == **module))
        .map(|module| (*module).to_owned())
        .collect();
    vec![turn("the short selection", &SHORT, &modules, 3 * 60)]
}

/// One case and nothing else.
pub(super) fn alone(case: &str) -> Turn {
    // What is said of a class that was set up: "setUpClass (test.test_os.FileTests)".
    let class = case
        .split_once('(')
        .and_then(|(_, class)| class.strip_suffix(')'));
    let pattern = class.map_or_else(|| case.to_owned(), |class| format!("{class}.*"));
    turn(case, &[&pattern], &[module_of(&pattern).to_owned()], 3 * 60)
}

/// The module that a case or pattern is of.
pub(super) fn module_of(case: &str) -> &str {
    case.split('.').nth(1).unwrap_or(case)
}

fn turn(name: &str, patterns: &[&str], modules: &[String], seconds: u64) -> Turn {
    // A case that hangs ends its run with a trace of every thread, before its time is up.
    let patience = (seconds / 3).to_string();
    let mut arguments: Vec<_> = ["-v", "-u", RESOURCES, "--timeout", &patience]
        .map(str::to_owned)
        .to_vec();
    for pattern in patterns {
        arguments.extend(["-m".to_owned(), (*pattern).to_owned()]);
    }
    arguments.extend_from_slice(modules);
    Turn {
        name: name.to_owned(),
        modules: modules.to_vec(),
        arguments,
        limit: Duration::from_secs(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_alone_is_matched_by_name_and_a_class_by_its_cases() {
        let tail = |case| alone(case).arguments[5..].join(" ");
        assert_eq!(
            tail("test.test_os.FileTests.test_read"),
            "-m test.test_os.FileTests.test_read test_os"
        );
        assert_eq!(
            tail("setUpClass (test.test_asyncio.test_events.X)"),
            "-m test.test_asyncio.test_events.X.* test_asyncio"
        );
    }

    #[test]
    fn short_selection_is_one_run_of_the_modules_it_names() {
        let turns = short();
        assert_eq!(turns.len(), 1);
        let arguments = &turns[0].arguments;
        for pattern in SHORT {
            assert!(arguments.iter().any(|word| word == module_of(pattern)));
        }
    }
}
