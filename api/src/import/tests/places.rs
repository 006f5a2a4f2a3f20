//! A resource, or a row, that is faulty is named by its file and line.

use super::*;

fn places(summary: &Summary, kind: &str) -> Vec<(String, u64, u64)> {
    let counts = summary.of(kind);
    let name = |it: &Place| it.path.file_name().unwrap().to_string_lossy().into_owned();
    counts.places.values().flatten().map(|it| (name(it), it.line, it.column)).collect()
}

/// An allergy that cannot be read, since its patient is no reference.
fn faulty(id: &str) -> Value {
    but(allergy(), json!({ "id": id, "patient": "Jane Doe" }))
}

#[tokio::test]
async fn a_resource_is_named_by_its_line_in_whatever_form_the_file_is() {
    let hospital = Hospital::empty().await;
    let (patient, faulty) = (patient().to_string(), faulty("1").to_string());
    hospital.file("array.json", format!("\u{feff}[\n{patient},\n  {faulty}]"));
    hospital.file("line.json", format!("[{faulty}]"));
    hospital.file("lines.ndjson", format!("{patient}\r\n\r\n{faulty}\r\n"));
    hospital.file("single.json", format!("\n\n {faulty}\n"));
    let inner = format!("{{\"resourceType\":\"Bundle\",\"entry\":[\n{{\"resource\":{faulty}}}]}}");
    hospital.file("within.json", format!("{{\"resourceType\":\"Bundle\",\"entry\":[\n{{\"resource\":\n{inner}}}]}}"));
    let summary = hospital.import(&[hospital.folder.path().to_owned()]).await;
    let expected = [
        ("array.json", 3, 3),
        ("line.json", 1, 2),
        ("lines.ndjson", 3, 1),
        ("single.json", 3, 2),
        ("within.json", 4, 13),
    ];
    assert_eq!(places(&summary, "AllergyIntolerance"), expected.map(|(name, line, at)| (name.to_owned(), line, at)));
    let told = summary.to_string();
    assert!(told.contains("lines.ndjson, line 3\n") && told.contains("array.json, line 3, column 3\n"), "{told}");
    assert!(!told.contains("Doe"), "no value of a person: {told}");
}

#[tokio::test]
async fn every_copy_has_its_place_and_the_rest_of_very_many_is_counted() {
    let hospital = Hospital::empty().await;
    let unnamed = but(allergy(), json!({ "code": null })).to_string();
    let copies = [patient().to_string(), unnamed.clone(), unnamed].join("\n");
    let path = hospital.file("copies.ndjson", copies);
    let expected = [2, 3].map(|line| ("copies.ndjson".to_owned(), line, 1));
    assert_eq!(places(&hospital.import(&[path]).await, "AllergyIntolerance"), expected);

    let many: Vec<String> = (0..150).map(|it| faulty(&it.to_string()).to_string()).collect();
    let path = hospital.file("many.ndjson", many.join("\n"));
    let summary = hospital.import(&[path]).await;
    assert_eq!(summary.of("AllergyIntolerance").skipped, BTreeMap::from([(Reason::Malformed, 150)]));
    let lines: Vec<u64> = places(&summary, "AllergyIntolerance").into_iter().map(|it| it.1).collect();
    assert_eq!(lines, (1..=100).collect::<Vec<_>>());
    assert!(summary.to_string().contains("    and 50 more\n"), "{summary}");
}
