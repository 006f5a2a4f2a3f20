//! The caller's own notifications, as server-sent events.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use hims_domain::notification::{Channel, Event, Recipient};
use hims_projections::query;
use serde_json::{Value, json};

use super::caller::LoggedIn;
use super::evenly::evenly;
use super::following::{self, Followed};
use super::incarnation::Incarnation;
use super::limits::Limits;
use super::reads::{Asked, not_shown};
use super::tickets::{Admitted, without_ticket};
use crate::Hospital;
use crate::feed::Fed;
use crate::problem::Problem;

/// Sends the notifications to the caller within the program, each as soon as it is recorded.
pub(super) async fn follow(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    Admitted(logged_in): Admitted,
) -> Result<HttpResponse, Problem> {
    let mut parameters = without_ticket(&request)?;
    let after = parameters.take("after", "a position", |it| it.parse().ok())?;
    let incarnation = Incarnation::take(&request, &mut parameters)?;
    parameters.none_left()?;
    incarnation.check_place((&hospital, &request), after).await?;
    let own = Own { user_id: logged_in.caller.user_id().map(|it| it.to_string()) };
    let asked = Asked::of("notification_stream", request.query_string());
    if let Err(problem) = evenly(&logged_in, Box::pin(own.authorise(&hospital, &logged_in))).await {
        return Err(not_shown(&hospital, &logged_in, asked, problem).await);
    }
    following::answer(&request, (hospital, &limits), logged_in, (own, asked), after)
}

/// The notifications to the caller.
struct Own {
    /// The caller, as recipients are named in the stored event.
    user_id: Option<String>,
}

impl Followed for Own {
    /// Who gets a notification is not sealed, so a notification that does not name the caller need not be opened.
    fn is_wanted(&self, fed: &Fed) -> bool {
        let names_caller = || self.user_id.as_ref().is_some_and(|id| fed.event.data.contains(id.as_str()));
        fed.event.event_type == "notification.created" && names_caller()
    }

    /// The event itself names its recipients.
    fn needs_tables(&self, _: &LoggedIn) -> bool {
        false
    }

    async fn authorise(&self, _: &Hospital, logged_in: &LoggedIn) -> Result<(), Problem> {
        logged_in.may_read()
    }

    async fn frames(
        &self,
        hospital: &Hospital,
        logged_in: &LoggedIn,
        events: &[Arc<Fed>],
    ) -> Result<Arc<str>, Problem> {
        self.authorise(hospital, logged_in).await?;
        let user_id = logged_in.caller.user_id();
        let is_own = |it: &Recipient| it.channel == Channel::InApp && it.user_id.is_some() && it.user_id == user_id;
        let mut frames = String::new();
        // Whom a patient forbade to see the records is told nothing of the patient any more.
        let about: Vec<_> = events.iter().filter_map(|it| it.concerned.patient_id).collect();
        let who = logged_in.identity();
        let asked = async |db: &mut _| query::forbidden_among(db, &about, &who).await;
        let forbidden = hospital.readers.read("consents", asked).await?;
        let open = events.iter().filter(|it| it.concerned.patient_id.is_none_or(|id| !forbidden.contains(&id)));
        for opened in hospital.store.open(open.map(|it| it.event.clone()).collect()).await? {
            let stored = &opened.recorded;
            // An event that cannot be read is parked and reported elsewhere.
            let Ok(Event::Created { content, recipients }) = opened.decode::<Event>() else { continue };
            if recipients.iter().any(is_own) {
                let text = |it: Option<&str>| it.map_or(Value::Null, Value::from);
                let told = json!({
                    "id": stored.stream_id,
                    "type": content.r#type,
                    "priority": content.priority,
                    "title": text(content.title.known().map(hims_domain::values::Text::as_str)),
                    "message": text(content.message.known().map(hims_domain::values::Text::as_str)),
                    "action_url": content.action_url,
                    "action_label": content.action_label,
                    "expires_at": content.expires_at,
                    "created_at": stored.recorded_at,
                });
                let id = stored.position;
                frames.extend(["id: ", &id.to_string(), "\nevent: notification\ndata: ", &told.to_string(), "\n\n"]);
            }
        }
        Ok(frames.into())
    }
}
