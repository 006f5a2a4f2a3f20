//! Appends to the event log: to new streams, as fast as callers can and whenever they are due, and with half of the
//! requests refused.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hims_event_store::{
    Append, AppendError, Appended, Claim, EventStore, Metadata, NewEvent, PgEventStore, StreamAppend,
};
use serde_json::Value;
use uuid::Uuid;

use crate::floor::{Floor, new_id};
use crate::postgres::Postgres;
use crate::report::{Better, Figure, Report};
use crate::workload::{Compared, compare, open_loop, percentile, rate};
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 7] = [
    "append-1",
    "append-32",
    "append-256",
    "append-refused",
    "append-open-500",
    "append-open-1000",
    "append-open-5000",
];

/// The event that is appended, and inserted for the floor.
pub(crate) const DATA: &str = r#"{"patient_id":"01999c5e-7f00-7000-8000-000000000001","consultation_id":null,"recorded_by":"01999c5e-7f00-7000-8000-000000000002","recorded_at":"2026-11-23T10:00:00Z","measurements":{"blood_pressure_systolic":"128","blood_pressure_diastolic":"82","heart_rate":"74","temperature":"98.6","oxygen_saturation":"97","oxygen_supplement":false},"extreme":[],"corrects":null}"#;

/// Its circumstances.
pub(crate) const METADATA: &str = r#"{"actor":{"type":"user","id":"01999c5e-7f00-7000-8000-000000000002"},"role":"nurse","session_id":"01999c5e-7f00-7000-8000-000000000003","ip":"10.0.0.7","user_agent":"ward-tablet/1.0","command_id":"01999c5e-7f00-7000-8000-000000000004","command":"record-vital-signs","correlation_id":"01999c5e-7f00-7000-8000-000000000004","occurred_at":"2026-11-23T10:00:00Z"}"#;

const STREAM: &str = "vital_signs";

static EVENT: LazyLock<NewEvent> = LazyLock::new(|| NewEvent {
    event_type: "vital_signs.recorded".to_owned(),
    data: serde_json::from_str(DATA).unwrap_or(Value::Null),
});

static CIRCUMSTANCES: LazyLock<Metadata> = LazyLock::new(|| serde_json::from_str(METADATA).unwrap_or_default());

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    let mut floor = Floor::try_new(&postgres).await?;
    let store = postgres.store().await?;
    if report.wants(&["append-1"]) {
        let begun = async |time| begin(&store, 1, time).await;
        let compared = compare(effort, async |time| floor.rate_on(1, time).await, begun).await?;
        report.write(compared.figure("append-1", "/s", 1.0), Better::More)?;
    }
    for (bench, callers, target) in [("append-32", 32, 2.35), ("append-256", 256, 6.0)] {
        if report.wants(&[bench]) {
            let begun = async |time| begin(&store, callers, time).await;
            let compared = compare(effort, async |time| floor.rate(time).await, begun).await?;
            report.write(compared.figure(bench, "/s", target), Better::More)?;
        }
    }
    for (bench, per_second) in [("append-open-500", 500), ("append-open-1000", 1_000), ("append-open-5000", 5_000)] {
        if report.wants(&[bench]) {
            open(effort, report, (bench, per_second), &mut floor, &store).await?;
        }
    }
    if report.wants(&["append-refused"]) {
        let known = known_streams(&postgres).await?;
        let none = async |time| mixed(&store, &known, false, time).await;
        let half = async |time| mixed(&store, &known, true, time).await;
        let compared = compare(effort, none, half).await?;
        report.write(compared.figure("append-refused", "/s", 0.7), Better::More)?;
    }
    floor.close().await;
    store.shutdown().await;
    postgres.stop().await;
    Ok(())
}

fn one(stream: StreamAppend) -> Append {
    Append { metadata: CIRCUMSTANCES.clone(), ..Append::stream(stream) }
}

/// Callers that begin one stream after the other.
pub(crate) async fn begin(store: &Arc<PgEventStore>, callers: usize, time: Duration) -> Result<f64, Failure> {
    let callers = vec![Arc::clone(store); callers];
    let (rate, _) = rate(time, callers, async |store: Arc<PgEventStore>| {
        store.append(one(StreamAppend::begin(STREAM, new_id(), [EVENT.clone()]))).await?;
        Ok(store)
    })
    .await?;
    Ok(rate)
}

/// Appends that are due at so many moments per second, against INSERTs that are due at the same moments: how long the
/// slowest of a hundred take.
async fn open(
    effort: Effort,
    report: &Report,
    (bench, per_second): (&str, u32),
    floor: &mut Floor,
    store: &Arc<PgEventStore>,
) -> Result<(), Failure> {
    let mut best = Compared { rate: f64::INFINITY, floor: f64::INFINITY };
    let mut median = f64::INFINITY;
    // The first turn is to warm up. The best turn of each counts, as it does for rates.
    for turn in 0..=effort.rounds {
        let mut inserted = floor.open_loop(per_second, effort.time).await?;
        let begin = || {
            let store = Arc::clone(store);
            async move {
                store.append(one(StreamAppend::begin(STREAM, new_id(), [EVENT.clone()]))).await?;
                Ok(())
            }
        };
        let mut appended = open_loop(per_second, effort.time, begin).await?;
        if turn > 0 {
            best.floor = best.floor.min(percentile(&mut inserted, 99));
            best.rate = best.rate.min(percentile(&mut appended, 99));
            median = median.min(percentile(&mut appended, 50));
        }
    }
    let figure = Figure { median: Some(median), ..best.figure(bench, "ms", 1.0) };
    report.write(figure, Better::Less)?;
    Ok(())
}

const CALLERS: usize = 32;
const SCOPE: &str = "bench.key";

/// What exists before: streams that the measured store has not seen, and keys that are taken.
struct Known {
    streams: Arc<Vec<Uuid>>,
    keys: Arc<Vec<String>>,
}

/// Streams and keys, made through another store: the measured one knows none of them.
async fn known_streams(postgres: &Postgres) -> Result<Known, Failure> {
    let store = postgres.store().await?;
    let streams: Vec<Uuid> = (0..2_000).map(|_| new_id()).collect();
    let keys: Vec<String> = streams.iter().map(ToString::to_string).collect();
    let begun = streams.iter().map(|it| StreamAppend::begin(STREAM, *it, [EVENT.clone()]));
    let claims = streams.iter().zip(&keys).map(|(owner, key)| take(key.clone(), *owner));
    store.append(Append { claims: claims.collect(), streams: begun.collect(), ..Append::default() }).await?;
    store.shutdown().await;
    Ok(Known { streams: Arc::new(streams), keys: Arc::new(keys) })
}

fn take(key: String, owner: Uuid) -> Claim {
    Claim::Take { scope: SCOPE, key, owner }
}

/// A caller of the mixed load: what it does next, its own stream, what exists.
struct Mixed {
    store: Arc<PgEventStore>,
    known: (Arc<Vec<Uuid>>, Arc<Vec<String>>),
    refused: bool,
    nth: usize,
    own: (Uuid, i32),
}

/// In turns: a new stream, the next version of a stream, a new stream with a free key, a new stream with another key.
/// Where half is refused, the version is outdated or the stream begun already, and the last key is taken.
async fn mixed(store: &Arc<PgEventStore>, known: &Known, refused: bool, time: Duration) -> Result<f64, Failure> {
    let callers = (0..CALLERS).map(|caller| Mixed {
        store: Arc::clone(store),
        known: (Arc::clone(&known.streams), Arc::clone(&known.keys)),
        refused,
        nth: caller,
        own: (new_id(), 0),
    });
    let (rate, _) = rate(time, callers.collect(), Mixed::next).await?;
    Ok(rate)
}

impl Mixed {
    async fn next(mut self) -> Result<Self, Failure> {
        self.nth += 1;
        let (nth, fresh) = (self.nth, new_id());
        let begun = StreamAppend::begin(STREAM, fresh, [EVENT.clone()]);
        let existing = nth * 31 % self.known.0.len();
        let taken = Append { claims: vec![take(fresh.to_string(), fresh)], ..one(begun.clone()) };
        let (append, refused) = match (nth % 4, self.refused) {
            (0, _) => (one(begun), false),
            (1, false) => (one(self.further(self.own.1)), false),
            (1, true) if nth % 8 == 1 && self.own.1 > 0 => (one(self.further(self.own.1 - 1)), true),
            (1, true) => (one(StreamAppend::begin(STREAM, self.known.0[existing], [EVENT.clone()])), true),
            (2, _) | (_, false) => (taken, false),
            (_, true) => (Append { claims: vec![take(self.known.1[existing].clone(), fresh)], ..one(begun) }, true),
        };
        if !refused && append.streams[0].stream_id == self.own.0 {
            self.own.1 += 1;
        }
        match (self.store.append(append).await, refused) {
            (Ok(Appended { .. }), false) | (Err(AppendError::Conflict { .. } | AppendError::Taken { .. }), true) => {
                Ok(self)
            }
            (Ok(_), true) => Err("an append was not refused".into()),
            (Err(error), _) => Err(error.into()),
        }
    }

    fn further(&self, version: i32) -> StreamAppend {
        StreamAppend::at(STREAM, self.own.0, version, [EVENT.clone()])
    }
}
