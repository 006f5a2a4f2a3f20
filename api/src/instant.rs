use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// An instant (RFC 3339), or the day (`2026-11-23`) that it begins in UTC: as in tables, parameters, options and FHIR.
pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let day = || text.parse::<NaiveDate>().ok().map(|it| it.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|it| it.to_utc()).or_else(day)
}
