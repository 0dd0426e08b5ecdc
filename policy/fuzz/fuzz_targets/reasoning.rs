// SPDX-License-Identifier: Apache-2.0
//! Any text as the reasoning of a plan.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::action::{Plan, reasoning};

fuzz_target!(|text: &str| {
    let plan = Plan {
        reasoning: text.to_owned(),
        ..Plan::default()
    };
    let announced = reasoning::read(&plan);
    let _ = reasoning::compare(&announced, &[], &[]);
});
