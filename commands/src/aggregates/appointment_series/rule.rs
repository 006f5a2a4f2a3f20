//! The rules of recurrence that a series may have: a part of RFC 5545.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use rrule::RRuleSet;

use crate::Refused;

/// The weekdays of RFC 5545.
const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
/// The names of the parts that a rule may have.
const PARTS: [&str; 7] = ["FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "COUNT", "UNTIL", "WKST"];

/// A part of a rule that is not supported, or that is missing, with what is supported.
#[derive(Debug, PartialEq)]
struct Unsupported(&'static str, &'static str);

impl From<Unsupported> for Refused {
    fn from(Unsupported(part, supported): Unsupported) -> Self {
        Self::field("unsupported-rule", "/rrule", format!("{part} is not supported as it is written: {supported}"))
    }
}

/// The days of a rule, of which the first day of the series must be the first.
pub(super) fn days(rule: &str, first: NaiveDate) -> Result<Vec<NaiveDate>, Refused> {
    let rule = supported(rule, first)?;
    // The crate is given days as times in UTC: its expansion in time zones with changing clocks has a known defect.
    let set: Result<RRuleSet, _> = format!("DTSTART:{}T000000Z\nRRULE:{rule}", first.format("%Y%m%d")).parse();
    let found = set.map(|set| set.all(MOST_DAYS).dates).unwrap_or_default();
    let days: Vec<_> = found.iter().map(chrono::DateTime::date_naive).collect();
    if days.first() == Some(&first) {
        return Ok(days);
    }
    Err(Unsupported("the rule", "the first appointment must be on a day of the rule; choose another start").into())
}

/// More days than any series has: a day for each day of a year, and one to see that there are more.
const MOST_DAYS: u16 = 368;

/// Reads the parts of a rule. The name of an unknown part is not repeated, since it may be anything.
fn parts(rule: &str) -> Result<BTreeMap<&'static str, String>, Unsupported> {
    let mut parts = BTreeMap::new();
    let rule = rule.to_ascii_uppercase();
    for part in rule.strip_prefix("RRULE:").unwrap_or(&rule).split(';') {
        let (name, value) = part.split_once('=').ok_or(Unsupported("a part", "write NAME=VALUE, separated by ;"))?;
        let known = PARTS.into_iter().find(|it| *it == name);
        let known = known.ok_or_else(|| Unsupported(named(name), "leave it out"))?;
        if parts.insert(known, value.to_owned()).is_some() {
            return Err(Unsupported(known, "give it once"));
        }
    }
    Ok(parts)
}

/// The other parts that RFC 5545 knows.
fn named(name: &str) -> &'static str {
    let others = ["BYSECOND", "BYMINUTE", "BYHOUR", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS"];
    others.into_iter().find(|it| *it == name).unwrap_or("a part")
}

/// The rule in the form that the crate is given, if it is one of those that are supported.
fn supported(rule: &str, first: NaiveDate) -> Result<String, Unsupported> {
    let parts = parts(rule)?;
    let part = |name| parts.get(name).map(String::as_str);
    let number = |text: &str, range: std::ops::RangeInclusive<u32>| {
        text.bytes().all(|it| it.is_ascii_digit()) && text.parse().is_ok_and(|it| range.contains(&it))
    };
    let frequency = part("FREQ").unwrap_or_default();
    if !["DAILY", "WEEKLY", "MONTHLY"].contains(&frequency) {
        return Err(Unsupported("FREQ", "give DAILY, WEEKLY or MONTHLY"));
    }
    let interval = part("INTERVAL").unwrap_or("1");
    if !number(interval, 1..=12) {
        return Err(Unsupported("INTERVAL", "give 1 to 12"));
    }
    if part("WKST").is_some_and(|it| it != "MO") {
        return Err(Unsupported("WKST", "give MO, or leave it out"));
    }
    let on = match (frequency, part("BYDAY"), part("BYMONTHDAY")) {
        (_, None, None) if frequency == "MONTHLY" && first.day() > 28 => {
            return Err(Unsupported("BYMONTHDAY", "give 1 to 28, or -1 for the last day of each month"));
        }
        (_, None, None) => String::new(),
        ("WEEKLY", Some(days), None) if days.split(',').all(|it| WEEKDAYS.contains(&it)) => format!(";BYDAY={days}"),
        ("WEEKLY", Some(_), None) => return Err(Unsupported("BYDAY", "give weekdays such as MO,WE")),
        ("MONTHLY", None, Some(day)) if day == "-1" || number(day, 1..=28) => format!(";BYMONTHDAY={day}"),
        ("MONTHLY", None, Some(_)) => {
            return Err(Unsupported("BYMONTHDAY", "give 1 to 28, or -1 for the last day of each month"));
        }
        ("MONTHLY", Some(day), None) if is_nth_weekday(day) => format!(";BYDAY={day}"),
        ("MONTHLY", Some(_), None) => {
            return Err(Unsupported(
                "BYDAY",
                "give one weekday of the month, such as 2TU, or -1FR for the last Friday",
            ));
        }
        (_, Some(_), _) => return Err(Unsupported("BYDAY", "it goes with FREQ=WEEKLY, or alone with FREQ=MONTHLY")),
        (_, None, Some(_)) => return Err(Unsupported("BYMONTHDAY", "it goes with FREQ=MONTHLY")),
    };
    let ends = match (part("COUNT"), part("UNTIL")) {
        (Some(count), None) if number(count, 2..=52) => format!("COUNT={count}"),
        (Some(_), None) => return Err(Unsupported("COUNT", "give 2 to 52")),
        (None, Some(day)) => match NaiveDate::parse_from_str(day, "%Y%m%d") {
            Ok(_) if day.len() == 8 => format!("UNTIL={day}T000000Z"),
            _ => return Err(Unsupported("UNTIL", "give a day such as 20261231")),
        },
        (Some(_), Some(_)) => return Err(Unsupported("UNTIL", "give either COUNT or UNTIL")),
        (None, None) => return Err(Unsupported("COUNT", "give COUNT or UNTIL")),
    };
    Ok(format!("FREQ={frequency};INTERVAL={interval};WKST=MO{on};{ends}"))
}

/// Whether a text names one weekday of each month, from the first to the fourth, or the last.
fn is_nth_weekday(text: &str) -> bool {
    let ordinals = ["1", "2", "3", "4", "+1", "+2", "+3", "+4", "-1"];
    text.len() > 2
        && text.is_char_boundary(text.len() - 2)
        && WEEKDAYS.contains(&&text[text.len() - 2..])
        && ordinals.contains(&&text[..text.len() - 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// The days of a rule as text, from a first day on.
    fn found(rule: &str, first: &str) -> Vec<String> {
        days(rule, day(first)).unwrap().iter().map(NaiveDate::to_string).collect()
    }

    #[test]
    fn days_follow_from_the_rule() {
        // The 30th of November 2026 is a Monday.
        for (rule, first, expected) in [
            ("FREQ=DAILY;INTERVAL=2;COUNT=3", "2026-11-30", &["2026-11-30", "2026-12-02", "2026-12-04"][..]),
            ("rrule:freq=weekly;count=2", "2026-11-30", &["2026-11-30", "2026-12-07"]),
            ("FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20261207", "2026-11-30", &["2026-11-30", "2026-12-02", "2026-12-07"]),
            (
                "FREQ=WEEKLY;INTERVAL=2;WKST=MO;BYDAY=MO,SU;COUNT=4",
                "2026-11-30",
                &["2026-11-30", "2026-12-06", "2026-12-14", "2026-12-20"],
            ),
            ("FREQ=MONTHLY;COUNT=3", "2027-01-28", &["2027-01-28", "2027-02-28", "2027-03-28"]),
            ("FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", "2027-01-31", &["2027-01-31", "2027-02-28", "2027-03-31"]),
            ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", "2026-11-27", &["2026-11-27", "2026-12-25", "2027-01-29"]),
            ("FREQ=MONTHLY;INTERVAL=3;BYDAY=2TU;COUNT=2", "2026-12-08", &["2026-12-08", "2027-03-09"]),
        ] {
            assert_eq!(found(rule, first), expected, "{rule}");
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (rule, part) in [
            ("FREQ=YEARLY;COUNT=2", "FREQ"),
            ("COUNT=2", "FREQ"),
            ("FREQ=DAILY;INTERVAL=13;COUNT=2", "INTERVAL"),
            ("FREQ=DAILY;INTERVAL=0;COUNT=2", "INTERVAL"),
            ("FREQ=DAILY;COUNT=53", "COUNT"),
            ("FREQ=DAILY;COUNT=1", "COUNT"),
            ("FREQ=DAILY", "COUNT"),
            ("FREQ=DAILY;COUNT=2;UNTIL=20261231", "UNTIL"),
            ("FREQ=DAILY;UNTIL=20261231T120000Z", "UNTIL"),
            ("FREQ=DAILY;UNTIL=20261301", "UNTIL"),
            ("FREQ=DAILY;BYDAY=MO;COUNT=2", "BYDAY"),
            ("FREQ=WEEKLY;BYDAY=1MO;COUNT=2", "BYDAY"),
            ("FREQ=WEEKLY;BYMONTHDAY=1;COUNT=2", "BYMONTHDAY"),
            ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=2", "BYMONTHDAY"),
            ("FREQ=MONTHLY;BYMONTHDAY=1,15;COUNT=2", "BYMONTHDAY"),
            ("FREQ=MONTHLY;BYDAY=5FR;COUNT=2", "BYDAY"),
            ("FREQ=MONTHLY;BYDAY=1MO,2MO;COUNT=2", "BYDAY"),
            ("FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=1;COUNT=2", "BYDAY"),
            ("FREQ=DAILY;WKST=SU;COUNT=2", "WKST"),
            ("FREQ=DAILY;BYHOUR=9;COUNT=2", "BYHOUR"),
            ("FREQ=DAILY;BYSETPOS=1;COUNT=2", "BYSETPOS"),
            ("FREQ=DAILY;COLOUR=RED;COUNT=2", "a part"),
            ("FREQ=DAILY;COUNT=2;COUNT=3", "COUNT"),
            ("FREQ", "a part"),
            ("", "a part"),
        ] {
            assert_eq!(supported(rule, day("2026-11-30")).map_err(|it| it.0), Err(part), "{rule}");
        }
        assert_eq!(supported("FREQ=MONTHLY;COUNT=2", day("2027-01-31")).map_err(|it| it.0), Err("BYMONTHDAY"));
        assert!(days("FREQ=WEEKLY;BYDAY=TU;COUNT=2", day("2026-11-30")).is_err(), "the first day is a Monday");
    }
}
