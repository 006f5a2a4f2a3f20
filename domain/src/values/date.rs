use std::fmt;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// A date of which the day, or the month and the day, may be unknown (FHIR `date`): `1987-03-05`, `1987-03` or `1987`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PartialDate(String);

impl PartialDate {
    /// Reads a date of one to three parts: the year, the month, the day.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "give a date such as 1987-03-05, 1987-03 or 1987, in the years 1800 to 9999";
        let text = text.trim();
        let parts: Vec<&str> = text.split('-').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
        if !parts.iter().all(is_number) || parts[0].len() != 4 || parts[1..].iter().any(|it| it.len() > 2) {
            return Err(RULE);
        }
        let number = |nth: usize| parts.get(nth).map_or(Some(1), |it| it.parse().ok());
        let year = parts[0].parse().ok().filter(|year| (1800..=9999).contains(year));
        let date = match (parts.len(), year, number(1), number(2)) {
            (1..=3, Some(year), Some(month), Some(day)) => NaiveDate::from_ymd_opt(year, month, day),
            _ => None,
        };
        date.map(|date| Self::of(date, parts.len())).ok_or(RULE)
    }

    fn of(date: NaiveDate, parts: usize) -> Self {
        let whole = date.to_string();
        let length = match parts {
            1 => 4,
            2 => 7,
            _ => 10,
        };
        Self(whole[..length].to_owned())
    }

    /// How many parts are known: 1 for the year, 2 for year and month, 3 for the whole date.
    pub fn parts(&self) -> usize {
        self.0.split('-').count()
    }

    /// The date with only its first parts, such as the year; a date that has fewer parts stays as it is.
    #[must_use]
    pub fn cut_to(&self, parts: usize) -> Self {
        Self(self.0.split('-').take(parts).collect::<Vec<_>>().join("-"))
    }

    /// The first day that the date can mean; `None` if the text is not a date.
    pub fn first_day(&self) -> Option<NaiveDate> {
        match self.parts() {
            1 => format!("{}-01-01", self.0).parse().ok(),
            2 => format!("{}-01", self.0).parse().ok(),
            _ => self.0.parse().ok(),
        }
    }

    /// The last day that the date can mean; `None` if the text is not a date.
    pub fn last_day(&self) -> Option<NaiveDate> {
        let first = self.first_day()?;
        let next = match self.parts() {
            1 => NaiveDate::from_ymd_opt(first.year() + 1, 1, 1)?,
            2 => first.checked_add_months(chrono::Months::new(1))?,
            _ => return Some(first),
        };
        next.pred_opt()
    }

    /// The date as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<NaiveDate> for PartialDate {
    fn from(date: NaiveDate) -> Self {
        Self::of(date, 3)
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PartialDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::parse(&text).unwrap_or(Self(text)))
    }
}

impl Described for PartialDate {
    const SHAPE: Shape = Shape::PartialDate;

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if let Err(rule) = Self::parse(&self.0) {
            invalid.push(at.invalid(rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> PartialDate {
        PartialDate::parse(text).unwrap()
    }

    #[test]
    fn a_date_may_lack_its_day_or_its_month() {
        for (text, parts, first, last) in [
            ("1987", 1, "1987-01-01", "1987-12-31"),
            ("1988-2", 2, "1988-02-01", "1988-02-29"),
            ("1987-12", 2, "1987-12-01", "1987-12-31"),
            ("1987-03-05", 3, "1987-03-05", "1987-03-05"),
        ] {
            let date = date(text);
            assert_eq!(
                (date.parts(), date.first_day(), date.last_day()),
                (parts, first.parse().ok(), last.parse().ok()),
                "{text}"
            );
        }
        assert_eq!(date("1987-03-05").cut_to(1), date("1987"));
        assert_eq!(date("1987").cut_to(3), date("1987"));
        assert_eq!(date("1987-3-5").as_str(), "1987-03-05");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "87", "1987-13", "1987-02-29", "1987-00", "1987-1-1-1", "1987-", "1799", "-987", "next year"] {
            assert!(PartialDate::parse(text).is_err(), "{text}");
        }
    }
}
