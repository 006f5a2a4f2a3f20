//! The hash chain: `hash(n) = SHA-256(hash(n-1) || body(n))`, with 32 zero bytes for `hash(0)`.
//!
//! `body` is UTF-8, its fields joined by one line feed: position, stream type, stream id (lower case, with hyphens),
//! version, event type, schema version, `recorded_at` (`2026-11-23T10:00:00.000000Z`), data and metadata (as stored).

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Position;

/// A link of the chain.
pub type Hash = [u8; 32];

/// What stands before the first event.
pub const GENESIS: Hash = [0; 32];

/// The fields that are hashed, as they are stored.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// Place in the log, from 1.
    pub position: Position,
    /// Stream type.
    pub stream_type: &'a str,
    /// Stream.
    pub stream_id: Uuid,
    /// Place in the stream, from 1.
    pub version: i32,
    /// Event type.
    pub event_type: &'a str,
    /// Version of the event type's form.
    pub schema_version: i32,
    /// When it was recorded, as [`timestamp`] writes it.
    pub recorded_at: &'a str,
    /// The stored text.
    pub data: &'a str,
    /// The stored text.
    pub metadata: &'a str,
}

impl Body<'_> {
    /// The hash of the event that follows `previous`.
    pub fn hash(&self, previous: &Hash) -> Hash {
        let mut head = String::with_capacity(192);
        // Writing to a string cannot fail.
        let _ = write!(
            head,
            "{}\n{}\n{}\n{}\n{}\n{}\n{}\n",
            self.position,
            self.stream_type,
            self.stream_id.hyphenated(),
            self.version,
            self.event_type,
            self.schema_version,
            self.recorded_at,
        );
        let mut digest = Sha256::new();
        digest.update(previous);
        digest.update(head.as_bytes());
        digest.update(self.data.as_bytes());
        digest.update(b"\n");
        digest.update(self.metadata.as_bytes());
        digest.finalize().into()
    }
}

/// Bytes in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A time as it is hashed and answered: UTC, six decimals, `Z`.
pub fn timestamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_written_rule() {
        let id = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);
        let body = Body {
            position: 1,
            stream_type: "appointment",
            stream_id: id,
            version: 1,
            event_type: "appointment.confirmed",
            schema_version: 1,
            recorded_at: "2026-11-23T10:00:00.000000Z",
            data: "{}",
            metadata: "{\"actor\":null}",
        };
        let mut text = vec![0_u8; 32];
        text.extend_from_slice(
            b"1\nappointment\n01920000-0000-7000-8000-000000000001\n1\nappointment.confirmed\n1\n2026-11-23T10:00:00.000000Z\n{}\n{\"actor\":null}",
        );
        let expected: Hash = Sha256::digest(&text).into();
        assert_eq!(body.hash(&GENESIS), expected);
    }

    #[test]
    fn a_time_is_written_with_six_decimals() {
        let at = DateTime::parse_from_rfc3339("2026-11-23T11:00:00.5+01:00").unwrap_or_default().to_utc();
        assert_eq!(timestamp(at), "2026-11-23T10:00:00.500000Z");
    }
}
