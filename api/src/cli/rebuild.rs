use std::process::ExitCode;

use chrono::{DateTime, Utc};
use hims_domain::instant::instant;
use hims_projections::{Rebuilt, Target};

use super::log::complain;
use super::{Failure, bar, say};
use crate::{Hospital, Purpose, Settings};

/// As of when the read tables are made: a position of the log or an instant.
#[derive(Debug, Clone)]
pub(super) enum AsOf {
    Position(i64),
    Instant(DateTime<Utc>),
}

impl std::str::FromStr for AsOf {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(position));
        }
        let wrong = || "give a position, a date, or an instant such as 2026-11-23T10:00:00Z".to_owned();
        instant(text).map(Self::Instant).ok_or_else(wrong)
    }
}

pub(super) async fn rebuild(
    settings: &Settings,
    as_of: Option<AsOf>,
    into: Option<String>,
) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let target = match (as_of, into) {
        (Some(AsOf::Position(position)), Some(schema)) => Target::Position(position, schema),
        (Some(AsOf::Instant(instant)), Some(schema)) => Target::Instant(instant, schema),
        _ => Target::Swap,
    };
    let head = hospital.store.current_head().await?;
    let bar = bar(Some(head.unsigned_abs()), "{bar:40} {pos}/{len} events, {per_sec}");
    let rebuild = hospital.rebuild();
    let rebuilt = rebuild.run(&target, |position| bar.set_position(position.unsigned_abs())).await;
    bar.finish_and_clear();
    hospital.close().await;
    let Rebuilt { position, parked } = rebuilt?;
    say(format_args!("the read tables were made anew as of position {position}"))?;
    if parked == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    complain(format_args!(
        "{parked} streams are not in the read tables, because each holds an event that \
         cannot be projected; the table projection_failures says why"
    ));
    Ok(ExitCode::FAILURE)
}
