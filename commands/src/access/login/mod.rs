use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use hims_domain::department::Department;
use hims_domain::role::{Permissions, Role};
use hims_domain::session::Session;
use hims_domain::user::User;
use hims_domain::values::{Email, LongText, Text};
use hims_domain::{SessionId, UserId, access, described};
use hims_event_store::Actor;
use hims_event_store::chain::hex;
use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

use super::password;
use crate::machinery::execute::Executor;
use crate::session::{EndSession, Ending, RenewSession, StartSession};
use crate::{Caller, Password, scopes};
use crate::{Failure, Request};

/// How long what is known of a session may be outdated where no event told of the change.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// How long sessions last.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Unused.
    pub idle: Duration,
    /// However much used.
    pub absolute: Duration,
}

described! {
    /// Logs in.
    pub struct Credentials {
        /// The login.
        pub email: LongText,
        /// Its password.
        pub password: Password,
    }
}

/// A session that has begun.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The bearer token; shown once, stored nowhere.
    pub token: String,
    /// When the session ends however much it is used.
    pub expires_at: DateTime<Utc>,
    /// Who logged in.
    pub user_id: UserId,
    /// Their login.
    pub email: String,
    /// Their primary role.
    pub role: String,
}

/// Why nobody was logged in.
#[derive(Debug, Clone, Error)]
pub enum LoginFailure {
    /// The address or the password is wrong, or the user is not active. Which of them is nobody's business.
    #[error("the e-mail address or the password is wrong")]
    Wrong,
    /// The log did not answer.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Begins sessions, and tells who a token belongs to.
pub struct Login {
    executor: Arc<Executor>,
    limits: SessionLimits,
    known: moka::future::Cache<String, Known>,
}

#[derive(Clone)]
struct Known {
    caller: Arc<Caller>,
    session: Session,
}

/// What a session is looked up for.
#[derive(Clone, Copy)]
enum Use {
    /// Somebody asks for something: the session lasts longer.
    Request,
    /// Somebody waits for news, or has forgotten that they do.
    Waiting,
}

/// Where a request came from.
type Origin = (Option<IpAddr>, Option<String>);

impl Login {
    /// Logins over an executor.
    pub fn new(executor: Arc<Executor>, limits: SessionLimits) -> Self {
        let known = moka::future::Cache::builder().max_capacity(100_000).time_to_live(KNOWN_FOR).build();
        Self { executor, limits, known }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// When address and password are not those of an active user; that is recorded.
    pub async fn start(&self, email: &str, password: &Password, origin: Origin) -> Result<LoggedIn, LoginFailure> {
        let user = self.find_user(email).await?;
        let hash = user.as_ref().and_then(|(_, it)| it.password_hash.as_ref()?.known().cloned());
        // Somebody without a password takes as long as somebody with one, so that time does not tell who exists.
        let right = match &hash {
            Some(hash) => password::matches(password, hash).await,
            None => password::hash(password).await.map(|_| false),
        };
        let right = right.ok_or(Failure::Overloaded)?;
        let mut caller = Caller::system("login");
        (caller.ip, caller.user_agent) = origin;
        match user {
            Some((id, user)) if right && user.is_active => {
                self.begin(id, &user, hash.unwrap_or_default(), caller).await
            }
            user => {
                let code = match &user {
                    Some((_, user)) if right && !user.is_active => "inactive-user",
                    Some(_) => "wrong-password",
                    None => "unknown-user",
                };
                let failed = access::Event::LoginFailed { user_id: user.map(|(id, _)| id), code: code.to_owned() };
                self.executor.record_attempt("start-session", &Request::of(caller), &failed, None).await;
                Err(LoginFailure::Wrong)
            }
        }
    }

    async fn begin(&self, id: UserId, user: &User, hash: String, mut caller: Caller) -> Result<LoggedIn, LoginFailure> {
        let now = self.executor.now();
        let token = format!("{:032x}{:032x}", self.executor.entropy(), self.executor.entropy());
        let session_id = SessionId(crate::machinery::context::new_id(now, self.executor.entropy(), 0));
        let (role, _) = self.permissions(user).await?;
        caller.actor = Actor::User { id: id.0 };
        caller.role = Some(role.clone());
        caller.session_id = Some(session_id.0);
        let command = StartSession {
            id: session_id,
            user_id: id,
            compared_with: Text(hash),
            token_hash: Text(token_hash(&token)),
            idle_expires_at: now + self.limits.idle,
            absolute_expires_at: now + self.limits.absolute,
        };
        self.executor.execute(command, Request::of(caller)).await?;
        let email = user.email.known().map(|it| it.as_str().to_owned()).unwrap_or_default();
        Ok(LoggedIn { token, expires_at: now + self.limits.absolute, user_id: id, email, role })
    }

    /// Who a token belongs to; `None` when its session is over or never was.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn authenticate(&self, token: &str, origin: Origin) -> Result<Option<Caller>, Failure> {
        self.recognise(token, origin, Use::Request).await
    }

    /// As [`authenticate`](Self::authenticate), for somebody who only waits for news: that does not make the session
    /// last longer.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn is_still(&self, token: &str, origin: Origin) -> Result<Option<Caller>, Failure> {
        self.recognise(token, origin, Use::Waiting).await
    }

    async fn recognise(&self, token: &str, origin: Origin, used: Use) -> Result<Option<Caller>, Failure> {
        let hash = token_hash(token);
        let known = match self.known.get(&hash).await {
            Some(known) => known,
            None => match self.look_up(&hash, used).await? {
                Some(known) => {
                    self.known.insert(hash, known.clone()).await;
                    known
                }
                None => return Ok(None),
            },
        };
        if !known.session.is_open(self.executor.now()) {
            return Ok(None);
        }
        let (ip, user_agent) = origin;
        Ok(Some(Caller { ip, user_agent, ..(*known.caller).clone() }))
    }

    /// Forgets what is known of sessions, since an event changed a session, a user or a role.
    pub fn forget(&self) {
        self.known.invalidate_all();
    }

    async fn look_up(&self, hash: &str, used: Use) -> Result<Option<Known>, Failure> {
        let Some(id) = self.executor.store().owners(scopes::SESSION_TOKEN, hash).await?.pop() else { return Ok(None) };
        let Some(session) = self.executor.load::<Session>(id, true).await?.state else { return Ok(None) };
        let Some(user) = self.executor.load::<User>(session.user_id.0, true).await?.state else { return Ok(None) };
        if session.ended.is_some() || !user.is_active {
            return Ok(None);
        }
        let (role, permissions) = self.permissions(&user).await?;
        let time_zone = self.time_zone(&user).await?;
        let caller = Arc::new(Caller {
            actor: Actor::User { id: session.user_id.0 },
            role: Some(role),
            permissions: Arc::new(permissions),
            is_system: false,
            session_id: Some(id),
            patient_id: user.patient_id,
            department_id: user.department_id,
            time_zone,
            must_change_password: user.must_change_password,
            ip: None,
            user_agent: None,
        });
        let session = match used {
            Use::Request => self.renew_or_end(id, (*session).clone(), &caller).await,
            Use::Waiting => (*session).clone(),
        };
        Ok(Some(Known { caller, session }))
    }

    /// Lets a session last longer when a quarter of its idle time is over; records the end of one that ran out. Where
    /// that cannot be written, the next use tries again: who asks is known without it.
    async fn renew_or_end(&self, id: Uuid, session: Session, caller: &Arc<Caller>) -> Session {
        let now = self.executor.now();
        let is_open = session.is_open(now);
        let fresh = chrono::TimeDelta::from_std(self.limits.idle * 3 / 4).unwrap_or_default();
        if is_open && session.idle_expires_at - now > fresh {
            return session;
        }
        // Neither waits until a password is changed.
        let request = Request::of(Caller { must_change_password: false, ..(**caller).clone() });
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
                tracing::warn!(%error, "a session was neither renewed nor ended");
                session
            }
        }
    }

    /// Ends the caller's session.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn end(&self, token: &str, mut caller: Caller) -> Result<(), Failure> {
        if let Some(session) = caller.session_id {
            caller.must_change_password = false;
            let command = EndSession { session_id: SessionId(session), ending: Ending::Logout };
            self.executor.execute(command, Request::of(caller)).await?;
        }
        self.known.invalidate(&token_hash(token)).await;
        Ok(())
    }

    async fn find_user(&self, email: &str) -> Result<Option<(UserId, Arc<User>)>, Failure> {
        let Ok(email) = Email::parse(email) else { return Ok(None) };
        let Some(id) = self.executor.store().owners(scopes::USER_EMAIL, email.as_str()).await?.pop() else {
            return Ok(None);
        };
        Ok(self.executor.load::<User>(id, true).await?.state.map(|user| (UserId(id), user)))
    }

    /// That of the user's department; UTC for whoever works in none.
    async fn time_zone(&self, user: &User) -> Result<Tz, Failure> {
        let Some(id) = user.department_id else { return Ok(Tz::UTC) };
        let department = self.executor.load::<Department>(id.0, true).await?.state;
        Ok(department.and_then(|it| it.details.time_zone.as_str().parse().ok()).unwrap_or(Tz::UTC))
    }

    /// The name of the primary role, and what all roles together allow.
    async fn permissions(&self, user: &User) -> Result<(String, Permissions), Failure> {
        let mut name = String::new();
        let mut all = Permissions::default();
        for id in user.role_ids() {
            let Some(role) = self.executor.load::<Role>(id.0, true).await?.state else { continue };
            if name.is_empty() {
                role.definition.name.as_str().clone_into(&mut name);
            }
            all = all.with(&role.definition.permissions);
        }
        Ok((name, all))
    }
}

/// SHA-256 of a token, in hex: all that is stored of it.
fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests;
