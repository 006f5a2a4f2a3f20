//! Logins and proofs with passkeys, and new passkeys. Each takes two requests: the first is answered a challenge, the
//! second brings what the browser made of it. No node remembers a challenge, and each is good once, on whichever node.

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::user::{Passkey, User};
use hims_domain::values::{LongText, Name, Text};
use hims_domain::{Aggregate as _, PasskeyId, Personal, SessionId, UserId, access, described};
use hims_event_store::Receipt;
use hims_event_store::chain::hex;
use serde_json::Value;
use uuid::Uuid;

use super::opening::{at_login, beginning, logged_in};
use super::{LoggedIn, Login, LoginFailure, Origin, digest, identity, is_same};
use crate::access::passkeys::{Credential, Fault, Passkeys, Signed};
use crate::machinery::context::new_id;
use crate::session::{ConfirmIdentityByPasskey, StartPasskeySession, UsedPasskey};
use crate::user::{AddPasskey, check_may_add_passkey};
use crate::{Caller, Command as _, Failure, Kind, Refused, Request};

/// How long an attempt may take, from the challenge until the answer of the browser.
const LASTS: TimeDelta = TimeDelta::minutes(5);

described! {
    /// Begins to log in with a passkey.
    pub struct AskForChallenge {
        /// The e-mail address of the user.
        pub email: LongText,
    }

    /// Logs in with a passkey.
    pub struct SignedLogin {
        /// The e-mail address of the user, as when the attempt began.
        pub email: LongText,
        /// The attempt, as its beginning was answered.
        pub attempt: Text<200>,
        /// What the browser made (`PublicKeyCredential.toJSON()`).
        pub credential: Credential,
    }

    /// Proves with a passkey who the caller is.
    pub struct SignedProof {
        /// The attempt, as its beginning was answered.
        pub attempt: Text<200>,
        /// What the browser made (`PublicKeyCredential.toJSON()`).
        pub credential: Credential,
    }

    /// Gives the caller a passkey.
    pub struct NewPasskey {
        /// What the user calls the passkey, such as the device that keeps it.
        pub name: Personal<Name<100>>,
        /// The attempt, as its beginning was answered.
        pub attempt: Text<200>,
        /// What the browser made (`PublicKeyCredential.toJSON()`).
        pub credential: Credential,
    }
}

/// A challenge for a browser.
#[derive(Debug, Clone)]
pub struct Challenge {
    /// What the page sends back together with what the browser made.
    pub attempt: String,
    /// Until when the attempt is good.
    pub expires_at: DateTime<Utc>,
    /// What the page gives to the browser: the options of `navigator.credentials.create` or `.get`, as JSON.
    pub options: Value,
}

/// What a challenge is for. The answer to one for something else is no answer.
#[derive(Clone, Copy)]
enum Purpose {
    LogIn,
    Confirm,
    Make,
}

impl Purpose {
    /// What sets the marks and challenges for the purpose apart from all others that the master key makes.
    fn scopes(self) -> [&'static str; 2] {
        match self {
            Self::LogIn => ["passkey-login-attempts", "passkey-login-challenges"],
            Self::Confirm => ["passkey-proof-attempts", "passkey-proof-challenges"],
            Self::Make => ["new-passkey-attempts", "new-passkey-challenges"],
        }
    }
}

/// An attempt to do something with a passkey. Its challenge follows from its id, its end, whose it is, and the master
/// key.
struct Attempt {
    id: Uuid,
    expires_at: DateTime<Utc>,
    text: String,
    challenge: Vec<u8>,
}

/// The refusal of an attempt that is over.
fn over() -> Refused {
    Refused::new(Kind::Rule, "invalid-attempt", LoginFailure::AttemptOver.to_string())
}

/// The refusal of what a browser made.
fn faulty(fault: Fault) -> Refused {
    Refused::new(Kind::Rule, "invalid-passkey", format!("{fault}; begin again"))
}

/// The user and the session of a caller.
fn in_session(caller: &Caller) -> Result<(UserId, SessionId), Refused> {
    let found = caller.user_id().zip(caller.session_id.map(SessionId));
    found.ok_or_else(|| Refused::missing(User::STREAM))
}

/// An e-mail address as users have it.
fn folded(email: &LongText) -> String {
    email.as_str().trim().to_lowercase()
}

/// The passkeys with which users of a hospital log in.
pub struct PasskeyLogin<'a> {
    login: &'a Login,
    passkeys: &'a Passkeys,
}

impl Login {
    /// The logins of a hospital whose pages may use passkeys.
    #[must_use]
    pub fn with_passkeys(self, passkeys: Option<Passkeys>) -> Self {
        Self { passkeys, ..self }
    }

    /// Logins with passkeys; `None` if the hospital has none.
    pub fn by_passkey(&self) -> Option<PasskeyLogin<'_>> {
        self.passkeys.as_ref().map(|passkeys| PasskeyLogin { login: self, passkeys })
    }

    /// The passkeys of a caller, the oldest first.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn own_passkeys(&self, caller: &Caller) -> Result<Vec<Passkey>, Failure> {
        let Some(id) = caller.user_id() else { return Ok(Vec::new()) };
        let user = self.executor.load::<User>(id.0, true).await?.state;
        Ok(user.map(|it| it.passkeys.clone()).unwrap_or_default())
    }

    /// Whether a user can log in with a passkey.
    pub(super) fn has_passkey(&self, user: &User) -> bool {
        self.passkeys.is_some() && !user.passkeys.is_empty()
    }
}

impl PasskeyLogin<'_> {
    /// The attempt with an id and an end.
    fn attempt(&self, id: Uuid, expires_at: DateTime<Utc>, purpose: Purpose, whose: &[u8]) -> Attempt {
        let until = expires_at.timestamp_millis();
        let covered = [id.as_bytes(), &until.to_be_bytes()[..], whose].concat();
        let vault = self.login.executor.store().vault();
        let [mark, challenge] = purpose.scopes().map(|scope| vault.blind(scope, &covered));
        Attempt { id, expires_at, text: format!("{}.{until}.{}", id.simple(), hex(&mark)), challenge }
    }

    fn begin(&self, purpose: Purpose, whose: &[u8]) -> Attempt {
        let now = self.login.executor.now();
        self.attempt(new_id(now, self.login.executor.entropy(), 0), now + LASTS, purpose, whose)
    }

    /// The attempt that a page names, if a node of this hospital began it for the same person, and it is neither over
    /// nor used.
    async fn resume(&self, text: &Text<200>, purpose: Purpose, whose: &[u8]) -> Result<Option<Attempt>, Failure> {
        let Some(attempt) = self.named_by(text, purpose, whose) else { return Ok(None) };
        let is_used = self.login.executor.store().receipt(attempt.id).await?.is_some();
        Ok(Some(attempt).filter(|_| !is_used))
    }

    /// The attempt that a page names, if a node of this hospital began it for the same person, and it is not over.
    fn named_by(&self, text: &Text<200>, purpose: Purpose, whose: &[u8]) -> Option<Attempt> {
        let mut parts = text.as_str().split('.');
        let id = Uuid::try_parse(parts.next()?).ok()?;
        let expires_at = DateTime::from_timestamp_millis(parts.next()?.parse().ok()?)?;
        let attempt = self.attempt(id, expires_at, purpose, whose);
        let is_ours = is_same(text.as_str().as_bytes(), attempt.text.as_bytes());
        (is_ours && self.login.executor.now() < expires_at).then_some(attempt)
    }

    /// Takes an attempt, which is good once. That it was taken is a receipt in the log, under the id of the attempt.
    async fn take(&self, attempt: &Attempt, user: UserId, version: i32) -> Result<bool, Failure> {
        let receipt = Receipt::new(attempt.id, digest(attempt.text.as_bytes()).to_vec());
        Ok(self.login.executor.store().acknowledge(receipt, user.0, version).await?.is_some())
    }

    /// Begins a login. An address that nobody has, or whose user has no passkey, is answered like one with passkeys.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn ask(&self, asked: &AskForChallenge) -> Result<Challenge, Failure> {
        let address = folded(&asked.email);
        let user = self.login.find_user(&address).await?.filter(|(_, user)| user.is_active);
        let passkeys = user.as_ref().map(|(_, user)| user.passkeys.as_slice()).unwrap_or_default();
        self.challenge(passkeys, self.begin(Purpose::LogIn, address.as_bytes()), &address)
    }

    fn challenge(&self, passkeys: &[Passkey], attempt: Attempt, address: &str) -> Result<Challenge, Failure> {
        let key = self.login.executor.store().vault().blind("made-up-passkeys", &[]);
        let options = self.passkeys.ask_to_sign(passkeys, (&key, address), &attempt.challenge).map_err(faulty)?;
        Ok(Challenge { attempt: attempt.text, expires_at: attempt.expires_at, options })
    }

    /// Begins a session of a user who signed the challenge.
    ///
    /// # Errors
    /// When the attempt is over, or nobody active has the address and signed with one of their passkeys. Each failure
    /// is recorded.
    pub async fn start(&self, given: &SignedLogin, origin: Origin) -> Result<LoggedIn, LoginFailure> {
        let caller = at_login(origin);
        let address = folded(&given.email);
        let found = self.login.find_user(&address).await?;
        let failed = async |code: &'static str| {
            let id = found.as_ref().map(|(id, _)| *id);
            self.login.record_failure(StartPasskeySession::NAME, id, code, caller.clone()).await;
        };
        let Some(attempt) = self.resume(&given.attempt, Purpose::LogIn, address.as_bytes()).await? else {
            failed("invalid-attempt").await;
            return Err(LoginFailure::AttemptOver);
        };
        let Some((id, user)) = found.as_ref().filter(|(_, user)| user.is_active) else {
            failed(if found.is_some() { "inactive-user" } else { "unknown-user" }).await;
            return Err(LoginFailure::WrongPasskey);
        };
        let (id, passkeys) = (*id, user.passkeys.as_slice());
        let signed = match self.passkeys.signed((id, passkeys), &attempt.challenge, &given.credential) {
            Ok(signed) => signed,
            Err(fault) => {
                failed(fault.code()).await;
                return Err(LoginFailure::WrongPasskey);
            }
        };
        // The stream has at least its first version.
        if !self.take(&attempt, id, 1).await? {
            failed("invalid-attempt").await;
            return Err(LoginFailure::AttemptOver);
        }
        self.begin_session((id, user), used(&signed), caller.clone()).await
    }

    /// Begins the session of a user who has signed. That the user or the passkey has changed since the signature was
    /// checked is a failure, too: two copies of a passkey may be used at once, or one passkey twice.
    pub(super) async fn begin_session(
        &self,
        (id, user): (UserId, &User),
        used: UsedPasskey,
        caller: Caller,
    ) -> Result<LoggedIn, LoginFailure> {
        let (role, _) = super::permissions(&self.login.executor, user).await?;
        let (token, opening) = self.login.opening(self.login.new_session_id(), id);
        let command = StartPasskeySession { opening: opening.clone(), used };
        let by = beginning(&opening, &role, caller.clone());
        let begun = self.login.executor.execute_unless_refused(command, Request::of(by)).await;
        if let Err(Failure::Refused(refused)) = &begun {
            self.login.record_failure(StartPasskeySession::NAME, Some(id), refused.code, caller).await;
        }
        begun?;
        Ok(logged_in(token, &opening, user, role))
    }

    /// Begins to prove with a passkey who a caller is.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn ask_for_proof(&self, caller: &Caller) -> Result<Challenge, Failure> {
        let (id, session) = in_session(caller)?;
        let passkeys = self.login.own_passkeys(caller).await?;
        self.challenge(&passkeys, self.begin(Purpose::Confirm, session.0.as_bytes()), &id.to_string())
    }

    /// Proves with a passkey who a caller is. Returns until when that is a proof.
    ///
    /// # Errors
    /// When the attempt is over, or nothing was signed with a passkey of the caller.
    pub async fn confirm_identity(&self, given: &SignedProof, caller: Caller) -> Result<DateTime<Utc>, LoginFailure> {
        let (id, session_id) = in_session(&caller).map_err(Failure::from)?;
        let passkeys = self.login.own_passkeys(&caller).await?;
        let failed = async |code: &'static str| {
            self.login.record_failure(ConfirmIdentityByPasskey::NAME, Some(id), code, caller.clone()).await;
        };
        let Some(attempt) = self.resume(&given.attempt, Purpose::Confirm, session_id.0.as_bytes()).await? else {
            failed("invalid-attempt").await;
            return Err(LoginFailure::AttemptOver);
        };
        let signed = match self.passkeys.signed((id, &passkeys), &attempt.challenge, &given.credential) {
            Ok(signed) => signed,
            Err(fault) => {
                failed(fault.code()).await;
                return Err(LoginFailure::WrongPasskey);
            }
        };
        if !self.take(&attempt, id, 1).await? {
            failed("invalid-attempt").await;
            return Err(LoginFailure::AttemptOver);
        }
        let identity_confirmed_until = self.login.executor.now() + identity::CONFIRMED_FOR;
        let command = ConfirmIdentityByPasskey { session_id, used: used(&signed), identity_confirmed_until };
        self.login.executor.execute(command, Request::of(caller)).await?;
        Ok(identity_confirmed_until)
    }

    /// Begins to give a caller a passkey.
    ///
    /// # Errors
    /// The refusal, when the caller cannot get one or has not proved lately who they are.
    pub async fn ask_to_make(&self, caller: &Caller) -> Result<Challenge, Failure> {
        let (id, session) = in_session(caller)?;
        if let Some(duty) = caller.duty().filter(|it| !it.is_done_by(AddPasskey::NAME)) {
            return Err(Refused::new(Kind::Forbidden, duty.code(), duty.detail()).into());
        }
        self.login.executor.require_identity(caller).await?;
        let user = self.login.executor.load::<User>(id.0, true).await?.state;
        let user = user.ok_or_else(|| Refused::missing(User::STREAM))?;
        check_may_add_passkey(&user)?;
        let attempt = self.begin(Purpose::Make, session.0.as_bytes());
        let options = self.passkeys.ask_to_make((id, &user), &attempt.challenge).map_err(faulty)?;
        Ok(Challenge { attempt: attempt.text, expires_at: attempt.expires_at, options })
    }

    /// Gives a caller the passkey that the caller's browser has made.
    ///
    /// # Errors
    /// The refusal, when the attempt is over, the key does not hold, or the caller cannot get it.
    pub async fn add(&self, given: NewPasskey, caller: Caller) -> Result<PasskeyId, Failure> {
        Refused::unless_valid(&given)?;
        let (id, session) = in_session(&caller)?;
        let user = self.login.executor.load::<User>(id.0, true).await?.state;
        let user = user.ok_or_else(|| Refused::missing(User::STREAM))?;
        let Some(attempt) = self.resume(&given.attempt, Purpose::Make, session.0.as_bytes()).await? else {
            return Err(self.refused(id, over(), caller).await);
        };
        let made = match self.passkeys.made((id, &user), &attempt.challenge, &given.credential) {
            Ok(made) => made,
            Err(fault) => return Err(self.refused(id, faulty(fault), caller).await),
        };
        if !self.take(&attempt, id, 1).await? {
            return Err(self.refused(id, over(), caller).await);
        }
        let passkey_id = PasskeyId(new_id(self.login.executor.now(), self.login.executor.entropy(), 0));
        let (credential_id, credential) = (made.credential_id.into(), made.credential.into());
        let command = AddPasskey { user_id: id, passkey_id, name: given.name, credential_id, credential };
        self.login.executor.execute(command, Request::of(caller)).await?;
        self.login.forget(id.0);
        Ok(passkey_id)
    }

    /// Records that a caller was refused a passkey.
    async fn refused(&self, id: UserId, refused: Refused, caller: Caller) -> Failure {
        let event = access::Event::CommandRefused {
            command: AddPasskey::NAME.to_owned(),
            code: refused.code.to_owned(),
            stream_type: User::STREAM.to_owned(),
            stream_id: id.0,
        };
        self.login.executor.record_attempt(AddPasskey::NAME, &Request::of(caller), &event, None, None).await;
        refused.into()
    }
}

/// What a command is told of a passkey with which a challenge was signed.
fn used(signed: &Signed<'_>) -> UsedPasskey {
    UsedPasskey {
        passkey_id: signed.passkey.passkey_id,
        compared_with: signed.passkey.credential.clone(),
        credential: signed.credential.clone().map(Personal::Known),
    }
}
