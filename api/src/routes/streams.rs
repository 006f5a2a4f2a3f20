use actix_web::{HttpRequest, HttpResponse, web};
use hims_domain::{Aggregate, for_each_aggregate, read_id};
use hims_event_store::{Opened, Position, StoreError, reveal};
use serde_json::{Value, json};

use super::access::{Reading, remove_the_past};
use super::caller::LoggedIn;
use super::evenly::evenly;
use super::incarnation::{Incarnation, incarnation};
use super::parameters::{Parameters, id_of_path};
use super::position::Freshness;
use super::reads::{Asked, Shown, recorded};
use crate::Hospital;
use crate::problem::Problem;

/// Answers the state of an aggregate, as it is now or as it was.
pub(super) async fn state_of(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    path: web::Path<(String, String)>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    let asked = Asked::of("streams", request.query_string()).record(read_id(&path.1));
    let answer = state(&request, &hospital, &path, &logged_in);
    evenly(&logged_in, Box::pin(recorded(&hospital, &logged_in, asked, answer))).await
}

async fn state(
    request: &HttpRequest,
    hospital: &Hospital,
    path: &(String, String),
    logged_in: &LoggedIn,
) -> Result<(HttpResponse, Shown), Problem> {
    logged_in.may_read()?;
    let (stream_type, id) = (&path.0, id_of_path(&path.1)?);
    // A stream type may be written with `-`, as in routes and commands, or with `_`, as in events.
    let stream_type = stream_type.replace('-', "_");
    let mut parameters = Parameters::parse(request)?;
    let version =
        parameters.take("version", "1 or more", |text| text.parse().ok().filter(|number: &i32| *number > 0))?;
    let at = parameters.take_instant("at")?;
    let position = parameters.take("position", "a position", |it| it.parse::<Position>().ok())?;
    let of_position = Incarnation::take(request, &mut parameters)?;
    parameters.none_left()?;
    if usize::from(version.is_some()) + usize::from(at.is_some()) + usize::from(position.is_some()) > 1 {
        return Err(Problem::parameter("version", "give only one of version, at and position"));
    }
    if let Some(position) = position {
        of_position.check(hospital, position).await?;
        let head = hospital.store.current_head().await?;
        if position > head {
            return Err(Problem::parameter(
                "position",
                format!("the log ends at position {head}; choose one up to that"),
            ));
        }
    }
    // A row of the read tables decides who may read the stream, so wait until the tables are as fresh as asked for.
    Freshness::parse(request)?.wait(hospital).await?;
    let mut reading = Reading::new(hospital, logged_in);
    if !reading.may_read(&stream_type, id).await? {
        return Err(Problem::not_found());
    }
    let events = hospital.store.load_rest(id, 0).await?;
    let Some(first) = events.first().filter(|it| it.stream_type == stream_type) else {
        return Err(Problem::not_found());
    };
    let reads_no_past = logged_in.reads_no_past(first);
    if reads_no_past && (version.is_some() || at.is_some() || position.is_some()) {
        return Err(Problem::not_found());
    }
    let past = |event: &hims_event_store::Recorded| {
        version.is_none_or(|version| event.version <= version)
            && at.is_none_or(|at| event.recorded_at <= at)
            && position.is_none_or(|position| event.position <= position)
    };
    let events = hospital.store.open(events.into_iter().filter(past).collect()).await?;
    let Some(last) = events.last().map(|it| it.recorded.clone()) else { return Err(Problem::not_found()) };
    if version.is_some_and(|it| it > last.version) {
        return Err(Problem::not_found());
    }
    let mut state = fold(&stream_type, &events)?.ok_or_else(Problem::not_found)?;
    reveal(&mut state);
    reading.withhold(&stream_type, id, &mut state).await?;
    if reads_no_past {
        remove_the_past(&mut state);
    }
    let mut answer = HttpResponse::Ok();
    answer.insert_header(("ETag", format!("\"{}\"", last.version))).insert_header(incarnation(hospital));
    let shown = Shown::of_events([&last]);
    let answer = answer.json(json!({
        "id": id,
        "stream_type": stream_type,
        "version": last.version,
        "position": last.position,
        "recorded_at": hims_event_store::chain::timestamp(last.recorded_at),
        "state": state,
    }));
    Ok((answer, shown))
}

/// Folds the events of a stream into the state of its aggregate; `None` if no aggregate has this stream type.
fn fold(stream_type: &str, events: &[Opened]) -> Result<Option<Value>, StoreError> {
    macro_rules! fold_if {
        ($aggregate:ty) => {
            if stream_type == <$aggregate as Aggregate>::STREAM {
                let mut state: Option<$aggregate> = None;
                for event in events {
                    state = <$aggregate as Aggregate>::evolve(state, &event.decode()?);
                }
                return Ok(Some(json!(state)));
            }
        };
    }
    for_each_aggregate!(fold_if);
    Ok(None)
}
