// SPDX-License-Identifier: Apache-2.0
//! A learner as bytes: JSON with a version and a checksum, so that whoever keeps it can replace it
//! whole and never reads half of it. The checksum finds damage; it keeps nobody out.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Learner;

/// The version of this form.
const VERSION: u32 = 1;

/// Longest that is read.
pub const BYTES: usize = 64 << 20;

/// Bytes that are no learner.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Longer than any.
    #[error("the risk model is longer than {BYTES} bytes")]
    TooLong,
    /// Not what is written.
    #[error("the risk model is not what was written: restore it, or replay its events")]
    Shape(#[source] serde_json::Error),
    /// Another version's.
    #[error("the risk model is of version {0}, this one reads {VERSION}: replay its events")]
    Version(u32),
    /// Damaged.
    #[error("the risk model's checksum is wrong: restore it, or replay its events")]
    Checksum,
    /// Numbers that no events give.
    #[error("the risk model holds what no events give: replay its events")]
    Unsound,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    version: u32,
    sha256: String,
    body: String,
}

fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Learner {
    /// As bytes.
    ///
    /// # Errors
    ///
    /// It cannot be written, which no learner has yet.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let body = serde_json::to_string(self).map_err(StoreError::Shape)?;
        let envelope = Envelope {
            version: VERSION,
            sha256: checksum(&body),
            body,
        };
        serde_json::to_vec(&envelope).map_err(StoreError::Shape)
    }

    /// From bytes.
    ///
    /// # Errors
    ///
    /// They are damaged, of another version, or nothing that [`Self::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        if bytes.len() > BYTES {
            return Err(StoreError::TooLong);
        }
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(StoreError::Shape)?;
        if envelope.version != VERSION {
            return Err(StoreError::Version(envelope.version));
        }
        if envelope.sha256 != checksum(&envelope.body) {
            return Err(StoreError::Checksum);
        }
        let learner: Self = serde_json::from_str(&envelope.body).map_err(StoreError::Shape)?;
        if learner.sound() {
            Ok(learner)
        } else {
            Err(StoreError::Unsound)
        }
    }
}
