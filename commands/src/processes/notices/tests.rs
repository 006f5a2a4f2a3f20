use hims_domain::insurance_claim::InsuranceClaim;
use hims_domain::inventory_item::InventoryItem;
use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::LabResult;
use hims_domain::lab_test::LabTest;
use hims_domain::medication::Medication;
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::notification::{self, Content, Notification, NotificationType, Priority};
use hims_domain::patient::Patient;
use hims_domain::prescription::{Prescription, Withdrawal};
use hims_domain::role::Role;
use hims_domain::user::User;
use hims_domain::{Aggregate, LabOrderId, LabResultId, LotChangeId, PatientId};
use hims_testing::{event_types, fields, sample, sample_with};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::aggregates::medication_lot::TellOfExpiringLot;
use crate::testing::samples::{
    CLAIM, DOCTOR, ITEM, LOT, MEDICATION, OTHER_DOCTOR, PATIENT, PRESCRIPTION, added_medication, created, defined,
    received, registered,
};
use crate::testing::{Given, given, now};
use crate::{role_id, scopes};

const RESULT: LabResultId = LabResultId(Uuid::from_u128(0xb1));

fn happened(stream_id: impl Into<Uuid>, position: i64, event: DomainEvent) -> Happened {
    Happened { position, user_id: None, stream_id: stream_id.into(), recorded_at: now(), occurred_at: now(), event }
}

/// What is told because of an event, as commands of one type.
async fn told<T: Telling>(stream_id: impl Into<Uuid>, position: i64, event: DomainEvent) -> Vec<T> {
    let reactions = Notices.react(&happened(stream_id, position, event)).await.unwrap();
    reactions.iter().filter_map(|it| it.given::<Tell<T>>()).map(|it| it.0.clone()).collect()
}

async fn of_result<T: Telling>(name: &str, changes: Value) -> Vec<T> {
    told(RESULT, 7, DomainEvent::LabResult(sample_with::<LabResult>(name, changes))).await
}

#[tokio::test]
async fn a_prescription_that_is_ready_is_told_of_once_for_each_time() {
    for position in [7, 9] {
        let ready = DomainEvent::Prescription(sample::<Prescription>("marked_ready"));
        let told = told::<TellOfReadyPrescription>(PRESCRIPTION, position, ready).await;
        assert_eq!((told.len(), told[0].prescription_id, told[0].position), (1, PRESCRIPTION, position));
    }
}

#[tokio::test]
async fn a_prescription_that_is_no_longer_ready_is_told_of_unless_somebody_at_the_pharmacy_decided_so() {
    for (name, is_told) in [("ready_withdrawn", true), ("ready_undone", false), ("cancelled", false)] {
        let event = DomainEvent::Prescription(sample::<Prescription>(name));
        let told = told::<TellOfWithdrawnPrescription>(PRESCRIPTION, 9, event).await;
        assert_eq!(told.iter().map(|it| it.position).collect::<Vec<_>>(), vec![9; usize::from(is_told)], "{name}");
    }
}

#[test]
fn a_patient_is_told_of_the_prescription_that_is_ready_and_not_of_an_earlier_time() {
    for (collect_by, is_told) in [("2026-12-07T10:00:00Z", true), ("2026-12-06T10:00:00Z", false)] {
        let events = ["written", "sent_to_pharmacy", "marked_ready"].map(sample::<Prescription>);
        let ready = given([])
            .and::<Prescription>(PRESCRIPTION, events)
            .and::<Patient>(PATIENT, [registered()])
            .and::<User>(OTHER_DOCTOR, [created()])
            .owner(scopes::USER_PATIENT, PATIENT, OTHER_DOCTOR);
        let (prescription_id, collect_by) = (PRESCRIPTION, crate::testing::at(collect_by));
        let telling = TellOfReadyPrescription { prescription_id, position: 7, collect_by };
        assert_eq!(notice(ready, telling).is_some(), is_told, "{collect_by}");
    }
}

#[test]
fn a_patient_is_told_why_a_prescription_is_no_longer_ready_as_long_as_it_is_not() {
    let written = sample_with::<Prescription>("written", json!({"patient_id": PATIENT}));
    let ready = || sample::<Prescription>("marked_ready");
    let withdrawn = || sample::<Prescription>("ready_withdrawn");
    let given = |more: Vec<prescription::Event>| {
        let events = [written.clone(), sample::<Prescription>("sent_to_pharmacy"), ready(), withdrawn()];
        given([])
            .and::<Prescription>(PRESCRIPTION, events.into_iter().chain(more))
            .and::<Patient>(PATIENT, [registered()])
            .and::<User>(OTHER_DOCTOR, [created()])
            .owner(scopes::USER_PATIENT, PATIENT, OTHER_DOCTOR)
    };
    let telling = |cause| TellOfWithdrawnPrescription { prescription_id: PRESCRIPTION, position: 9, cause };
    for (cause, words) in [
        (Withdrawal::LotRecalled, "has to replace"),
        (Withdrawal::LotQuarantined, "has to replace"),
        (Withdrawal::NotCollected, "not fetched in time"),
    ] {
        let (content, told) = notice(given(vec![]), telling(cause)).unwrap();
        assert_eq!((content.r#type, content.subject_patient_id), (NotificationType::PrescriptionReady, Some(PATIENT)));
        assert_eq!(told, [(Some(OTHER_DOCTOR), Some(PATIENT))]);
        assert!(message(&content).contains(words), "{}", message(&content));
    }
    let cancelled = sample::<Prescription>("cancelled");
    for later in [ready(), cancelled] {
        assert!(notice(given(vec![later]), telling(Withdrawal::LotRecalled)).is_none(), "it is not so any more");
    }
}

#[tokio::test]
async fn a_result_is_told_of_to_provider_and_patient_once_it_is_final_and_when_it_is_corrected() {
    let both = [Reader::Provider, Reader::Patient];
    for (name, changes, readers) in [
        ("recorded", json!({"result_status": "F"}), both.to_vec()),
        ("recorded", json!({"result_status": "P"}), vec![]),
        ("finalised", json!({}), both.to_vec()),
        ("corrected", json!({}), both.to_vec()),
        ("reviewed", json!({}), vec![]),
        ("withdrawn", json!({}), vec![]),
    ] {
        let told: Vec<_> = of_result::<TellOfResult>(name, changes).await.into_iter().map(|it| it.reader).collect();
        assert_eq!(told, readers, "{name}");
    }
}

#[tokio::test]
async fn critical_values_are_told_of_to_those_whom_the_alarm_names_a_hundred_at_a_time() {
    let people: BTreeSet<_> = (1..=230).map(|nth| UserId(Uuid::from_u128(nth))).collect();
    let changes = json!({"recipients": people, "level": 2});
    let told = of_result::<TellOfCriticalValues>("critical_escalated", changes).await;
    assert_eq!(told.iter().map(|it| (it.part, it.people.len(), it.level)).collect::<Vec<_>>(), [
        (0, 100, 2),
        (1, 100, 2),
        (2, 30, 2)
    ]);
    assert_eq!(told.iter().flat_map(|it| it.people.clone()).collect::<BTreeSet<_>>(), people);
    assert_eq!(told.iter().map(Telling::occasion).collect::<BTreeSet<_>>().len(), 3, "three notices");
    let withdrawn = of_result::<TellOfWithdrawnValues>("critical_withdrawn", json!({"told": people})).await;
    assert_eq!(withdrawn.iter().map(Telling::occasion).collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn only_a_denial_of_a_claim_is_told_of() {
    for (name, changes, is_told) in [
        ("payment_recorded", json!({"status": "denied"}), true),
        ("payment_recorded", json!({"status": "paid"}), false),
        ("denial_upheld", json!({}), true),
    ] {
        let event = DomainEvent::InsuranceClaim(sample_with::<InsuranceClaim>(name, changes));
        assert_eq!(told::<TellOfDeniedClaim>(CLAIM, 7, event).await.len(), usize::from(is_told), "{name}");
    }
}

#[test]
fn the_process_knows_every_event_of_results_that_people_are_told_of() {
    let ours = |it: &String| it.starts_with("lab_result.") && Notices::ON.contains(&it.as_str());
    let known: Vec<_> = event_types().into_iter().filter(ours).collect();
    assert_eq!(known.len(), 5, "{known:?}");
}

/// A user or a patient.
type Reached = (Option<UserId>, Option<PatientId>);

/// What a notice says, and the users and patients who get it within the program; `None` if there is none.
fn notice<T: Telling>(given: Given<Notification>, telling: T) -> Option<(Content, Vec<Reached>)> {
    match given.when(Tell(telling)).events().into_iter().next()? {
        notification::Event::Created { content, recipients } => {
            let people: BTreeSet<_> = recipients.iter().map(|it| (it.user_id, it.patient_id)).collect();
            Some((*content, people.into_iter().collect()))
        }
        other => panic!("{other:?}"),
    }
}

fn message(content: &Content) -> String {
    content.message.known().map(|it| it.0.clone()).unwrap_or_default()
}

/// A result of the patient's potassium, which another doctor takes part in, and what happened to it.
fn given_result(more: impl IntoIterator<Item = lab_result::Event>) -> Given<Notification> {
    let recorded = fields::<LabResult>("recorded");
    let of = |field: &str| recorded[field].as_str().and_then(|it| it.parse::<Uuid>().ok()).unwrap();
    let order_id = LabOrderId(of("lab_order_id"));
    let placed = sample_with::<LabOrder>("placed", json!({"patient_id": PATIENT, "provider_id": DOCTOR}));
    let result = json!({"patient_id": PATIENT, "result_status": "F"});
    let events = [sample_with::<LabResult>("recorded", result)].into_iter().chain(more);
    given([])
        .and::<LabResult>(RESULT, events)
        .and::<LabOrder>(order_id, [placed])
        .and::<LabTest>(of("lab_test_id"), [sample::<LabTest>("defined")])
        .and::<Patient>(PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()])
        .and::<User>(OTHER_DOCTOR, [created()])
        .owner(scopes::USER_PATIENT, PATIENT, OTHER_DOCTOR)
}

fn withdrawn() -> lab_result::Event {
    sample_with::<LabResult>("withdrawn", json!({"result_status": "W", "reason_code": "wrong_patient"}))
}

#[test]
fn a_final_result_is_named_to_the_provider_with_the_patient_and_to_the_patient_without_values() {
    let telling = |reader| TellOfResult { lab_result_id: RESULT, position: 7, reader };
    let (content, people) = notice(given_result([]), telling(Reader::Provider)).unwrap();
    assert_eq!((content.r#type, content.subject_patient_id), (NotificationType::ResultAvailable, Some(PATIENT)));
    assert_eq!(people, [(Some(DOCTOR), None)]);
    assert!(message(&content).contains("MRN") && message(&content).contains("is final"), "{}", message(&content));
    let (content, people) = notice(given_result([]), telling(Reader::Patient)).unwrap();
    assert!(people.contains(&(Some(OTHER_DOCTOR), Some(PATIENT))), "the patient's login: {people:?}");
    assert!(!message(&content).contains("normal"), "{}", message(&content));
    for reader in [Reader::Provider, Reader::Patient] {
        assert!(notice(given_result([withdrawn()]), telling(reader)).is_none(), "the result does not count any more");
    }
}

fn alarm() -> lab_result::Event {
    let result = LabResult::evolve(None, &sample::<LabResult>("recorded")).unwrap();
    let codes = lab_result::critical(&result.revision.components).into_iter().map(|it| it.code.clone()).collect();
    lab_result::Event::CriticalRaised { revision: 1, codes, raised_at: now() }
}

#[test]
fn critical_values_are_urgent_and_told_of_until_somebody_acknowledges_them() {
    let people = BTreeSet::from([DOCTOR, OTHER_DOCTOR]);
    let telling = |revision| {
        let people = people.clone();
        TellOfCriticalValues { lab_result_id: RESULT, revision, level: 0, people, part: 0 }
    };
    let (content, told) = notice(given_result([alarm()]), telling(1)).unwrap();
    assert_eq!((content.r#type, content.priority), (NotificationType::CriticalResult, Priority::Urgent));
    assert_eq!(told, [(Some(DOCTOR), None), (Some(OTHER_DOCTOR), None)]);
    let acknowledged = lab_result::Event::CriticalAcknowledged { acknowledged_by: DOCTOR, note: None };
    assert!(notice(given_result([alarm(), acknowledged]), telling(1)).is_none());
    assert!(notice(given_result([alarm()]), telling(2)).is_none(), "of another alarm");
    let ended = lab_result::Event::CriticalWithdrawn { told: people.clone() };
    assert!(notice(given_result([alarm(), ended.clone()]), telling(1)).is_none());
    let telling = TellOfWithdrawnValues { lab_result_id: RESULT, position: 9, people: people.clone(), part: 0 };
    let (content, told) = notice(given_result([alarm(), ended, withdrawn()]), telling).unwrap();
    assert_eq!((content.r#type, told.len()), (NotificationType::CriticalWithdrawn, 2));
}

#[test]
fn a_rejected_specimen_is_told_of_to_the_provider_and_to_whoever_took_it() {
    let collected = fields::<LabOrder>("specimen_collected");
    let specimen_id = Uuid::parse_str(collected["specimen_id"].as_str().unwrap()).unwrap().into();
    let placed = sample_with::<LabOrder>("placed", json!({"patient_id": PATIENT, "provider_id": DOCTOR}));
    let taken = sample_with::<LabOrder>("specimen_collected", json!({"collected_by": OTHER_DOCTOR}));
    let rejected = sample_with::<LabOrder>("specimen_rejected", json!({"specimen_id": specimen_id}));
    let order_id = LabOrderId(Uuid::from_u128(0x90));
    let given = given([])
        .and::<LabOrder>(order_id, [placed, taken, rejected])
        .and::<Patient>(PATIENT, [registered()])
        .and::<User>(DOCTOR, [created()])
        .and::<User>(OTHER_DOCTOR, [created()]);
    let reason_code = lab_order::RejectionCode::WrongContainer;
    let (content, told) = notice(given, TellOfRejectedSpecimen { lab_order_id: order_id, specimen_id, reason_code }).unwrap();
    assert_eq!(content.r#type, NotificationType::SpecimenRejected);
    assert_eq!(told, [(Some(DOCTOR), None), (Some(OTHER_DOCTOR), None)]);
    assert!(message(&content).contains("wrong container"), "{}", message(&content));
}

/// Somebody who keeps the stock.
fn keeper(given: Given<Notification>) -> Given<Notification> {
    let roles = ["pharmacist", "administrator"];
    let given = roles.iter().fold(given, |given, it| given.and::<Role>(role_id(it), [defined(it)]));
    given.and::<User>(DOCTOR, [created()]).owner(scopes::USERS_WITH_ROLE, role_id("pharmacist"), DOCTOR)
}

#[test]
fn those_who_keep_the_stock_are_told_of_an_article_that_runs_low_while_it_does() {
    let added = || sample::<InventoryItem>("added");
    let flagged_with = |usable: &str| sample_with::<InventoryItem>("reorder_flagged", json!({ "usable": usable }));
    let flagged = || flagged_with("4.500");
    let telling = || TellOfLowStock { inventory_item_id: ITEM, position: 7, usable: rust_decimal::dec!(4.500) };
    let (content, told) = notice(keeper(given([]).and::<InventoryItem>(ITEM, [added(), flagged()])), telling()).unwrap();
    assert_eq!((content.r#type, told), (NotificationType::LowStock, vec![(Some(DOCTOR), None)]));
    assert!(message(&content).contains("4.5 "), "{}", message(&content));
    let ordered = sample::<InventoryItem>("reorder_cleared");
    let enough = keeper(given([]).and::<InventoryItem>(ITEM, [added(), flagged(), ordered]));
    assert!(notice(enough, telling()).is_none());
    // It ran low once more meanwhile, of which another notice tells.
    let events = [added(), flagged(), sample::<InventoryItem>("reorder_cleared"), flagged_with("3")];
    assert!(notice(keeper(given([]).and::<InventoryItem>(ITEM, events)), telling()).is_none());
}

#[test]
fn those_who_keep_the_stock_are_told_of_a_lot_that_expires_while_it_can_be_dispensed() {
    let telling = || TellOfExpiringLot { medication_lot_id: LOT, days_before: 30 };
    let lot = |more: Vec<medication_lot::Event>| {
        let events = [received()].into_iter().chain(more);
        let given = given([]).and::<MedicationLot>(LOT, events);
        keeper(given.and::<Medication>(MEDICATION, [added_medication()]))
    };
    let (content, told) = notice(lot(vec![]), telling()).unwrap();
    assert_eq!((content.r#type, told), (NotificationType::StockExpiring, vec![(Some(DOCTOR), None)]));
    assert!(message(&content).contains("2026-12-31"), "{}", message(&content));
    assert!(notice(lot(vec![sample::<MedicationLot>("recalled")]), telling()).is_none());
}

#[tokio::test]
async fn a_change_that_nobody_witnessed_is_told_of_but_not_one_that_somebody_rejected() {
    for (changes, is_told) in [(json!({"rejected_by": null}), true), (json!({}), false)] {
        let event = DomainEvent::MedicationLot(sample_with::<MedicationLot>("change_rejected", changes));
        let told = told::<TellOfUnwitnessedChange>(LOT, 9, event).await;
        assert_eq!(told.len(), usize::from(is_told));
        assert!(told.iter().all(|it| it.medication_lot_id == LOT));
    }
}

#[test]
fn administrators_are_told_of_a_change_of_a_controlled_product_that_nobody_witnessed() {
    let given = keeper(given([]).and::<MedicationLot>(LOT, [received()]))
        .and::<Medication>(MEDICATION, [added_medication()])
        .and::<User>(OTHER_DOCTOR, [created()])
        .owner(scopes::USERS_WITH_ROLE, role_id("administrator"), OTHER_DOCTOR);
    let change_id = LotChangeId(Uuid::from_u128(0x92));
    let telling = TellOfUnwitnessedChange { medication_lot_id: LOT, change_id };
    let (content, told) = notice(given, telling).unwrap();
    assert_eq!((content.r#type, content.priority), (NotificationType::System, Priority::High));
    assert_eq!(told, [(Some(OTHER_DOCTOR), None)], "not the pharmacists");
    for words in ["Metformin", "within 24 hours", &change_id.to_string()] {
        assert!(message(&content).contains(words), "{words}: {}", message(&content));
    }
}

#[test]
fn whoever_sent_a_claim_is_told_that_it_was_denied() {
    let created_claim = sample_with::<InsuranceClaim>("created", json!({"patient_id": PATIENT}));
    let sent = sample_with::<InsuranceClaim>("submitted", json!({"submitted_by": DOCTOR}));
    let answer = |status: &str| sample_with::<InsuranceClaim>("payment_recorded", json!({"status": status}));
    let claim = |status: &str| {
        given([])
            .and::<InsuranceClaim>(CLAIM, [created_claim.clone(), sent.clone(), answer(status)])
            .and::<Patient>(PATIENT, [registered()])
            .and::<User>(DOCTOR, [created()])
    };
    let telling = || TellOfDeniedClaim { insurance_claim_id: CLAIM, position: 7 };
    let (content, told) = notice(claim("denied"), telling()).unwrap();
    assert_eq!((content.r#type, told), (NotificationType::ClaimDenied, vec![(Some(DOCTOR), None)]));
    assert!(notice(claim("paid"), telling()).is_none());
}
