use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};
use hims_event_store::Position;
use hims_projections::RunnerHandle;

use crate::Hospital;
use crate::problem::Problem;

const MINIMUM: &str = "hims-min-position";
/// The position of an answer.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("hims-position");
const PATIENCE: Duration = Duration::from_secs(2);
const MOST_PATIENCE: u64 = 10;

/// What a client has seen already, and how long it would wait for the read tables to have seen it.
pub(crate) struct Freshness {
    minimum: Position,
    patience: Duration,
}

impl Freshness {
    /// Reads `Hims-Min-Position` and `Prefer: wait=S`.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let header = |name: &str| request.headers().get(name).map(HeaderValue::to_str);
        let minimum = match header(MINIMUM) {
            None => 0,
            Some(Ok(text)) => text.trim().parse().map_err(|_| bad())?,
            Some(Err(_)) => return Err(bad()),
        };
        let prefer = header("prefer").and_then(Result::ok).unwrap_or_default();
        let wait = prefer.split([',', ';']).find_map(|it| it.trim().strip_prefix("wait=")?.parse::<u64>().ok());
        Ok(Self { minimum, patience: wait.map_or(PATIENCE, |it| Duration::from_secs(it.min(MOST_PATIENCE))) })
    }

    /// Waits until the read tables have seen what the client has.
    pub(crate) async fn wait(&self, hospital: &Hospital) -> Result<(), Problem> {
        let Some(RunnerHandle { position, .. }) = &hospital.runner else { return Ok(()) };
        if *position.borrow() >= self.minimum {
            return Ok(());
        }
        let mut position = position.clone();
        let reached = tokio::time::timeout(self.patience, position.wait_for(|it| *it >= self.minimum)).await;
        if matches!(reached, Ok(Ok(_))) { Ok(()) } else { Err(behind()) }
    }

    /// Refuses an answer that is older than what the client has seen, whatever was known before.
    pub(crate) fn check(&self, position: Position) -> Result<(), Problem> {
        if position >= self.minimum { Ok(()) } else { Err(behind()) }
    }
}

fn bad() -> Problem {
    Problem::parameter("Hims-Min-Position", "must be a position, as Hims-Position gave it")
}

fn behind() -> Problem {
    Problem::unavailable("read-model-behind", "the read tables are not at that position yet; try again")
}
