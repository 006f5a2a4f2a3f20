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
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
issued! {
    /// The number of an insurance claim: `CLM-`, ten digits, a check digit.
    ClaimNumber, "CLM-"
}

issued! {
    /// The number of a laboratory order: `LO-`, ten digits, a check digit.
    LabOrderNumber, "LO-"
}
issued! {
    /// The number on the label of a specimen: `SP-`, ten digits, a check digit.
    SpecimenNumber, "SP-"
}
issued! {
    /// The number of an invoice: `INV-`, ten digits, a check digit.
    InvoiceNumber, "INV-"
}
issued! {
    /// The number of a receipt for a payment or a refund: `RC-`, ten digits, a check digit.
    ReceiptNumber, "RC-"
}

/// What may stand between the digits of a card number: a blank or a mark, but no letter.
fn is_between_digits(it: char) -> bool {
    it.is_whitespace() || "-._/\u{2010}\u{2011}\u{2012}\u{2013}".contains(it)
}

/// An ASCII digit, or the same in full width.
fn digit(it: char) -> Option<char> {
    match it {
        '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(it) - 0xff10, 10),
        _ => Some(it).filter(char::is_ascii_digit),
    }
}

/// Whether a text holds the number of a payment card: 13 to 19 digits, also in groups with blanks, hyphens, dots or
/// slashes between them, of which the last is the check digit of the others. Such a number must not be stored.
pub fn holds_card_number(text: &str) -> bool {
    text.split(|it: char| digit(it).is_none() && !is_between_digits(it)).any(|group| {
        let digits: String = group.chars().filter_map(digit).collect();
        (13..=19).contains(&digits.len())
            && digits
                .split_at_checked(digits.len() - 1)
                .is_some_and(|(number, check)| check == luhn(number).to_string())
    })
}

/// A social security number of the United States, as `AAA-GG-SSSS`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Ssn(String);

impl Ssn {
    /// Reads a social security number of nine digits, with or without hyphens. The Social Security Administration never
    /// issues a number that begins with 000, 666 or 9, or that has only zeros in its second or third part.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let digits: String = text.chars().filter(|it| *it != '-').collect();
        if digits.len() != 9 || !digits.bytes().all(|it| it.is_ascii_digit()) {
            return Err("give nine digits, such as 123-45-6789");
        }
        let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
        if matches!(area, "000" | "666") || area.starts_with('9') || group == "00" || serial == "0000" {
            return Err("give a number that can exist: none begins with 000, 666 or 9, or has a part of zeros only");
        }
        Ok(Self(format!("{area}-{group}-{serial}")))
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

normalised!(Ssn, 11, "");

/// The number under which the Drug Enforcement Administration of the United States registers whoever deals with
/// controlled substances: two letters, six digits, a check digit. The second letter may be a 9, which stands for the
/// name of a business.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct DeaNumber(String);

impl DeaNumber {
    /// Reads a number in upper or lower case. The check digit is the last digit of the sum of the first, third and fifth
    /// digit and twice the second, fourth and sixth.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "give two letters, six digits and the check digit, such as AB1234563";
        let text = text.trim().to_ascii_uppercase();
        let (letters, digits) = text.split_at_checked(2).ok_or(RULE)?;
        let named = matches!(letters.as_bytes(), [b'A'..=b'Z', b'A'..=b'Z' | b'9']);
        let digits: Option<Vec<u32>> = digits.chars().map(|it| it.to_digit(10)).collect();
        let Some([first @ .., check]) = digits.as_deref().filter(|it| named && it.len() == 7) else { return Err(RULE) };
        let sum: u32 = first.iter().zip([1, 2].into_iter().cycle()).map(|(digit, weight)| digit * weight).sum();
        if sum % 10 == *check {
            Ok(Self(text))
        } else {
            Err("the check digit does not match; look for a mistyped digit")
        }
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

normalised!(DeaNumber, 9, "");

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
    fn the_number_of_a_card_is_found_by_its_check_digit() {
        for text in ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "Visa 378282246310005 ok"] {
            assert!(holds_card_number(text), "{text}");
        }
        // Too short, too long, a wrong check digit, two numbers, and no number at all.
        for text in ["411111111111", "41111111111111111111", "4111111111111112", "check 4711, 1111111111", "ends 1111"]
        {
            assert!(!holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn the_check_digit_of_a_dea_number_finds_a_mistyped_digit() {
        for (given, read) in [("AB1234563", "AB1234563"), (" ab1234563 ", "AB1234563"), ("F91234563", "F91234563")] {
            assert_eq!(DeaNumber::parse(given).map(|it| it.0), Ok(read.to_owned()));
        }
        for given in ["AB1234564", "AB1234653", "A11234563", "AB123456", "AB12345634", "1B1234563", "ÄB1234563", ""] {
            assert!(DeaNumber::parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_social_security_number_is_nine_digits() {
        assert_eq!(Ssn::parse("123456789").map(|it| it.0), Ok("123-45-6789".to_owned()));
        for given in ["23-45-6789", "123-45-678é", "1234567890", ""] {
            assert!(Ssn::parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_social_security_number_that_is_never_issued_is_refused() {
        for given in ["000-12-3456", "666-12-3456", "900-12-3456", "999-12-3456", "123-00-4567", "123-45-0000"] {
            assert!(Ssn::parse(given).is_err(), "{given}");
        }
        for given in ["001-01-0001", "665-12-3456", "667-12-3456", "899-99-9999"] {
            assert!(Ssn::parse(given).is_ok(), "{given}");
        }
    }
}
