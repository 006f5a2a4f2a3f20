//! Which commands each role gives, tried over HTTP: about records of nobody, and about what is the caller's own.

use std::collections::BTreeMap;

use hims_commands::{Entry, Permission, Registry};
use hims_domain::erasure::Erasure;
use hims_domain::report::report_of;
use hims_domain::report_schedule::ReportSchedule;
use hims_domain::{DomainEvent, derived};
use hims_event_store::{Append, NewEvent, StreamAppend, Subject};
use hims_testing::{assert_same, fields, patched};
use serde_json::{Value, json};

use super::access_file::{COMMANDS, part};
use super::access_matrix::LOGINS;
use super::consents::second_administrator;
use super::demo::{appointment, at, person, prescription};
use super::notifications::own_id;
use super::telling::needed;
use super::waitlist::wait_for;
use super::{Client, Hospital};

/// Ids of records, by the types of their streams.
type Records = BTreeMap<&'static str, String>;

/// Those who record something about others.
struct Staff {
    /// An administrator beside the one whose rights are tried, since nobody links themselves.
    other_admin: Client,
    doctor: Client,
    reception: Client,
}

/// Somebody who has a role and is a patient as well.
struct InRole {
    role: &'static str,
    client: Client,
    /// Their login, another session of theirs, what they asked for, and their records as a patient.
    own: Records,
}

/// Begins a record of somebody whose role may not begin it: when they did, they had more rights.
async fn began(
    hospital: &Hospital,
    (stream, event): (&'static str, &str),
    whose: &str,
    subject: Option<Subject>,
    data: Value,
) -> String {
    let id = derived("of somebody", &[stream, whose]);
    let event = NewEvent { event_type: format!("{stream}.{event}"), data };
    let begun = StreamAppend { subject, ..StreamAppend::begin(stream, id, [event]) };
    hospital.node.store.append(Append::stream(begun)).await.expect("the event is recorded");
    id.to_string()
}

/// What somebody asked for: a report at regular times, and the erasure of a patient.
async fn asked_for(hospital: &Hospital, user_id: &str, patient_id: &str) -> [(&'static str, String); 2] {
    let planned = json!({"report_id": report_of("daily-schedule"), "plan": {"recipients": [user_id]},
                         "owner_id": user_id, "next_run_at": "2031-11-24T06:00:00Z"});
    let planned = patched(fields::<ReportSchedule>("scheduled"), planned);
    let schedule = began(hospital, ("report_schedule", "scheduled"), user_id, None, planned).await;
    let asked = json!({"patient_id": patient_id, "requested_by": user_id, "reason": {"$personal": "moved away"}});
    let asked = patched(fields::<Erasure>("requested"), asked);
    let subject = Subject { kind: "patient".to_owned(), id: patient_id.parse().expect("an id") };
    let erasure = began(hospital, ("erasure", "requested"), user_id, Some(subject), asked).await;
    [("report_schedule", schedule), ("erasure", erasure)]
}

/// Records of a patient, of every type that a command for patients is about.
async fn charted(staff: &Staff, patient_id: &str, day: i64) -> [(&'static str, String); 5] {
    let visit = staff.reception.did("schedule-appointment", appointment(patient_id, at(day, 0))).await;
    let waits = staff.reception.did("join-waitlist", wait_for(patient_id)).await;
    let prescribed = staff.doctor.did("write-prescription", prescription(patient_id, 2, "5", "tablet")).await;
    let consent = json!({"patient_id": patient_id, "scope": "research", "provision": "permit"});
    let consent = staff.reception.did("record-consent", consent).await;
    let wrong = json!({"patient_id": patient_id, "table_name": "patients", "row_id": patient_id,
                       "wrong": "The street", "wanted": "Another street"});
    let request = staff.doctor.did("request-amendment", wrong).await;
    [
        ("appointment", visit),
        ("waitlist_entry", waits),
        ("prescription", prescribed),
        ("consent", consent),
        ("amendment_request", request),
    ]
}

/// Somebody who has a role, and whose login is linked to a new patient with a chart.
async fn in_role(hospital: &Hospital, staff: &Staff, nth: u16, (role, login): (&'static str, &str)) -> InRole {
    let user_id = own_id(&hospital.login(login).await).await;
    let patient_id = staff.reception.did("register-patient", person(login, "Themself", 700 + u32::from(nth))).await;
    let charted = charted(staff, &patient_id, 40 + i64::from(nth)).await;
    let asked_for = asked_for(hospital, &user_id, &patient_id).await;
    // The demo has linked one of them to a patient already.
    staff.other_admin.did("unlink-user-from-patient", json!({ "user_id": user_id })).await;
    staff.other_admin.did("link-user-to-patient", json!({"user_id": user_id, "patient_id": patient_id})).await;
    let (client, left_behind) = (hospital.login(login).await, hospital.login(login).await);
    let session = left_behind.get("sessions/current").await.done()["session_id"].as_str().expect("an id").to_owned();
    let known = [("user", user_id), ("patient", patient_id), ("session", session)];
    let own = of_nobody().into_iter().chain(charted).chain(asked_for).chain(known).collect();
    InRole { role, client, own }
}

/// Ids of records that are not there, so that nobody's own record is among them.
fn of_nobody() -> Records {
    DomainEvent::STREAMS.iter().map(|stream| (*stream, derived("of nobody", &[*stream]).to_string())).collect()
}

/// A request of a command about records. Two commands are about whoever a field names that may be left out.
fn about(entry: &Entry, records: &Records) -> Value {
    let body = needed(&entry.shape, records);
    match entry.name {
        "run-report" => patched(body, json!({"parameters": {"patient": records["patient"]}})),
        "set-notification-preferences" => patched(body, json!({"patient_id": records["patient"]})),
        _ => body,
    }
}

/// Whether somebody is refused a command about records for want of rights.
async fn is_refused(client: &Client, entry: &Entry, records: &Records) -> bool {
    let answer = client.command(entry.name, about(entry, records)).await;
    assert!(![400, 401, 429].contains(&answer.status), "{}: {} {}", entry.name, answer.status, answer.text);
    answer.status == 403 && answer.json()["code"] == "forbidden"
}

#[tokio::test]
async fn every_role_gives_the_commands_that_are_agreed_and_no_others() {
    let hospital = Hospital::start_with(|settings| settings.refusals_per_minute = 10_000).await;
    let staff = Staff {
        other_admin: second_administrator(&hospital).await.1,
        doctor: hospital.login("doctor").await,
        reception: hospital.login("reception").await,
    };
    let mut people = Vec::new();
    // The coder has a role that a hospital defined, so the words of that role are for the hospital to agree on.
    for (nth, who) in (0..).zip(LOGINS.into_iter().filter(|(role, _)| *role != "coder")) {
        people.push(in_role(&hospital, &staff, nth, who).await);
    }
    let of_nobody = of_nobody();
    let mut tried = BTreeMap::new();
    for entry in Registry::hospital().iter() {
        for InRole { role, client, own } in &people {
            let cell = match entry.permission {
                _ if !is_refused(client, entry, &of_nobody).await => "yes",
                Permission::Own => "own",
                _ if !is_refused(client, entry, own).await => "self",
                _ => "-",
            };
            tried.insert((entry.name.to_owned(), (*role).to_owned()), cell.to_owned());
        }
    }
    assert_same(tried, part(COMMANDS).cells);
}
