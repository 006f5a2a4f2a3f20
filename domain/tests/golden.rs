//! The stored form of every event, one file per event type and schema version under `golden/`.
//!
//! A stored event is a contract: a file is never changed. To change the form of an event, give the event a new schema
//! version, a new file, and an upcaster from the old form. The tests of `commands` cover the upcasters, and with them
//! the files of older versions.

use hims_domain::{Aggregate, DomainEvent, Read as _, for_each_aggregate};
use hims_testing::{Golden, all, assert_same, event_types, written};
use serde_json::json;

/// The newest file of each event type: the form in which the event is written today.
fn newest() -> impl Iterator<Item = &'static Golden> {
    all().iter().filter(|file| {
        !all().iter().any(|it| it.event_type == file.event_type && it.schema_version > file.schema_version)
    })
}

#[test]
fn every_event_has_a_file_and_every_file_is_of_an_event() {
    assert_same(newest().map(|it| it.event_type.clone()), event_types());
}

#[test]
fn what_is_read_from_a_file_is_written_as_the_file_says() {
    for file in newest() {
        let name = file.file_name();
        macro_rules! check {
            ($aggregate:ty) => {
                if file.stream_type() == <$aggregate>::STREAM {
                    let event = file.clone().read().unwrap_or_else(|error| panic!("{name}: {error}"));
                    assert_eq!(written::<$aggregate>(&event, file.schema_version), *file, "{name}");
                }
            };
        }
        for_each_aggregate!(check);
        assert!(DomainEvent::read(file.stream_type(), file.clone()).is_some_and(|it| it.is_ok()), "{name}");
    }
}

#[test]
fn an_event_of_no_aggregate_is_not_read() {
    let rained = Golden { event_type: "weather.rained".to_owned(), schema_version: 1, data: json!({}) };
    assert!(DomainEvent::read("weather", rained).is_none());
}
