//! `hims import synthea-csv`, with the numbers that were counted from the files alone.

use std::path::{Path, PathBuf};

use hims_domain::consultation::{ClinicalStatus, Consultation};
use hims_domain::insurance_policy::InsurancePolicy;
use hims_domain::lab_order::{LabOrder, Status as OrderStatus};
use hims_domain::lab_result::LabResult;
use hims_domain::medical_history::{HistoryType, MedicalHistory};
use hims_domain::medication_list::MedicationList;
use hims_domain::patient::Patient;
use hims_domain::treatment::{Status, Treatment, TreatmentType};

use super::*;

/// The folder with the CSV files of 27 synthetic patients. The folder lies beside the repository, not in it.
pub(super) fn folder() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    let mut folders = above.map(|it| it.join("shared/data/synthea-csv"));
    folders
        .find(|it| it.is_dir())
        .expect("put the CSV files of Synthea into ../shared/data/synthea-csv: this test reads them")
}

pub(super) async fn imported(hospital: &Hospital, folder: &Path) -> Summary {
    import_synthea_csv(&hospital.executor, folder, &Settings::default(), &Silent).await.unwrap()
}

#[tokio::test]
async fn twenty_seven_patients_come_in_from_rows() {
    let hospital = Hospital::empty().await;
    let summary = imported(&hospital, &folder()).await;
    assert!(summary.is_complete() && summary.missing.is_empty(), "{summary}");
    assert!(summary.resources.values().all(|it| it.places.is_empty()), "no row is faulty: {summary}");
    let begun: Vec<_> = summary.begun.iter().map(|(kind, count)| (*kind, *count)).collect();
    let expected = [
        ("billing_record", 1_267),
        ("consultation", 604),
        ("department", 63),
        ("insurance_claim", 1_070),
        ("insurance_policy", 589),
        ("inventory_item", 6),
        ("lab_order", 20),
        ("lab_result", 233),
        ("lab_test", 48),
        ("medical_history", 56),
        ("medication", 32),
        ("patient", 27),
        ("payer", 9),
        ("prescription", 663),
        ("treatment", 301),
        ("user", 167),
        ("vital_signs", 28),
    ];
    assert_eq!(begun, expected, "{summary}");
    let count = |kind: &str| summary.of(kind).imported;
    assert_eq!((count("allergies"), count("conditions"), count("careplans"), count("devices")), (40, 438, 49, 3));
    check_skipped(&summary);

    let patients = hospital.all::<Patient>().await;
    assert_eq!(patients.iter().filter(|it| it.death.is_some()).count(), 2);
    assert_eq!(patients.iter().map(|it| it.allergies.len()).sum::<usize>(), 40);
    let policies = hospital.all::<InsurancePolicy>().await;
    let of = |priority| policies.iter().filter(|it| it.coverage.priority == priority).count();
    assert_eq!((of(1), of(2)), (582, 7));
    let consultations = hospital.all::<Consultation>().await;
    let diagnoses: Vec<_> = consultations.iter().flat_map(|it| it.diagnoses.values()).collect();
    let of = |status| diagnoses.iter().filter(|it| it.diagnosis.clinical_status == Some(status)).count();
    assert_eq!((of(ClinicalStatus::Active), of(ClinicalStatus::Resolved), diagnoses.len()), (140, 298, 438));
    let treatments = hospital.all::<Treatment>().await;
    let of = |kind, status| treatments.iter().filter(|it| it.treatment_type == kind && it.status == status).count();
    assert_eq!(of(TreatmentType::Procedure, Status::Completed), 249);
    assert_eq!(of(TreatmentType::Device, Status::Completed), 3);
    assert_eq!((of(TreatmentType::Other, Status::InProgress), of(TreatmentType::Other, Status::Completed)), (34, 15));
    let history = hospital.all::<MedicalHistory>().await;
    let of = |kind| history.iter().filter(|it| it.entry.history_type == kind).count();
    assert_eq!((of(HistoryType::Immunization), of(HistoryType::Social)), (29, 27));
    let orders = hospital.all::<LabOrder>().await;
    assert!(orders.iter().all(|it| it.status == OrderStatus::Completed), "no order waits for a result");
    assert_eq!(orders.iter().map(|it| it.items.len()).sum::<usize>(), 233);
    let results = hospital.all::<LabResult>().await;
    assert_eq!(results.iter().map(|it| it.revision.components.len()).sum::<usize>(), 233);
    let lists = hospital.all::<MedicationList>().await;
    let entries: Vec<_> = lists.iter().flat_map(|it| it.entries.values()).collect();
    let open = entries.iter().filter(|it| it.status.is_open()).count();
    assert_eq!((open, entries.len() - open), (46, 617));
}

/// Every row is counted once: what is not in the record is skipped with a reason.
fn check_skipped(summary: &Summary) {
    for (file, reason, count) in [
        ("payer_transitions", "a time without insurance", 258),
        ("payers", "a time without insurance", 1),
        ("supplies", "stock that was used, but never received", 72),
        ("imaging_studies", "not part of the record yet", 1),
        ("observations", "derived; the record computes it itself", 25),
        ("observations", "the record has no place for this measurement", 13),
        ("observations", "an answer to a questionnaire, which is not part of the record", 405),
        ("observations", "a number that a simulation computed", 75),
        ("observations", "not part of the record yet", 2),
        ("observations", "a certificate of death; the death itself is part of the record", 2),
        ("observations", "a home address", 18),
    ] {
        assert_eq!(reasons(summary, file).get(reason), Some(&count), "{file}: {reason}\n{summary}");
    }
    let skipped: u64 = summary.resources.values().map(Counts::skipped).sum();
    assert_eq!(skipped, 258 + 1 + 72 + 1 + 25 + 13 + 405 + 75 + 4 + 18, "nothing else is skipped\n{summary}");
    for (file, rows) in [
        ("allergies", 40),
        ("careplans", 49),
        ("conditions", 438),
        ("devices", 3),
        ("encounters", 604),
        ("imaging_studies", 1),
        ("immunizations", 29),
        ("medications", 663),
        ("observations", 990),
        ("organizations", 63),
        ("patients", 27),
        ("payer_transitions", 1_051),
        ("payers", 10),
        ("procedures", 249),
        ("providers", 166),
        ("supplies", 72),
    ] {
        let counts = summary.of(file);
        assert_eq!(
            counts.imported + counts.already_there + counts.skipped(),
            rows,
            "{file}: every row is counted once"
        );
    }
}

#[tokio::test]
async fn a_second_run_adds_nothing_and_ranges_of_the_catalogue_give_flags() {
    let hospital = Hospital::empty().await;
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../catalogue/lab-tests.json");
    assert_eq!(import_lab_tests(&hospital.executor, &catalogue, &Silent).await.unwrap().defined, 52);
    let first = imported(&hospital, &folder()).await;
    assert_eq!(first.begun.get("lab_test"), None, "the catalogue has all tests");
    assert_eq!(first.begun["lab_result"], 233, "{first}");
    let results = hospital.all::<LabResult>().await;
    let components = results.iter().flat_map(|it| &it.revision.components);
    assert!(components.clone().any(|it| it.flag.is_some()), "flags where the catalogue has ranges");
    assert!(results.iter().all(|it| it.alarm.is_none()), "an import raises no alarm");
    let before = hospital.executor.store().current_head().await.unwrap();
    let second = imported(&hospital, &folder()).await;
    assert_eq!(hospital.executor.store().current_head().await.unwrap(), before, "{second}");
    assert_eq!((second.events, second.begun.len()), (0, 0));
    for (file, counts) in &first.resources {
        let again = second.of(file);
        assert_eq!((again.imported, again.already_there), (0, counts.imported + counts.already_there), "{file}");
        assert_eq!(again.skipped, counts.skipped, "{file}");
    }
}
