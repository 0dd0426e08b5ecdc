// SPDX-License-Identifier: Apache-2.0
//! Running commands: from a request of the host to the report of how it ended.
//!
//! - [`request`]: what the host asks, checked and completed; failures in words.
//! - [`user`]: who it runs as.
//! - [`stdio`], [`input`], [`output`]: its streams, and what goes through them.
//! - [`child`]: between clone and exec.
//! - [`command`]: the state of one command, driven by the agent's loop.
//!
//! - [`start`]: what the child is given; a gated one puts itself under the gate's filter.

pub(crate) mod child;
pub(crate) mod command;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod request;
pub(crate) mod start;
pub(crate) mod stdio;
pub(crate) mod user;
