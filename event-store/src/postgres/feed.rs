//! How processes on one log hear of each other's events: a notification after the commit, many commits in one, and a
//! look at the head now and then in case a notification was lost.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::sleep;

use super::read;
use crate::Position;

const CHANNEL: &str = "log_head";
/// Commits within this time share a notification.
const COALESCE: Duration = Duration::from_millis(20);

/// Returns when the store shuts down.
pub(super) async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that the store is gone, which is as good.
    let _ = stop.wait_for(|it| *it).await;
}

/// Raises the head as this process knows it.
pub(super) fn raise(head: &watch::Sender<Position>, position: Position) {
    head.send_if_modified(|it| std::mem::replace(it, position.max(*it)) < position);
}

/// Tells other processes of this one's commits.
pub(super) async fn notify(pool: PgPool, mut head: watch::Receiver<Position>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopping(&mut stop) => return,
            changed = head.changed() => if changed.is_err() { return },
        }
        let position = *head.borrow_and_update();
        let notified = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(position.to_string());
        if let Err(error) = notified.execute(&pool).await {
            tracing::warn!(%error, "other processes were not notified; they will look by themselves");
        }
        sleep(COALESCE).await;
    }
}

/// Hears of other processes' commits.
pub(super) async fn listen(
    pool: PgPool,
    head: Arc<watch::Sender<Position>>,
    interval: Duration,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                match tokio::time::timeout(interval, listener.recv()).await {
                    // What the notification says is a hint; the log itself is asked.
                    Ok(notification) => {
                        let said: Position = notification?.payload().parse().unwrap_or_default();
                        if said > *head.borrow() {
                            raise(&head, read::head(&pool).await?.position);
                        }
                    }
                    Err(_) => raise(&head, read::head(&pool).await?.position),
                }
            }
        };
        let listened: Result<(), sqlx::Error> = tokio::select! {
            () = stopping(&mut stop) => return,
            listened = listening => listened,
        };
        if let Err(error) = listened {
            tracing::warn!(%error, "lost the connection that hears of other processes' events; trying again");
        }
        tokio::select! {
            () = stopping(&mut stop) => return,
            () = sleep(interval) => {}
        }
    }
}

/// Forgets receipts when their time is over.
pub(super) async fn forget_receipts(pool: PgPool, retention: Duration, mut stop: watch::Receiver<bool>) {
    const EVERY: Duration = Duration::from_hours(1);
    loop {
        let forgotten = sqlx::query("delete from log.receipts where recorded_at < now() - $1 * interval '1 second'")
            .bind(retention.as_secs_f64())
            .execute(&pool)
            .await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "old receipts were not forgotten; trying again in an hour");
        }
        tokio::select! {
            () = stopping(&mut stop) => return,
            () = sleep(EVERY) => {}
        }
    }
}
