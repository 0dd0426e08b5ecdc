// SPDX-License-Identifier: Apache-2.0
//! The shipped binary judges: it is linked otherwise than the one that other tests run, and the
//! policy engine looks at its stack. No guest is needed; the shipped binaries are tested here.

use super::harness::Home;

#[test]
fn the_shipped_binary_judges() {
    let Some(home) = Home::judged() else { return };
    for (command, code) in [("ls -la", 0), ("git push -f", 10), ("rm -rf /", 11)] {
        let done = home.ampoule(&["policy", "check", "--", command]);
        assert_eq!(done.code, Some(code), "{command}: {done:?}");
    }
}
