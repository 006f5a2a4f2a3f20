//! Remembered answers about the catalogues of the hospital, such as departments, medications and prices: tables that
//! everybody reads and that seldom change (docs/adr/0043). Each node remembers answers in its memory, and nodes can
//! share them in Redis. The key of an answer names the contents of the catalogue, and a node that follows the log knows
//! up to which position these are the contents; so no remembered answer is older than what a client asks for.

mod catalogues;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use hims_event_store::{EventStore, Position};
use hims_projections::query;
use hims_projections::{FORM, Table};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::catalogues::{Catalogues, Present};
use self::redis::Redis;
pub use self::redis::RedisUrlError;
pub(crate) use self::redis::{connect_to_redis, redis_client};
use crate::Readers;
use crate::feed::Feed;

/// How long an answer is remembered in each place at most, in case the tables were made anew meanwhile, with other
/// contents. An answer from Redis is remembered in memory from then on.
const KEPT: Duration = Duration::from_secs(30);
/// How many bytes of answers are remembered in memory.
const MEMORY: u64 = 32 << 20;
/// How many answers may wait to be remembered; a further one is not.
const WAITING: usize = 64;
/// Programs of other versions may write answers in another way.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An answer but for the position that it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The rows, each as JSON: those of a page, or one.
    pub(crate) rows: Vec<String>,
    /// The cursor of the next page, if there is one.
    pub(crate) next: Option<String>,
    /// The version of the row, in the answer to a question for one row.
    pub(crate) version: Option<i32>,
}

/// What is asked of a catalogue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'q> {
    pub(crate) table: &'static Table,
    /// What is asked, in the words of the request.
    pub(crate) words: &'q str,
    /// The position that the answer must at least show.
    pub(crate) minimum: Position,
    /// The position of the read tables, as this node knows it.
    pub(crate) position: Position,
}

/// Remembers answers.
pub(crate) struct Cache {
    catalogues: Arc<Catalogues>,
    memory: moka::sync::Cache<Uuid, Arc<Answer>>,
    redis: Option<Arc<Redis>>,
    /// One permit for each answer that waits to be remembered.
    places: Arc<Semaphore>,
    readers: Arc<Readers>,
    store: Arc<dyn EventStore>,
    /// The incarnation of the log.
    incarnation: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Cache {
    /// Begins to follow the log, and to connect to Redis if there is one.
    pub(crate) fn start(
        feed: &Arc<Feed>,
        readers: Arc<Readers>,
        store: Arc<dyn EventStore>,
        incarnation: String,
        redis: Option<::redis::Client>,
    ) -> Self {
        let catalogues = Catalogues::new();
        let mut tasks = vec![tokio::spawn(Arc::clone(&catalogues).follow(Arc::clone(feed)))];
        let redis = redis.map(|client| {
            let redis = Arc::new(Redis::new(Arc::clone(&store)));
            tasks.push(tokio::spawn(Arc::clone(&redis).keep_connected(client)));
            redis
        });
        let memory = moka::sync::Cache::builder().max_capacity(MEMORY).weigher(size).time_to_live(KEPT).build();
        let places = Arc::new(Semaphore::new(WAITING));
        Self { catalogues, memory, redis, places, readers, store, incarnation, tasks }
    }

    /// Answers a question from what is remembered, or else by reading the table, and remembers the answer. Tells the
    /// position that the answer shows.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) async fn answer<E>(
        self: &Arc<Self>,
        question: Question<'_>,
        read: impl AsyncFnOnce() -> Result<(Answer, Position), E>,
    ) -> Result<(Arc<Answer>, Position), E> {
        let Some(present) = self.catalogues.present(question.table, question.position) else {
            self.look(question.table);
            return read().await.map(|(answer, position)| (Arc::new(answer), position));
        };
        let (key, position) = (self.key(question, &present), present.until.min(question.position));
        if position >= question.minimum {
            if let Some(answer) = self.memory.get(&key) {
                count("memory");
                return Ok((answer, position));
            }
            if let Some(redis) = &self.redis
                && let Some(answer) = redis.get(key).await.map(Arc::new)
            {
                count("redis");
                self.memory.insert(key, Arc::clone(&answer));
                return Ok((answer, position));
            }
        }
        count("tables");
        let (answer, position) = read().await?;
        let answer = Arc::new(answer);
        self.remember(question.table, present, key, Arc::clone(&answer), position);
        Ok((answer, position))
    }

    /// The key of the answer to a question. It reveals nothing of the question.
    fn key(&self, question: Question<'_>, present: &Present) -> Uuid {
        let contents = [VERSION, &self.incarnation, &FORM, question.table.name, &present.digest];
        let name = [&contents.join("\n"), question.words].join("\n");
        let blinded = self.store.vault().blind("answers", name.as_bytes());
        Uuid::from_slice(&blinded[..16]).unwrap_or_default()
    }

    /// Remembers an answer if it was read from the rows that its key names.
    fn remember(
        self: &Arc<Self>,
        table: &'static Table,
        present: Present,
        key: Uuid,
        answer: Arc<Answer>,
        position: Position,
    ) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
        let cache = Arc::clone(self);
        rt::spawn(async move {
            let _place = place;
            if cache.catalogues.is_unchanged(table, &present, position).await {
                cache.memory.insert(key, Arc::clone(&answer));
                if let Some(redis) = &cache.redis {
                    redis.put(key, &answer).await;
                }
            }
        });
    }

    /// Looks at the contents of a catalogue, unless somebody does or did a moment ago.
    fn look(self: &Arc<Self>, table: &'static Table) {
        let Some(look) = self.catalogues.wanted_look(table) else { return };
        let cache = Arc::clone(self);
        rt::spawn(async move {
            let contents = cache.readers.read(table.name, async |db| query::contents(db, table).await).await;
            if let Err(error) = &contents {
                tracing::warn!(%error, table = table.name, "answers about a catalogue are not remembered for a while");
            }
            cache.catalogues.looked(table, &look, contents.ok());
        });
    }

    /// Ends what the cache does beside answering.
    pub(crate) fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// How many bytes an answer takes.
fn size(_: &Uuid, answer: &Arc<Answer>) -> u32 {
    let bytes: usize = answer.rows.iter().map(|it| it.len() + size_of::<String>()).sum();
    u32::try_from(bytes + 200).unwrap_or(u32::MAX)
}

fn count(from: &'static str) {
    metrics::counter!("hims_catalogue_answers_total", "from" => from).increment(1);
}
