use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{PATIENT, ask, registered, with};
use crate::testing::{ASKING, given, now};

const ACCESS: EmergencyAccessId = EmergencyAccessId(Uuid::from_u128(0xea));

fn request(changes: Value) -> RequestEmergencyAccess {
    ask(with(json!({"patient_id": PATIENT, "reason": "collapsed in the corridor"}), changes))
}

fn review(finding: Finding) -> ReviewEmergencyAccess {
    ReviewEmergencyAccess { emergency_access_id: ACCESS, finding, note: None }
}

#[test]
fn an_access_lasts_an_hour_unless_told() {
    for (minutes, lasts) in [(json!({}), 60), (json!({"minutes": 15}), 15)] {
        let event = given([]).and::<Patient>(PATIENT, [registered()]).when(request(minutes)).then_event();
        let Event::Granted { patient_id, user_id, granted_at, ends_at, .. } = event else { panic!("{event:?}") };
        assert_eq!((patient_id, user_id.0, granted_at), (PATIENT, ASKING, now()));
        assert_eq!(ends_at - granted_at, TimeDelta::minutes(lasts));
    }
    let by_system = given([]).by(Caller::system("import")).and::<Patient>(PATIENT, [registered()]);
    by_system.when(request(json!({}))).then_refused(Refusal::NoUser);
    for minutes in [0, 241] {
        let given = given([]).and::<Patient>(PATIENT, [registered()]);
        given.when(request(json!({"minutes": minutes}))).then_refused(Refusal::Minutes);
    }
}

#[test]
fn whoever_took_the_access_gives_it_back_and_somebody_else_reviews_it() {
    let end = || EndEmergencyAccess { emergency_access_id: ACCESS };
    let own = || {
        let ends_at = now() + TimeDelta::minutes(30);
        sample_with::<EmergencyAccess>("granted", json!({"user_id": ASKING, "ends_at": ends_at}))
    };
    let of_another = || sample::<EmergencyAccess>("granted");
    given([own()]).when(end()).then([Event::Ended { ended_at: now() }]);
    given([own()]).when(review(Finding::Justified)).then_refused(Refusal::OwnAccess);
    let reviewed = |finding| Event::Reviewed { finding, note: None, reviewed_at: now() };
    given([of_another()]).when(review(Finding::NotJustified)).then([reviewed(Finding::NotJustified)]);
    let again = |finding| given([of_another(), reviewed(Finding::Justified)]).when(review(finding));
    again(Finding::Justified).then([]);
    again(Finding::NotJustified).then_refused(Refusal::Reviewed { review: Review::Justified });
}
