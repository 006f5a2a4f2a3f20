//! How programs log in: with the id and a secret of a service account (OAuth 2.0, RFC 6749, 4.4).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::role::Permissions;
use hims_domain::user::User;
use hims_domain::{ClientSecretId, Personal, UserId, described};
use hims_event_store::chain::hex;
use secrecy::SecretString;

use super::opening::{at_login, beginning};
use super::{Login, LoginFailure, Origin, digest};
use crate::access::person::permissions;
use crate::machinery::context::new_id;
use crate::session::{Opening, StartServiceSession};
use crate::user::AddClientSecret;
use crate::{Caller, Command as _, Failure, Password, Refused, Request};

/// How long a session of a service account lasts.
const LASTS: Duration = Duration::from_mins(15);
/// For how many days a secret is good, unless the request says otherwise, and at most.
const DAYS: i32 = 365;
/// For how many hours the former secret stays good, unless the request says otherwise, and at most.
const OVERLAP: (i32, i32) = (24, 720);

described! {
    /// Adds a secret to a service account. The last one before stays good for a while, so that the program goes on
    /// working until it has the new one.
    pub struct NewSecret {
        /// For how many days the secret is good: 1 to 365, which is the default.
        pub expires_in_days: Option<i32>,
        /// For how many hours the last secret before stays good: 0 to 720; 24 if left out. Earlier ones end at once.
        pub overlap_hours: Option<i32>,
    }
}

/// A secret of a service account, which is told only here and stored nowhere.
#[derive(Debug, Clone)]
pub struct ClientSecret {
    /// The id of the secret.
    pub secret_id: ClientSecretId,
    /// The secret itself.
    pub secret: SecretString,
    /// Until when the secret is good.
    pub expires_at: DateTime<Utc>,
}

/// A program that wants a token.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    /// The service account.
    pub client_id: UserId,
    /// A secret of the account.
    pub secret: Password,
    /// Of the account's permissions, those that the token is to have; `None` for all of them.
    pub scopes: Option<Permissions>,
}

/// A session of a program.
#[derive(Debug, Clone)]
pub struct ServiceToken {
    /// The bearer token, which is given out only here and stored nowhere.
    pub token: SecretString,
    /// How long the session lasts.
    pub lasts: Duration,
    /// What the session may do.
    pub permissions: Permissions,
}

/// The hash of a secret. The 256 bits of a secret need no salt and no slow function (NIST SP 800-63B, 5.1.2.2).
pub(crate) fn secret_hash(secret: &Password) -> String {
    hex(&digest(secret.text().as_bytes()))
}

/// A number within bounds, or the default.
fn within(given: Option<i32>, (default, least, most): (i32, i32, i32), field: &str) -> Result<i64, Refused> {
    let number = given.unwrap_or(default);
    if (least..=most).contains(&number) {
        return Ok(number.into());
    }
    Err(Refused::field("invalid-fields", field, format!("give a number from {least} to {most}")))
}

impl Login {
    /// Adds a secret to a service account.
    ///
    /// # Errors
    /// The refusal, when the caller may not do that or the user is no service account.
    pub async fn add_client_secret(
        &self,
        user_id: UserId,
        asked: &NewSecret,
        caller: Caller,
    ) -> Result<ClientSecret, Failure> {
        let days = within(asked.expires_in_days, (DAYS, 1, DAYS), "/expires_in_days")?;
        let hours = within(asked.overlap_hours, (OVERLAP.0, 0, OVERLAP.1), "/overlap_hours")?;
        let now = self.executor.now();
        let secret = format!("hims_{:032x}{:032x}", self.executor.entropy(), self.executor.entropy());
        let (secret_id, expires_at) = (new_id(now, self.executor.entropy(), 0).into(), now + TimeDelta::days(days));
        let command = AddClientSecret {
            user_id,
            secret_id,
            client_secret_hash: Personal::Known(secret_hash(&Password::new(&secret))),
            expires_at,
            former_expires_at: now + TimeDelta::hours(hours),
        };
        self.executor.execute(command, Request::of(caller)).await?;
        self.forget(user_id.0);
        Ok(ClientSecret { secret_id, secret: secret.into(), expires_at })
    }

    /// Begins a session of a service account.
    ///
    /// # Errors
    /// When there is no such account, or the secret is wrong or not good any more.
    pub async fn start_service(&self, given: ClientCredentials, origin: Origin) -> Result<ServiceToken, LoginFailure> {
        let ClientCredentials { client_id, secret, scopes } = given;
        let user = self.executor.load::<User>(client_id.0, true).await?.state;
        let (role, all) = match &user {
            Some(user) => permissions(&self.executor, user).await?,
            None => (String::new(), Permissions::default()),
        };
        let (token, opening) = self.opening(self.new_session_id(), client_id);
        let expires_at = self.executor.now() + LASTS;
        let opening = Opening { idle_expires_at: expires_at, absolute_expires_at: expires_at, ..opening };
        let failing = at_login(origin);
        let caller = beginning(&opening, &role, failing.clone());
        let command = StartServiceSession { opening, secret, scopes: scopes.clone() };
        match self.executor.execute_unless_refused(command, Request::of(caller)).await {
            Ok(_) => {
                let permissions = scopes.iter().fold(all, Permissions::narrowed_to);
                Ok(ServiceToken { token, lasts: LASTS, permissions })
            }
            Err(Failure::Refused(refused)) => {
                let known = user.map(|_| client_id);
                self.record_failure(StartServiceSession::NAME, known, refused.code, failing).await;
                let is_wrong = refused.code == "wrong-secret";
                Err(if is_wrong { LoginFailure::Wrong } else { Failure::Refused(refused).into() })
            }
            Err(failure) => Err(failure.into()),
        }
    }
}
