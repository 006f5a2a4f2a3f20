//! Drug interactions: the thesaurus as an operator imports it, the hospital's own word, and what prescribers and
//! pharmacists are told.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use hims_domain::interaction_profile::profile_of;
use hims_domain::interaction_source::sources;
use hims_testing::patched;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;

use super::demo::{self, medication, person, prescription};
use super::everything::record;
use super::process::hims;
use super::tables::count;
use super::{Answer, Client, Hospital, Start};
use crate::support::scratch;

const REASON: &str = "the clinic watches her blood every week";

/// The RxNorm concepts of ingredients that the demo has no products of.
const INGREDIENTS: [(&str, &str); 5] =
    [("Aspirin", "1191"), ("Verapamil", "11170"), ("Digoxin", "3407"), ("Furosemide", "4603"), ("Metoprolol", "6918")];

/// Runs every command about interactions, and records what an import records.
pub(super) async fn everything(hospital: &Hospital) {
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let pair = json!({"ingredient_a": "36567", "ingredient_b": "11289"});
    let word = |severity: &str| patched(pair.clone(), json!({ "severity": severity, "management": "Watch the blood" }));
    for severity in ["none", "major"] {
        pharmacist.did("set-local-interaction", word(severity)).await;
    }
    pharmacist.did("remove-local-interaction", pair.clone()).await;
    pharmacist.did("set-local-interaction", word("major")).await;
    let texts = json!([{"mechanism": "Majoration du risque.", "management": null}]);
    let of = |severity: &str| json!({"severity": severity, "is_conditional": false, "rule_count": 1, "advice": [0]});
    let mut content = json!({"source": "TEST", "version": "2026-01", "language": "fr", "ingredient": "11289",
                             "texts": texts, "pairs": {"36567": of("minor"), "7258": of("moderate")}});
    let id = profile_of("TEST", &"11289".into()).to_string();
    record(hospital, "interaction_profile", &id, "replaced", content.clone()).await;
    content["version"] = json!("2026-02");
    content["pairs"] = json!({"7258": of("moderate"), "8000": of("minor")});
    record(hospital, "interaction_profile", &id, "replaced", content).await;
    let loaded = json!({"source": "TEST", "version": "2026-02", "pairs": 2, "ingredients": ["11289"],
                        "unknown_names": ["PAMPLEMOUSSE"]});
    record(hospital, "interaction_source", &sources().to_string(), "loaded", loaded).await;
    // A prescription against the word of the hospital, which the pharmacist dispenses when another alert has come.
    let patient_id = hospital.login("reception").await.did("register-patient", person("Ida", "Alerta", 66)).await;
    let mut body = prescription(&patient_id, 2, "5", "tablet");
    let mut other = prescription(&patient_id, 4, "5", "tablet")["items"][0].clone();
    other["override_reason"] = json!(REASON);
    body["items"][0]["override_reason"] = json!(REASON);
    body["items"].as_array_mut().expect("items").push(other);
    let prescription_id = doctor.did("write-prescription", body).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
    let naproxen = json!({"patient_id": patient_id, "source": "otc", "medication_id": medication(3)});
    doctor.did("add-patient-medication", naproxen).await;
    let raised = json!({"ingredient_a": "7258", "ingredient_b": "11289", "severity": "contraindicated"});
    pharmacist.did("set-local-interaction", raised).await;
    let dispense = json!({"prescription_id": prescription_id, "override_reason": REASON});
    pharmacist.did("dispense-prescription", dispense).await;
}

/// The folder with the thesaurus of October 2020. The folder lies beside the repository, not in it.
fn folder() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    let mut folders = above.map(|it| it.join("shared/data/drug-interactions"));
    folders.find(|it| it.is_dir()).expect("put the thesaurus into ../shared/data/drug-interactions: this test reads it")
}

fn import(hospital: &Hospital, folder: &Path) -> Output {
    let mut command = hims();
    command.env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str()).env("RUST_LOG", "off");
    command.env("HIMS_MASTER_KEY_FILE", hospital.settings.master_key_file.as_ref().expect("a key"));
    command.args(["import", "interactions"]).arg(folder).stdin(Stdio::null()).output().expect("the program runs")
}

/// The people who meet a prescription.
struct Ward {
    hospital: Hospital,
    doctor: Client,
    pharmacist: Client,
}

impl Ward {
    async fn open() -> Self {
        let hospital = Hospital::start().await;
        let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
        Self { hospital, doctor, pharmacist }
    }

    async fn patient(&self, name: &str, number: u32) -> String {
        self.hospital.login("reception").await.did("register-patient", person(name, "Unlike", number)).await
    }

    /// What this hospital thinks of warfarin and naproxen.
    async fn word(&self, severity: &str) -> Answer {
        let word = json!({"ingredient_a": "11289", "ingredient_b": "7258", "severity": severity});
        self.pharmacist.command("set-local-interaction", word).await
    }

    async fn alerts(&self, prescription_id: &str, reader: &Client) -> Vec<Value> {
        reader.items(&format!("prescription-alerts?prescription_id={prescription_id}&sort=severity")).await
    }
}

/// The severities of the alerts in a refusal, by the words of its errors, without what could not be compared.
fn severities(refused: &Answer) -> Vec<String> {
    let problem = refused.problem(409, "needs-override");
    let errors = problem["errors"].as_array().expect("errors").iter();
    let of_pairs = errors.filter(|it| it["code"] == "interaction");
    let message = |it: &Value| it["message"].as_str().expect("a message").to_owned();
    let severity =
        |message: String| message.split("interact: ").nth(1).and_then(|it| it.split(',').next()).map(str::to_owned);
    of_pairs.filter_map(|it| severity(message(it))).collect()
}

#[tokio::test]
async fn the_thesaurus_is_imported_and_warns_prescribers() {
    let ward = Ward::open().await;
    let imported = import(&ward.hospital, &folder());
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    let said = String::from_utf8(imported.stdout).expect("UTF-8");
    for line in ["33172 pairs of 906 ingredients", "466 rules lead to no pair", "unknown in 42 rules: PAMPLEMOUSSE"] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let again = import(&ward.hospital, &folder());
    assert!(String::from_utf8_lossy(&again.stdout).ends_with("0 new events\n"), "{again:?}");
    ward.hospital.settle().await;
    assert_eq!(count(ward.hospital.owner(), "drug_interactions where source = 'ANSM'").await, 33_172);
    let pair = ward.doctor.items("drug-interactions?ingredient_a=11289&ingredient_b=7258&source=ANSM").await;
    assert_eq!((&pair[0]["severity"], &pair[0]["source_version"]), (&json!("major"), &json!("2020-10")));
    let mut products = vec![("11289", medication(2)), ("7258", medication(3)), ("36567", medication(4))];
    for (name, ingredient) in INGREDIENTS {
        let product = json!({"name": name, "ingredients": [ingredient]});
        products.push((ingredient, ward.pharmacist.did("add-medication", product).await));
    }
    let patient_id = ward.patient("Control", 2).await;
    for (one, other, expected) in [
        ("11289", "7258", Some("major")),
        ("11289", "1191", Some("contraindicated")),
        ("11170", "36567", None),
        ("11170", "3407", None),
        ("4603", "6918", None),
    ] {
        let item = |ingredient: &str| {
            let (_, id) = products.iter().find(|it| it.0 == ingredient).expect("a product");
            json!({"medication_id": id, "quantity": "5", "quantity_unit": "tablet"})
        };
        let body = json!({"patient_id": patient_id, "items": [item(one), item(other)], "confirm_unit": true});
        let answer = ward.doctor.command("write-prescription", body).await;
        if let Some(severity) = expected {
            assert_eq!(severities(&answer), [severity; 2], "{one} and {other}");
            continue;
        }
        let prescription_id = answer.id();
        let alerts = ward.alerts(&prescription_id, &ward.doctor).await;
        let found: Vec<_> = alerts.iter().map(|it| it["severity"].as_str().expect("a severity")).collect();
        let moderate: &[&str] = if one == "4603" { &[] } else { &["moderate"; 2] };
        assert_eq!(found, moderate, "{one} and {other}");
        let over = json!({"prescription_id": prescription_id, "reason": "only a test"});
        ward.doctor.did("cancel-prescription", over).await;
    }
}

#[tokio::test]
async fn bad_files_are_named_and_end_with_a_failure() {
    let hospital = Hospital::start().await;
    let scratch = scratch("interactions");
    let nothing = import(&hospital, scratch.path());
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    let said = String::from_utf8(nothing.stdout).expect("UTF-8");
    assert!(said.starts_with("nothing was imported") && said.contains("ansm_YYYY_MM.json"), "{said}");
    assert!(said.ends_with("0 new events\n"), "{said}");
}

#[tokio::test]
async fn an_override_is_shown_to_the_pharmacist_and_its_reason_lies_sealed() {
    let ward = Ward::open().await;
    ward.word("major").await.done();
    let patient_id = ward.patient("Override", 2).await;
    let both = |reasons: [Value; 2]| {
        let mut body = prescription(&patient_id, 2, "10", "tablet");
        let other = prescription(&patient_id, 3, "10", "tablet")["items"][0].clone();
        body["items"].as_array_mut().expect("items").push(other);
        for (place, reason) in reasons.into_iter().enumerate() {
            body["items"][place]["override_reason"] = reason;
        }
        body
    };
    let refused = ward.doctor.command("write-prescription", both([Value::Null, Value::Null])).await;
    assert_eq!(severities(&refused), ["major"; 2]);
    let body = both([json!(REASON), json!(REASON)]);
    let prescription_id = ward.doctor.did("write-prescription", body).await;
    let before = ward.alerts(&prescription_id, &ward.pharmacist).await;
    assert_eq!(before, Vec::<Value>::new(), "what was not sent does not concern the pharmacy");
    ward.doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
    let alerts = ward.alerts(&prescription_id, &ward.pharmacist).await;
    let overridden: Vec<_> = alerts.iter().filter(|it| it["is_overridden"] == true).collect();
    assert_eq!(overridden.len(), 2, "{alerts:?}");
    for alert in overridden {
        assert_eq!((&alert["kind"], &alert["source"]), (&json!("interaction"), &json!("local")));
        assert_eq!(
            (&alert["override_reason"], &alert["overridden_by"]),
            (&json!(REASON), &json!(demo::user(demo::DOCTOR)))
        );
        assert_eq!(alert["other_type"], "prescription_item");
    }
    // No thesaurus was imported, which is said once for the prescription.
    let unknown: Vec<_> = alerts.iter().filter(|it| it["kind"] == "not_checkable").collect();
    assert_eq!((unknown.len(), &unknown[0]["item_id"]), (1, &Value::Null));
    // The reason of the prescriber holds at the counter too.
    ward.pharmacist.did("dispense-prescription", json!({"prescription_id": prescription_id})).await;
    let stored = "log.events where data::text like '%watches her blood%'";
    assert_eq!(count(ward.hospital.owner(), stored).await, 0);
}

#[tokio::test]
async fn the_word_of_the_hospital_silences_and_is_taken_back() {
    let ward = Ward::open().await;
    ward.word("contraindicated").await.done();
    let patient_id = ward.patient("Silent", 2).await;
    ward.doctor.did("write-prescription", prescription(&patient_id, 2, "10", "tablet")).await;
    let write = || ward.doctor.command("write-prescription", prescription(&patient_id, 3, "10", "tablet"));
    assert_eq!(severities(&write().await), ["contraindicated"]);
    let pair = json!({"ingredient_a": "7258", "ingredient_b": "11289"});
    let word = patched(pair.clone(), json!({"severity": "none"}));
    ward.doctor.command("set-local-interaction", word).await.problem(403, "forbidden");
    ward.word("none").await.done();
    let row = &ward.doctor.items("drug-interactions?ingredient_a=11289&ingredient_b=7258").await[0];
    assert_eq!((&row["severity"], &row["source"]), (&json!("none"), &json!("local")));
    let prescription_id = write().await.id();
    let alerts = ward.alerts(&prescription_id, &ward.doctor).await;
    assert!(alerts.iter().all(|it| it["kind"] == "not_checkable"), "{alerts:?}");
    ward.pharmacist.did("remove-local-interaction", pair).await;
    assert!(ward.doctor.items("drug-interactions?ingredient_a=11289&ingredient_b=7258").await.is_empty());
}

/// Two doctors prescribe what must not be combined, at the same moment or shortly after each other: one of them is told.
#[tokio::test]
async fn of_two_prescriptions_that_must_not_meet_one_is_stopped() {
    let ward = Ward::open().await;
    ward.word("contraindicated").await.done();
    let admin = ward.hospital.login("admin").await;
    let role = admin.items("user-roles?name=doctor").await[0]["id"].clone();
    let second = json!({"email": "second@demo.hims", "first_name": "Sam", "last_name": "Econd", "role_id": role,
                        "password": "to be changed"});
    let user_id = admin.did("create-user", second).await;
    let password = json!({"user_id": user_id, "current_password": "to be changed", "new_password": demo::PASSWORD});
    ward.hospital.nobody().login_as("second@demo.hims", "to be changed").await.did("change-password", password).await;
    let second = ward.hospital.login("second").await;
    for (nth, start) in (0..).zip(Start::rounds(8)) {
        let patient_id = ward.patient(&format!("Race{nth}"), nth + 2).await;
        let both = [(&ward.doctor, 2), (&second, 3)].map(|(doctor, product)| {
            doctor.command("write-prescription", prescription(&patient_id, product, "10", "tablet"))
        });
        let mut answers = start.race(both).await;
        answers.sort_by_key(|it| it.status);
        assert_eq!(answers[0].status, 201, "{start:?}: {}", answers[0].text);
        assert_eq!(severities(&answers[1]), ["contraindicated"]);
    }
}

#[tokio::test]
async fn an_allergy_speaks_against_related_drugs_too() {
    let ward = Ward::open().await;
    let patient_id = ward.patient("Group", 2).await;
    let allergy = json!({"patient_id": patient_id, "allergen_type": "drug", "allergen_name": "Ampicillin",
                         "code_system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "733",
                         "severity": "severe"});
    ward.doctor.did("record-allergy", allergy).await;
    let write = |more: Value| {
        let mut body = prescription(&patient_id, 1, "10", "capsule");
        body["items"][0] = patched(body["items"][0].clone(), more);
        ward.doctor.command("write-prescription", body)
    };
    let refused = write(json!({})).await;
    let problem = refused.problem(409, "needs-override");
    let errors = problem["errors"].as_array().expect("errors");
    assert_eq!(errors.iter().filter(|it| it["code"] == "allergy").count(), 1, "{problem}");
    assert!(!refused.text.contains("Ampicillin"), "the allergen is personal: {}", refused.text);
    let prescription_id = write(json!({ "override_reason": REASON })).await.id();
    let alerts = ward.alerts(&prescription_id, &ward.doctor).await;
    let of_allergy = alerts.iter().find(|it| it["kind"] == "allergy").expect("an alert");
    assert_eq!((&of_allergy["severity"], &of_allergy["source"]), (&json!("major"), &json!("allergy-groups")));
    let row = &ward.doctor.items(&format!("patient-allergies?patient_id={patient_id}")).await[0];
    assert_eq!(row["code"], "733");
}
