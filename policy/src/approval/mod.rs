// SPDX-License-Identifier: Apache-2.0
//! What waits for people, and what they decided.
//!
//! ```text
//! ask ─► root: covered by a grant? refused before? ─► item (coalesced, folded, or a flood's)
//!
//!            comment          approve (quorum)
//! pending ────────► commented ───────────────► approved ─► grant (ends, can be revoked)
//!    │  ▲                │                        │ an effect outside asks again:
//!    │  └────────────────┼────────────────────────┘ a new portion of the same item
//!    └───────────────────┴─► denied, expired (no answer is a no), withdrawn: for good
//! ```
//!
//! Rooms: [`binding`] is what an approval binds, [`scope`] how far it reaches, [`item`] what a
//! person sees, [`planned`] the plan it is a step of, [`event`] and [`machine`] how it changes,
//! [`grant`] what an approval allows and for how long, [`root`] which item an ask belongs to,
//! [`similar`] earlier decisions, [`store`] where items are kept, [`desk`] the few steps over a
//! store that callers need.
//!
//! Time is a parameter, in milliseconds since 1970. A clock that goes back never makes an item
//! younger than its last change.

pub mod binding;
pub mod desk;
pub mod event;
pub mod grant;
pub mod item;
pub mod machine;
pub mod names;
pub mod planned;
mod proposal;
pub mod root;
pub mod scope;
pub mod similar;
pub mod store;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub use binding::Binding;
pub use desk::{Answer, DeskError};
pub use event::{Change, Event, Extent, Refused};
pub use grant::{Grant, GrantId, Grants};
pub use item::{Item, Portion, Question, Rules, State};
pub use names::{ItemId, Person};
pub use planned::Planned;
pub use root::{Ask, Budget};
pub use scope::{Reach, Scope};
pub use store::{Entry, Memory, Store, StoreError, Version};
