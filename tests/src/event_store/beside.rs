//! Receipts and subject keys that do not fit the log are found. Snapshots are compared where aggregates are known.

use hims_event_store::beside::{BesideReport, Fault, compare};
use hims_event_store::{Append, Receipt};
use uuid::Uuid;

use super::fixture::{Log, begin, id, on_every_log, opened};

on_every_log!(what_fits_the_log_is_no_fault);

async fn compared(log: &Log) -> BesideReport {
    compare(log.store(), &|_| Ok(None)).await.expect("compared")
}

/// Records two commands with receipts, the second about a person, and a command that changed nothing. Answers the ids
/// of the commands and of the person.
async fn record(log: &Log) -> ([Uuid; 3], Uuid) {
    let (commands, person, account) = ([id(), id(), id()], id(), id());
    for (command, mut append) in commands.into_iter().zip([begin(account), opened(id(), person, "Ann")]) {
        append.metadata.command_id = command;
        log.append(Append { receipt: Some(Receipt::new(command, vec![1])), ..append }).await.expect("appended");
    }
    let acknowledged = log.store().acknowledge(Receipt::new(commands[2], vec![1]), account, 1).await;
    assert_eq!(acknowledged.expect("acknowledged"), Some(1));
    (commands, person)
}

async fn what_fits_the_log_is_no_fault(log: Log) {
    let (_, person) = record(&log).await;
    let report = compared(&log).await;
    assert_eq!((report.receipts, report.subjects, report.faults), (3, 1, 0), "{report:?}");
    // An erased person has no key, which is no fault.
    log.store().vault().destroy_key(person).await.expect("destroyed");
    assert_eq!(compared(&log).await.faults, 0);
}

async fn faults_after(change: &str) -> (Vec<Fault>, [Uuid; 3], Uuid) {
    let log = Log::in_postgres().await;
    let (commands, person) = record(&log).await;
    let mut superuser = log.database().superuser().await;
    let change = change.replace("$command", &commands[0].to_string()).replace("$idle", &commands[2].to_string());
    let done = sqlx::query(sqlx::AssertSqlSafe(change)).execute(&mut superuser).await.expect("changed");
    assert!(done.rows_affected() > 0);
    let report = compared(&log).await;
    assert_eq!(report.faults, u64::try_from(report.examples.len()).expect("few"));
    (report.examples, commands, person)
}

#[tokio::test]
async fn a_receipt_of_other_positions_is_found() {
    for change in [
        "update log.receipts set first_position = 2, last_position = 2 where command_id = '$command'",
        "update log.receipts set last_position = 2 where command_id = '$command'",
        "update log.receipts set last_position = 9 where command_id = '$command'",
        "update log.receipts set first_position = 0 where command_id = '$command'",
    ] {
        let (faults, commands, _) = faults_after(change).await;
        assert_eq!(faults, [Fault::Receipt(commands[0])], "{change}");
    }
    let beyond = "update log.receipts set first_position = 4, last_position = 3 where command_id = '$idle'";
    let (faults, commands, _) = faults_after(beyond).await;
    assert_eq!(faults, [Fault::Receipt(commands[2])]);
}

#[tokio::test]
async fn a_key_that_is_missing_or_anothers_is_found() {
    let (faults, _, person) = faults_after("delete from log.subject_keys").await;
    assert_eq!(faults, [Fault::NoKey(person)]);
    let (faults, _, person) = faults_after("update log.subject_keys set wrapped = sha256(wrapped)").await;
    assert_eq!(faults, [Fault::ForeignKey(person)]);
}
