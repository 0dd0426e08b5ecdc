// SPDX-License-Identifier: Apache-2.0
//! The descriptors a VMM was started with, owned and of the right kind. It opens nothing itself.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use rustix::net::SocketType;

use crate::config::{self, Descriptors};
use crate::sys::{self, AdoptError};

/// Why the descriptors do not make a guest.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// They cannot be taken over.
    #[error("the descriptors named on the command line cannot be used")]
    Adopt(#[from] AdoptError),
    /// Not the packet socket it must be.
    #[error("descriptor {number}, the {what}, is not a SOCK_SEQPACKET socket")]
    NotASocket {
        /// What it was named as.
        what: &'static str,
        /// Which.
        number: RawFd,
    },
}

/// Everything the guest is made from.
#[derive(Debug)]
pub struct Inherited {
    /// `/dev/kvm`; KVM itself is asked whether that is true.
    pub(crate) kvm: OwnedFd,
    /// What the guest begins from.
    pub(crate) origin: Origin,
    /// The life socket. Shared by the event thread, which reads it, and the machine's last word.
    pub(crate) control: Arc<OwnedFd>,
    /// The connector socket.
    pub(crate) connector: OwnedFd,
    /// The listener for host-initiated connections.
    pub(crate) vsock: Option<UnixListener>,
    /// The drives, in order; `None` for one without a medium.
    pub(crate) drives: Vec<Option<File>>,
}

/// What a guest begins from.
#[derive(Debug)]
pub(crate) enum Origin {
    Kernel(File),
    Snapshot(File),
}

impl Inherited {
    /// Takes over the descriptors of this process; possible once, before anything is opened.
    ///
    /// # Errors
    /// A number is not open, a standard stream, named twice, or of the wrong kind.
    pub fn adopt(numbers: &Descriptors) -> Result<Self, InheritedError> {
        let Descriptors {
            kvm,
            origin,
            control,
            connector,
            vsock,
            drives,
        } = numbers;
        let (config::Origin::Kernel(file) | config::Origin::Snapshot(file)) = *origin;
        let mut all = vec![*kvm, file, *control, *connector];
        all.extend(vsock);
        all.extend(drives.iter().flatten());
        let mut owned = sys::adopt(&all)?.into_iter();
        let mut next = |number: RawFd| owned.next().ok_or(AdoptError::NotOpen(number));
        let inherited = Self {
            kvm: next(*kvm)?,
            origin: match origin {
                config::Origin::Kernel(number) => Origin::Kernel(next(*number)?.into()),
                config::Origin::Snapshot(number) => Origin::Snapshot(next(*number)?.into()),
            },
            control: Arc::new(next(*control)?),
            connector: next(*connector)?,
            vsock: vsock.map(&mut next).transpose()?.map(Into::into),
            drives: drives
                .iter()
                .map(|number| {
                    number
                        .map(|number| next(number).map(Into::into))
                        .transpose()
                })
                .collect::<Result<_, _>>()?,
        };
        packet_socket("control socket", *control, &inherited.control)?;
        packet_socket("connector socket", *connector, &inherited.connector)?;
        Ok(inherited)
    }

    /// Where the supervisor listens for the machine's last word.
    #[must_use]
    pub fn control(&self) -> Arc<OwnedFd> {
        self.control.clone()
    }
}

fn packet_socket(
    what: &'static str,
    number: RawFd,
    socket: impl AsFd,
) -> Result<(), InheritedError> {
    match rustix::net::sockopt::socket_type(socket) {
        Ok(SocketType::SEQPACKET) => Ok(()),
        _ => Err(InheritedError::NotASocket { what, number }),
    }
}
