use std::marker::PhantomData;

use hims_domain::{Described, ERASED_MARK, Invalid, PERSONAL_MARK, Pointer, Shape};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::Refused;

/// Changes to a `T`, as a JSON merge patch (RFC 7396): a field that is left out stays, null empties a field, any other
/// value replaces it. In a field that is a map, an entry that is left out stays too, and null removes an entry.
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
    /// Applies the changes to a value and checks the result. The changes are the whole request, or its top level.
    ///
    /// # Errors
    /// The fields of the result that break their rules.
    pub fn apply(self, to: &T) -> Result<T, Refused> {
        self.apply_at(to, &Pointer::Root)
    }

    /// Like [`apply`](Self::apply), for changes that stand at a place in the request, which errors name.
    ///
    /// # Errors
    /// The fields of the result that break their rules.
    pub fn apply_at(self, to: &T, at: &Pointer<'_>) -> Result<T, Refused> {
        let detail = "after the changes a required field would be empty, or a field would be of the wrong type";
        let not_a_value = |_| Refused::new(crate::Kind::Rule, "invalid-fields", detail);
        let mut value = serde_json::to_value(to).map_err(not_a_value)?;
        if let Value::Object(fields) = &mut value {
            for (name, change) in self.changes {
                merge(fields.entry(name).or_insert(Value::Null), change);
            }
        }
        let changed: T = serde_json::from_value(value).map_err(not_a_value)?;
        let mut invalid: Vec<Invalid> = Vec::new();
        changed.check(at, &mut invalid);
        if invalid.is_empty() { Ok(changed) } else { Err(Refused::invalid(invalid)) }
    }
}

/// Changes the stored value of a field. A map is merged entry by entry, anything else is replaced.
fn merge(value: &mut Value, change: Value) {
    let map = match value {
        Value::Object(map) if map.contains_key(PERSONAL_MARK) => {
            map.get_mut(PERSONAL_MARK).and_then(Value::as_object_mut)
        }
        Value::Object(map) if !map.contains_key(ERASED_MARK) => Some(map),
        _ => None,
    };
    match (map, change) {
        (Some(map), Value::Object(entries)) => {
            for (key, entry) in entries {
                if entry.is_null() {
                    map.remove(&key);
                } else {
                    map.insert(key, entry);
                }
            }
        }
        (None, Value::Object(mut entries)) => {
            entries.retain(|_, entry| !entry.is_null());
            *value = Value::Object(entries);
        }
        (_, change) => *value = change,
    }
}
