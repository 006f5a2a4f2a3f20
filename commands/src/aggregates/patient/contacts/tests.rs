use hims_domain::patient::contact_of_demographics;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::aggregates::patient::ChangePatientDemographics;
use crate::scopes::PATIENT_EMERGENCY_CONTACT;
use crate::testing::samples::{PATIENT, ann, ask, registered, registered_as, with};
use crate::testing::{given, releases, takes};

const CLARA: EmergencyContactId = EmergencyContactId(Uuid::from_u128(50));
const BORIS: EmergencyContactId = EmergencyContactId(Uuid::from_u128(51));

fn clara() -> Value {
    json!({"name": "Clara Bell", "relationship": "sister", "phone_primary": "+15554153087"})
}

fn boris() -> Value {
    json!({"name": "Boris Bell", "relationship": "husband", "email": "boris@example.org"})
}

fn added(contact_id: EmergencyContactId, contact: Value, order: &[EmergencyContactId], first: Value) -> Event {
    let (contact, first) = (ask(contact), Some(ask(first)));
    Event::EmergencyContactAdded { contact_id, contact, order: order.to_vec(), first }
}

fn changed(contact_id: EmergencyContactId, contact: Value, order: &[EmergencyContactId], first: Value) -> Event {
    let (contact, first) = (ask(contact), Some(ask(first)));
    Event::EmergencyContactChanged { contact_id, contact, order: order.to_vec(), first }
}

fn add(contact_id: EmergencyContactId, contact: Value, more: Value) -> AddEmergencyContact {
    ask(with(with(json!({"patient_id": PATIENT, "contact_id": contact_id}), contact), more))
}

fn change(contact_id: EmergencyContactId, changes: Value) -> ChangeEmergencyContact {
    ask(with(json!({"patient_id": PATIENT, "contact_id": contact_id}), changes))
}

fn remove(contact_id: EmergencyContactId) -> RemoveEmergencyContact {
    RemoveEmergencyContact { patient_id: PATIENT, contact_id }
}

/// Ann, whose sister is called before her husband.
fn both() -> [Event; 3] {
    [registered(), added(CLARA, clara(), &[CLARA], clara()), added(BORIS, boris(), &[CLARA, BORIS], clara())]
}

/// Ann as an earlier release registered her: with a contact in the demographics only.
fn with_contact_in_demographics() -> Event {
    let contact = json!({"emergency_contact_name": "Boris Bell", "emergency_contact_relationship": "husband"});
    registered_as(with(ann(), contact))
}

#[test]
fn a_contact_comes_last_unless_a_place_is_given() {
    given([registered()]).when(add(CLARA, clara(), json!({}))).then([added(CLARA, clara(), &[CLARA], clara())]);
    let one = || given([registered(), added(CLARA, clara(), &[CLARA], clara())]);
    one()
        .when(add(BORIS, boris(), json!({})))
        .then([added(BORIS, boris(), &[CLARA, BORIS], clara())])
        .then_claims([takes(PATIENT_EMERGENCY_CONTACT, BORIS)]);
    one().when(add(BORIS, boris(), json!({"priority": 1}))).then([added(BORIS, boris(), &[BORIS, CLARA], boris())]);
    one().when(add(BORIS, boris(), json!({"priority": 9}))).then([added(BORIS, boris(), &[CLARA, BORIS], clara())]);
    for priority in [0, -1, 11] {
        let then = one().when(add(BORIS, boris(), json!({ "priority": priority })));
        then.then_field("out-of-range", "/priority");
    }
    one().when(add(CLARA, boris(), json!({}))).then_code("already-exists");
}

#[test]
fn a_contact_can_be_reached() {
    let nowhere = with(clara(), json!({"phone_primary": null, "address": "2 Main Street"}));
    given([registered()]).when(add(CLARA, nowhere, json!({}))).then_field("no-way-to-reach", "/phone_primary");
    given(both()).when(change(BORIS, json!({"email": null}))).then_field("no-way-to-reach", "/phone_primary");
    given(both()).when(change(CLARA, json!({"name": null}))).then_field("invalid-fields", "/name");
    for reached in [json!({"phone_secondary": "+15554153088"}), json!({"email": "clara@example.org"})] {
        let contact = with(with(clara(), json!({"phone_primary": null})), reached);
        assert!(given([registered()]).when(add(CLARA, contact, json!({}))).is_accepted());
    }
}

#[test]
fn there_are_ten_contacts_at_most() {
    let ids: Vec<EmergencyContactId> = (0..10).map(|it| Uuid::from_u128(60 + it).into()).collect();
    let known = (1..=10).map(|it| added(ids[it - 1], clara(), &ids[..it], clara()));
    let full: Vec<_> = [registered()].into_iter().chain(known).collect();
    given(full.clone()).when(add(BORIS, boris(), json!({}))).then_code("too-many-contacts");
    assert!(given(full).when(remove(ids[3])).is_accepted());
}

#[test]
fn a_contact_is_changed_and_moved() {
    let moved = with(boris(), json!({"phone_primary": "+15554153099"}));
    given(both())
        .when(change(BORIS, json!({"phone_primary": "+15554153099", "priority": 1})))
        .then([changed(BORIS, moved.clone(), &[BORIS, CLARA], moved.clone())])
        .then_claims([]);
    given(both()).when(change(BORIS, json!({"phone_primary": "+15554153099"}))).then([changed(
        BORIS,
        moved,
        &[CLARA, BORIS],
        clara(),
    )]);
    given(both()).when(change(BORIS, json!({"priority": 2}))).then_nothing();
    given(both()).when(change(BORIS, json!({"name": "Boris Bell"}))).then_nothing();
    given([registered()]).when(change(BORIS, json!({"priority": 2}))).then_code("not-found");
}

#[test]
fn who_is_removed_makes_room_for_the_next() {
    let removed = |contact_id, order: &[EmergencyContactId], first: Option<Value>| Event::EmergencyContactRemoved {
        contact_id,
        order: order.to_vec(),
        first: first.map(ask),
    };
    given(both())
        .when(remove(CLARA))
        .then([removed(CLARA, &[BORIS], Some(boris()))])
        .then_claims([releases(PATIENT_EMERGENCY_CONTACT, CLARA)]);
    let [registered, clara, _] = both();
    given([registered, clara]).when(remove(CLARA)).then([removed(CLARA, &[], None)]);
    given(both()).when(remove(contact_of_demographics(PATIENT))).then_code("not-found");
}

#[test]
fn a_contact_of_the_demographics_is_a_contact_among_others() {
    let husband = contact_of_demographics(PATIENT);
    let known = json!({"name": "Boris Bell", "relationship": "husband"});
    given([with_contact_in_demographics()]).when(add(CLARA, clara(), json!({"priority": 1}))).then([added(
        CLARA,
        clara(),
        &[CLARA, husband],
        clara(),
    )]);
    let reached = with(known, json!({"phone_primary": "+15554153099"}));
    given([with_contact_in_demographics()])
        .when(change(husband, json!({"phone_primary": "+15554153099"})))
        .then([changed(husband, reached.clone(), &[husband], reached)]);
    // An order alone needs nothing else of the contact.
    let first = added(CLARA, clara(), &[CLARA, husband], clara());
    let moved = given([with_contact_in_demographics(), first]).when(change(husband, json!({"priority": 1})));
    assert!(moved.is_accepted());
}

fn change_demographics(of: impl IntoIterator<Item = Event>, changes: Value) -> Vec<Event> {
    let command: ChangePatientDemographics = ask(with(json!({"patient_id": PATIENT}), changes));
    given(of).when(command).events()
}

#[test]
fn demographics_name_the_first_contact() {
    let renamed = change_demographics(both(), json!({"emergency_contact_name": "Clara Cole"}));
    let [Event::DemographicsChanged(demographics)] = renamed.as_slice() else { panic!("{renamed:?}") };
    assert_eq!(demographics.emergency_contact_phone, ask(json!("+15554153087")));
    let patient: Patient = hims_domain::fold(&[both().to_vec(), renamed].concat()).unwrap();
    let known: Vec<_> = patient.emergency_contacts.of(PATIENT).map(|(id, it)| (id, it.name.clone())).collect();
    assert_eq!(
        known,
        [(CLARA, Some("Clara Cole".into())), (BORIS, Some("Boris Bell".into()))]
            .map(|(id, name): (_, Option<Name<200>>)| (id, name.map(Personal::Known)))
    );
}

#[test]
fn nothing_in_the_demographics_removes_the_first_contact() {
    let nothing = json!({"emergency_contact_name": null, "emergency_contact_relationship": null,
                         "emergency_contact_phone": null});
    let removed = Event::EmergencyContactRemoved { contact_id: CLARA, order: vec![BORIS], first: Some(ask(boris())) };
    assert_eq!(change_demographics(both(), nothing.clone()), std::slice::from_ref(&removed));
    let events = change_demographics(both(), with(nothing, json!({"city": "Springfield"})));
    let [first, Event::DemographicsChanged(demographics)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(*first, removed);
    assert_eq!(demographics.emergency_contact_name, ask(json!("Boris Bell")));
}
