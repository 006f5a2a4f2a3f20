use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// Reads an instant (RFC 3339), or a day (`2026-11-23`), which stands for its last microsecond in UTC.
pub(crate) fn up_to(text: &str) -> Option<DateTime<Utc>> {
    let is_day = text.parse::<NaiveDate>().is_ok();
    instant(text).map(|it| if is_day { it + TimeDelta::days(1) - TimeDelta::microseconds(1) } else { it })
}

/// Reads an instant (RFC 3339), or a day (`2026-11-23`), which stands for its beginning in UTC. Tables, parameters,
/// options of the command line and FHIR files are all read in this way.
pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let day = || text.parse::<NaiveDate>().ok().map(|it| it.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|it| it.to_utc()).or_else(day)
}
