use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// An e-mail address, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    const MAX: usize = 255;

    /// Reads an e-mail address: a local part in the characters of `dot-atom` (RFC 5322), one `@`, and a domain with a
    /// dot.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "give an e-mail address such as name@example.org";
        let text = text.trim().to_lowercase();
        let (local, domain) = text.split_once('@').ok_or(RULE)?;
        let atom = |letter: char| letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter);
        let host = |letter: char| letter.is_alphanumeric() || letter == '-';
        let dotted = |part: &str| !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
        let ok = text.len() <= Self::MAX
            && !local.is_empty()
            && local.chars().all(atom)
            && dotted(local)
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty() && label.chars().all(host))
            && domain.rsplit('.').next().is_some_and(|label| label.chars().count() >= 2);
        if ok { Ok(Self(text)) } else { Err(RULE) }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A phone number in E.164: a plus and 8 to 15 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Phone(String);

impl Phone {
    /// Reads a phone number as people write it. Ten digits without a country code are taken as a North American number.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "give a phone number with its country, such as +1 555 415 3084";
        let text = text.trim();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_allowed = |letter: char| letter.is_ascii_digit() || " -.()/+".contains(letter);
        if !text.chars().all(is_allowed) || text.rfind('+').is_some_and(|at| at > 0) {
            return Err(RULE);
        }
        let international = match (text.starts_with('+'), digits.strip_prefix("00"), digits.len()) {
            (true, _, _) => digits,
            (false, Some(rest), _) => rest.to_owned(),
            (false, None, 10) => format!("1{digits}"),
            (false, None, 11) if digits.starts_with('1') => digits,
            _ => return Err(RULE),
        };
        if (8..=15).contains(&international.len()) && !international.starts_with('0') {
            Ok(Self(format!("+{international}")))
        } else {
            Err(RULE)
        }
    }

    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! normalised {
    ($name:ident, $max:expr, $format:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Ok(Self::parse(&text).unwrap_or(Self(text)))
            }
        }

        impl Described for $name {
            const SHAPE: Shape = Shape::Text { max: $max, format: $format };

            fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
                if let Err(rule) = Self::parse(&self.0) {
                    invalid.push(at.invalid(rule));
                }
            }
        }
    };
}
pub(super) use normalised;

normalised!(Email, 255, "email");
normalised!(Phone, 40, "");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_phone_numbers_are_normalised() {
        for (given, stored) in [
            ("555-415-3084", "+15554153084"),
            ("(555) 415-3084", "+15554153084"),
            ("1-555-415-3084", "+15554153084"),
            ("+49 30 901820", "+4930901820"),
            ("0049 30 901820", "+4930901820"),
        ] {
            assert_eq!(Phone::parse(given).map(|it| it.0), Ok(stored.to_owned()), "{given}");
        }
    }

    #[test]
    fn what_is_no_phone_number_is_refused() {
        for given in ["", "hello", "12", "0555 415", "+1 555+415 3084", "555-415-3084 ext 3"] {
            assert!(Phone::parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn addresses_are_lower_case_and_may_hold_an_apostrophe() {
        assert_eq!(Email::parse(" O'Brien@Example.ORG ").map(|it| it.0), Ok("o'brien@example.org".to_owned()));
        for given in ["a@b", "@example.org", "a b@example.org", "a@@example.org", "a..b@example.org", "a@-.c"] {
            assert!(Email::parse(given).is_err(), "{given}");
        }
    }
}
