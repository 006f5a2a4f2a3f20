//! The keys above the keys of people: the master keys, which the database never sees, and the root secret of a log, which
//! lies in the database, wrapped by each master key of the log.

use std::sync::Arc;

use aes_gcm_siv::Aes256GcmSiv;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use super::VaultError;
use super::cipher::{cipher, decrypt, derived, encrypt, keyed, random};

/// What the root secret is bound to when a master key wraps it.
const ROOT: &[u8] = b"root secret of the log";

/// A key that encrypts (wraps) the keys of subjects and the root secret of a log. The database never holds it.
#[derive(Clone)]
pub struct MasterKey {
    id: Uuid,
    wrap: Arc<Aes256GcmSiv>,
}

impl MasterKey {
    /// The master key of 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        let id = Builder::from_custom_bytes(*derived::<16>(secret, "id of the master key")).into_uuid();
        Self { id, wrap: Arc::new(cipher(&derived(secret, "wrap subject keys"))) }
    }

    /// What tells this key from others and says nothing about it (UUID version 8).
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// A random master key, for tests and temporary stores.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, VaultError> {
        Ok(Self::new(&Zeroizing::new(random::<32>()?)))
    }

    fn wrap(&self, bound_to: &[u8], secret: &[u8; 32]) -> Result<Wrapped, VaultError> {
        Ok(Wrapped { by: self.id, bytes: encrypt(&self.wrap, bound_to, secret)? })
    }
}

/// A key or the root secret as a master key wrapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The id of the master key.
    pub by: Uuid,
    /// A nonce, the ciphertext and the tag.
    pub bytes: Vec<u8>,
}

/// The master keys that this program knows: one, or more of them side by side while one takes the place of another.
#[derive(Clone)]
pub struct MasterKeys {
    newest: MasterKey,
    former: Vec<MasterKey>,
}

impl From<MasterKey> for MasterKeys {
    fn from(only: MasterKey) -> Self {
        Self { newest: only, former: Vec::new() }
    }
}

impl MasterKeys {
    /// Some master keys, of which the last is the newest. `None` if there is none.
    pub fn newest_last(mut keys: Vec<MasterKey>) -> Option<Self> {
        let newest = keys.pop()?;
        Some(Self { newest, former: keys })
    }

    /// The newest key.
    pub fn newest(&self) -> &MasterKey {
        &self.newest
    }

    /// The ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.former.iter().chain([&self.newest]).map(MasterKey::id)
    }

    /// The key with an id.
    ///
    /// # Errors
    /// [`VaultError::OtherMasterKey`] if it is not among these.
    pub(crate) fn get(&self, id: Uuid) -> Result<&MasterKey, VaultError> {
        self.former.iter().chain([&self.newest]).find(|it| it.id == id).ok_or(VaultError::OtherMasterKey(id))
    }

    fn unwrap(&self, bound_to: &[u8], wrapped: &Wrapped) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let secret = Zeroizing::new(decrypt(&self.get(wrapped.by)?.wrap, bound_to, &wrapped.bytes)?);
        secret.as_slice().try_into().map(Zeroizing::new).map_err(|_| VaultError::Forged)
    }

    /// Wraps a new key of a subject by a master key.
    pub(super) fn new_key(&self, subject: Uuid, by: Uuid) -> Result<Wrapped, VaultError> {
        self.get(by)?.wrap(subject.to_string().as_bytes(), &Zeroizing::new(random::<32>()?))
    }

    /// The key of a subject.
    pub(super) fn open_key(&self, subject: Uuid, wrapped: &Wrapped) -> Result<Aes256GcmSiv, VaultError> {
        Ok(cipher(&*self.unwrap(subject.to_string().as_bytes(), wrapped)?))
    }

    /// The key of a subject, wrapped by the newest master key.
    pub(crate) fn wrap_anew(&self, subject: Uuid, wrapped: &Wrapped) -> Result<Wrapped, VaultError> {
        let bound_to = subject.to_string();
        self.newest.wrap(bound_to.as_bytes(), &*self.unwrap(bound_to.as_bytes(), wrapped)?)
    }

    /// A new root secret, wrapped by the newest master key.
    pub(super) fn new_root(&self) -> Result<Wrapped, VaultError> {
        self.newest.wrap(ROOT, &Zeroizing::new(random::<32>()?))
    }

    /// The keys that follow from a root secret.
    pub(super) fn open_root(&self, wrapped: &Wrapped) -> Result<Root, VaultError> {
        Ok(Root::new(&*self.unwrap(ROOT, wrapped)?))
    }

    /// A root secret, wrapped by the newest master key.
    pub(crate) fn wrap_root_anew(&self, wrapped: &Wrapped) -> Result<Wrapped, VaultError> {
        self.newest.wrap(ROOT, &*self.unwrap(ROOT, wrapped)?)
    }
}

/// The keys that follow from the root secret of a log, and stay when a master key takes the place of another: what they
/// made lies in claims, tables and files.
pub(super) struct Root {
    /// Seals the files beside the log.
    pub(super) files: Aes256GcmSiv,
    blind: Zeroizing<[u8; 32]>,
    authenticate: Zeroizing<[u8; 32]>,
}

impl Root {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self {
            files: cipher(&derived(secret, "seal files")),
            blind: derived(secret, "blind claim keys"),
            authenticate: derived(secret, "authenticate snapshots"),
        }
    }

    /// Begins the blind index of something.
    pub(super) fn blind(&self) -> Hmac<Sha256> {
        keyed(&self.blind)
    }

    /// The code of a message that consists of several parts.
    pub(super) fn code(&self, parts: &[Vec<u8>]) -> Hmac<Sha256> {
        let mut mac = keyed(&self.authenticate);
        for part in parts {
            // The length before each part makes sure that no two different messages are the same bytes.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}
