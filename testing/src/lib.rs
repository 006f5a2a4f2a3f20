//! What the tests of several crates share. Only ever a dev-dependency.
//!
//! The golden files under `domain/tests/golden` are the stored form of every event, one file per event type and schema
//! version. All tests take their sample events from the golden files, so that no event is written down twice.

mod golden;
mod same;
mod sources;
mod variants;

pub use golden::{Golden, all, fields, in_folder, sample, sample_with, written};
pub use same::{assert_same, assert_same_order};
pub use sources::rust_files;
pub use variants::{event_types, variants};

use serde_json::Value;

/// The value after a JSON merge patch (RFC 7396): `null` removes a member, objects are merged, all else replaces.
pub fn patched(mut value: Value, patch: Value) -> Value {
    let Value::Object(changes) = patch else { return patch };
    if !value.is_object() {
        value = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(members) = &mut value {
        for (name, change) in changes {
            if change.is_null() {
                members.remove(&name);
            } else {
                let member = members.remove(&name).unwrap_or_default();
                members.insert(name, patched(member, change));
            }
        }
    }
    value
}

/// The members of an object that have these names.
///
/// # Panics
/// When the object has no member of a name.
#[track_caller]
pub fn only<const N: usize>(object: &Value, names: [&str; N]) -> Value {
    let member = |name: &str| match object.get(name) {
        Some(value) => (name.to_owned(), value.clone()),
        None => panic!("there is no {name} in {object}"),
    };
    names.map(member).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn a_patch_merges_as_the_rfc_says() {
        for (value, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(patched(value.clone(), patch.clone()), merged, "{value} with {patch}");
        }
    }

    #[test]
    fn some_members_of_an_object_are_picked() {
        assert_eq!(only(&json!({"a": 1, "b": 2, "c": 3}), ["c", "a"]), json!({"a": 1, "c": 3}));
    }
}
