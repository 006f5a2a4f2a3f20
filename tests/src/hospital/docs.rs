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

#[test]
fn every_test_that_the_page_for_inspectors_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../docs/compliance.md")).expect("the page is read");
    let named: Vec<_> = page.split('`').filter(|it| it.contains("::")).collect();
    assert!(named.len() > 30, "{named:?}");
    let is_there = |named: &&str| {
        let (module, test) = named.rsplit_once("::").expect("a module and a test");
        let folder = if module.starts_with("event_store") { root.join("src") } else { root.join("src/hospital") };
        let path = folder.join(module.replace("::", "/"));
        let files = [path.with_extension("rs"), path.join("mod.rs")];
        files.iter().any(|it| std::fs::read_to_string(it).is_ok_and(|text| text.contains(&format!("fn {test}("))))
    };
    let missing: Vec<_> = named.into_iter().filter(|it| !is_there(it)).collect();
    assert!(missing.is_empty(), "docs/compliance.md names tests that do not exist: {missing:?}");
}
