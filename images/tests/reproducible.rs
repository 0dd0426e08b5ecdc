// SPDX-License-Identifier: Apache-2.0
//! Two builds in two caches, same bytes. The slow ones run with `--ignored`.
#![expect(
    clippy::unwrap_used,
    reason = "a test harness: a failure here is the test's failure, and wants its line"
)]

use std::fs;
use std::path::Path;

use images::recipe::image;
use images::recipe::{BuildDirs, Built, Recipe, kernel};

fn twice(build: impl Fn(&BuildDirs<'_>) -> Built) {
    let caches = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let built = caches.each_ref().map(|cache| {
        build(&BuildDirs {
            cache: cache.path(),
            progress: &|line| eprintln!("{line}"),
        })
    });
    assert!(!built[0].reused && !built[1].reused);
    assert_eq!(built[0].inputs, built[1].inputs);
    let bytes = built.each_ref().map(|built| fs::read(&built.path).unwrap());
    assert!(bytes[0] == bytes[1], "{} differs", built[0].path.display());
}

fn image_twice(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let init = folder.path().join("init");
    fs::write(&init, "init").unwrap();
    let recipe = Recipe::find(name).unwrap();
    twice(|dirs| image::build(&recipe, &init, None, dirs).unwrap());
}

#[test]
fn base_image_built_twice_is_the_same() {
    if !Path::new("/bin/busybox").exists() {
        eprintln!("SKIPPED: needs the package busybox-static");
        return;
    }
    image_twice("base");
}

#[test]
#[ignore = "installs a Debian system twice: 3 minutes and a mirror"]
fn python_image_built_twice_is_the_same() {
    image_twice("python");
}

#[test]
#[ignore = "compiles two kernels: 10 minutes"]
fn kernel_built_twice_is_the_same() {
    twice(|dirs| kernel::build(dirs).unwrap());
}
