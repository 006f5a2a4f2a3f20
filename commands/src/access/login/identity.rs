//! The proof of who a user is that some commands need beside a session, which somebody else may have got hold of.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_domain::user::User;
use hims_domain::values::Text;
use hims_domain::{Aggregate as _, Personal, SessionId, UserId, access, described};

use super::opening::at_login;
use super::{Login, LoginFailure, OneTimeCode, second_factor};
use crate::access::password;
use crate::session::ConfirmIdentity;
use crate::{Caller, Command as _, Failure, Password, Refused, Request};

/// For how long a login, or another proof, is a proof of who the user is.
pub(super) const CONFIRMED_FOR: Duration = Duration::from_mins(10);

described! {
    /// Proves again who the caller is.
    pub struct Proof {
        /// The password of the caller.
        pub password: Password,
        /// A code of the caller's second factor, or a recovery code; must be given if there is one.
        pub code: Option<OneTimeCode>,
    }
}

impl Login {
    /// Records that somebody failed to prove who they are.
    pub(super) async fn record_failure(
        &self,
        command: &'static str,
        user_id: Option<UserId>,
        code: &'static str,
        caller: Caller,
    ) {
        let (command_name, code) = (command.to_owned(), code.to_owned());
        let failed = access::Event::LoginFailed { command: command_name, user_id, code };
        self.executor.record_attempt(command, &Request::of(caller), &failed, None, None).await;
    }

    /// Proves again who a caller is. Returns until when that is a proof.
    ///
    /// # Errors
    /// When the password is not the caller's, or the code of the second factor is missing or wrong.
    pub async fn confirm_identity(&self, proof: Proof, caller: Caller) -> Result<DateTime<Utc>, LoginFailure> {
        let missing = || Failure::from(Refused::missing(User::STREAM));
        let (id, session) = caller.user_id().zip(caller.session_id).ok_or_else(missing)?;
        let user = self.executor.load::<User>(id.0, true).await?.state.ok_or_else(missing)?;
        let hash = user.password_hash.as_ref().and_then(Personal::known).cloned().unwrap_or_default();
        if !password::matches(&proof.password, &hash).await.ok_or(Failure::Overloaded)? {
            self.record_failure(ConfirmIdentity::NAME, Some(id), "wrong-password", caller).await;
            return Err(LoginFailure::Wrong);
        }
        let login = at_login(caller.origin());
        self.check_code((id, &user), proof.code.as_ref(), ConfirmIdentity::NAME, &login).await?;
        let identity_confirmed_until = self.executor.now() + CONFIRMED_FOR;
        let command = ConfirmIdentity {
            session_id: SessionId(session),
            compared_with: Text(hash),
            code: proof.code,
            identity_confirmed_until,
        };
        let confirmed = self.executor.execute(command, Request::of(caller)).await.map_err(second_factor::failure);
        if let Err(LoginFailure::WrongCode) = confirmed {
            self.refuse_code(id, ConfirmIdentity::NAME, &login).await;
        }
        confirmed.map(|_| identity_confirmed_until)
    }
}
