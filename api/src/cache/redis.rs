//! Remembered answers in Redis, which nodes share. What is there is sealed, so nobody reads it there or puts another
//! answer in its place. Redis is no part of what the hospital relies on: if it does not answer at once, nobody waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hims_event_store::{EventStore, Vault};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Client, RedisError};
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{Answer, KEPT};

/// How long to wait for an answer. Reading the tables takes little longer.
const ANSWER: Duration = Duration::from_millis(25);
/// How long to wait for a connection.
const CONNECTION: Duration = Duration::from_secs(2);
/// How long Redis is left alone after it did not answer.
const REST: Duration = Duration::from_secs(2);
/// What keys begin with.
const PREFIX: &str = "hims:answer:";

/// A text is no URL of a Redis.
#[derive(Debug, Error)]
#[error("the URL of Redis cannot be read: write redis://user:password@host:6379, rediss:// for TLS, or unix:///path")]
pub struct RedisUrlError;

/// Reads the URL of a Redis.
///
/// # Errors
/// When the text is no such URL.
pub(crate) fn redis_client(url: &str) -> Result<Client, RedisUrlError> {
    Client::open(url).map_err(|_| RedisUrlError)
}

/// Opens a connection, and asks Redis whether it is there.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn connect_to_redis(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let opening = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        connection.ping::<()>().await?;
        Ok(connection)
    };
    let late = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    timeout(CONNECTION, opening).await.unwrap_or_else(|_| Err(late()))
}

/// A connection to Redis, while there is one.
pub(super) struct Redis {
    connection: Mutex<Option<MultiplexedConnection>>,
    broken: Notify,
    store: Arc<dyn EventStore>,
}

impl Redis {
    /// Has no connection yet.
    pub(super) fn new(store: Arc<dyn EventStore>) -> Self {
        Self { connection: Mutex::default(), broken: Notify::new(), store }
    }

    /// Keeps a connection open, and opens another one when it is broken.
    pub(super) async fn keep_connected(self: Arc<Self>, client: Client) {
        let mut said = String::new();
        loop {
            match connect_to_redis(&client).await {
                Ok(connection) => {
                    if !said.is_empty() {
                        tracing::info!("Redis answers again");
                        said.clear();
                    }
                    *self.connection() = Some(connection);
                    self.broken.notified().await;
                    tracing::warn!("Redis did not answer in time; answers are read from the tables");
                    "no answer in time".clone_into(&mut said);
                }
                Err(error) if error.to_string() == said => {}
                Err(error) => {
                    said = error.to_string();
                    tracing::warn!(%error, "Redis cannot be used; answers are read from the tables");
                }
            }
            sleep(REST).await;
        }
    }

    fn connection(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn vault(&self) -> &Vault {
        self.store.vault()
    }

    /// The answer under a key; `None` if there is none, or Redis does not answer.
    pub(super) async fn get(&self, key: Uuid) -> Option<Answer> {
        let sealed: Option<Vec<u8>> = self.ask(async |mut it| it.get(name(key)).await).await?;
        let opened = self.vault().open_file(key, &sealed?);
        let answer = opened.ok().and_then(|it| serde_json::from_slice(&it).ok());
        if answer.is_none() {
            tracing::warn!("Redis has something that this hospital did not put there; it is not used");
        }
        answer
    }

    /// Keeps an answer under a key.
    pub(super) async fn put(&self, key: Uuid, answer: &Answer) {
        let Ok(plain) = serde_json::to_vec(answer) else { return };
        let Ok(sealed) = self.vault().seal_file(key, &plain) else { return };
        self.ask(async |mut it| it.set_ex::<_, _, ()>(name(key), &sealed, KEPT.as_secs()).await).await;
    }

    /// Asks Redis, if there is a connection, which is given up if there is no answer.
    async fn ask<T>(&self, question: impl AsyncFnOnce(MultiplexedConnection) -> Result<T, RedisError>) -> Option<T> {
        let connection = self.connection().clone()?;
        if let Ok(Ok(answer)) = timeout(ANSWER, question(connection)).await {
            return Some(answer);
        }
        metrics::counter!("hims_redis_failures_total").increment(1);
        if self.connection().take().is_some() {
            self.broken.notify_one();
        }
        None
    }
}

fn name(key: Uuid) -> String {
    format!("{PREFIX}{key}")
}
