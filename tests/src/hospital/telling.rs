//! What a command tells of a record to somebody who may give the command but may not read the record: nothing but that
//! it was done.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::{Entry, Permission, Registry};
use hims_domain::permission::{Create, Delete, Update};
use hims_domain::{Field, Shape};
use hims_projections::{TABLES, table_of};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::demo::{self, appointment, at, patient};
use super::{Answer, Client, Hospital};

/// A user who may give every command and may read nothing.
async fn blind(hospital: &Hospital) -> Client {
    blind_named("blind", hospital).await
}

async fn blind_named(name: &str, hospital: &Hospital) -> Client {
    let admin = hospital.login("admin").await;
    let permissions = json!({"create": Create::CODES, "update": Update::CODES, "delete": Delete::CODES});
    let role = json!({"name": name, "display_name": "Blind", "permissions": permissions});
    let role_id = admin.did("define-role", role).await;
    let user = json!({"email": format!("{name}@demo.hims"), "first_name": "Bly", "last_name": "Ind", "role_id": role_id,
                      "password": "to be changed"});
    let user_id = admin.did("create-user", user).await;
    let password = json!({"user_id": user_id, "current_password": "to be changed", "new_password": demo::PASSWORD});
    hospital
        .nobody()
        .login_as(&format!("{name}@demo.hims"), "to be changed")
        .await
        .did("change-password", password)
        .await;
    hospital.login(name).await
}

/// A consent that was withdrawn, an erasure that was declined, and a legal hold that was released.
async fn privacy(doctor: &Client, admin: &Client) -> [String; 3] {
    let consent = json!({"patient_id": patient(6), "scope": "research", "provision": "permit"});
    let consent = doctor.did("record-consent", consent).await;
    doctor.did("withdraw-consent", json!({"consent_id": consent})).await;
    let erasure = admin.did("erase-patient", super::erasure::ask(&patient(6))).await;
    admin.did("decline-erasure", json!({"erasure_id": erasure, "reason": "must be kept"})).await;
    let hold = json!({"patient_id": patient(6), "reason": "sues the hospital"});
    let hold = admin.did("place-legal-hold", hold).await;
    admin.did("release-legal-hold", json!({"legal_hold_id": hold, "reason": "settled"})).await;
    [consent, erasure, hold]
}

/// A record of each type that not everybody reads, at the end of its life where it has one.
async fn records(hospital: &Hospital) -> BTreeMap<&'static str, String> {
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let (pharmacist, admin) = (hospital.login("pharmacist").await, hospital.login("admin").await);
    let patient_id = patient(8);
    let booked = reception.did("schedule-appointment", appointment(&patient_id, at(9, 0))).await;
    reception.did("cancel-appointment", json!({"appointment_id": booked, "reason": "moved to another town"})).await;
    let visit = doctor.did("start-consultation", json!({"patient_id": patient_id})).await;
    doctor.did("complete-consultation", json!({"consultation_id": visit})).await;
    let planned = json!({"consultation_id": visit, "treatment_type": "diet", "description": "Less salt"});
    let planned = doctor.did("plan-treatment", planned).await;
    doctor.did("mark-treatment-not-done", json!({"treatment_id": planned, "reason": "declined"})).await;
    let history = json!({"patient_id": patient_id, "history_type": "social", "description": "Never smoked",
                         "source": "patient"});
    let history = doctor.did("record-medical-history", history).await;
    let of_another = json!({"medical_history_id": history, "reason": "of another patient"});
    doctor.did("mark-medical-history-entered-in-error", of_another).await;
    let note = json!({"appointment_id": booked, "note_type": "call_log", "body": "Called twice"});
    let note = reception.did("add-appointment-note", note).await;
    let series = hims_testing::patched(appointment(&patient_id, at(30, 0)), json!({"rrule": "FREQ=DAILY;COUNT=2"}));
    let series = reception.did("schedule-appointment-series", series).await;
    let waiting = super::waitlist::withdrawn(&reception, &patient_id).await;
    let policy = reception.items(&format!("insurance-policies?patient_id={}", patient(7))).await[0]["id"].clone();
    let policy = policy.as_str().expect("an id").to_owned();
    let bill = reception.did("open-billing-record", json!({ "patient_id": patient_id })).await;
    let mistaken = json!({"billing_record_id": bill, "reason": "opened for another patient"});
    reception.did("cancel-billing-record", mistaken).await;
    let claim = super::insurance_claims::withdrawn(hospital).await;
    let measured = doctor.did("record-vital-signs", json!({"patient_id": patient_id, "heart_rate": 70})).await;
    let mistaken = json!({"vital_signs_id": measured, "reason": "measured on somebody else"});
    doctor.did("mark-vital-signs-entered-in-error", mistaken).await;
    let prescribed = doctor.did("write-prescription", demo::prescription(&patient_id, 2, "5", "tablet")).await;
    let needless = json!({"prescription_id": prescribed, "reason": "not needed any more"});
    doctor.did("cancel-prescription", needless).await;
    let lot = json!({"medication_id": demo::medication(2), "location_id": demo::room(3), "lot_number": "R-1",
                     "expiry_date": at(400, 0).date_naive(), "quantity": "10", "unit": "tablet"});
    let lot = pharmacist.did("receive-medication-lot", lot).await;
    let recalled = json!({"medication_lot_id": lot, "reason": "a letter of the maker"});
    pharmacist.did("recall-medication-lot", recalled).await;
    let supplier = pharmacist.did("add-supplier", json!({"code": "GONE", "name": "Gone and Sons"})).await;
    pharmacist.did("deactivate-supplier", json!({"supplier_id": supplier})).await;
    let article = json!({"sku": "GONE-1", "name": "Glass syringe", "category": "injection", "unit": "each"});
    let article = pharmacist.did("add-inventory-item", article).await;
    pharmacist.did("deactivate-inventory-item", json!({"inventory_item_id": article})).await;
    let role = admin.items("user-roles?name=nurse").await[0]["id"].clone();
    let left = json!({"email": "left@example.org", "first_name": "Lea", "last_name": "Vingston", "role_id": role,
                      "password": "to be changed"});
    let left = admin.did("create-user", left).await;
    admin.did("deactivate-user", json!({"user_id": left})).await;
    let session = doctor.get("sessions/current").await.done()["session_id"].as_str().expect("an id").to_owned();
    let notification = super::notifications::told(hospital).await;
    let (execution, schedule) = super::reports::told(hospital).await;
    let member = json!({"patient_id": patient_id, "user_id": demo::user(demo::NURSE)});
    let member = doctor.did("assign-care-team-member", member).await;
    doctor.did("end-care-team-assignment", json!({"care_team_assignment_id": member})).await;
    let nurse = hospital.login("nurse").await;
    let taken = json!({"patient_id": patient(6), "reason": "collapsed"});
    let taken = nurse.did("request-emergency-access", taken).await;
    nurse.did("end-emergency-access", json!({"emergency_access_id": taken})).await;
    let reviewed = json!({"emergency_access_id": taken, "finding": "justified"});
    admin.did("review-emergency-access", reviewed).await;
    let [consent, erasure, hold] = privacy(&doctor, &admin).await;
    BTreeMap::from([
        ("consent", consent),
        ("erasure", erasure),
        ("legal_hold", hold),
        ("care_team_assignment", member),
        ("emergency_access", taken),
        ("amendment_request", super::amendments::withdrawn(hospital, &patient(8)).await),
        ("disclosure", super::disclosures::mistaken(hospital, &patient(8)).await),
        ("patient", patient_id),
        ("appointment", booked),
        ("consultation", visit),
        ("treatment", planned),
        ("medical_history", history),
        ("appointment_note", note),
        ("appointment_series", series),
        ("waitlist_entry", waiting),
        ("insurance_policy", policy),
        ("billing_record", bill),
        ("insurance_claim", claim),
        ("vital_signs", measured),
        ("prescription", prescribed),
        ("lab_order", demo::lab_order(5)),
        ("lab_result", super::lab_results::withdrawn(hospital, &patient(8)).await),
        ("medication_lot", lot),
        ("supplier", supplier),
        ("inventory_item", article),
        ("user", left),
        ("session", session),
        ("notification", notification),
        ("report_execution", execution),
        ("report_schedule", schedule),
    ])
}

/// The fields of a command with their shapes, those of flattened objects too, and whether each must be given.
fn fields(shape: &Shape, of_changes: bool) -> Vec<(Field, bool)> {
    match shape {
        Shape::Patch(of) => fields(of, true),
        Shape::Object(declared) => declared
            .iter()
            .flat_map(|field| match field.shape {
                shape if field.flatten => fields(&shape, of_changes),
                shape => vec![(*field, !of_changes && !field.default && !matches!(shape, Shape::Optional(_)))],
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Some value of a shape. Ids name the given records, or nothing.
fn value(shape: &Shape, records: &BTreeMap<&'static str, String>) -> Value {
    match shape {
        Shape::Boolean => json!(false),
        Shape::Integer => json!(1),
        Shape::Decimal => json!("1"),
        Shape::Id { stream, part: "" } => json!(records.get(stream).cloned().unwrap_or_else(|| demo::room(1))),
        Shape::Id { .. } => json!(Uuid::from_u128(0xfade)),
        Shape::Date => json!("2031-01-02"),
        Shape::PartialDate => json!("1980"),
        Shape::Timestamp => json!(at(9, 0)),
        Shape::Text { max, format: "" } => json!("told by a test of rights".chars().take(*max).collect::<String>()),
        Shape::Text { format: "email", .. } => json!("somebody@example.org"),
        Shape::Text { .. } => json!("+12125550177"),
        Shape::Secret { .. } => json!("a horse eats no batteries"),
        Shape::OneOf { codes, .. } => json!(codes[0]),
        Shape::List(of) => json!([value(of, records)]),
        Shape::Map(_) | Shape::Json => json!({}),
        Shape::Optional(of) => value(of, records),
        Shape::Object(_) | Shape::Patch(_) => needed(shape, records),
    }
}

/// A request with the fields that must be given.
pub(super) fn needed(shape: &Shape, records: &BTreeMap<&'static str, String>) -> Value {
    let fields = fields(shape, false).into_iter().filter(|(_, is_needed)| *is_needed);
    Value::Object(fields.map(|(field, _)| (field.name.to_owned(), value(&field.shape, records))).collect::<Map<_, _>>())
}

/// The types of records that every user reads.
const PUBLIC: [&str; 9] = [
    "role",
    "department",
    "room",
    "lab_test",
    "medication",
    "payer",
    "price",
    "provider_schedule",
    "interaction_profile",
];

/// The commands on existing records of a type that not everybody reads, each with the field that names the record.
fn commands_on_records() -> Vec<(Entry, &'static str)> {
    // A command that may give an id begins a record, such as a note that amends another.
    let begins = |entry: &Entry| fields(&entry.shape, false).iter().any(|(field, _)| field.name == "id");
    let is_private = |entry: &&Entry| !PUBLIC.contains(&entry.stream_type) && !begins(entry);
    let target = |entry: &Entry| {
        let mut ids = fields(&entry.shape, false).into_iter().filter(|(field, is_needed)| {
            *is_needed && matches!(field.shape, Shape::Id { stream, part: "" } if stream == entry.stream_type)
        });
        Some((*entry, ids.next()?.0.name))
    };
    Registry::hospital().iter().filter(is_private).filter_map(target).collect()
}

/// What an answer tells: all but what differs in each request.
fn told(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    for member in ["request_id", "instance"] {
        body.as_object_mut().expect("an object").remove(member);
    }
    (answer.status, body)
}

async fn send(client: &Client, entry: &Entry, body: &Value, version: Option<&str>) -> Answer {
    let request = client.post(entry.name, body);
    client.send(version.iter().fold(request, |request, it| request.header("if-match", format!("\"{it}\"")))).await
}

#[tokio::test]
async fn who_may_not_read_a_record_learns_from_a_command_only_that_it_was_done() {
    let hospital = Hospital::start().await;
    let records = records(&hospital).await;
    // One user may not be refused so often.
    let blind =
        [blind(&hospital).await, blind_named("sightless", &hospital).await, blind_named("dark", &hospital).await];
    let admin = hospital.login("admin").await;
    let (mut not_found, mut seen) = (BTreeSet::new(), 0);
    for ((entry, field), blind) in commands_on_records().into_iter().zip(blind.iter().cycle()) {
        let name = entry.name;
        let Some(id) = records.get(entry.stream_type) else { panic!("{name}: there is no {}", entry.stream_type) };
        let body = needed(&entry.shape, &records);
        assert_eq!(body[field], json!(id), "{name}");
        let mut of_nobody = body.clone();
        of_nobody[field] = json!(Uuid::from_u128(0xdead));
        let table = table_of(entry.stream_type).expect("a table").name.replace('_', "-");
        let version = admin.row(&table, id).await["version"].to_string();
        let nothing = told(&send(blind, &entry, &of_nobody, None).await);
        for stated in [version.as_str(), "999"] {
            let nothing = told(&send(blind, &entry, &of_nobody, Some(stated)).await);
            assert!(["not-found", "forbidden"].iter().any(|it| nothing.1["code"] == *it), "{name}: {nothing:?}");
            assert_eq!(told(&send(blind, &entry, &body, Some(stated)).await), nothing, "{name} at version {stated}");
        }
        let answer = send(blind, &entry, &body, None).await;
        if answer.status == 200 {
            assert_ne!(answer.json()["events"], json!([]), "{name} tells that there was nothing to do");
        } else {
            assert_eq!(told(&answer), nothing, "{name}");
            not_found.extend((nothing.0 == 404).then_some(name));
        }
        // Whoever may read the record is told as before.
        if !matches!(entry.permission, Permission::Own | Permission::System) && admin_may(&entry) {
            seen += 1;
            assert_eq!(send(&admin, &entry, &body, Some("999")).await.status, 412, "{name}");
        }
    }
    for name in [
        "confirm-appointment",
        "cancel-appointment",
        "record-findings",
        "dispense-prescription",
        "release-medication-lot",
        "mark-vital-signs-entered-in-error",
        "deactivate-user",
        "retire-allergy",
    ] {
        assert!(not_found.contains(name), "{name} is not refused: {not_found:?}");
    }
    assert!(seen > 3, "{seen}");
}

/// Whether an administrator may give a command.
fn admin_may(entry: &Entry) -> bool {
    let roles = hims_commands::system_roles();
    let (_, admin) = roles.iter().find(|(_, it)| it.name.as_str() == "administrator").expect("a system role");
    entry.permission.is_in(&admin.permissions)
}

#[tokio::test]
async fn nobody_gives_values_of_fields_that_they_may_not_read_in_the_record() {
    let hospital = Hospital::start().await;
    let (blind, records) = (blind(&hospital).await, records(&hospital).await);
    let mut refused = BTreeSet::new();
    for (entry, _) in commands_on_records() {
        let narrowed = table_of(entry.stream_type).into_iter().flat_map(|it| it.narrowed).flat_map(|it| it.columns);
        let fields = fields(&entry.shape, false);
        for column in narrowed {
            let Some((field, _)) = fields.iter().find(|(field, _)| field.name == *column) else { continue };
            let mut body = needed(&entry.shape, &records);
            body[*column] = value(&field.shape, &records);
            let problem = blind.command(entry.name, body).await.problem(403, "forbidden");
            let named: Vec<_> = problem["errors"].as_array().into_iter().flatten().map(|it| &it["pointer"]).collect();
            assert!(named.contains(&&json!(format!("/{column}"))), "{}: {problem}", entry.name);
            refused.insert(*column);
        }
    }
    assert!(refused.is_superset(&BTreeSet::from(["blood_type", "organ_donor", "advance_directive"])), "{refused:?}");
    let reception = hospital.login("reception").await;
    for (given, status) in [(json!({"blood_type": "A+"}), 403), (json!({"blood_type": null}), 403), (json!({}), 200)] {
        let mut body = json!({"patient_id": patient(3), "city": "Springfield"});
        body.as_object_mut().expect("an object").extend(given.as_object().expect("an object").clone());
        assert_eq!(reception.command("change-patient-demographics", body).await.status, status, "{given}");
    }
}

#[tokio::test]
async fn a_social_security_number_that_was_known_is_answered_like_a_new_one() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for number in ["219-09-9999", "219-09-9999", "219-09-9998"] {
        let body = json!({"patient_id": patient(3), "ssn": number});
        let answer = reception.command("change-patient-demographics", body).await.done();
        assert_eq!(answer["events"].as_array().map(Vec::len), Some(1), "{answer}");
    }
}

#[tokio::test]
async fn a_candidate_is_named_only_to_those_who_may_read_it() {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let blind = blind(&hospital).await;
    // The nurse's department sees patient 1 and not patient 8.
    for (number, is_named) in [(1, true), (8, false)] {
        let allergy = json!({"patient_id": patient(number), "allergen_type": "drug", "allergen_name": "Codeine"});
        let allergy_id = json!(Uuid::from_u128(0xa11e + u128::from(number)));
        let mut first = allergy.clone();
        first["allergy_id"] = allergy_id.clone();
        doctor.did("record-allergy", first).await;
        let again = doctor.command("record-allergy", allergy.clone()).await.problem(409, "possible-duplicate");
        assert_eq!(again["candidates"], json!([allergy_id]), "also at once, before the tables show the allergy");
        let again = nurse.command("record-allergy", allergy.clone()).await.problem(409, "possible-duplicate");
        assert_eq!(again["candidates"] == json!([allergy_id]), is_named, "{again}");
        assert_eq!(again["candidates"].is_null(), !is_named, "{again}");
        let confirmed =
            blind.command("record-allergy", hims_testing::patched(allergy, json!({"confirm_not_duplicate": true})));
        assert_eq!(confirmed.await.status, 200, "in an emergency whoever is there can record");
    }
    let known = hospital.login("reception").await.row("patients", &patient(3)).await;
    let same = json!({"first_name": known["first_name"], "last_name": known["last_name"],
                      "date_of_birth": known["date_of_birth"], "gender": known["gender"]});
    let refused = blind.command("register-patient", same).await.problem(409, "possible-duplicate");
    assert_eq!(refused["candidates"], Value::Null);
}

/// Every stream whose type has a table with a row for each stream is found there by whoever reads everything, so that
/// nobody who may read a record is told that it is not there.
#[tokio::test]
async fn every_record_is_found_in_the_table_of_its_type() {
    let hospital = Hospital::start().await;
    let mut compared = 0;
    for table in TABLES {
        let types = hims_domain::DomainEvent::STREAMS.iter();
        for stream in types.filter(|it| table_of(it).is_some_and(|found| found.name == table.name)) {
            let missing = format!(
                "(select distinct stream_id from log.events where stream_type = '{stream}' except select id from {}) as it",
                table.name
            );
            hospital.settle().await;
            assert_eq!(super::tables::count(hospital.owner(), &missing).await, 0, "{stream} in {}", table.name);
            compared += 1;
        }
    }
    assert!(compared > 8, "{compared}");
}
