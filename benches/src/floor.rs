//! The floor: plain INSERTs, one event per transaction.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres as Database};
use uuid::Uuid;

use crate::postgres::Postgres;
use crate::workload::rate;
use crate::{Failure, append};

/// How many connections insert at the same time.
const CONNECTIONS: u32 = 32;

/// A table of events without anything that the log has: no chain, no head, no claims.
pub(crate) struct Floor {
    pool: PgPool,
    connections: Vec<PoolConnection<Database>>,
}

impl Floor {
    pub(crate) async fn new(postgres: &Postgres) -> Result<Self, Failure> {
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

    /// How many events per second.
    pub(crate) async fn rate(&mut self, time: Duration) -> Result<f64, Failure> {
        let connections = std::mem::take(&mut self.connections);
        let (rate, connections) = rate(time, connections, insert).await?;
        self.connections = connections;
        Ok(rate)
    }

    pub(crate) async fn close(self) {
        drop(self.connections);
        self.pool.close().await;
    }
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
