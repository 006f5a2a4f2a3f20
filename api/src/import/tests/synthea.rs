use std::path::{Path, PathBuf};

use super::*;

/// Twelve patients of Synthea, whom nobody here made up. They lie beside the repository, not in it.
fn folder() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    let mut folders = above.map(|it| it.join("shared/data/synthea-fhir-r4"));
    folders
        .find(|it| it.is_dir())
        .expect("put the Synthea bundles into ../shared/data/synthea-fhir-r4: this test reads them")
}

fn begun(summary: &Summary) -> Vec<(&str, u64)> {
    summary.begun.iter().map(|(kind, count)| (*kind, *count)).collect()
}

#[tokio::test]
async fn twelve_patients_come_in_with_everything_that_the_record_has_a_place_for() {
    let hospital = Hospital::empty().await;
    let summary = hospital.import(&[folder()]).await;
    assert_eq!((summary.files, summary.is_complete()), (14, true));
    let expected = [
        ("consultation", 217),
        ("department", 102),
        ("medication", 25),
        ("patient", 12),
        ("prescription", 60),
        ("user", 102),
        ("vital_signs", 109),
    ];
    assert_eq!(begun(&summary), expected);
    for (kind, imported, already_there) in [
        ("AllergyIntolerance", 12, 0),
        ("Encounter", 217, 0),
        ("MedicationRequest", 60, 0),
        ("Observation", 406, 0),
        ("Organization", 102, 17),
        ("Patient", 12, 0),
        ("Practitioner", 102, 17),
    ] {
        assert_eq!((summary.of(kind).imported, summary.of(kind).already_there), (imported, already_there), "{kind}");
    }
    let observations = reasons(&summary, "Observation");
    assert_eq!(
        (observations["derived; the record computes it itself"], observations["not part of the record yet"]),
        (81, 976)
    );
    assert_eq!(reasons(&summary, "Claim")["not part of the record yet"], 277);
    assert_eq!(summary.left_out["Organization.telecom"], 2, "two numbers in one text");
    assert_eq!(summary.left_out.len(), 1);
    let counted: u64 = summary.resources.values().map(|it| it.imported + it.already_there + it.skipped()).sum();
    assert_eq!(counted, 2_895, "every resource is counted once");

    let events = hospital.events().await;
    assert_eq!(i64::try_from(events.len()), Ok(*hospital.executor.store().head().borrow()));
    let count = |event_type: &str| events.iter().filter(|it| it.event_type == event_type).count();
    assert_eq!(count("access.command_refused"), 0);
    assert_eq!(count("patient.allergy_recorded"), 12);
    assert_eq!(count("consultation.completed"), 217);
    assert_eq!(count("prescription.cancelled"), 46);
}

#[tokio::test]
async fn a_second_run_adds_nothing() {
    let hospital = Hospital::empty().await;
    let first = hospital.import(&[folder()]).await;
    let before = hospital.executor.store().current_head().await.unwrap();
    let second = hospital.import(&[folder()]).await;
    assert_eq!(hospital.executor.store().current_head().await.unwrap(), before);
    assert_eq!((second.events, second.begun.len()), (0, 0));
    for (kind, counts) in &first.resources {
        let again = second.of(kind);
        assert_eq!((again.imported, again.already_there), (0, counts.imported + counts.already_there), "{kind}");
        assert_eq!(again.skipped, counts.skipped, "{kind}");
    }
}

#[tokio::test]
async fn the_order_of_the_files_leaves_no_trace() {
    let (one, other) = (Hospital::empty().await, Hospital::empty().await);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    one.import(&paths).await;
    paths.rotate_left(5);
    paths.reverse();
    for (number, path) in paths.iter().enumerate() {
        std::fs::copy(path, other.folder.path().join(format!("{number:02}.json"))).unwrap();
    }
    other.import(&[other.folder.path().to_owned()]).await;
    assert_eq!(one.history().await, other.history().await);
}

#[tokio::test]
async fn files_may_come_one_at_a_time() {
    let (one, other) = (Hospital::empty().await, Hospital::empty().await);
    one.import(&[folder()]).await;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        other.import(&[path]).await;
    }
    let streams = |history: BTreeSet<(Uuid, i32, String, DateTime<Utc>)>| {
        history.into_iter().map(|(id, version, event_type, _)| (id, version, event_type)).collect::<Vec<_>>()
    };
    assert_eq!(streams(one.history().await), streams(other.history().await));
}
