// SPDX-License-Identifier: Apache-2.0
//! Any text as a file of the operator or a build file: policies, limits, examples, tables.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::effects::program::tables::Table;
use policy::verdict::{By, Engine, Limits, Source, examples};

fuzz_target!(|text: &str| {
    let _ = Limits::parse("limits.toml", text);
    let _ = examples::read("tests.toml", text);
    let _ = Table::parse(text, "table.toml");
    let source = Source {
        name: "p.cedar",
        text,
        by: By::Addition,
    };
    let _ = Engine::load(false, &[source]);
});
