// SPDX-License-Identifier: Apache-2.0
//! Any text as code of another language than shell.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::effects::intent;
use policy::effects::place::Setting;
use policy::effects::program::NoFiles;
use policy::effects::shell::Ground;

fuzz_target!(|input: (u8, &str)| {
    let languages = ["python", "node", "perl", "ruby", "php", "lua", "awk", "powershell"];
    let language = languages[usize::from(input.0) % languages.len()];
    let setting = Setting::default();
    let ground = Ground {
        setting: &setting,
        cwd: Some("/workspace"),
        files: &NoFiles,
    };
    let _ = intent::of_code(language, input.1, ground);
});
