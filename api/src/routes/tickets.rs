//! Tickets for event streams. `EventSource` in a browser sends no `Authorization`, and a token in an address would stay
//! in histories and logs, so a page asks for a ticket and sends that.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use futures::future::LocalBoxFuture;
use hims_commands::{AskForTicket, Failure, TicketStream};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::body::{self, LARGEST_LOGIN};
use super::caller::LoggedIn;
use super::limits::Limits;
use super::origin::origin;
use super::parameters::Parameters;
use crate::Hospital;
use crate::problem::Problem;

/// The parameter of an event stream that holds a ticket.
pub(super) const PARAMETER: &str = "ticket";

/// Makes a ticket for an event stream.
pub(super) async fn issue(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    let (user, now) = (logged_in.caller.whose_share(), hospital.executor.now());
    limits.refusals.check(user, now)?;
    logged_in.may_read().inspect_err(|_| limits.refusals.spend(user, now))?;
    let body = body::json(&request, body, LARGEST_LOGIN).await?;
    let asked: AskForTicket = hims_commands::read(body).map_err(Failure::Malformed)?;
    let session = logged_in.caller.session_id.ok_or_else(Problem::unauthenticated)?;
    let ticket = hospital.login.ticket(session, asked.stream);
    Ok(HttpResponse::Created().json(json!({"ticket": ticket.text.expose_secret(), "expires_at": ticket.expires_at})))
}

/// The caller who follows an event stream, found by the ticket in the address, or else by the bearer token. A handler
/// of an event stream takes this extractor to know the caller, and [`without_ticket`] to read the parameters.
pub(super) struct Admitted(pub(super) LoggedIn);

impl FromRequest for Admitted {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let ticket = Parameters::parse(request).and_then(|mut it| take(&mut it));
        // Parameters that cannot be read are told only to somebody who is known.
        let Ok(Some(ticket)) = ticket else {
            let by_token = LoggedIn::from_request(request, payload);
            return Box::pin(async move { by_token.await.map(Self) });
        };
        let hospital = request.app_data::<web::Data<Hospital>>().cloned();
        let (stream, origin) = (stream_of(request), origin(request));
        Box::pin(async move {
            let Some(hospital) = hospital else { return Err(Problem::unauthenticated()) };
            let admitted = hospital.login.admit(&ticket, stream, origin).await?;
            let (caller, token_hash) = admitted.ok_or_else(Problem::no_ticket)?;
            Ok(Self(LoggedIn::known(caller, token_hash)))
        })
    }
}

fn take(parameters: &mut Parameters) -> Result<Option<String>, Problem> {
    parameters.take(PARAMETER, "a ticket", |it| Some(it.to_owned()))
}

fn stream_of(request: &HttpRequest) -> TicketStream {
    // The path as routes see it, without encoded letters.
    if request.match_info().as_str().ends_with("/notifications/stream") {
        TicketStream::Notifications
    } else {
        TicketStream::Events
    }
}

/// The parameters of an event stream, but for the ticket.
pub(super) fn without_ticket(request: &HttpRequest) -> Result<Parameters, Problem> {
    let mut parameters = Parameters::parse(request)?;
    take(&mut parameters)?;
    Ok(parameters)
}
