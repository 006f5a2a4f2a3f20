use super::*;
use crate::testing::Then;

const TO_PATIENT: usize = 0;
const TO_NUMBER: usize = 2;
const TO_USER: usize = 3;

fn attempt(nth: usize, attempt: i32) -> AttemptDelivery {
    AttemptDelivery { notification_id: id(1), recipient_id: recipient(nth), attempt }
}

/// The golden notification, about no visit, which does not expire.
fn notified() -> Event {
    created_event(json!({"content": {"expires_at": null, "visit": null}}))
}

fn told(more: Event) -> Given<Notification> {
    hospital([notified(), more])
}

#[track_caller]
fn next(then: Then<Notification>) -> Option<DateTime<Utc>> {
    match then.then_event() {
        Event::Attempted { next_attempt_at, .. } => next_attempt_at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_try_is_recorded_once_before_the_notification_is_sent() {
    let Event::Attempted { recipient_id, attempt: number, next_attempt_at } =
        hospital([notified()]).when(attempt(TO_PATIENT, 1)).then_event()
    else {
        panic!("the try is recorded")
    };
    assert_eq!((recipient_id, number), (recipient(TO_PATIENT), 1));
    let wait = next_attempt_at.unwrap() - crate::testing::now();
    assert!((27_000..=33_000).contains(&wait.num_milliseconds()), "{wait}");
    let tried = Event::Attempted { recipient_id, attempt: 1, next_attempt_at };
    told(tried.clone()).when(attempt(TO_PATIENT, 1)).then_nothing();
    assert!(next(told(tried.clone()).when(attempt(TO_PATIENT, 2))).is_some());
    let eighth = Event::Attempted { recipient_id, attempt: 8, next_attempt_at };
    assert_eq!(next(told(eighth).when(attempt(TO_PATIENT, 9))), None, "there are nine tries");
    told(Event::Sent { recipient_id }).when(attempt(TO_PATIENT, 1)).then_nothing();
}

#[test]
fn what_changed_since_the_notification_was_written_counts() {
    let failed = |nth: usize, reason| Event::Failed { recipient_id: recipient(nth), reason, detail: None };
    let wanted = json!({"channels": {"appointment_reminder": ["in_app"]}});
    let (stream, set) = wishes(Person::PatientId(PATIENT), wanted);
    let opted_out = hospital([notified()]).and::<NotificationPreferences>(stream, [set]);
    opted_out.when(attempt(TO_PATIENT, 1)).then([failed(TO_PATIENT, FailureReason::OptedOut)]);
    let died = sample_with::<Patient>("death_recorded", json!({}));
    let dead = given([notified()]).and::<Patient>(PATIENT, [ann(json!({})), died]);
    dead.when(attempt(TO_PATIENT, 1)).then([failed(TO_PATIENT, FailureReason::Gone)]);
    let left = given([notified()]).and::<User>(DOCTOR, [created_with(json!({})), sample::<User>("deactivated")]);
    left.when(attempt(TO_USER, 1)).then([failed(TO_USER, FailureReason::Gone)]);
    let unreachable = given([notified()]).and::<Patient>(PATIENT, [ann(json!({"email": null}))]);
    unreachable.when(attempt(TO_PATIENT, 1)).then([failed(TO_PATIENT, FailureReason::NoAddress)]);
}

#[test]
fn in_quiet_hours_the_notification_is_sent_later_or_never() {
    let evening = at("2026-11-23T22:30:00Z");
    let until = at("2026-11-24T08:00:00Z");
    let postponed = Event::Postponed { recipient_id: recipient(TO_NUMBER), next_attempt_at: until };
    hospital([notified()]).at(evening).when(attempt(TO_NUMBER, 1)).then([postponed]);
    let expiring = created_event(json!({"content": {"expires_at": until, "visit": null}}));
    let expired = Event::Expired { recipient_id: recipient(TO_NUMBER) };
    hospital([expiring.clone()]).at(evening).when(attempt(TO_NUMBER, 1)).then([expired.clone()]);
    hospital([expiring]).at(until).when(attempt(TO_NUMBER, 1)).then([expired]);
    // A try that fails in the evening is repeated in the morning.
    let late = at("2026-11-23T20:59:50Z");
    assert_eq!(next(hospital([notified()]).at(late).when(attempt(TO_NUMBER, 1))), Some(until));
}

#[test]
fn no_further_try_comes_after_the_notification_expired() {
    let soon = created_event(json!({"content": {"expires_at": "2026-11-23T10:00:20Z", "visit": null}}));
    assert_eq!(next(hospital([soon]).when(attempt(TO_PATIENT, 1))), None);
}

#[test]
fn a_delivery_ends_once() {
    let (notification_id, recipient_id) = (id(1), recipient(TO_PATIENT));
    let sent = || RecordSent { notification_id, recipient_id };
    let reason = FailureReason::Refused;
    let fail = || FailDelivery { notification_id, recipient_id, reason, detail: None };
    hospital([notified()]).when(sent()).then([Event::Sent { recipient_id }]);
    hospital([notified()]).when(fail()).then([Event::Failed { recipient_id, reason, detail: None }]);
    for end in [Event::Sent { recipient_id }, Event::Failed { recipient_id, reason, detail: None }] {
        told(end.clone()).when(sent()).then_nothing();
        told(end).when(fail()).then_nothing();
    }
}
