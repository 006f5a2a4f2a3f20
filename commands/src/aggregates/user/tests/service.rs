use hims_domain::ClientSecretId;
use hims_domain::permission::{Create, Read};
use hims_domain::role::Permissions;
use hims_domain::user::ClientSecret;

use super::super::service::AddClientSecret;
use super::*;

const SECRET: ClientSecretId = ClientSecretId(Uuid::from_u128(0xc1));

fn scopes(text: &str) -> Permissions {
    Permissions::parse(text).unwrap()
}

fn scopes_set(text: &str) -> Event {
    Event::ScopesSet { scopes: scopes(text) }
}

fn create_service(scopes: &Value) -> CreateServiceAccount {
    let body = json!({"name": "Laboratory interface", "email": "Lab@Example.org", "role_id": role_id("doctor")});
    ask(with(body, json!({ "scopes": scopes })))
}

/// The secret with a number, added when these were good for so many hours yet.
fn added(number: u128, hours: i64, former_hours: i64) -> Event {
    Event::ClientSecretAdded {
        secret_id: Uuid::from_u128(number).into(),
        client_secret_hash: format!("hash {number}").into(),
        expires_at: now() + TimeDelta::hours(hours),
        former_expires_at: now() + TimeDelta::hours(former_hours),
    }
}

fn add() -> AddClientSecret {
    AddClientSecret {
        user_id: DOCTOR,
        secret_id: SECRET,
        client_secret_hash: "hash 193".to_owned().into(),
        expires_at: now() + TimeDelta::hours(9),
        former_expires_at: now() + TimeDelta::hours(2),
    }
}

#[test]
fn a_service_account_has_no_password_and_a_part_of_its_role() {
    let created = created_with(json!({
        "email": "lab@example.org",
        "profile": {"first_name": null, "last_name": "Laboratory interface", "phone": null, "avatar_url": null},
    }));
    given_user([])
        .when(create_service(&json!({"read": [Read::ClinicalRecords], "create": [Create::VitalSigns]})))
        .then([created, scopes_set("create:vital_signs read:clinical_records")]);
    given_user([]).when(create_service(&json!({"read": [Read::AllData]}))).then_field("not-in-role", "/scopes");
    given_user([]).by(somebody("nurse")).when(create_service(&json!({}))).then_refused(Refusal::NotAbove);
}

#[test]
fn scopes_change_within_the_roles_and_only_of_service_accounts() {
    let change = |scopes: Value| ask::<ChangeServiceAccountScopes>(json!({"user_id": DOCTOR, "scopes": scopes}));
    let service = || given_user([created(), scopes_set("read:staff")]);
    service().when(change(json!({"create": ["prescriptions"]}))).then([scopes_set("read:staff create:prescriptions")]);
    service().when(change(json!({"read": ["staff"]}))).then_nothing();
    service().when(change(json!({"read": ["all_data"]}))).then_field("not-in-role", "/scopes");
    given_user([created()]).when(change(json!({"read": ["staff"]}))).then_refused(Refusal::NoService);
}

#[test]
fn two_secrets_live_side_by_side_and_no_more() {
    let secrets = |events: &[Event]| {
        let all: Vec<_> = [created(), scopes_set("")].iter().chain(events).cloned().collect();
        let state = hims_domain::fold::<User>(&all).unwrap();
        let told = |it: ClientSecret| (Uuid::from(it.secret_id).as_u128(), (it.expires_at - now()).num_hours());
        state.service.unwrap().secrets.into_iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(secrets(&[added(1, 9, 0)]), [(1, 9)]);
    assert_eq!(secrets(&[added(1, 9, 0), added(2, 9, 2)]), [(1, 2), (2, 9)]);
    assert_eq!(secrets(&[added(1, 1, 0), added(2, 9, 2)]), [(1, 1), (2, 9)], "no secret becomes good for longer");
    assert_eq!(secrets(&[added(1, 9, 0), added(2, 9, 2), added(3, 9, 2)]), [(2, 2), (3, 9)]);
    let ended = Event::ClientSecretEnded { secret_id: Uuid::from_u128(1).into() };
    assert_eq!(secrets(&[added(1, 9, 0), added(2, 9, 2), ended]), [(2, 9)]);
}

#[test]
fn a_secret_is_added_by_who_may_change_the_account_and_its_end_ends_its_sessions() {
    let service = || given_user([created(), scopes_set("read:staff")]);
    service().when(add()).then([added(0xc1, 9, 2)]);
    service().by(somebody("nurse")).when(add()).then_refused(Refusal::NotAbove);
    given_user([created()]).when(add()).then_refused(Refusal::NoService);
    let end = || EndClientSecret { user_id: DOCTOR, secret_id: SECRET };
    service().when(end()).then_nothing();
    let with_secret = || given_user([created(), scopes_set("read:staff"), added(0xc1, 9, 2)]);
    with_secret().by(somebody("nurse")).when(end()).then_refused(Refusal::NotAbove);
    with_sessions(with_secret())
        .when(end())
        .then([Event::ClientSecretEnded { secret_id: SECRET }])
        .then_also::<Session>(SESSION, [ended(EndReason::Revoked)])
        .then_also::<Session>(OTHER_SESSION, [ended(EndReason::Revoked)]);
}

#[test]
fn what_only_people_have_is_refused_for_a_service_account() {
    let service = || given_user([created(), scopes_set("read:staff")]);
    service().when(reset_password()).then_refused(Refusal::IsService);
    service().when(LinkUserToPatient { user_id: DOCTOR, patient_id: PATIENT }).then_refused(Refusal::IsService);
}

/// An identity at a provider, by a number of its own.
fn identity(number: u32) -> Value {
    json!({"issuer": "https://id.example.org", "subject": format!("person {number}")})
}

#[test]
fn nobody_gives_a_way_in_to_somebody_with_more_rights_or_takes_one() {
    let of_doctor = || with(json!({"user_id": DOCTOR}), identity(1));
    let (link, unlink) = (ask::<LinkUserIdentity>(of_doctor()), ask::<UnlinkUserIdentity>(of_doctor()));
    given_user([created()]).by(somebody("nurse")).when(link).then_refused(Refusal::NotAbove);
    let linked = given_user([created(), Event::IdentityLinked(ask(identity(1)))]);
    linked.by(somebody("nurse")).when(unlink).then_refused(Refusal::NotAbove);
}

#[test]
fn nobody_is_linked_to_more_than_ten_identities() {
    let linked = (0..10).map(|number| Event::IdentityLinked(ask(identity(number))));
    let link = ask::<LinkUserIdentity>(with(json!({"user_id": DOCTOR}), identity(10)));
    given_user([created()].into_iter().chain(linked).collect::<Vec<_>>())
        .when(link)
        .then_refused(Refusal::TooManyIdentities);
}
