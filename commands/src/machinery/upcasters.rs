use std::collections::HashMap;
use std::sync::LazyLock;

use hims_domain::DomainEvent;
use hims_event_store::Upcasters;

/// The upcasters, which lift stored events of older schema versions to the current form when events are read. Each
/// upcaster has a golden file of its source version, and the upcasters are listed in the order of versions.
pub fn upcasters() -> Upcasters {
    Upcasters::default()
}

/// Whether this release can read events of a type and a schema version. Events that it cannot read are of a newer one.
pub(crate) fn is_known(event_type: &str, schema_version: i32) -> bool {
    static VERSIONS: LazyLock<HashMap<&str, i32>> = LazyLock::new(|| {
        let upcasters = upcasters();
        DomainEvent::types().iter().map(|it| (*it, upcasters.current_version(it))).collect()
    });
    VERSIONS.get(event_type).is_some_and(|newest| schema_version <= *newest)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use hims_testing::{Golden, all, in_folder};
    use serde_json::{Value, json};

    use super::*;

    /// What is wrong with golden files: each version of an event type, from 1 to that of today, must have a file whose
    /// data can be read once it is lifted.
    fn faults(files: &[Golden], upcasters: &Upcasters) -> Vec<String> {
        let mut versions: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        let mut faults = Vec::new();
        for file in files {
            let (event_type, version, name) = (file.event_type.clone(), file.schema_version, file.file_name());
            versions.entry(event_type.clone()).or_default().insert(version);
            let lifted = Golden { data: upcasters.apply(&event_type, version, file.data.clone()), ..file.clone() };
            match DomainEvent::read(lifted.stream_type(), lifted.clone()) {
                Some(Ok(_)) => {}
                Some(Err(error)) => faults.push(format!("{name} is not lifted to today's form: {error}")),
                None => faults.push(format!("{name} is of no aggregate")),
            }
        }
        for (event_type, versions) in versions {
            let today = upcasters.current_version(&event_type);
            if versions != (1..=today).collect() {
                faults.push(format!("{event_type} has files of the versions {versions:?}, and is written in {today}"));
            }
        }
        faults
    }

    #[test]
    fn every_version_of_an_event_has_a_file_and_is_read_today() {
        assert_eq!(faults(all(), &upcasters()), Vec::<String>::new());
    }

    #[test]
    fn events_of_a_newer_release_are_not_known() {
        assert!(is_known("room.suspended", 1));
        assert!(!is_known("room.suspended", 2));
        assert!(!is_known("room.painted", 1));
    }

    /// Rooms once said "why" they are suspended.
    fn why_becomes_reason(mut data: Value) -> Value {
        json!({"reason": data["why"].take()})
    }

    fn write(folder: &Path, version: i32, data: &Value) {
        std::fs::write(folder.join(format!("room.suspended.v{version}.json")), data.to_string()).unwrap();
    }

    #[test]
    fn an_event_that_changed_its_form_has_files_of_both() {
        let folder = tempfile::tempdir().unwrap();
        let lifting = Upcasters::default().lift("room.suspended", why_becomes_reason);
        write(folder.path(), 2, &json!({"reason": "painted"}));
        let without_the_old = faults(&in_folder(folder.path()), &lifting);
        assert_eq!(without_the_old, ["room.suspended has files of the versions {2}, and is written in 2"]);

        write(folder.path(), 1, &json!({"why": "painted"}));
        assert_eq!(faults(&in_folder(folder.path()), &lifting), Vec::<String>::new());

        let not_lifted = faults(&in_folder(folder.path()), &Upcasters::default()).join("\n");
        assert!(not_lifted.contains("room.suspended.v1.json is not lifted to today's form"), "{not_lifted}");
        assert!(not_lifted.contains("versions {1, 2}, and is written in 1"), "{not_lifted}");

        let lifted_wrongly = Upcasters::default().lift("room.suspended", |_| json!({"cause": "painted"}));
        let unreadable = faults(&in_folder(folder.path()), &lifted_wrongly).join("\n");
        assert!(unreadable.contains("room.suspended.v1.json is not lifted"), "{unreadable}");
    }
}
