//! Who patients are: their names in any spelling, what is known of their birth, their phone numbers and identifiers.

use hims_projections::Target;
use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::demo::{self, person};
use super::releases::rebuild;
use super::{Client, Hospital};

/// A person as the demo registers them, with some fields changed.
fn but(number: u32, changes: Value) -> Value {
    let mut person = person("Zuzanna", "Kowalczyk", number);
    let Value::Object(fields) = changes else { panic!("give an object") };
    for (field, value) in fields {
        person[field] = value;
    }
    person
}

/// The ids of the patients that a search finds.
async fn found(client: &Client, q: &str) -> BTreeSet<String> {
    let items = client.items(&format!("patients?q={q}")).await;
    items.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_patient_is_found_in_any_spelling_of_the_name() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for (number, (first, last, spellings)) in (300..).zip([
        ("José", "Núñez", &["nunez", "NÚÑEZ", "nun\u{303}ez", "jose nunez"][..]),
        ("Jurgen", "Mu\u{308}ller-Lüdenscheidt", &["müller", "Mueller", "muller", "luedenscheidt"]),
        ("Karin", "Strauß", &["strauss", "STRAUẞ", "Strauß"]),
        ("Søren", "Ægir", &["soren", "søren", "aegir"]),
        ("无忌", "张", &["张"]),
    ]) {
        let id = reception.did("register-patient", but(number, json!({"first_name": first, "last_name": last}))).await;
        let row = reception.row("patients", &id).await;
        assert_eq!((&row["first_name"], &row["last_name"]), (&json!(first), &json!(last)), "shown as written");
        for q in spellings {
            assert!(found(&reception, q).await.contains(&id), "{q} finds {first} {last}");
        }
    }
    assert!(found(&reception, "unheard-of").await.is_empty());
}

#[tokio::test]
async fn a_name_in_another_spelling_is_a_possible_duplicate_also_after_a_change() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let names = |first: &str, last: &str| json!({"first_name": first, "last_name": last, "ssn": null});
    let id = reception.did("register-patient", but(1, names("José", "Müller"))).await;
    let twin = reception.command("register-patient", but(1, names("Jose", "Mueller"))).await;
    assert_eq!(twin.problem(409, "possible-duplicate")["candidates"], json!([id]));
    let other = reception.did("register-patient", but(1, names("Ottilie", "Nachtigall"))).await;
    let change = json!({"patient_id": other, "first_name": "JOSE", "last_name": "MULLER"});
    let changed = reception.command("change-patient-demographics", change.clone()).await;
    assert_eq!(changed.problem(409, "possible-duplicate")["candidates"], json!([id]));
    let mut confirmed = change;
    confirmed["confirm_not_duplicate"] = json!(true);
    reception.did("change-patient-demographics", confirmed).await;
}

#[tokio::test]
async fn what_is_known_of_a_person_is_enough() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for (number, changes, expected) in [
        (
            1,
            json!({"first_name": null, "last_name": "Suharto"}),
            json!({"first_name": null, "last_name": "Suharto", "birth_date_precision": "day", "name_unknown": false}),
        ),
        (
            2,
            json!({"first_name": "Sukarno", "last_name": null, "date_of_birth": "1987"}),
            json!({"last_name": null, "date_of_birth": "1987-01-01", "birth_date_precision": "year"}),
        ),
        (
            3,
            json!({"date_of_birth": "1987-03"}),
            json!({"date_of_birth": "1987-03-01", "birth_date_precision": "month"}),
        ),
        (
            4,
            json!({"first_name": "Ottilie", "date_of_birth": "1950", "birth_date_precision": "estimated"}),
            json!({"date_of_birth": "1950-01-01", "birth_date_precision": "estimated"}),
        ),
        (
            5,
            json!({"first_name": null, "last_name": null, "name_unknown": true, "date_of_birth": null}),
            json!({"first_name": null, "last_name": null, "name_unknown": true, "date_of_birth": null,
                   "birth_date_precision": "unknown"}),
        ),
    ] {
        let id = reception.did("register-patient", but(number, changes.clone())).await;
        let row = reception.row("patients", &id).await;
        for (column, value) in expected.as_object().expect("columns") {
            assert_eq!(&row[column], value, "{column} of {changes}");
        }
    }
    for q in ["suharto", "sukarno"] {
        assert_eq!(found(&reception, q).await.len(), 1, "{q}");
    }
    let nameless = but(6, json!({"first_name": null, "last_name": null}));
    reception.command("register-patient", nameless).await.problem_at(422, "no-name", "/last_name");
    let impossible = but(7, json!({"date_of_birth": "1987-13"}));
    reception.command("register-patient", impossible).await.problem_at(400, "malformed-request", "/date_of_birth");
}

#[tokio::test]
async fn a_phone_number_is_read_as_the_countries_number_or_refused() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for (number, (given, stored)) in (1..).zip([
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("(555) 415-3084 ext. 21", "+15554153084;ext=21"),
        ("+49 30 901820", "+4930901820"),
    ]) {
        let id = reception.did("register-patient", but(number, json!({"phone_primary": given}))).await;
        assert_eq!(reception.row("patients", &id).await["phone_primary"], stored, "{given}");
        let change = json!({"patient_id": id, "phone_secondary": given});
        reception.did("change-patient-demographics", change).await;
        assert_eq!(reception.row("patients", &id).await["phone_secondary"], stored, "{given}");
    }
    let with = |given: &str| reqwest::Url::parse_with_params("http://hims", [("phone_primary", given)]).expect("a URL");
    for (given, stored) in [
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("0044 20 7946 0018", "+442079460018"),
        ("011 44 20 7946 0018", "+442079460018"),
        ("555-415-3084 x21", "+15554153084;ext=21"),
    ] {
        let found = reception.items(&format!("patients?{}", with(given).query().expect("a query"))).await;
        let found: Vec<_> = found.iter().map(|it| &it["phone_primary"]).collect();
        assert_eq!(found, [stored], "{given}");
    }
    // A plus that is not written as %2B is a space.
    let found = reception.items("patients?phone_primary=+442079460018").await;
    assert_eq!(found.len(), 1);
    reception.get("patients?phone_primary=06483526").await.problem_at(400, "invalid-parameter", "/phone_primary");
    for given in ["(03) 5555 6473", "06 48 35 26 38"] {
        let answer = reception.command("register-patient", but(20, json!({"phone_primary": given}))).await;
        answer.problem_at(422, "invalid-fields", "/phone_primary");
    }
}

#[tokio::test]
async fn the_region_of_phone_numbers_is_a_setting() {
    let hospital = Hospital::made_with(|it| it.phone_region = "NL".parse().expect("a region")).await;
    let reception = hospital.login("reception").await;
    let id = reception.did("register-patient", but(1, json!({"phone_primary": "06 48 35 26 38"}))).await;
    assert_eq!(reception.row("patients", &id).await["phone_primary"], "+31648352638");
    let found = reception.items("patients?phone_primary=06-48352638").await;
    assert_eq!(found.iter().map(|it| &it["id"]).collect::<Vec<_>>(), [&json!(id)]);
}

#[tokio::test]
async fn what_does_not_exist_is_refused_at_the_desk() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for (field, value) in
        [("blood_type", json!("C+")), ("country", json!("XX")), ("first_name", json!("Zuzanna\nMaria"))]
    {
        let answer = reception.command("register-patient", but(1, json!({ field: value }))).await;
        answer.problem_at(422, "invalid-fields", &format!("/{field}"));
    }
}

#[tokio::test]
async fn a_social_security_number_cannot_be_found_by_trying() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let number = json!({"ssn": "123-45-0001"});
    for nth in 500..520 {
        let answer = reception.command("register-patient", but(nth, number.clone())).await;
        answer.problem(409, "possible-duplicate");
    }
    for number in ["123-45-0001", "123-98-7654"] {
        let answer = reception.command("register-patient", but(600, json!({ "ssn": number }))).await;
        answer.problem(429, "too-many-requests");
        assert_eq!(answer.header("retry-after"), Some("3600"), "{number}");
    }
}

#[tokio::test]
async fn an_identifier_on_the_wrong_record_is_taken_back() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let [wrong, right] = [demo::patient(2), demo::patient(3)];
    let passport = |id: &str| json!({"patient_id": id, "system": "urn:passport", "value": "X7654321"});
    let remove = |id: &str| hims_testing::patched(passport(id), json!({"reason": "the passport of somebody else"}));
    let known = async |id: &str| reception.items(&format!("patient-identifiers?patient_id={id}")).await;
    let before = known(&wrong).await.len();
    reception.did("add-patient-identifier", passport(&wrong)).await;
    reception.command("add-patient-identifier", passport(&right)).await.problem(409, "already-taken");
    reception.command("remove-patient-identifier", remove(&right)).await.problem(404, "not-found");
    reception.did("remove-patient-identifier", remove(&wrong)).await;
    reception.did("add-patient-identifier", passport(&right)).await;
    hospital.settle().await;
    assert_eq!(known(&wrong).await.len(), before);
    assert!(known(&right).await.iter().any(|it| it["value"] == "X7654321"));
    // The history tells that the record once had the identifier, and why not any more.
    let events = reception.items(&format!("events?limit=500&patient_id={wrong}")).await;
    let of_identifiers = |event: &&Value| event["type"].as_str().is_some_and(|it| it.starts_with("patient.identifier"));
    let last: Vec<_> = events.iter().filter(of_identifiers).rev().take(2).map(|it| it["type"].clone()).collect();
    assert_eq!(last, ["patient.identifier_removed", "patient.identifier_added"]);
    // The patient is not told of it, for it may be that of somebody else.
    let (own, paula) = (demo::patient(1), hospital.login("patient").await);
    let sisters = json!({"patient_id": own, "system": "urn:passport", "value": "S1234567"});
    reception.did("add-patient-identifier", sisters.clone()).await;
    let taken_back = hims_testing::patched(sisters, json!({"reason": "of the sister"}));
    reception.did("remove-patient-identifier", taken_back).await;
    for path in [format!("events?limit=500&patient_id={own}"), format!("streams/patient/{own}")] {
        let told = paula.get(&path).await;
        assert_eq!(told.status, 200, "{}", told.text);
        assert!(!told.text.contains("S1234567") && !told.text.contains("of the sister"), "{}", told.text);
    }
    // A number that is added, removed and added again has one row.
    reception.did("remove-patient-identifier", remove(&right)).await;
    reception.did("add-patient-identifier", passport(&right)).await;
    hospital.settle().await;
    assert_eq!(known(&right).await.iter().filter(|it| it["value"] == "X7654321").count(), 1);
}

#[tokio::test]
async fn the_identifiers_of_an_erased_patient_keep_their_rows() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let passports = json!([{"system": "urn:passport", "value": "A1"}, {"system": "urn:passport", "value": "B2"}]);
    let id = reception.did("register-patient", but(1, json!({ "identifiers": passports }))).await;
    hospital.settle().await;
    let rows = async || {
        let sql = "select id, value from hims.patient_identifiers where patient_id = $1 order by id";
        let rows = sqlx::query_as(sql).bind(id.parse::<uuid::Uuid>().expect("an id")).fetch_all(hospital.owner());
        let rows: Vec<(uuid::Uuid, String)> = rows.await.expect("rows");
        rows
    };
    let ids = |rows: Vec<(uuid::Uuid, String)>| rows.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let before = rows().await;
    assert_eq!(before.iter().map(|it| it.1.as_str()).collect::<BTreeSet<_>>(), BTreeSet::from(["A1", "B2"]));
    hospital.node.store.vault().destroy_key(id.parse().expect("an id")).await.expect("the key is destroyed");
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    let after = rows().await;
    assert!(after.iter().all(|(_, value)| value == "[erased]"), "{after:?}");
    assert_eq!(ids(after), ids(before));
}
