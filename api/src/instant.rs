use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// An instant (RFC 3339), or the end of a day.
pub(crate) fn up_to(text: &str) -> Option<DateTime<Utc>> {
    let is_day = text.parse::<NaiveDate>().is_ok();
    instant(text).map(|it| if is_day { it + TimeDelta::days(1) - TimeDelta::microseconds(1) } else { it })
}

/// An instant (RFC 3339), or the day (`2026-11-23`) that it begins in UTC: as in tables, parameters, options and FHIR.
pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let day = || text.parse::<NaiveDate>().ok().map(|it| it.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|it| it.to_utc()).or_else(day)
}
