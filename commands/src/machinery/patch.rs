use std::marker::PhantomData;

use hims_domain::{Described, Invalid, Pointer, Shape};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::Refused;

/// Changes to a `T`: a field that is left out stays, null empties a field, any other value replaces it (RFC 7396).
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
    /// Whether the changes say something about a field.
    pub fn mentions(&self, field: &str) -> bool {
        self.changes.contains_key(field)
    }

    /// Changes to exactly the named fields.
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
    /// Applies the changes to a value and checks the result.
    ///
    /// # Errors
    /// The fields of the result that break their rules.
    pub fn apply(self, to: &T) -> Result<T, Refused> {
        let detail = "after the changes a required field would be empty, or a field would be of the wrong type";
        let not_a_value = |_| Refused::new(crate::Kind::Rule, "invalid-fields", detail);
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
