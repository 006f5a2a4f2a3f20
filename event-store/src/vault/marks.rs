//! The marks of personal values in JSON.

use serde_json::{Map, Value};

use super::VaultError;

pub(super) const PERSONAL: &str = "$personal";
pub(super) const SEALED: &str = "$sealed";
pub(super) const ERASED: &str = "$erased";

/// Removes the marks of personal values for a reader: a personal value stands as itself, an erased value as null.
pub fn reveal(value: &mut Value) {
    let unmarked = match value {
        Value::Object(map) if map.len() == 1 => {
            map.remove(PERSONAL).or_else(|| map.remove(ERASED).map(|_| Value::Null))
        }
        _ => None,
    };
    match (unmarked, value) {
        (Some(unmarked), value) => *value = unmarked,
        (None, Value::Object(map)) => map.values_mut().for_each(reveal),
        (None, Value::Array(items)) => items.iter_mut().for_each(reveal),
        (None, _) => {}
    }
}

/// Whether a mark, such as `$personal`, occurs anywhere in a JSON value.
pub(super) fn holds(value: &Value, mark: &str) -> bool {
    match value {
        Value::Object(map) => map.contains_key(mark) || map.values().any(|child| holds(child, mark)),
        Value::Array(items) => items.iter().any(|item| holds(item, mark)),
        _ => false,
    }
}

/// Whether the stored text of an event holds a sealed value.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.contains("{\"$sealed\":")
}

pub(super) fn marked(mark: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(mark.to_owned(), value)]))
}

pub(super) type Replacement<'a> = &'a mut dyn FnMut(&[u8], Value) -> Result<Value, VaultError>;

/// Replaces every `{mark: value}` in a JSON value by what the function `with` makes of its place and inner value.
pub(super) fn replace(
    value: &mut Value,
    mark: &str,
    place: &mut String,
    with: Replacement<'_>,
) -> Result<(), VaultError> {
    let length = place.len();
    match value {
        Value::Object(map) => {
            if let Some(inner) = map.remove(mark) {
                *value = with(place.as_bytes(), inner)?;
                return Ok(());
            }
            for (name, child) in map {
                place.push('/');
                place.push_str(name);
                replace(child, mark, place, with)?;
                place.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter_mut().enumerate() {
                place.push('/');
                place.push_str(&index.to_string());
                replace(child, mark, place, with)?;
                place.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}
