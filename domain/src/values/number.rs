use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::contact::normalised;
use crate::{Described, Invalid, Pointer, Shape};

/// Makes a number of ten digits and a check digit (Luhn, ISO/IEC 7812-1), so that one mistyped digit is noticed.
fn checked(entropy: u64) -> String {
    let digits = format!("{:010}", entropy % 10_000_000_000);
    format!("{digits}{}", luhn(&digits))
}

/// The Luhn check digit of a string of digits.
fn luhn(digits: &str) -> u32 {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    (10 - sum % 10) % 10
}

macro_rules! issued {
    ($(#[doc = $about:literal])* $name:ident, $prefix:literal) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// Makes a number from a random value. Whether the number is still free is decided by its unique claim.
            pub fn issue(entropy: u64) -> Self {
                Self(format!(concat!($prefix, "{}"), checked(entropy)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

issued! {
    /// A medical record number of this hospital: `MRN-`, ten digits, a check digit.
    Mrn, "MRN-"
}
issued! {
    /// The number of a prescription: `RX-`, ten digits, a check digit.
    PrescriptionNumber, "RX-"
}

/// A social security number of the United States, as `AAA-GG-SSSS`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Ssn(String);

impl Ssn {
    /// Reads a social security number of nine digits, with or without hyphens.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let digits: String = text.chars().filter(|it| *it != '-').collect();
        if digits.len() == 9 && digits.bytes().all(|it| it.is_ascii_digit()) {
            Ok(Self(format!("{}-{}-{}", &digits[..3], &digits[3..5], &digits[5..])))
        } else {
            Err("give nine digits, such as 999-12-3456")
        }
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

normalised!(Ssn, 11, "");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_luhns() {
        assert_eq!(luhn("7992739871"), 3);
        assert_eq!(Mrn::issue(7_992_739_871).0, "MRN-79927398713");
        assert_eq!(PrescriptionNumber::issue(1).0.len(), "RX-".len() + 11);
    }

    #[test]
    fn a_social_security_number_is_nine_digits() {
        assert_eq!(Ssn::parse("999123456").map(|it| it.0), Ok("999-12-3456".to_owned()));
        assert!(Ssn::parse("99-12-3456").is_err());
        assert!(Ssn::parse("999-12-345é").is_err());
    }
}
