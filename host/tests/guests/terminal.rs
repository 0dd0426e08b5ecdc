// SPDX-License-Identifier: Apache-2.0
//! `-it`: a terminal, resized with the window.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::harness::Home;

fn size(rows: u16, cols: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: cols,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// Reads from the terminal until `text` was seen.
fn until(terminal: &mut File, text: &str) -> String {
    let (mut seen, mut bytes) = (String::new(), [0; 4096]);
    while !seen.contains(text) {
        match terminal.read(&mut bytes) {
            Ok(n) if n > 0 => seen.push_str(&String::from_utf8_lossy(&bytes[..n])),
            _ => panic!("ended before {text:?}: {seen:?}"),
        }
    }
    seen
}

#[test]
fn a_shell_has_a_terminal_that_follows_the_window() {
    let Some(home) = Home::new() else { return };
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new())
        .unwrap()
        .into_string()
        .unwrap();
    let open = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
    tcsetwinsize(&controller, size(33, 101)).unwrap();
    let mut command = home.command(&["run", "-it", "--", "sh"]);
    let mut child = command
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .spawn()
        .unwrap();
    drop(command);
    let mut terminal = File::from(controller);
    until(&mut terminal, "/workspace $");
    terminal.write_all(b"tty; stty size\n").unwrap();
    until(&mut terminal, "33 101");
    tcsetwinsize(&terminal, size(50, 70)).unwrap();
    // The kernel signals only a controlling terminal's foreground group; this one is nobody's.
    super::harness::signal(child.id(), rustix::process::Signal::WINCH);
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.write_all(b"stty size\n").unwrap();
    until(&mut terminal, "50 70");
    terminal.write_all(b"exit 4\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    home.assert_nothing_left();
}
