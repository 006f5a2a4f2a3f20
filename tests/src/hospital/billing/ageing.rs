//! What is owed by age, computed apart from PostgreSQL.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;

/// The buckets of age, from the youngest to the oldest.
pub(in crate::hospital) const BUCKETS: [&str; 6] = ["not due", "1-30", "31-60", "61-90", "91-120", "over 120"];

/// An amount that is owed, with the day on which it is due.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::hospital) struct Owed {
    pub(in crate::hospital) due_date: Option<NaiveDate>,
    pub(in crate::hospital) amount: Decimal,
}

/// The bucket of an amount on a day.
fn bucket(due_date: Option<NaiveDate>, on: NaiveDate) -> &'static str {
    let days = due_date.map_or(0, |it| (on - it).num_days());
    let place = match days {
        ..=0 => 0,
        1..=30 => 1,
        31..=60 => 2,
        61..=90 => 3,
        91..=120 => 4,
        _ => 5,
    };
    BUCKETS[place]
}

/// What is owed on a day, by bucket.
pub(in crate::hospital) fn by_age(owed: &[Owed], on: NaiveDate) -> BTreeMap<String, Decimal> {
    let mut sums = BTreeMap::new();
    for it in owed.iter().filter(|it| !it.amount.is_zero()) {
        *sums.entry(bucket(it.due_date, on).to_owned()).or_default() += it.amount;
    }
    sums
}
