use std::collections::BTreeSet;

use hims_domain::{AllergyId, DomainEvent, PatientId};
use uuid::Uuid;

use super::*;
use crate::Registry;
use crate::consultation::RecordFindings;
use crate::prescription::DispensePrescription;

/// Collects the stream types of all ids in a shape, and whether each id identifies a part of the aggregate.
fn ids(shape: &Shape, found: &mut BTreeSet<(&'static str, bool)>) {
    match shape {
        Shape::Id { stream, part } => drop(found.insert((stream, !part.is_empty()))),
        Shape::List(of) | Shape::Map(of) | Shape::Optional(of) | Shape::Patch(of) => ids(of, found),
        Shape::Object(fields) => fields.iter().for_each(|field| ids(&field.shape, found)),
        Shape::Boolean
        | Shape::Integer
        | Shape::Decimal
        | Shape::Date
        | Shape::PartialDate
        | Shape::Timestamp
        | Shape::Text { .. }
        | Shape::Secret { .. }
        | Shape::OneOf { .. }
        | Shape::Json => {}
    }
}

/// The streams whose id is derived from that of another stream, with the type of the other: a command names the
/// other.
const DERIVED: [(&str, &str); 5] = [
    ("medication_list", "patient"),
    ("notification_preferences", "patient"),
    ("password_reset", "user"),
    ("provider_schedule", "user"),
    ("inventory_level", "inventory_item"),
];

/// The commands whose stream has an id that is derived from values of the request, which are no ids.
const DERIVED_FROM_VALUES: [&str; 3] = ["set-price", "set-local-interaction", "remove-local-interaction"];

#[test]
fn every_id_of_a_command_names_an_aggregate_and_one_of_them_its_own() {
    let commands = Registry::hospital();
    for command in commands.iter().filter(|it| !DERIVED_FROM_VALUES.contains(&it.name)) {
        let mut found = BTreeSet::new();
        ids(&command.shape, &mut found);
        let derived = DERIVED.iter().find(|it| it.0 == command.stream_type);
        let named = derived.map_or(command.stream_type, |it| it.1);
        assert!(found.contains(&(named, false)), "{} does not name its stream", command.name);
        for (stream, _) in found {
            assert!(DomainEvent::STREAMS.contains(&stream), "{}: {stream} is no stream type", command.name);
        }
    }
}

#[test]
fn a_decimal_is_written_in_digits() {
    for right in [json!("12"), json!("-0.50"), json!("007"), json!(1.5), json!(3)] {
        assert_eq!(check(&Shape::Decimal, &right), Ok(()), "{right}");
    }
    for wrong in ["1e5", "1E-3", "1_000", "+5", ".5", "5.", "", "-", " 5", "٣", "1,5", "0x1f", "1.2.3", "--1"] {
        assert!(check(&Shape::Decimal, &json!(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn null_removes_an_entry_of_a_map_that_is_changed() {
    let of = |systems: Value| {
        check(&RecordFindings::SHAPE, &json!({"consultation_id": Uuid::from_u128(1), "review_of_systems": systems}))
    };
    assert_eq!(of(json!({"heart": null, "lungs": "clear"})), Ok(()));
    assert_eq!(of(json!(null)), Ok(()));
    for wrong in [json!({"heart": 1}), json!("clear")] {
        assert!(matches!(of(wrong), Err(Malformed::Form(found)) if found.len() == 1));
    }
    let schema = &json_schema(&RecordFindings::SHAPE)["properties"]["review_of_systems"]["anyOf"][0];
    assert_eq!(schema["additionalProperties"]["anyOf"][1], json!({"type": "null"}));
}

/// Every list of a request that may be left out, as a pointer with 0 for the place in a list.
fn optional_lists(shape: &Shape, at: &str, found: &mut Vec<String>) {
    match shape {
        Shape::List(of) => optional_lists(of, &format!("{at}/0"), found),
        Shape::Optional(of) => optional_lists(of, at, found),
        Shape::Object(_) => {
            for (field, presence) in fields(shape, false) {
                let place = format!("{at}/{}", field.name);
                if presence == Presence::Optional && list_of(&field.shape).is_some() {
                    found.push(place.clone());
                }
                optional_lists(&field.shape, &place, found);
            }
        }
        _ => {}
    }
}

/// A value with null at a pointer.
fn null_at(pointer: &str) -> Value {
    pointer.rsplit('/').filter(|it| !it.is_empty()).fold(Value::Null, |value, name| match name {
        "0" => json!([value]),
        name => json!({ name: value }),
    })
}

#[test]
fn null_is_no_list_that_was_left_out() {
    let mut all = 0;
    for command in Registry::hospital().iter() {
        let mut found = Vec::new();
        optional_lists(&command.shape, "", &mut found);
        all += found.len();
        for pointer in found {
            let Err(Malformed::Form(errors)) = check(&command.shape, &null_at(&pointer)) else {
                panic!("{}: null is taken at {pointer}", command.name)
            };
            assert!(errors.iter().any(|it| it.pointer == pointer), "{}: {errors:?}", command.name);
        }
    }
    assert!(all > 0, "at least the items to dispense may be left out");
    let schema = &json_schema(&DispensePrescription::SHAPE)["properties"]["items"];
    assert_eq!(schema["type"], "array", "the schema says so too: {schema}");
}

#[test]
fn an_id_says_whose_it_is() {
    let uuid = json!({"type": "string", "format": "uuid", "x-hims-aggregate": "patient"});
    assert_eq!(json_schema(&PatientId::SHAPE), uuid);
    let mut of_part = uuid;
    of_part["x-hims-part"] = json!("allergy");
    assert_eq!(json_schema(&AllergyId::SHAPE), of_part);
}
