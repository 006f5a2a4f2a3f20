//! Copies the log and what lies beside it out of PostgreSQL, for a backup. Restoring is in `restore.rs`.

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use sqlx::{PgConnection, PgPool};
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

use crate::archive::End;
use crate::bounded::{ANSWER, LONG_ANSWER, Lent, SLOW_ANSWER, lend, within};
use crate::chain::timestamp;
use crate::{Position, StoreError};

/// The columns of a copy of the events, in the order in which they are hashed.
pub(super) const EVENTS: &str =
    "position, stream_type, stream_id, version, event_type, schema_version, recorded_at, data, metadata, hash";
/// The same columns as a query that writes the time as it is hashed.
const HASHED: &str = "position, stream_type, stream_id, version, event_type, schema_version,
    to_char(recorded_at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), data, metadata, hash";
/// How many events one statement copies. A snapshot of the database that is held for longer would keep PostgreSQL from
/// clearing away the old versions of the head, which every append changes.
const PAGE: i64 = 20_000;
/// About how many bytes are handed on at once.
const CHUNK: usize = 1 << 16;
/// The bounds and the formats of a session that copies.
const COPYING: &str =
    "set statement_timeout = 0; set idle_in_transaction_session_timeout = '15min'; set timezone = 'UTC';
    set datestyle = 'ISO'; set intervalstyle = 'postgres'; set extra_float_digits = 1; set bytea_output = 'hex'";

/// A table beside the log that a backup needs, since it does not follow from the log, or not all of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Beside {
    /// The name of the table in the schema `log`.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static str,
    /// The condition for rows that changed since an instant, which stands for `$since`. `None` for a table that is only
    /// ever copied as a whole.
    changed: Option<&'static str>,
    /// How the rows of the table `copied` are taken over, once the head is at the end of the restored log.
    pub(super) take_over: &'static str,
}

impl Beside {
    /// Whether the rows that are new can be copied alone.
    pub fn has_increments(&self) -> bool {
        self.changed.is_some()
    }
}

/// The keys of people. Without them no personal value of the log can be read.
pub const SUBJECT_KEYS: Beside = Beside {
    name: "subject_keys",
    columns: "subject_id, wrapped_by, wrapped, changed_at, destroyed_at",
    changed: Some("changed_at >= $since"),
    // A key that a newer copy says was destroyed stays destroyed.
    take_over: "insert into log.subject_keys (subject_id, wrapped_by, wrapped, changed_at, destroyed_at)
                select subject_id, wrapped_by, wrapped, changed_at, destroyed_at from copied
                    on conflict (subject_id) do update
                   set wrapped_by = excluded.wrapped_by, wrapped = excluded.wrapped,
                       changed_at = excluded.changed_at, destroyed_at = excluded.destroyed_at",
};

/// The master keys: their ids, and the root secret as each of them wrapped it.
pub const MASTER_KEYS: Beside = Beside {
    name: "master_keys",
    columns: "id, root, is_current",
    changed: Some("true"),
    take_over: "insert into log.master_keys (id, root, is_current) select id, root, is_current from copied",
};

/// The other tables. Claims follow from the log, but for those of people who were erased; receipts hold fingerprints of
/// requests; the processes and their timers say what was done already.
pub const BESIDE: [Beside; 7] = [
    Beside {
        name: "receipts",
        columns: "command_id, fingerprint, first_position, last_position, recorded_at",
        changed: Some("recorded_at >= $since"),
        take_over: "insert into log.receipts (command_id, fingerprint, first_position, last_position, recorded_at)
                    select command_id, fingerprint, first_position, last_position, recorded_at from copied
                     where last_position <= (select position from log.head) on conflict do nothing",
    },
    Beside {
        name: "report_files",
        columns: "id, sealed, kept_at",
        changed: Some("kept_at >= $since"),
        take_over: "insert into log.report_files (id, sealed, kept_at)
                    select id, sealed, kept_at from copied
                     where exists (select from log.events where stream_id = id and version = 1)
                       -- A file that was made before somebody was erased may name them. It is made again on demand.
                       and kept_at > coalesce((select max(destroyed_at) from log.subject_keys), '-infinity')
                        on conflict (id) do update set sealed = excluded.sealed, kept_at = excluded.kept_at",
    },
    Beside {
        name: "unique_claims",
        columns: "scope, key, owner",
        changed: None,
        take_over: "insert into log.unique_claims (scope, key, owner) select scope, key, owner from copied",
    },
    Beside {
        name: "shared_claims",
        columns: "scope, key, owner",
        changed: None,
        take_over: "insert into log.shared_claims (scope, key, owner) select scope, key, owner from copied",
    },
    Beside {
        name: "booking_claims",
        columns: "resource, during, owner",
        changed: None,
        take_over: "insert into log.booking_claims (resource, during, owner)
                    select resource, during, owner from copied",
    },
    Beside {
        name: "processes",
        columns: "name, position",
        changed: None,
        take_over: "insert into log.processes (name, position) select name, position from copied",
    },
    Beside {
        name: "timers",
        columns: "id, process, key, due_at, payload",
        changed: None,
        take_over: "insert into log.timers (id, process, key, due_at, payload)
                    select id, process, key, due_at, payload from copied",
    },
];

/// The log and what lies beside it at one moment, while others go on appending.
pub struct Still {
    db: Lent,
    /// The end of the log at this moment.
    pub end: End,
    /// The time of the database at this moment.
    pub at: DateTime<Utc>,
    /// The version of PostgreSQL, such as `15.18`.
    pub postgresql: String,
    /// The ids of the master keys that wrap the keys of people.
    pub master_keys: Vec<Uuid>,
    /// About how many bytes the tables of the log take on the disk, without indexes: the events, and all others.
    pub bytes: (i64, i64),
}

impl Still {
    /// Begins to see the log as it is at this moment.
    ///
    /// # Errors
    /// When the database does not answer, or the login may not read the log.
    pub async fn begin(pool: &PgPool) -> Result<Self, StoreError> {
        const LOOK: &str = "
            select position, hash, recorded_at, clock_timestamp(),
                   split_part(current_setting('server_version'), ' ', 1), pg_table_size('log.events'),
                   (select coalesce(sum(pg_table_size(oid)), 0)::bigint from pg_class
                     where relnamespace = 'log'::regnamespace and relkind = 'r' and oid <> 'log.events'::regclass),
                   array(select id from log.master_keys order by id)
              from log.head";
        let mut db = lend(pool).await?;
        within(ANSWER, sqlx::raw_sql(COPYING).execute(&mut *db)).await?;
        let begin = sqlx::raw_sql("begin isolation level repeatable read read only").execute(&mut *db);
        within(ANSWER, begin).await?;
        let (position, hash, recorded_at, at, postgresql, events, others, master_keys) =
            within(LONG_ANSWER, sqlx::query_as(LOOK).fetch_one(&mut *db)).await?;
        let bytes = (events, others);
        Ok(Self { db, end: End { position, hash, recorded_at }, at, postgresql, master_keys, bytes })
    }

    /// Copies a table, or its rows that changed since an instant.
    ///
    /// # Errors
    /// When the database does not answer, or nobody receives the copy any more.
    pub async fn copy(
        &mut self,
        table: &Beside,
        since: Option<DateTime<Utc>>,
        to: &Sender<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let Beside { name, columns, changed, .. } = table;
        let condition = match (changed, since) {
            (Some(condition), Some(since)) => {
                format!(" where {}", condition.replace("$since", &format!("'{}'::timestamptz", timestamp(since))))
            }
            _ => String::new(),
        };
        copy_out(&mut self.db, &format!("copy (select {columns} from log.{name}{condition}) to stdout"), to).await
    }
}

/// Copies the events after a position and up to another, one line each, in their order.
///
/// # Errors
/// When the database does not answer, or nobody receives the copy any more.
pub async fn copy_events(
    pool: &PgPool,
    after: Position,
    last: Position,
    to: &Sender<Vec<u8>>,
) -> Result<(), StoreError> {
    let mut db = lend(pool).await?;
    within(ANSWER, sqlx::raw_sql(COPYING).execute(&mut *db)).await?;
    let mut after = after;
    while after < last {
        let end = last.min(after.saturating_add(PAGE));
        let page = format!(
            "copy (select {HASHED} from log.events where position > {after} and position <= {end} order by position)
             to stdout"
        );
        copy_out(&mut db, &page, to).await?;
        after = end;
    }
    Ok(())
}

/// Hands on what a `COPY … TO STDOUT` answers.
async fn copy_out(db: &mut PgConnection, sql: &str, to: &Sender<Vec<u8>>) -> Result<(), StoreError> {
    let unheard = |_| StoreError::Unavailable("the copy is not received any more".to_owned());
    let mut rows = within(SLOW_ANSWER, db.copy_out_raw(sql)).await?;
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Some(row) = within(SLOW_ANSWER, async { rows.next().await.transpose() }).await? {
        chunk.extend_from_slice(&row);
        if chunk.len() >= CHUNK {
            to.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).await.map_err(unheard)?;
        }
    }
    if chunk.is_empty() { Ok(()) } else { to.send(chunk).await.map_err(unheard) }
}
