use std::process::ExitCode;

use hims_event_store::chain::hex;
use hims_event_store::verify;

use super::{Failure, bar, say};
use crate::{Hospital, Purpose, Settings};

pub(super) async fn verify_log(settings: &Settings, from: i64) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let bar = bar(None, "{spinner} {pos} events checked, {per_sec}");
    let verified =
        verify::verify(hospital.store.as_ref(), from, |position| bar.set_position(position.unsigned_abs())).await;
    bar.finish_and_clear();
    hospital.close().await;
    let verified = verified?;
    let hash = hex(&verified.hash);
    say(format_args!("positions {} to {} hold; the last hash is {hash}", verified.first, verified.last))?;
    Ok(ExitCode::SUCCESS)
}
