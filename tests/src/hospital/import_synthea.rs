//! Real files of Synthea, as an operator imports them, in the read tables.

use std::path::{Path, PathBuf};

use super::Hospital;
use super::import::import_as;
use super::import_money::{bundles_bring_their_money, rows_bring_their_money};
use super::tables::count;
use crate::support::scratch;

/// A folder with data that nobody here wrote. The folder lies beside the repository, not in it.
fn data(name: &str) -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    let mut folders = above.map(|it| it.join("shared/data").join(name));
    folders
        .find(|it| it.is_dir())
        .unwrap_or_else(|| panic!("put the files into ../shared/data/{name}: this test reads them"))
}

/// What an import brings, as rows of the read tables: of the FHIR bundles, and of the CSV files. Payers are not counted: the demo has some of them already.
const ROWS: [(&str, i64, i64); 20] = [
    ("patients", 12, 27),
    ("patients where deceased_at is not null", 2, 2),
    ("consultations", 217, 604),
    ("patient_allergies", 12, 40),
    ("diagnoses where clinical_status = 'active'", 17, 140),
    ("diagnoses where clinical_status = 'resolved'", 36, 298),
    ("treatments", 121, 301),
    ("treatments where care_plan_id is not null and status = 'in_progress'", 26, 34),
    ("treatments where care_plan_id is not null and status = 'completed'", 26, 15),
    ("treatments where device_udi is not null", 0, 3),
    ("medical_history", 239, 56),
    ("lab_orders", 63, 20),
    ("lab_order_items where status = 'resulted'", 114, 233),
    ("lab_results where result_status = 'F' and critical_raised_at is null", 114, 233),
    ("lab_result_components", 870, 233),
    ("prescriptions", 60, 663),
    ("patient_medications where status = 'active'", 14, 46),
    ("patient_medications where status in ('completed', 'stopped')", 46, 617),
    ("insurance_policies where status = 'active'", 14, 589),
    ("inventory_items", 0, 6),
];

async fn rows(hospital: &Hospital) -> Vec<i64> {
    hospital.settle().await;
    let mut rows = Vec::with_capacity(ROWS.len());
    for (from, ..) in ROWS {
        rows.push(count(hospital.owner(), &format!("hims.{from}")).await);
    }
    rows
}

/// Imports a set of files twice, and checks that the first time brings what `brings` says of each row of [`ROWS`], and the
/// second time nothing.
async fn imported(format: &str, files: &str, brings: impl Fn(&(&str, i64, i64)) -> i64) -> Hospital {
    let hospital = Hospital::start().await;
    // The nightly work of processes has timers of its own.
    let caused = ["hims.notifications", "log.timers where key not like 'daily %'"];
    let before = [count(hospital.owner(), caused[0]).await, count(hospital.owner(), caused[1]).await];
    let there = rows(&hospital).await;
    let folder = data(files);
    let path = folder.to_str().expect("UTF-8");
    let output = import_as(format, &hospital, path);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for ((now, before), row) in rows(&hospital).await.iter().zip(&there).zip(&ROWS) {
        assert_eq!(now - before, brings(row), "{format}: {}", row.0);
    }
    let again = import_as(format, &hospital, path);
    assert!(String::from_utf8_lossy(&again.stdout).ends_with(" 0 new events\n"), "{again:?}");
    for (table, before) in caused.into_iter().zip(before) {
        let now = count(hospital.owner(), table).await;
        assert_eq!(now, before, "an import tells nobody and waits for nothing: {table}");
    }
    hospital
}

#[tokio::test]
async fn the_bundles_of_synthea_are_in_the_tables_and_cause_nothing() {
    let hospital = imported("fhir", "synthea-fhir-r4", |(_, fhir, _)| *fhir).await;
    bundles_bring_their_money(&hospital).await;
}

#[tokio::test]
async fn the_rows_of_synthea_are_in_the_tables_and_cause_nothing() {
    let hospital = imported("synthea-csv", "synthea-csv", |(_, _, csv)| *csv).await;
    rows_bring_their_money(&hospital).await;
}

#[tokio::test]
async fn a_bad_row_is_named_and_the_exit_code_says_so() {
    let hospital = Hospital::start().await;
    let folder = scratch("import");
    let header = "Id,NAME,PHONE\n00000000-0000-4000-8000-0000000000c1,Ward of rows,\nWard 2,Ward of rows,\n";
    std::fs::write(folder.path().join("organizations.csv"), header).expect("a file");
    let output = import_as("synthea-csv", &hospital, folder.path().to_str().expect("UTF-8"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let summary = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(summary.contains("organizations.csv: line 3: the value of Id is not of the form"), "{summary}");
    assert!(summary.contains("patients.csv"), "a file that is not there is named: {summary}");
    hospital.settle().await;
    assert_eq!(count(hospital.owner(), "hims.departments where name = 'Ward of rows'").await, 1);
}
