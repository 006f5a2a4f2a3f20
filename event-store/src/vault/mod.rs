//! Seals personal values with the key of the person whom they are about (AES-256-GCM-SIV, RFC 8452).
//!
//! In memory a personal value is `{"$personal": value}`. In the log it is `{"$sealed": "…"}`, bound by associated data
//! to its stream, its event type and its place in the event. A sealed value whose key is destroyed reads as
//! `{"$erased": true}`.

mod cipher;
mod marks;
mod master;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aes_gcm_siv::Aes256GcmSiv;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) use cipher::seal_column;
use cipher::{decrypt, encrypt};
pub(crate) use marks::is_sealed;
pub use marks::reveal;
use marks::{ERASED, PERSONAL, SEALED, holds, marked, replace};
use master::Root;
pub use master::{MasterKey, MasterKeys, Wrapped};

/// How long a key stays in the cache: for so long another process may still use a destroyed key.
const KEY_CACHE: Duration = Duration::from_secs(5);
/// How often to make a key while master keys take each other's place.
const TRIES: u32 = 5;

/// Why a personal value could not be sealed or opened.
#[derive(Debug, Clone, Error)]
pub enum VaultError {
    /// The event holds personal values but names no subject.
    #[error("an event with personal values needs a subject")]
    NoSubject,
    /// The key of the subject was destroyed; no personal value can be recorded about the subject any more.
    #[error("the subject of the event was erased; no personal value can be recorded about them")]
    Erased,
    /// The wrapped key or the sealed value was altered.
    #[error("a personal value or its key was altered and does not open")]
    Forged,
    /// The wrapped key of a person was altered; the id of the person.
    #[error("the key of the person {0} was altered and does not open: run `hims verify --deep`, and restore the key")]
    ForgedKey(Uuid),
    /// Another master key wrapped the keys; its id.
    #[error("the keys of people need the master key {0}, which this program does not have")]
    OtherMasterKey(Uuid),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Entropy,
    /// The table of subject keys did not answer.
    #[error("the subject keys are not available: {0}")]
    Unavailable(String),
}

/// The root secret of a log as a master key wrapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedRoot {
    /// The wrapped secret, which is the same for every master key of the log.
    pub root: Wrapped,
    /// Whether this is the master key that wraps new keys. One of them is, once there is any.
    pub is_current: bool,
}

/// The table of wrapped subject keys, one per subject. `None` in place of a key means that the key was destroyed.
#[async_trait]
pub trait KeyTable: Send + Sync {
    /// The timeline in which the log goes on: a key that was seen in another one may not be there any more.
    fn timeline(&self) -> i32 {
        0
    }
    /// The root secret, wrapped by each master key of the log. Empty for a log that nobody has opened yet.
    async fn roots(&self) -> Result<Vec<WrappedRoot>, VaultError>;
    /// Stores the root secret of a log that has none, and makes the master key that wrapped it the current one.
    async fn found(&self, root: Wrapped) -> Result<(), VaultError>;
    /// The keys of these subjects. A subject that never had a key is left out.
    async fn fetch(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, Option<Wrapped>)>, VaultError>;
    /// Stores a key, unless the subject has a key or had one that was destroyed, or the master key that wrapped it is not
    /// the current one.
    async fn insert(&self, subject: Uuid, key: Wrapped) -> Result<(), VaultError>;
    /// Destroys the key of a subject for good; the subject can never have another.
    async fn destroy(&self, subject: Uuid) -> Result<(), VaultError>;
}

/// What is wrong with the stored key of a subject whose sealed values the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// There is no key, although the key was not destroyed in the way in which keys are destroyed.
    Missing,
    /// A master key that this program does not know wrapped the key, or somebody altered it.
    Foreign,
}

/// The unwrapped key of a subject; `None` when the key was destroyed.
pub(crate) type SubjectKey = Option<Arc<Aes256GcmSiv>>;

/// Seals and opens personal values, and blinds the keys of claims.
pub struct Vault {
    masters: MasterKeys,
    /// The id of the master key that wraps new keys, as far as this process knows.
    current: RwLock<Uuid>,
    root: Root,
    keys: Arc<dyn KeyTable>,
    /// Each key with the timeline in which it was seen.
    cache: moka::sync::Cache<Uuid, (i32, SubjectKey)>,
    /// The subjects that this process saw erased, each with the newest timeline in which it did: an erasure that no
    /// standby had may be lost with its primary. A key that another task has fetched before is not used any more.
    erased: RwLock<HashMap<Uuid, i32>>,
}

impl Vault {
    /// Opens the vault of a log, whose subject keys are kept in a table of keys. A log that nobody has opened yet is given
    /// its root secret.
    ///
    /// # Errors
    /// [`VaultError::OtherMasterKey`] when the current master key of the log is not among these; also when the table of
    /// keys is not available.
    pub async fn of_log(masters: MasterKeys, keys: Arc<dyn KeyTable>) -> Result<Self, VaultError> {
        if keys.roots().await?.is_empty() {
            // Another node may do the same at this moment, so what is stored is looked at again.
            keys.found(masters.new_root()?).await?;
        }
        let current = current(&*keys).await?.ok_or(VaultError::Forged)?;
        let root = masters.open_root(&current)?;
        Ok(Self::with(masters, (current.by, root), keys))
    }

    /// The vault of a log in memory, whose root secret protects nothing.
    pub(crate) fn in_memory(masters: MasterKeys, keys: Arc<dyn KeyTable>) -> Self {
        let current = masters.newest().id();
        Self::with(masters, (current, Root::new(&[0; 32])), keys)
    }

    fn with(masters: MasterKeys, (current, root): (Uuid, Root), keys: Arc<dyn KeyTable>) -> Self {
        let cache = moka::sync::Cache::builder().max_capacity(100_000).time_to_live(KEY_CACHE).build();
        Self { masters, current: RwLock::new(current), root, keys, cache, erased: RwLock::default() }
    }

    /// The blind index of a claim's key (HMAC-SHA-256). Equal keys in one scope give equal indexes; an index reveals
    /// nothing else about its key.
    pub fn blind(&self, scope: &str, key: &[u8]) -> Vec<u8> {
        let mut mac = self.root.blind();
        mac.update(scope.as_bytes());
        mac.update(&[0]);
        mac.update(key);
        mac.finalize().into_bytes().to_vec()
    }

    /// The authentication code of a message that consists of several parts (HMAC-SHA-256).
    pub(crate) fn authenticate(&self, parts: &[Vec<u8>]) -> Vec<u8> {
        self.root.code(parts).finalize().into_bytes().to_vec()
    }

    /// Whether an authentication code is the one of a message.
    pub(crate) fn is_authentic(&self, parts: &[Vec<u8>], code: &[u8]) -> bool {
        self.root.code(parts).verify_slice(code).is_ok()
    }

    /// What is wrong with the stored keys of these subjects. A subject whose key is good or was destroyed is left out.
    pub(crate) async fn faults(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, KeyFault)>, VaultError> {
        let stored: HashMap<_, _> = self.keys.fetch(subjects).await?.into_iter().collect();
        let fault = |subject: &Uuid| match stored.get(subject) {
            None => Some(KeyFault::Missing),
            Some(Some(wrapped)) if self.unwrap(*subject, wrapped).is_err() => Some(KeyFault::Foreign),
            Some(_) => None,
        };
        Ok(subjects.iter().filter_map(|subject| Some((*subject, fault(subject)?))).collect())
    }

    /// Seals the bytes of a file or of a remembered answer, bound to an id. Fails if they cannot be encrypted.
    pub fn seal_file(&self, id: Uuid, file: &[u8]) -> Result<Vec<u8>, VaultError> {
        encrypt(&self.root.files, id.as_bytes(), file)
    }

    /// Opens what was sealed with this id. Fails if it was altered, or sealed with another id or key.
    pub fn open_file(&self, id: Uuid, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        decrypt(&self.root.files, id.as_bytes(), sealed)
    }

    /// Destroys the key of a subject: every value that was sealed with the key reads as erased from now on. Another
    /// process may use the key for a few seconds more, until its cache forgets the key, or it is told to forget it.
    ///
    /// # Errors
    /// When the subject keys are not available.
    pub async fn destroy_key(&self, subject: Uuid) -> Result<(), VaultError> {
        let timeline = self.keys.timeline();
        self.keys.destroy(subject).await?;
        self.forget(&[subject], timeline);
        Ok(())
    }

    /// Forgets the keys of subjects who are known to be erased in a timeline: nothing of theirs is opened or sealed there
    /// any more, even where a key was fetched before it was destroyed.
    pub fn forget(&self, subjects: &[Uuid], timeline: i32) {
        if subjects.is_empty() {
            // Nearly every append erases nobody, and should not wait for those who open events.
            return;
        }
        let mut erased = self.erased.write().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects {
            erased.entry(*subject).and_modify(|seen_in| *seen_in = timeline.max(*seen_in)).or_insert(timeline);
            self.cache.invalidate(subject);
        }
    }

    /// Forgets all keys that were fetched before: keys that are needed next are those in the table of keys by now.
    pub fn forget_fetched_keys(&self) {
        self.cache.invalidate_all();
    }

    /// Whether a subject is known to be erased in a timeline. Of what was seen in an earlier one, the table of keys says
    /// whether it still holds.
    fn is_erased(&self, subject: &Uuid, timeline: i32) -> bool {
        let erased = self.erased.read().unwrap_or_else(PoisonError::into_inner);
        erased.get(subject).is_some_and(|seen_in| *seen_in >= timeline)
    }

    /// Replaces every personal value by its sealed form. `context` names the stream and the event type, to which the
    /// sealed values are bound.
    pub(crate) async fn seal(&self, context: &str, subject: Option<Uuid>, data: &mut Value) -> Result<(), VaultError> {
        if !holds(data, PERSONAL) {
            return Ok(());
        }
        let key = self.key_to_seal(subject.ok_or(VaultError::NoSubject)?).await?;
        replace(data, PERSONAL, &mut format!("{context}#"), &mut |place, value| {
            let plain = Zeroizing::new(serde_json::to_vec(&value).map_err(|_| VaultError::Forged)?);
            Ok(marked(SEALED, Value::String(URL_SAFE_NO_PAD.encode(encrypt(&key, place, &plain)?))))
        })
    }

    /// Replaces every sealed value by the personal value, or by the mark of an erased value when there is no key.
    pub(crate) fn open(context: &str, key: Option<&Aes256GcmSiv>, data: &mut Value) -> Result<(), VaultError> {
        replace(data, SEALED, &mut format!("{context}#"), &mut |place, value| {
            let Some(key) = key else { return Ok(marked(ERASED, Value::Bool(true))) };
            let sealed = value.as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(VaultError::Forged)?;
            let plain = Zeroizing::new(decrypt(key, place, &sealed)?);
            Ok(marked(PERSONAL, serde_json::from_slice(&plain).map_err(|_| VaultError::Forged)?))
        })
    }

    /// The keys of these subjects. All keys that are not in the cache are fetched in one query.
    pub(crate) async fn keys(
        &self,
        mut subjects: Vec<Uuid>,
    ) -> Result<HashMap<Uuid, Result<SubjectKey, VaultError>>, VaultError> {
        subjects.sort_unstable();
        subjects.dedup();
        let mut keys = HashMap::with_capacity(subjects.len());
        let mut unknown = Vec::new();
        let timeline = self.keys.timeline();
        for subject in subjects {
            match self.remembered(subject, timeline) {
                Some(key) => drop(keys.insert(subject, Ok(key))),
                None => unknown.push(subject),
            }
        }
        if !unknown.is_empty() {
            for (subject, wrapped) in self.keys.fetch(&unknown).await? {
                // A key that cannot be unwrapped must not make the keys of the other subjects unusable.
                let wrapped = wrapped.filter(|_| !self.is_erased(&subject, timeline));
                let key = wrapped.map(|wrapped| self.unwrap(subject, &wrapped)).transpose();
                if let Ok(key) = &key {
                    self.cache.insert(subject, (timeline, key.clone()));
                }
                keys.insert(subject, key);
            }
        }
        Ok(keys)
    }

    /// The key of a subject, if it was seen in this timeline lately.
    fn remembered(&self, subject: Uuid, timeline: i32) -> Option<SubjectKey> {
        if self.is_erased(&subject, timeline) {
            return Some(None);
        }
        self.cache.get(&subject).filter(|(seen_in, _)| *seen_in == timeline).map(|(_, key)| key)
    }

    async fn key_to_seal(&self, subject: Uuid) -> Result<Arc<Aes256GcmSiv>, VaultError> {
        let timeline = self.keys.timeline();
        if let Some(key) = self.remembered(subject, timeline) {
            return key.ok_or(VaultError::Erased);
        }
        let stored = match self.stored_key(subject).await? {
            Some(stored) => stored,
            None => self.make_key(subject).await?,
        };
        let key = self.unwrap(subject, &stored.ok_or(VaultError::Erased)?)?;
        self.cache.insert(subject, (timeline, Some(Arc::clone(&key))));
        Ok(key)
    }

    async fn stored_key(&self, subject: Uuid) -> Result<Option<Option<Wrapped>>, VaultError> {
        Ok(self.keys.fetch(&[subject]).await?.pop().map(|(_, key)| key))
    }

    /// Gives a subject a key. Answers the one that is stored, which may be the key that another node made meanwhile.
    async fn make_key(&self, subject: Uuid) -> Result<Option<Wrapped>, VaultError> {
        for _ in 0..TRIES {
            let by = *self.current.read().unwrap_or_else(PoisonError::into_inner);
            self.keys.insert(subject, self.masters.new_key(subject, by)?).await?;
            if let Some(stored) = self.stored_key(subject).await? {
                return Ok(stored);
            }
            // Another master key took the place of the one that this process takes for the current one.
            let current = current(&*self.keys).await?.ok_or(VaultError::Forged)?.by;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        }
        Err(VaultError::Unavailable("the master key changed several times".to_owned()))
    }

    fn unwrap(&self, subject: Uuid, wrapped: &Wrapped) -> Result<Arc<Aes256GcmSiv>, VaultError> {
        self.masters.open_key(subject, wrapped).map(Arc::new)
    }
}

/// Checks that the current master key of a log is among these.
///
/// # Errors
/// As [`Vault::of_log`].
pub(crate) async fn prove(masters: &MasterKeys, keys: &dyn KeyTable) -> Result<(), VaultError> {
    match current(keys).await? {
        Some(root) => masters.open_root(&root).map(drop),
        None => Ok(()),
    }
}

/// The root secret as the current master key wrapped it.
async fn current(keys: &dyn KeyTable) -> Result<Option<Wrapped>, VaultError> {
    Ok(keys.roots().await?.into_iter().find(|it| it.is_current).map(|it| it.root))
}

#[cfg(test)]
mod tests;
