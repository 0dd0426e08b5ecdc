// SPDX-License-Identifier: Apache-2.0
//! Framing: `u32` length of the body, `u16` kind, both little-endian, then the body.
//!
//! ```text
//!  0        4      6
//! +--------+------+----------------- - -
//! | length | kind | body (length bytes)
//! +--------+------+----------------- - -
//! ```

use std::io::{self, IoSlice, Read, Write};

use prost::Message;

use crate::kind::Kind;

/// Bytes before a body.
pub const HEADER_LEN: usize = 6;

/// Why a frame was refused. A connection that broke the framing cannot be resynchronised: the
/// receiver closes it.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side closed where a frame would have begun: the orderly end.
    #[error("the connection has ended")]
    Closed,
    /// The other side closed in the middle of a frame.
    #[error("the connection ended within a frame")]
    Truncated,
    /// A kind this version does not know.
    #[error("unknown frame kind {code}")]
    UnknownKind {
        /// The number received.
        code: u16,
    },
    /// A body longer than its kind allows.
    #[error("frame {kind:?} has {len} bytes, its cap is {cap}")]
    TooLong {
        /// The kind announced.
        kind: Kind,
        /// The length announced.
        len: u64,
        /// The cap of that kind.
        cap: u32,
    },
    /// A kind that has no place here.
    #[error("frame {kind:?} is not expected here")]
    Unexpected {
        /// The kind received.
        kind: Kind,
    },
    /// A body that is not the protobuf message its kind says.
    #[error("frame {kind:?} does not parse")]
    Malformed {
        /// The kind announced.
        kind: Kind,
        /// What protobuf says.
        #[source]
        source: prost::DecodeError,
    },
    /// The transport failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// One frame: its kind and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the body is.
    pub kind: Kind,
    /// The body, at most `kind.cap()` bytes.
    pub body: Vec<u8>,
}

impl Frame {
    /// Decodes the body as the message of kind `kind`.
    ///
    /// # Errors
    /// [`FrameError::Unexpected`] when the frame is of another kind, [`FrameError::Malformed`]
    /// when the body does not parse.
    pub fn decode<M: Message + Default>(&self, kind: Kind) -> Result<M, FrameError> {
        if self.kind != kind {
            return Err(FrameError::Unexpected { kind: self.kind });
        }
        M::decode(self.body.as_slice()).map_err(|source| FrameError::Malformed { kind, source })
    }
}

/// The header of a frame, checked: a known kind, a length within its cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the body is.
    pub kind: Kind,
    /// Bytes of the body.
    pub len: u32,
}

impl Header {
    /// Parses and checks the six bytes before a body.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] or [`FrameError::TooLong`].
    pub fn parse(bytes: [u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let [l0, l1, l2, l3, k0, k1] = bytes;
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        let kind = Kind::try_from(u16::from_le_bytes([k0, k1]))?;
        let cap = kind.cap();
        if len > cap {
            return Err(FrameError::TooLong {
                kind,
                len: u64::from(len),
                cap,
            });
        }
        Ok(Self { kind, len })
    }

    /// The six bytes before a body of `len` bytes.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when the kind does not allow that many.
    pub fn encode(kind: Kind, len: usize) -> Result<[u8; HEADER_LEN], FrameError> {
        let cap = kind.cap();
        let checked = u32::try_from(len).ok().filter(|len| *len <= cap);
        let Some(len32) = checked else {
            let len = u64::try_from(len).unwrap_or(u64::MAX);
            return Err(FrameError::TooLong { kind, len, cap });
        };
        let [l0, l1, l2, l3] = len32.to_le_bytes();
        let [k0, k1] = kind.code().to_le_bytes();
        Ok([l0, l1, l2, l3, k0, k1])
    }
}

/// Reads one frame. Allocates no more than the cap of the kind announced.
///
/// # Errors
/// [`FrameError::Closed`] at an orderly end, otherwise as the variants say.
pub fn read_frame(from: &mut impl Read) -> Result<Frame, FrameError> {
    let mut header = [0; HEADER_LEN];
    read_header(from, &mut header)?;
    let Header { kind, len } = Header::parse(header)?;
    let mut body = Vec::new();
    let wanted = u64::from(len);
    let got = from.by_ref().take(wanted).read_to_end(&mut body)?;
    if u64::try_from(got).unwrap_or(u64::MAX) < wanted {
        return Err(FrameError::Truncated);
    }
    Ok(Frame { kind, body })
}

/// Reads the header, telling an end before the first byte from one within.
fn read_header(from: &mut impl Read, header: &mut [u8; HEADER_LEN]) -> Result<(), FrameError> {
    let (first, rest) = header.split_at_mut(1);
    loop {
        match from.read(first) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(_) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    from.read_exact(rest).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Truncated,
        _ => FrameError::Io(e),
    })
}

/// Writes one frame with as few system calls as the transport allows.
///
/// # Errors
/// [`FrameError::TooLong`] before anything is written, or the transport's failure.
pub fn write_frame(to: &mut impl Write, kind: Kind, body: &[u8]) -> Result<(), FrameError> {
    let header = Header::encode(kind, body.len())?;
    let mut parts = [IoSlice::new(&header), IoSlice::new(body)];
    let mut left: &mut [IoSlice<'_>] = &mut parts;
    while !left.is_empty() {
        match to.write_vectored(left) {
            Ok(0) if left.iter().all(|part| part.is_empty()) => break,
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(n) => IoSlice::advance_slices(&mut left, n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Encodes `message` and writes it as one frame of kind `kind`.
///
/// # Errors
/// As [`write_frame`].
pub fn write_message(
    to: &mut impl Write,
    kind: Kind,
    message: &impl Message,
) -> Result<(), FrameError> {
    write_frame(to, kind, &message.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Exec, Hello};
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = Kind> {
        prop::sample::select(Kind::ALL)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(kind in kinds(), seed in prop::collection::vec(any::<u8>(), 0..2048)) {
            let body: Vec<u8> = seed.into_iter().take(kind.cap() as usize).collect();
            let mut wire = Vec::new();
            write_frame(&mut wire, kind, &body).unwrap();
            let frame = read_frame(&mut wire.as_slice()).unwrap();
            prop_assert_eq!(frame, Frame { kind, body });
        }

        #[test]
        fn any_bytes_give_a_frame_or_an_error_and_never_more_than_the_cap(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(frame) = read_frame(&mut bytes.as_slice()) {
                prop_assert!(frame.body.len() <= frame.kind.cap() as usize);
            }
        }

        #[test]
        fn any_bytes_as_a_message_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = Frame { kind: Kind::Exec, body: bytes }.decode::<Exec>(Kind::Exec);
        }

        #[test]
        fn a_cut_frame_is_truncated_not_closed(cut in 1usize..26) {
            let mut wire = Vec::new();
            write_frame(&mut wire, Kind::Stdout, &[7; 20]).unwrap();
            wire.truncate(cut.min(25));
            prop_assert!(matches!(read_frame(&mut wire.as_slice()), Err(FrameError::Truncated)));
        }
    }

    #[test]
    fn length_over_the_cap_is_refused_before_the_body_is_read() {
        let mut wire = u32::MAX.to_le_bytes().to_vec();
        wire.extend(Kind::Hello.code().to_le_bytes());
        let mut rest = wire.as_slice();
        assert!(matches!(
            read_frame(&mut rest),
            Err(FrameError::TooLong {
                kind: Kind::Hello,
                ..
            })
        ));
    }

    #[test]
    fn unknown_kind_is_refused_by_its_number() {
        let wire = [0, 0, 0, 0, 0xfe, 0xff];
        let refused = read_frame(&mut wire.as_slice()).unwrap_err();
        assert_eq!(refused.to_string(), "unknown frame kind 65534");
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let mut body = prost::Message::encode_to_vec(&Hello {
            version: 1,
            boot_ns: 5,
        });
        body.extend([0x9a, 0x06, 0x02, b'h', b'i']); // field 99, two bytes
        let frame = Frame {
            kind: Kind::Hello,
            body,
        };
        assert_eq!(frame.decode::<Hello>(Kind::Hello).unwrap().boot_ns, 5);
    }

    #[test]
    fn empty_input_is_closed() {
        assert!(matches!(
            read_frame(&mut [].as_slice()),
            Err(FrameError::Closed)
        ));
    }

    #[test]
    fn too_long_a_body_writes_nothing() {
        let mut wire = Vec::new();
        let long = vec![0; Kind::Stdout.cap() as usize + 1];
        assert!(write_frame(&mut wire, Kind::Stdout, &long).is_err());
        assert!(wire.is_empty());
    }
}
