//! Every read is an event that was recorded before the answer left, and a patient is told who saw what.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures::future::join_all;
use hims_commands::Executor;
use hims_projections::TABLES;
use hims_testing::assert_same;
use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{self, patient, user};
use super::merging::merge;
use super::reports::{file, run, schedule_of_the_visits};
use super::tables::count;
use super::{Client, Hospital, Process, until};
use crate::support::scratch;

/// The number of the demo's administrator.
const ADMIN: u16 = 1;

/// The events of a type so far, as they are stored.
async fn recorded(hospital: &Hospital, event_type: &str) -> Vec<Value> {
    let sql = "select jsonb_build_object('data', data::jsonb, 'metadata', metadata::jsonb, 'position', position)
                 from log.events where event_type = $1 order by position";
    sqlx::query_scalar(sql).bind(event_type).fetch_all(hospital.owner()).await.expect("events")
}

/// The last read so far.
async fn last_read(hospital: &Hospital) -> Value {
    recorded(hospital, "access.read").await.pop().expect("a read was recorded")
}

/// Whom rows of a table name, by their ids.
fn named(table: &str, rows: &[Value]) -> BTreeSet<String> {
    let columns = if table == "patients" { &["id"][..] } else { &["patient_id", "subject_patient_id", "duplicate_id"] };
    let ids = rows.iter().flat_map(|row| columns.iter().filter_map(|column| row[*column].as_str()));
    let used_on = rows.iter().filter(|row| row["reference_type"] == "patient");
    let ids = ids.chain(used_on.filter_map(|row| row["reference_id"].as_str())).map(str::to_owned);
    ids.chain(rows.iter().flat_map(|row| texts(&row["patients_shown"]))).collect()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn every_answer_is_an_event_that_names_all_patients_whom_it_shows() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let session = admin.get("sessions/current").await.done()["session_id"].clone();
    for table in TABLES {
        let before = recorded(&hospital, "access.read").await.len();
        let route = table.name.replace('_', "-");
        let rows = admin.items(&format!("{route}?limit=5")).await;
        let mut expected = 0;
        if !table.is_catalogue {
            expected = 1;
            let read = last_read(&hospital).await;
            assert_eq!(read["data"]["source"], table.name);
            assert_eq!(read["data"]["rows"], rows.len());
            assert_eq!(read["data"]["user_id"], user(ADMIN));
            let whence = ["role", "session_id", "ip"].map(|name| &read["metadata"][name]);
            assert_eq!(whence, [&json!("administrator"), &session, &json!("127.0.0.1")]);
            assert_same(texts(&read["data"]["patients"]), named(table.name, &rows));
            if let Some(row) = rows.first() {
                expected = 2;
                let id = row["id"].as_str().expect("an id");
                let answered = admin.row(&route, id).await;
                let read = last_read(&hospital).await;
                assert_eq!((&read["data"]["record_id"], &read["data"]["rows"]), (&json!(id), &json!(1)));
                assert_same(texts(&read["data"]["patients"]), named(table.name, &[answered]));
            }
        }
        assert_eq!(recorded(&hospital, "access.read").await.len() - before, expected, "{}", table.name);
    }
}

#[tokio::test]
async fn the_file_of_a_report_is_read_with_the_patients_of_its_rows() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let made = run(&doctor, schedule_of_the_visits("json")).await;
    assert_eq!(file(&doctor, &made).await.status, 200);
    let read = last_read(&hospital).await;
    assert_eq!((&read["data"]["source"], &read["data"]["record_id"]), (&json!("report_files"), &made["id"]));
    assert_eq!(read["data"]["rows"], made["row_count"]);
    let day = json!(demo::local_day(1));
    let mut visits = doctor.items("appointments?limit=500").await;
    visits.retain(|it| it["scheduled_date"] == day && it["status"] != "cancelled");
    assert_same(texts(&read["data"]["patients"]), named("appointments", &visits));
    // The patient whom a report was asked for counts too, also where no row is about them.
    let privacy = hospital.login("privacy").await;
    let asked = json!({"report_code": "disclosures", "parameters": {"patient": patient(2)}, "format": "csv"});
    let made = run(&privacy, asked).await;
    assert_eq!(file(&privacy, &made).await.status, 200);
    assert_eq!(texts(&last_read(&hospital).await["data"]["patients"]), BTreeSet::from([patient(2)]));
}

#[tokio::test]
async fn streams_and_events_are_read_with_an_event_each() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    for (path, source) in [
        (format!("streams/patient/{}", patient(2)), "streams"),
        (format!("events?patient_id={}", patient(2)), "events"),
    ] {
        doctor.get(&path).await.done();
        let read = last_read(&hospital).await;
        assert_eq!(read["data"]["source"], source);
        assert_eq!(read["data"]["patients"], json!([patient(2)]), "{source}");
    }
    let admin = hospital.login("admin").await;
    let day = demo::at(1, 0).date_naive();
    let times = format!("slots?provider_id={}&from={day}&to={day}&patient_id={}", user(demo::DOCTOR), patient(4));
    for (client, path, source, shown) in [
        (&admin, format!("events?raw=true&stream_id={}", patient(2)), "events", patient(2)),
        (&doctor, times, "slots", patient(4)),
    ] {
        client.get(&path).await.done();
        let read = last_read(&hospital).await;
        assert_eq!((&read["data"]["source"], &read["data"]["patients"]), (&json!(source), &json!([shown])), "{path}");
    }
    // A stream is recorded with whom it shows, before it shows them.
    let told = json!({"type": "system", "title": "Potassium", "message": "Potassium: 7.1",
                      "subject_patient_id": patient(6), "recipients": [{"user_id": user(demo::DOCTOR)}]});
    admin.did("send-notification", told).await;
    let of_events = format!("/api/v1/events/stream?after=0&patient_id={}", patient(3));
    for (path, source, shows, whom) in [
        (&*of_events, "event_stream", "patient.registered", patient(3)),
        ("/api/v1/notifications/stream", "notification_stream", "Potassium", patient(6)),
    ] {
        let stream = doctor.request(Method::GET, path).header("last-event-id", "0").send();
        let mut stream = stream.await.expect("a stream");
        let first = stream.chunk().await.expect("the stream goes on").expect("events");
        assert!(String::from_utf8_lossy(&first).contains(shows), "{first:?}");
        let read = last_read(&hospital).await;
        assert_eq!(read["data"]["source"], source);
        assert!(texts(&read["data"]["patients"]).contains(&whom), "{source}: {read}");
    }
}

#[tokio::test]
async fn nobody_is_shown_what_could_not_be_recorded() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let row = format!("patients/{}", patient(2));
    let name = doctor.get(&row).await.done()["last_name"].as_str().expect("a name").to_owned();
    let made = run(&doctor, schedule_of_the_visits("json")).await;
    let others = [
        "patients?limit=500".to_owned(),
        format!("streams/patient/{}", patient(2)),
        format!("events?patient_id={}", patient(2)),
        format!("report-executions/{}/file", made["id"].as_str().expect("an id")),
    ];
    // Nothing can be appended while this transaction holds the lock of the head.
    let mut holding = hospital.owner().begin().await.expect("a transaction");
    sqlx::query("select position from log.head for update").execute(&mut *holding).await.expect("the head is locked");
    let asked = join_all([&row].into_iter().chain(&others).map(|path| doctor.get(path)));
    let (held, answers) = tokio::join!(sqlx::query("select pg_sleep(12)").execute(&mut *holding), asked);
    held.expect("the head stays locked");
    for answer in answers {
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(!answer.text.contains(&name), "{}", answer.text);
    }
    holding.rollback().await.expect("the head is released");
    doctor.get(&row).await.done();
}

#[tokio::test]
async fn what_is_hidden_is_recorded_like_what_is_not_there_and_refusals_are_events() {
    let hospital = Hospital::start().await;
    let nurse = hospital.login("nurse").await;
    let mut reads = Vec::new();
    for id in [patient(5), uuid::Uuid::from_u128(5).to_string()] {
        nurse.get(&format!("patients/{id}")).await.problem(404, "not-found");
        let mut read = last_read(&hospital).await["data"].clone();
        assert_eq!(read["record_id"].take(), json!(id));
        reads.push(read);
    }
    assert_eq!(reads[0], reads[1], "one event each, which differ in the id alone");
    for _ in 0..3 {
        nurse.get("billing-records").await.problem(403, "forbidden");
    }
    let refused = recorded(&hospital, "access.read_refused").await;
    let told = json!({"source": "billing_records", "code": "forbidden"});
    assert_eq!(refused.iter().map(|it| &it["data"]).collect::<Vec<_>>(), [&told], "repetitions are counted");
    assert_eq!(refused[0]["metadata"]["actor"]["id"], user(demo::NURSE));
    let admin = hospital.login("admin").await;
    admin.saw(refused[0]["position"].as_i64().expect("a position"));
    let rows = admin.items("audit-logs?action=access.read_refused").await;
    assert_eq!(
        (&rows[0]["success"], &rows[0]["error_message"]),
        (&json!(false), &json!("read billing_records: forbidden"))
    );
}

#[tokio::test]
async fn what_somebody_searched_for_is_sealed_and_the_purpose_is_told() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let search = "/api/v1/patients?q=Reyes&limit=5&date_of_birth_from=1950-01-01";
    let request = reception.request(Method::GET, search);
    reception.send(request.header("Purpose-Of-Use", "HPAYMT")).await.done();
    let read = last_read(&hospital).await;
    assert_eq!(read["data"]["parameters"], json!({"limit": "5"}));
    let personal = read["data"]["personal_parameters"].as_object().expect("what was searched for");
    assert_same(personal.keys().map(String::as_str), ["date_of_birth_from", "q"]);
    assert!(!read.to_string().contains("Reyes") && !read.to_string().contains("1950-01-01"), "{read}");
    assert_eq!(read["metadata"]["purpose_of_use"], "HPAYMT");
    let admin = hospital.login("admin").await;
    admin.saw(read["position"].as_i64().expect("a position"));
    let audited = &admin.items(&format!("audit-logs?position={}", read["position"])).await[0];
    assert_eq!(audited["purpose_of_use"], "HPAYMT");
    let shown = json!({"limit": "5", "q": "***", "date_of_birth_from": "***"});
    assert_eq!(audited["new_values"]["parameters"], shown);
    let unknown = reception.request(Method::GET, "/api/v1/patients").header("Purpose-Of-Use", "CURIOSITY");
    reception.send(unknown).await.problem_at(400, "invalid-parameter", "/Purpose-Of-Use");
}

#[tokio::test]
async fn a_screen_that_refreshes_itself_is_recorded_with_whom_it_newly_shows() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let refresh = async |path: &str| {
        let request = reception.request(Method::GET, path).header("Hims-Background", "true");
        reception.send(request).await.done()["items"].as_array().map_or(0, Vec::len)
    };
    let reads = async || recorded(&hospital, "access.read").await.len();
    reception.did("register-patient", demo::person("Ada", "Comer", 7)).await;
    hospital.settle().await;
    let list = "/api/v1/patients?last_name=Comer";
    assert_eq!((refresh(list).await, reads().await), (1, 1));
    assert_eq!((refresh(list).await, reads().await), (1, 1), "nobody new is shown");
    let new = reception.did("register-patient", demo::person("Newton", "Comer", 8)).await;
    hospital.settle().await;
    assert_eq!((refresh(list).await, reads().await), (2, 2));
    assert_eq!(last_read(&hospital).await["data"]["patients"], json!([new]));
    assert_eq!((refresh("/api/v1/patients?limit=3").await, reads().await), (3, 3), "another screen");
}

/// The entries of the access report of a patient: who, did what, with what, for what purpose.
async fn report(client: &Client, patient_id: &str) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |it: &Value| ["user_id", "action", "resource", "purpose_of_use"].map(|field| text(&it[field]));
    client.items(&format!("patients/{patient_id}/access-report?limit=500")).await.iter().map(entry).collect()
}

#[tokio::test]
async fn a_patient_is_told_who_saw_and_changed_what() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    reception.items("patients?limit=4").await;
    doctor.did("record-vital-signs", json!({"patient_id": patient(1), "heart_rate": 64})).await;
    doctor.items(&format!("vital-signs?patient_id={}", patient(1))).await;
    doctor.row("patients", &patient(1)).await;
    // What was shown of a record that is merged later is told, too.
    let twice = reception.did("register-patient", demo::person("Paula", "Rees", 98)).await;
    reception.row("patients", &twice).await;
    merge(&hospital, &patient(1), &twice).await.done();
    let own = hospital.login("patient").await;
    own.saw(hospital.node.store.current_head().await.expect("the head"));
    let told = report(&own, &patient(1)).await;
    let entry =
        |whom, action: &str, resource: &str| [user(whom), action.to_owned(), resource.to_owned(), "TREAT".to_owned()];
    for expected in [
        entry(demo::RECEPTION, "access.read", "patients"),
        entry(demo::DOCTOR, "access.read", "vital_signs"),
        entry(demo::DOCTOR, "access.read", "patients"),
        entry(demo::DOCTOR, "vital_signs.recorded", "vital_signs"),
        entry(demo::RECEPTION, "patient.registered", "patient"),
    ] {
        assert!(told.contains(&expected), "{expected:?} is missing: {told:?}");
    }
    let path = format!("patients/{}/access-report?limit=500", patient(1));
    let by_doctor = own.items(&path).await.into_iter().find(|it| it["user_id"] == user(demo::DOCTOR));
    let by_doctor = by_doctor.expect("what the doctor did");
    assert_eq!((&by_doctor["ip_address"], &by_doctor["role"]), (&json!("127.0.0.1"), &json!("Doctor")));
    assert!(by_doctor["at"].is_string(), "{by_doctor}");
    let of_duplicate = told.iter().filter(|it| **it == entry(demo::RECEPTION, "access.read", "patients")).count();
    assert!(of_duplicate >= 2, "the list, and the record that was merged: {told:?}");
    // That the patient asked is in the next report.
    own.saw(last_read(&hospital).await["position"].as_i64().expect("a position"));
    assert!(report(&own, &patient(1)).await.contains(&entry(demo::PATIENT_LOGIN, "access.read", "access_report")));
    let admin = hospital.login("admin").await;
    let (seen, first) = (report(&admin, &patient(1)).await, report(&admin, &patient(2)).await);
    assert!(seen.len() >= told.len() && first.contains(&entry(demo::RECEPTION, "access.read", "patients")));
    own.get(&format!("patients/{}/access-report", patient(2))).await.problem(403, "forbidden");
    doctor.get(&format!("patients/{}/access-report", patient(1))).await.problem(403, "forbidden");
    admin.get(&format!("patients/{}/access-report", uuid::Uuid::from_u128(1))).await.problem(404, "not-found");
    // Page by page.
    let path = format!("patients/{}/access-report?limit=2", patient(1));
    let page = admin.get(&path).await.done();
    let next = admin.get(&format!("{path}&after={}", page["next"].as_str().expect("a next page"))).await.done();
    let all = admin.items(&format!("patients/{}/access-report?limit=4", patient(1))).await;
    let both = [page["items"].as_array(), next["items"].as_array()].into_iter().flatten().flatten();
    assert_same(both.map(|it| it["position"].clone().to_string()), all.iter().map(|it| it["position"].to_string()));
}

#[tokio::test]
async fn a_read_of_a_record_that_was_opened_in_an_emergency_names_the_access() {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let own = nurse.items("patients?limit=1").await;
    let (own, stranger) = (own[0]["id"].as_str().expect("a patient of the nurse").to_owned(), patient(5));
    let marks = async || texts(&last_read(&hospital).await["data"]["emergency_access_ids"]);
    nurse.get(&format!("patients/{stranger}")).await.problem(404, "not-found");
    let request = json!({"patient_id": stranger, "reason": "collapsed in the corridor"});
    let access = nurse.did("request-emergency-access", request).await;
    let marked = BTreeSet::from([access.clone()]);
    for path in ["patients/{id}", "patients?limit=500", "streams/patient/{id}", "events?patient_id={id}"] {
        nurse.get(&path.replace("{id}", &stranger)).await.done();
        assert_eq!(marks().await, marked, "{path}");
    }
    // What has nothing to do with the access is not marked.
    nurse.row("patients", &own).await;
    assert_eq!(marks().await, BTreeSet::new(), "another patient");
    doctor.row("patients", &stranger).await;
    assert_eq!(marks().await, BTreeSet::new(), "another reader");
    // The record under which the access was asked for is merged: the mark is the same.
    let survivor = hospital.login("reception").await.did("register-patient", demo::person("Paula", "Rees", 98)).await;
    merge(&hospital, &survivor, &stranger).await.done();
    nurse.saw(hospital.node.store.current_head().await.expect("the head"));
    nurse.row("patients", &survivor).await;
    assert_eq!(marks().await, marked, "the survivor");
    nurse.did("end-emergency-access", json!({"emergency_access_id": access})).await;
    doctor.row("patients", &survivor).await;
    nurse.get(&format!("patients/{survivor}")).await.problem(404, "not-found");
    assert_eq!(marks().await, BTreeSet::new(), "the access is over");
    let audited = "hims.audit_logs where action = 'access.read' and new_values ? 'emergency_access_ids'";
    until(async || count(hospital.owner(), audited).await == 5).await;
}

/// The program as a server on the database of a hospital, with or without the record of reads.
fn server(hospital: &Hospital, data_dir: &Path, record_reads: bool) -> Process {
    Process::beside(hospital, data_dir, |command| {
        command.env("HIMS_RECORD_READS", record_reads.to_string());
    })
}

#[tokio::test]
async fn turning_the_record_of_reads_off_and_on_is_an_event() {
    let (mut hospital, folder) = (Hospital::start().await, scratch("server"));
    hospital.node.end();
    let audited = "hims.audit_logs where action = 'access.read_recording_changed'";
    // Each start with what was said so far of whether reads are recorded, and with how many reads were recorded.
    let starts = [(false, &[false][..], 0), (false, &[false], 0), (true, &[false, true], 1), (true, &[false, true], 2)];
    for (record_reads, said, reads) in starts {
        let server = server(&hospital, folder.path(), record_reads);
        let changes = recorded(&hospital, "access.read_recording_changed").await;
        assert_eq!(changes.iter().map(|it| it["data"]["is_on"].clone()).collect::<Value>(), json!(said));
        assert!(changes.iter().all(|it| it["metadata"]["actor"]["type"] == "system"), "{changes:?}");
        server.nobody.login("doctor").await.row("patients", &patient(2)).await;
        assert_eq!(recorded(&hospital, "access.read").await.len(), reads, "recorded: {record_reads}");
        until(async || count(hospital.owner(), audited).await == i64::try_from(said.len()).expect("few")).await;
    }
}

/// Reads, is refused, and turns the record of reads off and on again.
pub(super) async fn everything(hospital: &Hospital) {
    let nurse = hospital.login("nurse").await;
    nurse.get("patients?q=Reyes").await.done();
    nurse.get("billing-records").await.problem(403, "forbidden");
    let executor = Executor::new(Arc::clone(&hospital.node.store), hims_api::surroundings());
    for is_on in [false, true] {
        executor.record_whether_reads_are_recorded(is_on).await.expect("recorded");
    }
}
