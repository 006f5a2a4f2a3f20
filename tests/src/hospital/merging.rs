//! Records of one person that are merged, through the API.

use hims_testing::{assert_same, patched};
use serde_json::{Value, json};

use super::demo::{self, appointment, at, person, prescription, user};
use super::releases::until;
use super::{Answer, Client, Hospital, Start, contents};

async fn mrn(client: &Client, patient_id: &str) -> Value {
    client.row("patients", patient_id).await["mrn"].clone()
}

/// Asks for a merge of two records, with the right record numbers.
pub(super) async fn merge(hospital: &Hospital, patient_id: &str, duplicate_id: &str) -> Answer {
    let admin = hospital.login("admin").await;
    let body = json!({"patient_id": patient_id, "duplicate_id": duplicate_id, "mrn": mrn(&admin, patient_id).await,
                      "duplicate_mrn": mrn(&admin, duplicate_id).await, "reason": "the same person"});
    admin.command("merge-patients", body).await
}

pub(super) async fn unmerge(hospital: &Hospital, patient_id: &str, duplicate_id: &str) -> Answer {
    let body = json!({"patient_id": patient_id, "duplicate_id": duplicate_id, "reason": "twins"});
    hospital.login("admin").await.command("unmerge-patients", body).await
}

/// Registers so many patients.
pub(super) async fn patients<const N: usize>(hospital: &Hospital) -> [String; N] {
    let reception = hospital.login("reception").await;
    let mut ids = Vec::new();
    for number in 0..N {
        let name = ["Alba", "Bruno", "Carla"][number];
        let whom = person(name, "Merz", 70 + u32::try_from(number).expect("few"));
        let identifier = json!([{"system": "urn:other", "value": format!("M-{number}")}]);
        ids.push(reception.did("register-patient", patched(whom, json!({"identifiers": identifier}))).await);
    }
    ids.try_into().expect("so many")
}

/// Merges and unmerges records, so that one record stays merged into another that was itself merged.
pub(super) async fn everything(hospital: &Hospital) {
    let [first, second, third] = patients(hospital).await;
    merge(hospital, &first, &second).await.done();
    merge(hospital, &third, &first).await.done();
    unmerge(hospital, &third, &first).await.done();
    unmerge(hospital, &first, &second).await.done();
    merge(hospital, &first, &second).await.done();
    merge(hospital, &third, &first).await.done();
}

/// The ids in a column of the rows that a list answers, sorted.
async fn listed(client: &Client, path: &str, column: &str) -> Vec<String> {
    let items = client.items(path).await;
    let mut ids: Vec<_> = items.iter().map(|it| it[column].as_str().unwrap_or_default().to_owned()).collect();
    ids.sort();
    ids
}

fn sorted<const N: usize>(ids: [&String; N]) -> Vec<String> {
    let mut ids: Vec<_> = ids.into_iter().cloned().collect();
    ids.sort();
    ids
}

/// The rows of all tables but the audit log, without the columns that say when and by whom a row was changed last.
async fn rows(hospital: &Hospital) -> Vec<String> {
    hospital.settle().await;
    let mut tables = contents(hospital.owner(), "hims").await;
    tables.retain(|table, _| {
        !["audit_logs", "projection_checkpoint", "user_sessions", "users"].contains(&table.as_str())
    });
    let without_stamps = |row: &String| {
        let mut row: Value = serde_json::from_str(row).expect("a row");
        for stamp in ["version", "updated_at", "updated_by"] {
            row.as_object_mut().expect("columns").remove(stamp);
        }
        row.to_string()
    };
    tables
        .iter()
        .flat_map(|(table, rows)| rows.iter().map(move |it| format!("{table} {}", without_stamps(it))))
        .collect()
}

#[tokio::test]
async fn the_rows_of_all_records_are_listed_and_a_reversal_leaves_the_tables_as_they_were() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let [first, second, third] = patients(&hospital).await;
    // Two open appointments at one time, with two doctors.
    let admin = hospital.login("admin").await;
    let role = admin.items("user-roles?name=doctor").await[0]["id"].clone();
    let another = json!({"email": "another@example.org", "first_name": "Ira", "last_name": "Moss", "role_id": role});
    let another = admin.did("create-user", another).await;
    let with_the_other = json!({"provider_id": another, "room_id": demo::room(2)});
    let visit = reception.did("schedule-appointment", appointment(&first, at(9, 0))).await;
    let same_time = patched(appointment(&second, at(9, 0)), with_the_other);
    let other_visit = reception.did("schedule-appointment", same_time).await;
    let last_visit = reception.did("schedule-appointment", appointment(&third, at(10, 0))).await;
    let before = rows(&hospital).await;

    merge(&hospital, &first, &second).await.done();
    let of = |patient_id: &str| format!("appointments?sort=starts_at&patient_id={patient_id}");
    assert_eq!(listed(&reception, &of(&first), "id").await, sorted([&visit, &other_visit]));
    assert_eq!(listed(&reception, &of(&second), "id").await, sorted([&other_visit]));
    assert_eq!(listed(&reception, &of(&first), "patient_id").await, sorted([&first, &second]), "rows keep their own");
    merge(&hospital, &third, &first).await.done();
    assert_eq!(listed(&reception, &of(&third), "id").await, sorted([&visit, &other_visit, &last_visit]));
    let paged = reception.get(&format!("{}&limit=1", of(&third))).await.done();
    let next = reception.get(&format!("{}&limit=2&cursor={}", of(&third), paged["next"].as_str().expect("more"))).await;
    assert_eq!(next.done()["items"].as_array().map(Vec::len), Some(2), "pages go over all records");

    // The number and the identifier of a duplicate find the survivor.
    for record in [&first, &second, &third] {
        let number = mrn(&reception, record).await;
        let found = listed(&reception, &format!("patients?mrn={}", number.as_str().expect("a number")), "id").await;
        assert_eq!(found, sorted([&third]));
    }
    assert_eq!(listed(&reception, "patients?q=Bruno", "id").await, sorted([&second, &third]), "a name, too");
    let identifier = json!({"identifiers": [{"system": "urn:other", "value": "M-1"}]});
    let again = reception.command("register-patient", patched(person("Dora", "Kern", 80), identifier)).await;
    assert_eq!(again.problem(409, "already-taken")["candidates"], json!([third]));
    let links = reception.items(&format!("patient-links?patient_id={third}")).await;
    assert_eq!(links.len(), 2);
    assert_eq!(reception.row("patient-links", &second).await["merged_into_id"], json!(first));

    // Whoever names a duplicate is told the survivor.
    let named = [
        reception.command("schedule-appointment", appointment(&second, at(11, 0))).await,
        reception.command("change-patient-demographics", json!({"patient_id": second, "city": "Bern"})).await,
        doctor.command("write-prescription", prescription(&second, 3, "10", "tablet")).await,
    ];
    for answer in named {
        assert_eq!(answer.problem(409, "merged")["candidates"], json!([third]));
    }

    unmerge(&hospital, &first, &second).await.problem(409, "merged");
    unmerge(&hospital, &third, &second).await.problem(409, "merged-into-another");
    unmerge(&hospital, &third, &first).await.done();
    unmerge(&hospital, &first, &second).await.done();
    assert_same(rows(&hospital).await, before);
    assert_eq!(listed(&reception, &of(&first), "id").await, [visit]);
}

#[tokio::test]
async fn an_allergy_on_the_loser_stops_a_prescription_on_the_survivor() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let [survivor, loser] = patients(&hospital).await;
    let allergy_id = uuid::Uuid::from_u128(0xa11e);
    let allergy = json!({"patient_id": loser, "allergy_id": allergy_id, "allergen_type": "drug",
                         "allergen_name": "Naproxen"});
    doctor.did("record-allergy", allergy).await;
    let write = async || doctor.command("write-prescription", prescription(&survivor, 3, "10", "tablet")).await;
    write().await.done();
    merge(&hospital, &survivor, &loser).await.done();
    // The entry of the first prescription, which is of the same drug, is a candidate too.
    let problem = write().await.problem(409, "needs-override");
    assert!(problem["candidates"].as_array().is_some_and(|it| it.contains(&json!(allergy_id))), "{problem}");
    let retired = json!({"patient_id": survivor, "allergy_id": allergy_id, "reason": "tested"});
    doctor.did("retire-allergy", retired).await;
    assert_eq!(doctor.row("patient-allergies", &allergy_id.to_string()).await["is_active"], false);
    write().await.done();
}

#[tokio::test]
async fn a_patients_login_reads_the_rows_of_merged_records() {
    let hospital = Hospital::start().await;
    let (reception, own) = (hospital.login("reception").await, hospital.login("patient").await);
    let [twice] = patients(&hospital).await;
    let visit = reception.did("schedule-appointment", appointment(&twice, at(9, 0))).await;
    own.get(&format!("appointments/{visit}")).await.problem(404, "not-found");
    merge(&hospital, &demo::patient(1), &twice).await.done();
    assert_eq!(own.row("appointments", &visit).await["patient_id"], json!(twice));
    assert_eq!(own.row("patients", &twice).await["advance_directive"], false, "a column of the own record");
    let stream = own.get(&format!("streams/patient/{twice}")).await.done();
    assert_eq!(stream["state"]["demographics"]["advance_directive"], false, "and a field of its stream: {stream}");
    let listed = listed(&own, "appointments", "patient_id").await;
    assert_eq!(listed, sorted([&demo::patient(1), &twice]));
    until(async || own.command("confirm-appointment", json!({"appointment_id": visit})).await.status == 200).await;
    unmerge(&hospital, &demo::patient(1), &twice).await.done();
    own.get(&format!("appointments/{visit}")).await.problem(404, "not-found");
    until(async || own.command("cancel-appointment", cancelled(&visit)).await.status == 403).await;
}

#[tokio::test]
async fn a_login_of_the_duplicate_is_one_of_the_survivor() {
    let hospital = Hospital::start().await;
    let (reception, own) = (hospital.login("reception").await, hospital.login("patient").await);
    let [survivor] = patients(&hospital).await;
    let visit = reception.did("schedule-appointment", appointment(&survivor, at(9, 0))).await;
    own.get(&format!("appointments/{visit}")).await.problem(404, "not-found");
    merge(&hospital, &survivor, &demo::patient(1)).await.done();
    let is_record = async |id: &str| own.get("sessions/current").await.done()["user"]["patient_id"] == json!(id);
    until(async || is_record(&survivor).await).await;
    assert_eq!(own.row("appointments", &visit).await["patient_id"], json!(survivor));
    own.did("confirm-appointment", json!({"appointment_id": visit})).await;
    let moved = json!({"patient_id": survivor, "phone_primary": "+41 44 668 18 00"});
    own.did("change-patient-demographics", moved).await;
    own.command("change-patient-demographics", json!({"patient_id": demo::patient(1), "phone_primary": null}))
        .await
        .problem(409, "merged");
    own.did("cancel-appointment", cancelled(&visit)).await;
    unmerge(&hospital, &survivor, &demo::patient(1)).await.done();
    until(async || is_record(&demo::patient(1)).await).await;
    own.get(&format!("appointments/{visit}")).await.problem(404, "not-found");
}

fn cancelled(appointment_id: &str) -> Value {
    json!({"appointment_id": appointment_id, "reason": "no time"})
}

#[tokio::test]
async fn of_two_merges_in_opposite_directions_one_wins() {
    let hospital = Hospital::start().await;
    let [one, other] = patients(&hospital).await;
    for start in Start::rounds(2) {
        let both = [(&one, &other), (&other, &one)];
        let answers = start.race(both.map(|(survivor, duplicate)| merge(&hospital, survivor, duplicate))).await;
        let won = usize::from(answers[0].status != 200);
        answers[won].done();
        answers[1 - won].problem(422, "merges-in-a-circle");
        unmerge(&hospital, both[won].0, both[won].1).await.done();
    }
}

#[tokio::test]
async fn only_administrators_merge_and_they_type_both_numbers() {
    let hospital = Hospital::start().await;
    let [one, other] = patients(&hospital).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let (mrn, duplicate_mrn) = (mrn(&admin, &one).await, mrn(&admin, &other).await);
    let body = json!({"patient_id": one, "duplicate_id": other, "mrn": mrn, "duplicate_mrn": duplicate_mrn,
                      "reason": "the same person"});
    reception.command("merge-patients", body.clone()).await.problem(403, "forbidden");
    let mistyped = patched(body.clone(), json!({"duplicate_mrn": "MRN-00000000000"}));
    admin.command("merge-patients", mistyped).await.problem_at(422, "mrn-mismatch", "/duplicate_mrn");
    admin.did("merge-patients", body).await;
    let merged = admin.items(&format!("events?patient_id={other}")).await;
    assert!(merged.iter().any(|it| it["type"] == "patient.merged_into"), "{merged:?}");
}

#[tokio::test]
async fn whoever_reads_one_record_of_a_patient_reads_the_others() {
    let hospital = Hospital::start().await;
    let nurse = hospital.login("nurse").await;
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let [first, second, third] = patients(&hospital).await;
    for (number, record) in (0_u128..).zip([&first, &third]) {
        let allergy = json!({"patient_id": record, "allergy_id": uuid::Uuid::from_u128(0xa11e + number),
                             "allergen_type": "drug", "allergen_name": "Codeine"});
        doctor.did("record-allergy", allergy).await;
    }
    // The nurse and the pharmacist meet the patient under the second record only.
    let team = json!({"patient_id": second, "user_id": user(demo::NURSE)});
    doctor.did("assign-care-team-member", team).await;
    let prescribed = doctor.did("write-prescription", prescription(&second, 3, "10", "tablet")).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescribed})).await;
    merge(&hospital, &first, &second).await.done();
    merge(&hospital, &first, &third).await.done();
    for (role, reader) in [("nurse", &nurse), ("pharmacist", &pharmacist)] {
        for (nth, record) in [&first, &second, &third].into_iter().enumerate() {
            assert_eq!(reader.get(&format!("patients/{record}")).await.status, 200, "{role} reads record {nth}");
        }
        let path = format!("patient-allergies?patient_id={first}");
        assert_eq!(listed(reader, &path, "patient_id").await, sorted([&first, &third]));
        // The number and the name of a merged record lead to the survivor, with whom other values are compared.
        let (survivor, merged) = (reader.row("patients", &first).await, reader.row("patients", &third).await);
        let born = survivor["date_of_birth"].as_str().expect("a date");
        for by in
            [format!("mrn={}", merged["mrn"]), format!("q={}", merged["mrn"]), format!("q={}", merged["last_name"])]
        {
            let path = format!("patients?{}&date_of_birth={born}", by.replace('"', ""));
            assert!(listed(reader, &path, "id").await.contains(&first), "{role} by {by}");
        }
    }
    assert!(listed(&nurse, "patients", "id").await.contains(&third), "in a list without a filter, too");
}
