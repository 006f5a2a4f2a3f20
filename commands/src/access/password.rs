use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use hims_domain::user::Profile;
use hims_domain::values::{Email, Name, is_blank};
use hims_domain::{Described, Invalid, Personal, Pointer, Shape};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;
use zxcvbn::{Score, zxcvbn};

use crate::Refused;

/// A password in plain text, which is never logged or stored and is wiped from memory after use.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Creates a password from its plain text.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The plain text, of a token that is sent in the place of a password.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A password that is compared is only ever right or wrong, so no rule but its greatest length is checked.
impl Described for Password {
    const SHAPE: Shape = Shape::Secret { min: 1, max: LONGEST };

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if self.0.chars().count() > LONGEST {
            invalid.push(at.invalid("give a password of at most 200 characters"));
        }
    }
}

/// How many characters a new password has at least.
const SHORTEST: usize = 12;
/// How many characters a password has at most.
const LONGEST: usize = 200;

/// A password that a user will have from now on: long enough, and none that others try first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NewPassword(Password);

impl NewPassword {
    /// Creates a new password from its plain text.
    pub fn new(text: &str) -> Self {
        Self(Password::new(text))
    }

    /// The password, to be hashed or compared.
    pub(crate) fn password(&self) -> &Password {
        &self.0
    }

    /// Refuses the password if little is left of it without the e-mail address and the names of its user. `field` is
    /// the field of the command that holds the password.
    pub(crate) fn refuse_personal(
        &self,
        field: &str,
        email: &Personal<Email>,
        profile: &Profile,
    ) -> Result<(), Refused> {
        let names = [&profile.first_name, &profile.last_name];
        let names = names.into_iter().flatten().filter_map(Personal::known).map(Name::as_str);
        let personal: Vec<_> = email.known().map(Email::as_str).into_iter().chain(names).collect();
        if self.is_made_of(&personal) {
            let message = "the password consists of the e-mail address or the name of its user; choose another";
            return Err(Refused::field("invalid-fields", field, message));
        }
        Ok(())
    }

    /// Whether little is left of the password without these texts and the words in them. Of an e-mail address, the
    /// words before the `@` count.
    fn is_made_of(&self, personal: &[&str]) -> bool {
        /// How many letters and digits a password needs besides personal words.
        const OTHERS: usize = 8;
        let plain = |text: &str| text.to_lowercase().chars().filter(|it| it.is_alphanumeric()).collect::<String>();
        let mut words: Vec<_> = personal
            .iter()
            .flat_map(|text| {
                let local = text.split('@').next().unwrap_or_default();
                local.split(|it: char| !it.is_alphanumeric()).chain([local, text])
            })
            .map(plain)
            .filter(|it| it.chars().count() > 2)
            .collect();
        // A long word is removed before the words that it consists of.
        words.sort_by_key(|it| std::cmp::Reverse(it.len()));
        let whole = Zeroizing::new(plain(&self.0.0));
        let left = words.iter().fold(whole.clone(), |left, word| Zeroizing::new(left.replace(word.as_str(), "")));
        left.len() < whole.len() && left.chars().count() < OTHERS
    }
}

impl Described for NewPassword {
    const SHAPE: Shape = Shape::Secret { min: SHORTEST, max: LONGEST };

    /// The rules are about the length and about what others try first, not about kinds of characters (NIST SP 800-63B).
    /// zxcvbn knows the common passwords, words and names, and looks through the usual ways to vary them.
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        let text = &self.0.0;
        if !(SHORTEST..=LONGEST).contains(&text.chars().count()) || is_blank(text) {
            invalid.push(at.invalid("give a password of 12 to 200 characters"));
        } else if zxcvbn(text, &[]).score() < Score::Three {
            invalid.push(at.invalid(
                "this password is among those that are tried first; take several words that do not belong together",
            ));
        }
    }
}

/// One permit for each password that is being hashed or compared; each takes about 20 MiB of memory and a core.
static HASHING: Semaphore = Semaphore::const_new(2);

/// One permit for each password that is being hashed or waits; without a permit a request is refused at once.
static WAITING: Semaphore = Semaphore::const_new(1_000);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut invalid = Vec::new();
        NewPassword::new(text).check(&Pointer::Root, &mut invalid);
        invalid.into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn a_new_password_is_long_and_none_of_the_common_ones() {
        for good in ["correct horse battery", "demo-hims-2026", "to be changed", "d41d8cd98f00b204e9800998ecf8427e"] {
            assert!(faults(good).is_empty(), "{good}");
        }
        for common in ["password1234", "Password2026!", "P@ssw0rd1234", "123456789012", "qwertyuiop12", "aaaaaaaaaaaa"]
        {
            assert!(faults(common).iter().any(|it| it.contains("tried first")), "{common}");
        }
        for length in ["elevenchars", "            ", &"a word and ".repeat(20)] {
            assert!(faults(length).iter().any(|it| it.contains("12 to 200")), "{length}");
        }
    }

    #[test]
    fn a_password_that_is_compared_is_not_judged() {
        let mut invalid = Vec::new();
        Password::new("password").check(&Pointer::Root, &mut invalid);
        assert_eq!(invalid, []);
        Password::new(&"a".repeat(201)).check(&Pointer::Root, &mut invalid);
        assert_eq!(invalid.len(), 1);
    }

    #[test]
    fn a_password_that_is_made_of_the_email_address_or_the_name_is_noticed() {
        let rosa = ["rosa.diaz@example.org", "Rosa", "Diaz"];
        for personal in ["rosa.diaz@example.org", "RosaDiaz2026", "Rosa Diaz 1979!", "diaz-diaz-rosa"] {
            assert!(NewPassword::new(personal).is_made_of(&rosa), "{personal}");
        }
        for other in ["correct horse battery", "rosa-under-the-green-tree", "1-2-3-4-5-6!"] {
            assert!(!NewPassword::new(other).is_made_of(&rosa), "{other}");
        }
    }
}
