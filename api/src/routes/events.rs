use std::time::Duration;

use actix_web::http::header::ContentEncoding;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use futures::stream;
use hims_domain::patient::Patient;
use hims_domain::permission::Read;
use hims_domain::{Aggregate as _, DomainEvent};
use hims_event_store::{Actor, Position, Recorded, Wanted, chain, reveal};
use hims_projections::query;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::Reading;
use super::caller::LoggedIn;
use super::limits::{Limits, OpenStream};
use super::parameters::Parameters;
use super::position::Freshness;
use crate::Hospital;
use crate::problem::Problem;

/// How many events a page has if the request does not say, and at most.
const LIMIT: (i64, i64) = (100, 5_000);
/// How often an event stream without new events sends a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The sign of life: a comment of server-sent events, which clients ignore.
const STILL_HERE: &str = ": still here\n\n";

/// Which events a request asks for.
#[derive(Debug)]
struct Filters {
    after: Option<Position>,
    stream_id: Option<Uuid>,
    stream_type: Option<String>,
    event_type: Option<String>,
    patient_id: Option<Uuid>,
    actor_id: Option<Uuid>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

impl Filters {
    fn take(parameters: &mut Parameters) -> Result<Self, Problem> {
        let uuid = |text: &str| Uuid::try_parse(text).ok();
        let one_of = |codes: &[&str]| format!("one of {}", codes.join(", "));
        let (streams, types) = (DomainEvent::STREAMS, DomainEvent::types());
        Ok(Self {
            after: parameters.take("after", "a position", |it| it.parse().ok())?,
            stream_id: parameters.take("stream_id", "a UUID", uuid)?,
            // A stream type may be written with `-`, as in routes and commands, or with `_`, as in events.
            stream_type: parameters.take("stream_type", &one_of(streams), |it| {
                Some(it.replace('-', "_")).filter(|it| streams.contains(&it.as_str()))
            })?,
            event_type: parameters.take("type", &one_of(types), |it| types.contains(&it).then(|| it.to_owned()))?,
            patient_id: parameters.take("patient_id", "a UUID", uuid)?,
            actor_id: parameters.take("actor_id", "a UUID", uuid)?,
            from: parameters.take_instant("from")?,
            to: parameters.take_up_to("to")?,
        })
    }

    /// The filters that the log itself can apply: all except patient and actor.
    fn in_the_log(&self, limit: i64) -> Wanted {
        Wanted {
            after: self.after.unwrap_or_default(),
            limit,
            stream_id: self.stream_id,
            stream_type: self.stream_type.clone(),
            event_type: self.event_type.clone(),
            from: self.from,
            to: self.to,
            positions: None,
        }
    }

    /// Whether an event is about the patient and caused by the actor, where the filters name them.
    fn is_about(&self, event: &Recorded) -> bool {
        if self.patient_id.is_none() && self.actor_id.is_none() {
            return true;
        }
        event.circumstances().is_ok_and(|circumstances| {
            let subject = circumstances.subject.as_ref();
            let patient = subject.filter(|subject| subject.kind == Patient::STREAM).map(|subject| subject.id);
            let actor = if let Actor::User { id } = circumstances.actor { Some(id) } else { None };
            self.patient_id.is_none_or(|wanted| patient == Some(wanted))
                && self.actor_id.is_none_or(|wanted| actor == Some(wanted))
        })
    }
}

/// Answers a page of events of the log, in order.
pub(super) async fn list(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    let mut parameters = Parameters::of(&request)?;
    let filters = Filters::take(&mut parameters)?;
    let fits = |it: &i64| (1..=LIMIT.1).contains(it);
    let limit = parameters.take("limit", &format!("1 to {}", LIMIT.1), |it| it.parse().ok().filter(fits))?;
    let limit = limit.unwrap_or(LIMIT.0);
    let is_raw = parameters.take("raw", "true or false", |it| it.parse().ok())?.unwrap_or(false);
    parameters.none_left()?;
    authorise(&hospital, &logged_in, filters.patient_id, is_raw).await?;
    let by_audit = filters.patient_id.is_some() || filters.actor_id.is_some();
    Freshness::of(&request)?.wait(&hospital).await?;
    // The position is read before the events, so that a client who continues from the position misses no event.
    let position = match hospital.runner.as_ref().filter(|_| by_audit) {
        Some(runner) => *runner.position.borrow(),
        None => *hospital.store.head().borrow(),
    };
    let events = search(&hospital, &filters, limit).await?;
    let next = events.last().filter(|_| i64::try_from(events.len()) == Ok(limit)).map(|it| it.position);
    let items = match is_raw {
        true => events.iter().map(raw).collect(),
        false => read_as(&hospital, &logged_in, events).await?,
    };
    Ok(HttpResponse::Ok().json(json!({
        "items": items, "next": next.map(|it| it.to_string()), "position": position,
    })))
}

/// Sends the events of the log from a position on, each as soon as it is recorded.
pub(super) async fn follow(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    let mut parameters = Parameters::of(&request)?;
    let wanted = Filters::take(&mut parameters)?;
    parameters.none_left()?;
    authorise(&hospital, &logged_in, wanted.patient_id, false).await?;
    let after = match (request.headers().get("last-event-id"), wanted.after) {
        (Some(last), _) => {
            let position = last.to_str().ok().and_then(|it| it.parse().ok());
            position.ok_or_else(|| Problem::parameter("Last-Event-ID", "must be a position"))?
        }
        (None, Some(after)) => after,
        (None, None) => *hospital.store.head().borrow(),
    };
    let open = limits.streams.open(logged_in.caller.session_id.unwrap_or_default())?;
    let follower = Follower { hospital, logged_in, wanted, after, _open: open };
    let frames = stream::unfold(follower, |mut follower| async {
        match follower.next().await {
            Ok(frame) => Some((Ok::<_, actix_web::Error>(web::Bytes::from(frame?)), follower)),
            Err(problem) => {
                // The client connects again after its last event, and is answered with the problem then.
                tracing::info!(%problem, "an event stream ended");
                None
            }
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-store"))
        // Compression would hold events back.
        .insert_header(ContentEncoding::Identity)
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(frames))
}

/// A client that follows the log: its login, its filters, and the position up to which it has received events.
struct Follower {
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
    wanted: Filters,
    after: Position,
    _open: OpenStream,
}

impl Follower {
    /// The next events, or a sign of life; `None` when the server stops; a problem when the session is over.
    async fn next(&mut self) -> Result<Option<String>, Problem> {
        let (mut head, mut stopping) = (self.hospital.store.head(), self.hospital.stopping.subscribe());
        if *head.borrow_and_update() <= self.after {
            tokio::select! {
                _ = stopping.wait_for(|it| *it) => {}
                // Either something was recorded, or it is time for a sign of life.
                _ = tokio::time::timeout(HEARTBEAT, head.changed()) => {}
            }
        }
        if *stopping.borrow() {
            return Ok(None);
        }
        let caller = &self.logged_in.caller;
        let origin = (caller.ip, caller.user_agent.clone());
        // The session may have ended, or the caller's rights may have changed, since the last round.
        let caller = self.hospital.login.is_still(&self.logged_in.token, origin).await?;
        self.logged_in.caller = caller.ok_or_else(Problem::unauthenticated)?;
        authorise(&self.hospital, &self.logged_in, self.wanted.patient_id, false).await?;
        let mut events = self.hospital.store.read(self.after, 500).await?;
        let Some(last) = events.last().map(|it| it.position) else { return Ok(Some(STILL_HERE.to_owned())) };
        // A row of the read tables decides who may read an event, so wait until the read tables have reached the event.
        if let Some(runner) = self.hospital.runner.as_ref().filter(|_| !self.logged_in.reads(Read::AllData))
            && tokio::time::timeout(HEARTBEAT, runner.reach(last)).await.is_err()
        {
            return Ok(Some(STILL_HERE.to_owned()));
        }
        self.after = last;
        let in_the_log = self.wanted.in_the_log(0);
        events.retain(|it| in_the_log.fits(it) && self.wanted.is_about(it));
        if events.is_empty() {
            return Ok(Some(STILL_HERE.to_owned()));
        }
        let read = read_as(&self.hospital, &self.logged_in, events).await?;
        let frame = |it: &Value| {
            format!("id: {}\nevent: {}\ndata: {it}\n\n", it["position"], it["type"].as_str().unwrap_or_default())
        };
        Ok(Some(read.iter().map(frame).collect()))
    }
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
        let positions = hospital.readers.read(audited).await?;
        let Some(last) = positions.last().copied() else { break };
        after = last;
        let missing = limit - i64::try_from(found.len()).unwrap_or(limit);
        let page = Wanted { positions: Some(positions), limit: missing, ..log.clone() };
        found.extend(hospital.store.search(&page).await?);
    }
    Ok(found)
}

/// Events as the caller may read them. Personal values are opened if the caller may read the row that belongs to the
/// stream. Otherwise an auditor receives the event as it is stored, with sealed values, and any other caller does not
/// receive the event.
async fn read_as(hospital: &Hospital, logged_in: &LoggedIn, events: Vec<Recorded>) -> Result<Vec<Value>, Problem> {
    let mut reading = Reading::new(hospital, logged_in);
    reading.look_up(&events).await?;
    let mut read = Vec::with_capacity(events.len());
    for event in hospital.store.open(events).await? {
        let stored = &event.recorded;
        let opened = if reading.may_read(&stored.stream_type, stored.stream_id).await? {
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
