// SPDX-License-Identifier: Apache-2.0
//! Allow, ask or deny: Cedar policies over what is known of an action.
//!
//! ```text
//! Analysis ─► Facts ◄─ risk, blast, posture, plan (host)
//!               │
//!               ▼            run_unattended permitted?    allow
//!             Engine ─► else run_with_approval permitted? ask
//!                       else, or if any policy errs:      deny
//! ```
//!
//! The policies that decided are the explanation: each has an `@id` and a `@reason`, and nothing
//! is loaded without them. Three layers of policies make an engine:
//!
//! * `floor.cedar`, always there: what no file can loosen;
//! * the operator's files, with or instead of `default.cedar`: they permit and forbid;
//! * additions by a caller or task: they forbid only.
//!
//! What the agent says reaches policies only as attributes that can tighten under the default set;
//! text that it words itself (programs, hosts) is there for the operator's own policies.

mod context;
pub mod engine;
pub mod examples;
pub mod explain;
pub mod facts;
pub mod init;
pub mod limits;
pub mod load;
mod statements;

pub use engine::{Decision, Engine, Reason, Verdict};
pub use explain::{Change, Relaxation};
pub use facts::Facts;
pub use limits::Limits;
pub use load::{By, LoadError, Source};

#[cfg(test)]
mod tests;
