// SPDX-License-Identifier: Apache-2.0
//! Frames out of a stream that arrives in pieces, for ends that may not block on one connection.

use crate::frame::{Frame, FrameError, HEADER_LEN, Header};

/// Collects bytes until they make frames.
///
/// The buffer holds at most what was pushed since the last whole frame: a caller that takes every
/// frame before it pushes the next piece never holds more than the largest cap plus one piece.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes at the front that were given out already; removed at the next push, so that a piece
    /// with many small frames is not moved once a frame.
    taken: usize,
}

impl Decoder {
    /// Adds what was read from the stream.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] or [`FrameError::TooLong`] as soon as the header says so. The
    /// stream cannot be resynchronised after that.
    pub fn frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let left = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((header, rest)) = left.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let Header { kind, len } = Header::parse(*header)?;
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        let Some(body) = rest.get(..wanted) else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.taken = self.taken.saturating_add(HEADER_LEN).saturating_add(wanted);
        if self.taken == self.buffer.len() {
            // Idle connections hold no memory: the largest frame may have been a mebibyte.
            self.buffer = Vec::new();
            self.taken = 0;
        }
        Ok(Some(Frame { kind, body }))
    }

    /// Whether the stream may end here: no frame was begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken == self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, write_frame};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cut_of_a_stream_gives_the_same_frames(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            piece in 1usize..400,
        ) {
            let mut wire = Vec::new();
            for body in &bodies {
                write_frame(&mut wire, Kind::Stdout, body).unwrap();
            }
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for piece in wire.chunks(piece) {
                decoder.push(piece);
                while let Some(frame) = decoder.frame().unwrap() {
                    got.push(frame.body);
                }
            }
            prop_assert_eq!(got, bodies);
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.frame() {}
        }
    }

    #[test]
    fn a_begun_frame_is_not_an_orderly_end() {
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0]);
        assert!(decoder.frame().unwrap().is_none());
        assert!(!decoder.is_empty());
    }
}
