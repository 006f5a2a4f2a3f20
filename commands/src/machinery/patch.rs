use std::marker::PhantomData;

use hims_domain::{Described, Invalid, Pointer, Shape};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::Refused;

/// Changes to a `T`: a field that is left out stays, null empties it, everything else replaces it (RFC 7396).
#[derive(Debug, Clone)]
pub struct Patch<T> {
    changes: Map<String, Value>,
    of: PhantomData<fn() -> T>,
}

impl<T> PartialEq for Patch<T> {
    fn eq(&self, other: &Self) -> bool {
        self.changes == other.changes
    }
}

impl<T> Patch<T> {
    /// Changes to the fields that are named.
    pub fn of(changes: Map<String, Value>) -> Self {
        Self { changes, of: PhantomData }
    }
}

impl<T> Serialize for Patch<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.changes.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::of)
    }
}

impl<T: Described> Described for Patch<T> {
    const SHAPE: Shape = Shape::Patch(&T::SHAPE);
}

impl<T: Described + Serialize + DeserializeOwned> Patch<T> {
    /// The value as it is after the changes, checked.
    ///
    /// # Errors
    /// The fields that do not keep their rules.
    pub fn apply(self, to: &T) -> Result<T, Refused> {
        let not_a_value = |_| Refused::new(crate::Kind::Rule, "invalid-fields", "the changes leave no valid value");
        let mut value = serde_json::to_value(to).map_err(not_a_value)?;
        if let Value::Object(fields) = &mut value {
            fields.extend(self.changes);
        }
        let changed: T = serde_json::from_value(value).map_err(not_a_value)?;
        let mut invalid: Vec<Invalid> = Vec::new();
        changed.check(&Pointer::Root, &mut invalid);
        if invalid.is_empty() { Ok(changed) } else { Err(Refused::invalid(invalid)) }
    }
}
