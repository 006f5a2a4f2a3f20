//! How a value compares with the reference ranges of its test, and with the patient's earlier value.

use std::iter::once;
use std::ops::RangeInclusive;

use chrono::NaiveDate;
use rust_decimal::{Decimal, RoundingStrategy, dec};
use serde::{Deserialize, Serialize};

use super::{Comparator, Flag};
use crate::lab_test::{Component, Range, Sex};
use crate::patient::{Demographics, Gender};
use crate::values::Measured;

/// The age that nobody exceeds, in days.
const OLDEST: i64 = 55_000;

/// The limits of the reference range with which a value was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The least normal number.
    pub low: Option<Measured>,
    /// The greatest normal number.
    pub high: Option<Measured>,
    /// The greatest number that is critically low.
    pub critical_low: Option<Measured>,
    /// The least number that is critically high.
    pub critical_high: Option<Measured>,
}

impl From<&Range> for Limits {
    fn from(range: &Range) -> Self {
        let Range { low, high, critical_low, critical_high, .. } = *range;
        Self { low, high, critical_low, critical_high }
    }
}

/// The ages that a patient may have on a day, in whole days since birth: one age if the day of birth is known, and
/// every age if nothing is known of it. `None` if the date of birth was erased, or lies after the day.
pub fn ages(patient: &Demographics, on: NaiveDate) -> Option<RangeInclusive<i64>> {
    if patient.date_of_birth.is_none() {
        return Some(0..=OLDEST);
    }
    let born = patient.days_of_birth()?;
    let age = |day: NaiveDate| (on - day).num_days();
    let (youngest, oldest) = (age(*born.end()), age(*born.start()));
    (oldest >= 0).then_some(youngest.max(0)..=oldest)
}

/// Whether a range for a sex is for a patient. A patient whose gender is other or unknown has only the ranges for
/// everybody.
fn is_for(sex: Sex, gender: Gender) -> bool {
    match sex {
        Sex::Any => true,
        Sex::Male => gender == Gender::Male,
        Sex::Female => gender == Gender::Female,
    }
}

/// The range for a patient of an age: one for the patient's sex before one for everybody, and then the range with the
/// fewest ages.
fn at_age(ranges: &[Range], gender: Gender, age: i64) -> Option<&Range> {
    let is_of_age =
        |it: &Range| i64::from(it.age_from_days) <= age && it.age_to_days.is_none_or(|oldest| age <= i64::from(oldest));
    let breadth =
        |it: &Range| it.age_to_days.map_or(i64::MAX, |oldest| i64::from(oldest) - i64::from(it.age_from_days));
    let applying = ranges.iter().filter(|it| is_for(it.sex, gender) && is_of_age(it));
    applying.min_by_key(|it| (it.sex == Sex::Any, breadth(it)))
}

/// The limits that apply to a patient. `None` if no range applies, or if ranges with different limits apply at the ages
/// that the patient may have.
pub fn limits_for(ranges: &[Range], gender: Gender, ages: &RangeInclusive<i64>) -> Option<Limits> {
    let bounds = ranges
        .iter()
        .flat_map(|range| [Some(range.age_from_days.into()), range.age_to_days.map(|it| i64::from(it) + 1)]);
    let turns = bounds.flatten().filter(|age: &i64| ages.start() < age && age <= ages.end());
    let mut limits = once(*ages.start()).chain(turns).map(|age| at_age(ranges, gender, age).map(Limits::from));
    let first = limits.next()??;
    limits.all(|it| it == Some(first)).then_some(first)
}

/// The numbers that a value may stand for: one number, or with a comparator a part of the line of numbers.
struct Line {
    /// The least number, and whether it is one of the numbers; `None` without an end.
    least: Option<(Decimal, bool)>,
    /// The greatest number, and whether it is one of the numbers; `None` without an end.
    greatest: Option<(Decimal, bool)>,
}

impl Line {
    /// The numbers that a value may stand for. A value with a comparator, such as "less than 5", reaches down to the
    /// least possible number, or to zero if the range has no number below zero.
    fn of(number: Decimal, comparator: Option<Comparator>, component: &Component, limits: &Limits) -> Self {
        let known = [limits.critical_low, limits.low, limits.high, limits.critical_high];
        let is_positive = number > Decimal::ZERO && known.iter().flatten().all(|it| it.number() >= Decimal::ZERO);
        let floor = component.possible_low.map(Measured::number).or(is_positive.then_some(Decimal::ZERO));
        let floor = floor.map(|it| (it, true));
        let ceiling = component.possible_high.map(|it| (it.number(), true));
        match comparator {
            None => Self { least: Some((number, true)), greatest: Some((number, true)) },
            Some(Comparator::Below) => Self { least: floor, greatest: Some((number, false)) },
            Some(Comparator::AtMost) => Self { least: floor, greatest: Some((number, true)) },
            Some(Comparator::AtLeast) => Self { least: Some((number, true)), greatest: ceiling },
            Some(Comparator::Above) => Self { least: Some((number, false)), greatest: ceiling },
        }
    }

    fn is_at_most(&self, limit: Decimal) -> bool {
        self.greatest.is_some_and(|(number, _)| number <= limit)
    }

    fn is_below(&self, limit: Decimal) -> bool {
        self.greatest.is_some_and(|(number, is_in)| number < limit || number == limit && !is_in)
    }

    fn is_at_least(&self, limit: Decimal) -> bool {
        self.least.is_some_and(|(number, _)| number >= limit)
    }

    fn is_above(&self, limit: Decimal) -> bool {
        self.least.is_some_and(|(number, is_in)| number > limit || number == limit && !is_in)
    }
}

/// The flag of a number, compared with the limits that apply to the patient. A value with a comparator has the flag that
/// is right for every number for which the value may stand; `None` if there is no such flag.
pub fn flag_of(
    number: Decimal,
    comparator: Option<Comparator>,
    component: &Component,
    limits: &Limits,
) -> Option<Flag> {
    let line = Line::of(number, comparator, component, limits);
    let [critical_low, low, high, critical_high] =
        [limits.critical_low, limits.low, limits.high, limits.critical_high].map(|it| it.map(Measured::number));
    if critical_low.is_some_and(|it| line.is_at_most(it)) {
        Some(Flag::CriticalLow)
    } else if critical_high.is_some_and(|it| line.is_at_least(it)) {
        Some(Flag::CriticalHigh)
    } else if low.is_some_and(|it| line.is_below(it)) {
        Some(Flag::Low)
    } else if high.is_some_and(|it| line.is_above(it)) {
        Some(Flag::High)
    } else {
        let is_normal = low.is_none_or(|it| line.is_at_least(it))
            && high.is_none_or(|it| line.is_at_most(it))
            && critical_low.is_none_or(|it| line.is_above(it))
            && critical_high.is_none_or(|it| line.is_below(it));
        is_normal.then_some(Flag::Normal)
    }
}

/// By how many percent a number differs from an earlier one, with one decimal. `None` if the earlier number is zero.
pub fn change_in_percent(earlier: Decimal, now: Decimal) -> Option<Decimal> {
    let change = (now - earlier).abs().checked_div(earlier.abs())?.checked_mul(dec!(100))?;
    Some(change.round_dp_with_strategy(1, RoundingStrategy::MidpointNearestEven))
}

/// The worst of the flags of several components. Normal only if each component is; `None` if none is worse than normal
/// but some have no flag. What is abnormal without being high or low has no place in this order.
pub fn worst(flags: impl IntoIterator<Item = Option<Flag>>) -> Option<Flag> {
    let rank = |flag: Option<Flag>| match flag {
        Some(Flag::Normal) => 0,
        None | Some(Flag::Abnormal) => 1,
        Some(Flag::Low | Flag::High) => 2,
        Some(Flag::CriticalLow | Flag::CriticalHigh) => 3,
    };
    flags.into_iter().max_by_key(|it| rank(*it)).flatten().filter(|it| *it != Flag::Abnormal)
}
