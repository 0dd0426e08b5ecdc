// SPDX-License-Identifier: Apache-2.0
//! Any bytes as a kept risk model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::risk::learning::Learner;

fuzz_target!(|bytes: &[u8]| {
    let _ = Learner::from_bytes(bytes);
});
