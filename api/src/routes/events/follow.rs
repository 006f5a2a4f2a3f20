//! Event streams: server-sent events for clients who follow the log.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use hims_domain::permission::Read;
use hims_event_store::Wanted;
use serde_json::Value;
use uuid::Uuid;

use super::filters::Filters;
use super::{authorise, read_as};
use crate::Hospital;
use crate::feed::Fed;
use crate::problem::Problem;
use crate::routes::access::Reading;
use crate::routes::caller::LoggedIn;
use crate::routes::evenly::evenly;
use crate::routes::following::{self, Followed};
use crate::routes::incarnation::Incarnation;
use crate::routes::limits::Limits;
use crate::routes::reads::{Asked, not_shown};
use crate::routes::tickets::{Admitted, without_ticket};

/// Sends the events of the log from a position on, each as soon as it is recorded.
pub(crate) async fn follow(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    Admitted(logged_in): Admitted,
) -> Result<HttpResponse, Problem> {
    let mut parameters = without_ticket(&request)?;
    let mut wanted = Filters::take(&mut parameters)?;
    let incarnation = Incarnation::take(&request, &mut parameters)?;
    parameters.none_left()?;
    incarnation.check_place((&hospital, &request), wanted.after).await?;
    let after = wanted.after.take();
    let in_the_log = wanted.in_the_log(0);
    let asked = Asked::of("event_stream", request.query_string());
    let authorised = evenly(&logged_in, Box::pin(authorise(&hospital, &logged_in, wanted.patient_id, false))).await;
    if let Err(problem) = authorised {
        return Err(not_shown(&hospital, &logged_in, asked, problem).await);
    }
    following::answer(&request, (hospital, &limits), logged_in, (Filtered { wanted, in_the_log }, asked), after)
}

/// The events that meet the filters of a request.
struct Filtered {
    wanted: Filters,
    /// The filters that can be applied to an event without looking anything up.
    in_the_log: Wanted,
}

impl Followed for Filtered {
    fn patient_id(&self) -> Option<Uuid> {
        self.wanted.patient_id
    }

    fn is_wanted(&self, fed: &Fed) -> bool {
        self.in_the_log.fits(&fed.event) && self.wanted.are_concerned(fed.concerned)
    }

    fn needs_tables(&self, logged_in: &LoggedIn) -> bool {
        !logged_in.reads(Read::AllData)
    }

    async fn authorise(&self, hospital: &Hospital, logged_in: &LoggedIn) -> Result<(), Problem> {
        authorise(hospital, logged_in, self.wanted.patient_id, false).await
    }

    /// What one login is sent with the same filters is made once, however many event streams of the login there are.
    async fn frames(
        &self,
        hospital: &Hospital,
        logged_in: &LoggedIn,
        events: &[Arc<Fed>],
    ) -> Result<Arc<str>, Problem> {
        let positions = [events.first(), events.last()].map(|event| event.map(|it| it.event.position));
        let asked = format!("{:?} {:?} {positions:?} {}", logged_in.identity(), self.wanted, events.len());
        let make = async || {
            self.authorise(hospital, logged_in).await?;
            let events = events.iter().map(|it| it.event.clone()).collect();
            let open = Reading::new(hospital, logged_in).open_events(events).await?;
            let read = read_as(hospital, logged_in, open).await?;
            let frame = |it: &Value| {
                format!("id: {}\nevent: {}\ndata: {it}\n\n", it["position"], it["type"].as_str().unwrap_or_default())
            };
            Ok(read.iter().map(frame).collect::<String>().into())
        };
        hospital.feed.frames.get(asked, make).await
    }
}
