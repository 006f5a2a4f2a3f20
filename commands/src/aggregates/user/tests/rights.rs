use super::*;

#[test]
fn nobody_gives_or_takes_over_more_than_they_have() {
    let as_role = |role| json!({"role_id": role_id(role), "password": "correct horse battery"});
    let nurse = somebody("nurse");
    given_user([]).by(nurse.clone()).when(create(as_role("doctor"))).then_refused(Refusal::NotAbove);
    let more = json!({"role_id": role_id("nurse"), "additional_role_ids": [role_id("administrator")]});
    given_user([]).by(nurse.clone()).when(create(more)).then_refused(Refusal::NotAbove);
    assert!(given_user([]).by(nurse.clone()).when(create(as_role("nurse"))).is_accepted());
    given_user([created()]).by(nurse).when(reset_password()).then_refused(Refusal::NotAbove);
    let administrator = somebody("administrator");
    assert!(given_user([created()]).by(administrator.clone()).when(reset_password()).is_accepted());
    assert!(given_user([]).by(administrator).when(create(as_role("doctor"))).is_accepted());
}

/// Every command on a user who exists already, but for the change of roles, which needs the right to give any role.
fn every_change(by: &Caller, of: &Event) -> [(&'static str, Option<&'static str>); 7] {
    fn code<C: Command<Aggregate = User>>(by: &Caller, of: &Event, command: C) -> Option<&'static str> {
        let active = [of.clone()];
        let inactive = [of.clone(), Event::Deactivated];
        let events = if C::NAME == ReactivateUser::NAME { inactive.to_vec() } else { active.to_vec() };
        with_sessions(given_user(events)).by(by.clone()).when(command).code()
    }
    [
        ("profile", code(by, of, change_profile(json!({"first_name": "Ros"})))),
        ("department", code(by, of, move_to(Some(DEPARTMENT)))),
        ("deactivate", code(by, of, deactivate())),
        ("reactivate", code(by, of, reactivate())),
        ("link", code(by, of, link(PATIENT))),
        ("unlink", code(by, of, unlink())),
        ("password", code(by, of, reset_password())),
    ]
}

#[test]
fn nobody_changes_somebody_who_may_do_more() {
    let clerk = somebody("receptionist");
    let (above, within) = (administrator(), created_with(json!({"role_id": role_id("receptionist")})));
    for (what, code) in every_change(&clerk, &above) {
        assert_eq!(code, Some("forbidden"), "{what}");
    }
    for (what, code) in every_change(&clerk, &within) {
        assert_eq!(code, None, "{what}");
    }
    // An additional role counts as well, and who may give any role is above nobody.
    let also = created_with(json!({"role_id": role_id("receptionist"), "additional_role_ids": [role_id("doctor")]}));
    for (what, code) in every_change(&clerk, &also) {
        assert_eq!(code, Some("forbidden"), "{what}");
    }
    for (what, code) in every_change(&somebody("administrator"), &created()) {
        assert_eq!(code, None, "{what}");
    }
}
