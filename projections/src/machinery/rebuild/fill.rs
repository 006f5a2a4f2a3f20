//! Loads new tables from the log.

use std::sync::Arc;

use hims_domain::erasure::Person;
use hims_event_store::Position;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;

use super::scaffold::Scaffold;
use super::{NAME, Rebuild, RebuildError, execute, schema};
use crate::TABLES;
use crate::machinery::batch::{AuditTo, Batch};
use crate::machinery::erasing::blank;
use crate::machinery::statements;
use crate::tables::audit::AuditRow;

/// The number of events in a batch. A row is written once per batch, so large batches are fast; a batch of this size
/// takes a few hundred megabytes of memory.
const BATCH: i64 = 10_000;
/// Tables that are at most this many events behind the log count as loaded.
const CLOSE: Position = 1_000;

/// How the tables are loaded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// Fast: foreign keys and most indexes are made after the rows are loaded.
    Bare,
    /// With all constraints and indexes in place, so that an event that breaks a constraint parks only its own stream.
    Guarded,
}

impl Rebuild {
    /// Makes the tables in a new schema and loads the events up to `end`, or close to the end of the growing log.
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
                execute(&mut aside, &format!("{settings}; set application_name = '{NAME}'")).await?;
                let erased = self.project(db, Some(&mut aside), &mut position, loaded, progress).await?;
                scaffold.put_up(db, &mut aside).await?;
                aside.close().await?;
                self.blank(db, &erased, position).await?;
            }
            Load::Guarded => {
                self.project(db, None, &mut position, loaded, progress).await?;
                for table in TABLES {
                    execute(db, &format!("analyze {}", table.name)).await?;
                }
            }
        }
        self.catch_up(db, &mut position, end, progress).await?;
        Ok(position)
    }

    /// Projects what was recorded meanwhile, until the tables are at `end` or close to the end of the growing log.
    pub(super) async fn catch_up(
        &self,
        db: &mut PgConnection,
        position: &mut Position,
        end: Position,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<(), RebuildError> {
        loop {
            let head = end.min(self.store.current_head().await?);
            if head - *position <= CLOSE {
                return Ok(());
            }
            self.project(db, None, position, head, progress).await?;
        }
    }

    /// Takes what was said about erased people out of the tables.
    async fn blank(&self, db: &mut PgConnection, erased: &[Person], until: Position) -> Result<(), RebuildError> {
        let mut transaction = db.begin().await?;
        execute(&mut transaction, "set local role hims_projector").await?;
        blank(&mut transaction, self.store.as_ref(), erased, until).await?;
        Ok(transaction.commit().await?)
    }

    /// Projects the events after `position` up to the position `to`. The next batch is read and opened while the current
    /// one is written. If there is a second connection `aside`, the audit rows, which are half of the work, are written on
    /// that connection at the same time; then the people whom the events erased, who are answered, are still to be taken
    /// out of the tables.
    pub(super) async fn project(
        &self,
        db: &mut PgConnection,
        aside: Option<&mut PgConnection>,
        position: &mut Position,
        to: Position,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<Vec<Person>, RebuildError> {
        let mut batches = self.batches(*position, to);
        let apart = aside.is_some();
        let (audited, audit) = mpsc::channel(1);
        let projecting = async move {
            let mut erased = Vec::new();
            while let Some(batch) = batches.recv().await {
                let batch = batch?;
                let last = batch.last;
                erased.extend(&batch.erased);
                let mut rows = Vec::new();
                let mut transaction = db.begin().await?;
                execute(&mut transaction, "set local role hims_projector").await?;
                let audit = if apart { AuditTo::Apart(&mut rows) } else { AuditTo::Table };
                batch.project(&mut transaction, self.store.as_ref(), *position, audit).await?;
                transaction.commit().await?;
                // Sending fails only after writing audit rows has failed; `try_join!` returns that error.
                if apart && audited.send(rows).await.is_err() {
                    return Ok(erased);
                }
                *position = last;
                progress(last);
            }
            Ok(erased)
        };
        tokio::try_join!(projecting, write_audit(aside, audit)).map(|(erased, ())| erased)
    }

    /// Reads and opens events in a task of its own, one batch ahead of the receiver.
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
                // Sending fails when the receiver is gone, because a batch could not be written.
                if sender.send(batch).await.is_err() {
                    return;
                }
            }
        });
        batches
    }
}

/// Writes the audit rows that arrive through the channel.
async fn write_audit(
    aside: Option<&mut PgConnection>,
    mut audit: mpsc::Receiver<Vec<AuditRow>>,
) -> Result<(), RebuildError> {
    let Some(db) = aside else { return Ok(()) };
    execute(db, "set role hims_projector").await?;
    while let Some(rows) = audit.recv().await {
        statements::insert(db, &rows.iter().collect::<Vec<_>>()).await?;
    }
    Ok(execute(db, "reset role").await?)
}
