// SPDX-License-Identifier: Apache-2.0
//! Any bytes as a plan: JSON, reasoning, steps, judged as a whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

use policy::action::Plan;
use policy::effects::place::Setting;
use policy::effects::program::NoFiles;
use policy::effects::shell::Ground;
use policy::judge::{Around, Judge};

static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::built_in().expect("the built-in policies load"));

fuzz_target!(|bytes: &[u8]| {
    let Ok(plan) = serde_json::from_slice::<Plan>(bytes) else {
        return;
    };
    let setting = Setting::default();
    let ground = Ground {
        setting: &setting,
        cwd: Some("/workspace"),
        files: &NoFiles,
    };
    let _ = JUDGE.plan(&plan, ground, None, &Around::default());
});
