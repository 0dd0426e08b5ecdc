// SPDX-License-Identifier: Apache-2.0
//! The state machine, its grants and the queue.

mod decisions;
mod grants;
mod queue;
mod sequences;
