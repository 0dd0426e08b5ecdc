// SPDX-License-Identifier: Apache-2.0
//! What a task is: its id, what it was asked to be, and how it ended.

mod id;
mod outcome;
mod spec;

pub use id::{NotAnId, TaskId};
pub use outcome::{By, End, Exit, How, Kind, Outcome, Start, Timings, code};
pub use spec::{Bytes, Gating, OnAsk, Planned, Resources, Spec, Step};
