use hims_testing::sample_with;
use serde_json::{Value, json};

use super::*;
use crate::role_id;
use crate::testing::samples::{DOCTOR, OTHER_PATIENT, PATIENT, ask, created_with, defined, registered, with};
use crate::testing::{Given, given, now};

const ASSIGNMENT: CareTeamAssignmentId = CareTeamAssignmentId(Uuid::from_u128(0xca));

fn given_team(role: &str, user: Value) -> Given<CareTeamAssignment> {
    let user = created_with(with(json!({"role_id": role_id(role), "additional_role_ids": []}), user));
    let given = given([]).and::<Patient>(PATIENT, [registered()]).and::<User>(DOCTOR, [user]);
    given.and::<Role>(role_id(role), [defined(role)])
}

fn assign(changes: Value) -> AssignCareTeamMember {
    ask(with(json!({"patient_id": PATIENT, "user_id": DOCTOR}), changes))
}

#[test]
fn somebody_who_reads_charts_is_assigned_from_now_on() {
    let event = given_team("nurse", json!({})).when(assign(json!({"reason": "primary nurse"}))).then_event();
    let Event::Assigned { patient_id, user_id, participation, starts_at, ends_at, .. } = event else { panic!() };
    assert_eq!((patient_id, user_id, participation), (PATIENT, DOCTOR, Participation::Member));
    assert_eq!((starts_at, ends_at), (now(), None));
    given_team("receptionist", json!({})).when(assign(json!({}))).then_field("not-entitled", "/user_id");
}

#[test]
fn an_assignment_has_its_time() {
    let at = |hours| now() + TimeDelta::hours(hours);
    let when = |from, until| given_team("nurse", json!({})).when(assign(json!({"starts_at": from, "ends_at": until})));
    assert!(when(at(1), at(2)).is_accepted());
    when(at(-1), at(2)).then_refused(Refusal::InThePast);
    when(at(2), at(2)).then_refused(Refusal::EndsBeforeItStarts);
}

#[test]
fn who_has_left_or_is_the_patient_is_not_assigned() {
    let assigned = sample_with::<CareTeamAssignment>("assigned", json!({"patient_id": OTHER_PATIENT}));
    assert!(
        given([assigned])
            .when(EndCareTeamAssignment { care_team_assignment_id: ASSIGNMENT, reason: None })
            .is_accepted()
    );
    let given = given_team("nurse", json!({})).and::<User>(
        DOCTOR,
        [created_with(json!({"role_id": role_id("nurse")})), hims_domain::user::Event::Deactivated],
    );
    given.when(assign(json!({}))).then_refused(Refusal::NotActive);
    let linked = hims_domain::user::Event::LinkedToPatient { patient_id: PATIENT };
    let given = given_team("nurse", json!({}))
        .and::<User>(DOCTOR, [created_with(json!({"role_id": role_id("nurse")})), linked]);
    given.when(assign(json!({}))).then_refused(Refusal::IsThePatient);
}
