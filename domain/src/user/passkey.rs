use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::values::Name;
use crate::{PasskeyId, Personal};

/// A key pair of which a device of the user keeps the secret half, and signs with it only after the user has unlocked
/// the device (WebAuthn with user verification).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passkey {
    /// The passkey's id.
    pub passkey_id: PasskeyId,
    /// What the user calls the passkey.
    pub name: Personal<Name<100>>,
    /// The id that the user's device gave the key, in base64url.
    pub credential_id: Personal<String>,
    /// What is known of the key, as the library for WebAuthn writes that: the public key, and how often it has signed.
    pub credential: Personal<String>,
    /// When the passkey was made.
    pub added_at: DateTime<Utc>,
    /// When the user last proved with the passkey who they are.
    pub used_at: Option<DateTime<Utc>>,
}

impl Passkey {
    /// A passkey that was just made.
    pub(super) fn added(
        passkey_id: PasskeyId,
        name: &Personal<Name<100>>,
        (credential_id, credential): (&Personal<String>, &Personal<String>),
        added_at: DateTime<Utc>,
    ) -> Self {
        let (name, credential_id, credential) = (name.clone(), credential_id.clone(), credential.clone());
        Self { passkey_id, name, credential_id, credential, added_at, used_at: None }
    }
}

/// Notes the use of a passkey, and what is known of the key since, if that has changed.
pub(super) fn note_use(
    passkeys: &mut [Passkey],
    passkey_id: PasskeyId,
    credential: Option<&Personal<String>>,
    used_at: DateTime<Utc>,
) {
    for it in passkeys.iter_mut().filter(|it| it.passkey_id == passkey_id) {
        it.used_at = Some(used_at);
        it.credential = credential.cloned().unwrap_or_else(|| it.credential.clone());
    }
}
