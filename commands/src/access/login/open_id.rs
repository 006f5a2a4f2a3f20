//! Logins at an OpenID provider: what a node remembers of an attempt, which is nothing, and for whom the provider
//! vouches.

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::role::Role;
use hims_domain::user::{ExternalIdentity, User};
use hims_domain::{RoleId, SessionId, UserId, described};
use hims_event_store::chain::hex;
use uuid::Uuid;

use super::opening::{at_login, beginning, logged_in};
use super::{LoggedIn, Login, LoginFailure, Origin, identity, is_same, second_factor};
use crate::access::one_time::OneTimeCode;
use crate::machinery::context::new_id;
use crate::session::{Opening, StartOpenIdSession};
use crate::user::LinkOwnIdentity;
use crate::{Caller, Command as _, Failure, Refused, Request, scopes};

/// How long an attempt may take, from its beginning until the provider has sent the user back.
const LASTS: TimeDelta = TimeDelta::minutes(10);

described! {
    /// Ends a login at the OpenID provider, with what the provider added to the address of the page.
    pub struct Vouched {
        /// The `code` in the address.
        pub code: hims_domain::values::LongText,
        /// The `state` in the address, which must be that of the attempt.
        pub state: hims_domain::values::LongText,
        /// The `binding` with which the attempt began, which only the browser knows that began it.
        pub binding: hims_domain::values::LongText,
        /// A code of the user's second factor, or a recovery code, if the user has a second factor here.
        pub second_factor: Option<OneTimeCode>,
    }
}

/// An attempt to log in at the provider. Everything in it follows from its id and the master key, so that no node has to
/// remember it.
#[derive(Clone)]
pub struct OpenIdAttempt {
    id: Uuid,
    /// Until when the attempt may end in a session.
    pub expires_at: DateTime<Utc>,
    /// What the provider sends back with the user.
    pub state: String,
    /// What the browser keeps that began the attempt, so that nobody else's attempt is ended in it.
    pub binding: String,
    /// What the provider writes into its word for the user, so that an old one is not taken for a new one.
    pub nonce: String,
    /// What proves to the provider that the one who began the attempt also ends it (PKCE, RFC 7636).
    pub verifier: String,
}

/// Somebody for whom the provider vouches.
#[derive(Debug, Clone)]
pub struct Identified {
    /// The identity at the provider.
    pub identity: ExternalIdentity,
    /// When the person proved to the provider who they are.
    pub authenticated_at: DateTime<Utc>,
    /// The names of the roles that follow from what the provider says; `None` if it says nothing of roles.
    pub roles: Option<Vec<String>>,
}

impl Login {
    /// Begins an attempt.
    pub fn begin_open_id(&self) -> OpenIdAttempt {
        let now = self.executor.now();
        self.attempt(new_id(now, self.executor.entropy(), 0), now + LASTS)
    }

    /// An attempt that is still good, by what the browser and the provider sent back.
    pub fn resume_open_id(&self, vouched: &Vouched) -> Option<OpenIdAttempt> {
        let (id, rest) = vouched.state.as_str().split_once('.')?;
        let (until, _) = rest.split_once('.')?;
        let expires_at = DateTime::from_timestamp_millis(until.parse().ok()?)?;
        let attempt = self.attempt(Uuid::try_parse(id).ok()?, expires_at);
        let is_ours = is_same(vouched.state.as_str().as_bytes(), attempt.state.as_bytes())
            && is_same(vouched.binding.as_str().as_bytes(), attempt.binding.as_bytes());
        (is_ours && self.executor.now() < expires_at).then_some(attempt)
    }

    fn attempt(&self, id: Uuid, expires_at: DateTime<Utc>) -> OpenIdAttempt {
        let until = expires_at.timestamp_millis();
        let of = |what: &str| {
            let covered = [id.as_bytes(), &until.to_be_bytes()[..]].concat();
            hex(&self.executor.store().vault().blind(what, &covered))
        };
        OpenIdAttempt {
            id,
            expires_at,
            state: format!("{}.{until}.{}", id.simple(), of("openid-state")),
            binding: of("openid-binding"),
            nonce: of("openid-nonce"),
            verifier: of("openid-verifier"),
        }
    }

    /// Begins a session of the user who is linked to an identity. An attempt begins one session.
    ///
    /// # Errors
    /// When nobody is linked to the identity, no role follows from what the provider says, or the code of the user's
    /// second factor is missing or wrong. The failure is recorded, unless only the code is missing.
    pub async fn start_open_id(
        &self,
        attempt: &OpenIdAttempt,
        who: Identified,
        code: Option<OneTimeCode>,
        origin: Origin,
    ) -> Result<LoggedIn, LoginFailure> {
        let caller = at_login(origin);
        let found = self.linked_to(&who.identity).await?;
        let failed = async |user: Option<UserId>, code: &'static str| {
            self.record_failure(StartOpenIdSession::NAME, user, code, caller.clone()).await;
        };
        let Some((id, user)) = found.filter(|(_, user)| user.is_active) else {
            failed(None, "not-linked").await;
            return Err(LoginFailure::NotLinked);
        };
        let roles = self.roles_named(who.roles.as_deref()).await?;
        if roles.as_ref().is_some_and(Vec::is_empty) {
            failed(Some(id), "no-role").await;
            return Err(LoginFailure::NoRole);
        }
        self.check_code((id, &user), code.as_ref(), StartOpenIdSession::NAME, &caller).await?;
        let (role, roles) = match roles {
            // The name of the primary role that the user has from now on.
            Some(named) => (named[0].1.clone(), Some(named.into_iter().map(|(id, _)| id).collect())),
            None => (super::permissions(&self.executor, &user).await?.0, None),
        };
        let (token, opening) = self.opening(SessionId(attempt.id), id);
        let confirmed_for = TimeDelta::from_std(identity::CONFIRMED_FOR).unwrap_or_default();
        let identity_confirmed_until = who.authenticated_at.min(self.executor.now()) + confirmed_for;
        let opening = Opening { identity_confirmed_until, ..opening };
        let command = StartOpenIdSession { opening: opening.clone(), identity: who.identity, roles, code };
        let by = beginning(&opening, &role, caller.clone());
        let begun = self.executor.execute(command, Request::of(by)).await.map_err(second_factor::failure);
        if let Err(LoginFailure::WrongCode) = begun {
            self.refuse_code(id, StartOpenIdSession::NAME, &caller).await;
        }
        begun?;
        self.forget(id.0);
        Ok(logged_in(token, &opening, &user, role))
    }

    /// Links a caller to an identity for which the provider vouches.
    ///
    /// # Errors
    /// The refusal, when somebody else is linked to the identity or the caller has not proved lately who they are.
    pub async fn link_open_id(&self, who: Identified, caller: Caller) -> Result<(), Failure> {
        let user_id = caller.user_id().ok_or_else(|| Refused::missing("user"))?;
        let command = LinkOwnIdentity { user_id, identity: who.identity };
        self.executor.execute(command, Request::of(caller)).await?;
        self.forget(user_id.0);
        Ok(())
    }

    /// The user who is linked to an identity.
    async fn linked_to(&self, identity: &ExternalIdentity) -> Result<Option<(UserId, std::sync::Arc<User>)>, Failure> {
        let Some(key) = identity.key() else { return Ok(None) };
        let owner = self.executor.store().owners(scopes::USER_IDENTITY, &scopes::key(&key)).await?.pop();
        let Some(id) = owner else { return Ok(None) };
        Ok(self.executor.load::<User>(id, true).await?.state.map(|user| (UserId(id), user)))
    }

    /// The roles with these names, by id and name, in their order. Names that no role has are left out.
    async fn roles_named(&self, names: Option<&[String]>) -> Result<Option<Vec<(RoleId, String)>>, Failure> {
        let Some(names) = names else { return Ok(None) };
        let mut roles: Vec<(RoleId, String)> = Vec::new();
        for name in names {
            let owner = self.executor.store().owners(scopes::ROLE_NAME, name).await?.pop();
            if let Some(id) = owner.filter(|id| roles.iter().all(|(known, _)| known.0 != *id))
                && let Some(role) = self.executor.load::<Role>(id, false).await?.state
            {
                roles.push((RoleId(id), role.definition.name.as_str().to_owned()));
            }
        }
        Ok(Some(roles))
    }
}
