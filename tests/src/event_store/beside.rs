//! Receipts and subject keys that do not fit the log are found. Snapshots are compared where aggregates are known.

use hims_event_store::beside::{BesideReport, Fault, compare};
use hims_event_store::{Append, Receipt};
use uuid::Uuid;

use super::fixture::{Log, begin, id, on_every_log, opened};

on_every_log!(what_fits_the_log_is_no_fault, of_a_command_without_a_key_no_receipt_is_missed);

async fn compared(log: &Log) -> BesideReport {
    compare(log.store(), &|_| None, &|_, _| {}).await.expect("compared")
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

async fn of_a_command_without_a_key_no_receipt_is_missed(log: Log) {
    let (keyed, keyless) = (id(), id());
    for (command, receipt) in [(keyed, Some(Receipt::new(keyed, vec![1]))), (keyless, None)] {
        let mut append = Append { receipt, ..begin(id()) };
        append.metadata.command_id = command;
        log.append(append).await.expect("appended");
    }
    let told = log.store().read(0, 10).await.expect("the events are read");
    let told = told.iter().map(|it| it.circumstances().expect("metadata")).map(|it| (it.command_id, it.has_receipt));
    assert_eq!(told.collect::<Vec<_>>(), [(keyed, true), (keyless, false)]);
    let report = compared(&log).await;
    assert_eq!((report.receipts, report.faults), (1, 0), "{report:?}");
}

async fn faults_after(change: &str) -> (Vec<Fault>, [Uuid; 3], Uuid) {
    let log = Log::in_postgres().await;
    let (commands, person) = record(&log).await;
    let mut superuser = log.database().superuser().await;
    sqlx::query("set session_replication_role = replica").execute(&mut superuser).await.expect("a superuser may");
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

#[tokio::test]
async fn a_receipt_that_is_missing_is_found_unless_it_is_old() {
    let (faults, commands, _) = faults_after("delete from log.receipts where command_id = '$command'").await;
    assert_eq!(faults, [Fault::NoReceipt(commands[0])]);
    let (faults, ..) = faults_after("delete from log.receipts").await;
    assert_eq!(faults.len(), 2, "no event names the command that changed nothing: {faults:?}");
    // Whoever may change the log can also make an event as old as those whose receipts are deleted.
    let old = "with aged as (update log.events set recorded_at = recorded_at - interval '7 days' returning 1)
               delete from log.receipts where command_id = '$command' and exists (select from aged)";
    let (faults, ..) = faults_after(old).await;
    assert_eq!(faults, []);
}

#[tokio::test]
async fn more_receipts_and_events_than_a_page_holds_are_all_compared() {
    let log = Log::in_postgres().await;
    record(&log).await;
    let mut superuser = log.database().superuser().await;
    let many = "insert into log.receipts (command_id, fingerprint, first_position, last_position, recorded_at)
                select gen_random_uuid(), '', 3, 2, now() from generate_series(1, 2500)";
    sqlx::query(many).execute(&mut superuser).await.expect("receipts of commands that changed nothing");
    assert_eq!((compared(&log).await.receipts, compared(&log).await.faults), (2503, 0));
    let wrong = "update log.receipts set first_position = 9, last_position = 8 where octet_length(fingerprint) = 0";
    sqlx::query(wrong).execute(&mut superuser).await.expect("changed");
    let report = compared(&log).await;
    assert_eq!((report.receipts, report.faults, report.examples.len()), (2503, 2500, 20));
}
