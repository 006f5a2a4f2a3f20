mod delivering;
mod sending;

use chrono::{DateTime, Utc};
use hims_domain::notification::{Channel, Content, FailureReason, Recipient};
use hims_domain::notification_preferences::{self, NotificationPreferences, Person};
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::{PatientId, UserId};
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{DOCTOR, OTHER_DOCTOR, PATIENT, ask, created_with, registered_as, with};
use crate::testing::world::{somebody, user};
use crate::testing::{Given, at, given, id};

/// Ann Bell, with an e-mail address and a phone number.
fn ann(changes: Value) -> hims_domain::patient::Event {
    let reached = json!({"email": "ann@example.org", "phone_primary": "+12125550177"});
    registered_as(with(with(crate::testing::samples::ann(), reached), changes))
}

fn wishes(person: Person, wishes: Value) -> (Uuid, notification_preferences::Event) {
    let (user_id, patient_id) = match person {
        Person::UserId(id) => (Some(id), None),
        Person::PatientId(id) => (None, Some(id)),
    };
    let event = notification_preferences::Event::Set { user_id, patient_id, wishes: ask(wishes) };
    (NotificationPreferences::stream_of(person), event)
}

/// A hospital with two users and a patient who has a login.
fn hospital(events: impl IntoIterator<Item = Event>) -> Given<Notification> {
    let login = json!({"email": "ann.login@example.org"});
    let linked = sample_with::<User>("linked_to_patient", json!({"patient_id": PATIENT}));
    given(events)
        .and::<User>(DOCTOR, [created_with(json!({}))])
        .and::<User>(OTHER_DOCTOR, [created_with(login), linked])
        .and::<Patient>(PATIENT, [ann(json!({}))])
        .owner(scopes::USER_PATIENT, PATIENT, OTHER_DOCTOR)
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn send(recipients: Value, more: Value) -> SendNotification {
    let body = json!({"type": "system", "title": "Water", "message": "The water is off from noon.",
                      "recipients": recipients});
    ask(with(body, more))
}

fn created_event(more: Value) -> Event {
    sample_with::<Notification>("created", more)
}

/// The ids of the golden notification's recipients: patient by e-mail and in the program, a number, a user.
const R: [u128; 5] = [0x81, 0x82, 0x83, 0x84, 0x85];

fn recipient(nth: usize) -> NotificationRecipientId {
    id(R[nth])
}

#[test]
fn only_a_recipient_has_read_a_notification() {
    let read = || ask::<MarkNotificationRead>(json!({"notification_id": Uuid::from_u128(1)}));
    let state = hims_domain::fold::<Notification>([&created_event(json!({}))]).unwrap();
    let patient = Caller { patient_id: Some(PATIENT), ..somebody("patient") };
    for (caller, is_own) in [
        (user(DOCTOR, "doctor"), true),
        (patient.clone(), true),
        (user(OTHER_DOCTOR, "administrator"), false),
        (Caller { patient_id: Some(id(77)), ..somebody("patient") }, false),
    ] {
        assert_eq!(read().is_own(Some(&state), &caller), is_own, "{caller:?}");
        assert!(!read().is_own(None, &caller));
    }
    let sent = Event::Sent { recipient_id: recipient(0) };
    let told = || given([created_event(json!({})), sent.clone()]);
    // Within the program and by e-mail; what is on its way is not read.
    let both = [0, 1].map(|nth| Event::Read { recipient_id: recipient(nth) });
    told().by(patient.clone()).when(read()).then(both.clone());
    let again = given([created_event(json!({})), sent.clone()].into_iter().chain(both));
    again.by(patient).when(read()).then_nothing();
}

#[test]
fn a_gateway_tells_whether_a_message_arrived() {
    let report = |nth: usize, status: &str| {
        let body = json!({"notification_id": Uuid::from_u128(1), "recipient_id": recipient(nth), "status": status});
        ask::<RecordDeliveryStatus>(body)
    };
    let attempted = Event::Attempted { recipient_id: recipient(2), attempt: 1, next_attempt_at: None };
    let sent = Event::Sent { recipient_id: recipient(2) };
    let delivered = Event::Delivered { recipient_id: recipient(2), detail: None };
    let failed = undelivered(2);
    let after =
        |events: &[&Event]| given([created_event(json!({}))].into_iter().chain(events.iter().map(|it| (*it).clone())));
    after(&[]).when(report(2, "delivered")).then_code("wrong-status");
    after(&[&attempted]).when(report(2, "delivered")).then([delivered.clone()]);
    after(&[&attempted, &sent]).when(report(2, "delivered")).then([delivered.clone()]);
    after(&[&attempted, &sent]).when(report(2, "failed")).then([failed.clone()]);
    after(&[&attempted, &sent, &delivered]).when(report(2, "delivered")).then_nothing();
    after(&[&attempted, &sent, &delivered]).when(report(2, "failed")).then_code("wrong-status");
    after(&[&attempted, &failed]).when(report(2, "failed")).then_nothing();
    after(&[]).when(report(1, "failed")).then_code("wrong-status");
    let mut unknown = report(2, "failed");
    unknown.recipient_id = id(7);
    after(&[]).when(unknown).then_code("not-found");
}

fn undelivered(nth: usize) -> Event {
    Event::Failed { recipient_id: recipient(nth), reason: FailureReason::Undelivered, detail: None }
}
