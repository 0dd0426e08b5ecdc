// SPDX-License-Identifier: Apache-2.0
//! Bad input: one clear line that names what is wrong and what to do, and the documented code.

use std::fs;

use super::harness::{Done, Home};
use super::images::{elf, own_data, store};

/// Asserts the code and that the one line on stderr names each of `words`.
#[track_caller]
fn assert_refused(done: &Done, words: &[&str]) {
    assert_eq!(done.code, Some(125), "{done:?}");
    assert_eq!(done.stderr.trim_end().lines().count(), 1, "{done:?}");
    for word in words {
        assert!(done.stderr.contains(word), "{word:?} is missing: {done:?}");
    }
}

#[test]
fn numbers_that_make_no_sense_name_the_option() {
    let Some(home) = Home::new() else { return };
    for (option, value, hint) in [
        ("--ttl", "10", "10s"),
        ("--ttl", "-1m", "5m"),
        ("--cpus", "0", "1"),
        ("--memory", "1M", "M"),
        ("--memory", "lots", "M"),
    ] {
        let done = home.ampoule(&["run", &format!("{option}={value}"), "--", "true"]);
        assert_refused(&done, &[option, hint]);
    }
}

#[test]
fn a_missing_image_is_named_with_what_to_do() {
    let Some(home) = Home::new() else { return };
    let done = home.ampoule(&["run", "--image", "nope", "--", "true"]);
    assert_refused(&done, &["nope", "ampoule image build"]);
}

#[test]
fn a_workspace_that_is_a_file_or_missing_is_named() {
    let Some(home) = Home::new() else { return };
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    let file = file.to_str().unwrap();
    assert_refused(
        &home.ampoule(&["run", "--workspace", file, "--", "true"]),
        &[file],
    );
    assert_refused(
        &home.ampoule(&["run", "--workspace", "/no/such", "--", "true"]),
        &["/no/such"],
    );
}

#[test]
fn a_kernel_that_is_none_is_refused() {
    let Some(home) = Home::new() else { return };
    for bytes in [b"not a kernel".to_vec(), elf(&[0x90])[..5000].to_vec()] {
        let data = own_data(&home);
        store(&data, "kernel", "kernel", &bytes);
        let mut command = home.command(&["run", "--", "true"]);
        let done = Done::from(command.env("XDG_DATA_HOME", data).output().unwrap());
        assert_refused(&done, &["kernel"]);
        fs::remove_dir_all(home.path().join("d")).unwrap();
    }
}

#[test]
fn an_image_that_was_cut_short_is_refused() {
    let Some(home) = Home::new() else { return };
    let data = own_data(&home);
    store(&data, "cut", "base", &[0; 4096]);
    let mut command = home.command(&["run", "--image", "cut", "--", "true"]);
    let done = Done::from(command.env("XDG_DATA_HOME", data).output().unwrap());
    assert_refused(&done, &["cut"]);
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let Some(home) = Home::new() else { return };
    home.ampoule(&["ps"]);
    let path = home.path().join("s/ampoule/ampoule.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&9999u32.to_be_bytes()); // user_version, SQLite file format 1.3
    fs::write(&path, bytes).unwrap();
    assert_refused(&home.ampoule(&["run", "--", "true"]), &["newer"]);
}
