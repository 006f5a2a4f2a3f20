use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use crate::chain::{self, Hash};
use crate::vault::SubjectKey;
use crate::{Metadata, StoreError, Subject};

/// The place of an event in the log, counted from 1; 0 stands for the beginning, before the first event.
pub type Position = i64;

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The place of the event in the log, counted from 1.
    pub position: Position,
    /// The type of the stream, such as `appointment`.
    pub stream_type: String,
    /// The stream.
    pub stream_id: Uuid,
    /// The place of the event in the stream, counted from 1.
    pub version: i32,
    /// The type of the event, such as `appointment.scheduled`.
    pub event_type: String,
    /// The version of the form of the event's data.
    pub schema_version: i32,
    /// When the event was recorded; never earlier than the event at the previous position.
    pub recorded_at: DateTime<Utc>,
    /// The content of the event as the stored JSON text, with personal values sealed.
    pub data: String,
    /// The circumstances of the event as the stored JSON text.
    pub metadata: String,
    /// The hash of the event, which also covers the hash of the previous event.
    pub hash: Hash,
}

impl Recorded {
    /// The hash that the event must have if the hash of the previous event is `previous`.
    pub fn expected_hash(&self, previous: &Hash) -> Hash {
        chain::Body {
            position: self.position,
            stream_type: &self.stream_type,
            stream_id: self.stream_id,
            version: self.version,
            event_type: &self.event_type,
            schema_version: self.schema_version,
            recorded_at: &chain::timestamp(self.recorded_at),
            data: &self.data,
            metadata: &self.metadata,
        }
        .hash(previous)
    }

    /// The circumstances of the event.
    ///
    /// # Errors
    /// When the stored text cannot be read as metadata.
    pub fn circumstances(&self) -> Result<Metadata, StoreError> {
        serde_json::from_str(&self.metadata).map_err(|error| self.unreadable(&error))
    }

    /// The person whose personal values the event holds. Reads only that field of the metadata.
    pub(crate) fn subject_id(&self) -> Option<Uuid> {
        #[derive(Deserialize)]
        struct Subjects {
            subject: Option<Subject>,
        }
        serde_json::from_str::<Subjects>(&self.metadata).ok()?.subject.map(|it| it.id)
    }

    pub(crate) fn unreadable(&self, error: &serde_json::Error) -> StoreError {
        // Tells only the category and the place of the error, since serde's message may quote a personal value.
        StoreError::Unreadable {
            position: self.position,
            event_type: self.event_type.clone(),
            reason: format!("{:?} error in column {}", error.classify(), error.column()),
        }
    }
}

/// A recorded event in the current schema version, with its personal values readable unless their key was destroyed.
#[derive(Clone)]
pub struct Opened {
    /// The event as it is stored.
    pub recorded: Recorded,
    /// The content of the event; `None` when the stored text can be read as it is.
    pub(crate) data: Option<Value>,
    /// The key of the event's subject, if the event holds sealed values and the key exists.
    pub(crate) key: SubjectKey,
}

impl PartialEq for Opened {
    fn eq(&self, other: &Self) -> bool {
        (&self.recorded, &self.data) == (&other.recorded, &other.data)
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("recorded", &self.recorded).finish_non_exhaustive()
    }
}

impl Opened {
    /// The content of the event, with personal values as `{"$personal": value}`.
    ///
    /// # Errors
    /// When the stored text is not JSON.
    pub fn data(&self) -> Result<Value, StoreError> {
        match &self.data {
            Some(value) => Ok(value.clone()),
            None => serde_json::from_str(&self.recorded.data).map_err(|error| self.recorded.unreadable(&error)),
        }
    }

    /// Seals a value for a column of a read table with the key of the event's subject. Equal values give equal texts,
    /// so that a rebuild writes the same row. `None` when the subject has no key.
    pub fn seal_column(&self, column: &str, value: &str) -> Option<String> {
        crate::vault::seal_column(self.key.as_deref()?, column, value)
    }

    /// Reads the event as a variant of the stream's event enum.
    ///
    /// # Errors
    /// When the enum has no variant of this name, or the variant has another form.
    pub fn decode<E: DeserializeOwned>(&self) -> Result<E, StoreError> {
        let recorded = &self.recorded;
        let name = recorded.event_type.rsplit('.').next().unwrap_or_default();
        if let Some(value) = &self.data {
            E::deserialize(Variant { name, content: value })
        } else {
            let mut content = serde_json::Deserializer::from_str(&recorded.data);
            E::deserialize(Variant { name, content: &mut content })
        }
        .map_err(|error| recorded.unreadable(&error))
    }
}

/// A serde deserializer for an enum whose variant name and content are stored in different columns.
struct Variant<'a, D> {
    name: &'a str,
    content: D,
}

impl<'de, D: Deserializer<'de, Error = serde_json::Error>> Deserializer<'de> for Variant<'_, D> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, D: Deserializer<'de, Error = serde_json::Error>> EnumAccess<'de> for Variant<'_, D> {
    type Error = serde_json::Error;
    type Variant = Content<D>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<D>), Self::Error> {
        let name: serde::de::value::StrDeserializer<'_, Self::Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

struct Content<D>(D);

impl<'de, D: Deserializer<'de, Error = serde_json::Error>> VariantAccess<'de> for Content<D> {
    type Error = serde_json::Error;

    fn unit_variant(self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Self::Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_map(visitor)
    }
}
