//! The copy of a log in files: one line for each event, in the text format of PostgreSQL's `COPY`, with the fields in
//! the order in which they are hashed. Such a copy can be checked without a database and without a key, and any
//! PostgreSQL can read it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use thiserror::Error;
use uuid::Uuid;

use crate::chain::{Body, GENESIS, Hash};
use crate::{Metadata, Position};

/// The fields of a line: those that are hashed, and the hash.
const FIELDS: usize = 10;

/// Why a line does not continue a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Torn {
    /// The line is not that of an event.
    #[error("the line after position {0} holds no event")]
    Unreadable(Position),
    /// The line is that of an event at another position.
    #[error("position {0}: the event is missing")]
    Missing(Position),
    /// The event or its hash was altered, or the event before it was another one.
    #[error("position {0}: the hash does not fit the event and the hash of the previous event")]
    Hash(Position),
}

/// The end of a log: the position, the hash and the time of its newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The position of the newest event; 0 when there is none.
    pub position: Position,
    /// The hash of the newest event.
    pub hash: Hash,
    /// When the newest event was recorded.
    pub recorded_at: DateTime<Utc>,
}

impl End {
    /// The end of a log without events.
    pub const NOTHING: Self = Self { position: 0, hash: GENESIS, recorded_at: DateTime::UNIX_EPOCH };

    /// The end of the log after the event of one more line, which is given without its line feed.
    ///
    /// # Errors
    /// When the line does not hold the event that follows.
    pub fn then(&self, line: &[u8]) -> Result<Self, Torn> {
        let next = self.position + 1;
        let (fields, position) = fields(line).ok_or(Torn::Unreadable(self.position))?;
        if position != next {
            return Err(Torn::Missing(next));
        }
        let (hash, recorded_at) = self.hash_of(&fields).ok_or(Torn::Unreadable(self.position))?;
        if fields[FIELDS - 1].strip_prefix("\\x") != Some(crate::chain::hex(&hash).as_str()) {
            return Err(Torn::Hash(next));
        }
        Ok(Self { position, hash, recorded_at })
    }

    /// The hash of the next event and the time at which it was recorded.
    fn hash_of(&self, fields: &[Cow<'_, str>]) -> Option<(Hash, DateTime<Utc>)> {
        let body = Body {
            position: self.position + 1,
            stream_type: &fields[1],
            stream_id: fields[2].parse().ok()?,
            version: fields[3].parse().ok()?,
            event_type: &fields[4],
            schema_version: fields[5].parse().ok()?,
            recorded_at: &fields[6],
            data: &fields[7],
            metadata: &fields[8],
        };
        let recorded_at = DateTime::parse_from_rfc3339(&fields[6]).ok()?;
        Some((body.hash(&self.hash), recorded_at.to_utc()))
    }
}

/// The command that recorded the event of a line, which is given without its line feed; `None` if the line does not say.
pub fn command_of(line: &[u8]) -> Option<Uuid> {
    let (fields, _) = fields(line)?;
    let metadata: Metadata = serde_json::from_str(&fields[8]).ok()?;
    Some(metadata.command_id)
}

/// The fields of a line, and its position.
fn fields(line: &[u8]) -> Option<(Vec<Cow<'_, str>>, Position)> {
    let fields: Vec<_> = line.split(|it| *it == b'\t').map(unescaped).collect::<Option<_>>()?;
    let position = fields.first()?.parse().ok()?;
    (fields.len() == FIELDS).then_some((fields, position))
}

/// The text of a field, in which `COPY` has written some characters with a backslash.
fn unescaped(field: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(field).ok()?;
    if !text.contains('\\') {
        return Some(text.into());
    }
    let (mut plain, mut letters) = (String::with_capacity(text.len()), text.chars());
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                other => other,
            },
            letter => letter,
        });
    }
    Some(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::hex;

    const AT: &str = "2026-11-23T10:00:00.000000Z";
    const ID: &str = "01920000-0000-7000-8000-000000000001";

    /// The line of an event after an end of the log, with this text as its data.
    fn line(end: &End, data: &str) -> String {
        let position = end.position + 1;
        let id = ID.parse().expect("an id");
        let (stream_type, event_type, metadata) = ("lamp", "lamp.lit", "{\"note\":\"a\\\\b\"}");
        let body = Body {
            position,
            stream_type,
            stream_id: id,
            version: 1,
            event_type,
            schema_version: 1,
            recorded_at: AT,
            data,
            metadata,
        };
        let escape = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
        let hash = hex(&body.hash(&end.hash));
        let (data, metadata) = (escape(data), escape(metadata));
        format!("{position}\t{stream_type}\t{ID}\t1\t{event_type}\t1\t{AT}\t{data}\t{metadata}\t\\\\x{hash}")
    }

    #[test]
    fn lines_that_continue_the_log_are_followed_to_its_end() {
        let first = End::NOTHING.then(line(&End::NOTHING, "{}").as_bytes()).expect("the first event");
        let second = first.then(line(&first, "{\"a\":\n\t\"\\\\\"}").as_bytes()).expect("the second event");
        assert_eq!((second.position, second.recorded_at.to_rfc3339().as_str()), (2, "2026-11-23T10:00:00+00:00"));
    }

    #[test]
    fn a_line_that_was_altered_is_missing_or_is_cut_off_is_told() {
        let first = line(&End::NOTHING, "{\"on\":true}");
        let end = End::NOTHING.then(first.as_bytes()).expect("the first event");
        let altered = first.replace("true", "null");
        assert_eq!(End::NOTHING.then(altered.as_bytes()), Err(Torn::Hash(1)));
        assert_eq!(end.then(first.as_bytes()), Err(Torn::Missing(2)));
        for cut in [&first[..first.len() / 2], "", "1", "\\"] {
            assert_eq!(End::NOTHING.then(cut.as_bytes()), Err(Torn::Unreadable(0)), "{cut}");
        }
        // The same event after another history has another hash.
        let other = End { hash: [7; 32], ..End::NOTHING };
        assert_eq!(other.then(first.as_bytes()), Err(Torn::Hash(1)));
    }
}
