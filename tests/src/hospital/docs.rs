//! The page to browse and try the API on.

use reqwest::Method;

use super::Hospital;

#[tokio::test]
async fn the_page_answers_and_loads_nothing_from_elsewhere() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    let get = async |path: &str| nobody.send(nobody.request(Method::GET, path)).await;
    let page = get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    let mut loaded = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in page.text.split(attribute).skip(1) {
            let target = rest.split('"').next().expect("an end");
            assert!(!target.contains("//") && !target.starts_with("http"), "{target} is elsewhere");
            let asset = get(&format!("/docs/{}", target.trim_start_matches("./"))).await;
            assert_eq!(asset.status, 200, "{target}");
            loaded += 1;
        }
    }
    assert!(loaded >= 3, "{}", page.text);
    let initializer = get("/docs/swagger-initializer.js").await;
    assert!(initializer.text.contains("/api/v1/openapi.json"), "{}", initializer.text);
    assert!(!initializer.text.contains("petstore"), "{}", initializer.text);
    assert_eq!(get("/api/v1/openapi.json").await.done()["openapi"], "3.1.0");
}

#[tokio::test]
async fn the_health_of_the_server_is_told_to_everybody() {
    let hospital = Hospital::start().await;
    let nobody = hospital.nobody();
    let get = async |path: &str| nobody.send(nobody.request(Method::GET, path)).await;
    assert_eq!(get("/health/live").await.done()["status"], "live");
    hospital.settle().await;
    let ready = get("/health/ready").await.done();
    assert_eq!((&ready["status"], &ready["database"]), (&"ready".into(), &"up".into()));
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
