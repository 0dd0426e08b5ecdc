// SPDX-License-Identifier: Apache-2.0
//! What the guest finds on its buses.

pub(crate) mod i8042;
pub(crate) mod serial;
pub mod virtio;
