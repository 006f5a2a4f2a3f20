//! One-time codes: the codes of a second factor (TOTP, RFC 6238), which follow from a secret and the time, and recovery
//! codes, which are drawn at random.

use chrono::{DateTime, Utc};
use hims_domain::user::{Event, SecondFactor};
use hims_domain::{Described, Invalid, Personal, Pointer, SessionId, Shape};
use hims_event_store::chain::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

/// How many wrong codes are allowed in a row. After these only a recovery code is right, so that nobody who knows the
/// password guesses a code: three of the million codes are right at any time.
pub(crate) const MOST_WRONG_CODES: u32 = 20;
/// How many recovery codes a user gets.
pub(crate) const RECOVERY_CODES: usize = 10;
/// How many characters of a code are read at most.
const LONGEST: usize = 100;

/// A code that a user gives: six digits of the second factor, or a recovery code. It is never logged or stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OneTimeCode(Zeroizing<String>);

impl OneTimeCode {
    /// Creates a code from its text.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The code without the spaces and hyphens between its groups, in capital letters.
    fn plain(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.chars().filter(char::is_ascii_alphanumeric).map(|it| it.to_ascii_uppercase()).collect())
    }
}

impl std::fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneTimeCode(…)")
    }
}

/// A code is only ever right or wrong, so no rule but its greatest length is checked.
impl Described for OneTimeCode {
    const SHAPE: Shape = Shape::Secret { min: 1, max: LONGEST };

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if self.0.chars().count() > LONGEST {
            invalid.push(at.invalid("give the six digits of the second factor, or a recovery code"));
        }
    }
}

/// A new secret of a second factor in base 32: 160 of the random bits, as RFC 4226 recommends.
pub(crate) fn new_secret(entropy: [u128; 2]) -> String {
    encoded::<20>(entropy)
}

/// A new recovery code: six groups of four letters and digits. Its 120 bits are so many that its hash needs no salt and
/// no slow function (NIST SP 800-63B, 5.1.2.2).
pub(crate) fn new_recovery_code(entropy: u128) -> String {
    let letters = encoded::<15>([entropy, 0]);
    let groups: Vec<_> = letters.as_bytes().chunks(4).map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    groups.join("-")
}

/// The first `BYTES` of the random bits in base 32.
fn encoded<const BYTES: usize>(entropy: [u128; 2]) -> String {
    let bytes = Zeroizing::new(entropy.map(u128::to_be_bytes).concat());
    Secret::from(&bytes[..BYTES]).to_base32()
}

/// The hash of a recovery code, however it is written.
pub(crate) fn recovery_code_hash(code: &OneTimeCode) -> String {
    hex(&Sha256::digest(code.plain().as_bytes()))
}

/// The address under which programs for one-time codes take a secret over, usually out of a picture (`otpauth://…`).
pub(crate) fn address(secret: &str, issuer: &str, account: &str) -> Option<String> {
    // A colon stands between the two names.
    let [issuer, account] = [issuer, account].map(|it| it.replace(':', " "));
    let secret = Secret::try_from_base32(secret).ok()?;
    Builder::new().with_secret(secret).with_issuer(Some(issuer)).with_account_name(account).build().ok()?.to_url().ok()
}

/// Six digits that change every 30 seconds, by HMAC-SHA-1, which is what every program for one-time codes knows. The
/// codes of the steps before and after the present one are right too.
fn totp(secret: &Personal<String>) -> Option<Totp> {
    Builder::new().with_secret(Secret::try_from_base32(secret.known()?).ok()?).build().ok()
}

/// The time step of a code of the second factor, if the code is right and neither it nor a later one was used before.
pub(crate) fn step_of(factor: &SecondFactor, code: &OneTimeCode, now: DateTime<Utc>) -> Option<u64> {
    let step = totp(&factor.second_factor_secret)?.check(&code.plain(), u64::try_from(now.timestamp()).ok()?)?;
    Some(step).filter(|step| factor.used_step.is_none_or(|used| *step > used))
}

/// What is recorded of a right code, so that it is right only once; `None` if the code is wrong. A recovery code is
/// recorded with the session for which it is given.
pub(crate) fn used(
    factor: &SecondFactor,
    code: &OneTimeCode,
    now: DateTime<Utc>,
    session_id: Option<SessionId>,
) -> Option<Event> {
    if factor.wrong_codes < MOST_WRONG_CODES
        && let Some(used_step) = step_of(factor, code, now)
    {
        return Some(Event::CodeUsed { used_step });
    }
    let recovery_code_hash = Personal::Known(recovery_code_hash(code));
    let left = factor.recovery_code_hashes.iter().filter(|it| **it != recovery_code_hash).count();
    let is_right = left < factor.recovery_code_hashes.len();
    is_right.then_some(Event::RecoveryCodeUsed { recovery_code_hash, left, session_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the vectors in RFC 6238, appendix B: `12345678901234567890`.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn factor() -> SecondFactor {
        SecondFactor {
            second_factor_secret: SECRET.to_owned().into(),
            is_confirmed: true,
            used_step: None,
            recovery_code_hashes: Vec::new(),
            wrong_codes: 0,
            recovered_in: None,
        }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    /// The steps of the vectors' times, and the last six of their eight digits.
    const VECTORS: [(i64, &str); 5] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (20_000_000_000, "353130"),
    ];

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (second, code) in VECTORS {
            let step = u64::try_from(second / 30).unwrap();
            assert_eq!(step_of(&factor(), &OneTimeCode::new(code), at(second)), Some(step), "{second}");
        }
        assert_eq!(step_of(&factor(), &OneTimeCode::new("287 082"), at(59)), Some(1), "groups are for people");
        for wrong in ["287083", "28708", "2870820", "", "abcdef", "٢٨٧٠٨٢"] {
            assert_eq!(step_of(&factor(), &OneTimeCode::new(wrong), at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn a_clock_may_be_one_step_ahead_or_behind() {
        let (code, step) = (OneTimeCode::new("005924"), 41_152_263);
        let first = 30 * step;
        for (second, is_right) in [(-31, false), (-30, true), (0, true), (59, true), (60, false)] {
            assert_eq!(step_of(&factor(), &code, at(first + second)).is_some(), is_right, "{second}");
        }
    }

    #[test]
    fn a_step_is_used_once_and_no_earlier_one_after_it() {
        let (code, step) = (OneTimeCode::new("287082"), 1);
        for (used_step, is_right) in [(None, true), (Some(0), true), (Some(step), false), (Some(step + 1), false)] {
            let event = used(&SecondFactor { used_step, ..factor() }, &code, at(59), None);
            assert_eq!(event, is_right.then_some(Event::CodeUsed { used_step: step }), "{used_step:?}");
        }
    }

    #[test]
    fn a_recovery_code_is_read_however_it_is_written() {
        let code = new_recovery_code(u128::MAX / 7);
        assert_eq!((code.len(), code.split('-').count()), (29, 6), "{code}");
        let hash = |text: &str| recovery_code_hash(&OneTimeCode::new(text));
        let recovery_code_hashes = vec![hash("other").into(), hash(&code).into()];
        let factor = SecondFactor { recovery_code_hashes, ..factor() };
        for written in [code.clone(), code.replace('-', ""), code.replace('-', " ").to_lowercase()] {
            let event = used(&factor, &OneTimeCode::new(&written), at(59), None);
            let expected =
                Event::RecoveryCodeUsed { recovery_code_hash: hash(&code).into(), left: 1, session_id: None };
            assert_eq!(event, Some(expected), "{written}");
        }
        assert_eq!(used(&factor, &OneTimeCode::new(&new_recovery_code(1)), at(59), None), None);
    }

    #[test]
    fn after_too_many_wrong_codes_only_a_recovery_code_is_right() {
        let hash = recovery_code_hash(&OneTimeCode::new("recovery"));
        let factor =
            |wrong_codes| SecondFactor { wrong_codes, recovery_code_hashes: vec![hash.clone().into()], ..factor() };
        let is_right = |wrong_codes, code| used(&factor(wrong_codes), &OneTimeCode::new(code), at(59), None).is_some();
        assert!(is_right(MOST_WRONG_CODES - 1, "287082") && !is_right(MOST_WRONG_CODES, "287082"));
        assert!(is_right(MOST_WRONG_CODES, "recovery"));
    }

    #[test]
    fn a_secret_has_160_bits_and_goes_into_an_address() {
        let secret = new_secret([u128::MAX / 3, u128::MAX / 5]);
        assert_eq!(secret.len(), 32);
        assert_ne!(secret, new_secret([u128::MAX / 3, u128::MAX / 7]), "bits of both draws count");
        let address = address(&secret, "St. Mary: West", "rosa@example.org").unwrap();
        assert!(address.starts_with("otpauth://totp/St.%20Mary%20%20West:rosa%40example.org?"), "{address}");
        assert!(address.contains(&format!("secret={secret}")), "{address}");
    }

    #[test]
    fn a_code_is_not_shown() {
        assert_eq!(format!("{:?}", OneTimeCode::new("287082")), "OneTimeCode(…)");
    }
}
