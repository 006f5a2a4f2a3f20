//! Rows of an export of Synthea that cannot be read, or not be imported.

use std::path::Path;

use hims_domain::consultation::Consultation;
use hims_domain::patient::Patient;

use super::*;

const PATIENTS: &str = "Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,FIRST,LAST,MARITAL,RACE,ETHNICITY,GENDER,ADDRESS,\
                        CITY,STATE,ZIP\n";
const ENCOUNTERS: &str = "Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,ENCOUNTERCLASS,CODE,DESCRIPTION,REASONCODE,\
                          REASONDESCRIPTION\n";
const PATIENT_ROW: &str =
    "00000000-0000-4000-8000-000000000001,1967-05-21,,,,,Jane,Doe,M,white,hispanic,F,1 Way,Boston,MA,02134";

fn encounter_row(last: u8, start: &str, stop: &str, patient: &str) -> String {
    let id = |number: u8| format!("00000000-0000-4000-8000-0000000000{number:02}");
    format!("{},{start},{stop},{patient},{},{},wellness,410620009,Check,,", id(last), id(91), id(92))
}

async fn imported(hospital: &Hospital) -> Summary {
    let folder: &Path = hospital.folder.path();
    import_synthea_csv(&hospital.executor, folder, &Settings::default(), &Silent).await.unwrap()
}

fn problems(bad: &[Broken]) -> Vec<String> {
    bad.iter().map(|it| format!("{}: {}", it.path.file_name().unwrap().display(), it.problem)).collect()
}

#[tokio::test]
async fn a_bad_row_is_named_by_file_and_line_and_the_rest_goes_on() {
    let hospital = Hospital::empty().await;
    let born_never = PATIENT_ROW.replace("1967-05-21", "1967-05-99").replace("0001,", "0002,");
    let died_first = PATIENT_ROW.replace("1967-05-21,", "1967-05-21,1960-01-01").replace("0001,", "0003,");
    let patients = [PATIENTS, PATIENT_ROW, "\n\n", &born_never, "\nJane,Doe\n", &died_first, "\n"].concat();
    hospital.file("patients.csv", patients);
    let time = "2024-03-01T09:00:00Z";
    let rows = [
        encounter_row(11, time, "2024-03-01T09:30:00Z", PATIENT),
        encounter_row(12, time, "2024-02-01T09:30:00Z", PATIENT),
        encounter_row(13, "yesterday", "", PATIENT),
        encounter_row(14, time, "", "Jane Doe"),
        encounter_row(15, time, "", "00000000-0000-4000-8000-000000000002"),
    ];
    hospital.file("encounters.csv", format!("\u{feff}{ENCOUNTERS}{}\n", rows.join("\n")));
    let summary = imported(&hospital).await;
    assert_eq!(
        problems(&summary.bad_rows),
        [
            "patients.csv: line 4: the value of BIRTHDATE is not of the form that the column has",
            "patients.csv: line 5: has 2 columns, and the first line has 16",
            "patients.csv: line 6: DEATHDATE lies before BIRTHDATE",
            "encounters.csv: line 3: STOP lies before START",
            "encounters.csv: line 4: the value of START is not of the form that the column has",
            "encounters.csv: line 5: the value of PATIENT is not of the form that the column has",
        ]
    );
    assert!(!summary.is_complete());
    assert_eq!((summary.of("patients").imported, summary.of("encounters").imported), (1, 1), "{summary}");
    let skipped = reasons(&summary, "encounters");
    assert_eq!(skipped["a row that cannot be read; see the lines named below"], 3);
    assert_eq!(skipped["names no patient who is in the record"], 1, "of a patient whose row is bad");
    assert_eq!((hospital.streams::<Patient>().await.len(), hospital.streams::<Consultation>().await.len()), (1, 1));
    let told = summary.to_string();
    assert!(told.contains("bad row in") && !told.contains("Doe") && !told.contains("yesterday"), "{told}");
    assert!(told.contains("not there: "), "files that the export lacks are named: {told}");
    assert_eq!(imported(&hospital).await.events, 0, "a second run adds nothing");
}

#[tokio::test]
async fn a_file_of_another_form_is_named_and_the_rest_goes_on() {
    let hospital = Hospital::empty().await;
    hospital.file("patients.csv", format!("{PATIENTS}{PATIENT_ROW}\n"));
    hospital.file("conditions.csv", "START,STOP,PATIENT\n2024-03-01,,Jane Doe\n");
    hospital.file("supplies.csv", b"CODE,DESCRIPTION\n\xff\xfe,\n");
    let summary = imported(&hospital).await;
    assert_eq!(problems(&summary.broken), ["conditions.csv: has no column ENCOUNTER"]);
    assert_eq!(problems(&summary.bad_rows), ["supplies.csv: line 2: is not UTF-8"]);
    assert_eq!((summary.files, summary.of("patients").imported), (2, 1));
}

#[tokio::test]
async fn rows_that_say_the_same_are_told_apart() {
    let hospital = Hospital::empty().await;
    hospital.file("patients.csv", format!("{PATIENTS}{PATIENT_ROW}\n"));
    let header = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,REASONCODE,REASONDESCRIPTION";
    let row = format!("2024-03-01T09:00:00Z,2024-03-11T09:00:00Z,{PATIENT},{ENCOUNTER},313782,Acetaminophen,,");
    hospital.file("medications.csv", format!("{header}\n{row}\n{row}\n"));
    let summary = imported(&hospital).await;
    assert_eq!((summary.of("medications").imported, summary.begun["prescription"]), (2, 2), "{summary}");
    assert_eq!(imported(&hospital).await.events, 0);
}
