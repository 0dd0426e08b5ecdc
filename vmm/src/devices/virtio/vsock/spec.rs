// SPDX-License-Identifier: Apache-2.0
//! The packet header of the socket device (virtio 1.2 §5.10.6).
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

/// Bytes of a header.
pub(super) const HEADER_LEN: usize = 44;

/// The host's context identifier (virtio 1.2 §5.10.4).
pub(super) const HOST_CID: u64 = 2;

/// `VIRTIO_VSOCK_F_STREAM` (virtio 1.2 §5.10.3).
pub(super) const F_STREAM: u64 = 1;

/// Stream sockets, the only kind served (virtio 1.2 §5.10.6).
pub(super) const TYPE_STREAM: u16 = 1;

/// Operations (virtio 1.2 §5.10.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Op {
    Request = 1,
    Response = 2,
    Reset = 3,
    Shutdown = 4,
    Data = 5,
    CreditUpdate = 6,
    CreditRequest = 7,
}

impl Op {
    fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Request,
            2 => Self::Response,
            3 => Self::Reset,
            4 => Self::Shutdown,
            5 => Self::Data,
            6 => Self::CreditUpdate,
            7 => Self::CreditRequest,
            _ => return None,
        })
    }
}

/// What a side will no longer do, the flags of [`Op::Shutdown`] (virtio 1.2 §5.10.6.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shut {
    /// The sender of the packet receives no more.
    pub(super) receive: bool,
    /// The sender of the packet sends no more.
    pub(super) send: bool,
}

impl Shut {
    pub(super) const BOTH: Self = Self {
        receive: true,
        send: true,
    };

    pub(super) fn from_flags(flags: u32) -> Self {
        Self {
            receive: flags & 1 != 0,
            send: flags & 2 != 0,
        }
    }

    pub(super) fn flags(self) -> u32 {
        u32::from(self.receive) | (u32::from(self.send) << 1)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            receive: self.receive || other.receive,
            send: self.send || other.send,
        }
    }
}

/// A header, as far as any side here reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) src_cid: u64,
    pub(super) dst_cid: u64,
    pub(super) src_port: u32,
    pub(super) dst_port: u32,
    /// Bytes of payload.
    pub(super) len: u32,
    pub(super) kind: u16,
    /// As it was sent; `None` for a number that means nothing.
    pub(super) op: Option<Op>,
    pub(super) flags: u32,
    /// Bytes of buffer the sender has for the connection.
    pub(super) buf_alloc: u32,
    /// Bytes the sender has taken out of that buffer, modulo 2^32.
    pub(super) fwd_cnt: u32,
}

impl Header {
    pub(super) fn from_bytes(bytes: [u8; HEADER_LEN]) -> Self {
        let mut fields = Fields(&bytes);
        Self {
            src_cid: u64::from_le_bytes(fields.take()),
            dst_cid: u64::from_le_bytes(fields.take()),
            src_port: u32::from_le_bytes(fields.take()),
            dst_port: u32::from_le_bytes(fields.take()),
            len: u32::from_le_bytes(fields.take()),
            kind: u16::from_le_bytes(fields.take()),
            op: Op::from_number(u16::from_le_bytes(fields.take())),
            flags: u32::from_le_bytes(fields.take()),
            buf_alloc: u32::from_le_bytes(fields.take()),
            fwd_cnt: u32::from_le_bytes(fields.take()),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let op = self.op.map_or(0, |op| op as u16);
        let mut bytes = [0; HEADER_LEN];
        let fields = [
            &self.src_cid.to_le_bytes()[..],
            &self.dst_cid.to_le_bytes(),
            &self.src_port.to_le_bytes(),
            &self.dst_port.to_le_bytes(),
            &self.len.to_le_bytes(),
            &self.kind.to_le_bytes(),
            &op.to_le_bytes(),
            &self.flags.to_le_bytes(),
            &self.buf_alloc.to_le_bytes(),
            &self.fwd_cnt.to_le_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }
}

/// Fields of known sizes, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes; zeros past the end, which [`HEADER_LEN`] keeps out of reach.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_layout_of_the_specification() {
        let header = Header {
            src_cid: 0x0102_0304_0506_0708,
            dst_cid: 2,
            src_port: 0x1111_2222,
            dst_port: 1024,
            len: 5,
            kind: TYPE_STREAM,
            op: Some(Op::Data),
            flags: 3,
            buf_alloc: 0x4_0000,
            fwd_cnt: 0xffff_fffe,
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes[..8], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[16..20], [0x22, 0x22, 0x11, 0x11]);
        assert_eq!(bytes[24..32], [5, 0, 0, 0, 1, 0, 5, 0]);
        assert_eq!(bytes[40..], [0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(Header::from_bytes(bytes), header);
    }

    #[test]
    fn an_unknown_operation_is_none() {
        let mut bytes = [0; HEADER_LEN];
        for number in [0, 8, 255] {
            bytes[30] = number;
            assert_eq!(Header::from_bytes(bytes).op, None);
        }
    }

    #[test]
    fn shutdown_flags_keep_their_sides_apart() {
        for flags in 0..4 {
            assert_eq!(Shut::from_flags(flags).flags(), flags);
        }
        assert!(Shut::from_flags(1).receive);
        assert_eq!(Shut::from_flags(0xfffc), Shut::default());
    }
}
