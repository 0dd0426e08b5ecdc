// SPDX-License-Identifier: Apache-2.0
//! Supervision of one task: step 3 of the life of a task to its last.
//!
//! ```text
//! task ──► machine ── clone3 ──► ampoule-vmm        runtime folder: locks, sockets
//!   ├────► planned: a plan's verdict, before there is a VMM
//!   ├────► run: one poll loop ◄── life, connector ── VMM
//!   │        ├─ guest   (wire): guest-init, guest-agent
//!   │        ├─ attach, stdio::Pump: the command's streams
//!   │        ├─ clients (api): exec, cp, stop, kill
//!   │        ├─ gate: what the policy loop allows
//!   │        └─ verdict: what it all meant
//!   └────► reaper: takes away what is left
//! ```
//!
//! One process supervises one task: the `ampoule run` that the user sees, or one of its own
//! that `ampoule run -d` leaves behind. It has one thread and owns all state of its task, so
//! there is no lock in it. When it dies, [`orphans`] is how the next command notices.

pub mod assignment;
pub mod attach;
pub mod cgroup;
pub mod clients;
pub mod connector;
pub mod files;
pub mod gate;
pub mod guest;
pub mod holdings;
pub mod kvm;
pub mod load;
pub mod locks;
pub mod machine;
pub mod orphans;
mod planned;
mod reaper;
pub mod room;
pub mod run;
pub mod task;
pub mod timeline;
pub mod verdict;
pub mod wire;
