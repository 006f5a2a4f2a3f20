use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy, dec};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// The code of a currency (ISO 4217), such as `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Currency([u8; 3]);

impl Default for Currency {
    fn default() -> Self {
        Self(*b"USD")
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.0.iter().copied().map(char::from).collect()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = <[u8; 3]>::try_from(text.trim().as_bytes()).ok();
        let letters = letters.filter(|it| it.iter().all(u8::is_ascii_alphabetic));
        letters
            .map(|it| Self(it.map(|letter| letter.to_ascii_uppercase())))
            .ok_or("a currency is a code of three letters (ISO 4217), such as USD")
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Rounds an amount of money to two decimals, half away from zero: 1.225 is 1.23, and -1.225 is -1.23. Invoices and
/// payers round so, and PostgreSQL's `round(numeric)` too.
pub fn to_cents(amount: Decimal) -> Decimal {
    let mut rounded = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(2);
    rounded
}

/// The number with a number of decimals. A number that has more decimals stays as it is, since it breaks the rule of
/// its kind.
fn with_decimals(mut number: Decimal, decimals: u32) -> Decimal {
    if number.normalize().scale() <= decimals {
        number.rescale(decimals);
    }
    number
}

macro_rules! exact {
    ($(#[doc = $about:literal])* $name:ident of $decimals:literal decimals up to $greatest:expr, $rule:literal) => {
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

        impl Default for $name {
            fn default() -> Self {
                Self::from(Decimal::ZERO)
            }
        }

        impl From<Decimal> for $name {
            fn from(number: Decimal) -> Self {
                Self(with_decimals(number, $decimals))
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
                if self.0.scale() > $decimals || !(Decimal::ZERO..=$greatest).contains(&self.0) {
                    invalid.push(at.invalid($rule));
                }
            }
        }
    };
}

exact! {
    /// An amount of money in the currency of the hospital, exact to two decimals: 0 to 99,999,999.99.
    Money of 2 decimals up to dec!(99_999_999.99), "give an amount of 0 to 99999999.99, with at most two decimals"
}
exact! {
    /// A percentage, exact to two decimals: 0 to 100.
    Percent of 2 decimals up to dec!(100), "give a percentage of 0 to 100, with at most two decimals"
}

exact! {
    /// The price of one unit, exact to four decimals: 0 to 99,999,999.9999. Only the price of a quantity is rounded.
    UnitPrice of 4 decimals up to dec!(99_999_999.9999), "give a price of 0 to 99999999.9999, with at most four decimals"
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

    #[test]
    fn money_is_rounded_half_away_from_zero() {
        for (number, rounded) in [
            (dec!(1.225), "1.23"),
            (dec!(-1.225), "-1.23"),
            (dec!(1.2249999), "1.22"),
            (dec!(0.0705), "0.07"),
            (dec!(0.005), "0.01"),
            (dec!(2.5), "2.50"),
            (dec!(0), "0.00"),
        ] {
            assert_eq!(to_cents(number).to_string(), rounded, "{number}");
        }
    }

    #[test]
    fn a_currency_is_a_code_of_three_letters() {
        assert_eq!("eur".parse::<Currency>().map(|it| it.to_string()).as_deref(), Ok("EUR"));
        assert_eq!(Currency::default().to_string(), "USD");
        for text in ["", "EU", "EURO", "E1R", "€"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_price_of_a_unit_has_four_decimals() {
        assert_eq!(UnitPrice::from(dec!(0.0235)).to_string(), "0.0235");
        assert!(UnitPrice::from(dec!(99_999_999.9999)).is_valid());
        for wrong in [dec!(0.02355), dec!(-1), dec!(100_000_000)] {
            assert!(!UnitPrice::from(wrong).is_valid(), "{wrong}");
        }
    }
}
