use std::fmt;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// A time of day to the minute, `HH:MM`, from `00:00` to `24:00`, which is the end of the day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TimeOfDay(String);

impl TimeOfDay {
    /// Reads a time of day such as `08:30` or `8:30`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "give a time of day such as 08:30, from 00:00 to 24:00";
        let is_number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_digit());
        let (hour, minute) = text.trim().split_once(':').ok_or(RULE)?;
        if !is_number(hour) || minute.len() != 2 || !is_number(minute) {
            return Err(RULE);
        }
        let (hour, minute): (u32, u32) = (hour.parse().map_err(|_| RULE)?, minute.parse().map_err(|_| RULE)?);
        if minute < 60 && hour * 60 + minute <= 24 * 60 {
            Ok(Self(format!("{hour:02}:{minute:02}")))
        } else {
            Err(RULE)
        }
    }

    /// The wall-clock time on a day; `24:00` is the beginning of the next day. `None` if the text is not a time of day.
    pub fn on(&self, day: NaiveDate) -> Option<NaiveDateTime> {
        let (hour, minute) = self.0.split_once(':')?;
        let minutes = hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?;
        day.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::try_minutes(minutes)?)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::parse(&text).unwrap_or(Self(text)))
    }
}

impl Described for TimeOfDay {
    const SHAPE: Shape = Shape::Text { max: 5, format: "" };

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if let Err(rule) = Self::parse(&self.0) {
            invalid.push(at.invalid(rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_kept_with_two_digits_each() {
        for (text, kept) in [("08:30", "08:30"), ("8:30", "08:30"), (" 00:00", "00:00"), ("24:00", "24:00")] {
            assert_eq!(TimeOfDay::parse(text).map(|it| it.to_string()).as_deref(), Ok(kept));
        }
        for text in ["", "8", "24:01", "12:60", "12:5", "-1:00", "12:00:00", "noon", "123:00", "+8:00"] {
            assert!(TimeOfDay::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_day_is_the_beginning_of_the_next() {
        let day: NaiveDate = "2026-11-30".parse().unwrap();
        let on = |text| TimeOfDay::parse(text).unwrap().on(day).unwrap().to_string();
        assert_eq!(on("24:00"), "2026-12-01 00:00:00");
        assert_eq!(on("09:05"), "2026-11-30 09:05:00");
    }
}
