//! The server over its socket: commands with everything on, and rows under row-level security.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hims_api::Settings;
use hims_benches::daily::reads_of;
use hims_event_store::Position;
use hims_projections::query::{self, Identity, Shape};
use hims_projections::{TABLES, Table};
use sqlx::pool::PoolConnection;
use sqlx::{FromRow, Postgres as Database, Row as _};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::catalogue;
use crate::client::Client;
use crate::floor::Floor;
use crate::postgres::Postgres;
use crate::report::{Better, Figure, Report};
use crate::server::Server;
use crate::workload::{Compared, compare, percentile, rate};
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 9] = [
    "vital-signs-http",
    "vital-signs-lag",
    "row-by-id",
    "catalogue",
    "catalogue-redis",
    "recorded-row",
    "recorded-list",
    "recorded-size",
    "recorded-wal",
];

const CONNECTIONS: usize = 64;
const ROWS: i64 = 2_000;

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    // What recording the reads costs is measured by itself.
    let server = Server::start(Settings { record_reads: false, ..postgres.settings() }).await?;
    if report.wants(&NAMES[..2]) {
        vital_signs(effort, report, &postgres, &server).await?;
    }
    if report.wants(&NAMES[2..3]) {
        row_by_id(effort, report, &postgres, &server).await?;
    }
    if report.wants(&NAMES[3..4]) {
        catalogue::in_memory(effort, report, &server).await?;
    }
    if report.wants(&NAMES[4..5]) {
        catalogue::in_redis(effort, report, (&postgres, &server)).await?;
    }
    if report.wants(&NAMES[5..]) {
        recorded(effort, report, (&postgres, &server)).await?;
    }
    server.stop().await;
    postgres.stop().await;
    Ok(())
}

/// A connection, the requests that it sends in turns, and what is told of each answer.
pub(crate) struct Caller {
    client: Client,
    requests: Arc<Vec<Vec<u8>>>,
    nth: usize,
    status: u16,
    answered: Option<mpsc::UnboundedSender<(Position, Instant)>>,
}

pub(crate) async fn callers(server: &Server, requests: Vec<Vec<u8>>, status: u16) -> Result<Vec<Caller>, Failure> {
    let requests = Arc::new(requests);
    let mut callers = Vec::with_capacity(CONNECTIONS);
    for nth in 0..CONNECTIONS {
        let client = Client::connect(server.address).await?;
        callers.push(Caller { client, requests: Arc::clone(&requests), nth: nth * 31, status, answered: None });
    }
    Ok(callers)
}

impl Caller {
    pub(crate) async fn send(mut self) -> Result<Self, Failure> {
        let answer = self.client.send(&self.requests[self.nth % self.requests.len()]).await?;
        if answer.status != self.status {
            return Err(format!("answered with status {}: {}", answer.status, self.client.body()).into());
        }
        if let Some(answered) = self.answered.as_ref().filter(|_| self.nth.is_multiple_of(4)) {
            answered.send((answer.position, Instant::now()))?;
        }
        self.nth += 1;
        Ok(self)
    }
}

async fn vital_signs(effort: Effort, report: &Report, postgres: &Postgres, server: &Server) -> Result<(), Failure> {
    let mut floor = Floor::try_new(postgres).await?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let lags = Arc::new(Mutex::new(Vec::new()));
    let watching = tokio::spawn(watch_lag(receiver, server.read_position.clone(), Arc::clone(&lags)));
    let mut connections = callers(server, posts(server), 201).await?;
    for it in &mut connections {
        it.answered = Some(sender.clone());
    }
    drop(sender);
    let mut connections = Some(connections);
    let recorded = async |time| sent(time, &mut connections).await;
    let compared = compare(effort, async |time| floor.rate(time).await, recorded).await?;
    drop(connections);
    floor.close().await;
    watching.await??;
    report.write(compared.figure("vital-signs-http", "/s", 0.5), Better::More)?;
    let mut lags = lags.lock().map_err(|_| "the lags were lost")?.clone();
    let (rate, median) = (percentile(&mut lags, 99), Some(percentile(&mut lags, 50)));
    let lag = Figure { bench: "vital-signs-lag", rate, unit: "ms", median, target: 250.0, ..Figure::default() };
    report.write(lag, Better::Less)?;
    Ok(())
}

/// Measures from each answer until the read tables have reached its position.
async fn watch_lag(
    mut answered: mpsc::UnboundedReceiver<(Position, Instant)>,
    mut read_position: watch::Receiver<Position>,
    lags: Arc<Mutex<Vec<Duration>>>,
) -> Result<(), Failure> {
    while let Some((position, at)) = answered.recv().await {
        read_position.wait_for(|it| *it >= position).await?;
        lags.lock().map_err(|_| "the lags were lost")?.push(at.elapsed());
    }
    Ok(())
}

pub(crate) fn head(method: &str, path: &str, token: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: hims\r\nuser-agent: ward-tablet/1.0\r\naccept: */*\r\n\
         authorization: Bearer {token}\r\n"
    )
}

/// A command with its body.
pub(crate) fn post(command: &str, token: &str, body: &str) -> Vec<u8> {
    let head = head("POST", &format!("/api/v1/commands/{command}"), token);
    format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// One request for each patient.
pub(crate) fn posts(server: &Server) -> Vec<Vec<u8>> {
    let measured = |(nth, patient): (usize, &Uuid)| {
        let body = format!(
            r#"{{"patient_id":"{patient}","blood_pressure_systolic":{},"blood_pressure_diastolic":82,"heart_rate":{},"temperature":98.6,"temperature_unit":"F","oxygen_saturation":97,"weight_kg":71.5,"height_cm":178,"pain_scale":2}}"#,
            110 + nth % 40,
            60 + nth % 50,
        );
        post("record-vital-signs", &server.token, &body)
    };
    server.patients.iter().enumerate().map(measured).collect()
}

async fn row_by_id(effort: Effort, report: &Report, postgres: &Postgres, server: &Server) -> Result<(), Failure> {
    record_some(server).await?;
    let ids = ids_of_vital_signs(postgres).await?;
    let get = |id: &Uuid| head("GET", &format!("/api/v1/vital-signs/{id}"), &server.token) + "\r\n";
    let mut http = Some(callers(server, ids.iter().map(|it| get(it).into_bytes()).collect(), 200).await?);
    let table = TABLES.iter().find(|it| it.name == "vital_signs").ok_or("no such table")?;
    let who = Arc::new(Identity { reads: reads_of("doctor"), ..Identity::default() });
    let (ids, readers) = (Arc::new(ids), postgres.readers(u32::try_from(CONNECTIONS)?));
    let mut bare = Vec::with_capacity(CONNECTIONS);
    for nth in 0..CONNECTIONS {
        let (ids, who) = (Arc::clone(&ids), Arc::clone(&who));
        bare.push(Bare { connection: readers.acquire().await?, table, ids, who, nth: nth * 31 });
    }
    let mut bare = Some(bare);
    let floor = async |time| {
        let (rate, back) = rate(time, bare.take().unwrap_or_default(), Bare::find).await?;
        bare = Some(back);
        Ok(rate)
    };
    let compared = compare(effort, floor, async |time| sent(time, &mut http).await).await?;
    report.write(compared.figure("row-by-id", "/s", 0.5), Better::More)?;
    drop(bare);
    readers.close().await;
    Ok(())
}

/// Rows and lists of 50 whose reads are recorded, beside the same of another server that does not record them.
async fn recorded(effort: Effort, report: &Report, (postgres, server): (&Postgres, &Server)) -> Result<(), Failure> {
    let recording = Postgres::start().await?;
    let recorder = Server::start(recording.settings()).await?;
    let both = [(postgres, server), (&recording, &recorder)];
    for (_, server) in both {
        record_some(server).await?;
    }
    let before = Written::so_far(&recording).await?;
    for (bench, is_list) in NAMES[5..7].iter().zip([false, true]) {
        let mut asking = Vec::with_capacity(both.len());
        for (postgres, server) in both {
            let get = |path: String| {
                (head("GET", &format!("/api/v1/vital-signs{path}"), &server.token) + "\r\n").into_bytes()
            };
            let rows = ids_of_vital_signs(postgres).await?.into_iter().map(|id| get(format!("/{id}")));
            let paths = if is_list { vec![get("?limit=50".to_owned())] } else { rows.collect() };
            asking.push(callers(server, paths, 200).await?);
        }
        if let Ok([unrecorded, recorded]) = <[_; 2]>::try_from(asking) {
            let compared = in_turns(effort, unrecorded, recorded).await?;
            report.write(compared.figure(bench, "/s", 0.5), Better::More)?;
        }
    }
    let after = Written::so_far(&recording).await?;
    let reads = after.events - before.events;
    for (bench, bytes) in
        [("recorded-size", after.database - before.database), ("recorded-wal", after.wal - before.wal)]
    {
        let figure = Figure { bench, rate: bytes / reads, unit: "B/read", target: 3_000.0, ..Figure::default() };
        report.write(figure, Better::Less)?;
    }
    recorder.stop().await;
    recording.stop().await;
    Ok(())
}

/// What a server has written since it was set up.
#[derive(FromRow)]
struct Written {
    /// The events of the log.
    events: f64,
    /// The size of the database in bytes.
    database: f64,
    /// The bytes of the WAL.
    wal: f64,
}

impl Written {
    /// What a server has written so far.
    async fn so_far(postgres: &Postgres) -> Result<Self, Failure> {
        let superuser = postgres.superuser(1);
        let sql = "select (select position from log.head)::float8 as events,
                          pg_database_size(current_database())::float8 as database,
                          pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal";
        let written = sqlx::query_as(sql).fetch_one(&superuser).await?;
        superuser.close().await;
        Ok(written)
    }
}

/// Compares two groups of callers, which send their requests in turns.
pub(crate) async fn in_turns(effort: Effort, floor: Vec<Caller>, measured: Vec<Caller>) -> Result<Compared, Failure> {
    let (mut floor, mut measured) = (Some(floor), Some(measured));
    compare(effort, async |time| sent(time, &mut floor).await, async |time| sent(time, &mut measured).await).await
}

/// How many answers some callers get per second.
async fn sent(time: Duration, callers: &mut Option<Vec<Caller>>) -> Result<f64, Failure> {
    let (rate, back) = rate(time, callers.take().unwrap_or_default(), Caller::send).await?;
    *callers = Some(back);
    Ok(rate)
}

async fn ids_of_vital_signs(postgres: &Postgres) -> Result<Vec<Uuid>, Failure> {
    let pool = postgres.superuser(1);
    let rows = sqlx::query("select id from hims.vital_signs limit $1").bind(ROWS).fetch_all(&pool).await?;
    pool.close().await;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Records vital signs of every patient, a few times over, and waits until they can be read.
async fn record_some(server: &Server) -> Result<(), Failure> {
    let mut client = Client::connect(server.address).await?;
    let mut last = 0;
    for request in posts(server).iter().cycle().take(2_000) {
        last = client.send(request).await?.position;
    }
    server.read_position.clone().wait_for(|it| *it >= last).await?;
    Ok(())
}

/// A connection that reads rows by the statement of the server, without the server.
struct Bare {
    connection: PoolConnection<Database>,
    table: &'static Table,
    ids: Arc<Vec<Uuid>>,
    who: Arc<Identity>,
    nth: usize,
}

impl Bare {
    async fn find(mut self) -> Result<Self, Failure> {
        let id = self.ids[self.nth % self.ids.len()];
        let found = query::find(&mut self.connection, self.table, Shape::Declared, id, &self.who).await?;
        found.row.ok_or("a row was not found")?;
        self.nth += 1;
        Ok(self)
    }
}
