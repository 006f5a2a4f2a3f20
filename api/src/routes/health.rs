use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use hims_event_store::Position;
use hims_projections::query::{self, QueryError};
use hims_projections::{RunnerHandle, Standing};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::Hospital;
use crate::problem::Problem;

/// Answers as long as the process lives.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "live"}))
}

/// Says whether the log and the read tables answer, whether the tables show everything that was recorded before this
/// start of the server, and by how much the clock of this node differs from the clock of the log.
pub(super) async fn ready(hospital: web::Data<Hospital>) -> HttpResponse {
    // The position of the tables is read before the head, which only grows: a position beyond the head is a fault.
    let read = hospital.readers.read(async |db| query::position(db).await).await;
    let head = hospital.store.current_head().await;
    let runner = hospital.runner.as_ref();
    let (database, reason, head, read) = match (read, head) {
        (Ok(read), Ok(head)) => ("up", runner.and_then(|it| unfit(it, Some(read), head)), head, Some(read)),
        (Err(QueryError::Behind(_)), Ok(head)) => ("up", runner.and_then(|it| unfit(it, None, head)), head, None),
        (read, head) => {
            tracing::warn!(?read, ?head, "the database does not answer");
            let (head, read) = (*hospital.store.head().borrow(), runner.map(|it| *it.position.borrow()));
            ("down", Some("database-down"), head, read)
        }
    };
    let reason = reason.or_else(|| hospital.store.clock().check().err().map(|_| "node-clock-wrong"));
    let offset = hospital.store.clock().lead().as_seconds_f64();
    let mut told = json!({
        "status": "ready", "database": database, "head_position": head, "read_position": read,
        "clock_offset_seconds": offset,
    });
    let mut answer = HttpResponse::Ok();
    if let Some(reason) = reason {
        (told["status"], told["reason"]) = ("unavailable".into(), reason.into());
        answer = HttpResponse::ServiceUnavailable();
    }
    answer.insert_header((CACHE_CONTROL, "no-store")).json(told)
}

/// The reason why the read tables cannot be relied on; `None` if the read tables are sound.
fn unfit(runner: &RunnerHandle, read: Option<Position>, head: Position) -> Option<&'static str> {
    match *runner.standing.borrow() {
        Standing::Beyond => Some("read-tables-beyond-the-log"),
        _ if read.is_some_and(|it| it > head) => Some("read-tables-beyond-the-log"),
        Standing::TakenBack => Some("migrations-not-applied"),
        Standing::Due => Some("read-tables-rebuilding"),
        _ if read.is_none() => Some("read-tables-rebuilding"),
        Standing::Current | Standing::Newer => (!runner.has_caught_up()).then_some("read-tables-behind"),
    }
}

/// The metrics in the text format of Prometheus.
pub(super) async fn metrics(hospital: web::Data<Hospital>, prometheus: web::Data<PrometheusHandle>) -> HttpResponse {
    hospital.measure().await;
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(prometheus.render())
}

/// The OpenAPI document.
pub(super) async fn openapi(request: HttpRequest, hospital: web::Data<Hospital>) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    Ok(HttpResponse::Ok().json(crate::openapi::document(&hospital.registry)))
}
