//! The arithmetic of a line: exact decimals, rounded to cents at three places and nowhere else.

use rust_decimal::{Decimal, dec};
use serde::{Deserialize, Serialize};

use super::{Item, Priced};
use crate::values::to_cents;

/// What a line charges. Each amount is rounded for itself, and sums are sums of these amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Charge {
    /// The price of the quantity.
    pub gross: Decimal,
    /// What is taken off the price; at most the price.
    pub discount: Decimal,
    /// The tax on what is left.
    pub tax: Decimal,
}

impl Charge {
    /// Computes the charge of an item at a price.
    pub fn of(item: &Item, priced: &Priced) -> Self {
        let percent_of = |amount: Decimal, percent: Decimal| to_cents(amount * percent / dec!(100));
        let gross = to_cents(item.quantity * priced.unit_price.number());
        let discount = match (item.discount_amount, item.discount_percent) {
            (Some(amount), _) => amount.number(),
            (None, Some(percent)) => percent_of(gross, percent.number()),
            (None, None) => Decimal::ZERO,
        };
        let discount = to_cents(discount.min(gross));
        Self { gross, discount, tax: percent_of(gross - discount, priced.tax_rate.number()) }
    }

    /// What is to be paid for the line.
    pub fn amount(&self) -> Decimal {
        self.gross - self.discount + self.tax
    }
}

impl std::ops::Add for Charge {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (gross, discount, tax) = (self.gross + other.gross, self.discount + other.discount, self.tax + other.tax);
        Self { gross, discount, tax }
    }
}

impl std::iter::Sum for Charge {
    fn sum<I: Iterator<Item = Self>>(charges: I) -> Self {
        charges.fold(Self::default(), std::ops::Add::add)
    }
}
