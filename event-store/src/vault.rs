//! Seals personal values with the key of the person whom they are about (AES-256-GCM-SIV, RFC 8452).
//!
//! In memory a personal value is `{"$personal": value}`. In the log it is `{"$sealed": "…"}`, bound by associated data
//! to its stream, its event type and its place in the event. A sealed value whose key is destroyed reads as
//! `{"$erased": true}`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::chain::hex;

const PERSONAL: &str = "$personal";
const SEALED: &str = "$sealed";
const ERASED: &str = "$erased";
const NONCE: usize = 12;
/// How long a key stays in the cache: for so long another process may still use a destroyed key.
const KEY_CACHE: Duration = Duration::from_secs(5);

/// Why a personal value could not be sealed or opened.
#[derive(Debug, Clone, Error)]
pub enum VaultError {
    /// The event holds personal values but names no subject.
    #[error("an event with personal values needs a subject")]
    NoSubject,
    /// The key of the subject was destroyed; no personal value can be recorded about the subject any more.
    #[error("the subject of the event was erased; no personal value can be recorded about them")]
    Erased,
    /// The subject's key was wrapped by another master key, or the sealed value was altered.
    #[error("a personal value or its key does not open with this master key")]
    Forged,
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Entropy,
    /// The table of subject keys did not answer.
    #[error("the subject keys are not available: {0}")]
    Unavailable(String),
}

/// The key that encrypts (wraps) the key of every subject, and the files beside the log. The database never holds the
/// master key.
pub struct MasterKey {
    wrap: Aes256GcmSiv,
    files: Aes256GcmSiv,
    blind: Zeroizing<[u8; 32]>,
    authenticate: Zeroizing<[u8; 32]>,
    fingerprint: [u8; 16],
}

impl MasterKey {
    /// Derives the keys that wrap subject keys, seal files, blind claims and authenticate snapshots from 32 secret bytes.
    ///
    /// # Errors
    /// Never in practice, since the lengths of the keys are fixed.
    pub fn try_new(secret: &[u8; 32]) -> Result<Self, VaultError> {
        let hkdf = Hkdf::<Sha256>::new(Some(b"event-store/v1"), secret);
        let derive = |purpose: &[u8]| {
            let mut key = Zeroizing::new([0_u8; 32]);
            hkdf.expand(purpose, key.as_mut()).map(|()| key).map_err(|_| VaultError::Forged)
        };
        let wrap = derive(b"wrap subject keys")?;
        let mut fingerprint = [0_u8; 16];
        hkdf.expand(b"fingerprint", &mut fingerprint).map_err(|_| VaultError::Forged)?;
        Ok(Self {
            wrap: cipher(wrap.as_ref())?,
            files: cipher(derive(b"seal files")?.as_ref())?,
            blind: derive(b"blind claim keys")?,
            authenticate: derive(b"authenticate snapshots")?,
            fingerprint,
        })
    }

    /// What tells this key from others and says nothing about it, in lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        hex(&self.fingerprint)
    }

    /// A random master key, for tests and temporary stores.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, VaultError> {
        Self::try_new(&random::<32>()?)
    }
}

/// The table of wrapped subject keys, one per subject. `None` in place of a key means that the key was destroyed.
#[async_trait]
pub trait KeyTable: Send + Sync {
    /// The timeline in which the log goes on: a key that was seen in another one may not be there any more.
    fn timeline(&self) -> i32 {
        0
    }
    /// The keys of these subjects. A subject that never had a key is left out.
    async fn fetch(&self, subjects: &[Uuid]) -> Result<Vec<(Uuid, Option<Vec<u8>>)>, VaultError>;
    /// Any one key that was not destroyed, with its subject.
    async fn sample(&self) -> Result<Option<(Uuid, Vec<u8>)>, VaultError>;
    /// Stores a key, unless the subject has a key or had one that was destroyed.
    async fn insert(&self, subject: Uuid, wrapped: Vec<u8>) -> Result<(), VaultError>;
    /// Destroys the key of a subject for good; the subject can never have another.
    async fn destroy(&self, subject: Uuid) -> Result<(), VaultError>;
}

/// What is wrong with the stored key of a subject whose sealed values the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// There is no key, although the key was not destroyed in the way in which keys are destroyed.
    Missing,
    /// Another master key wrapped the key, or somebody altered it.
    Foreign,
}

/// The unwrapped key of a subject; `None` when the key was destroyed.
pub(crate) type SubjectKey = Option<Arc<Aes256GcmSiv>>;

/// Seals and opens personal values, and blinds the keys of claims.
pub struct Vault {
    master: MasterKey,
    keys: Arc<dyn KeyTable>,
    /// Each key with the timeline in which it was seen.
    cache: moka::sync::Cache<Uuid, (i32, SubjectKey)>,
}

impl Vault {
    /// A vault whose subject keys are kept in a table of keys.
    pub fn new(master: MasterKey, keys: Arc<dyn KeyTable>) -> Self {
        let cache = moka::sync::Cache::builder().max_capacity(100_000).time_to_live(KEY_CACHE).build();
        Self { master, keys, cache }
    }

    /// The blind index of a claim's key (HMAC-SHA-256). Equal keys in one scope give equal indexes; an index reveals
    /// nothing else about its key.
    pub fn blind(&self, scope: &str, key: &[u8]) -> Vec<u8> {
        let mut mac = keyed(&self.master.blind);
        mac.update(scope.as_bytes());
        mac.update(&[0]);
        mac.update(key);
        mac.finalize().into_bytes().to_vec()
    }

    /// The authentication code of a message that consists of several parts (HMAC-SHA-256).
    pub(crate) fn authenticate(&self, parts: &[Vec<u8>]) -> Vec<u8> {
        self.code(parts).finalize().into_bytes().to_vec()
    }

    /// Whether an authentication code is the one of a message.
    pub(crate) fn is_authentic(&self, parts: &[Vec<u8>], code: &[u8]) -> bool {
        self.code(parts).verify_slice(code).is_ok()
    }

    fn code(&self, parts: &[Vec<u8>]) -> Hmac<Sha256> {
        let mut mac = keyed(&self.master.authenticate);
        for part in parts {
            // The length before each part makes sure that no two different messages are the same bytes.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac
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

    /// Checks that the master key is the one that wrapped the subject keys.
    ///
    /// # Errors
    /// When another master key wrapped the subject keys, or they are not available.
    pub(crate) async fn prove(&self) -> Result<(), VaultError> {
        match self.keys.sample().await? {
            Some((subject, wrapped)) => self.unwrap(subject, &wrapped).map(drop),
            None => Ok(()),
        }
    }

    /// Seals the bytes of a file or of a remembered answer, bound to an id. Fails if they cannot be encrypted.
    pub fn seal_file(&self, id: Uuid, file: &[u8]) -> Result<Vec<u8>, VaultError> {
        encrypt(&self.master.files, id.as_bytes(), file)
    }

    /// Opens what was sealed with this id. Fails if it was altered, or sealed with another id or key.
    pub fn open_file(&self, id: Uuid, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        decrypt(&self.master.files, id.as_bytes(), sealed)
    }

    /// Destroys the key of a subject: every value that was sealed with the key reads as erased from now on. Another
    /// process may use the key for a few seconds more, until its cache forgets the key.
    ///
    /// # Errors
    /// When the subject keys are not available.
    pub async fn destroy_key(&self, subject: Uuid) -> Result<(), VaultError> {
        self.keys.destroy(subject).await?;
        self.cache.invalidate(&subject);
        Ok(())
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
        self.cache.get(&subject).filter(|(seen_in, _)| *seen_in == timeline).map(|(_, key)| key)
    }

    async fn key_to_seal(&self, subject: Uuid) -> Result<Arc<Aes256GcmSiv>, VaultError> {
        let timeline = self.keys.timeline();
        if let Some(Some(key)) = self.remembered(subject, timeline) {
            return Ok(key);
        }
        let mut rows = self.keys.fetch(&[subject]).await?;
        if rows.is_empty() {
            let secret = Zeroizing::new(random::<32>()?);
            let wrapped = encrypt(&self.master.wrap, subject.to_string().as_bytes(), secret.as_ref())?;
            self.keys.insert(subject, wrapped).await?;
            rows = self.keys.fetch(&[subject]).await?;
        }
        let wrapped = rows.pop().and_then(|(_, key)| key).ok_or(VaultError::Erased)?;
        let key = self.unwrap(subject, &wrapped)?;
        self.cache.insert(subject, (timeline, Some(Arc::clone(&key))));
        Ok(key)
    }

    fn unwrap(&self, subject: Uuid, wrapped: &[u8]) -> Result<Arc<Aes256GcmSiv>, VaultError> {
        let secret = Zeroizing::new(decrypt(&self.master.wrap, subject.to_string().as_bytes(), wrapped)?);
        cipher(secret.as_ref()).map(Arc::new)
    }
}

/// Removes the marks of personal values for a reader: a personal value stands as itself, an erased value as null.
pub fn reveal(value: &mut Value) {
    let unmarked = match value {
        Value::Object(map) if map.len() == 1 => {
            map.remove(PERSONAL).or_else(|| map.remove(ERASED).map(|_| Value::Null))
        }
        _ => None,
    };
    match (unmarked, value) {
        (Some(unmarked), value) => *value = unmarked,
        (None, Value::Object(map)) => map.values_mut().for_each(reveal),
        (None, Value::Array(items)) => items.iter_mut().for_each(reveal),
        (None, _) => {}
    }
}

/// Whether a mark, such as `$personal`, occurs anywhere in a JSON value.
fn holds(value: &Value, mark: &str) -> bool {
    match value {
        Value::Object(map) => map.contains_key(mark) || map.values().any(|child| holds(child, mark)),
        Value::Array(items) => items.iter().any(|item| holds(item, mark)),
        _ => false,
    }
}

/// Whether the stored text of an event holds a sealed value.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.contains("{\"$sealed\":")
}

fn marked(mark: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(mark.to_owned(), value)]))
}

type Replacement<'a> = &'a mut dyn FnMut(&[u8], Value) -> Result<Value, VaultError>;

/// Replaces every `{mark: value}` in a JSON value by what the function `with` makes of its place and inner value.
fn replace(value: &mut Value, mark: &str, place: &mut String, with: Replacement<'_>) -> Result<(), VaultError> {
    let length = place.len();
    match value {
        Value::Object(map) => {
            if let Some(inner) = map.remove(mark) {
                *value = with(place.as_bytes(), inner)?;
                return Ok(());
            }
            for (name, child) in map {
                place.push('/');
                place.push_str(name);
                replace(child, mark, place, with)?;
                place.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter_mut().enumerate() {
                place.push('/');
                place.push_str(&index.to_string());
                replace(child, mark, place, with)?;
                place.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let Ok(mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac
}

fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::Entropy)?;
    Ok(bytes)
}

fn cipher(key: &[u8]) -> Result<Aes256GcmSiv, VaultError> {
    Aes256GcmSiv::new_from_slice(key).map_err(|_| VaultError::Forged)
}

/// Seals a value for a column of a read table. The nonce is fixed so that equal values give equal texts. With a
/// misuse-resistant cipher and one key per person, a fixed nonce reveals only whether a person's value in the column is
/// the same as before.
pub(crate) fn seal_column(key: &Aes256GcmSiv, column: &str, value: &str) -> Option<String> {
    encrypt_with([0; NONCE], key, column.as_bytes(), value.as_bytes()).ok().map(|sealed| URL_SAFE_NO_PAD.encode(sealed))
}

/// Encrypts a message. The result is a random nonce, the ciphertext and the tag.
fn encrypt(key: &Aes256GcmSiv, aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, VaultError> {
    encrypt_with(random()?, key, aad, msg)
}

fn encrypt_with(nonce: [u8; NONCE], key: &Aes256GcmSiv, aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, VaultError> {
    let sealed = key.encrypt(&Nonce::from(nonce), Payload { msg, aad }).map_err(|_| VaultError::Forged)?;
    Ok([&nonce[..], &sealed].concat())
}

fn decrypt(key: &Aes256GcmSiv, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE>().ok_or(VaultError::Forged)?;
    key.decrypt(&Nonce::from(*nonce), Payload { msg, aad }).map_err(|_| VaultError::Forged)
}
