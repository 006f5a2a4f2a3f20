//! Points in time as they are asked for in tables, parameters, options and FHIR: an instant, or a day in its place.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

/// An instant (RFC 3339), or the beginning of a day (`2026-11-23`) in UTC.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    let day = || text.parse::<NaiveDate>().ok().map(|it| it.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|it| it.to_utc()).or_else(day)
}

/// The instant up to which something is asked for: an instant (RFC 3339), or the last microsecond of a day in UTC, so
/// that the day belongs to what is asked for.
pub fn up_to(text: &str) -> Option<DateTime<Utc>> {
    let is_day = text.parse::<NaiveDate>().is_ok();
    let of_day = TimeDelta::days(1) - TimeDelta::microseconds(1);
    instant(text).and_then(|it| if is_day { it.checked_add_signed(of_day) } else { Some(it) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_beginning_and_up_to_a_day_is_its_end() {
        for day in ["2026-01-05", "2026-1-5"] {
            assert_eq!(instant(day).map(|it| it.to_rfc3339()).as_deref(), Some("2026-01-05T00:00:00+00:00"), "{day}");
            assert_eq!(
                up_to(day).map(|it| it.to_rfc3339()).as_deref(),
                Some("2026-01-05T23:59:59.999999+00:00"),
                "{day}"
            );
        }
    }

    #[test]
    fn an_instant_is_itself_whichever_way_it_bounds() {
        for text in ["2026-01-05T10:00:00Z", "2026-01-05T12:00:00.5+02:00"] {
            assert!(instant(text).is_some(), "{text}");
            assert_eq!(instant(text), up_to(text));
        }
        for text in ["", "tomorrow", "2026-13-01", "2026-01-05T10:00:00"] {
            assert_eq!((instant(text), up_to(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn the_last_day_that_there_is_ends_too() {
        let last = NaiveDate::MAX;
        assert_eq!(up_to(&last.to_string()).map(|it| it.date_naive()), Some(last));
    }
}
