// SPDX-License-Identifier: Apache-2.0
//! The policy loop: every action of every task of this user gets its verdict here.
//!
//! ```text
//! ampoule run ── Begin, Root ───► ampoule-policy serve      one process a user (serve),
//!  (supervise::gate)              │ one thread a task       found or started by client
//!     ▲  Verdict, Asked, Decided ─┤ (task)
//!     │                           │
//!     └─ Guest + descriptor ─────►│◄═ Hello, Intent ═ gate in the guest (protocol::actions)
//!                                 │═ Grants, Verdict ═►
//!                      intent ─► court ─► asks ─► approvals.db ◄── ampoule approvals
//! ```
//!
//! A process of its own for what it does and what it weighs: it reads text that agents wrote, with
//! parsers of which two are C, and a supervisor should start in no time. One for all tasks, so that
//! policies and model are loaded once. It is started by the first task that needs it and ends a
//! minute after the last; it keeps nothing that is not on disk or asked again: killed at any moment
//! it leaves a gate in a guest without a connection, which lets nothing pass, and a supervisor that
//! starts another and tells it all again.
//!
//! The guest's connection is handed over whole, so that a verdict takes one round trip and the
//! supervisor is in nobody's way. All that comes over it is a guest's word: it may tighten and
//! never loosen, and none of it is indexed or added up unchecked.
//!
//! Rooms: [`wire`] what supervisor and loop say, [`client`] the way to the loop, [`serve`] the
//! process, [`task`] one task's thread, [`intent`] what a guest says as actions of `policy`,
//! [`scripts`] the files that they run, [`court`] the verdict, [`force`] the policies in force,
//! [`lines`] what
//! is said on the socket in the guest, [`named`] what plans named,
//! [`asks`] what waits for people, [`grants`] what the guest need not ask, [`left`] what a task
//! leaves open that is gone with its loop.

pub mod asks;
pub mod client;
pub mod court;
pub mod force;
pub mod grants;
pub mod intent;
pub mod left;
pub mod lines;
pub mod named;
pub mod question;
pub mod record;
pub mod scripts;
pub mod serve;
pub mod task;
pub mod wire;

use protocol::Kind;

/// What the gate in a guest may say.
pub const SAYS: &[Kind] = &[
    Kind::Hello,
    Kind::Intent,
    Kind::Uses,
    Kind::Withdrawn,
    Kind::Done,
    Kind::Declared,
];

#[cfg(test)]
mod tests;
