//! Turns the texts in a query into values that PostgreSQL can read. PostgreSQL would write a value that it cannot read
//! into its own log.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use hims_domain::instant::{instant, up_to};
use hims_domain::{Described, read_id};

use super::Comparison;
use crate::Kind;

/// The value with which a column is compared, from a text. An upper bound that is a day means the end of that day.
pub fn bound(kind: Kind, comparison: Comparison, text: &str) -> Option<String> {
    match (kind, comparison) {
        (Kind::Timestamp, Comparison::To) => timestamp(up_to(text)),
        _ => value(kind, text),
    }
}

/// The value of a column from a text, as PostgreSQL writes the value; `None` if the text is not of the column's kind.
pub fn value(kind: Kind, text: &str) -> Option<String> {
    Some(match kind {
        Kind::Uuid => read_id(text)?.to_string(),
        Kind::Boolean => text.parse::<bool>().ok()?.to_string(),
        Kind::Integer => text.parse::<i32>().ok()?.to_string(),
        Kind::Long => text.parse::<i64>().ok()?.to_string(),
        Kind::Timestamp => timestamp(instant(text))?,
        Kind::Date => text.parse::<NaiveDate>().ok().filter(Described::is_valid)?.to_string(),
        Kind::Time => text.parse::<NaiveTime>().ok()?.to_string(),
        Kind::Decimal => text.parse::<rust_decimal::Decimal>().ok()?.to_string(),
        Kind::Address => text.parse::<std::net::IpAddr>().ok()?.to_string(),
        Kind::Text => Some(text).filter(|it| !it.contains('\0'))?.to_owned(),
        Kind::Json | Kind::Bytes => return None,
    })
}

/// An instant as text in UTC; `None` if PostgreSQL cannot hold the instant.
fn timestamp(instant: Option<DateTime<Utc>>) -> Option<String> {
    instant.filter(|instant| instant.date_naive().is_valid()).map(|instant| instant.to_rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_bounds_from_its_beginning_and_up_to_its_end_however_it_is_written() {
        for day in ["2026-01-05", "2026-1-5"] {
            let bound = |comparison| bound(Kind::Timestamp, comparison, day);
            assert_eq!(bound(Comparison::From).as_deref(), Some("2026-01-05T00:00:00+00:00"), "{day}");
            assert_eq!(bound(Comparison::To).as_deref(), Some("2026-01-05T23:59:59.999999+00:00"), "{day}");
        }
        assert_eq!(bound(Kind::Date, Comparison::To, "2026-1-5").as_deref(), Some("2026-01-05"));
    }

    #[test]
    fn what_postgresql_could_not_read_is_no_value() {
        for (kind, text) in [
            (Kind::Timestamp, "0001-01-01T00:00:00Z"),
            (Kind::Timestamp, "+12026-01-01"),
            (Kind::Date, "1799-12-31"),
            (Kind::Long, "9223372036854775808"),
            (Kind::Boolean, "yes"),
            (Kind::Text, "a\0b"),
            (Kind::Json, "{}"),
            (Kind::Uuid, "00000000-0000-0000-0000-000000000000"),
            (Kind::Uuid, "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ] {
            assert_eq!(value(kind, text), None, "{text:?}");
            assert_eq!(bound(kind, Comparison::To, text), None, "{text:?}");
        }
    }
}
