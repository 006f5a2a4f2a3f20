//! Lists of catalogues that a node remembers, and those that nodes share in Redis, beside the same lists read from the
//! tables.

use std::ops::Range;
use std::time::{Duration, Instant};

use hims_api::Settings;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::http::{callers, head, in_turns};
use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::report::{Better, Report};
use crate::server::Server;
use crate::workload::Compared;
use crate::{Effort, Failure};

const LISTS: [&str; 5] =
    ["departments?limit=50", "rooms?limit=50", "medications?limit=50", "lab-tests?limit=50", "user-roles?limit=50"];
/// How many connections ask for what is in Redis: fewer than the answers that a server keeps while they are remembered.
const ASKERS: usize = 16;

/// A list with further words of the request: parameters that begin with `&`, and lines of its head.
fn get(server: &Server, list: &str, parameters: &str, lines: &str) -> Vec<u8> {
    let head = head("GET", &format!("/api/v1/{list}{parameters}"), &server.token);
    format!("{head}{lines}\r\n").into_bytes()
}

/// Lists that the server remembers in its memory.
pub(crate) async fn in_memory(effort: Effort, report: &Report, server: &Server) -> Result<(), Failure> {
    let of = |lines| LISTS.iter().map(|list| get(server, list, "", lines)).collect();
    let read = callers(server, of("cache-control: no-cache\r\n"), 200).await?;
    let remembered = callers(server, of(""), 200).await?;
    let compared = in_turns(effort, read, remembered).await?;
    Ok(report.write(compared.figure("catalogue", "/s", 2.0), Better::More)?)
}

/// Lists that one node has read and put into Redis, and that another one asks for the first time.
pub(crate) async fn in_redis(
    effort: Effort,
    report: &Report,
    (postgres, server): (&Postgres, &Server),
) -> Result<(), Failure> {
    let redis = Redis::start().await?;
    let settings = Settings { redis_url: Some(redis.url()), ..postgres.settings_of_node() };
    let [reading, sharing] =
        [Server::start_beside(settings.clone(), server).await?, Server::start_beside(settings, server).await?];
    // Different words for the same answer, so that no question is asked again.
    let each = u32::try_from(effort.time.as_millis() / 2)?;
    let questions = |of: Range<u32>| {
        let lists = LISTS.iter().flat_map(move |list| of.clone().map(move |nth| (list, nth)));
        lists.map(|(list, nth)| get(server, list, &format!("&created_at_from=2001-01-01T00:00:00.{nth:06}Z"), ""))
    };
    // Both nodes look at the contents of the catalogues, and take up Redis.
    for server in [&reading, &sharing] {
        asked(server, questions(0..50).collect()).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let asked_for: Vec<_> = questions(50..50 + each).collect();
    let floor = asked(&reading, asked_for.clone()).await?;
    // What was read last is remembered a moment later.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (before, count) = (redis.hits().await?, u32::try_from(asked_for.len())?);
    let rate = asked(&sharing, asked_for).await?;
    let hits = redis.hits().await? - before;
    if hits < count / 10 * 9 {
        return Err(format!("of {count} answers, {hits} came from Redis").into());
    }
    report.write(Compared { rate, floor }.figure("catalogue-redis", "/s", 1.0), Better::More)?;
    sharing.stop().await;
    reading.stop().await;
    Ok(())
}

/// How many answers per second come when each question is asked once.
async fn asked(server: &Server, questions: Vec<Vec<u8>>) -> Result<f64, Failure> {
    let count = u32::try_from(questions.len())?;
    let mut askers = JoinSet::new();
    let started = Instant::now();
    for part in questions.chunks(questions.len().div_ceil(ASKERS)) {
        let (part, mut client) = (part.to_vec(), Client::connect(server.address).await?);
        askers.spawn(async move {
            for question in part {
                let status = client.send(&question).await?.status;
                if status != 200 {
                    return Err(Failure::from(format!("answered with status {status}: {}", client.body())));
                }
            }
            Ok(())
        });
    }
    while let Some(asked) = askers.join_next().await {
        asked??;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}
