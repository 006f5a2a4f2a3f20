//! Passkeys (WebAuthn, level 3): what a browser is asked to have signed, and whether what was signed holds. Every check
//! is that of `webauthn-rs`; the challenges are those of the hospital (`login/passkeys.rs`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hims_domain::user::{Passkey, User};
use hims_domain::values::{Email, known_names};
use hims_domain::{Described, Shape, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use webauthn_rs::fake::{FakePasskeyDistribution, WebauthnFakeCredentialGenerator};
use webauthn_rs::prelude::{
    CredentialID, Passkey as Known, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder, WebauthnError,
};

/// How long a browser lets its user look for the passkey.
const PATIENCE: Duration = Duration::from_mins(4);

/// What a browser made with a passkey: `PublicKeyCredential.toJSON()`. What signs can be checked by everybody, but whom
/// it names is personal, so that no log shows it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credential(Value);

impl Credential {
    /// The credential as the library reads it.
    fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        T::deserialize(&self.0).map_err(|_| Fault::Unreadable)
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Described for Credential {
    const SHAPE: Shape = Shape::Json;
}

/// Why what a browser made with a passkey does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    /// The credential is not in the form of the standard.
    #[error("the credential is not what PublicKeyCredential.toJSON() gives")]
    Unreadable,
    /// The passkey is none of the user.
    #[error("the passkey is none of this user")]
    Unknown,
    /// The challenge is another one.
    #[error("what was signed is not the challenge of this attempt")]
    OtherChallenge,
    /// A page of another origin had the challenge signed.
    #[error("the page is not one of those that may use passkeys")]
    OtherOrigin,
    /// The passkey is for another domain.
    #[error("the passkey is for another domain")]
    OtherDomain,
    /// The device did not make sure who uses it.
    #[error("the device did not ask its user for a PIN, a finger or a face")]
    NotVerified,
    /// The device has counted backwards, so that somebody may have copied the passkey.
    #[error("the passkey was used before with this count or a later one, as a copy of it would be")]
    Copied,
    /// The signature or anything else is wrong.
    #[error("the signature does not hold")]
    Wrong,
}

impl Fault {
    /// The code of the fault, for auditors.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable-passkey",
            Self::Unknown => "unknown-passkey",
            Self::OtherChallenge => "other-challenge",
            Self::OtherOrigin => "other-origin",
            Self::OtherDomain => "other-domain",
            Self::NotVerified => "user-not-verified",
            Self::Copied => "copied-passkey",
            Self::Wrong => "wrong-passkey",
        }
    }
}

impl From<WebauthnError> for Fault {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::CredentialNotFound => Self::Unknown,
            WebauthnError::MismatchedChallenge => Self::OtherChallenge,
            WebauthnError::InvalidRPOrigin | WebauthnError::CredentialCrossOrigin => Self::OtherOrigin,
            WebauthnError::InvalidRPIDHash => Self::OtherDomain,
            WebauthnError::UserNotVerified | WebauthnError::UserNotPresent => Self::NotVerified,
            WebauthnError::CredentialPossibleCompromise => Self::Copied,
            _ => Self::Wrong,
        }
    }
}

/// The key of a new passkey.
pub(crate) struct Made {
    /// The id that the device gave the key, in base64url.
    pub(crate) credential_id: String,
    /// What is known of the key.
    pub(crate) credential: String,
}

/// A passkey with which a challenge was signed.
pub(crate) struct Signed<'a> {
    pub(crate) passkey: &'a Passkey,
    /// What is known of the key from now on, if that changed.
    pub(crate) credential: Option<String>,
}

/// The passkeys for the pages of one origin.
pub struct Passkeys {
    webauthn: Webauthn,
}

impl Passkeys {
    /// The passkeys for the pages where `url` is. `name` is what browsers call the hospital. `None` if browsers give
    /// these pages no passkeys: they are only for pages that come with https, or from the machine itself, and from a
    /// host with a name.
    pub fn of_pages(url: &str, name: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let origin = Url::parse(&url.origin().ascii_serialization()).ok()?;
        let domain = origin.domain().filter(|it| origin.scheme() == "https" || *it == "localhost")?;
        let builder = WebauthnBuilder::new(domain, &origin).ok()?;
        Some(Self { webauthn: builder.rp_name(name).timeout(PATIENCE).build().ok()? })
    }

    /// What the browser of a user is asked for who makes a passkey (`PublicKeyCredentialCreationOptionsJSON`), and the
    /// state in which the answer is read.
    fn begin_making(
        &self,
        (id, user): (UserId, &User),
        challenge: &[u8],
    ) -> Result<(Value, PasskeyRegistration), Fault> {
        let email = user.email.known().map_or("user", Email::as_str);
        let name = known_names([&user.profile.first_name, &user.profile.last_name]);
        let known = ids(&user.passkeys);
        let begun = self.webauthn.start_passkey_registration(id.0, email, &name, Some(known));
        let (mut asked, state) = begun?;
        asked.public_key.challenge = challenge.to_vec();
        Ok((json!(asked.public_key), with_challenge(&state, "/rs/challenge", challenge)?))
    }

    /// What the browser of a user is asked for who makes a passkey.
    pub(crate) fn ask_to_make(&self, who: (UserId, &User), challenge: &[u8]) -> Result<Value, Fault> {
        self.begin_making(who, challenge).map(|(asked, _)| asked)
    }

    /// Reads what the browser of a user has made.
    pub(crate) fn made(&self, who: (UserId, &User), challenge: &[u8], credential: &Credential) -> Result<Made, Fault> {
        let answer: RegisterPublicKeyCredential = credential.read()?;
        let (_, state) = self.begin_making(who, challenge)?;
        let made = self.webauthn.finish_passkey_registration(&answer, &state)?;
        let credential_id = URL_SAFE_NO_PAD.encode(made.cred_id());
        Ok(Made { credential_id, credential: serde_json::to_string(&made).map_err(|_| Fault::Wrong)? })
    }

    /// What a browser is asked for that proves who its user is (`PublicKeyCredentialRequestOptionsJSON`). Without
    /// passkeys it is asked for those that the `key` makes up for the `address`: nobody can tell them from real ones,
    /// and they are the same at each time.
    pub(crate) fn ask_to_sign(
        &self,
        passkeys: &[Passkey],
        (key, address): (&[u8], &str),
        challenge: &[u8],
    ) -> Result<Value, Fault> {
        let (asked, _) = self.webauthn.start_passkey_authentication(&[])?;
        let mut asked = asked.public_key;
        asked.challenge = challenge.to_vec();
        let mut ids = ids(passkeys);
        if ids.is_empty() {
            let made_up = WebauthnFakeCredentialGenerator::<FakePasskeyDistribution>::new(key)?;
            ids = made_up.generate(address.as_bytes())?;
        }
        let mut asked = json!(asked);
        // How a device is reached is left out: for a passkey that is made up, nobody knows it.
        let allowed = |id| json!({"type": "public-key", "id": URL_SAFE_NO_PAD.encode(id)});
        asked["allowCredentials"] = ids.into_iter().map(allowed).collect();
        Ok(asked)
    }

    /// Reads what the browser of a user had signed, who has these passkeys.
    pub(crate) fn signed<'a>(
        &self,
        (id, passkeys): (UserId, &'a [Passkey]),
        challenge: &[u8],
        credential: &Credential,
    ) -> Result<Signed<'a>, Fault> {
        let answer: PublicKeyCredential = credential.read()?;
        let credential_id = URL_SAFE_NO_PAD.encode(answer.get_credential_id());
        let is_meant = |it: &&Passkey| it.credential_id.known() == Some(&credential_id);
        let passkey = passkeys.iter().find(is_meant).ok_or(Fault::Unknown)?;
        // A device that remembers whose passkey it is must say that it is this user's.
        if answer.get_user_unique_id().is_some_and(|it| it != id.0.as_bytes()) {
            return Err(Fault::Unknown);
        }
        let mut known = read(passkey).ok_or(Fault::Unknown)?;
        let (_, state) = self.webauthn.start_passkey_authentication(std::slice::from_ref(&known))?;
        let state: PasskeyAuthentication = with_challenge(&state, "/ast/challenge", challenge)?;
        let proof = self.webauthn.finish_passkey_authentication(&answer, &state)?;
        let is_changed = known.update_credential(&proof) == Some(true);
        let credential = is_changed.then(|| serde_json::to_string(&known)).transpose().map_err(|_| Fault::Wrong)?;
        Ok(Signed { passkey, credential })
    }
}

/// A passkey as the library reads it; `None` if its user was erased.
fn read(passkey: &Passkey) -> Option<Known> {
    serde_json::from_str(passkey.credential.known()?).ok()
}

/// The ids that devices gave the keys of passkeys.
fn ids(passkeys: &[Passkey]) -> Vec<CredentialID> {
    passkeys.iter().filter_map(read).map(|it| it.cred_id().clone()).collect()
}

/// The state of the library with another challenge than the one that it drew, so that every node can make the same
/// state again and none has to keep it.
fn with_challenge<T: Serialize + DeserializeOwned>(state: &T, place: &str, challenge: &[u8]) -> Result<T, Fault> {
    let mut written = json!(state);
    *written.pointer_mut(place).ok_or(Fault::Wrong)? = json!(URL_SAFE_NO_PAD.encode(challenge));
    serde_json::from_value(written).map_err(|_| Fault::Wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_without_encryption_or_without_a_name_get_no_passkeys() {
        for url in ["https://hims.example.org", "https://hims.example.org:8443/login#now", "http://localhost:8080/"] {
            assert!(Passkeys::of_pages(url, "Hill").is_some(), "{url}");
        }
        for url in ["http://hims.example.org", "https://192.0.2.7", "http://127.0.0.1:8080", "hims.example.org", ""] {
            assert!(Passkeys::of_pages(url, "Hill").is_none(), "{url}");
        }
    }

    #[test]
    fn what_is_made_up_for_somebody_without_passkeys_stays_the_same_and_differs_by_key() {
        let passkeys = Passkeys::of_pages("https://hims.example.org", "Hill").unwrap();
        let ask = |key: u8, address: &str| passkeys.ask_to_sign(&[], (&[key; 32], address), &[1; 32]).unwrap();
        let ids = |asked: &Value| asked["allowCredentials"].as_array().unwrap().clone();
        // Of some addresses no passkey is made up, as of users who have none.
        let addresses: Vec<_> = (0..40).map(|nth| format!("user{nth}@example.org")).collect();
        let some = addresses.iter().find(|it| !ids(&ask(1, it)).is_empty() && !ids(&ask(2, it)).is_empty()).unwrap();
        assert_eq!(ask(1, some), ask(1, some));
        assert_ne!(ids(&ask(1, some)), ids(&ask(2, some)));
        let asked = ask(1, some);
        assert_eq!(asked["challenge"], json!(URL_SAFE_NO_PAD.encode([1; 32])));
        assert_eq!((&asked["userVerification"], &asked["rpId"]), (&json!("required"), &json!("hims.example.org")));
    }

    #[test]
    fn the_challenge_of_a_state_is_exchanged() {
        let passkeys = Passkeys::of_pages("https://hims.example.org", "Hill").unwrap();
        let (_, signing) = passkeys.webauthn.start_passkey_authentication(&[]).unwrap();
        let (_, making) = passkeys.webauthn.start_passkey_registration(uuid::Uuid::nil(), "a", "b", None).unwrap();
        let challenge = json!(URL_SAFE_NO_PAD.encode([7; 32]));
        assert_eq!(json!(with_challenge(&signing, "/ast/challenge", &[7; 32]).unwrap())["ast"]["challenge"], challenge);
        assert_eq!(json!(with_challenge(&making, "/rs/challenge", &[7; 32]).unwrap())["rs"]["challenge"], challenge);
    }
}
