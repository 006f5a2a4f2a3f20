//! Which of several names, addresses and ways to reach somebody is taken: what is over loses against what is current.

use super::calendar::Calendar;
use super::datatypes::{Address, ContactPoint, HumanName, Identifier, Period};

/// Whether an element is no longer used, by its `use` or by its period.
fn is_old(calendar: &Calendar, purpose: Option<&str>, period: &Period) -> bool {
    matches!(purpose, Some("old" | "maiden")) || calendar.is_over(period)
}

/// The name of a person to use. Current names come before old names, and names with several parts before names of one
/// part; then the official name comes before the usual name, and the usual name before others.
pub(super) fn name<'a>(calendar: &Calendar, names: &'a [HumanName]) -> Option<&'a HumanName> {
    let rank = |name: &&HumanName| {
        let order = match name.purpose.as_deref() {
            Some("official") => 0,
            Some("usual") => 1,
            None => 2,
            Some("temp") => 3,
            Some("nickname") => 4,
            Some(_) => 5,
        };
        (is_old(calendar, name.purpose.as_deref(), &name.period), name.parts().missing(), order)
    };
    names.iter().min_by_key(rank)
}

/// The current ways to reach somebody by a system (`phone`, `email`): those with a rank first, then in order.
pub(super) fn contacts<'a>(calendar: &Calendar, points: &'a [ContactPoint], system: &str) -> Vec<&'a str> {
    let mut current: Vec<&ContactPoint> = points
        .iter()
        .filter(|it| it.system.as_deref() == Some(system) && it.value.is_some())
        .filter(|it| !is_old(calendar, it.purpose.as_deref(), &it.period))
        .collect();
    current.sort_by_key(|it| it.rank.unwrap_or(u32::MAX));
    current.into_iter().filter_map(|it| it.value.as_deref()).collect()
}

/// The current address to use: where the person lives, or else another address, but never an old one.
pub(super) fn address<'a>(calendar: &Calendar, addresses: &'a [Address]) -> Option<&'a Address> {
    let current = addresses.iter().filter(|it| !is_old(calendar, it.purpose.as_deref(), &it.period));
    current.min_by_key(|it| match it.purpose.as_deref() {
        Some("home") => 0,
        None => 1,
        Some("temp") => 2,
        Some(_) => 3,
    })
}

/// The current identifiers.
pub(super) fn identifiers<'a>(
    calendar: &Calendar,
    identifiers: &'a [Identifier],
) -> impl Iterator<Item = &'a Identifier> {
    identifiers.iter().filter(|it| !is_old(calendar, it.purpose.as_deref(), &it.period))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CALENDAR: Calendar =
        Calendar { zone: chrono_tz::Tz::UTC, now: chrono::DateTime::from_timestamp_nanos(1_700_000_000_000_000_000) };

    fn family(names: Value) -> Option<String> {
        let names: Vec<HumanName> = serde_json::from_value(names).unwrap();
        name(&CALENDAR, &names).and_then(|it| it.family.clone())
    }

    #[test]
    fn the_current_name_wins_wherever_it_stands() {
        let old = json!({ "use": "old", "given": ["Ann"], "family": "Was" });
        let ended = json!({ "use": "official", "given": ["Ann"], "family": "Ended", "period": { "end": "2019" } });
        let now = json!({ "given": ["Ann"], "family": "Now" });
        let nick = json!({ "use": "nickname", "given": ["Annie"], "family": "Nick" });
        let half = json!({ "use": "official", "given": ["Kenzi"] });
        for (names, expected) in [
            (json!([old, ended, now]), "Now"),
            (json!([nick, now]), "Now"),
            (json!([half, now]), "Now"),
            (json!([old]), "Was"),
        ] {
            assert_eq!(family(names.clone()).as_deref(), Some(expected), "{names}");
        }
    }

    #[test]
    fn nobody_is_reached_by_what_is_over() {
        let points = json!([
            { "system": "phone", "use": "old", "value": "1" }, { "system": "phone", "value": "2" },
            { "system": "phone", "value": "3", "rank": 1 }, { "system": "phone", "value": "4", "period": { "end": "2020" } },
        ]);
        let points: Vec<ContactPoint> = serde_json::from_value(points).unwrap();
        assert_eq!(contacts(&CALENDAR, &points, "phone"), ["3", "2"]);
        let addresses =
            json!([{ "use": "old", "city": "Before" }, { "use": "work", "city": "Office" }, { "city": "Here" }]);
        let addresses: Vec<Address> = serde_json::from_value(addresses).unwrap();
        assert_eq!(address(&CALENDAR, &addresses).and_then(|it| it.city.as_deref()), Some("Here"));
        assert!(address(&CALENDAR, &addresses[..1]).is_none());
    }
}
