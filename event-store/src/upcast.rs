use std::collections::HashMap;

use serde_json::Value;

/// Lifts the data of an event from one schema version to the next. Pure.
pub type Upcast = fn(Value) -> Value;

/// What is needed to read events of older schema versions: for each event type, its lifts in order.
#[derive(Debug, Clone, Default)]
pub struct Upcasters(HashMap<&'static str, Vec<Upcast>>);

impl Upcasters {
    /// Adds the lift from the event type's newest version so far to the one after it.
    #[must_use]
    pub fn lift(mut self, event_type: &'static str, upcast: Upcast) -> Self {
        self.0.entry(event_type).or_default().push(upcast);
        self
    }

    /// The version in which an event type is written today, from 1.
    pub fn current_version(&self, event_type: &str) -> i32 {
        1 + self.0.get(event_type).map_or(0, |lifts| i32::try_from(lifts.len()).unwrap_or(i32::MAX - 1))
    }

    /// The data in today's form.
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
