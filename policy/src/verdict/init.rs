// SPDX-License-Identifier: Apache-2.0
//! What `ampoule policy init` writes: a commented policy, limits and examples for a team to start
//! from. A test loads them and runs the examples.

/// A file to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its name in the operator's folder.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The team's own policies.
pub const POLICY: Start = Start {
    name: "policy.cedar",
    text: include_str!("start.cedar"),
};

/// The limits, all of them at their defaults.
pub const LIMITS: Start = Start {
    name: "limits.toml",
    text: theirs(include_str!("start.toml")),
};

/// Three worked examples.
pub const TESTS: Start = Start {
    name: "tests/start.toml",
    text: theirs(include_str!("start-tests.toml")),
};

/// Without the line that says our licence: what is written belongs to the team.
const fn theirs(text: &'static str) -> &'static str {
    text.split_at("# SPDX-License-Identifier: Apache-2.0\n".len())
        .1
}
