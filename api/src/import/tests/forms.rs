//! Files in whichever form other programs write them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hims_domain::patient::Patient;

use super::*;

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn one(id: &str) -> Value {
    but(patient(), json!({ "id": id }))
}

/// One resource a line.
fn lines() -> String {
    format!("{}\n\n{}\n", one("n1"), one("n2"))
}

/// How many patients a file holds, and what is wrong with the file.
async fn read(name: &str, content: impl AsRef<[u8]>) -> (u64, Vec<String>) {
    let hospital = Hospital::empty().await;
    let path = hospital.file(name, content);
    let summary = hospital.import(&[path]).await;
    assert_eq!(hospital.streams::<Patient>().await.len() as u64, summary.of("Patient").imported);
    (summary.of("Patient").imported, summary.broken.into_iter().map(|it| it.problem).collect())
}

#[tokio::test]
async fn files_are_read_in_every_form() {
    let within = bundle([bundle([one("1")]), one("2")]).to_string();
    for (name, content, patients) in [
        ("mark.json", [b"\xef\xbb\xbf".to_vec(), bundle([one("1")]).to_string().into_bytes()].concat(), 1),
        ("bulk.ndjson", lines().into_bytes(), 2),
        ("bulk.ndjson.gz", zipped(&lines()), 2),
        ("bundle.json.gz", zipped(&bundle([one("1")]).to_string()), 1),
        ("single.json", one("1").to_string().into_bytes(), 1),
        ("array.json", json!([one("1"), one("2")]).to_string().into_bytes(), 2),
        ("nested.json", within.into_bytes(), 2),
    ] {
        assert_eq!(read(name, content).await, (patients, vec![]), "{name}");
    }
}

#[tokio::test]
async fn a_form_that_is_not_read_is_named() {
    let utf16: Vec<u8> = "\u{feff}{ }".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, problem) in [
        (utf16, "in UTF-16 or UTF-32; save the file as UTF-8"),
        (b"<Patient xmlns='http://hl7.org/fhir'/>".to_vec(), "XML; export the resources as JSON"),
        (b"{ \"a\": \"\xff\" }".to_vec(), "not UTF-8 (byte 9); save the file as UTF-8"),
        (b" ".to_vec(), "empty"),
        (zipped("{}")[..15].to_vec(), "not a whole gzip file: unexpected end of file"),
    ] {
        assert_eq!(read("file.json", content).await, (0, vec![problem.to_owned()]));
    }
}

#[tokio::test]
async fn one_bad_line_loses_no_other() {
    let text = format!("{}\n{{ \"resourceType\": \"Patient\", \n{}\n", one("n1"), one("n2"));
    let (patients, problems) = read("bulk.ndjson", text).await;
    assert_eq!((patients, problems), (2, vec!["line 2: not JSON (column 29)".to_owned()]));
    let bad = json!({ "resourceType": "Bundle", "entry": "none" });
    let (patients, problems) = read("nested.json", bundle([bad, one("n1")]).to_string()).await;
    assert_eq!((patients, problems), (1, vec!["not a FHIR resource (line 1, column 15)".to_owned()]));
}

#[tokio::test]
async fn a_folder_is_read_whatever_the_names_of_its_files() {
    let hospital = Hospital::empty().await;
    hospital.file("Patient.000", lines());
    hospital.file("more.gz", zipped(&one("n3").to_string()));
    hospital.file("README", "nothing to import");
    let summary = hospital.import(&[hospital.folder.path().to_owned()]).await;
    assert_eq!((summary.of("Patient").imported, summary.files, summary.passed_over.len()), (3, 2, 1), "{summary}");
    assert!(summary.is_complete());
}

#[tokio::test]
async fn a_folder_without_anything_to_import_is_no_success() {
    let hospital = Hospital::empty().await;
    hospital.file("README", "nothing to import");
    let summary = hospital.import(&[hospital.folder.path().to_owned()]).await;
    assert!(!summary.is_complete());
    assert_eq!(summary.broken[0].problem, "a folder without any file of JSON or NDJSON");
}

#[tokio::test]
async fn a_bulk_export_may_be_spread_over_files() {
    let hospital = Hospital::empty().await;
    let visit = but(encounter(), json!({ "id": "e1", "subject": { "reference": "Patient/n1" } }));
    let files = [
        hospital.file("Encounter.ndjson", visit.to_string()),
        hospital.file("Patient.ndjson", lines()),
        hospital.file("Practitioner.ndjson", practitioner().to_string()),
    ];
    let summary = hospital.import(&files).await;
    assert_eq!(summary.of("Encounter").imported, 1, "{summary}");
    assert_eq!(hospital.import(&files).await.events, 0);
}
