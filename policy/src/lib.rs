// SPDX-License-Identifier: Apache-2.0
//! From what an agent intends to a verdict a person can trust and argue with.
//!
//! ```text
//! action ─► effects ─► blast ─► risk ─► verdict: allow, ask, deny
//!                                 ▲        │ ask
//!                                 └─ approval (a person's decision teaches)
//! ```
//!
//! Pure: no I/O, no clock, no randomness of its own. What is on disk is read through traits that
//! the host implements, and the time is a parameter. It depends on `protocol` alone, beside
//! libraries that compute.

pub mod action;
pub mod approval;
pub mod blast;
pub mod effects;
pub mod gate;
pub mod judge;
pub mod list;
pub mod posture;
pub mod risk;
pub mod text;
pub mod verdict;
