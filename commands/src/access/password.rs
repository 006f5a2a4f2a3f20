use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use hims_domain::values::is_blank;
use hims_domain::{Described, Invalid, Pointer, Shape};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// A password in plain text, which is never logged or stored and is wiped from memory after use.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Creates a password from its plain text.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Described for Password {
    const SHAPE: Shape = Shape::Text { max: 200, format: "password" };

    /// The rule is about the length, not about kinds of characters (NIST SP 800-63B).
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        let length = self.0.chars().count();
        if !(12..=200).contains(&length) || is_blank(&self.0) {
            invalid.push(at.invalid("give a password of 12 to 200 characters"));
        }
    }
}

/// One permit for each password that is being hashed or compared; each takes about 20 MiB of memory and a core.
static HASHING: Semaphore = Semaphore::const_new(2);

/// One permit for each password that is being hashed or waits; without a permit a request is refused at once.
static WAITING: Semaphore = Semaphore::const_new(64);

/// Runs password work on a thread of its own, so that requests are served meanwhile. `None` when too many wait already.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _place = WAITING.try_acquire().ok()?;
    let _permit = HASHING.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

/// The Argon2id hash of a password in PHC string form; `None` when too many wait or hashing fails.
pub(crate) async fn hash(password: &Password) -> Option<String> {
    let password = password.clone();
    aside(move || Argon2::default().hash_password(password.0.as_bytes()).map(|it| it.to_string()).ok()).await?
}

/// Whether a password matches a hash; `None` when too many wait.
pub(crate) async fn matches(password: &Password, hash: &str) -> Option<bool> {
    let (password, hash) = (password.clone(), hash.to_owned());
    aside(move || {
        PasswordHash::new(&hash).is_ok_and(|it| Argon2::default().verify_password(password.0.as_bytes(), &it).is_ok())
    })
    .await
}
