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
            let target = rest.split('"').next().expect("the attribute ends");
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
