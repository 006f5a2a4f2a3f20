//! Resets of passwords by e-mail. The link in the e-mail is the only proof of who chooses the new password.

use hims_domain::password_reset::PasswordReset;
use hims_domain::values::LongText;
use hims_domain::{Aggregate as _, UserId, access, described};
use hims_event_store::Vault;
use hims_event_store::chain::hex;
use uuid::Uuid;

use super::{Login, Origin, is_same};
use crate::password_reset::AskForPasswordReset;
use crate::user::CompletePasswordReset;
use crate::{Caller, Command as _, Failure, Kind, NewPassword, Password, Refused, Request};

/// What sets the marks in links apart from other marks that the master key makes.
const SCOPE: &str = "password-resets";
/// What sets the marks of addresses apart, by which requests for addresses that nobody has are told apart.
const ADDRESSES: &str = "password-reset-addresses";

described! {
    /// Asks for an e-mail with a link, with which a new password can be chosen.
    pub struct AskForReset {
        /// The e-mail address with which the user logs in.
        pub email: LongText,
    }

    /// Chooses a new password.
    pub struct ChosenPassword {
        /// The token in the link of the e-mail.
        pub token: Password,
        /// The new password: 12 to 200 characters, none of the common ones, not the e-mail address and not the name.
        pub new_password: NewPassword,
    }
}

/// Why no password was set: the link is none, was used or replaced, or is too old.
fn over() -> Refused {
    Refused::new(Kind::Rule, "reset-over", "the link was used, replaced or is too old; ask for another one")
}

/// The token in the link for a request. It is stored nowhere: nobody but a node of this hospital can make its mark.
pub(crate) fn reset_token(vault: &Vault, user_id: UserId, request_id: Uuid) -> String {
    let mark = hex(&vault.blind(SCOPE, &[user_id.0.as_bytes(), request_id.as_bytes()].map(|it| &it[..]).concat()));
    format!("{}.{}.{mark}", user_id.0.simple(), request_id.simple())
}

impl Login {
    /// Records that somebody asked for a reset. The e-mail follows, if an active user has the address. An address that
    /// nobody has costs the same work and the same events, so that nothing tells which addresses are known.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn ask_for_reset(&self, asked: &AskForReset, origin: Origin) -> Result<(), Failure> {
        let address = asked.email.as_str().trim().to_lowercase();
        let user_id = self.user_with(&address).await?;
        let mark = hex(&self.executor.store().vault().blind(ADDRESSES, address.as_bytes()));
        let stream_id = user_id.map_or_else(|| PasswordReset::stream_of_unknown(&mark), PasswordReset::stream_of);
        let request = Request::of(by_mail(origin));
        self.executor.execute(AskForPasswordReset { stream_id, user_id }, request).await.map(drop)
    }

    /// Gives a user the password that the user chose with the link in an e-mail.
    ///
    /// # Errors
    /// The refusal, when the token is not good any more or the password breaks a rule.
    pub async fn complete_reset(&self, chosen: ChosenPassword, origin: Origin) -> Result<(), Failure> {
        Refused::unless_valid(&chosen)?;
        let caller = by_mail(origin);
        let Some((user_id, request_id)) = self.named_by(chosen.token.text()) else {
            let refused = access::Event::CommandRefused {
                command: CompletePasswordReset::NAME.to_owned(),
                code: over().code.to_owned(),
                stream_type: PasswordReset::STREAM.to_owned(),
                stream_id: Uuid::nil(),
            };
            self.executor.record_attempt(CompletePasswordReset::NAME, &Request::of(caller), &refused, None, None).await;
            return Err(over().into());
        };
        let command = CompletePasswordReset { user_id, request_id, new_password: chosen.new_password };
        self.executor.execute(command, Request::of(caller)).await?;
        self.forget(user_id.0);
        Ok(())
    }

    /// The user and the request that a token names; `None` if no node of this hospital made the token.
    fn named_by(&self, token: &str) -> Option<(UserId, Uuid)> {
        let mut parts = token.split('.').map(Uuid::try_parse);
        let (Ok(user), Ok(request)) = (parts.next()?, parts.next()?) else { return None };
        let right = reset_token(self.executor.store().vault(), UserId(user), request);
        is_same(token.as_bytes(), right.as_bytes()).then_some((UserId(user), request))
    }
}

/// Somebody who reads the mail of a user, or says so.
fn by_mail(origin: Origin) -> Caller {
    Caller::for_request("password-reset", origin)
}
