//! Times and dates of FHIR. A day without a time begins at midnight in the time zone of the departments.

use chrono::{DateTime, Months, NaiveDate, NaiveTime, SubsecRound as _, TimeZone as _, Utc};
use chrono_tz::Tz;
use hims_domain::Described;
use hims_domain::values::PartialDate;

use super::datatypes::Period;

/// The time zone of the departments, and the time of the import.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    pub(super) zone: Tz,
    pub(super) now: DateTime<Utc>,
}

impl Calendar {
    /// Reads an `instant` or a `dateTime`, cut to microseconds. A day, a month or a year stands for its beginning.
    /// `None` for a time that the record cannot hold.
    pub(super) fn time(&self, text: Option<&str>) -> Option<DateTime<Utc>> {
        let text = text?;
        let instant = match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => Some(instant.to_utc()),
            Err(_) => self.beginning(first_day(text)?),
        };
        instant.filter(Described::is_valid).map(|it| it.trunc_subsecs(6))
    }

    /// Reads the end of a period that began at `start`. An end without a time, on the day or in the month or year of
    /// the start, is not known better than the start.
    pub(super) fn end(&self, text: Option<&str>, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let text = text?;
        let end = self.time(Some(text))?;
        let is_around_start = self.after(text).is_some_and(|after| (end..after).contains(&start));
        Some(if is_around_start { start } else { end })
    }

    /// Whether a period is over. A period that ends on a day, or in a month or year, ends with it.
    pub(super) fn is_over(&self, period: &Period) -> bool {
        let text = period.end.as_deref();
        text.and_then(|it| self.after(it)).or_else(|| self.time(text)).is_some_and(|end| end <= self.now)
    }

    /// The first moment after a day, a month or a year; `None` for a text with a time.
    fn after(&self, text: &str) -> Option<DateTime<Utc>> {
        let first = first_day(text)?;
        let next = match text.len() {
            10 => first.succ_opt(),
            7 => first.checked_add_months(Months::new(1)),
            _ => first.checked_add_months(Months::new(12)),
        };
        self.beginning(next?)
    }

    /// The first moment of a day. Where the clocks skip midnight, the day begins an hour later.
    fn beginning(&self, day: NaiveDate) -> Option<DateTime<Utc>> {
        let mut hours = (0..24).filter_map(|hour| NaiveTime::from_hms_opt(hour, 0, 0));
        let first = hours.find_map(|hour| self.zone.from_local_datetime(&day.and_time(hour)).earliest());
        first.map(|it| it.to_utc())
    }
}

/// The first day that a `date`, or a `dateTime` without a time, stands for: `2026-11-23`, `2026-11` or `2026`.
fn first_day(text: &str) -> Option<NaiveDate> {
    match text.len() {
        10 => text.parse().ok(),
        7 => format!("{text}-01").parse().ok(),
        4 => format!("{text}-01-01").parse().ok(),
        _ => None,
    }
}

/// Whether a text is a year or a month, so that no day is known.
pub(super) fn is_partial(text: Option<&str>) -> bool {
    text.is_some_and(|it| it.len() < 10 && first_day(it).is_some())
}

/// Reads a `date` of which the day, or the month and the day, may be missing. A time that follows the date is dropped.
pub(super) fn partial_date(text: &str) -> Result<PartialDate, &'static str> {
    PartialDate::parse(text.split_once('T').map_or(text, |(date, _)| date))
}

/// Reads a whole `date`. A year, or a year and a month, gives `None`.
pub(super) fn date(text: Option<&str>) -> Option<NaiveDate> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(zone: Tz, text: &str) -> Option<String> {
        let calendar = Calendar { zone, now: DateTime::UNIX_EPOCH };
        calendar.time(Some(text)).map(|it| it.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }

    #[test]
    fn a_day_without_a_time_begins_in_the_zone_of_the_departments() {
        let berlin = Tz::Europe__Berlin;
        for (text, expected) in [
            ("2024-03-01", "2024-02-29T23:00:00Z"),
            ("2024-07", "2024-06-30T22:00:00Z"),
            ("2024", "2023-12-31T23:00:00Z"),
            ("2024-03-01T09:00:00+05:30", "2024-03-01T03:30:00Z"),
        ] {
            assert_eq!(read(berlin, text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "2024-13", "2024-03-01T09:00:00", "0001-01-01"] {
            assert_eq!(read(berlin, text), None, "{text}");
        }
    }

    #[test]
    fn a_day_begins_later_where_the_clocks_skip_midnight() {
        assert_eq!(read(Tz::America__Sao_Paulo, "2018-11-04").as_deref(), Some("2018-11-04T03:00:00Z"));
    }

    #[test]
    fn a_period_that_ends_on_a_day_holds_that_day() {
        let noon = "2024-03-01T12:00:00Z".parse().unwrap();
        let calendar = Calendar { zone: Tz::UTC, now: noon };
        let ends = |end: &str| calendar.is_over(&Period { start: None, end: Some(end.to_owned()) });
        for (end, is_over) in [
            ("2024-02-29", true),
            ("2024-03-01", false),
            ("2024-03-01T11:00:00Z", true),
            ("2024-02", true),
            ("2024-03", false),
            ("2023", true),
            ("2024", false),
        ] {
            assert_eq!(ends(end), is_over, "{end}");
        }
        for (end, expected) in
            [("2024-03-01", noon), ("2024-03", noon), ("2024-03-02", "2024-03-02T00:00:00Z".parse().unwrap())]
        {
            assert_eq!(calendar.end(Some(end), noon), Some(expected), "{end}");
        }
    }
}
