// SPDX-License-Identifier: Apache-2.0
//! A minimal KVM virtual machine monitor: one process, one guest.
//!
//! # Life of a guest
//!
//! 1. The supervisor describes it ([`config`]) and starts `ampoule-vmm` with open descriptors;
//!    [`cli`] reads the description back, [`inherited`] takes the descriptors over.
//! 2. [`machine`] tells the whole story. It arms the guest's end, maps [`memory`] and the kernel
//!    (`arch`), writes what the kernel is handed, then asks `kvm` for a machine, puts [`devices`]
//!    on its buses ([`bus`]) and makes vCPUs. Or it maps a [`snapshot`], and everything goes on
//!    from the state in it.
//! 3. The guest runs: one thread a vCPU, and the main thread in the [`event_loop`].
//! 4. Something ends it ([`end`]); the vCPUs are stopped, the supervisor is told over
//!    [`control`], the process exits.
//!
//! # Threads
//!
//! | thread | runs | talks to |
//! | --- | --- | --- |
//! | main | the event loop: queues, backends, life timer, control socket | the supervisor |
//! | `vcpuN` | `KVM_RUN`; serves MMIO and port exits | devices, over the buses |
//!
//! # Locks
//!
//! | lock | holders |
//! | --- | --- |
//! | each virtio transport | vCPU threads (registers), the event thread (queues, backend) |
//! | i8042, debug console | vCPU threads; the event thread reads the console at the end |
//!
//! No two are ever held at once.

mod arch;
pub mod bus;
pub mod cli;
pub mod config;
pub mod control;
pub mod devices;
pub mod end;
pub mod event_loop;
pub mod inherited;
pub mod interrupt;
mod kvm;
mod logging;
pub mod machine;
pub mod memory;
pub mod snapshot;
mod sys;

pub use logging::log_to_stderr;
