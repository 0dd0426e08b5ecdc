// SPDX-License-Identifier: Apache-2.0
//! The streams of one command: between its vsock connection and what the user gave us.
//!
//! [`Pump`] moves frames; [`Input`] and [`Output`] are our own stdin, stdout and stderr without
//! blocking on them; [`Terminal`] is the window they may belong to. `ampoule run` uses them in
//! the supervisor, `ampoule exec` in the client, which has the connection itself.

mod pump;
mod streams;
mod terminal;

pub use pump::{Pump, Side};
pub use streams::{Input, Output};
pub use terminal::{Terminal, tell};
