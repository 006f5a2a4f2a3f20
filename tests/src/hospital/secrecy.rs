//! Values that identify a person are never in plain text in the log or in the audit.

use serde_json::json;

use super::Hospital;
use super::demo::{busy_day, person};

#[tokio::test]
async fn the_log_holds_no_personal_value_in_plain_text() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    let texts: Vec<String> = sqlx::query_scalar("select data::text || ' ' || metadata::text from log.events")
        .fetch_all(hospital.owner())
        .await
        .expect("events");
    assert!(texts.len() > 70, "{} events", texts.len());
    let claims: Vec<String> = sqlx::query_scalar(
        "select scope || encode(key, 'escape') from log.unique_claims union all select scope || encode(key, 'escape') from log.shared_claims",
    )
    .fetch_all(hospital.owner())
    .await
    .expect("claims");
    // Each value is too long to be in a ciphertext by chance.
    let personal = [
        "Zuzanna",
        "Kowalczyk",
        "123-65-",
        "987650001",
        "5554153084",
        "415-3084",
        "1979-04-23",
        "Hinterzarten",
        "Freiburg",
        "zuzanna@example.org",
        "Bronchitis",
        "With plenty of water",
        "999-00-",
        "1984-03-12",
        "Example Street",
        "Siobhan",
        "O'Brien",
        "doctor@demo.hims",
        "$argon2id",
    ];
    for text in texts.iter().chain(&claims) {
        for value in personal {
            assert!(!text.contains(value), "{value} in {text}");
        }
    }
}

#[tokio::test]
async fn the_audit_holds_no_personal_value_in_plain_text() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let sql = "select coalesce(old_values::text, '') || coalesce(new_values::text, '') || coalesce(error_message, '')
                 from audit_logs";
    let texts: Vec<String> = sqlx::query_scalar(sql).fetch_all(hospital.owner()).await.expect("rows");
    assert!(texts.len() > 70, "{} rows", texts.len());
    for text in texts {
        for value in [
            "Zuzanna",
            "Kowalczyk",
            "123-65-",
            "5554153084",
            "1979-04-23",
            "Freiburg",
            "Siobhan",
            "Bronchitis",
            "$argon2id",
        ] {
            assert!(!text.contains(value), "{value} in {text}");
        }
    }
}

#[tokio::test]
async fn that_a_social_security_number_changed_is_in_the_audit_but_neither_number() {
    let hospital = Hospital::start().await;
    let (reception, admin) = (hospital.login("reception").await, hospital.login("admin").await);
    let patient = reception.did("register-patient", person("Zuzanna", "Kowalczyk", 1)).await;
    for (change, shown) in [
        (json!({"patient_id": patient, "ssn": "123-65-4329"}), json!({"ssn": "***"})),
        (json!({"patient_id": patient, "city": "Freiburg"}), json!({"city": "***"})),
    ] {
        let answer = reception.command("change-patient-demographics", change).await;
        let rows = admin.items(&format!("audit-logs?position={}", answer.position())).await;
        assert_eq!((&rows[0]["old_values"], &rows[0]["new_values"]), (&shown, &shown));
    }
}
