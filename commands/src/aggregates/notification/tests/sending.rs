use std::collections::BTreeSet;

use hims_domain::derived;

use super::*;
use crate::testing::takes;
use crate::user::CreateUser;
use crate::{role_id, system_roles};

/// The channels of what was created.
fn channels(given: Given<Notification>, command: SendNotification) -> Vec<Channel> {
    created_by(given, command).1.into_iter().map(|it| it.channel).collect()
}

#[track_caller]
fn created_by(given: Given<Notification>, command: SendNotification) -> (Content, Vec<Recipient>) {
    match given.when(command).events().remove(0) {
        Event::Created { content, recipients } => (*content, recipients),
        other => panic!("{other:?}"),
    }
}

fn to_patient() -> Value {
    json!([{"patient_id": PATIENT}])
}

#[test]
fn a_patient_is_told_within_the_program_and_by_mail_or_else_by_text_message() {
    let (content, told) = created_by(hospital([]), send(to_patient(), json!({})));
    assert_eq!(content.subject_patient_id, Some(PATIENT));
    let people: Vec<_> = told.iter().map(|it| (it.user_id, it.patient_id, it.channel)).collect();
    let patient = Some(PATIENT);
    assert_eq!(people, [(Some(OTHER_DOCTOR), patient, Channel::InApp), (None, patient, Channel::Email)]);
    // The address is looked up when the message is sent.
    assert!(told.iter().all(|it| it.address.is_none()), "{told:?}");
    assert_eq!((told[0].next_attempt_at, told[1].next_attempt_at), (None, Some(crate::testing::now())));
    let by_phone = given([]).and::<Patient>(PATIENT, [ann(json!({"email": null}))]);
    assert_eq!(channels(by_phone, send(to_patient(), json!({}))), [Channel::Sms]);
}

#[test]
fn users_are_told_within_the_program_and_by_mail_only_if_it_is_critical() {
    let to_doctor = json!([{"user_id": DOCTOR}, {"user_id": DOCTOR}]);
    assert_eq!(channels(hospital([]), send(to_doctor.clone(), json!({}))), [Channel::InApp]);
    let critical = send(to_doctor, json!({"type": "critical_result"}));
    assert_eq!(channels(hospital([]), critical), [Channel::InApp, Channel::Email]);
}

#[test]
fn preferences_choose_the_channels_and_nobody_switches_critical_results_off() {
    let (stream, set) =
        wishes(Person::PatientId(PATIENT), json!({"channels": {"system": ["sms"], "claim_denied": []}}));
    let wanting = || hospital([]).and::<NotificationPreferences>(stream, [set.clone()]);
    assert_eq!(channels(wanting(), send(to_patient(), json!({}))), [Channel::Sms]);
    wanting().when(send(to_patient(), json!({"type": "claim_denied"}))).then_code("nobody-to-reach");
    let by_mail = json!([{"patient_id": PATIENT, "channel": "email"}]);
    wanting().when(send(by_mail, json!({}))).then_code("nobody-to-reach");
    let (stream, set) = wishes(Person::UserId(DOCTOR), json!({"channels": {"critical_result": []}}));
    let wanting = hospital([]).and::<NotificationPreferences>(stream, [set]);
    let critical = send(json!([{"user_id": DOCTOR}]), json!({"type": "critical_result"}));
    assert_eq!(channels(wanting, critical), [Channel::InApp, Channel::Email]);
    // Whoever can be reached by phone too is reached on every channel, whatever they want.
    let phone = json!({"profile": {"last_name": "Diaz", "phone": "+12125550177"}});
    let (stream, set) = wishes(Person::UserId(DOCTOR), json!({"channels": {"critical_result": ["in_app"]}}));
    let wanting = given([])
        .and::<User>(DOCTOR, [created_with(phone)])
        .and::<NotificationPreferences>(stream, [set])
        .at(at("2026-11-23T22:30:00Z"));
    let critical = send(json!([{"user_id": DOCTOR}]), json!({"type": "critical_result"}));
    assert_eq!(channels(wanting, critical), [Channel::InApp, Channel::Email, Channel::Sms]);
}

#[test]
fn the_dead_and_those_who_left_are_not_told() {
    let died = sample_with::<Patient>("death_recorded", json!({}));
    let dead = given([]).and::<Patient>(PATIENT, [ann(json!({})), died]);
    dead.when(send(to_patient(), json!({}))).then_code("nobody-to-reach");
    // The login of the dead is not told either, also where it is of a duplicate of the record that tells of the death.
    let to_login = || send(json!([{"user_id": OTHER_DOCTOR}]), json!({"type": "critical_result"}));
    assert_eq!(channels(hospital([]), to_login()).len(), 2, "while the patient lives");
    let died = sample_with::<Patient>("death_recorded", json!({}));
    hospital([]).and::<Patient>(PATIENT, [ann(json!({})), died.clone()]).when(to_login()).then_code("nobody-to-reach");
    let other = id::<PatientId>(2);
    let into = sample_with::<Patient>("merged_into", json!({"patient_id": other}));
    let absorbed = sample_with::<Patient>("duplicate_merged", json!({"duplicate_id": PATIENT}));
    hospital([])
        .and::<Patient>(PATIENT, [ann(json!({})), into])
        .and::<Patient>(other, [ann(json!({})), died, absorbed])
        .when(to_login())
        .then_code("nobody-to-reach");
    let left = given([]).and::<User>(DOCTOR, [created_with(json!({})), sample::<User>("deactivated")]);
    left.when(send(json!([{"user_id": DOCTOR}]), json!({}))).then_code("nobody-to-reach");
}

#[test]
fn quiet_hours_hold_messages_but_not_what_is_shown_in_the_program() {
    let evening = at("2026-11-23T22:30:00Z");
    let first = |more: Value, wanted: Value| -> Vec<Option<DateTime<Utc>>> {
        let (stream, set) = wishes(Person::PatientId(PATIENT), wanted);
        let given = hospital([]).and::<NotificationPreferences>(stream, [set]).at(evening);
        created_by(given, send(to_patient(), more)).1.into_iter().map(|it| it.next_attempt_at).collect()
    };
    assert_eq!(first(json!({}), json!({})), [None, Some(at("2026-11-24T08:00:00Z"))]);
    assert_eq!(first(json!({"priority": "urgent"}), json!({})), [None, Some(evening)]);
    // In New York it is half past five in the afternoon: by the wish of the patient, or by the visit.
    assert_eq!(first(json!({}), json!({"time_zone": "America/New_York"})), [None, Some(evening)]);
    let visit = json!({"visit": {"starts_at": "2026-12-24T15:00:00Z", "time_zone": "America/New_York"}});
    assert_eq!(first(visit.clone(), json!({})), [None, Some(evening)]);
    assert_eq!(first(visit, json!({"time_zone": "UTC"})), [None, Some(at("2026-11-24T08:00:00Z"))]);
}

#[test]
fn what_would_expire_in_quiet_hours_is_expired_at_once_but_shown_in_the_program() {
    let soon = send(to_patient(), json!({"expires_at": "2026-11-24T08:00:00Z"}));
    let events = hospital([]).at(at("2026-11-23T22:30:00Z")).when(soon).events();
    let state = hims_domain::fold::<Notification>(&events).unwrap();
    let statuses: Vec<_> = state.deliveries.iter().map(|it| (it.recipient.channel, it.status)).collect();
    assert_eq!(statuses, [(Channel::InApp, Status::Delivered), (Channel::Email, Status::Failed)]);
}

#[test]
fn of_one_occasion_only_the_first_notification_is_sent() {
    let reminder = || send(to_patient(), json!({"dedupe_key": "visit 9, 24 h"}));
    let key = scopes::key(&["system", &PATIENT.to_string(), "visit 9, 24 h"]);
    hospital([]).when(reminder()).then_claims([takes(scopes::NOTIFICATION_OCCASION, &key)]);
    hospital([]).owner(scopes::NOTIFICATION_OCCASION, &key, Uuid::from_u128(5)).when(reminder()).then_nothing();
}

#[test]
fn recipients_are_named_one_way_and_there_is_one_patient_at_most() {
    let code = |recipients: Value, more: Value| {
        hospital([]).and::<Patient>(id::<PatientId>(2), [ann(json!({}))]).when(send(recipients, more)).code()
    };
    let user = json!({"user_id": DOCTOR});
    let mail = json!({"channel": "email", "address": "x@example.org"});
    assert_eq!(code(json!([]), json!({})), Some("recipients"));
    assert_eq!(code(json!(vec![user.clone(); 101]), json!({})), Some("recipients"));
    assert_eq!(code(json!([{}]), json!({})), Some("recipients"));
    assert_eq!(code(json!([with(user.clone(), mail.clone())]), json!({})), Some("recipients"));
    assert_eq!(code(json!([{"user_id": id::<UserId>(77)}]), json!({})), Some("unknown-reference"));
    assert_eq!(
        code(json!([{"patient_id": PATIENT}, {"patient_id": id::<PatientId>(2)}]), json!({})),
        Some("several-patients")
    );
    assert_eq!(code(to_patient(), json!({"subject_patient_id": id::<PatientId>(2)})), Some("several-patients"));
    assert_eq!(code(json!([mail.clone()]), json!({})), Some("no-subject"));
    assert_eq!(code(json!([mail.clone()]), json!({"subject_patient_id": PATIENT})), None);
    assert_eq!(code(json!([user.clone(), mail]), json!({})), None);
    for address in [
        json!({"address": "x@example.org"}),
        json!({"channel": "sms", "address": "x@example.org"}),
        json!({"channel": "email", "address": "nobody"}),
        json!({"channel": "in_app", "address": "x"}),
    ] {
        assert_eq!(code(json!([user.clone(), address]), json!({})), Some("malformed-address"));
    }
}

#[test]
fn a_link_stays_within_the_program() {
    let code = |more: Value| hospital([]).when(send(to_patient(), more)).code();
    for url in ["https://example.org", "//example.org", "/\\example.org", "appointments"] {
        assert_eq!(code(json!({ "action_url": url })), Some("not-a-path"), "{url}");
    }
    assert_eq!(code(json!({"action_url": "/appointments?q=1"})), None);
    assert_eq!(code(json!({"expires_at": "2026-11-23T10:00:00Z"})), Some("in-the-past"));
    let nowhere = json!({"visit": {"starts_at": "2026-12-24T15:00:00Z", "time_zone": "Mars/North"}});
    assert_eq!(code(nowhere), Some("unknown-time-zone"));
}

#[test]
fn a_notice_of_a_process_has_an_id_of_its_occasion_and_is_quiet_when_repeated() {
    let notice = || {
        Notice::of(hims_domain::notification::NotificationType::LowStock, "lot 7", "Low stock", "Metformin: 3 left")
            .to_role(role_id("doctor"))
    };
    let (_, definition) = system_roles().into_iter().find(|(id, _)| *id == role_id("doctor")).unwrap();
    let defined = hims_domain::role::Event::Defined { definition, is_system_role: true };
    let with_role = |given: Given<Notification>| {
        let role = role_id("doctor");
        let given = given.and::<hims_domain::role::Role>(role, [defined.clone()]);
        given.owner(scopes::USERS_WITH_ROLE, role, DOCTOR).owner(scopes::USERS_WITH_ROLE, role, OTHER_DOCTOR)
    };
    let Event::Created { recipients, .. } = with_role(hospital([])).when(notice()).then_event() else { panic!() };
    let told: Vec<_> = recipients.iter().map(|it| it.user_id).collect();
    assert_eq!(told, [Some(DOCTOR), Some(OTHER_DOCTOR)]);
    assert_eq!(notice().target(), notice().target());
    assert_ne!(notice().target(), notice().about(PATIENT).target());
    with_role(hospital([created_event(json!({}))])).when(notice()).then_nothing();
    // Nobody has the role.
    hospital([]).when(notice()).then_nothing();
}

#[tokio::test]
async fn a_notice_to_more_than_a_hundred_people_is_several_notifications_of_which_each_person_gets_one() {
    let world = crate::testing::world::World::new();
    let role = role_id("nurse");
    world.has::<hims_domain::role::Role>(role, [crate::testing::samples::defined("nurse")]).await;
    let everybody: BTreeSet<_> = (1..=203).map(|nth| id::<UserId>(0x1000 + nth)).collect();
    for (nth, id) in everybody.iter().enumerate() {
        let user = json!({"id": id, "email": format!("n{nth}@example.org"), "last_name": "Diaz", "role_id": role});
        world.done(ask::<CreateUser>(user)).await;
    }
    let about = hims_domain::notification::NotificationType::CriticalResult;
    let notice = || Notice::of(about, "pipe 7", "Water", "The water is off").to_role(role);
    let first = world.done(notice()).await;
    let mut told = Vec::new();
    for nth in 0..3 {
        let part = derived("notification part", &[&first.id.to_string(), &nth.to_string()]);
        let part = world.state::<Notification>(if nth == 0 { first.id } else { part }).await;
        let people: Vec<_> = part.deliveries.iter().filter_map(|it| it.recipient.user_id).collect();
        let distinct: BTreeSet<_> = people.iter().copied().collect();
        assert_eq!(people.len(), 2 * distinct.len(), "within the program and by e-mail");
        told.push(distinct);
    }
    assert_eq!(told.iter().map(BTreeSet::len).collect::<Vec<_>>(), [100, 100, 3]);
    assert_eq!(told.into_iter().flatten().collect::<BTreeSet<_>>(), everybody);
    assert!(world.done(notice()).await.events.is_empty());
    assert_eq!(world.count("notification.created").await, 3);
}

#[tokio::test]
async fn a_notice_that_reaches_nobody_is_done_also_under_an_idempotency_key() {
    let world = crate::testing::world::World::new();
    let died = sample_with::<Patient>("death_recorded", json!({}));
    world.has::<Patient>(PATIENT, [ann(json!({})), died]).await;
    let about = hims_domain::notification::NotificationType::AppointmentChanged;
    let notice = || Notice::of(about, "visit 9 cancelled", "Cancelled", "Does not take place").to_patient(PATIENT);
    let caller = Caller::system("process:reminders");
    for _ in 0..2 {
        let request =
            crate::Request { idempotency_key: Some(Uuid::from_u128(7)), ..crate::Request::of(caller.clone()) };
        let outcome = world.executor.execute_unless_refused(notice(), request).await.unwrap();
        assert!(outcome.events.is_empty() && !outcome.began);
    }
}
