//! Positions of a history that was taken back. A restored log begins a new incarnation: after the position to which it
//! was restored, the same positions name other events than before.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use hims_event_store::Position;
use uuid::Uuid;

use super::parameters::Parameters;
use crate::Hospital;
use crate::problem::Problem;

/// The header with the incarnation of the log from which a position is; nil as long as the log was never restored.
const INCARNATION: HeaderName = HeaderName::from_static("hims-incarnation");

/// What the text of an incarnation must be.
const RULE: &str = "a UUID, as the header Hims-Incarnation gave it";

fn read(text: &str) -> Option<Uuid> {
    text.trim().parse().ok()
}

/// The header that says from which incarnation of the log the positions of an answer are.
pub(super) fn incarnation(hospital: &Hospital) -> (HeaderName, String) {
    (INCARNATION, hospital.log.incarnation().to_string())
}

/// The incarnation from which a client says that its positions are, if it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Incarnation(Option<Uuid>);

impl Incarnation {
    /// Reads the header `Hims-Incarnation`.
    pub(super) fn parse(request: &HttpRequest) -> Result<Self, Problem> {
        let Some(value) = request.headers().get(INCARNATION) else { return Ok(Self(None)) };
        let incarnation = value.to_str().ok().and_then(read);
        let wrong = || Problem::parameter("Hims-Incarnation", format!("must be {RULE}"));
        incarnation.map(|it| Self(Some(it))).ok_or_else(wrong)
    }

    /// Reads the header, or the parameter `incarnation`: a browser that follows events cannot send headers.
    pub(super) fn take(request: &HttpRequest, parameters: &mut Parameters) -> Result<Self, Problem> {
        let named = parameters.take("incarnation", RULE, read)?;
        Ok(Self(Self::parse(request)?.0.or(named)))
    }

    /// Refuses a position from a history that was taken back. Without an incarnation, that can be told only of a
    /// position that the restored log has not reached.
    pub(super) async fn check(self, hospital: &Hospital, position: Position) -> Result<(), Problem> {
        let Self(incarnation) = self;
        let is_ours = match incarnation {
            Some(incarnation) => return check_position(hospital, incarnation, position),
            None if hospital.log.restores.is_empty() || position <= *hospital.store.head().borrow() => true,
            None => position <= hospital.store.current_head().await?,
        };
        if is_ours { Ok(()) } else { Err(taken_back()) }
    }

    /// Refuses the position after which a client wants to go on, if it is from a history that was taken back.
    pub(super) async fn check_place(
        self,
        (hospital, request): (&Hospital, &HttpRequest),
        after: Option<Position>,
    ) -> Result<(), Problem> {
        let last = request.headers().get("last-event-id").map(HeaderValue::to_str);
        let last = last.and_then(Result::ok).and_then(|it| it.parse().ok());
        match last.or(after) {
            Some(position) => self.check(hospital, position).await,
            None => Ok(()),
        }
    }
}

/// Refuses a position of an incarnation that this log never had, or from the part of it that was taken back.
pub(super) fn check_position(hospital: &Hospital, incarnation: Uuid, position: Position) -> Result<(), Problem> {
    let holds = hospital.log.holds_until(incarnation).is_some_and(|until| position <= until);
    if holds { Ok(()) } else { Err(taken_back()) }
}

fn taken_back() -> Problem {
    let detail = "the log was restored from a backup, and what this position named was taken back; read again from the \
                  beginning, or from a position of the incarnation in Hims-Incarnation";
    Problem::new(StatusCode::CONFLICT, "position-taken-back", detail)
}
