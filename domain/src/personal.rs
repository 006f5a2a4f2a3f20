use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Described, Invalid, Pointer, Shape};

/// A value that identifies a person.
///
/// In a request, a personal value is written as the plain value. In an event, it is written as `{"$personal": value}`,
/// which the event store seals with the key of the event's subject before the event is hashed and stored. Once the key
/// is destroyed, the value reads as [`Erased`].
///
/// [`Erased`]: Personal::Erased
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Personal<T> {
    /// The readable value.
    Known(T),
    /// The person was erased, or the reader has no key.
    Erased,
}

impl<T> Personal<T> {
    /// The value; `None` when the value was erased.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Erased => None,
        }
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

/// Never shows the value, since a log line must not hold a personal value.
impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known(_) => "Personal(…)",
            Self::Erased => "Erased",
        })
    }
}

impl<T: Described> Described for Personal<T> {
    const SHAPE: Shape = T::SHAPE;
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        match self {
            Self::Known(value) => value.check(at, invalid),
            Self::Erased => invalid.push(at.invalid("give the value; the mark of an erased value cannot be sent")),
        }
    }
}

/// The key under which the written form of a personal value holds the value.
pub const PERSONAL_MARK: &str = "$personal";
/// The key that stands in the written form of an erased value.
pub const ERASED_MARK: &str = "$erased";
const SEALED: &str = "$sealed";

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Known(value) => map.serialize_entry(PERSONAL_MARK, value)?,
            Self::Erased => map.serialize_entry(ERASED_MARK, &true)?,
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PersonalVisitor(PhantomData))
    }
}

struct PersonalVisitor<T>(PhantomData<T>);

macro_rules! pass_on {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<Self::Value, E> {
            T::deserialize(value.into_deserializer()).map(Personal::Known)
        }
    )*};
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for PersonalVisitor<T> {
    type Value = Personal<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    pass_on!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str), visit_string(String));

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        T::deserialize(().into_deserializer()).map(Personal::Known)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        T::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(Personal::Known)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let first: Option<String> = map.next_key()?;
        match first.as_deref() {
            Some(PERSONAL_MARK) => Ok(Personal::Known(map.next_value()?)),
            Some(ERASED_MARK | SEALED) => map.next_value::<IgnoredAny>().map(|_| Personal::Erased),
            _ => T::deserialize(MapAccessDeserializer::new(PutBack { first, map })).map(Personal::Known),
        }
    }
}

/// A serde map whose first key was already read and is read again from here.
struct PutBack<A> {
    first: Option<String>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for PutBack<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(key) => seed.deserialize(key.into_deserializer()).map(Some),
            None => self.map.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
