//! While commands are given, the stored claims are those that follow from the log. `hims verify --deep` finds claims that
//! were changed by hand, and `hims rebuild --claims` makes them anew.

use std::process::{Command, Output};

use hims_commands::claims_of;
use serde_json::json;
use sqlx::ConnectOptions as _;

use super::Hospital;
use super::demo::{appointment, at, patient};
use super::everything::everything;
use super::process::hims;

/// Compares the claims with the log, and answers how many streams there are. Streams about people who were erased are
/// passed over.
async fn compare(hospital: &Hospital) -> u64 {
    let report = hospital.node.store.compare_claims(&claims_of, &|_| {}).await.expect("compared");
    let erased = "select count(distinct e.stream_id) from log.events e join log.subject_keys k on k.wrapped is null
                     and k.subject_id::text = e.metadata -> 'subject' ->> 'id' where e.data::text like '%$sealed%'";
    let erased: i64 = sqlx::query_scalar(erased).fetch_one(hospital.owner()).await.expect("a number");
    assert_eq!((i64::try_from(report.skipped), report.differing), (Ok(erased), 0), "{report:?}");
    report.streams
}

/// How many events are recorded between two comparisons at least.
const BETWEEN: i64 = 20;

#[tokio::test]
async fn while_commands_are_given_the_claims_are_as_the_log_says() {
    let hospital = Hospital::start().await;
    let (mut head, mut compared) = (hospital.node.store.head(), 0);
    let again_and_again = async {
        loop {
            compare(&hospital).await;
            compared += 1;
            let next = *head.borrow_and_update() + BETWEEN;
            head.wait_for(|position| *position >= next).await.expect("the log is open");
        }
    };
    tokio::select! {
        () = everything(&hospital) => {}
        () = again_and_again => {}
    }
    assert!(compared > 1, "the claims were compared {compared} times");
    assert!(compare(&hospital).await > 50);
}

/// Runs the program with these arguments on the hospital's database.
fn on(hospital: &Hospital, arguments: &[&str]) -> Output {
    let mut command: Command = hims();
    let key = hospital.settings.master_key_file.as_ref().expect("the hospital has a key file");
    command.env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str()).env("HIMS_MASTER_KEY_FILE", key);
    command.env("RUST_LOG", "off").args(arguments).output().expect("the program runs")
}

#[tokio::test]
async fn claims_that_a_hand_changed_are_found_and_made_anew() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let booked = reception.did("schedule-appointment", appointment(&patient(5), at(30, 0))).await;
    let whole = on(&hospital, &["verify", "--deep"]);
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    sqlx::query("delete from log.booking_claims").execute(hospital.owner()).await.expect("the claims are deleted");
    // The hash chain is whole, but the claims beside the log are not.
    assert_eq!(on(&hospital, &["verify"]).status.code(), Some(0));
    let found = on(&hospital, &["verify", "--deep"]);
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    assert!(said.contains(&format!("stream {booked} should hold a claim of booking, and does not")), "{said}");
    assert!(said.contains("hims rebuild --claims"), "{said}");
    sqlx::query("delete from log.unique_claims").execute(hospital.owner()).await.expect("the claims are deleted");
    let mended = on(&hospital, &["rebuild", "--claims"]);
    assert_eq!(mended.status.code(), Some(0), "{mended:?}");
    assert_eq!(on(&hospital, &["verify", "--deep"]).status.code(), Some(0));
    let again = reception.command("schedule-appointment", appointment(&patient(6), at(30, 0))).await;
    again.problem(409, "double-booking");
    let body = json!({"email": "doctor@demo.hims", "first_name": "A", "last_name": "B",
                      "role_id": super::problems::role("nurse")});
    hospital.login("admin").await.command("create-user", body).await.problem(409, "already-taken");
}
