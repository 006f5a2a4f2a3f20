//! The nil and the max UUID name nothing: neither a record nor a request.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::Hospital;
use super::demo::{appointment, at, person};

#[tokio::test]
async fn neither_the_nil_uuid_nor_the_max_uuid_is_an_id_or_a_key() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    for id in [Uuid::nil(), Uuid::max()] {
        for (path, pointer) in [
            (format!("patients/{id}"), "/id"),
            (format!("streams/patient/{id}"), "/id"),
            (format!("appointments?patient_id={id}"), "/patient_id"),
            (format!("appointments?id={id}"), "/id"),
            (format!("events?patient_id={id}"), "/patient_id"),
            (format!("events?stream_id={id}"), "/stream_id"),
            (format!("events/stream?actor_id={id}"), "/actor_id"),
        ] {
            admin.get(&path).await.problem_at(400, "invalid-parameter", pointer);
        }
        let mut registered = person("Zuzanna", "Kowalczyk", 1);
        let keyed = admin.request(Method::POST, "/api/v1/commands/register-patient").json(&registered);
        let keyed = admin.send(keyed.header("idempotency-key", id.to_string())).await;
        keyed.problem_at(400, "invalid-parameter", "/Idempotency-Key");
        registered["id"] = json!(id);
        admin.command("register-patient", registered).await.problem_at(400, "malformed-request", "/id");
        let scheduled = appointment(&id.to_string(), at(4, 0));
        admin.command("schedule-appointment", scheduled).await.problem_at(400, "malformed-request", "/patient_id");
        let roles = json!({"user_id": Uuid::from_u128(1), "role_id": Uuid::from_u128(2), "additional_role_ids": [id]});
        let answer = admin.command("change-user-role", roles).await;
        answer.problem_at(400, "malformed-request", "/additional_role_ids/0");
    }
}
