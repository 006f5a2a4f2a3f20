//! What is left on the disk of erased people, a patient and a user: nothing.

use std::path::Path;
use std::process::Command;

use hims_testing::patched;
use serde_json::{Value, json};

use super::ask;
use crate::hospital::demo::{NURSE, PASSWORD, appointment, at, user};
use crate::hospital::process::{Process, run};
use crate::hospital::reports::{self, file};
use crate::hospital::{Client, until};
use crate::support::{Redis, scratch};

/// Values that nobody else has, as they are planted and as they are folded, blinded or formatted for a search.
const PLANTED: [&str; 23] = [
    "Quillfeather",
    "quillfeather",
    "Zebedee",
    "zebedee",
    "5554172901",
    "417-2901",
    "413-55-8827",
    "413558827",
    "Larkspur Hollow",
    "zq@planted.example",
    "1931-02-17",
    "PLT-77120094",
    "marzipan wheeze",
    "Ottoline Rusk",
    "plum-coloured bruise",
    "MEM-5501-QF",
    "heliotrope rash",
    "saffron oracle",
    "Thistlewick",
    "thistlewick",
    "Hesperus",
    "hesperus",
    "hq@planted-staff.example",
];

/// The address of the user who is erased.
const STAFF: &str = "hq@planted-staff.example";

async fn login(nobody: &Client, email: &str) -> Client {
    nobody.login_as(email, PASSWORD).await
}

/// Plants the values in every kind of column: of the patient, of contacts, of the chart, in notes, in searches.
async fn plant(nobody: &Client) -> String {
    let (reception, doctor) = (login(nobody, "reception@demo.hims").await, login(nobody, "doctor@demo.hims").await);
    let patient = json!({
        "first_name": "Zebedee", "last_name": "Quillfeather", "date_of_birth": "1931-02-17", "gender": "male",
        "phone_primary": "+1 555 417 2901", "email": "zq@planted.example", "address_line_1": "4 Larkspur Hollow",
        "ssn": "413-55-8827",
        "emergency_contact_name": "Ottoline Rusk", "emergency_contact_phone": "+1 555 417 2901",
        "identifiers": [{"system": "urn:planted", "value": "PLT-77120094"}],
    });
    let id = reception.did("register-patient", patient).await;
    let of = |fields| patched(json!({"patient_id": id}), fields);
    doctor
        .did(
            "record-allergy",
            of(json!({"allergen_type": "food", "allergen_name": "milk",
                                           "reaction_description": "marzipan wheeze"})),
        )
        .await;
    doctor.did("record-vital-signs", of(json!({"heart_rate": 70, "notes": "plum-coloured bruise"}))).await;
    // Searches and filters say whom somebody looked for.
    reception.items("patients?q=Quillfeather").await;
    reception.items("patients?email=zq@planted.example").await;
    reception.did("change-patient-demographics", of(json!({"city": "Larkspur Hollow"}))).await;
    let payer = reception.items("payers").await[0]["id"].clone();
    let policy = of(json!({"payer_id": payer, "member_id": "MEM-5501-QF", "plan_name": "Open Access", "priority": 1,
                           "relationship_to_subscriber": "self", "effective_from": "2026-01-01"}));
    reception.did("add-insurance-policy", policy).await;
    id
}

/// Has a report made whose file shows the patient. Returns the row of its execution.
async fn report_on(nobody: &Client, patient_id: &str) -> Value {
    let (reception, doctor) = (login(nobody, "reception@demo.hims").await, login(nobody, "doctor@demo.hims").await);
    let visit = patched(appointment(patient_id, at(4, 0)), json!({"reason_for_visit": "heliotrope rash"}));
    reception.did("schedule-appointment", visit).await;
    let day = json!({"date": at(4, 0).date_naive()});
    let asked = json!({"report_code": "daily-schedule", "parameters": day, "format": "csv"});
    let made = reports::run(&doctor, asked).await;
    let shown = file(&doctor, &made).await;
    assert!(shown.text.contains("Quillfeather"), "{} {}", shown.status, shown.text);
    made
}

/// Tells a nurse something about the patient. Returns the id of the notification.
async fn tell_of(admin: &Client, patient_id: &str) -> String {
    let body = json!({"type": "system", "title": "Zebedee Quillfeather", "message": "Ask for the saffron oracle.",
                      "subject_patient_id": patient_id, "recipients": [{"user_id": user(NURSE)}]});
    let told = admin.did("send-notification", body).await;
    assert_eq!(admin.row("notifications", &told).await["title"], "Zebedee Quillfeather");
    told
}

/// Creates a user who logs in and is looked for. Returns the id of the user.
async fn hire(nobody: &Client, admin: &Client) -> String {
    let role = admin.items("user-roles?name=nurse").await[0]["id"].clone();
    let user = json!({"email": STAFF, "first_name": "Hesperus", "last_name": "Thistlewick", "role_id": role,
                      "password": "to be changed"});
    let id = admin.did("create-user", user).await;
    assert_eq!(nobody.log_in(STAFF, "to be changed").await.status, 201);
    assert_eq!(admin.items(&format!("users?email={STAFF}")).await.len(), 1);
    id
}

/// The positions and the hashes of the events of a person.
async fn chained(admin: &Client, id: &str) -> Vec<(Value, Value)> {
    let events = admin.items(&format!("events?stream_id={id}&limit=500")).await;
    events.into_iter().map(|mut it| (it["position"].take(), it["hash"].take())).collect()
}

/// The keys and values of a Redis in which the server has kept something.
async fn kept(redis: &Redis, client: &Client) -> Vec<u8> {
    let mut kept = Vec::new();
    until(async || {
        client.get("departments?limit=50").await.done();
        let contents = redis.contents().await.into_iter();
        kept = contents.flat_map(|(key, value)| [key.into_bytes(), value].concat()).collect();
        !kept.is_empty()
    })
    .await;
    kept
}

/// The files below a folder in which a planted value stands.
fn found_in(folder: &Path) -> Vec<String> {
    let patterns = PLANTED.iter().flat_map(|it| ["-e", it]);
    let found = Command::new("grep").args(["-r", "-l", "-a", "-F"]).args(patterns).arg(folder).output().expect("grep");
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
}

/// Runs a program of PostgreSQL on the server of a data directory.
fn on_server(data_dir: &Path, program: &str, arguments: &[&str]) {
    let server = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).expect("a running PostgreSQL");
    let [port, socket] = [3, 4].map(|line| server.lines().nth(line).expect("a line").to_owned());
    let mut command = Command::new(program);
    command.args(["-h", &socket, "-p", &port, "-U", "postgres", "-d", "hims"]).args(arguments);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Erases the patient and the user. Returns the ids of the erasures.
async fn erase_both(admin: &Client, officer: &Client, patient_id: &str, user_id: &str) -> [String; 2] {
    let left = json!({"user_id": user_id, "ground": "retention_ended", "reason": "left long ago"});
    let asked = [admin.did("erase-patient", ask(patient_id)).await, admin.did("erase-user", left).await];
    for erasure in &asked {
        officer.did("confirm-erasure", json!({"erasure_id": erasure})).await;
    }
    asked
}

#[tokio::test]
async fn no_file_of_the_server_holds_what_was_said_about_an_erased_person() {
    let (data, outside, redis) = (scratch("erased"), scratch("erased-outside"), Redis::start().await);
    let log = outside.path().join("log");
    let stderr = std::fs::File::create(&log).expect("a file for the log");
    let server = Process::start_with(data.path(), &["--demo"], |command| {
        command.env("RUST_LOG", "debug").env("HIMS_REDIS_URL", redis.url()).stderr(stderr);
    });
    let id = plant(&server.nobody).await;
    let made = report_on(&server.nobody, &id).await;
    let admin = login(&server.nobody, "admin@demo.hims").await;
    let officer = login(&server.nobody, "privacy@demo.hims").await;
    let told = tell_of(&admin, &id).await;
    let employee = hire(&server.nobody, &admin).await;
    let dump = |name: &str| outside.path().join(name).display().to_string();
    on_server(data.path(), "pg_dump", &["-f", &dump("dump-before")]);
    on_server(data.path(), "psql", &["-c", "checkpoint"]);
    assert_eq!(found_in(outside.path()), [dump("dump-before")]);
    let before = found_in(data.path());
    assert!(
        before.iter().any(|it| it.contains("/base/")) && before.iter().any(|it| it.contains("/pg_wal/")),
        "{before:?}"
    );
    let chains = [chained(&admin, &id).await, chained(&admin, &employee).await];

    let asked = erase_both(&admin, &officer, &id, &employee).await;
    assert_eq!(admin.row("patients", &id).await["last_name"], "[erased]");
    let users = json!(admin.items("users?limit=500").await).to_string();
    assert!(!users.contains("Thistlewick") && !users.contains(STAFF), "{users}");
    let notification = admin.row("notifications", &told).await;
    assert!(!notification.to_string().contains("Zebedee"), "{notification}");
    file(&login(&server.nobody, "doctor@demo.hims").await, &made).await.problem(410, "gone");
    std::fs::remove_file(outside.path().join("dump-before")).expect("the dump goes");
    let said = |command: &str| String::from_utf8(run(data.path(), &[command]).stdout).expect("a text");
    let doctor = said("doctor");
    assert!(doctor.contains("advice  erasures: ") && doctor.contains(": 2. "), "{doctor}");
    let status = said("status");
    assert!(status.contains("2 people wait for `hims scrub`; it has not run so far"), "{status}");
    let scrubbed = run(data.path(), &["scrub"]);
    assert!(scrubbed.status.success(), "{scrubbed:?}");
    on_server(data.path(), "pg_dump", &["-f", &dump("dump")]);
    let metrics = server.nobody.send(server.nobody.request(reqwest::Method::GET, "/metrics")).await.text;
    std::fs::write(outside.path().join("metrics"), metrics).expect("the metrics are kept");
    std::fs::write(outside.path().join("redis"), kept(&redis, &admin).await).expect("the contents are kept");
    assert_eq!(found_in(outside.path()), Vec::<String>::new());
    assert_eq!(found_in(data.path()), Vec::<String>::new());
    assert!(said("doctor").contains("ok      erasures: "));
    assert!(said("status").contains("0 people wait for `hims scrub`; it ran at "));
    // Every event stands where it stood, with the hash that it had, and the chain holds.
    for (person, chain) in [&id, &employee].into_iter().zip(chains) {
        let now = chained(&admin, person).await;
        assert!(!chain.is_empty() && now.len() > chain.len() && now.starts_with(&chain), "{chain:?} became {now:?}");
    }
    let verified = run(data.path(), &["verify"]);
    assert!(verified.status.success(), "{verified:?}");
    // The hospital goes on, and says that it happened.
    for erasure in &asked {
        assert_eq!(officer.row("erasures", erasure).await["status"], "confirmed");
    }
}
