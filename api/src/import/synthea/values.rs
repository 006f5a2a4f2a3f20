//! The values of columns.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer};

use super::files::Problem;

/// A day or a time, as the file writes it. Which of the two stands in a column depends on the version of Synthea.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    pub(super) text: String,
    day: NaiveDate,
    time: Option<DateTime<Utc>>,
}

impl When {
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = match DateTime::parse_from_rfc3339(text) {
            Ok(time) => (time.date_naive(), Some(time.to_utc())),
            Err(_) => (NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?, None),
        };
        Some(Self { text: text.to_owned(), day, time })
    }

    /// Whether this lies before another day or time. If one of them is a day, the days are compared.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        match (self.time, other.time) {
            (Some(one), Some(other)) => one < other,
            _ => self.day < other.day,
        }
    }

    /// The whole days until another day or time.
    pub(super) fn days_until(&self, other: &Self) -> i64 {
        (other.day - self.day).num_days()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(text.trim()).ok_or_else(|| serde::de::Error::custom("neither a day nor a time"))
    }
}

/// Checks that an end, if there is one, does not lie before the start.
pub(super) fn check_order(start: &When, stop: Option<&When>) -> Result<(), Problem> {
    if stop.is_some_and(|it| it.is_before(start)) { Err("STOP lies before START") } else { Ok(()) }
}

/// A text of a column; `None` if the column is empty.
pub(super) fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_compared_as_far_as_both_are_known() {
        let when = |text| When::parse(text).unwrap();
        assert!(when("2024-03-01").is_before(&when("2024-03-02")));
        assert!(when("2024-03-01T09:00:00Z").is_before(&when("2024-03-01T09:00:01Z")));
        assert!(!when("2024-03-01T09:00:00Z").is_before(&when("2024-03-01")));
        assert!(!when("2024-03-01").is_before(&when("2024-03-01T00:00:00Z")));
        assert_eq!(when("2024-02-28T23:00:00Z").days_until(&when("2024-03-01")), 2);
        assert_eq!(["", "2024", "2024-02-30", "soon"].map(When::parse), [None, None, None, None]);
    }
}
