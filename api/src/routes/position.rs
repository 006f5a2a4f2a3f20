use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use hims_event_store::Position;
use hims_projections::RunnerHandle;
use tokio::sync::Semaphore;

use super::incarnation::{Incarnation, incarnation};
use crate::Hospital;
use crate::problem::Problem;

/// The header with the position that an answer must at least show.
const MINIMUM: &str = "hims-min-position";
/// The header with the position that an answer shows.
const POSITION: HeaderName = HeaderName::from_static("hims-position");
/// How long a request waits for the read tables, unless the client says otherwise.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many seconds a client may ask a request to wait at most.
const MOST_PATIENCE: u64 = 10;

/// How many requests may wait for the read tables at once. Those that wait do not keep others from reading.
static WAITING: Semaphore = Semaphore::const_new(250);

/// The position that a client wants to see at least, and how long the client waits for the read tables to reach it.
pub(crate) struct Freshness {
    minimum: Position,
    incarnation: Incarnation,
    patience: Duration,
}

impl Freshness {
    /// Reads `Hims-Min-Position` and `Prefer: wait=S`.
    pub(crate) fn parse(request: &HttpRequest) -> Result<Self, Problem> {
        let header = |name: &str| request.headers().get(name).map(HeaderValue::to_str);
        let minimum = match header(MINIMUM) {
            None => 0,
            Some(Ok(text)) => text.trim().parse::<Position>().ok().filter(|it| *it >= 0).ok_or_else(bad)?,
            Some(Err(_)) => return Err(bad()),
        };
        let prefer = header("prefer").and_then(Result::ok).unwrap_or_default();
        let wait = prefer.split([',', ';']).find_map(|it| it.trim().strip_prefix("wait=")?.parse::<u64>().ok());
        let incarnation = Incarnation::parse(request)?;
        Ok(Self {
            minimum,
            incarnation,
            patience: wait.map_or(PATIENCE, |it| Duration::from_secs(it.min(MOST_PATIENCE))),
        })
    }

    /// As this, and at least at another position, such as that of the page before.
    pub(crate) fn at_least(self, position: Position) -> Self {
        Self { minimum: self.minimum.max(position), ..self }
    }

    /// The position that the answer must at least show; 0 if the client named none.
    pub(crate) fn minimum(&self) -> Position {
        self.minimum
    }

    /// Waits until the read tables have reached the client's minimum.
    pub(crate) async fn wait(&self, hospital: &Hospital) -> Result<(), Problem> {
        let Some(RunnerHandle { position, .. }) = &hospital.runner else { return Ok(()) };
        if self.minimum > 0 {
            self.incarnation.check(hospital, self.minimum).await?;
        }
        if *position.borrow() >= self.minimum {
            return Ok(());
        }
        let Ok(_waits) = WAITING.try_acquire() else { return Err(behind()) };
        let mut position = position.clone();
        let reached = tokio::time::timeout(self.patience, position.wait_for(|it| *it >= self.minimum)).await;
        if matches!(reached, Ok(Ok(_))) { Ok(()) } else { Err(behind()) }
    }

    /// Refuses an answer whose own position is below the client's minimum, even if the wait found a higher position.
    pub(crate) fn check(&self, position: Position) -> Result<(), Problem> {
        if position >= self.minimum { Ok(()) } else { Err(behind()) }
    }
}

fn bad() -> Problem {
    Problem::parameter("Hims-Min-Position", "must be a position, as the header Hims-Position gave it")
}

fn behind() -> Problem {
    Problem::unavailable(
        "read-model-behind",
        "the read tables have not reached the position of Hims-Min-Position yet; try again",
    )
}

/// Adds to an answer which position the answer shows, and of which incarnation of the log.
pub(super) fn at_position<'a>(
    answer: &'a mut HttpResponseBuilder,
    hospital: &Hospital,
    position: Position,
) -> &'a mut HttpResponseBuilder {
    answer.insert_header((POSITION, position.to_string())).insert_header(incarnation(hospital))
}

/// An answer with a page of rows, each as JSON.
pub(super) fn page_answer(
    hospital: &Hospital,
    items: &[String],
    next: Option<&str>,
    position: Position,
) -> HttpResponse {
    let next = next.map_or_else(|| "null".to_owned(), |it| format!("\"{it}\""));
    let body = format!("{{\"items\":[{}],\"next\":{next},\"position\":{position}}}", items.join(","));
    let mut answer = HttpResponse::Ok();
    at_position(&mut answer, hospital, position).insert_header((CONTENT_TYPE, "application/json")).body(body)
}
