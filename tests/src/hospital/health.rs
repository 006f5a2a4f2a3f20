//! What the server says about its own health.

use reqwest::Method;

use super::Hospital;

#[tokio::test]
async fn the_health_of_the_server_is_told_to_everybody() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    let get = async |path: &str| nobody.send(nobody.request(Method::GET, path)).await;
    assert_eq!(get("/health/live").await.done()["status"], "live");
    hospital.settle().await;
    let ready = get("/health/ready").await.done();
    assert_eq!((&ready["status"], &ready["database"]), (&"ready".into(), &"up".into()));
    assert_eq!(ready.get("reason"), None, "{ready}");
    assert!(ready["head_position"].as_i64().is_some_and(|it| it > 50), "{ready}");
    assert!(ready["read_position"].as_i64() >= Some(1), "{ready}");
    let metrics = get("/metrics").await;
    assert_eq!(metrics.status, 200);
    for name in [
        "hims_head_position",
        "hims_read_position",
        "hims_read_lag_events",
        "hims_commands_total",
        "hims_append_batch_size",
        "hims_append_seconds",
        "hims_connections",
        "hims_parked_streams",
    ] {
        assert!(metrics.text.contains(name), "{name} in {}", metrics.text);
    }
}

#[tokio::test]
async fn a_server_whose_log_does_not_answer_is_live_and_not_ready() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    let get = async |path: &str| nobody.send(nobody.request(Method::GET, path)).await;
    hospital.settle().await;
    let head = get("/health/ready").await.done()["head_position"].clone();
    let mut db = hospital.database.superuser().await;
    sqlx::raw_sql("alter table log.head rename to gone").execute(&mut db).await.expect("the table is renamed");
    let ready = get("/health/ready").await;
    assert_eq!(ready.status, 503, "{}", ready.text);
    let told = ready.json();
    assert_eq!((&told["status"], &told["database"]), (&"unavailable".into(), &"down".into()));
    assert_eq!(told["reason"], "database-down");
    assert!(told["head_position"].as_i64() >= head.as_i64(), "{told}");
    assert!(!ready.text.contains("relation"), "the answer shows an error text of PostgreSQL: {told}");
    get("/health/live").await.done();
    sqlx::raw_sql("alter table log.gone rename to head").execute(&mut db).await.expect("the table has its name again");
    assert_eq!(get("/health/ready").await.done()["status"], "ready");
}
