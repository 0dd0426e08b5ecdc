// SPDX-License-Identifier: Apache-2.0
//! Any text as shell: both parsers, evaluation, every program it reaches.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::action::Action;
use policy::effects::intent;
use policy::effects::place::Setting;
use policy::effects::program::NoFiles;
use policy::effects::shell::Ground;

fuzz_target!(|text: &str| {
    let setting = Setting::default();
    let ground = Ground {
        setting: &setting,
        cwd: Some("/workspace"),
        files: &NoFiles,
    };
    let _ = intent::of(&Action::shell(text), ground);
});
