use std::process::ExitCode;

use hims_commands::claims_of;
use hims_event_store::chain::hex;
use hims_event_store::verify::{Verified, verify};
use hims_event_store::{ClaimsReport, EventStore};

use super::log::complain;
use super::{Failure, bar, say};
use crate::{Hospital, Purpose, Settings};

/// Recomputes the hash chain of the log. With `deep`, compares the claims with the log as well.
pub(super) async fn verify_log(settings: &Settings, from: i64, deep: bool) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let verified = check(hospital.store.as_ref(), from, deep).await;
    hospital.close().await;
    let (verified, claims) = verified?;
    let hash = hex(&verified.hash);
    say(format_args!("positions {} to {} hold; the last hash is {hash}", verified.first, verified.last))?;
    let advice = "`hims rebuild --claims` rebuilds the claims from the log";
    claims.map_or(Ok(ExitCode::SUCCESS), |report| tell(&report, advice))
}

async fn check(store: &dyn EventStore, from: i64, deep: bool) -> Result<(Verified, Option<ClaimsReport>), Failure> {
    let bar = bar(None, "{spinner} {pos} events checked, {per_sec}");
    let verified = verify(store, from, |position| bar.set_position(position.unsigned_abs())).await;
    bar.finish_and_clear();
    let verified = verified?;
    let claims = if deep { Some(store.compare_claims(&claims_of).await?) } else { None };
    Ok((verified, claims))
}

/// Rebuilds the claims from the log, and reports the differences that remain.
pub(super) async fn rebuild_claims(settings: &Settings) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let mended = hospital.store.mend_claims(&claims_of).await;
    hospital.close().await;
    tell(&mended?, "two streams hold the same key or time according to the log; correct one of them by a command")
}

/// Prints how the claims compare with the log, and what to do about claims that differ. The exit code is that of a failure
/// when they do.
fn tell(report: &ClaimsReport, advice: &str) -> Result<ExitCode, Failure> {
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
