//! The floor: plain INSERTs, one event per transaction.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres as Database};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::postgres::Postgres;
use crate::workload::{open_loop, rate};
use crate::{Failure, append};

/// How many connections insert at the same time.
pub(crate) const CONNECTIONS: u32 = 32;

/// A table of events without anything that the log has: no chain, no head, no claims.
pub(crate) struct Floor {
    pool: PgPool,
    connections: Connections,
}

impl Floor {
    pub(crate) async fn try_new(postgres: &Postgres) -> Result<Self, Failure> {
        let pool = postgres.superuser(CONNECTIONS);
        sqlx::query(
            "create table if not exists public.floor_events (
                position    bigint generated always as identity primary key,
                stream_id   uuid        not null,
                version     integer     not null,
                event_type  text        not null,
                recorded_at timestamptz not null default now(),
                data        jsonb       not null,
                metadata    jsonb       not null,
                unique (stream_id, version))",
        )
        .execute(&pool)
        .await?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(pool.acquire().await?);
        }
        Ok(Self { pool, connections })
    }

    /// How many events per second, on all connections.
    pub(crate) async fn rate(&mut self, time: Duration) -> Result<f64, Failure> {
        self.rate_on(self.connections.len(), time).await
    }

    /// How many events per second, on so many connections.
    pub(crate) async fn rate_on(&mut self, connections: usize, time: Duration) -> Result<f64, Failure> {
        let working = self.connections.drain(..connections).collect();
        let (rate, back) = rate(time, working, insert).await?;
        self.connections.extend(back);
        Ok(rate)
    }

    /// How long each of so many events per second takes, from the moment that it is due: each on the next connection
    /// that is free.
    pub(crate) async fn open_loop(&mut self, per_second: u32, time: Duration) -> Result<Vec<Duration>, Failure> {
        let free = Arc::new(Mutex::new(std::mem::take(&mut self.connections)));
        let turns = Arc::new(Semaphore::new(lock(&free).len()));
        let latencies = open_loop(per_second, time, || {
            let (free, turns) = (Arc::clone(&free), Arc::clone(&turns));
            async move {
                let _turn = turns.acquire().await?;
                let connection = lock(&free).pop().ok_or("no connection is free")?;
                let connection = insert(connection).await?;
                lock(&free).push(connection);
                Ok(())
            }
        })
        .await?;
        self.connections.append(&mut lock(&free));
        Ok(latencies)
    }

    pub(crate) async fn close(self) {
        drop(self.connections);
        self.pool.close().await;
    }
}

type Connections = Vec<PoolConnection<Database>>;

fn lock(free: &Mutex<Connections>) -> MutexGuard<'_, Connections> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn insert(mut connection: PoolConnection<Database>) -> Result<PoolConnection<Database>, Failure> {
    sqlx::query(
        "insert into public.floor_events (stream_id, version, event_type, data, metadata)
         values ($1, $2, $3, $4::text::jsonb, $5::text::jsonb)",
    )
    .bind(new_id())
    .bind(1)
    .bind("vital_signs.recorded")
    .bind(append::DATA)
    .bind(append::METADATA)
    .execute(&mut *connection)
    .await?;
    Ok(connection)
}

/// An id of now, as the server issues them.
#[expect(clippy::disallowed_methods, reason = "nothing is decided here")]
pub(crate) fn new_id() -> Uuid {
    Uuid::now_v7()
}
