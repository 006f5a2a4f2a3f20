use super::*;
use crate::testing::world::somebody;
use crate::waitlist_entry::{ChangeWaitlistEntry, JoinWaitlist};

fn join(changes: Value) -> JoinWaitlist {
    ask(with(with(wanted(), json!({"id": ENTRY, "patient_id": PATIENT})), changes))
}

fn change(changes: Value) -> ChangeWaitlistEntry {
    ask(with(json!({"entry_id": ENTRY}), changes))
}

#[test]
fn who_joins_waits_and_is_found_by_patient_and_place() {
    given_entry([]).at(at("2026-11-23T09:00:00Z")).when(join(json!({}))).then([joined()]).then_claims([
        shares(scopes::WAITLIST_OF_PATIENT, PATIENT),
        shares(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT),
    ]);
    let of_doctor = json!({"department_id": null, "provider_id": DOCTOR});
    given_entry([])
        .when(join(of_doctor))
        .then_claims([shares(scopes::WAITLIST_OF_PATIENT, PATIENT), shares(scopes::WAITLIST_OF_PROVIDER, DOCTOR)]);
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    let earlier = scheduled(OTHER_PATIENT, slot("2026-12-20T14:00:00Z", 30));
    for (changes, code, pointer) in [
        (json!({"provider_id": DOCTOR}), "one-place", "/department_id"),
        (json!({"department_id": null}), "one-place", "/department_id"),
        (json!({"latest": "2026-11-22", "earliest": "2026-11-23"}), "ends-before-it-starts", "/latest"),
        (json!({"latest": "2026-11-22", "earliest": "2026-11-20"}), "in-the-past", "/latest"),
        (json!({"latest": "2029-11-22"}), "out-of-range", "/latest"),
        (json!({"duration_minutes": 0}), "out-of-range", "/duration_minutes"),
        (json!({"duration_minutes": 481}), "out-of-range", "/duration_minutes"),
        (json!({"weekdays": []}), "out-of-range", "/weekdays"),
        (json!({"weekdays": [1, 8]}), "out-of-range", "/weekdays"),
        (json!({"weekdays": [1, 1]}), "out-of-range", "/weekdays"),
        (json!({"time_from": "10:00", "time_until": "10:00"}), "ends-before-it-starts", "/time_until"),
        (json!({"gives_up_appointment_id": APPOINTMENT}), "unknown-reference", "/gives_up_appointment_id"),
        (json!({"gives_up_appointment_id": ENTRY}), "unknown-reference", "/gives_up_appointment_id"),
    ] {
        let then = given_entry([]).and::<Appointment>(APPOINTMENT, [earlier.clone()]).when(join(changes));
        then.then_field(code, pointer);
    }
    let wrong = json!({"department_id": null, "duration_minutes": 0, "latest": "2029-11-22", "weekdays": [8],
                       "time_from": "10:00", "time_until": "09:00"});
    let fields = ["/department_id", "/duration_minutes", "/latest", "/weekdays", "/time_until"];
    given_entry([]).when(join(wrong)).then_fields("one-place", &fields);
    // In New York, it is still the 22nd.
    let night = at("2026-11-23T03:00:00Z");
    let today = json!({"latest": "2026-11-22", "earliest": "2026-11-22"});
    assert!(given_entry([]).at(night).when(join(today)).is_accepted());
    let nobody = json!({"patient_id": id::<PatientId>(77)});
    assert_eq!(given_entry([]).when(join(nobody)).code(), Some("unknown-reference"));
}

#[test]
fn an_own_appointment_that_is_to_come_can_be_given_up() {
    let later = scheduled(PATIENT, slot("2026-12-20T14:00:00Z", 30));
    let gives_up = || join(json!({"gives_up_appointment_id": APPOINTMENT}));
    assert!(given_entry([]).and::<Appointment>(APPOINTMENT, [later.clone()]).when(gives_up()).is_accepted());
    let cancelled = [later, appointment::Event::Cancelled { reason: said("ill") }];
    given_entry([])
        .and::<Appointment>(APPOINTMENT, cancelled)
        .when(gives_up())
        .then_field("unknown-reference", "/gives_up_appointment_id");
}

#[test]
fn the_dead_the_erased_and_duplicates_do_not_join() {
    let of = |events: Vec<patient::Event>| in_hospital(given([])).and::<Patient>(PATIENT, events).when(join(json!({})));
    of(vec![registered(), died()]).then_code("deceased");
    let into = patient::Event::MergedInto { patient_id: OTHER_PATIENT, reason: said("twice") };
    of(vec![registered(), into]).then_code("merged");
    let erased =
        hims_testing::sample_with::<Patient>("registered", json!({"mrn": {"$erased": true, "$personal": null}}));
    of(vec![erased]).then_code("erased");
}

#[test]
fn patients_join_and_change_themselves_but_do_not_make_themselves_urgent() {
    let own = || given_entry([]).by(themselves());
    assert!(own().when(join(json!({}))).is_accepted());
    own().when(join(json!({"priority": "high"}))).then_field("priority-of-the-desk", "/priority");
    assert!(given_entry([]).by(somebody("receptionist")).when(join(json!({"priority": "high"}))).is_accepted());
    // What the hospital made urgent stays so, also when the patient changes something else.
    let urgent = || given_entry([joined_by(PATIENT, json!({"priority": "high"}))]).by(themselves());
    assert!(urgent().when(change(json!({"duration_minutes": 15}))).is_accepted());
    assert!(urgent().when(change(json!({"priority": "normal"}))).is_accepted());
    urgent().when(change(json!({"priority": "urgent"}))).then_field("priority-of-the-desk", "/priority");
}

#[test]
fn a_change_moves_the_keys_by_which_the_entry_is_found() {
    let to_doctor = change(json!({"department_id": null, "provider_id": DOCTOR}));
    let expected = wish(json!({"department_id": null, "provider_id": DOCTOR}));
    // The doctor of these tests works in no department, so the clocks of the hospital count.
    let changed = Event::Changed { wish: Box::new(expected), time_zone: "UTC".into() };
    given_entry([joined()]).when(to_doctor).then([changed]).then_claims([
        unshares(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT),
        shares(scopes::WAITLIST_OF_PROVIDER, DOCTOR),
    ]);
    given_entry([joined()]).when(change(json!({}))).then_nothing();
    given_entry([joined()]).when(change(json!({"provider_id": DOCTOR}))).then_code("one-place");
    given_entry([joined()]).when(change(json!({"earliest": null}))).then_code("invalid-fields");
}

#[test]
fn who_leaves_gives_back_what_was_held() {
    let left = |opening| Event::Left { opening, reason: Some(said("moved away")) };
    given_entry([joined()]).when(leave()).then([left(None)]).then_claims([
        unshares(scopes::WAITLIST_OF_PATIENT, PATIENT),
        unshares(scopes::WAITLIST_OF_DEPARTMENT, DEPARTMENT),
    ]);
    given_entry([joined(), offered()])
        .by(themselves())
        .when(leave())
        .then([left(Some(free()))])
        .then_claims([unshares(scopes::WAITLIST_OF_PATIENT, PATIENT), unbooks()]);
}

#[test]
fn nobody_waits_after_their_last_day() {
    let lapse = || LapseWaitlistEntry { entry_id: ENTRY.into() };
    // The 6th of December is over at five in UTC.
    let when = |events: Vec<Event>, now: &str| given_entry(events).at(at(now)).when(lapse());
    when(vec![joined()], "2026-12-07T04:59:59Z").then_nothing();
    when(vec![joined()], "2026-12-07T05:00:00Z").then([Event::Lapsed { opening: None }]);
    for (status, events) in every_status() {
        if status != Status::Waiting {
            when(events, "2026-12-07T05:00:00Z").then_nothing();
        }
    }
}
