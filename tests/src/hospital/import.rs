//! `hims import fhir` as an operator runs it, and what is then in the read tables.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use sqlx::ConnectOptions as _;

use super::Hospital;
use super::process::hims;
use crate::support::scratch;

fn import(hospital: &Hospital, path: &str) -> Output {
    import_as("fhir", hospital, path)
}

/// Runs `hims import` with a format and a path.
pub(super) fn import_as(format: &str, hospital: &Hospital, path: &str) -> Output {
    let mut command = hims();
    command.env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str()).env("RUST_LOG", "off");
    command.env("HIMS_MASTER_KEY_FILE", hospital.settings.master_key_file.as_ref().expect("a key"));
    command.args(["import", format, path]).stdin(Stdio::null()).output().expect("the program runs")
}

/// A bundle of a server, with a patient, an allergy, a visit without a practitioner, and an order not to give a drug.
fn bundle(server: &str, family: &str, born: &str, allergen: &str) -> Value {
    let patient = json!({ "reference": "Patient/1" });
    let name = json!([{ "given": ["Ann"], "family": family }]);
    let resources = [
        json!({
            "resourceType": "Patient", "id": "1", "name": name, "birthDate": born,
            "deceasedBoolean": true,
        }),
        json!({ "resourceType": "AllergyIntolerance", "id": "1", "patient": patient, "code": { "text": allergen } }),
        json!({
            "resourceType": "Encounter", "id": "1", "status": "finished", "class": { "code": "AMB" }, "subject": patient,
            "period": { "start": "2024-03-01T09:00:00Z", "end": "2024-03-01T09:30:00Z" },
        }),
        json!({
            "resourceType": "MedicationRequest", "id": "1", "status": "active", "intent": "order", "subject": patient,
            "authoredOn": "2024-03-01T08:00:00Z", "medicationCodeableConcept": { "text": "Warfarin" },
            "doNotPerform": true,
        }),
    ];
    let entry = |it: &Value| {
        let path = format!("{}/{}", it["resourceType"].as_str().expect("a type"), it["id"].as_str().expect("an id"));
        json!({ "fullUrl": format!("{server}/{path}"), "resource": it })
    };
    json!({ "resourceType": "Bundle", "type": "searchset", "entry": resources.iter().map(entry).collect::<Vec<_>>() })
}

async fn rows(hospital: &Hospital, query: &'static str) -> Vec<(String, String)> {
    sqlx::query_as(query).fetch_all(hospital.owner()).await.expect("rows")
}

#[tokio::test]
async fn an_import_says_what_it_brought_and_what_it_left_and_brings_nothing_to_the_wrong_person() {
    let hospital = Hospital::start().await;
    let folder = scratch("import");
    for (name, server, family, born, allergen) in [
        ("north.json", "https://north.example/fhir", "North", "1950", "Penicillin"),
        ("south.data", "https://south.example/fhir", "South", "1999-12-31", "Latex"),
    ] {
        let text = format!("\u{feff}{}", bundle(server, family, born, allergen));
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let path = folder.path().to_str().expect("UTF-8");
    let output = import(&hospital, path);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let summary = String::from_utf8(output.stdout).expect("UTF-8");
    for line in [
        "skipped 2 MedicationRequest: asks that something is not done",
        "left out 2 Patient.deceased[x]: the record has no place for it, or not in this form",
        "2 files read, 0 not readable",
    ] {
        assert!(summary.contains(line), "{line} in {summary}");
    }
    hospital.settle().await;
    let allergies = rows(
        &hospital,
        "select last_name, allergen_name from hims.patients join hims.patient_allergies on patient_id = patients.id \
         where last_name in ('North', 'South') order by last_name",
    );
    let expected = [("North", "Penicillin"), ("South", "Latex")];
    assert_eq!(allergies.await, expected.map(|(name, allergen)| (name.to_owned(), allergen.to_owned())));
    let visits = rows(
        &hospital,
        "select patients.last_name, users.first_name from hims.consultations \
         join hims.patients on patients.id = patient_id join hims.users on users.id = provider_id \
         where patients.last_name in ('North', 'South') order by patients.last_name",
    );
    assert_eq!(visits.await, ["North", "South"].map(|it| (it.to_owned(), "Unknown".to_owned())));
    let again = import(&hospital, path);
    assert!(String::from_utf8_lossy(&again.stdout).ends_with("0 new events\n"), "{again:?}");
}

#[tokio::test]
async fn an_import_of_nothing_is_no_success() {
    let hospital = Hospital::start().await;
    let folder = scratch("import");
    let output = import(&hospital, folder.path().to_str().expect("UTF-8"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let summary = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(summary.contains("a folder without any file of JSON or NDJSON"), "{summary}");
}
