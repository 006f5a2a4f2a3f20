//! Refused commands and failed logins are recorded, and are in the audit.

use serde_json::json;

use super::Hospital;
use super::demo::{self, at};

#[tokio::test]
async fn what_was_refused_is_in_the_audit() {
    let hospital = Hospital::start().await;
    let (reception, admin) = (hospital.login("reception").await, hospital.login("admin").await);
    reception
        .command("open-department", json!({"code": "X", "name": "X", "time_zone": "UTC"}))
        .await
        .problem(403, "forbidden");
    let overlapping = json!({"appointment_id": "de300007-0000-8000-8000-000000000001", "starts_at": at(-9, 0)});
    assert_eq!(reception.command("reschedule-appointment", overlapping).await.status, 422);
    hospital.nobody().log_in("doctor@demo.hims", "wrong password").await.problem(401, "wrong-credentials");
    hospital.nobody().log_in("stranger@example.org", "wrong password").await.problem(401, "wrong-credentials");
    hospital.settle().await;
    let rows = admin.items("audit-logs?sort=-position&limit=500").await;
    let failed: Vec<_> = rows.iter().filter(|it| it["success"] == false).collect();
    let said: Vec<_> = failed.iter().rev().map(|it| it["error_message"].as_str().expect("a reason")).collect();
    assert_eq!(
        said,
        [
            "open-department: forbidden",
            "reschedule-appointment: in-the-past",
            "start-session: wrong-password",
            "start-session: unknown-user",
        ]
    );
    // Each row names the patient whose record the command was about; a department and a login are about no patient.
    let patients: Vec<_> = failed.iter().rev().map(|it| it["patient_id"].clone()).collect();
    assert_eq!(patients, [json!(null), json!(demo::patient(1)), json!(null), json!(null)]);
    assert_eq!(failed[3]["user_id"], demo::user(4));
    assert_eq!(failed[2]["resource_id"], "de300007-0000-8000-8000-000000000001");
    assert_eq!(
        (&failed[1]["resource_type"], &failed[1]["resource_id"]),
        (&json!("user"), &json!(demo::user(demo::DOCTOR)))
    );
    assert!(failed.iter().all(|it| !it.to_string().contains("stranger")));
}
