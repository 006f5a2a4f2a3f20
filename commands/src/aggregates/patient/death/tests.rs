use crate::scopes;
use hims_domain::fold;
use hims_domain::notification::{self, Notification};
use hims_domain::patient::{Event, Patient};
use hims_domain::user::User;
use hims_domain::waitlist_entry::{self, WaitlistEntry};
use hims_testing::sample_with;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::appointment::{CheckInWalkIn, RescheduleAppointment, ScheduleAppointment};
use crate::notification::Tell;
use crate::prescription::WritePrescription;
use crate::testing::samples::{
    APPOINTMENT, DOCTOR, MEDICATION, OTHER_DOCTOR, OTHER_PATIENT, PATIENT, added_medication, ask, created, registered,
    said, slot, with,
};
use crate::testing::{at, given, id, unbooks};

/// The time of the death in these tests: the evening before.
const EVENING: &str = "2026-11-22T20:00:00Z";

fn death(deceased_at: &str) -> Death {
    Death { deceased_at: Personal::Known(at(deceased_at)), source: None }
}

fn record(deceased_at: &str) -> RecordPatientDeath {
    RecordPatientDeath { patient_id: PATIENT, death: death(deceased_at) }
}

fn revoke() -> RevokePatientDeath {
    RevokePatientDeath { patient_id: PATIENT, reason: said("a namesake") }
}

fn died() -> [Event; 2] {
    [registered(), Event::DeathRecorded(death(EVENING))]
}

#[test]
fn a_death_is_recorded_corrected_and_revoked() {
    given([registered()]).when(record(EVENING)).then([Event::DeathRecorded(death(EVENING))]);
    given(died()).when(record(EVENING)).then_nothing();
    let corrected = "2026-11-22T19:30:00Z";
    given(died()).when(record(corrected)).then([Event::DeathRecorded(death(corrected))]);
    given(died()).when(revoke()).then([Event::DeathRevoked { reason: said("a namesake") }]);
    let [first, second] = died();
    given([first, second, Event::DeathRevoked { reason: said("a namesake") }]).when(revoke()).then_nothing();
}

#[test]
fn nobody_dies_in_the_future_or_before_their_birth() {
    given([registered()]).when(record("2026-11-23T10:00:01Z")).then_field("in-the-future", "/deceased_at");
    given([registered()]).when(record("1900-01-01T00:00:00Z")).then_field("before-birth", "/deceased_at");
}

#[test]
fn of_an_erased_patient_only_that_they_died_is_known() {
    let erased = Event::DeathRecorded(Death { deceased_at: Personal::Erased, source: None });
    let erased = fold::<Patient>(&[registered(), erased]);
    assert!(erased.is_some_and(|it| it.is_deceased(at("1900-01-01T00:00:00Z"))));
}

/// A visit tomorrow.
fn visit() -> Value {
    json!({"patient_id": PATIENT, "provider_id": DOCTOR, "appointment_type": "new"})
}

fn scheduled(starts_at: &str) -> appointment::Event {
    let more = json!({
        "starts_at": starts_at, "duration_minutes": 30, "slot": {"starts_at": starts_at, "duration_minutes": 30},
        "time_zone": "UTC", "priority": "normal", "insurance_verified": false, "outside_hours": false,
    });
    appointment::Event::Scheduled(ask(with(visit(), more)))
}

#[test]
fn nothing_is_scheduled_or_prescribed_for_the_dead() {
    let tomorrow = json!({"starts_at": "2026-11-24T10:00:00Z"});
    let schedule: ScheduleAppointment = ask(with(visit(), tomorrow.clone()));
    given([]).and::<Patient>(PATIENT, died()).when(schedule).then_refused(Refusal::Deceased);
    let walk_in: CheckInWalkIn = ask(visit());
    given([]).and::<Patient>(PATIENT, died()).when(walk_in).then_refused(Refusal::Deceased);
    let reschedule: RescheduleAppointment = ask(with(tomorrow, json!({"appointment_id": APPOINTMENT})));
    given([scheduled("2026-11-25T10:00:00Z")])
        .and::<Patient>(PATIENT, died())
        .when(reschedule)
        .then_refused(Refusal::Deceased);
    let item = json!({"medication_id": MEDICATION, "quantity": "1", "quantity_unit": "tablet"});
    let write: WritePrescription = ask(json!({"patient_id": PATIENT, "provider_id": DOCTOR, "items": [item]}));
    given([])
        .and::<Patient>(PATIENT, died())
        .and::<hims_domain::medication::Medication>(MEDICATION, [added_medication()])
        .when(write)
        .then_refused(Refusal::Deceased);
}

#[test]
fn what_an_import_tells_of_the_time_before_the_death_is_recorded() {
    let patient = fold::<Patient>(&died()).unwrap();
    assert!(!patient.is_deceased(at("2026-11-22T19:59:59Z")) && patient.is_deceased(at(EVENING)));
}

const LATER: Uuid = Uuid::from_u128(501);
const OVER: Uuid = Uuid::from_u128(502);

#[test]
fn the_open_appointments_after_the_death_are_cancelled() {
    let cancel = || CancelAppointmentsOfDeceased { patient_id: PATIENT };
    let booked = |starts_at: &str| slot(starts_at, 30);
    let [tomorrow, later] = ["2026-11-24T10:00:00Z", "2027-02-01T10:00:00Z"];
    let cancelled = || appointment::Event::Cancelled { reason: said("deceased") };
    let with_appointments = |events: Vec<Event>| {
        given(events.clone())
            .and::<Patient>(PATIENT, events)
            .and::<Appointment>(APPOINTMENT, [scheduled(tomorrow), appointment::Event::Confirmed])
            .and::<Appointment>(LATER, [scheduled(later)])
            .and::<Appointment>(OVER, [scheduled("2026-11-22T10:00:00Z")])
            .booked(PATIENT, booked("2026-11-22T10:00:00Z"), OVER)
            .booked(PATIENT, booked(tomorrow), APPOINTMENT)
            .booked(PATIENT, booked(later), LATER)
    };
    with_appointments(died().to_vec())
        .when(cancel())
        .then([])
        .then_also::<Appointment>(APPOINTMENT, [cancelled()])
        .then_also::<Appointment>(LATER, [cancelled()])
        .then_also::<Appointment>(OVER, [])
        .then_claims([crate::testing::of(APPOINTMENT, unbooks()), crate::testing::of(LATER, unbooks())]);
    // The death was revoked meanwhile, or the appointments are cancelled already.
    let [first, second] = died();
    let revoked = Event::DeathRevoked { reason: said("a namesake") };
    with_appointments(vec![first, second, revoked]).when(cancel()).then_nothing();
    given(died()).and::<Patient>(PATIENT, died()).when(cancel()).then_nothing();
}

#[test]
fn the_dead_are_taken_off_the_waiting_list_in_every_record() {
    let [entry, offered] = [id::<Uuid>(503), id::<Uuid>(504)];
    let [survivor, duplicate] = merged(&[], &died()[1..]);
    let joined = sample_with::<WaitlistEntry>("joined", json!({"patient_id": PATIENT}));
    let [joined_twice, held] = [
        sample_with::<WaitlistEntry>("joined", json!({"patient_id": OTHER_PATIENT})),
        sample_with::<WaitlistEntry>("offered", json!({})),
    ];
    let left = |opening| waitlist_entry::Event::Left { opening, reason: Some(said("deceased")) };
    let waitlist_entry::Event::Offered(offer) = held.clone() else { panic!("an offer") };
    let with_entries = |survivor: Vec<Event>, duplicate: Vec<Event>| {
        given(survivor.clone())
            .and::<Patient>(PATIENT, survivor)
            .and::<Patient>(OTHER_PATIENT, duplicate)
            .and::<WaitlistEntry>(entry, [joined.clone()])
            .and::<WaitlistEntry>(offered, [joined_twice.clone(), held.clone()])
            .owner(scopes::WAITLIST_OF_PATIENT, PATIENT, entry)
            .owner(scopes::WAITLIST_OF_PATIENT, OTHER_PATIENT, offered)
            .when(CancelAppointmentsOfDeceased { patient_id: PATIENT })
    };
    with_entries(survivor, duplicate)
        .then_also::<WaitlistEntry>(entry, [left(None)])
        .then_also::<WaitlistEntry>(offered, [left(Some(offer.opening))]);
    let [survivor, duplicate] = merged(&[], &[]);
    with_entries(survivor, duplicate).then_nothing();
}

#[test]
fn a_visit_that_has_begun_is_left_to_those_who_are_there() {
    let tomorrow = "2026-11-24T10:00:00Z";
    let begun =
        [scheduled(tomorrow), appointment::Event::CheckedIn { other_day_reason: None }, appointment::Event::Started];
    given(died())
        .and::<Patient>(PATIENT, died())
        .and::<Appointment>(id::<Uuid>(500), begun)
        .booked(PATIENT, slot(tomorrow, 30), id::<Uuid>(500))
        .when(CancelAppointmentsOfDeceased { patient_id: PATIENT })
        .then_nothing();
}

#[test]
fn each_provider_of_an_open_visit_is_told_of_a_death_once() {
    let tell = || Tell(TellOfDeath { patient_id: PATIENT, position: 7 });
    let with_other = |starts_at| {
        let appointment::Event::Scheduled(it) = scheduled(starts_at) else { panic!("scheduled") };
        appointment::Event::Scheduled(appointment::Scheduled { provider_id: OTHER_DOCTOR, ..it })
    };
    let [over, tomorrow, later, last] =
        ["2026-11-22T10:00:00Z", "2026-11-24T10:00:00Z", "2027-02-01T10:00:00Z", "2027-03-01T10:00:00Z"];
    let told = |visits: Vec<(&str, Uuid, Vec<appointment::Event>)>, events: Vec<Event>| {
        let given = given([])
            .and::<Patient>(PATIENT, events)
            .and::<User>(DOCTOR, [created()])
            .and::<User>(OTHER_DOCTOR, [created()]);
        let given = visits.into_iter().fold(given, |given, (starts_at, id, events)| {
            given.booked(PATIENT, slot(starts_at, 30), id).and::<Appointment>(id, events)
        });
        given.when(tell()).events().into_iter().next()
    };
    let visits = || {
        let begun = [with_other(last), appointment::Event::CheckedIn { other_day_reason: None }];
        vec![
            (over, OVER, vec![with_other(over)]),
            (tomorrow, APPOINTMENT.0, vec![scheduled(tomorrow), appointment::Event::Confirmed]),
            (later, LATER, vec![scheduled(later)]),
            (last, Uuid::from_u128(505), begun.to_vec()),
        ]
    };
    let Some(notification::Event::Created { content, recipients }) = told(visits(), died().to_vec()) else {
        panic!("a notice")
    };
    let people: Vec<_> = recipients.iter().map(|it| (it.user_id, it.patient_id)).collect();
    assert_eq!(people, [(Some(DOCTOR), None), (Some(OTHER_DOCTOR), None)]);
    assert_eq!(content.subject_patient_id, Some(PATIENT));
    let message = content.message.known().unwrap().as_str();
    assert!(message.contains("MRN") && message.contains("has died"), "{message}");
    // Nothing is told of a visit that was over before the death, of one that has begun, or of a death that was revoked.
    let mut alone = visits();
    alone.truncate(1);
    let begun =
        [scheduled(later), appointment::Event::CheckedIn { other_day_reason: None }, appointment::Event::Started];
    alone.push((later, LATER, begun.to_vec()));
    assert_eq!(told(alone, died().to_vec()), None);
    let revoked = Event::DeathRevoked { reason: said("a namesake") };
    assert_eq!(told(visits(), died().into_iter().chain([revoked]).collect()), None);
    // The event is asked about again.
    given([sample_with::<Notification>("created", json!({}))]).when(tell()).then_nothing();
}

/// Two records of one person, of which the second was merged into the first, each with further events.
fn merged(survivor: &[Event], duplicate: &[Event]) -> [Vec<Event>; 2] {
    let merged = Event::DuplicateMerged { duplicate_id: OTHER_PATIENT, brought: [].into(), reason: said("a namesake") };
    let into = Event::MergedInto { patient_id: PATIENT, reason: said("a namesake") };
    [[&[registered()], survivor, &[merged]].concat(), [&[registered()], duplicate, &[into]].concat()]
}

#[test]
fn a_death_in_one_record_counts_in_every_record_of_the_person() {
    let [survivor, duplicate] = merged(&[], &died()[1..]);
    let tomorrow = "2026-11-24T10:00:00Z";
    let schedule: ScheduleAppointment = ask(with(visit(), json!({"starts_at": tomorrow})));
    given([])
        .and::<Patient>(PATIENT, survivor.clone())
        .and::<Patient>(OTHER_PATIENT, duplicate.clone())
        .when(schedule)
        .then_refused(Refusal::Deceased);
    given(survivor.clone())
        .and::<Patient>(PATIENT, survivor.clone())
        .and::<Patient>(OTHER_PATIENT, duplicate.clone())
        .and::<Appointment>(APPOINTMENT, [scheduled(tomorrow)])
        .booked(PATIENT, slot(tomorrow, 30), APPOINTMENT)
        .when(CancelAppointmentsOfDeceased { patient_id: PATIENT })
        .then_also::<Appointment>(APPOINTMENT, [appointment::Event::Cancelled { reason: said("deceased") }]);
    given(survivor)
        .and::<Patient>(OTHER_PATIENT, duplicate)
        .when(revoke())
        .then([])
        .then_also::<Patient>(OTHER_PATIENT, [Event::DeathRevoked { reason: said("a namesake") }]);
}
