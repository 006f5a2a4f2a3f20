//! Callers that do the same again and again for a while, and comparing what they reach with a floor.

use std::time::{Duration, Instant};

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

    pub(crate) fn figure(&self, bench: &'static str, target: f64) -> Figure {
        let (rate, floor, ratio) = (self.rate, Some(self.floor), Some(self.ratio()));
        Figure { bench, rate, unit: "/s", floor, ratio, target }
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
