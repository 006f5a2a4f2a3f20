use hims_domain::session::Session;

use super::Executor;
use crate::{Caller, Failure, Kind, Refused};

impl Executor {
    /// Refuses a caller in a session who has not proved lately who they are. Parts of the system have no session.
    ///
    /// # Errors
    /// The refusal, or a failure of the log.
    pub async fn require_identity(&self, caller: &Caller) -> Result<(), Failure> {
        let Some(session) = caller.session_id else { return Ok(()) };
        // The log is asked, so that the command works at once after the proof, on every node.
        let session = self.load::<Session>(session, true).await?.state;
        let now = self.now();
        if session.is_some_and(|it| it.is_open(now) && now < it.identity_confirmed_until) {
            return Ok(());
        }
        let detail = "this needs a proof of who you are that is not older than 10 minutes; give your password with \
                      POST /api/v1/sessions/current/confirm, or use a passkey with POST \
                      /api/v1/sessions/current/confirm/passkey, then repeat the request";
        Err(Refused::new(Kind::Forbidden, "confirm-identity", detail).into())
    }
}
