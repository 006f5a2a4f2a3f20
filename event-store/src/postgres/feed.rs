//! How processes that share one log learn of each other's events: by a notification after a commit, which may stand for
//! several commits, and by reading the head from time to time in case a notification was lost.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Acquire as _, PgPool};
use tokio::sync::watch;
use tokio::time::sleep;

use super::read;
use super::timeline::Timelines;
use super::warnings::Warnings;
use crate::bounded::{self, ANSWER, lend, within};
use crate::{LogClock, Position, Reached};

/// The channel on which processes notify each other of the position of the head.
pub(super) const CHANNEL: &str = "log_head";
/// Commits within this time are announced by one notification.
const COALESCE: Duration = Duration::from_millis(20);

/// Waits until the event store shuts down.
pub(super) async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that the event store was dropped, which ends the waiting as well.
    let _ = stop.wait_for(|it| *it).await;
}

/// Notifies other processes whenever the known head has changed.
pub(super) async fn notify(pool: PgPool, mut head: watch::Receiver<Position>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopping(&mut stop) => return,
            changed = head.changed() => if changed.is_err() { return },
        }
        let position = *head.borrow_and_update();
        if let Err(error) = tell(&pool, CHANNEL, position).await {
            tracing::warn!(%error, "other processes were not notified of new events; they will read the head");
        }
        sleep(COALESCE).await;
    }
}

/// Sends a notification of a position to all processes that listen on a channel.
async fn tell(pool: &PgPool, channel: &str, position: Position) -> Result<(), sqlx::Error> {
    let mut db = lend(pool).await?;
    let notification = sqlx::query("select pg_notify($1, $2)").bind(channel).bind(position.to_string());
    let told = within(ANSWER, notification.execute(&mut *db)).await;
    db.back(told).map(drop)
}

/// Listens for the notifications of other processes and keeps the known head. Reading the head measures the clock of the
/// database too, so that a node without appends knows its offset as well.
pub(super) async fn listen(
    pool: PgPool,
    (head, clock): (Arc<Reached>, Arc<LogClock>),
    (timelines, warnings): (Timelines, Warnings),
    interval: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let look = async || read::see_head(&pool, &head, &clock, (&timelines, &warnings)).await;
    loop {
        let listening = async {
            let timeline = timelines.number();
            let mut listener = bounded::listen(&pool, CHANNEL).await?;
            // Nobody notifies at a former primary any more.
            while timelines.number() == timeline {
                match tokio::time::timeout(interval, listener.recv()).await {
                    // A notification is only a hint, since any session may send one: the head is read from the log.
                    Ok(notification) => {
                        let said: Position = notification?.payload().parse().unwrap_or_default();
                        if said > head.position() {
                            look().await?;
                        }
                    }
                    Err(_) => {
                        bounded::test(&mut listener).await?;
                        look().await?;
                    }
                }
            }
            Ok(())
        };
        let listened: Result<(), sqlx::Error> = tokio::select! {
            () = stopping(&mut stop) => return,
            listened = listening => listened,
        };
        if let Err(error) = listened {
            tracing::warn!(%error, "lost the connection that listens for other processes' events; connecting again");
        }
        tokio::select! {
            () = stopping(&mut stop) => return,
            () = sleep(interval) => {}
        }
    }
}

/// Deletes receipts that are older than the retention time, once an hour.
pub(super) async fn forget_receipts(pool: PgPool, retention: Duration, mut stop: watch::Receiver<bool>) {
    const EVERY: Duration = Duration::from_hours(1);
    loop {
        let forgotten = tokio::select! {
            () = stopping(&mut stop) => return,
            forgotten = forget(&pool, retention) => forgotten,
        };
        if let Err(error) = forgotten {
            tracing::warn!(%error, "old receipts were not deleted; trying again in an hour");
        }
        tokio::select! {
            () = stopping(&mut stop) => return,
            () = sleep(EVERY) => {}
        }
    }
}

async fn forget(pool: &PgPool, retention: Duration) -> Result<(), sqlx::Error> {
    /// How long the deletion of many receipts may take.
    const PATIENCE: Duration = Duration::from_mins(5);
    let mut db = lend(pool).await?;
    let forgotten = async {
        let mut transaction = db.begin().await?;
        sqlx::raw_sql("set local statement_timeout = '5min'").execute(&mut *transaction).await?;
        sqlx::query("delete from log.receipts where recorded_at < now() - $1 * interval '1 second'")
            .bind(retention.as_secs_f64())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    };
    let forgotten = within(PATIENCE, forgotten).await;
    db.back(forgotten)
}
