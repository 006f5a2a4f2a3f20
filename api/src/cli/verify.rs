use std::process::ExitCode;
use std::time::Duration;

use hims_commands::{claims_of, fold_of};
use hims_event_store::beside::{self, BesideReport};
use hims_event_store::chain::hex;
use hims_event_store::verify::{Broken, Verified, verify};
use hims_event_store::{ClaimsReport, PgLog};
use hims_projections::archive::{self, Compared};
use hims_projections::{Standing, migrations};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::log::complain;
use super::{Failure, bar, say};
use crate::database::Database;
use crate::{Hospital, Purpose, Settings};

/// How long to wait for a connection to check the log.
const PATIENCE: Duration = Duration::from_secs(10);
/// How the progress of a comparison is shown: how many of what.
const COMPARED: &str = "{spinner} {pos} {msg}";

/// Checks the log. With `deep`, compares with the log what lies beside it as well.
pub(super) async fn verify_log(settings: &Settings, from: i64, deep: bool) -> Result<ExitCode, Failure> {
    let verified = check_log(settings, from).await?;
    let hash = hex(&verified.hash);
    match (verified.first, verified.last) {
        (1, 0) => say("the log is empty")?,
        (first, last) if last < first => say(format_args!("the log ends at position {last}; the last hash is {hash}"))?,
        (first, last) => say(format_args!("positions {first} to {last} hold; the last hash is {hash}"))?,
    }
    if !deep {
        return Ok(ExitCode::SUCCESS);
    }
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let store = hospital.store.as_ref();
    let bar = bar(None, COMPARED);
    bar.set_message("events for their claims");
    let compared = async {
        let shown = bar.clone();
        let claims = store.compare_claims(&claims_of, &move |events| shown.set_position(events)).await?;
        let shown = bar.clone();
        let progress = move |what, count| {
            shown.set_message(what);
            shown.set_position(count);
        };
        Ok::<_, Failure>((claims, beside::compare(store, &fold_of, &progress).await?))
    };
    let compared = compared.await;
    bar.finish_and_clear();
    let archives = archives(&hospital.owner).await;
    hospital.close().await;
    let (claims, beside) = compared?;
    let archives = tell_archives(archives?)?;
    let claims = tell_claims(&claims, "`hims rebuild --claims` rebuilds the claims from the log")?;
    Ok(tell_beside(&beside)?.or(archives).unwrap_or(claims))
}

/// Compares the archives with their tables, if there are any.
async fn archives(pool: &PgPool) -> Result<Option<Compared>, sqlx::Error> {
    let are_there = migrations::standing(pool).await? == Standing::Current;
    Ok(if are_there { Some(archive::compare(&mut *pool.acquire().await?).await?) } else { None })
}

/// Prints how the archives are. The exit code of a failure when something does not fit.
fn tell_archives(compared: Option<Compared>) -> Result<Option<ExitCode>, Failure> {
    let Some(Compared { rows, faults }) = compared else { return Ok(None) };
    say(format_args!("{rows} archived rows were compared with the read tables, {faults} do not fit"))?;
    if faults == 0 {
        return Ok(None);
    }
    complain(format_args!("{faults} archived rows do not fit; `hims rebuild` makes tables and archives anew"));
    Ok(Some(ExitCode::FAILURE))
}

/// Checks the log with a login that may only read it, and without the master key.
async fn check_log(settings: &Settings, from: i64) -> Result<Verified, Failure> {
    let database = Database::open(settings, Purpose::Inspect).await?;
    // The login may have a time limit that is shorter than a page of the log needs. Each page has a bound of its own.
    let options = database.primary().options().clone().options([("statement_timeout", "0")]);
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
    let log = PgLog(pool.connect_lazy_with(options));
    let bar = bar(None, "{spinner} {pos} events checked, {per_sec}");
    let verified = verify(&log, from, |position| bar.set_position(position.unsigned_abs())).await;
    bar.finish_and_clear();
    log.0.close().await;
    database.close().await;
    verified.map_err(|broken| match broken {
        Broken::Store(error) => {
            format!("{error}; the check needs a database with a log, and a login that may read log.events and log.head")
                .into()
        }
        broken => broken.into(),
    })
}

/// Rebuilds the claims, the snapshots or both from the log, and reports the differences that remain.
pub(super) async fn rebuild_beside(settings: &Settings, claims: bool, snapshots: bool) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let bar = bar(None, COMPARED);
    let shown = bar.clone();
    let progress = move |count| shown.set_position(count);
    let rebuilt = async {
        bar.set_message("events for their claims");
        let claims = if claims { Some(hospital.executor.rebuild_claims(&progress).await?) } else { None };
        bar.set_message("streams for their snapshots");
        let snapshots = if snapshots { Some(hospital.executor.rebuild_snapshots(&progress).await?) } else { None };
        Ok::<_, Failure>((claims, snapshots))
    };
    let rebuilt = rebuilt.await;
    bar.finish_and_clear();
    hospital.close().await;
    let (claims, snapshots) = rebuilt?;
    if let Some(count) = snapshots {
        say(format_args!("the snapshots of {count} streams were made anew from the log"))?;
    }
    let advice = "two streams hold the same key or time according to the log; correct one of them by a command";
    claims.map_or(Ok(ExitCode::SUCCESS), |report| tell_claims(&report, advice))
}

/// Prints how the claims compare with the log, and what to do about claims that differ. The exit code is that of a
/// failure when they do.
fn tell_claims(report: &ClaimsReport, advice: &str) -> Result<ExitCode, Failure> {
    let ClaimsReport { streams, skipped, differing, examples } = report;
    say(format_args!("the claims of {streams} streams were compared with the log, {differing} claims differ"))?;
    if *skipped > 0 {
        say(format_args!(
            "{skipped} streams were not compared: one of their events cannot be read, or the person was erased"
        ))?;
    }
    if *differing == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    for example in examples {
        complain(example);
    }
    complain(format_args!("{differing} claims differ from the log; {advice}"));
    Ok(ExitCode::FAILURE)
}

/// Prints how snapshots, receipts and keys compare with the log. The exit code of a failure when something does not
/// fit.
fn tell_beside(report: &BesideReport) -> Result<Option<ExitCode>, Failure> {
    let BesideReport { snapshots, skipped, receipts, subjects, faults, examples } = report;
    say(format_args!(
        "{snapshots} snapshots, {receipts} receipts and the keys of {subjects} people were compared with the log, \
         {faults} do not fit"
    ))?;
    if *skipped > 0 {
        say(format_args!(
            "{skipped} snapshots were not compared: another release made them, one of the events cannot be read, or the \
             person was erased"
        ))?;
    }
    if *faults == 0 {
        return Ok(None);
    }
    for example in examples {
        complain(example);
    }
    complain(format_args!(
        "{faults} snapshots, receipts or keys do not fit the log; `hims rebuild --snapshots` makes the snapshots anew, and \
         docs/operators.md says what to do about the others"
    ));
    Ok(Some(ExitCode::FAILURE))
}
