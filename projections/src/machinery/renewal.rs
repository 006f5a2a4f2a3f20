//! Rebuilds the living read tables when they are due: when a release starts whose tables have another form, and when
//! somebody dropped the tables. One node rebuilds; the other nodes notice when the new tables are in place.

use std::time::{Duration, Instant};

use hims_event_store::Position;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::machinery::form::Standing;
use crate::machinery::rebuild::{Rebuild, RebuildError, Rebuilt};
use crate::machinery::runner::{Known, PAUSE, stopping};

/// How long to wait after a failed rebuild.
const RETRY: Duration = Duration::from_secs(5);
/// How often a rebuild logs its position.
const REPORT: Duration = Duration::from_secs(10);

/// Rebuilds the tables whenever they are due, until the program stops.
pub(crate) async fn renew(rebuild: Rebuild, known: Known, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopping(&mut stop) => return,
            () = renew_once(&rebuild, &known) => {}
        }
    }
}

/// Waits until the tables are due, and rebuilds them once.
async fn renew_once(rebuild: &Rebuild, known: &Known) {
    // Waiting fails only when no sender is left, and `known` is a sender.
    let _ = known.standing.subscribe().wait_for(|it| *it == Standing::Due).await;
    let head = *rebuild.store.head().borrow();
    let pause = match rebuild.run_if_due(progress(head)).await {
        Ok(Some(Rebuilt { position, parked })) => {
            tracing::info!(position, parked, "the read tables were rebuilt");
            Duration::ZERO
        }
        // Another node has rebuilt the tables, or is rebuilding them now.
        Ok(None) | Err(RebuildError::Busy) => PAUSE,
        Err(error) => {
            tracing::error!(%error, "the read tables could not be rebuilt; the old ones go on answering; trying again");
            RETRY
        }
    };
    if let Err(error) = known.look(&rebuild.pool, rebuild.store.as_ref()).await {
        tracing::warn!(%error, "the state of the read tables could not be determined");
    }
    sleep(pause).await;
}

/// Logs the position of a rebuild from time to time.
fn progress(head: Position) -> impl FnMut(Position) + Send {
    let mut said = Instant::now();
    move |position| {
        if said.elapsed() >= REPORT {
            said = Instant::now();
            tracing::info!(position, head, "the read tables are being rebuilt");
        }
    }
}
