use chrono::TimeDelta;
use hims_testing::sample;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::testing::samples::{PATIENT, ask, registered, with};
use crate::testing::{given, now};

const DISCLOSURE: DisclosureId = DisclosureId(Uuid::from_u128(0xd1));

fn record(changes: Value) -> RecordDisclosure {
    let least = json!({"patient_id": PATIENT, "disclosed_at": now(), "recipient_name": "Department of Health",
                       "description": "A test for measles", "purpose": "public_health"});
    ask(with(least, changes))
}

#[test]
fn a_disclosure_is_recorded_after_it_has_happened() {
    let recorded = |hours| {
        let at = now() + TimeDelta::hours(hours);
        given([]).and::<Patient>(PATIENT, [registered()]).when(record(json!({"disclosed_at": at})))
    };
    let Event::Recorded(it) = recorded(-300).then_event() else { panic!("recorded") };
    assert_eq!((it.patient_id, it.account.disclosed_at), (PATIENT, now() - TimeDelta::hours(300)));
    recorded(1).then_field("in-the-future", "/disclosed_at");
    given([]).when(record(json!({}))).then_field("unknown-reference", "/patient_id");
}

#[test]
fn what_was_recorded_by_mistake_is_marked_once() {
    let mark = || MarkDisclosureEnteredInError {
        disclosure_id: DISCLOSURE,
        reason: Personal::Known("of another patient".into()),
    };
    let marked = Event::MarkedEnteredInError { reason: Personal::Known("of another patient".into()) };
    given([sample::<Disclosure>("recorded")]).when(mark()).then([marked.clone()]);
    given([sample::<Disclosure>("recorded"), marked]).when(mark()).then([]);
}
