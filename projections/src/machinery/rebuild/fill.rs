//! Loads new tables from the log.

use std::sync::Arc;

use hims_event_store::Position;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;

use super::scaffold::Scaffold;
use super::{Rebuild, RebuildError, execute, schema};
use crate::TABLES;
use crate::machinery::batch::{AuditTo, Batch};
use crate::machinery::table;
use crate::tables::audit::AuditRow;

/// Events of a batch. Large, since a row is written once per batch; small enough for a few hundred megabytes.
const BATCH: i64 = 10_000;
/// So few events behind the log, tables that go on are loaded.
const CLOSE: Position = 1_000;

/// How the tables are loaded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// Without indexes and foreign keys, which are made afterwards: fast.
    Bare,
    /// With everything in place, so that an event that breaks a constraint parks its stream and nothing else.
    Guarded,
}

impl Rebuild {
    /// Makes the tables in a new schema and loads them up to a position, or close to the end of a log that goes on.
    pub(super) async fn fill(
        &self,
        db: &mut PgConnection,
        schema: &str,
        end: Position,
        load: Load,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<Position, RebuildError> {
        let mut transaction = db.begin().await?;
        schema::make(&mut transaction, schema).await?;
        transaction.commit().await?;
        let settings = format!("set search_path = {schema}, public; set synchronous_commit = off");
        execute(db, &settings).await?;
        let mut position = 0;
        let loaded = end.min(self.store.current_head().await?);
        match load {
            Load::Bare => {
                let scaffold = Scaffold::take_down(db, schema).await?;
                let mut aside = self.pool.acquire().await?.detach();
                execute(&mut aside, &settings).await?;
                self.project(db, Some(&mut aside), &mut position, loaded, progress).await?;
                scaffold.put_up(db, &mut aside).await?;
                aside.close().await?;
            }
            Load::Guarded => {
                self.project(db, None, &mut position, loaded, progress).await?;
                for table in TABLES {
                    execute(db, &format!("analyze {}", table.name)).await?;
                }
            }
        }
        loop {
            let head = end.min(self.store.current_head().await?);
            if head - position <= CLOSE {
                return Ok(position);
            }
            self.project(db, None, &mut position, head, progress).await?;
        }
    }

    /// Projects from a position up to another. The next batch is read and opened while one is written. Where there is a
    /// connection `aside`, it writes the audit log meanwhile: half of the work.
    pub(super) async fn project(
        &self,
        db: &mut PgConnection,
        aside: Option<&mut PgConnection>,
        position: &mut Position,
        to: Position,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<(), RebuildError> {
        let mut batches = self.batches(*position, to);
        let apart = aside.is_some();
        let (audited, audit) = mpsc::channel(1);
        let projecting = async move {
            while let Some(batch) = batches.recv().await {
                let batch = batch?;
                let last = batch.last;
                let mut rows = Vec::new();
                let mut transaction = db.begin().await?;
                execute(&mut transaction, "set local role hims_projector").await?;
                let audit = if apart { AuditTo::Apart(&mut rows) } else { AuditTo::Table };
                batch.project(&mut transaction, self.store.as_ref(), *position, audit).await?;
                transaction.commit().await?;
                // When nobody takes them, the audit log could not be written, and that error ends this.
                if apart && audited.send(rows).await.is_err() {
                    return Ok(());
                }
                *position = last;
                progress(last);
            }
            Ok(())
        };
        tokio::try_join!(projecting, write_audit(aside, audit)).map(|_| ())
    }

    /// Reads and opens events, one batch ahead of whoever takes them.
    fn batches(&self, after: Position, to: Position) -> mpsc::Receiver<Result<Batch, RebuildError>> {
        let (sender, batches) = mpsc::channel(1);
        let (store, mut next) = (Arc::clone(&self.store), after);
        tokio::spawn(async move {
            while next < to {
                let batch = match Batch::read(store.as_ref(), next, BATCH.min(to - next)).await {
                    Ok(batch) => batch.ok_or(RebuildError::Gap(next)),
                    Err(error) => Err(error.into()),
                };
                next = batch.as_ref().map_or(to, |it| it.last);
                // Nobody waits for it any more: the writing failed.
                if sender.send(batch).await.is_err() {
                    return;
                }
            }
        });
        batches
    }
}

/// Writes the rows of the audit log that come.
async fn write_audit(
    aside: Option<&mut PgConnection>,
    mut audit: mpsc::Receiver<Vec<AuditRow>>,
) -> Result<(), RebuildError> {
    let Some(db) = aside else { return Ok(()) };
    execute(db, "set role hims_projector").await?;
    while let Some(rows) = audit.recv().await {
        table::insert(db, &rows.iter().collect::<Vec<_>>()).await?;
    }
    Ok(execute(db, "reset role").await?)
}
