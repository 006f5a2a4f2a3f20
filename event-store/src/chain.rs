//! The hash chain: `hash(n) = SHA-256(hash(n-1) || body(n))`, with 32 zero bytes for `hash(0)`.
//!
//! `body` is UTF-8 text of these fields, joined by one line feed: position, stream type, stream id (lower case, with
//! hyphens), version, event type, schema version, `recorded_at` (`2026-11-23T10:00:00.000000Z`), data and metadata (as
//! stored).

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Position;

/// The SHA-256 hash of an event, one link of the chain.
pub type Hash = [u8; 32];

/// The hash that the first event takes as the hash of its predecessor: 32 zero bytes.
pub const GENESIS: Hash = [0; 32];

/// The fields of an event that are hashed, as they are stored.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// The place of the event in the log, counted from 1.
    pub position: Position,
    /// The type of the stream.
    pub stream_type: &'a str,
    /// The stream.
    pub stream_id: Uuid,
    /// The place of the event in the stream, counted from 1.
    pub version: i32,
    /// The type of the event.
    pub event_type: &'a str,
    /// The version of the form of the event's data.
    pub schema_version: i32,
    /// When the event was recorded, as [`timestamp`] writes it.
    pub recorded_at: &'a str,
    /// The content of the event as the stored JSON text.
    pub data: &'a str,
    /// The circumstances of the event as the stored JSON text.
    pub metadata: &'a str,
}

impl Body<'_> {
    /// The hash of the event if the hash of the previous event is `previous`.
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

/// Writes bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Writes a time as it is hashed and answered: UTC with six decimals and `Z`.
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
