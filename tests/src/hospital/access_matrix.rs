//! Which rows each role sees of each table, tried through the API and in SQL.

use std::collections::{BTreeMap, BTreeSet};

use hims_projections::TABLES;
use hims_testing::{assert_same, patched};
use serde_json::{Value, json};

use super::access_file::{ROWS, part};
use super::access_sql::Reader;
use super::assigned::{RECORDED, YESTERDAY, recorded, visits_around_today};
use super::care_teams::colleague;
use super::death::failure;
use super::demo::{self, appointment, at, department, patient, room, user};
use super::notes::notes;
use super::{Client, Hospital};

/// Each role with the login of a user who has the role.
pub(super) const LOGINS: [(&str, &str); 11] = [
    ("administrator", "admin"),
    ("doctor", "doctor"),
    ("nurse", "nurse"),
    ("receptionist", "reception"),
    ("pharmacist", "pharmacist"),
    ("lab_technician", "lab"),
    ("patient", "patient"),
    ("coder", "coder"),
    ("auditor", "auditor"),
    ("privacy_officer", "privacy"),
    ("operator", "operator"),
];

/// The demo's patients for whom [`fill`] records more. Patient 1 has a login. The appointment of patient 5 is in
/// another department, the consultation of patient 6 is not over, the prescription of patient 7 is not cancelled, and
/// everything about patient 8 is over.
const PATIENTS: [u16; 5] = [1, 5, 6, 7, 8];
/// The patients of the nurse: 1 to 4 visit the nurse's department tomorrow, and 6 is being seen there. 10 to 12 visit the
/// department today, and [`YESTERDAY`] the day before. Patient 8 visits it too, but only in five days, and another
/// patient the day after tomorrow.
const ASSIGNED: [u16; 9] = [1, 2, 3, 4, 6, 10, 11, 12, YESTERDAY];
/// The patient whose prescription was not sent to the pharmacy.
const PENDING: u16 = 5;
/// The patients with a prescription that was sent to the pharmacy and not cancelled.
const PRESCRIBED: [u16; 4] = [1, 7, 10, 11];

/// The patients with a laboratory order that was not cancelled.
const TESTED: [u16; 6] = [1, 3, 6, 7, 8, RECORDED[2]];

/// The id of a second record of patient 1, which is merged into the first.
const TWICE: &str = "00000000-0000-4000-8000-00000000f1f1";
/// The number of the demo's second record of patient 4.
const DUPLICATE: u16 = 9;

/// Records so much that each word of the matrix names some rows of a table, and not all of them.
async fn fill(hospital: &Hospital) {
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let nurse = hospital.login("nurse").await;
    let (coder, lab) = (coder(hospital).await, hospital.login("lab").await);
    for number in PATIENTS {
        let patient_id = patient(number);
        let identifier = json!({"patient_id": patient_id, "system": "urn:oid:1.2.36.146.595.217.0.1",
                                "value": format!("X{patient_id}")});
        reception.did("add-patient-identifier", identifier).await;
        let (allergy_id, reason) = (uuid::Uuid::from_u128(number.into()), "tested");
        let allergy = json!({"patient_id": patient_id, "allergy_id": allergy_id, "allergen_type": "drug",
                             "allergen_name": "Codeine"});
        doctor.did("record-allergy", allergy).await;
        let retired = json!({"patient_id": patient_id, "allergy_id": allergy_id, "reason": reason});
        doctor.did("retire-allergy", retired).await;
        chart(&reception, &doctor, &patient_id).await;
        doctor.did("record-vital-signs", json!({"patient_id": patient_id, "heart_rate": 70})).await;
        let consultation_id = consultation(&doctor, &patient_id).await;
        if number != 6 {
            doctor.did("complete-consultation", json!({"consultation_id": consultation_id})).await;
            let amended = json!({"consultation_id": consultation_id, "reason": reason, "findings": {"plan": "Rest"}});
            doctor.did("amend-consultation", amended).await;
        }
        let order_id = super::laboratory::tested(&doctor, &lab, &patient_id).await;
        super::lab_results::released(&lab, &doctor, (&order_id, number)).await;
        if !TESTED.contains(&number) {
            doctor.did("cancel-lab-order", json!({"lab_order_id": order_id, "reason": reason})).await;
        }
        let prescription_id =
            doctor.did("write-prescription", demo::prescription(&patient_id, 3, "10", "tablet")).await;
        if PRESCRIBED.contains(&number) {
            doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
        } else if number != PENDING {
            let over = json!({"prescription_id": prescription_id, "reason": "not needed"});
            doctor.did("cancel-prescription", over).await;
        }
        super::amendments::fill(&doctor, &patient_id, [&allergy_id.to_string(), &order_id, &prescription_id]).await;
        super::disclosures::fill(hospital, &patient_id).await;
    }
    // The second record of the patient who has a login.
    let twice = patched(demo::person("Paula", "Reyes", 99), json!({"id": TWICE, "confirm_not_duplicate": true}));
    reception.did("register-patient", twice).await;
    super::merging::merge(hospital, &patient(1), TWICE).await.done();
    recorded(&doctor, &nurse).await;
    let later = reception.did("schedule-appointment", appointment(&patient(8), at(5, 0))).await;
    let booked = reception.did("schedule-appointment", appointment(&patient(8), at(4, 0))).await;
    reception.did("cancel-appointment", json!({"appointment_id": booked, "reason": "moved away"})).await;
    let elsewhere = json!({"patient_id": patient(5), "provider_id": coder, "department_id": department(2),
                           "room_id": room(3), "appointment_type": "follow_up", "starts_at": at(4, 0),
                           "duration_minutes": 30});
    let elsewhere = reception.did("schedule-appointment", elsewhere).await;
    // Series of the patients 1 and 5, beside that of patient 8.
    let of_coder = json!({"provider_id": coder, "department_id": department(2), "room_id": null});
    for (number, of) in [(1, json!({})), (5, of_coder)] {
        let body = hims_testing::patched(appointment(&patient(number), at(12, 0)), of);
        let rule = json!({"rrule": "FREQ=WEEKLY;COUNT=2"});
        reception.did("schedule-appointment-series", hims_testing::patched(body, rule)).await;
    }
    // Patient 1 waits in the department of the nurse, and patient 5 for the coder.
    let of_coder = json!({"department_id": null, "provider_id": coder});
    for (number, of) in [(1, json!({})), (5, of_coder)] {
        let body = super::waitlist::wait_for(&patient(number));
        reception.did("join-waitlist", hims_testing::patched(body, of)).await;
    }
    super::care_teams::fill(hospital).await;
    super::consents::fill(hospital).await;
    // Bills of the patients 1 and 5, each with a payment and an adjustment.
    let admin = hospital.login("admin").await;
    for number in [1, 5] {
        super::billing::with_payment(&reception, &admin, &patient(number)).await;
    }
    // Notes on appointments of the patients 1, 5 and 8.
    for appointment_id in [demo::visit(1), elsewhere, later] {
        notes(&reception, &doctor, &appointment_id).await;
    }
    let price = json!({"code_system": "urn:local", "code": "ECG", "description": "Electrocardiogram", "unit_price": "48",
                       "effective_from": at(1, 0).date_naive()});
    admin.did("set-price", price).await;
    super::billing::charged(&hospital.nobody()).await;
    super::insurance_claims::denied(hospital, &[1, 3]).await;
    super::notifications::fill(hospital, &LOGINS.map(|it| it.1)).await;
    super::reports::fill(hospital, &LOGINS.map(|it| it.1)).await;
    failure(hospital).await;
    // What processes record is there before anybody reads.
    super::notifications::all_done(hospital).await;
    hospital.settle().await;
    visits_around_today(hospital, &reception).await;
}

/// Begins a consultation with a step that is done, a symptom, a diagnosis and a treatment. Returns its id.
async fn consultation(doctor: &Client, patient_id: &str) -> String {
    let started = json!({"patient_id": patient_id, "steps": ["triage"]});
    let consultation_id = doctor.did("start-consultation", started).await;
    let steps = doctor.items(&format!("consultation-steps?consultation_id={consultation_id}")).await;
    let done = json!({"consultation_id": consultation_id, "step_id": steps[0]["id"]});
    doctor.did("complete-consultation-step", done).await;
    doctor.did("record-symptom", json!({"consultation_id": consultation_id, "name": "Cough"})).await;
    let diagnosis = json!({"consultation_id": consultation_id, "code": "J20.9", "description": "Acute bronchitis",
                           "diagnosis_type": "final"});
    doctor.did("record-diagnosis", diagnosis).await;
    let treatment = json!({"consultation_id": consultation_id, "treatment_type": "diet", "description": "Less salt"});
    doctor.did("plan-treatment", treatment).await;
    consultation_id
}

/// Records an emergency contact of a patient, and two entries of the medical history, of which one is wrong.
async fn chart(reception: &Client, doctor: &Client, patient_id: &str) {
    let contact = json!({"patient_id": patient_id, "name": "Clara Bell", "relationship": "sister",
                         "phone_primary": "555-415-3087"});
    reception.did("add-emergency-contact", contact).await;
    let entry = json!({"patient_id": patient_id, "history_type": "social", "description": "Never smoked",
                       "source": "patient"});
    doctor.did("record-medical-history", entry.clone()).await;
    let wrong = doctor.did("record-medical-history", entry).await;
    let marked = json!({"medical_history_id": wrong, "reason": "of another patient"});
    doctor.did("mark-medical-history-entered-in-error", marked).await;
}

/// Creates a user with a role that the hospital defined itself. Returns the id of the user.
pub(super) async fn coder(hospital: &Hospital) -> String {
    let admin = hospital.login("admin").await;
    let permissions =
        json!({"create": ["consultations", "emergency_access"], "read": ["all_patients", "clinical_records"]});
    let role = json!({"name": "coder", "display_name": "Coder", "permissions": permissions});
    let role_id = admin.did("define-role", role).await;
    colleague(hospital, "coder", &json!(role_id)).await
}

/// Reads every row of a table that a reader is answered, by id; `None` if the reader may not ask for the table.
async fn read(client: &Client, table: &str) -> Option<BTreeMap<String, Value>> {
    let (mut rows, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page = client.get(&format!("{}?limit=500{cursor}", table.replace('_', "-"))).await;
        if page.status == 403 {
            page.problem(403, "forbidden");
            return None;
        }
        let page = page.done();
        let items = page["items"].as_array().expect("items").iter();
        rows.extend(items.map(|it| (text(it, "id"), it.clone())));
        let Some(next) = page["next"].as_str() else { return Some(rows) };
        cursor = format!("&cursor={next}");
    }
}

fn text(row: &Value, column: &str) -> String {
    row[column].as_str().unwrap_or_default().to_owned()
}

/// Whether a word of the matrix names a row. The answer follows from the row and from what [`fill`] recorded, not from
/// the policies of the table.
fn is_meant(word: &str, table: &str, row: &Value, reader: &str) -> bool {
    let about = |numbers: &[u16]| {
        let mut patient_id = text(row, if table == "patients" { "id" } else { "patient_id" });
        // Whoever is meant by one record is meant by the other records, too.
        for (record, of) in [(TWICE.to_owned(), 1), (patient(DUPLICATE), 4)] {
            if patient_id == record {
                patient_id = patient(of);
            }
        }
        numbers.iter().any(|it| patient(*it) == patient_id)
    };
    match word {
        "all" => true,
        "none" => false,
        "assigned" => about(&ASSIGNED),
        "recorded" => {
            let by = ["recorded_by", "reported_by", "performed_by", "collected_by"];
            by.into_iter().any(|column| text(row, column) == reader)
        }
        "prescribed" => about(&PRESCRIBED),
        "tested" => about(&TESTED),
        // What was recorded about a patient of potassium is preliminary, and of hemoglobin final.
        "released" => {
            let is_superseded = row["is_current"] == false;
            let is_preliminary = text(row, "result_status") == "P" || text(row, "component_code") == "2823-3";
            about(&[1]) && !is_superseded && !is_preliminary
        }
        "own" => about(&[1]),
        "valid" => about(&[1]) && text(row, "status") != "entered_in_error",
        "identity" => row["table_name"] == "patients",
        "orders" => row["table_name"] == "lab_orders",
        "medicines" => match text(row, "table_name").as_str() {
            "prescriptions" => !about(&[PENDING]),
            "patient_allergies" => about(&PRESCRIBED),
            _ => false,
        },
        "oneself" => text(row, if table == "users" { "id" } else { "user_id" }) == reader,
        "department" => text(row, "department_id") == department(1),
        "provider" => text(row, "provider_id") == reader,
        "sent" => !about(&[PENDING]),
        "treating" => text(row, "id") == user(demo::DOCTOR),
        "staff" => row["patient_id"].is_null(),
        "clinical" => row["note_type"] == "clinical",
        "desk" => row["note_type"] != "clinical",
        "shown" => about(&[1]) && row["is_patient_visible"] == true,
        "here" => about(&[1, 8]) && row["note_type"] != "clinical",
        "treated" => about(&[1]) && row["note_type"] == "clinical",
        "told" => {
            // Beside that of `fill`, the demo has a notification to each of three users.
            let of_demo = [(1, demo::NURSE), (2, demo::DOCTOR), (3, demo::PATIENT_LOGIN)];
            let is_of_demo = |(nth, whom)| text(row, "id") == demo::notification(nth) && user(whom) == reader;
            // Results are told of to the doctor who ordered all tests, and to the patient.
            let is_of_result = match (text(row, "type").as_str(), text(row, "title").starts_with("Your")) {
                ("result_available", false) => user(demo::DOCTOR) == reader,
                // The lead of the care team, and the privacy officer.
                ("emergency_access", _) => {
                    [user(demo::DOCTOR), user(demo::PRIVACY_OFFICER)].contains(&reader.to_owned())
                }
                ("result_available", true) => {
                    text(row, "subject_patient_id") == patient(1) && user(demo::PATIENT_LOGIN) == reader
                }
                _ => false,
            };
            let of_report = format!("/report-executions/{}", super::reports::execution_for(reader));
            text(row, "title") == format!("For {reader}")
                || of_demo.into_iter().any(is_of_demo)
                || is_of_result
                || row["action_url"] == of_report
        }
        "got" => text(row, "recipient_id") == reader,
        "reported" => {
            let is_theirs = |column| text(row, column) == reader;
            let recipients = row["recipients"].as_array().map_or(&[][..], Vec::as_slice);
            is_theirs("requested_by") || is_theirs("created_by") || recipients.iter().any(|it| it == reader)
        }
        "patients" => !row["patient_id"].is_null(),
        "coded" => about(&[5]) && row["note_type"] != "clinical",
        _ => panic!("{word} is no word of the matrix"),
    }
}

/// A user with a role, over HTTP and in SQL.
pub(super) struct InRole {
    pub(super) client: Client,
    pub(super) id: String,
    pub(super) reader: Reader,
}

/// Someone of each role.
pub(super) async fn in_each_role(hospital: &Hospital) -> BTreeMap<&'static str, InRole> {
    hospital.settle().await;
    let mut all = BTreeMap::new();
    for (role, login) in LOGINS {
        let client = hospital.login(login).await;
        let sql = "select id::text from hims.users where email = $1";
        let id = sqlx::query_scalar(sql).bind(format!("{login}@demo.hims")).fetch_one(hospital.owner()).await;
        let id: String = id.expect("a user");
        all.insert(role, InRole { client, reader: Reader::of(hospital, &id).await, id });
    }
    all
}

#[tokio::test]
async fn every_role_sees_the_rows_that_are_agreed_and_no_others() {
    // Recorded reads would add rows to the audit between two looks at it.
    let hospital = Hospital::start_with(|settings| settings.record_reads = false).await;
    fill(&hospital).await;
    let agreed = part(ROWS);
    // Every table stands in the file.
    assert_same(agreed.lines(), TABLES.iter().map(|it| it.name));
    assert_same(agreed.columns.iter().map(String::as_str), LOGINS.map(|it| it.0));
    let mut people = in_each_role(&hospital).await;
    assert_eq!(people["nurse"].id, user(demo::NURSE));
    assert_agreed(&agreed.cells, &mut people).await;
    // Archived rows are read by the same people, and by nobody else.
    super::archive::put_everything_away(&hospital).await;
    let seen = assert_agreed(&agreed.cells, &mut people).await;
    super::access_sql::assert_behind(&hospital, &mut people, &seen).await;
}

/// The ids of the rows that a role reads of a table, by role and table.
pub(super) type Seen = BTreeMap<(String, String), BTreeSet<String>>;

/// Fails unless each role sees the agreed rows of each table, over HTTP and in SQL. Returns them.
async fn assert_agreed(
    agreed: &BTreeMap<(String, String), String>,
    people: &mut BTreeMap<&'static str, InRole>,
) -> Seen {
    let mut all_seen = Seen::new();
    let admin = people["administrator"].client.clone();
    for ((table, role), cell) in agreed {
        let every = read(&admin, table).await.expect("who reads all data reads every table");
        assert!(!every.is_empty(), "{table} has rows");
        let InRole { client, id: reader, reader: in_sql } = people.get_mut(role.as_str()).expect("somebody");
        let seen = read(client, table).await.map(|it| it.into_keys().collect::<BTreeSet<_>>());
        let found = in_sql.ids(table).await;
        let words: Vec<_> = cell.split('+').collect();
        let expected = if words == ["-"] {
            assert_eq!(seen, None, "{role} reads {table}");
            BTreeSet::new()
        } else {
            for word in words.iter().filter(|it| !["all", "none"].contains(*it)) {
                let meant = every.values().filter(|it| is_meant(word, table, it, reader)).count();
                assert!((1..every.len()).contains(&meant), "{word} tells {meant} of {} rows of {table}", every.len());
            }
            let is_agreed = |row: &Value| words.iter().any(|it| is_meant(it, table, row, reader));
            let expected: BTreeSet<_> =
                every.iter().filter(|(_, row)| is_agreed(row)).map(|(id, _)| id.clone()).collect();
            let seen = seen.unwrap_or_else(|| panic!("{role} may not ask for {table}"));
            assert_same(named(role, table, seen), named(role, table, expected.clone()));
            expected
        };
        let in_sql = format!("{role} in SQL");
        assert_same(named(&in_sql, table, found.clone()), named(&in_sql, table, expected));
        all_seen.insert((role.clone(), table.clone()), found);
    }
    all_seen
}

/// Words for rows that somebody reads.
fn named(who: &str, table: &str, ids: BTreeSet<String>) -> impl Iterator<Item = String> {
    ids.into_iter().map(move |id| format!("{who} reads {table} {id}"))
}

/// Whether a field with this name stands anywhere in a value.
fn holds(value: &Value, field: &str) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, member)| name == field || holds(member, field)),
        Value::Array(items) => items.iter().any(|it| holds(it, field)),
        _ => false,
    }
}

/// Every field that a table's declaration withholds is found in a history. A misspelt field would withhold nothing.
#[tokio::test]
async fn what_is_withheld_of_a_history_is_found_in_it() {
    let hospital = Hospital::start().await;
    fill(&hospital).await;
    let admin = hospital.login("admin").await;
    for (table, part) in TABLES.iter().filter_map(|it| Some((it, it.part?))) {
        let rows = read(&admin, table.name).await.expect("rows");
        let stream_id = text(rows.values().next().expect("a row"), part.column);
        let state = admin.get(&format!("streams/{}/{stream_id}", part.stream_type)).await.done();
        let events = admin.items(&format!("events?limit=5000&stream_id={stream_id}")).await;
        for field in part.fields {
            let is_there = holds(&state["state"], field) || events.iter().any(|it| holds(&it["data"], field));
            assert!(is_there, "{}: {field} of {} is nowhere in {state}", table.name, part.stream_type);
        }
        let begins = |event: &Value| event["type"].as_str().is_some_and(|name| name.starts_with(part.events));
        assert!(events.iter().any(begins), "{}: no event begins with {}", table.name, part.events);
    }
}
