//! The page to browse and try the API on, and the page for read clients.

use hims_projections::TABLES;
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

#[test]
fn every_table_stands_on_the_page_for_read_clients() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/readers.md");
    let page = std::fs::read_to_string(page).expect("the page is read");
    let names = TABLES.iter().map(|table| format!("`{}`", table.name.replace('_', "-")));
    let missing: Vec<_> = names.filter(|name| !page.contains(name)).collect();
    assert!(missing.is_empty(), "say in docs/readers.md who sees which rows of {missing:?}");
}
