//! The positions, leases and timers of processes, in the tables `log.processes` and `log.timers`.
//!
//! A crash of the database may lose the last changes of these tables, which does no harm: a node takes the lease again,
//! and what is done a second time is found to be recorded. So nobody waits for these changes to be durable: a condition
//! that is always true sets `synchronous_commit` for the transaction. Only that a process has begun is durable.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryScalar;
use sqlx::{PgPool, Postgres, Row as _};
use uuid::Uuid;

use super::PgEventStore;
use crate::bounded::{ANSWER, lend, within};
use crate::{Leading, Position, ProcessStore, StoreError, Timer};

type Counting<'q> = QueryScalar<'q, Postgres, i64, PgArguments>;

/// Runs a statement that answers how many rows it changed; `true` if there was one.
async fn changed(pool: &PgPool, statement: Counting<'_>) -> Result<bool, StoreError> {
    let mut db = lend(pool).await?;
    let count = within(ANSWER, statement.fetch_one(&mut *db)).await;
    Ok(db.back(count)? > 0)
}

/// Binds timers, as one array for each column.
fn bind_timers<'q>(statement: Counting<'q>, timers: &[Timer]) -> Counting<'q> {
    statement
        .bind(timers.iter().map(|it| it.id).collect::<Vec<_>>())
        .bind(timers.iter().map(|it| it.key.clone()).collect::<Vec<_>>())
        .bind(timers.iter().map(|it| it.due_at).collect::<Vec<_>>())
        .bind(timers.iter().map(|it| it.payload.to_string()).collect::<Vec<_>>())
}

#[async_trait]
impl ProcessStore for PgEventStore {
    async fn lead(&self, process: &'static str, node: Uuid) -> Result<Option<Leading>, StoreError> {
        const TAKE: &str = "
            update log.processes p
               set held_by = $2, held_until = clock_timestamp() + interval '4 seconds'
             where p.name = $1 and (p.held_by is null or p.held_by = $2 or p.held_until < clock_timestamp())
               and set_config('synchronous_commit', 'off', true) is not null
            returning p.position, (select min(t.due_at) from log.timers t where t.process = $1)";
        const BEGIN: &str = "
            insert into log.processes (name, position)
            select $1, position from log.head where not exists (select from log.processes where name = $1)
            on conflict do nothing";
        let mut db = lend(&self.pool).await?;
        let led = within(ANSWER, async {
            let take = || sqlx::query_as(TAKE).bind(process).bind(node);
            if let Some(led) = take().fetch_optional(&mut *db).await? {
                return Ok(Some(led));
            }
            if sqlx::query(BEGIN).bind(process).execute(&mut *db).await?.rows_affected() == 0 {
                return Ok(None);
            }
            take().fetch_optional(&mut *db).await
        })
        .await;
        Ok(db.back(led)?.map(|(position, next_timer)| Leading { position, next_timer }))
    }

    async fn resign(&self, process: &'static str, node: Uuid) -> Result<(), StoreError> {
        let sql = "with given as (update log.processes set held_by = null, held_until = null
                                   where name = $1 and held_by = $2 returning name)
                   select count(*) from given";
        changed(&self.pool, sqlx::query_scalar(sql).bind(process).bind(node)).await.map(drop)
    }

    async fn advance(
        &self,
        process: &'static str,
        from: Position,
        to: Position,
        timers: &[Timer],
    ) -> Result<bool, StoreError> {
        let sql = "
            with moved as (
                    update log.processes set position = $3
                     where name = $1 and position = $2 and set_config('synchronous_commit', 'off', true) is not null
                    returning name),
                 newly as (
                    insert into log.timers (id, process, key, due_at, payload)
                    select t.id, moved.name, t.key, t.due_at, t.payload::json
                      from moved, unnest($4::uuid[], $5::text[], $6::timestamptz[], $7::text[])
                                  t (id, key, due_at, payload)
                    on conflict (process, key) do update
                       set id = excluded.id, due_at = excluded.due_at, payload = excluded.payload)
            select count(*) from moved";
        let statement = sqlx::query_scalar(sql).bind(process).bind(from).bind(to);
        changed(&self.pool, bind_timers(statement, timers)).await
    }

    async fn set_missing_timers(&self, process: &'static str, timers: &[Timer]) -> Result<(), StoreError> {
        let sql = "
            with newly as (
                    insert into log.timers (id, process, key, due_at, payload)
                    select t.id, p.name, t.key, t.due_at, t.payload::json
                      from log.processes p, unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::text[])
                                            t (id, key, due_at, payload)
                     where p.name = $1 and set_config('synchronous_commit', 'off', true) is not null
                    on conflict (process, key) do nothing
                    returning id)
            select count(*) from newly";
        changed(&self.pool, bind_timers(sqlx::query_scalar(sql).bind(process), timers)).await.map(drop)
    }

    async fn due_timers(
        &self,
        process: &'static str,
        now: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Timer>, StoreError> {
        let mut db = lend(&self.pool).await?;
        let due = sqlx::query(
            "select id, key, due_at, payload from log.timers
              where process = $1 and due_at <= $2 order by due_at, id limit $3",
        )
        .bind(process)
        .bind(now)
        .bind(limit)
        .try_map(|row: PgRow| {
            let (id, key, due_at) = (row.try_get("id")?, row.try_get("key")?, row.try_get("due_at")?);
            Ok(Timer { id, key, due_at, payload: row.try_get("payload")? })
        })
        .fetch_all(&mut *db);
        let due = within(ANSWER, due).await;
        Ok(db.back(due)?)
    }

    async fn end_timer(&self, process: &'static str, id: Uuid, timers: &[Timer]) -> Result<bool, StoreError> {
        let sql = "
            with ended as (
                    delete from log.timers
                     where process = $1 and id = $2 and set_config('synchronous_commit', 'off', true) is not null
                    returning process),
                 newly as (
                    insert into log.timers (id, process, key, due_at, payload)
                    select t.id, ended.process, t.key, t.due_at, t.payload::json
                      from ended, unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::text[])
                                  t (id, key, due_at, payload)
                    on conflict (process, key) do update
                       set id = excluded.id, due_at = excluded.due_at, payload = excluded.payload)
            select count(*) from ended";
        changed(&self.pool, bind_timers(sqlx::query_scalar(sql).bind(process).bind(id), timers)).await
    }

    async fn processes(&self) -> Result<Vec<(String, Position)>, StoreError> {
        let mut db = lend(&self.pool).await?;
        let known = sqlx::query_as("select name, position from log.processes order by name").fetch_all(&mut *db);
        let known = within(ANSWER, known).await;
        Ok(db.back(known)?)
    }
}
