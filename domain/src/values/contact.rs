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

/// A phone number in E.164, a plus and 8 to 15 digits. The digits of an extension may follow, as in RFC 3966:
/// `+15554153084` or `+15554153084;ext=21`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Phone(String);

impl Phone {
    /// What is said of a text that is no phone number.
    pub const RULE: &str = "give a phone number that exists, with its country if abroad, such as +1 555 415 3084";

    /// Reads a phone number in this form. A number as people write it is read by the commands, which know the
    /// numbering plans of the countries.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_number = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
        let text = text.trim();
        let digits = text.strip_prefix('+').ok_or(Self::RULE)?;
        let (number, extension) = digits.split_once(";ext=").unwrap_or((digits, "0"));
        let ok = (8..=15).contains(&number.len())
            && (1..=11).contains(&extension.len())
            && is_number(number)
            && is_number(extension)
            && !number.starts_with('0');
        if ok { Ok(Self(text.to_owned())) } else { Err(Self::RULE) }
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
normalised!(Phone, 40, "phone");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_number_is_e164_with_or_without_an_extension() {
        for given in ["+15554153084", "+4930901820", "+15554153084;ext=021"] {
            assert_eq!(Phone::parse(given).map(|it| it.0), Ok(given.to_owned()));
        }
        for given in [
            "",
            "hello",
            "+12",
            "555-415-3084",
            "+0555415308",
            "+1555415308415555",
            "+1 555 415 3084",
            "+15554153084;ext=",
            "+15554153084;ext=123456789012",
            "+15554153084;ext=1;ext=2",
            "+1555415308é",
        ] {
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
