//! Callers that do the same again and again for a while, or whenever it is due, and comparing what they reach with a
//! floor.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::report::Figure;
use crate::{Effort, Failure};

/// A rate, and the floor that was measured beside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared {
    pub(crate) rate: f64,
    pub(crate) floor: f64,
}

impl Compared {
    pub(crate) fn ratio(&self) -> f64 {
        self.rate / self.floor
    }

    pub(crate) fn figure<'a>(&self, bench: &'a str, unit: &'static str, target: f64) -> Figure<'a> {
        let (rate, floor, ratio) = (self.rate, Some(self.floor), Some(self.ratio()));
        Figure { bench, rate, unit, floor, ratio, target, ..Figure::default() }
    }
}

/// How often per second callers get done with `one` thing, which takes a caller's state and gives it back; the caller
/// then begins anew.
pub(crate) async fn rate<S, Doing>(
    time: Duration,
    callers: Vec<S>,
    one: impl Fn(S) -> Doing + Clone + Send + 'static,
) -> Result<(f64, Vec<S>), Failure>
where
    S: Send + 'static,
    Doing: Future<Output = Result<S, Failure>> + Send,
{
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for mut caller in callers {
        let one = one.clone();
        tasks.spawn(async move {
            let mut done = 0_u32;
            while started.elapsed() < time {
                caller = one(caller).await?;
                done += 1;
            }
            Ok::<_, Failure>((done, caller))
        });
    }
    let (mut total, mut callers) = (0.0, Vec::new());
    while let Some(finished) = tasks.join_next().await {
        let (done, caller) = finished??;
        total += f64::from(done);
        callers.push(caller);
    }
    Ok((total / started.elapsed().as_secs_f64(), callers))
}

/// How long each of so many things per second takes, from the moment that it is due to its end. They are due at equal
/// distances, whether or not those before are done: what one that is slow does to those behind it is counted.
pub(crate) async fn open_loop<Doing>(
    per_second: u32,
    time: Duration,
    one: impl Fn() -> Doing + Send,
) -> Result<Vec<Duration>, Failure>
where
    Doing: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let distance = Duration::from_secs(1) / per_second;
    let (tell, mut due) = mpsc::unbounded_channel();
    // A thread wakes up much closer to its time than a task does.
    let clock = std::thread::spawn(move || {
        let started = Instant::now();
        let moments = (0..).map(|nth| distance * nth).take_while(|it| *it < time).map(|it| started + it);
        for moment in moments {
            std::thread::sleep(moment.saturating_duration_since(Instant::now()));
            if tell.send(moment).is_err() {
                break;
            }
        }
    });
    let mut tasks = JoinSet::new();
    while let Some(moment) = due.recv().await {
        let doing = one();
        tasks.spawn(async move { doing.await.map(|()| moment.elapsed()) });
    }
    let mut latencies = Vec::with_capacity(tasks.len());
    while let Some(finished) = tasks.join_next().await {
        latencies.push(finished??);
    }
    clock.join().map_err(|_| "the clock failed")?;
    Ok(latencies)
}

/// A percentile of latencies, in milliseconds; 0 of none.
pub(crate) fn percentile(latencies: &mut [Duration], of: usize) -> f64 {
    latencies.sort_unstable();
    let rank = (latencies.len() * of).div_ceil(100);
    latencies.get(rank.saturating_sub(1)).map_or(0.0, |it| it.as_secs_f64() * 1_000.0)
}

/// Measures the floor and what is compared with it in turns, after one turn to warm up. The best turn of each counts:
/// what else the machine does can only take away.
pub(crate) async fn compare(
    effort: Effort,
    mut floor: impl AsyncFnMut(Duration) -> Result<f64, Failure>,
    mut rate: impl AsyncFnMut(Duration) -> Result<f64, Failure>,
) -> Result<Compared, Failure> {
    let mut best = Compared { rate: 0.0, floor: 0.0 };
    floor(effort.time).await?;
    rate(effort.time).await?;
    for _ in 0..effort.rounds {
        best.floor = best.floor.max(floor(effort.time).await?);
        best.rate = best.rate.max(rate(effort.time).await?);
    }
    Ok(best)
}
