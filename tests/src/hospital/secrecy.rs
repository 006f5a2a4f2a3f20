//! What identifies a person never stands in the log as it is.

use super::Hospital;
use super::demo::busy_day;

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
    // Long enough that no ciphertext spells them by chance.
    let personal = [
        "Zuzanna",
        "Kowalczyk",
        "987-65-",
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
            "987-65-",
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
