// SPDX-License-Identifier: Apache-2.0
//! The system calls that rustix does not wrap: the only place of this package with `unsafe`.
//!
//! [`clone`] starts the VMM in its namespaces and cgroup, [`signals`] turns signals into a
//! readable descriptor, [`process`] reaps with resource use and asks the CPU and `/dev/kvm`
//! what they can do, [`fork`] leaves work behind, [`network`] keeps the namespace
//! without a network that VMMs run in.

pub mod clone;
pub mod fork;
pub mod network;
pub mod process;
pub mod signals;
