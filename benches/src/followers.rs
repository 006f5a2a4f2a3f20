//! What event streams cost the commands, and a read beside them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hims_api::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::client::Client;
use crate::http::{Caller, callers, head, posts};
use crate::postgres::Postgres;
use crate::report::{Better, Figure, Report};
use crate::server::Server;
use crate::workload::{Compared, percentile, rate};
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 3] = ["followers-1000", "followers-5000", "read-beside-500"];

/// How many of the bytes of an event stream are read at once.
const CHUNK: usize = 16 * 1024;

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    let settings = Settings { streams_per_session: 10_000, connections_per_address: 10_000, ..postgres.settings() };
    let server = Server::start(settings).await?;
    for (bench, streams, target) in [(NAMES[0], 1_000, 0.9), (NAMES[1], 5_000, 0.75)] {
        if report.wants(&[bench]) {
            let compared = commands_beside(effort, &server, streams).await?;
            report.write(compared.figure(bench, "/s", target), Better::More)?;
        }
    }
    if report.wants(&NAMES[2..]) {
        let mut latencies = reads_beside(effort, &server).await?;
        let (rate, median) = (percentile(&mut latencies, 99), Some(percentile(&mut latencies, 50)));
        let figure = Figure { bench: NAMES[2], rate, unit: "ms", median, target: 50.0, ..Figure::default() };
        report.write(figure, Better::Less)?;
    }
    server.stop().await;
    postgres.stop().await;
    Ok(())
}

/// Commands with so many event streams open, over commands without event streams. Each event stream follows one
/// patient.
async fn commands_beside(effort: Effort, server: &Server, streams: usize) -> Result<Compared, Failure> {
    let mut compared = Compared { rate: 0.0, floor: 0.0 };
    // Connections of their own for each turn: the server closes those that wait while the event streams are opened.
    let commands = async || {
        let connections = callers(server, posts(server), 201).await?;
        Ok::<_, Failure>(rate(effort.time, connections, Caller::send).await?.0)
    };
    // The first turn is to warm up. The best turn of each counts.
    for turn in 0..=effort.rounds {
        let alone = commands().await?;
        let followers = Followers::open(server, server.patients.iter().cycle().take(streams)).await?;
        let beside = commands().await?;
        followers.close().await?;
        if turn > 0 {
            (compared.floor, compared.rate) = (compared.floor.max(alone), compared.rate.max(beside));
        }
    }
    Ok(compared)
}

/// How long reading a patient takes while 500 event streams follow the patient and vital signs are recorded.
async fn reads_beside(effort: Effort, server: &Server) -> Result<Vec<Duration>, Failure> {
    let patient = *server.patients.first().ok_or("no patient")?;
    let followers = Followers::open(server, std::iter::repeat_n(&patient, 500)).await?;
    let posts = posts(server);
    let of_patient: Vec<_> = posts.first().into_iter().cloned().collect();
    let connections = callers(server, of_patient, 201).await?.into_iter().take(4).collect();
    let time = effort.time * u32::try_from(effort.rounds)?;
    let writing = tokio::spawn(async move { rate(time, connections, Caller::send).await.map(|(rate, _)| rate) });
    let mut client = Client::connect(server.address).await?;
    let get = head("GET", &format!("/api/v1/patients/{patient}"), &server.token) + "\r\n";
    let (started, mut latencies) = (Instant::now(), Vec::new());
    while started.elapsed() < time {
        let asked = Instant::now();
        let answer = client.send(get.as_bytes()).await?;
        if answer.status != 200 {
            return Err(format!("answered with status {}: {}", answer.status, client.body()).into());
        }
        latencies.push(asked.elapsed());
    }
    writing.await??;
    followers.close().await?;
    Ok(latencies)
}

/// Clients that follow patients and read what they are sent.
struct Followers {
    tasks: JoinSet<Result<usize, Failure>>,
    over: watch::Sender<bool>,
}

impl Followers {
    /// Opens an event stream for each of the patients.
    async fn open(server: &Server, patients: impl Iterator<Item = &Uuid>) -> Result<Self, Failure> {
        let (over, is_over) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let token: Arc<str> = server.token.as_str().into();
        for patient in patients {
            let mut stream = TcpStream::connect(server.address).await?;
            let path = format!("/api/v1/events/stream?patient_id={patient}");
            stream.write_all((head("GET", &path, &token) + "\r\n").as_bytes()).await?;
            let mut chunk = vec![0; CHUNK];
            let length = stream.read(&mut chunk).await?;
            if !chunk[..length].starts_with(b"HTTP/1.1 200") {
                return Err(String::from_utf8_lossy(&chunk[..length]).into_owned().into());
            }
            let mut is_over = is_over.clone();
            tasks.spawn(async move {
                let mut total = 0;
                loop {
                    let read = tokio::select! {
                        _ = is_over.wait_for(|it| *it) => return Ok(total),
                        read = stream.read(&mut chunk) => read?,
                    };
                    if read == 0 {
                        return Err("the server ended an event stream".into());
                    }
                    total += read;
                }
            });
        }
        Ok(Self { tasks, over })
    }

    /// Closes the event streams, all of which must have been sent events.
    async fn close(mut self) -> Result<(), Failure> {
        self.over.send_replace(true);
        let mut sent = 0;
        while let Some(read) = self.tasks.join_next().await {
            sent += read??;
        }
        if sent == 0 { Err("no event stream was sent an event".into()) } else { Ok(()) }
    }
}
