//! Sessions of service accounts, which begin with a secret and last for minutes.

use hims_domain::role::Permissions;
use hims_domain::session::{AuthMethod, Session};
use hims_domain::user::User;
use serde::Deserialize;

use super::{Opening, Refusal, of_user};
use crate::access::secret_hash;
use crate::machinery::command::never_sent;
use crate::{Command, Context, Decision, Found, Password, Permission, Reads, Refused, Target, refuse};

/// How many sessions a service account may have open. Each is loaded when another begins.
const MOST_OPEN: usize = 100;

/// Begins a session of a service account that gave a secret.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StartServiceSession {
    /// The session. It ends at a certain time, whether it is used or not.
    pub(crate) opening: Opening,
    /// The secret.
    pub(crate) secret: Password,
    /// Of the account's permissions, those that the session has; `None` for all of them.
    pub(crate) scopes: Option<Permissions>,
}

never_sent!(StartServiceSession);

impl Command for StartServiceSession {
    const NAME: &'static str = "start-service-session";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Session;

    begins_a_session!();

    fn decide(self, _: Option<&Session>, ctx: &Context<'_>) -> Result<Decision<Session>, Refused> {
        let user = ctx.found.get::<User>(self.opening.user_id).filter(|it| it.is_active);
        let hash = secret_hash(&self.secret);
        let secrets = user.and_then(|it| it.service.as_ref()).map(|it| it.secrets.as_slice()).unwrap_or_default();
        let mut good = secrets.iter().filter(|it| ctx.now < it.expires_at);
        if !good.any(|it| it.client_secret_hash.known() == Some(&hash)) {
            return refuse(Refusal::WrongSecret);
        }
        let open = ctx.found.owners::<Session>(crate::scopes::USER_SESSIONS, self.opening.user_id.to_string());
        if open.filter(|(_, session)| session.is_open(ctx.now)).count() >= MOST_OPEN {
            return refuse(Refusal::TooManyOpen);
        }
        Ok(self.opening.begin((AuthMethod::ClientCredentials, self.scopes), [], ctx))
    }
}
