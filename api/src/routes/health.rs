use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use hims_event_store::{Position, StoreError};
use hims_projections::query::{self, QueryError};
use hims_projections::{RunnerHandle, Standing, migrations};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::Hospital;
use crate::hospital::Stage;
use crate::problem::Problem;

/// How long the server looks at the database before it says that the database does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the server looks for what the database lacks, once it knows that something is wrong.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Answers as long as the process lives.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "live"}))
}

/// Says whether the log and the read tables answer, whether appends can be written, whether the tables show everything
/// that was recorded before this start of the server and move on with the log, by how much the clock of this node
/// differs from the clock of the log, and up to which position each process has reacted to the log.
pub(super) async fn ready(hospital: web::Data<Hospital>) -> HttpResponse {
    let runner = hospital.runner.as_ref();
    let known = runner.map_or(0, |it| *it.position.borrow());
    let looking = async {
        // The position of the tables is read before the head, which only grows: a position beyond the head is a fault.
        let read = hospital.readers.read("projection_checkpoint", async |db| query::position(db).await).await;
        let processes = hospital.process_store.processes().await.unwrap_or_default();
        (read, hospital.store.current_head().await, hospital.store.can_append().await, processes)
    };
    let looked = tokio::time::timeout(PATIENCE, looking).await;
    let (looked, processes) = match looked {
        Ok((read, head, appends, processes)) => (Ok((read, head, appends)), processes),
        Err(late) => (Err(late), Vec::new()),
    };
    let (database, reason, head, read) = match looked {
        Ok((Ok(read), Ok(head), appends)) => {
            let reason = appends.err().map(unwritable);
            ("up", reason.or_else(|| unfit(runner?, Some(read), known, head)), head, Some(read))
        }
        Ok((Err(QueryError::Behind(_)), Ok(head), appends)) => {
            let reason = appends.err().map(unwritable);
            ("up", reason.or_else(|| unfit(runner?, None, known, head)), head, None)
        }
        // No tables that a rebuild left behind, so somebody made the position of the checkpoint negative.
        Ok((Err(QueryError::Swapped), Ok(head), appends)) => {
            let reason = appends.err().map(unwritable);
            ("up", reason.or_else(|| unfit(runner?, Some(Position::MIN), known, head)), head, None)
        }
        looked => {
            match looked {
                Ok((read, head, _)) => tracing::warn!(?read, ?head, "the database does not answer"),
                Err(_) => tracing::warn!("the database does not answer in time"),
            }
            let (head, read) = (*hospital.store.head().borrow(), runner.map(|it| *it.position.borrow()));
            ("down", Some("database-down"), head, read)
        }
    };
    // A database that lacks migrations may be unable to answer anything else.
    let missing = match reason {
        Some("database-down" | "migrations-not-applied") => pending(&hospital).await,
        _ => Vec::new(),
    };
    let (database, reason) =
        if missing.is_empty() { (database, reason) } else { ("up", Some("migrations-not-applied")) };
    let reason = reason.or_else(|| hospital.executor.is_outdated().then_some("newer-release"));
    let is_leaving = *hospital.stage.borrow() != Stage::Serving;
    let reason = if is_leaving { Some("stopping") } else { reason };
    let reason = reason.or_else(|| hospital.store.clock().check().err().map(|_| "node-clock-wrong"));
    let offset = hospital.store.clock().lead().as_seconds_f64();
    let mut told = json!({
        "status": "ready", "database": database, "head_position": head, "read_position": read,
        "clock_offset_seconds": offset, "processes": processes.into_iter().collect::<BTreeMap<_, _>>(),
    });
    if let Ok(Ok((done_at, is_overdue))) = tokio::time::timeout(LAST_LOOK, hospital.last_whole_backup()).await {
        // No reason to take the node out of service.
        told["backup"] = json!({"done_at": done_at, "is_overdue": is_overdue});
    }
    let mut answer = HttpResponse::Ok();
    if let Some(reason) = reason {
        (told["status"], told["reason"]) = ("unavailable".into(), reason.into());
        if !missing.is_empty() {
            told["missing"] = missing.into();
        }
        answer = HttpResponse::ServiceUnavailable();
    }
    answer.insert_header((CACHE_CONTROL, "no-store")).json(told)
}

/// The migrations that the database lacks, as far as it says so in time.
async fn pending(hospital: &Hospital) -> Vec<String> {
    let pending = tokio::time::timeout(LAST_LOOK, migrations::pending(&hospital.owner)).await;
    pending.ok().and_then(Result::ok).unwrap_or_default()
}

/// The reason why appends cannot be written.
#[expect(clippy::needless_pass_by_value, reason = "`map` passes the error by value")]
fn unwritable(error: StoreError) -> &'static str {
    tracing::warn!(%error, "appends cannot be written");
    if matches!(error, StoreError::DiskFull) { "disk-full" } else { "appends-fail" }
}

/// The reason why the read tables at the position `read` cannot be relied on; `None` if the read tables are sound. This
/// process saw the tables at the position `known` before.
fn unfit(runner: &RunnerHandle, read: Option<Position>, known: Position, head: Position) -> Option<&'static str> {
    match (*runner.standing.borrow(), read) {
        (Standing::Beyond, _) => Some("read-tables-beyond-the-log"),
        (_, Some(read)) if read > head || read < known => Some("read-tables-beyond-the-log"),
        (Standing::TakenBack, _) => Some("migrations-not-applied"),
        (Standing::Newer, _) => Some("newer-release"),
        (Standing::Due, _) | (_, None) => Some("read-tables-rebuilding"),
        (Standing::Current, Some(read)) if !runner.has_caught_up(read) => Some("read-tables-behind"),
        (Standing::Current, Some(read)) => (read < head && runner.stands_still()).then_some("read-tables-stand-still"),
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
