use std::path::{Path, PathBuf};

use hims_domain::insurance_policy::InsurancePolicy;
use hims_domain::patient::Patient;

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
    let begun: Vec<_> = summary.begun.iter().map(|(kind, count)| (*kind, *count)).collect();
    let expected = [
        ("billing_record", 1_267),
        ("consultation", 604),
        ("department", 63),
        ("insurance_claim", 1_070),
        ("insurance_policy", 589),
        ("patient", 27),
        ("payer", 9),
        ("user", 166),
    ];
    assert_eq!(begun, expected, "{summary}");
    assert_eq!(hospital.all::<Patient>().await.iter().filter(|it| it.death.is_some()).count(), 2);
    let policies = hospital.all::<InsurancePolicy>().await;
    let of = |priority| policies.iter().filter(|it| it.coverage.priority == priority).count();
    assert_eq!((of(1), of(2)), (582, 7));
    assert_eq!(reasons(&summary, "payer_transitions")["a time without insurance"], 258);
}
