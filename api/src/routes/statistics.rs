//! How the database works, for administrators and operators.

use actix_web::{HttpRequest, HttpResponse, web};
use hims_domain::permission::Read;
use hims_projections::query::{self, Statistics};

use super::caller::LoggedIn;
use super::position::page_answer;
use crate::Hospital;
use crate::problem::Problem;

/// Answers the statements that took the most time; none if PostgreSQL does not count them.
pub(super) async fn query_performance(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    list(&request, &hospital, &logged_in, Statistics::QueryPerformance).await
}

/// Answers the tables and their dead rows.
pub(super) async fn table_bloat(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    list(&request, &hospital, &logged_in, Statistics::TableBloat).await
}

async fn list(
    request: &HttpRequest,
    hospital: &Hospital,
    logged_in: &LoggedIn,
    of: Statistics,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(request)?;
    logged_in.may_read()?;
    if !logged_in.reads_any(&[Read::AllData, Read::Operations]) {
        return Err(Problem::forbidden("how the database works is for those who may read all data or operations"));
    }
    let who = logged_in.identity();
    let page = hospital.readers.read("statistics", async |db| query::statistics(db, of, &who).await).await?;
    Ok(page_answer(hospital, &page.items, None, page.position))
}
