//! Who saw or changed what about a patient.

use actix_web::{HttpRequest, HttpResponse, web};
use hims_domain::patient::Patient;
use hims_domain::permission::Read;
use hims_domain::{Aggregate as _, PatientId, read_id};
use hims_projections::query::{self, AccessWanted};
use uuid::Uuid;

use super::access::Reading;
use super::caller::LoggedIn;
use super::evenly::evenly;
use super::parameters::{Parameters, id_of_path};
use super::position::{Freshness, page_answer};
use super::reads::{Asked, Shown, recorded};
use crate::Hospital;
use crate::problem::Problem;

/// How many entries a page has if the request does not say, and at most.
const LIMIT: (i32, i32) = (100, 500);

/// Answers who saw or changed what about a patient, to auditors and to the patient.
pub(super) async fn list(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    id: web::Path<String>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    let asked = Asked::of("access_report", request.query_string()).record(read_id(&id));
    let answer = page(&request, &hospital, &id, &logged_in);
    evenly(&logged_in, Box::pin(recorded(&hospital, &logged_in, asked, answer))).await
}

async fn page(
    request: &HttpRequest,
    hospital: &Hospital,
    id: &str,
    logged_in: &LoggedIn,
) -> Result<(HttpResponse, Shown), Problem> {
    logged_in.may_read()?;
    let patient_id = id_of_path(id)?;
    let mut parameters = Parameters::parse(request)?;
    let after = parameters.take("after", "a position", |it| it.parse().ok())?.unwrap_or_default();
    let fits = |it: &i32| (1..=LIMIT.1).contains(it);
    let limit = parameters.take("limit", &format!("1 to {}", LIMIT.1), |it| it.parse().ok().filter(fits))?;
    parameters.none_left()?;
    authorise(hospital, logged_in, patient_id).await?;
    let freshness = Freshness::parse(request)?;
    freshness.wait(hospital).await?;
    let wanted =
        AccessWanted { patient_id, after, limit: limit.unwrap_or(LIMIT.0), is_for_auditors: logged_in.is_auditor() };
    let report = async |db: &mut _| query::access_report(db, wanted).await;
    let page = hospital.readers.read_at("audit_logs", freshness.minimum(), report).await?;
    freshness.check(page.position)?;
    let shown = Shown::about(PatientId(patient_id), page.items.len());
    Ok((page_answer(hospital, &page.items, page.next.as_deref(), page.position), shown))
}

/// Auditors have the report of each patient, whoever reads all data that of each whose record is open to them, and
/// patients their own.
async fn authorise(hospital: &Hospital, logged_in: &LoggedIn, patient_id: Uuid) -> Result<(), Problem> {
    if logged_in.caller.is_patient(PatientId(patient_id)) && logged_in.reads(Read::OwnRecords) {
        return Ok(());
    }
    if !logged_in.is_auditor() {
        return Err(Problem::forbidden("who saw a patient is told to auditors, and to the patient themself"));
    }
    let is_known = hospital.executor.load::<Patient>(patient_id, false).await?.state.is_some();
    let is_open = logged_in.reads(Read::AuditLogs)
        || Reading::new(hospital, logged_in).may_read(Patient::STREAM, patient_id).await?;
    if is_known && is_open { Ok(()) } else { Err(Problem::not_found()) }
}
