use std::collections::HashMap;

use serde_json::Value;

/// Converts the data of an event from one schema version to the next. A pure function.
pub type Upcast = fn(Value) -> Value;

/// The functions that convert events of older schema versions to the current one, in order, for each event type.
#[derive(Debug, Clone, Default)]
pub struct Upcasters(HashMap<&'static str, Vec<Upcast>>);

impl Upcasters {
    /// Adds the conversion from the newest schema version of an event type to the next, which becomes the newest.
    #[must_use]
    pub fn lift(mut self, event_type: &'static str, upcast: Upcast) -> Self {
        self.0.entry(event_type).or_default().push(upcast);
        self
    }

    /// The schema version in which new events of a type are written, counted from 1.
    pub fn current_version(&self, event_type: &str) -> i32 {
        1 + self.0.get(event_type).map_or(0, |lifts| i32::try_from(lifts.len()).unwrap_or(i32::MAX - 1))
    }

    /// Converts the data of an event from its schema version to the current one.
    pub fn apply(&self, event_type: &str, schema_version: i32, data: Value) -> Value {
        let done = usize::try_from(schema_version - 1).unwrap_or(0);
        let lifts = self.0.get(event_type).map_or(&[][..], Vec::as_slice);
        lifts.iter().skip(done).fold(data, |data, lift| lift(data))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name_becomes_names(mut data: Value) -> Value {
        let name = data["name"].take();
        json!({ "names": [name] })
    }

    fn names_gain_a_language(mut data: Value) -> Value {
        data["language"] = json!("en");
        data
    }

    #[test]
    fn an_event_is_lifted_from_its_own_version_on() {
        let upcasters =
            Upcasters::default().lift("person.named", name_becomes_names).lift("person.named", names_gain_a_language);
        let today = json!({"names": ["Ann"], "language": "en"});
        assert_eq!(upcasters.current_version("person.named"), 3);
        assert_eq!(upcasters.current_version("person.moved"), 1);
        assert_eq!(upcasters.apply("person.named", 1, json!({"name": "Ann"})), today);
        assert_eq!(upcasters.apply("person.named", 2, json!({"names": ["Ann"]})), today);
        assert_eq!(upcasters.apply("person.named", 3, today.clone()), today);
    }
}
