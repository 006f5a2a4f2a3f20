//! Second factors: who must have one, how a user gets one, and what a wrong code leads to.

use std::collections::BTreeSet;

use hims_domain::role::Role;
use hims_domain::user::User;
use hims_domain::{Aggregate as _, Personal, UserId, described};
use secrecy::SecretString;

use super::opening::at_login;
use super::{Login, LoginFailure};
use crate::access::one_time::{
    self, MOST_WRONG_CODES, OneTimeCode, RECOVERY_CODES, new_recovery_code, new_secret, recovery_code_hash,
};
use crate::user::{ConfirmSecondFactor, EnrolSecondFactor, RefuseCode};
use crate::{Caller, Failure, Password, Refused, Request};

/// What a hospital demands of second factors.
#[derive(Debug, Clone)]
pub struct SecondFactors {
    /// The names of the roles whose users must have a second factor.
    pub roles: BTreeSet<String>,
    /// The name of the hospital, under which programs for one-time codes list the second factor.
    pub issuer: String,
}

impl Default for SecondFactors {
    /// No role demands a second factor.
    fn default() -> Self {
        Self { roles: BTreeSet::new(), issuer: "AROCORD-HIMS".to_owned() }
    }
}

described! {
    /// Begins to give the caller a second factor.
    pub struct Enrolment {
        /// The current password.
        pub current_password: Password,
    }

    /// Confirms the second factor of the caller.
    pub struct FirstCode {
        /// A code of the second factor.
        pub code: OneTimeCode,
    }
}

/// What a user is told once of a new second factor.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The secret in base 32, to be typed into a program for one-time codes.
    pub secret: SecretString,
    /// The address with the secret (`otpauth://…`), to be shown as a picture.
    pub address: SecretString,
}

/// The failure of a login whose session could not begin. A code that another login used first is a wrong code.
pub(super) fn failure(failure: Failure) -> LoginFailure {
    match failure {
        Failure::Refused(refused) if refused.code == "wrong-code" => LoginFailure::WrongCode,
        failure => LoginFailure::Failure(failure),
    }
}

impl Login {
    /// Whether a user must enrol a second factor: a role demands one, and the user is a person who has neither one nor a
    /// passkey.
    pub(super) async fn demands_second_factor(&self, user: &User) -> Result<bool, Failure> {
        let has_one = user.confirmed_factor().is_some() || self.has_passkey(user);
        Ok(!has_one && user.service.is_none() && self.has_demanding_role(user).await?)
    }

    /// Whether a role of a user demands a second factor.
    async fn has_demanding_role(&self, user: &User) -> Result<bool, Failure> {
        if self.second_factors.roles.is_empty() {
            return Ok(false);
        }
        for id in user.role_ids() {
            let role = self.executor.load::<Role>(id.0, false).await?.state;
            if role.is_some_and(|it| self.second_factors.roles.contains(it.definition.name.as_str())) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses a command of which the password was right, unless the code of the second factor is right, or there is no
    /// second factor and no role demands more of a user who has a passkey.
    pub(super) async fn check_code(
        &self,
        (id, user): (UserId, &User),
        code: Option<&OneTimeCode>,
        command: &'static str,
        caller: &Caller,
    ) -> Result<(), LoginFailure> {
        let Some(factor) = user.confirmed_factor() else {
            if self.has_passkey(user) && self.has_demanding_role(user).await? {
                self.record_failure(command, Some(id), "passkey-needed", caller.clone()).await;
                return Err(LoginFailure::PasskeyNeeded);
            }
            return Ok(());
        };
        let Some(code) = code else { return Err(LoginFailure::CodeNeeded) };
        if one_time::used(factor, code, self.executor.now(), None).is_some() {
            return Ok(());
        }
        self.refuse_code(id, command, caller).await;
        let is_locked = factor.wrong_codes >= MOST_WRONG_CODES;
        Err(if is_locked { LoginFailure::CodesLocked } else { LoginFailure::WrongCode })
    }

    /// Counts a wrong code, and records for what it was given. The code is as wrong if it cannot be counted.
    pub(super) async fn refuse_code(&self, id: UserId, command: &'static str, caller: &Caller) {
        self.record_failure(command, Some(id), "wrong-code", caller.clone()).await;
        self.count_wrong_code(id, caller.clone()).await;
    }

    /// Counts a wrong code, whatever it was given for.
    async fn count_wrong_code(&self, id: UserId, caller: Caller) {
        if let Err(error) = self.executor.execute(RefuseCode { user_id: id }, Request::of(caller)).await {
            tracing::warn!(%error, user = %id, "a wrong code of a second factor was not counted");
        }
    }

    /// Counts the wrong code of a command with which a caller wanted to take their own second factor away. That the
    /// command was refused is recorded already.
    pub async fn note_wrong_code(&self, caller: &Caller) {
        let Some(id) = caller.user_id() else { return };
        self.count_wrong_code(id, at_login(caller.origin())).await;
    }

    /// Begins to give a caller a second factor.
    ///
    /// # Errors
    /// The refusal, when the password is wrong or the caller has a second factor.
    pub async fn enrol(&self, enrolment: Enrolment, caller: Caller) -> Result<Enrolled, Failure> {
        let user_id = caller.user_id().ok_or_else(|| Refused::missing(User::STREAM))?;
        let secret = new_secret([self.executor.entropy(), self.executor.entropy()]);
        let second_factor_secret = Personal::Known(secret.clone());
        let command = EnrolSecondFactor { user_id, current_password: enrolment.current_password, second_factor_secret };
        self.executor.execute(command, Request::of(caller)).await?;
        self.forget(user_id.0);
        let user = self.executor.load::<User>(user_id.0, false).await?.state;
        let email = user.as_ref().and_then(|it| it.email.known()).map_or("user", |it| it.as_str());
        let address = one_time::address(&secret, &self.second_factors.issuer, email).unwrap_or_default();
        Ok(Enrolled { secret: secret.into(), address: address.into() })
    }

    /// Makes logins of a caller ask for the second factor from now on. Returns the recovery codes.
    ///
    /// # Errors
    /// The refusal, when the code is wrong or no second factor waits to be confirmed.
    pub async fn confirm(&self, first: FirstCode, caller: Caller) -> Result<Vec<String>, Failure> {
        let user_id = caller.user_id().ok_or_else(|| Refused::missing(User::STREAM))?;
        let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| new_recovery_code(self.executor.entropy())).collect();
        let hash = |code: &String| Personal::Known(recovery_code_hash(&OneTimeCode::new(code)));
        let recovery_code_hashes = codes.iter().map(hash).collect();
        let command = ConfirmSecondFactor { user_id, code: first.code, recovery_code_hashes };
        self.executor.execute(command, Request::of(caller)).await?;
        self.forget(user_id.0);
        Ok(codes)
    }
}
