//! The ciphers of the vault: AES-256-GCM-SIV and HMAC-SHA-256.

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Key, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::Hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::VaultError;

const NONCE: usize = 12;

/// A key that follows from a secret (HKDF-SHA-256), for one purpose.
pub(super) fn derived<const N: usize>(secret: &[u8; 32], purpose: &str) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0_u8; N]);
    let Ok(()) = Hkdf::<Sha256>::new(Some(b"event-store/v1"), secret).expand(purpose.as_bytes(), key.as_mut()) else {
        unreachable!("HKDF gives the few bytes of a key")
    };
    key
}

pub(super) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let Ok(mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|_| VaultError::Entropy)?;
    Ok(bytes)
}

pub(super) fn cipher(key: &[u8; 32]) -> Aes256GcmSiv {
    Aes256GcmSiv::new(&Key::<Aes256GcmSiv>::from(*key))
}

/// Seals a value for a column of a read table. The nonce is fixed so that equal values give equal texts. With a
/// misuse-resistant cipher and one key per person, a fixed nonce reveals only whether a person's value in the column is
/// the same as before.
pub(crate) fn seal_column(key: &Aes256GcmSiv, column: &str, value: &str) -> Option<String> {
    encrypt_with([0; NONCE], key, column.as_bytes(), value.as_bytes()).ok().map(|sealed| URL_SAFE_NO_PAD.encode(sealed))
}

/// Encrypts a message. The result is a random nonce, the ciphertext and the tag.
pub(super) fn encrypt(key: &Aes256GcmSiv, aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, VaultError> {
    encrypt_with(random()?, key, aad, msg)
}

fn encrypt_with(nonce: [u8; NONCE], key: &Aes256GcmSiv, aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, VaultError> {
    let sealed = key.encrypt(&Nonce::from(nonce), Payload { msg, aad }).map_err(|_| VaultError::Forged)?;
    Ok([&nonce[..], &sealed].concat())
}

pub(super) fn decrypt(key: &Aes256GcmSiv, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE>().ok_or(VaultError::Forged)?;
    key.decrypt(&Nonce::from(*nonce), Payload { msg, aad }).map_err(|_| VaultError::Forged)
}
