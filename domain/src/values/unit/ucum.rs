use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// How many characters a code has at most.
const LONGEST: usize = 20;

/// The unit of a laboratory value, as a code of the Unified Code for Units of Measure (UCUM), such as `mmol/L`, `%` or
/// `10*3/uL`. A code is kept as it is written, since UCUM tells upper from lower case; nothing but the characters of
/// the code is checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UcumCode(String);

impl UcumCode {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UcumCode {
    fn from(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl fmt::Display for UcumCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UcumCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

impl Described for UcumCode {
    const SHAPE: Shape = Shape::Text { max: LONGEST, format: "" };

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        let is_code = self.0.bytes().all(|it| it.is_ascii_graphic());
        if !is_code || !(1..=LONGEST).contains(&self.0.len()) {
            invalid.push(at.invalid("give a UCUM code such as mmol/L: 1 to 20 ASCII characters without spaces"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ucum_code_is_kept_as_it_is_written() {
        for code in ["%", "mmol/L", "U/L", "10*3/uL", "mL/min/{1.73_m2}", "{score}", "[pH]", "/[HPF]"] {
            let read = UcumCode::from(code);
            assert!(read.is_valid(), "{code}");
            assert_eq!(read.as_str(), code);
        }
        for text in ["", " ", "mmol / L", "\u{b5}g/L", "mL/min/1.73 m2", "milligrams_per_decilitre"] {
            assert!(!UcumCode::from(text).is_valid(), "{text}");
        }
    }
}
