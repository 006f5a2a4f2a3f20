//! The stored form of every event, one file per event type and schema version under `golden/`.
//!
//! A stored event is a contract: a file is never changed. An event that is to look otherwise gets a new schema version,
//! a new file, and a lift from the old one. A file that is missing is written, and the test fails until it is looked at
//! and committed.
#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use hims_domain::{Aggregate, DomainEvent, Personal, Read, values::Text};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

/// Declares one sample for each variant of an aggregate's event. A variant without a sample does not compile.
macro_rules! golden {
    ($($module:ident: $aggregate:ident { $($variant:pat => $sample:expr),* $(,)? })*) => {
        $(
            #[test]
            fn $module() {
                use hims_domain::$module::*;
                let missing: Vec<String> = [$($sample),*]
                    .iter()
                    .filter_map(|event| missing_or_kept::<$aggregate>(event, DomainEvent::$aggregate))
                    .collect();
                assert!(missing.is_empty(), "these were not there; look at them and commit them: {missing:?}");
            }
        )*

        /// Every event type that has a sample.
        fn event_types() -> BTreeSet<String> {
            let mut types = BTreeSet::new();
            $({
                use hims_domain::$module::*;
                let is_listed = |event: &Event| match event { $($variant => true),* };
                $({
                    let sample: Event = $sample;
                    assert!(is_listed(&sample) && matches!(&sample, $variant), "{sample:?} is of another variant");
                    types.insert(stored::<$aggregate>(&sample).0);
                })*
            })*
            types
        }
    };
}

/// The event's type and what is stored of it, before what is personal is sealed.
fn stored<A: Aggregate>(event: &A::Event) -> (String, Value) {
    let (name, data) = match serde_json::to_value(event).unwrap() {
        Value::String(name) => (name, json!({})),
        Value::Object(variant) => variant.into_iter().next().unwrap(),
        other => panic!("an event is an externally tagged enum: {other}"),
    };
    (format!("{}.{name}", A::STREAM), data)
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// An event as its file holds it.
struct Golden {
    name: String,
    data: Value,
}

impl Read for Golden {
    type Error = serde_json::Error;

    fn read<E: DeserializeOwned>(self) -> Result<E, serde_json::Error> {
        let Self { name, data } = self;
        if data == json!({}) {
            serde_json::from_value(json!(name))
        } else {
            serde_json::from_value(json!({ name: data }))
        }
    }
}

/// The event is written as its file says, and is read from it; unless the file is missing.
fn missing_or_kept<A: Aggregate>(event: &A::Event, of_domain: fn(A::Event) -> DomainEvent) -> Option<String> {
    let (event_type, data) = stored::<A>(event);
    let path = folder().join(format!("{event_type}.v1.json"));
    if !path.exists() {
        std::fs::write(&path, format!("{data:#}\n")).unwrap();
        return Some(event_type);
    }
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(data, golden, "{event_type} is no longer written as it is stored");
    let name = event_type.split_once('.').unwrap().1.to_owned();
    let read = DomainEvent::read(A::STREAM, Golden { name, data: golden });
    assert_eq!(read.unwrap().unwrap(), of_domain(event.clone()), "{event_type} is no longer read as it was written");
    None
}

#[test]
fn every_file_is_of_an_event_and_every_event_has_a_file() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .map(|it| it.strip_suffix(".v1.json").unwrap_or(&it).to_owned())
        .collect();
    assert_eq!(files, event_types());
}

#[test]
fn every_aggregate_has_samples() {
    let streams: BTreeSet<String> = event_types().iter().map(|it| it.split_once('.').unwrap().0.to_owned()).collect();
    assert_eq!(streams, DomainEvent::STREAMS.iter().map(|it| (*it).to_owned()).collect());
}

#[test]
fn an_event_of_no_aggregate_is_not_read() {
    assert!(DomainEvent::read("weather", Golden { name: "rained".to_owned(), data: json!({}) }).is_none());
}

fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn said<const MAX: usize>(text: &str) -> Personal<Text<MAX>> {
    Personal::Known(text.into())
}

/// A value with many fields, written as it arrives in a request.
fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn number(text: &str) -> rust_decimal::Decimal {
    text.parse().unwrap()
}

fn demographics() -> Value {
    json!({
        "first_name": "Ann", "last_name": "Bell", "middle_name": "Clara", "date_of_birth": "1980-05-17",
        "gender": "female", "ssn": "999-12-3456", "email": "ann@example.org", "phone_primary": "+15554153084",
        "phone_secondary": "+15554153085", "address_line_1": "1 Main Street", "address_line_2": "Apartment 2",
        "city": "Springfield", "state": "MA", "postal_code": "01101", "country": "US", "marital_status": "married",
        "occupation": "baker", "emergency_contact_name": "Boris Bell", "emergency_contact_relationship": "husband",
        "emergency_contact_phone": "+15554153086", "preferred_language": "en", "ethnicity": "nonhispanic",
        "race": "white", "blood_type": "0+", "organ_donor": true, "advance_directive": false,
    })
}

fn identifier() -> Value {
    json!({"system": "urn:oid:2.16.840.1.113883.4.3.25", "value": "S99912345", "type_code": "DL"})
}

fn allergy() -> Value {
    json!({
        "allergen_type": "drug", "allergen_name": "Penicillin", "severity": "life_threatening",
        "reaction_description": "anaphylaxis", "onset_date": "1999-03-01", "reported_by": id::<Uuid>(2),
    })
}

fn profile() -> Value {
    json!({
        "first_name": "Rosa", "last_name": "Diaz", "phone": "+15554153084", "avatar_url": "https://example.org/rosa.png",
    })
}

fn permissions() -> Value {
    json!({"create": ["vital_signs"], "read": ["staff"], "update": ["own_profile"], "delete": ["records"]})
}

fn department_details() -> Value {
    json!({
        "code": "CARD", "name": "Cardiology", "description": "Hearts", "parent_id": id::<Uuid>(1),
        "time_zone": "America/New_York", "phone": "+15554153084", "head_user_id": id::<Uuid>(2),
    })
}

fn room_details() -> Value {
    json!({
        "department_id": id::<Uuid>(1), "room_number": "101", "name": "Blue room", "room_type": "exam", "capacity": 2,
    })
}

fn product() -> Value {
    json!({
        "name": "Oxycodone 5 mg tablet", "generic_name": "oxycodone", "brand_name": "Roxicodone", "strength": "5 mg",
        "form": "tablet", "route": "oral", "drug_class": "opioid", "controlled_substance": true, "dea_schedule": "II",
        "requires_prescription": true, "rxnorm_code": "1049621", "ingredients": ["7804"],
    })
}

fn findings() -> Value {
    json!({
        "chief_complaint": "cough", "history_of_present_illness": "for a week",
        "review_of_systems": {"lungs": "wheezing"}, "physical_examination": {"chest": "clear"},
        "assessment": "bronchitis", "plan": "rest",
    })
}

fn measurements() -> Value {
    json!({
        "blood_pressure_systolic": "120", "blood_pressure_diastolic": "80", "heart_rate": "72", "respiratory_rate": "16",
        "temperature": "98.6", "temperature_unit": "F", "oxygen_saturation": "97", "oxygen_supplement": true,
        "oxygen_flow_rate": "2.5", "weight_kg": "70.25", "height_cm": "175", "pain_scale": "2", "notes": "after a walk",
    })
}

golden! {
    access: Access {
        Event::CommandRefused { .. } => Event::CommandRefused {
            command: "schedule-appointment".to_owned(),
            code: "double-booking".to_owned(),
            stream_type: "appointment".to_owned(),
            stream_id: id(9),
        },
        Event::LoginFailed { .. } => Event::LoginFailed { user_id: Some(id(2)), code: "wrong-password".to_owned() },
    }
    role: Role {
        Event::Defined { .. } => Event::Defined {
            definition: from(json!({
                "name": "nurse", "display_name": "Nurse", "description": "Clinical support staff",
                "permissions": permissions(),
            })),
            is_system_role: true,
        },
        Event::PermissionsChanged { .. } => Event::PermissionsChanged { permissions: from(permissions()) },
        Event::WordsOffered { .. } => Event::WordsOffered {
            words: from(json!({"create": ["vital_signs"]})),
            permissions: from(json!({"create": ["vital_signs"], "read": ["assigned_patients"]})),
        },
    }
    user: User {
        Event::Created(_) => Event::Created(from(json!({
            "email": "rosa@example.org", "profile": profile(), "role_id": id::<Uuid>(1),
            "additional_role_ids": [id::<Uuid>(2)], "department_id": id::<Uuid>(3),
            "password_hash": "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "must_change_password": true,
        }))),
        Event::ProfileChanged(_) => Event::ProfileChanged(from(profile())),
        Event::RoleChanged { .. } => Event::RoleChanged { role_id: id(1), additional_role_ids: [id(2)].into() },
        Event::DepartmentChanged { .. } => Event::DepartmentChanged { department_id: Some(id(3)) },
        Event::Deactivated => Event::Deactivated,
        Event::Reactivated => Event::Reactivated,
        Event::PasswordChanged { .. } => Event::PasswordChanged {
            password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned().into(),
            must_change_password: false,
        },
        Event::LinkedToPatient { .. } => Event::LinkedToPatient { patient_id: id(4) },
    }
    session: Session {
        Event::Started { .. } => Event::Started {
            user_id: id(2),
            token_hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
            idle_expires_at: at("2026-11-23T10:30:00Z"),
            absolute_expires_at: at("2026-11-23T22:00:00Z"),
        },
        Event::Renewed { .. } => Event::Renewed { idle_expires_at: at("2026-11-23T10:40:00.123456Z") },
        Event::Ended { .. } => Event::Ended { reason: EndReason::PasswordChange },
    }
    department: Department {
        Event::Opened(_) => Event::Opened(from(department_details())),
        Event::Changed(_) => Event::Changed(from(department_details())),
        Event::Closed => Event::Closed,
    }
    room: Room {
        Event::Added(_) => Event::Added(from(room_details())),
        Event::Changed(_) => Event::Changed(from(room_details())),
        Event::Suspended { .. } => Event::Suspended { reason: "painted".into() },
        Event::Reactivated => Event::Reactivated,
    }
    patient: Patient {
        Event::Registered { .. } => Event::Registered {
            mrn: hims_domain::values::Mrn::issue(1).into(),
            demographics: Box::new(from(demographics())),
            identifiers: vec![from(identifier())],
        },
        Event::DemographicsChanged(_) => Event::DemographicsChanged(from(demographics())),
        Event::IdentifierAdded(_) => Event::IdentifierAdded(from(identifier())),
        Event::AllergyRecorded { .. } => Event::AllergyRecorded { allergy_id: id(5), allergy: from(allergy()) },
        Event::AllergyChanged { .. } => Event::AllergyChanged { allergy_id: id(5), allergy: from(allergy()) },
        Event::AllergyRetired { .. } => Event::AllergyRetired { allergy_id: id(5), reason: said("tested") },
    }
    appointment: Appointment {
        Event::Scheduled(_) => Event::Scheduled(from(json!({
            "patient_id": id::<Uuid>(1), "provider_id": id::<Uuid>(2), "department_id": id::<Uuid>(3),
            "room_id": id::<Uuid>(4), "appointment_type": "follow_up",
            "slot": {"starts_at": "2026-11-23T12:00:00Z", "duration_minutes": 30}, "time_zone": "America/New_York",
            "priority": "urgent", "reason_for_visit": "cough", "special_instructions": "no breakfast",
            "insurance_verified": true,
        }))),
        Event::Rescheduled { .. } => Event::Rescheduled {
            slot: Slot { starts_at: at("2026-11-23T15:00:00Z"), duration_minutes: 45 },
            provider_id: id(2),
            room_id: Some(id(4)),
            department_id: Some(id(3)),
            time_zone: "America/New_York".into(),
        },
        Event::Confirmed => Event::Confirmed,
        Event::CheckedIn => Event::CheckedIn,
        Event::Started => Event::Started,
        Event::Completed => Event::Completed,
        Event::Cancelled { .. } => Event::Cancelled { reason: said("ill") },
        Event::MarkedNoShow => Event::MarkedNoShow,
    }
    consultation: Consultation {
        Event::Started(_) => Event::Started(from(json!({
            "patient_id": id::<Uuid>(1), "provider_id": id::<Uuid>(2), "appointment_id": id::<Uuid>(9),
            "consultation_type": "standard", "workflow_type": "adaptive", "chief_complaint": "cough",
            "started_at": "2026-11-23T12:01:00Z",
        }))),
        Event::FindingsRecorded(_) => Event::FindingsRecorded(from(findings())),
        Event::Completed { .. } => Event::Completed {
            completed_at: at("2026-11-23T12:26:00Z"),
            total_duration_minutes: 25,
        },
        Event::Cancelled { .. } => Event::Cancelled { reason: said("fire alarm") },
    }
    vital_signs: VitalSigns {
        Event::Recorded(_) => Event::Recorded(from(json!({
            "patient_id": id::<Uuid>(1), "consultation_id": id::<Uuid>(10), "recorded_by": id::<Uuid>(2),
            "recorded_at": "2026-11-23T12:05:00Z", "measurements": measurements(), "extreme": ["heart_rate"],
            "corrects": id::<Uuid>(30),
        }))),
        Event::MarkedEnteredInError { .. } => Event::MarkedEnteredInError {
            reason: said("wrong patient"),
            corrected_by: Some(id(31)),
        },
    }
    medication: Medication {
        Event::Added(_) => Event::Added(from(product())),
        Event::Changed(_) => Event::Changed(from(product())),
        Event::Deactivated => Event::Deactivated,
        Event::Reactivated => Event::Reactivated,
    }
    medication_lot: MedicationLot {
        Event::Received(_) => Event::Received(from(json!({
            "medication_id": id::<Uuid>(11), "location_id": id::<Uuid>(7), "lot_number": "L-1",
            "expiry_date": "2026-12-31", "quantity": "20", "unit": "tablet", "unit_cost": "0.1250",
            "reorder_level": "5",
        }))),
        Event::Adjusted { .. } => Event::Adjusted { change: number("-1.5"), reason: "counted".into() },
        Event::Quarantined { .. } => Event::Quarantined { reason: "warm".into() },
        Event::Released => Event::Released,
        Event::Recalled { .. } => Event::Recalled { reason: "impure".into() },
        Event::Dispensed { .. } => Event::Dispensed {
            prescription_id: id(15),
            item_id: id(20),
            quantity: number("10"),
        },
    }
    prescription: Prescription {
        Event::Written(_) => Event::Written(from(json!({
            "number": "RX-00000000018", "consultation_id": id::<Uuid>(10), "patient_id": id::<Uuid>(1),
            "provider_id": id::<Uuid>(2), "priority": "high", "notes": "with food",
            "items": [{"id": id::<Uuid>(20), "order": {
                "medication_id": id::<Uuid>(11), "dose_quantity": "1", "dose_unit": "tablet", "route": "oral",
                "frequency": "twice daily", "as_needed": true, "duration_days": 5, "quantity": "10",
                "quantity_unit": "tablet", "substitution_allowed": false, "instructions": "swallow whole",
                "valid_until": "2026-12-31",
            }}],
        }))),
        Event::SentToPharmacy => Event::SentToPharmacy,
        Event::MarkedReady => Event::MarkedReady,
        Event::Dispensed { .. } => Event::Dispensed {
            dispensed: vec![
                Dispensing { item_id: id(20), lot_id: Some(id(13)), quantity: number("4") },
                Dispensing { item_id: id(20), lot_id: None, quantity: number("6.000") },
            ],
            completes: true,
        },
        Event::Cancelled { .. } => Event::Cancelled { reason: said("allergic") },
    }
}
