use std::path::Path;
use std::sync::LazyLock;

use hims_domain::{Aggregate, Read};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::patched;

/// An event as its golden file, `<event type>.v<schema version>.json`, holds it: the stored data, before personal
/// values are sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    /// The event type, such as `patient.registered`.
    pub event_type: String,
    /// The version of the event type's form.
    pub schema_version: i32,
    /// The stored data of the event, before personal values are sealed.
    pub data: Value,
}

impl Golden {
    /// The stream type: the first half of the event type.
    pub fn stream_type(&self) -> &str {
        self.event_type.split_once('.').map_or("", |(stream_type, _)| stream_type)
    }

    /// The name of the event within its stream type: the second half of the event type.
    fn name(&self) -> &str {
        self.event_type.split_once('.').map_or("", |(_, name)| name)
    }

    /// The name of the golden file.
    pub fn file_name(&self) -> String {
        format!("{}.v{}.json", self.event_type, self.schema_version)
    }
}

impl Read for Golden {
    type Error = serde_json::Error;

    fn read<E: DeserializeOwned>(self) -> Result<E, serde_json::Error> {
        let name = self.name();
        serde_json::from_value(if self.data == json!({}) { json!(name) } else { json!({name: self.data}) })
    }
}

/// The golden files of the product, in the order of event types and versions.
///
/// # Panics
/// When a golden file cannot be read.
pub fn all() -> &'static [Golden] {
    static ALL: LazyLock<Vec<Golden>> =
        LazyLock::new(|| in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/tests/golden")));
    &ALL
}

/// The golden files of a folder, in the order of event types and versions.
///
/// # Panics
/// When a file cannot be read, or is not named `<event type>.v<schema version>.json`.
pub fn in_folder(folder: &Path) -> Vec<Golden> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        let (event_type, version) = name.strip_suffix(".json")?.rsplit_once(".v")?;
        let text = std::fs::read_to_string(path).ok()?;
        Some(Golden {
            event_type: event_type.to_owned(),
            schema_version: version.parse().ok()?,
            data: serde_json::from_str(&text).ok()?,
        })
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path())
        .map(|path| read(&path).unwrap_or_else(|| panic!("{} is no golden file", path.display())))
        .collect();
    files.sort_by(|one, other| (&one.event_type, one.schema_version).cmp(&(&other.event_type, other.schema_version)));
    files
}

/// The data of the newest golden file of an aggregate's event, with each personal value as in a request: `"x"` instead
/// of `{"$personal": "x"}`.
///
/// # Panics
/// When there is no such file.
#[track_caller]
pub fn fields<A: Aggregate>(name: &str) -> Value {
    bare(newest::<A>(name).data)
}

/// Replaces every `{"$personal": "x"}` by `"x"`.
fn bare(value: Value) -> Value {
    match value {
        Value::Object(mut members) => match members.remove("$personal") {
            Some(personal) => personal,
            None => members.into_iter().map(|(name, member)| (name, bare(member))).collect(),
        },
        Value::Array(items) => items.into_iter().map(bare).collect(),
        other => other,
    }
}

/// The event in the newest golden file of an aggregate's event, such as `sample::<Patient>("registered")`.
///
/// # Panics
/// When there is no such file, or the file cannot be read as the event.
#[track_caller]
pub fn sample<A: Aggregate>(name: &str) -> A::Event {
    sample_with::<A>(name, json!({}))
}

/// As [`sample`], with some fields changed by a [JSON merge patch](patched).
///
/// # Panics
/// When there is no such file, or the changed data cannot be read as the event.
#[track_caller]
pub fn sample_with<A: Aggregate>(name: &str, changes: Value) -> A::Event {
    let golden = newest::<A>(name);
    let file_name = golden.file_name();
    let changed = Golden { data: patched(golden.data, changes), ..golden };
    changed.read().unwrap_or_else(|error| panic!("{file_name}: {error}"))
}

#[track_caller]
fn newest<A: Aggregate>(name: &str) -> Golden {
    let event_type = format!("{}.{name}", A::STREAM);
    let newest = all().iter().rfind(|golden| golden.event_type == event_type);
    newest.unwrap_or_else(|| panic!("there is no golden file of {event_type}")).clone()
}

/// The stored form of an event, before personal values are sealed.
///
/// # Panics
/// When the event is not serialised as an externally tagged enum.
pub fn written<A: Aggregate>(event: &A::Event, schema_version: i32) -> Golden {
    let (name, data) = match serde_json::to_value(event) {
        Ok(Value::String(name)) => (name, json!({})),
        Ok(Value::Object(variant)) if variant.len() == 1 => variant.into_iter().next().unwrap_or_default(),
        other => panic!("an event is an externally tagged enum: {other:?}"),
    };
    Golden { event_type: format!("{}.{name}", A::STREAM), schema_version, data }
}
