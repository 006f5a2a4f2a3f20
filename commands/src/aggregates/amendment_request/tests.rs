use chrono::TimeDelta;
use hims_domain::alert::Alert;
use hims_domain::consultation::{Consultation, amendment_row};
use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::{LabResult, component_row};
use hims_domain::medical_history::MedicalHistory;
use hims_domain::medication_list::{MedicationList, list_of};
use hims_domain::prescription::Prescription;
use hims_domain::vital_signs::VitalSigns;
use hims_domain::{Aggregate, fold};
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{OTHER_PATIENT, PATIENT, ask, registered, with};
use crate::testing::{Given, given, now};

const REQUEST: AmendmentRequestId = AmendmentRequestId(Uuid::from_u128(0xa1));
const RECORD: Uuid = Uuid::from_u128(0xbeef);

fn request(changes: Value) -> RequestAmendment {
    let least = json!({"patient_id": PATIENT, "table_name": "vital_signs", "row_id": RECORD,
                       "wrong": "The weight is 80 kg, not 180", "wanted": "80 kg"});
    ask(with(least, changes))
}

/// A patient with vital signs.
fn measured() -> Given<AmendmentRequest> {
    let of_patient = json!({"patient_id": PATIENT});
    given([])
        .and::<Patient>(PATIENT, [registered()])
        .and::<VitalSigns>(RECORD, [sample_with::<VitalSigns>("recorded", of_patient)])
}

/// A caller with a patient's own right and no other.
fn by_patient(patient_id: PatientId) -> Caller {
    let roles = crate::system_roles();
    let (_, role) = roles.into_iter().find(|(_, it)| it.name.as_str() == "patient").unwrap();
    let permissions = std::sync::Arc::new(role.permissions);
    Caller { patient_id: Some(patient_id), permissions, is_system: false, ..Caller::system("test") }
}

#[test]
fn a_request_is_answered_within_sixty_days_of_its_coming_in() {
    let Event::Requested(it) = measured().when(request(json!({}))).then_event() else { panic!("requested") };
    assert_eq!((it.received_at, it.due_at), (now(), now() + TimeDelta::days(60)));
    assert_eq!((it.record_id, it.row_id), (RECORD.into(), RECORD.into()));
    let by_letter = now() - TimeDelta::days(3);
    let Event::Requested(it) = measured().when(request(json!({"received_at": by_letter}))).then_event() else {
        panic!("requested")
    };
    assert_eq!((it.received_at, it.due_at), (by_letter, by_letter + TimeDelta::days(60)));
    let later = json!({"received_at": now() + TimeDelta::hours(1)});
    measured().when(request(later)).then_field("in-the-future", "/received_at");
}

#[test]
fn patients_ask_for_themselves_and_from_now_on() {
    assert!(measured().by(by_patient(PATIENT)).when(request(json!({}))).is_accepted());
    assert!(request(json!({})).is_own(None, &by_patient(PATIENT)));
    assert!(!request(json!({})).is_own(None, &by_patient(OTHER_PATIENT)));
    let earlier = request(json!({"received_at": now() - TimeDelta::days(50)}));
    measured().by(by_patient(PATIENT)).when(earlier).then_field("received-by-staff", "/received_at");
}

#[test]
fn the_row_is_one_of_the_patient() {
    measured().when(request(json!({"row_id": Uuid::from_u128(1)}))).then_field("unknown-reference", "/row_id");
    measured().when(request(json!({"table_name": "treatments"}))).then_field("unknown-reference", "/row_id");
    let of_another = given([])
        .and::<Patient>(PATIENT, [registered()])
        .and::<VitalSigns>(RECORD, [sample_with::<VitalSigns>("recorded", json!({"patient_id": OTHER_PATIENT}))]);
    of_another.when(request(json!({}))).then_field("unknown-reference", "/row_id");
    let diagnosis = json!({"table_name": "diagnoses", "row_id": Uuid::from_u128(0x71)});
    measured().when(request(diagnosis)).then_field("record-missing", "/record_id");
}

/// The events of an aggregate that begin it with all of its parts.
fn events<A: Aggregate>(names: &[&str]) -> Vec<A::Event> {
    names.iter().map(|it| sample::<A>(it)).collect()
}

#[test]
fn every_part_of_a_record_is_found() {
    // Every sample is about the same patient.
    let patient: PatientId = Uuid::from_u128(1).into();
    let found = |table: RecordTable, record: Uuid, row: Uuid, given: Given<AmendmentRequest>| {
        let of_record = json!({"patient_id": patient, "table_name": table, "record_id": record});
        let given = given.and::<Patient>(patient, [registered(), sample::<Patient>("allergy_recorded")]);
        given.when(request(with(of_record, json!({"row_id": row})))).is_accepted()
    };
    let id = Uuid::from_u128;
    let consultation = || {
        let events = events::<Consultation>(&["started", "symptom_recorded", "diagnosis_recorded", "amended"]);
        given([]).and::<Consultation>(RECORD, events)
    };
    assert!(found(RecordTable::Consultations, RECORD, RECORD, consultation()));
    for (table, row) in [
        (RecordTable::ConsultationSteps, id(0x51)),
        (RecordTable::Symptoms, id(0x61)),
        (RecordTable::Diagnoses, id(0x71)),
        (RecordTable::ConsultationAmendments, amendment_row(RECORD, 1)),
    ] {
        assert!(found(table, RECORD, row, consultation()), "{table}");
        assert!(!found(table, RECORD, id(0xfade), consultation()), "{table}");
        assert!(!found(RecordTable::Consultations, RECORD, row, consultation()), "{table}");
    }
    let order = || given([]).and::<LabOrder>(RECORD, events::<LabOrder>(&["placed", "specimen_collected"]));
    for (table, row) in [(RecordTable::LabOrderItems, id(0x91)), (RecordTable::Specimens, id(0xa1))] {
        assert!(found(table, RECORD, row, order()), "{table}");
        assert!(!found(table, RECORD, id(0xfade), order()), "{table}");
    }
    let result = || given([]).and::<LabResult>(RECORD, events::<LabResult>(&["recorded"]));
    let state = fold::<LabResult>(&events::<LabResult>(&["recorded"])).unwrap();
    let code = state.revision.components[0].code.as_str();
    assert!(found(RecordTable::LabResultComponents, RECORD, component_row(RECORD, 1, code), result()));
    assert!(!found(RecordTable::LabResultComponents, RECORD, component_row(RECORD, 2, code), result()));
    let state = fold::<Prescription>(&events::<Prescription>(&["written"])).unwrap();
    let prescription = || given([]).and::<Prescription>(RECORD, events::<Prescription>(&["written"]));
    assert!(found(RecordTable::PrescriptionItems, RECORD, state.lines[0].item.id.into(), prescription()));
    let alert: &Alert = state.alerts.first().unwrap();
    assert!(found(RecordTable::PrescriptionAlerts, RECORD, alert.row(RECORD), prescription()));
    let list = || given([]).and::<MedicationList>(list_of(patient), events::<MedicationList>(&["added"]));
    assert!(found(RecordTable::PatientMedications, list_of(patient).into(), id(0x33), list()));
    let history = || given([]).and::<MedicalHistory>(RECORD, events::<MedicalHistory>(&["recorded"]));
    assert!(found(RecordTable::MedicalHistory, RECORD, RECORD, history()));
    let state = fold::<Patient>(&[registered(), sample::<Patient>("allergy_recorded")]).unwrap();
    let allergy = *state.allergies.keys().next().unwrap();
    assert!(found(RecordTable::PatientAllergies, patient.into(), allergy.into(), given([])));
    assert!(found(RecordTable::Patients, patient.into(), patient.into(), given([])));
}

fn requested() -> Event {
    sample_with::<AmendmentRequest>("requested", json!({"patient_id": PATIENT}))
}

fn text(words: &str) -> Personal<LongText> {
    Personal::Known(words.into())
}

#[test]
fn the_time_for_an_answer_is_extended_once() {
    let extend = || ExtendAmendmentRequest { amendment_request_id: REQUEST, reason: Personal::Known("asked".into()) };
    let Event::Requested(asked) = requested() else { panic!("requested") };
    let event = given([requested()]).when(extend()).then_event();
    let Event::Extended { due_at, .. } = &event else { panic!("{event:?}") };
    assert_eq!(*due_at, asked.due_at + TimeDelta::days(30));
    given([requested(), event]).when(extend()).then([]);
}

#[test]
fn nobody_decides_on_a_request_about_themselves() {
    let accept = || AcceptAmendment { amendment_request_id: REQUEST, done: text("corrected"), told: None };
    let deny = || {
        let basis = Basis::AccurateAndComplete;
        DenyAmendment { amendment_request_id: REQUEST, basis, reason: text("so it was") }
    };
    let rebut = || RebutDisagreement { amendment_request_id: REQUEST, rebuttal: text("and yet") };
    let extend = || ExtendAmendmentRequest { amendment_request_id: REQUEST, reason: Personal::Known("asked".into()) };
    let own = || Caller { patient_id: Some(PATIENT), ..Caller::system("test") };
    given([requested()]).by(own()).when(accept()).then_refused(Refusal::OwnRequest);
    given([requested()]).by(own()).when(deny()).then_refused(Refusal::OwnRequest);
    given([requested()]).by(own()).when(extend()).then_refused(Refusal::OwnRequest);
    let disagreed =
        [requested(), sample::<AmendmentRequest>("denied"), sample::<AmendmentRequest>("disagreement_stated")];
    given(disagreed).by(own()).when(rebut()).then_refused(Refusal::OwnRequest);
    // Nor by a login that is linked to another record of the same person.
    let merged = sample_with::<Patient>("duplicate_merged", json!({"duplicate_id": OTHER_PATIENT, "brought": []}));
    let twice = given([requested()]).and::<Patient>(PATIENT, [registered(), merged]).and::<Patient>(
        OTHER_PATIENT,
        [registered(), sample_with::<Patient>("merged_into", json!({"patient_id": PATIENT}))],
    );
    twice.by(Caller { patient_id: Some(OTHER_PATIENT), ..own() }).when(accept()).then_refused(Refusal::OwnRequest);
    assert!(given([requested()]).when(accept()).is_accepted());
}
