//! What an import tells of its progress.

use std::sync::Mutex;

use super::*;

/// A part of an import: its name, how many steps it has, and how many of them are done.
type Part = (String, u64, u64);

/// Notes what is told.
#[derive(Default)]
struct Noted(Mutex<Vec<Part>>);

impl Progress for Noted {
    fn begin(&self, what: &str, steps: u64) {
        self.0.lock().unwrap().push((what.to_owned(), steps, 0));
    }

    fn advance(&self) {
        self.0.lock().unwrap().last_mut().expect("no step is told before its part").2 += 1;
    }
}

impl Noted {
    /// The parts that have steps, with their number. Every step of every part was told, and told once.
    fn parts(self) -> Vec<(String, u64)> {
        let parts = self.0.into_inner().unwrap();
        assert!(parts.iter().all(|(_, steps, done)| steps == done), "{parts:?}");
        parts.into_iter().filter(|(_, steps, _)| *steps > 0).map(|(what, steps, _)| (what, steps)).collect()
    }
}

fn named<const N: usize>(parts: [(&str, u64); N]) -> Vec<(String, u64)> {
    parts.map(|(what, steps)| (what.to_owned(), steps)).into()
}

#[tokio::test]
async fn each_part_of_an_import_is_told_with_its_steps_and_every_step_when_it_is_done() {
    let hospital = Hospital::empty().await;
    let died = but(patient(), json!({ "deceasedDateTime": "2020-01-01T08:00:00Z" }));
    let others = one_of_each().into_iter().filter(|it| it["resourceType"] != "Patient");
    hospital.file("one.json", bundle(others).to_string());
    hospital.file("other.json", bundle([died]).to_string());
    // A file that cannot be read is a step, too.
    hospital.file("third.json", "{");
    let noted = Noted::default();
    let folder = [hospital.folder.path().to_owned()];
    let summary = import_fhir(&hospital.executor, &folder, &Settings::default(), &noted).await.unwrap();
    assert_eq!((summary.files, summary.broken.len()), (2, 1), "{summary}");
    let expected = [
        ("files", 3),
        ("Patient (comparison)", 1),
        ("Organization", 1),
        ("Organization", 1),
        ("Practitioner", 1),
        ("Patient", 1),
        ("AllergyIntolerance", 1),
        ("Encounter", 1),
        ("Observation", 1),
        ("Medication", 1),
        ("MedicationRequest", 1),
        // The death is recorded last.
        ("Patient", 1),
    ];
    assert_eq!(noted.parts(), named(expected));
}

#[tokio::test]
async fn each_file_of_an_export_is_a_step_whether_it_is_there_or_not() {
    let hospital = Hospital::empty().await;
    hospital.file("organizations.csv", "Id,NAME,PHONE\n00000000-0000-4000-8000-0000000000a2,Ward,\n");
    let noted = Noted::default();
    import_synthea_csv(&hospital.executor, hospital.folder.path(), &Settings::default(), &noted).await.unwrap();
    assert_eq!(noted.parts(), named([("files", 18), ("Organization", 1)]));
}
