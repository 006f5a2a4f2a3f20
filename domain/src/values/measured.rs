use std::fmt;

use rust_decimal::{Decimal, dec};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// How many decimals a measured number has at most.
const DECIMALS: u32 = 6;

/// A number that was measured, or a limit for such numbers: exact, with at most six decimals and at most twelve digits
/// before the decimal point. Zeros at the end of the decimals are removed when a number is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Measured(Decimal);

impl Measured {
    /// The exact number.
    pub fn number(self) -> Decimal {
        self.0
    }
}

impl From<Decimal> for Measured {
    fn from(number: Decimal) -> Self {
        Self(number.normalize())
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Measured {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Decimal as Deserialize>::deserialize(deserializer).map(Self::from)
    }
}

impl Described for Measured {
    const SHAPE: Shape = Shape::Decimal;

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if self.0.scale() > DECIMALS || self.0.abs() >= dec!(1_000_000_000_000) {
            invalid.push(at.invalid("give a number with at most six decimals, and twelve digits before the point"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_number_is_exact_and_without_zeros_at_its_end() {
        let read = |text: &str| Measured::from(text.parse::<Decimal>().unwrap());
        for (text, kept, is_valid) in [
            ("4.10", "4.1", true),
            ("-3", "-3", true),
            ("100", "100", true),
            ("0.000001", "0.000001", true),
            ("0.0000010", "0.000001", true),
            ("0.0000001", "0.0000001", false),
            ("999999999999.999999", "999999999999.999999", true),
            ("-1000000000000", "-1000000000000", false),
        ] {
            assert_eq!(read(text).to_string(), kept);
            assert_eq!(read(text).is_valid(), is_valid, "{text}");
        }
    }
}
