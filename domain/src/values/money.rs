use std::fmt;

use rust_decimal::{Decimal, dec};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// How many decimals an amount of money and a percentage have.
const DECIMALS: u32 = 2;

/// The number with two decimals. A number that has more decimals stays as it is, since it breaks the rule of its kind.
fn with_two_decimals(mut number: Decimal) -> Decimal {
    if number.normalize().scale() <= DECIMALS {
        number.rescale(DECIMALS);
    }
    number
}

macro_rules! two_decimals {
    ($(#[doc = $about:literal])* $name:ident up to $greatest:expr, $rule:literal) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Decimal);

        impl $name {
            /// The exact number.
            pub fn number(self) -> Decimal {
                self.0
            }
        }

        impl From<Decimal> for $name {
            fn from(number: Decimal) -> Self {
                Self(with_two_decimals(number))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <Decimal as Deserialize>::deserialize(deserializer).map(Self::from)
            }
        }

        impl Described for $name {
            const SHAPE: Shape = Shape::Decimal;

            fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
                if self.0.scale() > DECIMALS || !(Decimal::ZERO..=$greatest).contains(&self.0) {
                    invalid.push(at.invalid($rule));
                }
            }
        }
    };
}

two_decimals! {
    /// An amount of money in the currency of the hospital, exact to two decimals: 0 to 99,999,999.99.
    Money up to dec!(99_999_999.99), "give an amount of 0 to 99999999.99, with at most two decimals"
}
two_decimals! {
    /// A percentage, exact to two decimals: 0 to 100.
    Percent up to dec!(100), "give a percentage of 0 to 100, with at most two decimals"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse::<Decimal>().unwrap().into()
    }

    #[test]
    fn an_amount_is_written_with_two_decimals_whatever_it_is_read_with() {
        for (text, written) in [("25", "25.00"), ("12.5", "12.50"), ("12.5000", "12.50"), ("0", "0.00")] {
            assert_eq!(money(text).to_string(), written);
            assert!(money(text).is_valid(), "{text}");
        }
        assert_eq!(money("12.5"), money("12.500"));
    }

    #[test]
    fn an_amount_is_not_negative_not_finer_than_a_cent_and_not_beyond_the_column() {
        assert!(money("99999999.99").is_valid());
        for text in ["-0.01", "0.001", "12.345", "100000000"] {
            assert!(!money(text).is_valid(), "{text}");
        }
        assert_eq!(money("12.345").number(), dec!(12.345), "an amount is never rounded in silence");
    }

    #[test]
    fn a_percentage_is_0_to_100() {
        for (number, is_valid) in
            [(dec!(0), true), (dec!(20), true), (dec!(100), true), (dec!(100.01), false), (dec!(-1), false)]
        {
            assert_eq!(Percent::from(number).is_valid(), is_valid, "{number}");
        }
    }
}
