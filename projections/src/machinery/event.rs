use chrono::{DateTime, Utc};
pub(crate) use hims_domain::derived_row as derived_id;
use hims_domain::{DomainEvent, Read};
use hims_event_store::{Actor, Metadata, Opened, Position, StoreError, Vault};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::machinery::stamps::Stamps;

/// The database schema of the living read tables.
pub const READ_SCHEMA: &str = "hims";
/// The schema in which a rebuild makes the tables that take the place of the living ones.
pub const REBUILD_SCHEMA: &str = "hims_rebuild";

/// An event as a `project` function gets it.
pub(crate) struct Projected<'a, E> {
    /// The content of the event.
    pub(crate) data: &'a E,
    /// The position of the event in the log.
    pub(crate) position: Position,
    /// The stream of the event.
    pub(crate) stream_id: Uuid,
    /// The version of the stream after the event.
    pub(crate) version: i32,
    /// When the event was recorded.
    pub(crate) recorded_at: DateTime<Utc>,
    /// The circumstances of the event, such as the user and the session.
    pub(crate) metadata: &'a Metadata,
    /// The event as it is stored.
    pub(crate) stored: &'a Opened,
    /// The vault, which blinds personal values so that rows can be found by equality.
    pub(crate) vault: &'a Vault,
}

impl<'a, E> Projected<'a, E> {
    /// The same event with another content.
    pub(crate) fn with<F>(&self, data: &'a F) -> Projected<'a, F> {
        Projected {
            data,
            position: self.position,
            stream_id: self.stream_id,
            version: self.version,
            recorded_at: self.recorded_at,
            metadata: self.metadata,
            stored: self.stored,
            vault: self.vault,
        }
    }

    /// The user who caused the event; `None` if a part of the system did.
    pub(crate) fn user_id(&self) -> Option<Uuid> {
        match self.metadata.actor {
            Actor::User { id } => Some(id),
            Actor::System { .. } => None,
        }
    }

    /// The stamps of a row that this event creates.
    pub(crate) fn stamps(&self) -> Stamps {
        Stamps::new(self.version, self.recorded_at, self.user_id())
    }
}

/// An event of a stream type that this program knows, decoded once for all tables.
pub(crate) struct Decoded {
    pub(crate) event: DomainEvent,
    pub(crate) metadata: Metadata,
    pub(crate) opened: Opened,
}

struct Stored<'a>(&'a Opened);

impl Read for Stored<'_> {
    type Error = StoreError;
    fn read<E: DeserializeOwned>(self) -> Result<E, StoreError> {
        self.0.decode()
    }
}

impl Decoded {
    /// Decodes an event. An event that cannot be decoded is returned with the reason.
    pub(crate) fn read(opened: Opened) -> Result<Self, Box<(Opened, String)>> {
        let metadata = opened.recorded.circumstances();
        let event = DomainEvent::read(&opened.recorded.stream_type, Stored(&opened));
        match (event, metadata) {
            (Some(Ok(event)), Ok(metadata)) => Ok(Self { event, metadata, opened }),
            (Some(Err(error)), _) | (_, Err(error)) => Err(Box::new((opened, error.to_string()))),
            (None, _) => Err(Box::new((opened, "this program does not know the stream type".to_owned()))),
        }
    }
}
