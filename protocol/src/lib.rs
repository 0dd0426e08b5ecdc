// SPDX-License-Identifier: Apache-2.0
//! Every message that crosses the guest boundary: types, framing and limits.
//!
//! The guest opens every connection (virtio-vsock, guest CID [`GUEST_CID`] to host CID
//! [`HOST_CID`]); the [`ports`] say what a connection is for. Each carries frames
//! ([`frame`]): a length, a [`Kind`], a body. A body is protobuf ([`messages`]) except for the
//! data kinds, whose body is the bytes themselves.
//!
//! Both ends treat the other as hostile: a length is checked against the cap of its kind before
//! a byte of the body is read, an unknown kind is refused and named, unknown protobuf fields
//! are ignored. The first frame of a connection is [`messages::Hello`] (or
//! [`messages::Attach`], on connections that belong to a request already greeted).
//!
//! This package does no I/O of its own (the caller brings `Read` and `Write`), has no `unsafe`
//! and depends on nothing of ours.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod actions;
pub mod decoder;
pub mod frame;
pub mod kind;
pub mod messages;

pub use decoder::Decoder;
pub use frame::{Frame, FrameError, read_frame, write_frame, write_message};
pub use kind::Kind;
pub use prost::Message;

/// Version of the wire; the greeting carries it, and a host refuses a guest of another version.
pub const VERSION: u32 = 1;

/// Every guest's context id. Identity is the task's id, never the CID.
pub const GUEST_CID: u32 = 3;

/// The host's context id (virtio 1.2 §5.10.4: 2 is the host).
pub const HOST_CID: u32 = 2;

/// vsock ports on the host that the guest connects to.
pub mod ports {
    /// `guest-init` to the supervisor: deadline, identity, heartbeat, goodbye.
    pub const CONTROL: u32 = 1024;
    /// `guest-agent` to the supervisor: ready, exec, signals, exits.
    pub const AGENT: u32 = 1025;
    /// One connection an exec: its stdin, stdout and stderr.
    pub const STDIO: u32 = 1026;
    /// One connection a copy: the entries of a file tree.
    pub const FILES: u32 = 1027;
    /// The gate to the policy loop: what is about to happen, and whether it may.
    pub const ACTIONS: u32 = 1028;
}
