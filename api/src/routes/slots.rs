use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use hims_domain::{Described, PatientId};
use hims_projections::query::{self, Moment, SlotsWanted};
use hims_projections::{TABLES, Table};
use uuid::Uuid;

use super::caller::LoggedIn;
use super::evenly::evenly;
use super::parameters::Parameters;
use super::position::{Freshness, page_answer};
use super::reads::{self, Asked, Shown};
use crate::Hospital;
use crate::problem::Problem;

/// How many slots are answered by default, and at most.
const LIMIT: (usize, usize) = (100, 500);
/// How many days can be searched at once.
const MOST_DAYS: i64 = 62;

/// Answers the free slots of providers. A slot is no promise: whoever books first has it.
pub(super) async fn list(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    evenly(&logged_in, Box::pin(slots(&request, &hospital, &logged_in))).await
}

/// Answers slots. What they tell of a patient's times is recorded before, also if the caller may not know the patient.
async fn slots(request: &HttpRequest, hospital: &Hospital, logged_in: &LoggedIn) -> Result<HttpResponse, Problem> {
    logged_in.may_read()?;
    let wanted = wanted(Parameters::parse(request)?, hospital.executor.now())?;
    let freshness = Freshness::parse(request)?;
    freshness.wait(hospital).await?;
    let who = logged_in.identity();
    if let Some(patient_id) = wanted.patient_id {
        // The times of a patient are told only to who may know the patient.
        let patients = patients()?;
        let visible = hospital
            .readers
            .read("patients", async |db| query::visible(db, &[patients], &[patient_id], &who).await)
            .await?;
        let asked = Asked::of("slots", request.query_string());
        if !visible.contains(&patient_id) {
            reads::record(hospital, logged_in, asked, Shown::default()).await?;
            return Err(Problem::parameter("patient_id", "must be the id of a patient whom the caller may read"));
        }
        reads::record(hospital, logged_in, asked, Shown::about(PatientId(patient_id), 1)).await?;
    }
    let page = async |db: &mut _| query::free_slots(db, &wanted, &who).await;
    let page = hospital.readers.read_at("slots", freshness.minimum(), page).await?;
    freshness.check(page.position)?;
    Ok(page_answer(hospital, &page.items, None, page.position))
}

fn patients() -> Result<&'static Table, Problem> {
    TABLES.iter().find(|table| table.name == "patients").ok_or_else(Problem::not_found)
}

/// A day, or an instant.
fn moment(text: &str) -> Option<Moment> {
    let day = || text.parse::<NaiveDate>().ok().filter(Described::is_valid).map(Moment::Day);
    let instant = DateTime::parse_from_rfc3339(text).ok().map(|it| it.to_utc()).filter(Described::is_valid);
    instant.map(Moment::At).or_else(day)
}

/// Reads from the query parameters which slots are wanted.
fn wanted(mut parameters: Parameters, now: DateTime<Utc>) -> Result<SlotsWanted, Problem> {
    const MOMENT: &str = "an instant such as 2026-11-23T10:00:00Z, or a day such as 2026-11-23";
    let missing = |name: &str, what: &str| Problem::parameter(name, format!("must be given: {what}"));
    let uuid = |text: &str| Uuid::try_parse(text).ok();
    let is_text = |text: &&str| !text.is_empty() && text.len() <= 50 && !text.contains('\0');
    let limit = parameters.take("limit", &format!("a number from 1 to {}", LIMIT.1), |text| {
        text.parse().ok().filter(|it| (1..=LIMIT.1).contains(it))
    })?;
    let duration = parameters.take("duration", "a number of minutes from 1 to 480", |text| {
        text.parse().ok().filter(|it| (1..=480).contains(it))
    })?;
    let wanted = SlotsWanted {
        provider_id: parameters.take("provider_id", "a UUID", uuid)?,
        department_id: parameters.take("department_id", "a UUID", uuid)?,
        from: parameters.take("from", MOMENT, moment)?.ok_or_else(|| missing("from", MOMENT))?,
        to: parameters.take("to", MOMENT, moment)?.ok_or_else(|| missing("to", MOMENT))?,
        duration,
        appointment_type: parameters
            .take("appointment_type", "a text of 1 to 50 characters", |text| is_text(&text).then(|| text.to_owned()))?,
        patient_id: parameters.take("patient_id", "a UUID", uuid)?,
        now,
        limit: limit.unwrap_or(LIMIT.0),
    };
    parameters.none_left()?;
    if wanted.provider_id.or(wanted.department_id).is_none() {
        return Err(missing("provider_id", "the id of a provider, or department_id in its place"));
    }
    let begins = match wanted.from {
        Moment::Day(day) => day.and_time(NaiveTime::MIN).and_utc(),
        Moment::At(instant) => instant,
    };
    let ends = match wanted.to {
        Moment::Day(day) => day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1),
        Moment::At(instant) => instant,
    };
    if ends <= begins {
        return Err(Problem::parameter("to", "must be later than from"));
    }
    if ends - begins > TimeDelta::days(MOST_DAYS) {
        return Err(Problem::parameter("to", format!("must be at most {MOST_DAYS} days after from")));
    }
    Ok(wanted)
}
