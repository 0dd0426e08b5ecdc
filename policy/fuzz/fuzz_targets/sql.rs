// SPDX-License-Identifier: Apache-2.0
//! Any text as SQL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::effects::sql;

fuzz_target!(|text: &str| {
    let _ = sql::statements(text, "postgres");
    let _ = sql::statements(text, "mysql");
});
