use hims_testing::sample;
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{DOCTOR, OTHER_DOCTOR, PATIENT, ask, created, registered};
use crate::testing::world::{somebody, user};
use crate::testing::{Given, given};

fn hospital() -> Given<NotificationPreferences> {
    given([])
        .and::<User>(DOCTOR, [created()])
        .and::<User>(OTHER_DOCTOR, [created()])
        .and::<Patient>(PATIENT, [registered()])
}

fn set(body: Value) -> SetNotificationPreferences {
    ask(body)
}

fn of_patient(more: Value) -> SetNotificationPreferences {
    set(crate::testing::samples::with(json!({"patient_id": PATIENT}), more))
}

#[test]
fn everybody_sets_their_own_and_the_front_desk_those_of_patients() {
    let own = set(json!({"user_id": DOCTOR, "channels": {"low_stock": ["email"]}, "quiet_from": "8:30"}));
    let Event::Set { user_id, patient_id, wishes } =
        hospital().by(user(DOCTOR, "doctor")).when(own.clone()).then_event();
    assert_eq!((user_id, patient_id), (Some(DOCTOR), None));
    assert_eq!(wishes.quiet_from.map(|it| it.to_string()).as_deref(), Some("08:30"));
    hospital().by(user(OTHER_DOCTOR, "receptionist")).when(own).then_code("forbidden");
    assert!(hospital().by(somebody("receptionist")).when(of_patient(json!({}))).is_accepted());
}

#[test]
fn who_may_set_preferences_without_the_permission() {
    let patient = |id| Caller { patient_id: Some(id), ..somebody("patient") };
    assert!(of_patient(json!({})).is_own(None, &patient(PATIENT)));
    assert!(!of_patient(json!({})).is_own(None, &patient(crate::testing::samples::OTHER_PATIENT)));
    // Naming oneself beside a patient gives no right to the patient's preferences.
    let both = of_patient(json!({"user_id": DOCTOR}));
    assert!(!both.is_own(None, &user(DOCTOR, "doctor")));
    hospital().when(both).then_field("whose-preferences", "/user_id");
    hospital().when(set(json!({}))).then_field("whose-preferences", "/user_id");
    assert!(set(json!({})).is_own(None, &user(DOCTOR, "doctor")), "who names nobody is told so");
}

#[test]
fn setting_the_same_again_is_quiet() {
    let known = sample::<NotificationPreferences>("set");
    let Event::Set { wishes, .. } = known.clone();
    let same = SetNotificationPreferences { user_id: None, patient_id: Some(PATIENT), wishes };
    let again = given([known]).and::<Patient>(PATIENT, [registered()]);
    again.when(same).then_nothing();
}

#[test]
fn what_there_is_not_is_refused_all_at_once() {
    let wrong = json!({"channels": {"weather": ["sms"], "critical_result": ["email"], "low_stock": []},
                       "time_zone": "Mars/North", "language": "de--1"});
    let pointers = ["/channels/critical_result", "/channels/weather", "/time_zone", "/language"];
    hospital().when(of_patient(wrong)).then_fields("invalid-fields", &pointers);
}
