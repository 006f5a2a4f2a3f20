//! Has the read tables made anew when those that live are due: at the start of a release whose tables are of another
//! form, and where somebody dropped them. One node does it; the others see that it is done.

use std::time::{Duration, Instant};

use hims_event_store::Position;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::machinery::form::{Standing, look};
use crate::machinery::rebuild::{Rebuild, RebuildError, Rebuilt};
use crate::machinery::runner::{Known, PAUSE, stopping};

/// How long to wait after a rebuild that failed.
const RETRY: Duration = Duration::from_secs(5);
/// How often a rebuild says how far it is.
const REPORT: Duration = Duration::from_secs(10);

/// Makes the tables anew whenever they are due.
pub(crate) async fn renew(rebuild: Rebuild, known: Known, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopping(&mut stop) => return,
            () = renew_once(&rebuild, &known) => {}
        }
    }
}

/// Waits until the tables are due, and then for new ones.
async fn renew_once(rebuild: &Rebuild, known: &Known) {
    // An error would mean that nobody looks at the tables any more; but this one could.
    let _ = known.standing.subscribe().wait_for(|it| *it == Standing::Due).await;
    let head = *rebuild.store.head().borrow();
    let pause = match rebuild.run_if_due(progress(head)).await {
        Ok(Some(Rebuilt { position, parked })) => {
            tracing::info!(position, parked, "the read tables were made anew");
            Duration::ZERO
        }
        // Another node has made them, or is at it.
        Ok(None) | Err(RebuildError::Busy) => PAUSE,
        Err(error) => {
            tracing::error!(%error, "the read tables were not made anew; the old ones go on answering; trying again");
            RETRY
        }
    };
    let looked = async { look(&mut *rebuild.pool.acquire().await?).await };
    match looked.await {
        Ok(living) => known.learn(living),
        Err(error) => tracing::warn!(%error, "it was not seen how the read tables stand"),
    }
    sleep(pause).await;
}

/// Says how far it is, now and then.
fn progress(head: Position) -> impl FnMut(Position) + Send {
    let mut said = Instant::now();
    move |position| {
        if said.elapsed() >= REPORT {
            said = Instant::now();
            tracing::info!(position, head, "the read tables are being made anew");
        }
    }
}
