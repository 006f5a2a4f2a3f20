//! The files of reports.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::report_execution::DownloadReport;
use hims_commands::{Claims as _, Request};
use hims_domain::patient::Patient;
use hims_domain::permission::Read;
use hims_domain::report_execution::{Made, ReportExecution};
use hims_domain::{Aggregate as _, ReportExecutionId, read_id};
use hims_projections::table_of;
use uuid::Uuid;

use super::access::Reading;
use super::caller::LoggedIn;
use super::evenly::evenly;
use super::parameters::id_of_path;
use super::position::at_position;
use super::reads::{Asked, Shown, recorded};
use crate::Hospital;
use crate::problem::Problem;
use crate::reports::media_type;

/// Answers the file of a report to those for whom it was made, each with their own rights of the moment. That somebody
/// has fetched the file is an event.
pub(super) async fn file(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    id: web::Path<String>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    let asked = Asked::of("report_files", request.query_string()).record(read_id(&id));
    let answer = fetched(&request, &hospital, &id, &logged_in);
    evenly(&logged_in, Box::pin(recorded(&hospital, &logged_in, asked, answer))).await
}

async fn fetched(
    request: &HttpRequest,
    hospital: &Hospital,
    id: &str,
    logged_in: &LoggedIn,
) -> Result<(HttpResponse, Shown), Problem> {
    Problem::unless_bare(request)?;
    logged_in.may_read()?;
    let id = ReportExecutionId(id_of_path(id)?);
    let execution = hospital.executor.load::<ReportExecution>(id.0, true).await?.state;
    let execution = execution.filter(|it| !it.is_hidden_from(&logged_in.caller)).ok_or_else(Problem::not_found)?;
    let Some(made) = &execution.made else {
        let detail = format!("the report is {}, so there is no file", execution.status);
        return Err(Problem::new(StatusCode::CONFLICT, "wrong-status", detail));
    };
    if made.kept_until <= hospital.executor.now() {
        return Err(gone(made));
    }
    let tag = format!("\"{}\"", made.sha256.as_str());
    let known = request.headers().get(IF_NONE_MATCH).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|it| it.trim().trim_start_matches("W/") == tag);
    let kept = hospital.files.find(id.0).await?;
    if let Some(kept) = &kept {
        check_open(hospital, logged_in, &kept.about).await?;
    }
    // The rights are checked before anything is told of the file, and the event is recorded before the file is sent. Who
    // has the file already and asks for it again is recorded, too.
    let fetched = Request::of(logged_in.caller.clone());
    let outcome = hospital.executor.execute(DownloadReport { report_execution_id: id }, fetched).await?;
    if is_known {
        return Ok((HttpResponse::NotModified().insert_header((ETAG, tag)).finish(), Shown::default()));
    }
    let kept = kept.ok_or_else(|| gone(made))?;
    if kept.sha256 != made.sha256.as_str() {
        tracing::error!(execution = %id, "the file of a report is not the one that was made");
        let detail = "the file is not the one that was made; tell an operator, and run the report again";
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "altered-file", detail));
    }
    let asked = &execution.asked;
    let name = format!("{}-{}.{}", asked.report_code.as_str(), made.as_of_position, asked.format);
    let shown = Shown::of_patients(kept.about, usize::try_from(made.row_count).unwrap_or_default());
    let answer = at_position(&mut HttpResponse::Ok(), hospital, outcome.position)
        .insert_header((CONTENT_TYPE, media_type(asked.format)))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "private, no-store"))
        .body(kept.bytes);
    Ok((answer, shown))
}

/// Refuses a file with rows about a patient whose record was closed to the caller since. Auditors are told who did what
/// with the records of each patient.
async fn check_open(hospital: &Hospital, logged_in: &LoggedIn, patients: &[Uuid]) -> Result<(), Problem> {
    let Some(table) = table_of(Patient::STREAM).filter(|_| !logged_in.reads(Read::AuditLogs)) else { return Ok(()) };
    if Reading::new(hospital, logged_in).closed(table, patients).await?.is_empty() {
        return Ok(());
    }
    Err(Problem::forbidden("the file shows a record that is closed to you now; run the report again"))
}

/// The file was deleted.
fn gone(made: &Made) -> Problem {
    let detail = format!(
        "files are kept for 30 days; run the report again with as_of {}, which gives the same file",
        made.as_of_position
    );
    Problem::new(StatusCode::GONE, "gone", detail)
}
