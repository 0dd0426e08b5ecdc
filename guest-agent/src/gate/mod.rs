// SPDX-License-Identifier: Apache-2.0
//! The gate: what a command's processes do is seen before it takes effect, asked about and
//! answered.
//!
//! ```text
//! command ── execve, unlink, open … ──► filter ──► waits in the kernel
//!                                                    │ listener
//!   plan ◄── place, memory, programs … ◄── serve ◄───┘
//!    │                                      │ ▲
//!    ├─ the kernel's to do, or ours: done   │ │ Intent, Verdict (vsock, port ACTIONS)
//!    └─ ask ────────────────────────────────┘ │
//!                                             host
//! ```
//!
//! One thread serves all commands. It waits for nobody: a question to the host leaves the call
//! waiting in the kernel and nothing else. Each command runs under a seccomp filter ([`filter`])
//! whose listener the gate has, and under Landlock rules ([`free`]).
//!
//! Checked and done are one: a call is either carried out by the gate on descriptors that were
//! opened before it was judged ([`place`], [`perform`]), or left to the kernel where Landlock holds
//! it to the free folders, or, for the start of a program, looked at afterwards ([`images`]).
//!
//! A tripwire, not a wall: it holds as long as the guest's kernel and this process do. What must
//! hold against a guest that is lost is the host's (`docs/threat-model.md`).

mod calls;
mod door;
mod elf;
mod files;
pub(crate) mod filter;
pub(crate) mod free;
mod host;
mod images;
mod loads;
mod memory;
mod names;
mod network;
mod perform;
mod place;
mod plan;
mod process;
mod programs;
mod serve;
pub(crate) mod sys;
pub(crate) mod who;

pub(crate) use serve::{Gate, Watch};
