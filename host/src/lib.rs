// SPDX-License-Identifier: Apache-2.0
//! The host's side: the command `ampoule`, which runs each task in a microVM of its own.
//!
//! What `ampoule run` does, in order, and where:
//!
//! 1. [`cli`] reads the command line; [`settings`] says what the operator allows.
//! 2. [`supervise::task`] opens and checks everything a guest is made of: `/dev/kvm`
//!    ([`supervise::kvm`]), kernel and image ([`image`]), the image of the workspace
//!    ([`image::workspace`]). What can be known to fail fails here.
//! 3. [`store`] records the task, after [`supervise::orphans`] put in order what killed
//!    supervisors left.
//! 4. [`supervise::machine`] clones `ampoule-vmm` into its namespaces and
//!    [`supervise::cgroup`], through [`sys::clone`].
//! 5. [`supervise::run`] is the loop: the guest's messages, the command's streams ([`stdio`]),
//!    signals, the clients of `exec`, `cp`, `stop` and `kill` ([`api`]), the clock.
//!    What the command does in the guest is judged by the policy loop ([`gate`]), a process that
//!    all tasks share.
//! 6. [`supervise::verdict`] says how it ended, [`store`] records it, [`logs`] kept the output.
//!
//! [`workspace`] is the folder that `policy` counts a blast radius in.
//!
//! One process, one thread, one task; processes share the store and the images and nothing else.
//! It depends on `vmm` (its configuration and control messages), `protocol`, `policy` and `images`.

pub mod api;
pub mod approvals;
pub mod cli;
pub mod copy;
pub mod doctor;
pub mod events;
pub mod folders;
pub mod gate;
pub mod image;
pub mod logs;
pub mod model;
pub mod policies;
pub mod poll;
pub mod pool;
pub mod settings;
pub mod sockets;
pub mod stdio;
pub mod store;
pub mod supervise;
pub mod sys;
pub mod task;
pub mod template;
pub mod text;
pub mod workspace;

/// Fills `bytes` with random ones from the kernel.
///
/// # Errors
/// What getrandom(2) says.
pub fn entropy(bytes: &mut [u8]) -> std::io::Result<()> {
    let flags = rustix::rand::GetRandomFlags::empty();
    let mut rest = bytes;
    while !rest.is_empty() {
        let n = rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut *rest, flags))?;
        rest = rest.split_at_mut(n).1;
    }
    Ok(())
}
