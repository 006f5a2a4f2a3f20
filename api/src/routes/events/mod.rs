mod filters;
mod follow;

use actix_web::{HttpRequest, HttpResponse, web};
use hims_domain::Aggregate as _;
use hims_domain::patient::Patient;
use hims_event_store::{Recorded, Wanted, chain, reveal};
use hims_projections::query;
use serde_json::{Value, json};
use uuid::Uuid;

use self::filters::Filters;
use super::access::Reading;
use super::caller::LoggedIn;
use super::evenly::evenly;
use super::incarnation::{self, Incarnation};
use super::parameters::Parameters;
use super::position::Freshness;
use super::reads::{Asked, Shown, recorded};
use crate::Hospital;
use crate::problem::Problem;

pub(crate) use filters::Concerned;
pub(super) use follow::follow;

/// How many events a page has if the request does not say, and at most.
const LIMIT: (i64, i64) = (100, 5_000);
/// Answers a page of events of the log, in order.
pub(super) async fn list(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    let asked = Asked::of("events", request.query_string());
    let answer = page(&request, &hospital, &logged_in);
    evenly(&logged_in, Box::pin(recorded(&hospital, &logged_in, asked, answer))).await
}

async fn page(
    request: &HttpRequest,
    hospital: &Hospital,
    logged_in: &LoggedIn,
) -> Result<(HttpResponse, Shown), Problem> {
    let mut parameters = Parameters::parse(request)?;
    let filters = Filters::take(&mut parameters)?;
    let fits = |it: &i64| (1..=LIMIT.1).contains(it);
    let limit = parameters.take("limit", &format!("1 to {}", LIMIT.1), |it| it.parse().ok().filter(fits))?;
    let limit = limit.unwrap_or(LIMIT.0);
    let is_raw = parameters.take("raw", "true or false", |it| it.parse().ok())?.unwrap_or(false);
    let incarnation = Incarnation::take(request, &mut parameters)?;
    parameters.none_left()?;
    incarnation.check_place((hospital, request), filters.after).await?;
    authorise(hospital, logged_in, filters.patient_id, is_raw).await?;
    if is_raw && filters.stream_id.is_none() {
        // The stored texts of the whole log are an export.
        hospital.executor.require_identity(&logged_in.caller).await?;
    }
    let by_audit = filters.patient_id.is_some() || filters.actor_id.is_some();
    Freshness::parse(request)?.wait(hospital).await?;
    // The position is read before the events, so that a client who continues from the position misses no event.
    let position = match hospital.runner.as_ref().filter(|_| by_audit) {
        Some(runner) => *runner.position.borrow(),
        None => *hospital.store.head().borrow(),
    };
    let events = search(hospital, &filters, limit).await?;
    let next = events.last().filter(|_| i64::try_from(events.len()) == Ok(limit)).map(|it| it.position);
    let events = Reading::new(hospital, logged_in).open_events(events).await?;
    let shown = Shown::of_events(&events);
    let items = match is_raw {
        true => events.iter().map(raw).collect(),
        false => read_as(hospital, logged_in, events).await?,
    };
    let page = json!({"items": items, "next": next.map(|it| it.to_string()), "position": position});
    Ok((HttpResponse::Ok().insert_header(incarnation::incarnation(hospital)).json(page), shown))
}

/// Auditors may read every event. Other callers may read the events of a patient whom they may read, but no stored
/// texts.
async fn authorise(
    hospital: &Hospital,
    logged_in: &LoggedIn,
    patient_id: Option<Uuid>,
    raw: bool,
) -> Result<(), Problem> {
    logged_in.may_read()?;
    if logged_in.is_auditor() {
        return Ok(());
    }
    match patient_id {
        Some(id) if !raw && Reading::new(hospital, logged_in).may_read(Patient::STREAM, id).await? => Ok(()),
        Some(_) => Err(Problem::forbidden("the caller may not read this patient, or not the stored texts (raw)")),
        None => Err(Problem::forbidden(
            "only auditors read the whole log; give the patient_id of a patient whom you may read",
        )),
    }
}

/// How many positions a search takes from the audit log at once, at least. The other filters may leave few of them.
const POSITIONS: i64 = 2_000;

/// Finds events. The log has no index for patients and actors, so their positions come from the audit log.
async fn search(hospital: &Hospital, wanted: &Filters, limit: i64) -> Result<Vec<Recorded>, Problem> {
    let log = wanted.in_the_log(limit);
    if wanted.patient_id.is_none() && wanted.actor_id.is_none() {
        return Ok(hospital.store.search(&log).await?);
    }
    let (mut found, mut after) = (Vec::new(), log.after);
    while i64::try_from(found.len()).unwrap_or(limit) < limit {
        let (patient, actor) = (wanted.patient_id, wanted.actor_id);
        let many = limit.max(POSITIONS);
        let audited = async |db: &mut _| query::audited_positions(db, patient, actor, after, many).await;
        let positions = hospital.readers.read("audit_logs", audited).await?;
        let Some(last) = positions.last().copied() else { break };
        after = last;
        let missing = limit - i64::try_from(found.len()).unwrap_or(limit);
        let page = Wanted { positions: Some(positions), limit: missing, ..log.clone() };
        found.extend(hospital.store.search(&page).await?);
    }
    Ok(found)
}

/// Events that are open to the caller, as the caller may read them. Personal values are opened if the caller may read the
/// row that belongs to the stream. Otherwise an auditor receives the event as it is stored, with sealed values, and any
/// other caller does not receive the event.
async fn read_as(hospital: &Hospital, logged_in: &LoggedIn, events: Vec<Recorded>) -> Result<Vec<Value>, Problem> {
    let mut reading = Reading::new(hospital, logged_in);
    reading.look_up(&events).await?;
    let mut read = Vec::with_capacity(events.len());
    for event in hospital.store.open(events).await? {
        let stored = &event.recorded;
        let is_read =
            !logged_in.reads_no_past(stored) && reading.may_read(&stored.stream_type, stored.stream_id).await?;
        let opened = if is_read {
            let mut data = event.data()?;
            reveal(&mut data);
            reading.withhold(&stored.event_type, stored.stream_id, &mut data).await?;
            Some(data).filter(|it| !it.is_null())
        } else {
            None
        };
        match opened {
            Some(data) => read.push(wire(stored, &data, &reading.circumstances(text(&stored.metadata)))),
            None if logged_in.is_auditor() => read.push(wire(stored, &text(&stored.data), &text(&stored.metadata))),
            None => {}
        }
    }
    Ok(read)
}

fn text(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or(Value::Null)
}

/// An event with its stored texts, so that a client can check the event's hash.
fn raw(event: &Recorded) -> Value {
    wire(event, &Value::from(event.data.as_str()), &Value::from(event.metadata.as_str()))
}

fn wire(event: &Recorded, data: &Value, metadata: &Value) -> Value {
    json!({
        "position": event.position,
        "stream_type": event.stream_type,
        "stream_id": event.stream_id,
        "version": event.version,
        "type": event.event_type,
        "schema_version": event.schema_version,
        "recorded_at": chain::timestamp(event.recorded_at),
        "data": data,
        "metadata": metadata,
        "hash": chain::hex(&event.hash),
    })
}
