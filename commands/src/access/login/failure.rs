use thiserror::Error;

use crate::Failure;

/// Why a login failed.
#[derive(Debug, Clone, Error)]
pub enum LoginFailure {
    /// The e-mail address or the password is wrong, or the user is not active. The caller does not learn which.
    #[error("the e-mail address or the password is wrong")]
    Wrong,
    /// The password is right, and the user has a second factor: a code must be given too.
    #[error("the user has a second factor; give a code of it, or a recovery code, as code")]
    CodeNeeded,
    /// The password is right, and the code is wrong or was used before.
    #[error("the code is wrong, or was used before; wait for the next one")]
    WrongCode,
    /// The password is right, and so many codes were wrong that only a recovery code is right.
    #[error("too many codes were wrong; give a recovery code, or have an administrator take the second factor away")]
    CodesLocked,
    /// Nobody here is linked to the identity for which the provider vouches, or the user is not active.
    #[error("this identity belongs to nobody here; an administrator links it, or you do after a log-in")]
    NotLinked,
    /// No role here follows from what the provider says of the user.
    #[error("the provider names no role that counts here; ask whoever runs it to give you one")]
    NoRole,
    /// Nobody active has the address and signed the challenge with one of their passkeys. The caller does not learn which.
    #[error("the passkey is none of this user, or what it signed does not hold; begin again")]
    WrongPasskey,
    /// The attempt to use a passkey is none of this hospital, took too long, or was used before.
    #[error("the attempt was used, took more than 5 minutes, or is none of yours; begin again")]
    AttemptOver,
    /// The login was right so far, but a role of the user demands more, which for this user is a passkey.
    #[error("a role of the user demands more than a password; use a passkey")]
    PasskeyNeeded,
    /// The log did not answer, too many passwords were waiting, or the session was refused.
    #[error(transparent)]
    Failure(#[from] Failure),
}
