mod changes;
mod failure;
mod identity;
mod open_id;
mod opening;
mod passkeys;
mod reset;
mod second_factor;
mod service;
mod tickets;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_domain::session::Session;
use hims_domain::user::User;
use hims_domain::values::{Email, LongText};
use hims_domain::{SessionId, UserId, described};
use hims_event_store::chain::hex;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tokio::sync::broadcast;
use uuid::Uuid;

use self::changes::Changes;
pub use self::failure::LoginFailure;
pub use self::identity::Proof;
pub use self::open_id::{Identified, OpenIdAttempt, Vouched};
use self::opening::{at_login, beginning, logged_in};
pub use self::passkeys::{AskForChallenge, Challenge, NewPasskey, PasskeyLogin, SignedLogin, SignedProof};
pub(crate) use self::reset::reset_token;
pub use self::reset::{AskForReset, ChosenPassword};
pub use self::second_factor::{Enrolled, Enrolment, FirstCode, SecondFactors};
pub(crate) use self::service::secret_hash;
pub use self::service::{ClientCredentials, ClientSecret, NewSecret, ServiceToken};
pub use self::tickets::{AskForTicket, Ticket, TicketStream};
use super::allowances::Allowances;
use super::caller::Origin;
use super::one_time::OneTimeCode;
use super::passkeys::Passkeys;
use super::password;
use super::person::{caller_of, permissions};
use crate::machinery::execute::Executor;
use crate::session::{EndSession, Ending, RenewSession, StartSession};
use crate::{Caller, Command as _, Failure, Password, Request, scopes};

/// How long a cached session may be outdated when this node has not seen the event that changed the session.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// How many ends of sessions are kept for somebody who waits for events. Whoever misses one looks the session up.
const ENDS: usize = 1_024;

/// How long a session lasts.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// How long a session lasts without being used.
    pub idle: Duration,
    /// How long a session lasts at most, however much it is used.
    pub absolute: Duration,
}

described! {
    /// Logs in with an e-mail address and a password, and with a code if the user has a second factor.
    pub struct Credentials {
        /// The e-mail address of the user.
        pub email: LongText,
        /// The password of the user.
        pub password: Password,
        /// A code of the user's second factor, or a recovery code.
        pub code: Option<OneTimeCode>,
    }
}

/// A session that has begun.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The bearer token, which is given out only here and stored nowhere.
    pub token: SecretString,
    /// When the session ends at the latest, however much it is used.
    pub expires_at: DateTime<Utc>,
    /// The user who logged in.
    pub user_id: UserId,
    /// The e-mail address of the user.
    pub email: String,
    /// The name of the user's primary role.
    pub role: String,
}

/// Begins and ends sessions, and finds the caller to whom a bearer token belongs.
pub struct Login {
    executor: Arc<Executor>,
    limits: SessionLimits,
    second_factors: SecondFactors,
    /// `None` if the pages of the hospital may not use passkeys.
    passkeys: Option<Passkeys>,
    known: moka::future::Cache<String, Known>,
    changes: Changes,
    /// How often the renewal or the end of a session is tried, by session.
    renewals: Allowances<Uuid>,
    /// Tells those who wait for events which sessions end.
    ends: broadcast::Sender<Uuid>,
}

/// A session and its caller, as they were last loaded.
#[derive(Clone)]
struct Known {
    caller: Arc<Caller>,
    session: Session,
    /// Whether the session was renewed if a renewal was due. A look-up for a caller who only waits renews nothing.
    renewed: bool,
    /// The streams that say what the caller may do: the session, the user, the user's roles and department.
    rests_on: Vec<Uuid>,
    /// How many changes there were before the look-up.
    changes: u64,
}

/// Why a session is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// The caller sends a request, which makes the session last longer.
    Request,
    /// The caller only waits for events, perhaps unattended, which does not make the session last longer.
    Waiting,
}

impl Login {
    /// Creates logins that give their commands to an executor.
    pub fn new(executor: Arc<Executor>, limits: SessionLimits) -> Self {
        let known = moka::future::Cache::builder().max_capacity(100_000).time_to_live(KNOWN_FOR).build();
        // A renewal is due when a quarter of the idle time is over. One that fails is tried again soon enough, but not
        // with every request: requests that come together renew a session once.
        let renewals = Allowances::within(limits.idle / 8, 1);
        let second_factors = SecondFactors::default();
        let ends = broadcast::Sender::new(ENDS);
        Self { executor, limits, second_factors, passkeys: None, known, changes: Changes::new(), renewals, ends }
    }

    /// The logins of a hospital that demands second factors of some roles.
    #[must_use]
    pub fn with_second_factors(self, second_factors: SecondFactors) -> Self {
        Self { second_factors, ..self }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// When the address and the password are not those of an active user, or the code of the user's second factor is
    /// missing or wrong. A failed login is recorded, unless only the code is missing.
    pub async fn start(
        &self,
        email: &str,
        password: &Password,
        code: Option<&OneTimeCode>,
        origin: Origin,
    ) -> Result<LoggedIn, LoginFailure> {
        let user = self.find_user(email).await?;
        let hash = user.as_ref().and_then(|(_, it)| it.password_hash.as_ref()?.known().cloned());
        // An unknown user costs a hash too, so that the time of the answer does not tell whether a user exists.
        let right = match &hash {
            Some(hash) => password::matches(password, hash).await,
            None => password::hash(password).await.map(|_| false),
        };
        let right = right.ok_or(Failure::Overloaded)?;
        let caller = at_login(origin);
        match user {
            Some((id, user)) if right && user.is_active => {
                self.check_code((id, &user), code, StartSession::NAME, &caller).await?;
                let begun = self.begin(id, &user, hash.unwrap_or_default(), code.cloned(), caller.clone()).await;
                if let Err(LoginFailure::WrongCode) = begun {
                    self.refuse_code(id, StartSession::NAME, &caller).await;
                }
                begun
            }
            user => {
                let code = match &user {
                    Some((_, user)) if right && !user.is_active => "inactive-user",
                    Some(_) => "wrong-password",
                    None => "unknown-user",
                };
                self.record_failure(StartSession::NAME, user.map(|(id, _)| id), code, caller).await;
                Err(LoginFailure::Wrong)
            }
        }
    }

    async fn begin(
        &self,
        id: UserId,
        user: &User,
        hash: String,
        code: Option<OneTimeCode>,
        caller: Caller,
    ) -> Result<LoggedIn, LoginFailure> {
        let (role, _) = permissions(&self.executor, user).await?;
        let (token, opening) = self.opening(self.new_session_id(), id);
        let command = StartSession { opening: opening.clone(), compared_with: hash, code };
        let by = beginning(&opening, &role, caller);
        self.executor.execute(command, Request::of(by)).await.map_err(second_factor::failure)?;
        Ok(logged_in(token, &opening, user, role))
    }

    /// The caller to whom a token belongs; `None` when there is no open session with the token.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn authenticate(&self, token: &str, origin: Origin) -> Result<Option<Caller>, Failure> {
        self.recognise(&token_hash(token), origin, Use::Request).await
    }

    /// The caller to whom the token with a hash belongs, like [`authenticate`](Self::authenticate), for callers who
    /// only wait for events: the session does not last longer.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn is_still(&self, token_hash: &str, origin: Origin) -> Result<Option<Caller>, Failure> {
        self.recognise(token_hash, origin, Use::Waiting).await
    }

    async fn recognise(&self, hash: &str, origin: Origin, used: Use) -> Result<Option<Caller>, Failure> {
        let known = match self.remembered(hash).await {
            Some(known) if known.renewed || used == Use::Waiting => known,
            _ => {
                let Some(known) = self.look_up(hash, used).await? else { return Ok(None) };
                self.remember(hash.to_owned(), &known).await;
                known
            }
        };
        if !known.session.is_open(self.executor.now()) {
            return Ok(None);
        }
        let (ip, user_agent) = origin;
        Ok(Some(Caller { ip, user_agent, ..(*known.caller).clone() }))
    }

    /// The session in the cache, unless something that it rests on has changed since the session was looked up.
    async fn remembered(&self, hash: &str) -> Option<Known> {
        self.known.get(hash).await.filter(|it| !self.changes.since(it.changes, &it.rests_on))
    }

    /// Puts a session into the cache. A caller who must do something else first, such as to change the password, is not
    /// put there, so that the request after that works at once, on every node.
    async fn remember(&self, hash: String, known: &Known) {
        if known.caller.duty().is_none() {
            self.known.insert(hash, known.clone()).await;
        }
    }

    /// Forgets the cached sessions that rest on a session, a user, a role, a department or a patient, because an event
    /// changed it.
    pub fn forget(&self, stream: Uuid) {
        self.changes.note(stream);
    }

    /// Forgets a session that has ended, and tells those who wait for events in it.
    pub fn note_end(&self, session: Uuid) {
        self.forget(session);
        // Nobody may be waiting.
        let _ = self.ends.send(session);
    }

    /// The sessions that end from now on, as this node learns of them.
    pub fn ends(&self) -> broadcast::Receiver<Uuid> {
        self.ends.subscribe()
    }

    /// Forgets all cached sessions, because events may have been missed.
    pub fn forget_all(&self) {
        self.changes.note_everything();
        self.known.invalidate_all();
    }

    async fn look_up(&self, hash: &str, used: Use) -> Result<Option<Known>, Failure> {
        let changes = self.changes.so_far();
        let Some(id) = self.executor.store().owners(scopes::SESSION_TOKEN, hash).await?.pop() else { return Ok(None) };
        let Some(session) = self.executor.load::<Session>(id, true).await?.state else { return Ok(None) };
        let Some(user) = self.executor.load::<User>(session.user_id.0, true).await?.state else { return Ok(None) };
        if session.ended.is_some() || !user.is_active {
            return Ok(None);
        }
        let who = caller_of(&self.executor, session.user_id, &user).await?;
        let permissions = match &session.scopes {
            Some(scopes) => Arc::new((*who.permissions).clone().narrowed_to(scopes)),
            None => Arc::clone(&who.permissions),
        };
        let must_enrol_second_factor = self.demands_second_factor(&user).await?;
        let caller = Arc::new(Caller { session_id: Some(id), permissions, must_enrol_second_factor, ..who });
        let session = match used {
            Use::Request => self.renew_or_end(id, (*session).clone(), &caller).await,
            Use::Waiting => (*session).clone(),
        };
        let mut rests_on = vec![id, session.user_id.0];
        rests_on.extend(user.role_ids().map(|it| it.0));
        rests_on.extend(user.department_id.map(|it| it.0));
        rests_on.extend(user.patient_id.iter().chain(&caller.patient_id).chain(&caller.duplicates).map(|it| it.0));
        Ok(Some(Known { caller, session, renewed: used == Use::Request, rests_on, changes }))
    }

    /// Renews a session when a quarter of its idle time is over, and records the end of a session that ran out. If the
    /// append fails, a later use of the session tries again, since the caller is known without the event.
    async fn renew_or_end(&self, id: Uuid, session: Session, caller: &Arc<Caller>) -> Session {
        let now = self.executor.now();
        let is_open = session.is_open(now);
        let fresh = chrono::TimeDelta::from_std(self.limits.idle * 3 / 4).unwrap_or_default();
        let is_bounded = session.idle_expires_at >= session.absolute_expires_at;
        if is_open && (is_bounded || session.idle_expires_at - now > fresh) {
            return session;
        }
        let Ok(share) = self.renewals.take(id, now) else { return session };
        share.spend();
        let request = Request::of((**caller).clone().without_duties());
        let (session_id, idle_expires_at) = (SessionId(id), now + self.limits.idle);
        let written = if is_open {
            self.executor.execute(RenewSession { session_id, idle_expires_at }, request).await
        } else {
            let ending = if now >= session.absolute_expires_at { Ending::Expired } else { Ending::Idle };
            self.executor.execute(EndSession { session_id, ending }, request).await
        };
        match written {
            Ok(_) if is_open => Session { idle_expires_at, ..session },
            Ok(_) => session,
            Err(error) => {
                tracing::warn!(%error, "the renewal or the end of a session could not be recorded");
                session
            }
        }
    }

    /// Ends the caller's session, whose token has a hash.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn end(&self, token_hash: &str, caller: Caller) -> Result<(), Failure> {
        if let Some(session) = caller.session_id {
            let command = EndSession { session_id: SessionId(session), ending: Ending::Logout };
            self.executor.execute(command, Request::of(caller.without_duties())).await?;
            // A look-up that has begun before would remember the session otherwise.
            self.forget(session);
        }
        self.known.invalidate(token_hash).await;
        Ok(())
    }

    /// The id of the user who has an e-mail address.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn user_with(&self, email: &str) -> Result<Option<UserId>, Failure> {
        let Ok(email) = Email::parse(email) else { return Ok(None) };
        Ok(self.executor.store().owners(scopes::USER_EMAIL, email.as_str()).await?.pop().map(UserId))
    }

    async fn find_user(&self, email: &str) -> Result<Option<(UserId, Arc<User>)>, Failure> {
        let Some(id) = self.user_with(email).await? else { return Ok(None) };
        Ok(self.executor.load::<User>(id.0, true).await?.state.map(|user| (id, user)))
    }
}

/// The SHA-256 hash of a token in hex, which is stored instead of the token.
pub fn token_hash(token: &str) -> String {
    hex(&digest(token.as_bytes()))
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether what somebody gave is the right thing. The hashes are compared, so that the time of the answer tells nothing
/// of what is right.
fn is_same(given: &[u8], right: &[u8]) -> bool {
    digest(given) == digest(right)
}

#[cfg(test)]
mod tests;
