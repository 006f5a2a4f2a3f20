//! Flags of laboratory values: which range applies to a patient, what a comparator leaves open, and which flag is worst.
#![expect(clippy::expect_used, reason = "a value that cannot be read fails the test")]

use std::ops::RangeInclusive;

use chrono::NaiveDate;
use hims_domain::lab_result::{Comparator, Flag, Limits, ages, change_in_percent, flag_of, limits_for, worst};
use hims_domain::lab_test::{Component, Range, Sex};
use hims_domain::patient::{Demographics, Gender, Patient};
use hims_domain::values::Measured;
use rust_decimal::Decimal;
use serde_json::{Value, json};

fn number(text: &str) -> Decimal {
    text.parse().expect("a number")
}

fn component(more: Value) -> Component {
    let component = json!({"code": "2823-3", "name": "Potassium", "value_type": "numeric", "unit": "mmol/L"});
    serde_json::from_value(hims_testing::patched(component, more)).expect("a component")
}

fn range(sex: Sex, from: i32, to: Option<i32>, high: i64) -> Range {
    let high = Some(Measured::from(Decimal::from(high)));
    Range {
        sex,
        age_from_days: from,
        age_to_days: to,
        low: None,
        high,
        critical_low: None,
        critical_high: None,
        is_example: false,
    }
}

/// The limits critically low, low, high and critically high; an empty text for none.
fn limits([critical_low, low, high, critical_high]: [&str; 4]) -> Limits {
    let limit = |text: &str| (!text.is_empty()).then(|| number(text).into());
    Limits {
        critical_low: limit(critical_low),
        low: limit(low),
        high: limit(high),
        critical_high: limit(critical_high),
    }
}

/// A value as people write it: `4.1` or `<0.01`.
fn flag(written: &str, component: &Component, limits: &Limits) -> Option<Flag> {
    let length = written.find(|it: char| it.is_ascii_digit() || it == '-').expect("a digit");
    let (comparator, value) = written.split_at(length);
    flag_of(number(value), Comparator::parse(comparator), component, limits)
}

#[test]
fn a_number_has_the_flag_of_the_limits_that_it_reaches() {
    let potassium = limits(["2.8", "3.5", "5.1", "6.2"]);
    for (value, expected) in [
        ("2.8", Flag::CriticalLow),
        ("2.81", Flag::Low),
        ("3.49", Flag::Low),
        ("3.5", Flag::Normal),
        ("5.1", Flag::Normal),
        ("5.11", Flag::High),
        ("6.19", Flag::High),
        ("6.2", Flag::CriticalHigh),
        ("6.9", Flag::CriticalHigh),
    ] {
        assert_eq!(flag(value, &component(json!({})), &potassium), Some(expected), "{value}");
    }
}

#[test]
fn limits_that_are_not_given_flag_nothing() {
    let component = component(json!({}));
    assert_eq!(flag("-5", &component, &limits(["", "", "10", ""])), Some(Flag::Normal));
    assert_eq!(flag("11", &component, &limits(["", "10", "", ""])), Some(Flag::Normal));
    assert_eq!(flag("3", &component, &limits(["2", "", "", "9"])), Some(Flag::Normal));
    assert_eq!(flag("9", &component, &limits(["2", "", "", "9"])), Some(Flag::CriticalHigh));
}

#[test]
fn a_comparator_leaves_the_flag_that_is_right_for_the_whole_half_line() {
    for (value, given, expected) in [
        ("<5", ["", "10", "", ""], Some(Flag::Low)),
        ("<10", ["", "10", "", ""], Some(Flag::Low)),
        ("<=10", ["", "10", "", ""], None),
        ("<5", ["2", "10", "20", ""], Some(Flag::Low)),
        ("<2", ["2", "10", "20", ""], Some(Flag::CriticalLow)),
        ("<=2", ["2", "10", "20", ""], Some(Flag::CriticalLow)),
        ("<0.01", ["", "0", "0.04", ""], Some(Flag::Normal)),
        ("<0.04", ["", "0", "0.04", ""], Some(Flag::Normal)),
        ("<0.05", ["", "0", "0.04", ""], None),
        (">200", ["", "", "100", "500"], Some(Flag::High)),
        (">100", ["", "", "100", "500"], Some(Flag::High)),
        (">=100", ["", "", "100", "500"], None),
        (">=500", ["", "", "100", "500"], Some(Flag::CriticalHigh)),
        (">500", ["", "", "100", "500"], Some(Flag::CriticalHigh)),
        (">60", ["", "60", "", ""], Some(Flag::Normal)),
        (">=60", ["", "60", "", ""], Some(Flag::Normal)),
        (">=60", ["", "60", "120", ""], None),
        // Numbers below zero are possible where the range has such a limit.
        ("<2", ["", "-2", "3", ""], None),
        ("<0", ["", "0", "5", ""], Some(Flag::Low)),
    ] {
        assert_eq!(flag(value, &component(json!({})), &limits(given)), expected, "{value} in {given:?}");
    }
}

#[test]
fn a_half_line_ends_where_nothing_is_possible() {
    let saturation = component(json!({"possible_low": 0, "possible_high": 100}));
    assert_eq!(flag(">95", &saturation, &limits(["", "94", "100", ""])), Some(Flag::Normal));
    assert_eq!(flag(">95", &component(json!({})), &limits(["", "94", "100", ""])), None);
    let excess = component(json!({"possible_low": -2}));
    assert_eq!(flag("<2", &excess, &limits(["", "-2", "3", ""])), Some(Flag::Normal));
}

/// The greatest normal number of the range that applies to a patient.
fn high(ranges: &[Range], gender: Gender, ages: RangeInclusive<i64>) -> Option<String> {
    Some(limits_for(ranges, gender, &ages)?.high?.to_string())
}

#[test]
fn the_range_for_the_sex_comes_first_and_then_the_one_for_fewer_ages() {
    let ranges = [
        range(Sex::Any, 0, None, 1),
        range(Sex::Any, 0, Some(364), 2),
        range(Sex::Any, 2, Some(4), 3),
        range(Sex::Female, 0, None, 4),
        range(Sex::Female, 6570, None, 5),
    ];
    for (gender, age, expected) in [
        (Gender::Male, 3, "3"),
        (Gender::Male, 5, "2"),
        (Gender::Male, 364, "2"),
        (Gender::Male, 365, "1"),
        (Gender::Female, 3, "4"),
        (Gender::Female, 6569, "4"),
        (Gender::Other, 9000, "1"),
        (Gender::Unknown, 2, "3"),
    ] {
        assert_eq!(high(&ranges, gender, age..=age).as_deref(), Some(expected), "{gender} of {age} days");
    }
}

#[test]
fn bilirubin_on_the_third_day_of_life_is_compared_with_the_range_of_that_day() {
    let ranges = [
        range(Sex::Any, 0, Some(1), 6),
        range(Sex::Any, 2, Some(2), 8),
        range(Sex::Any, 3, Some(5), 12),
        range(Sex::Any, 28, None, 1),
    ];
    let born = |day: &str| demographics(json!({"date_of_birth": {"$personal": day}, "birth_date_precision": "day"}));
    let collected = NaiveDate::from_ymd_opt(2026, 11, 23).expect("a day");
    for (day, expected) in
        [("2026-11-23", Some("6")), ("2026-11-21", Some("8")), ("2026-11-20", Some("12")), ("2026-11-10", None)]
    {
        let ages = ages(&born(day), collected).expect("ages");
        assert_eq!(high(&ranges, Gender::Female, ages).as_deref(), expected, "born on {day}");
    }
    assert_eq!(ages(&born("2026-11-24"), collected), None, "nothing is collected before the birth");
}

fn demographics(more: Value) -> Demographics {
    let registered = hims_testing::fields::<Patient>("registered");
    serde_json::from_value(hims_testing::patched(registered["demographics"].clone(), more)).expect("demographics")
}

#[test]
fn without_a_range_that_surely_applies_there_is_no_flag() {
    let of_age = [range(Sex::Any, 0, Some(6569), 1), range(Sex::Any, 6570, None, 2)];
    let sexed = [range(Sex::Male, 0, None, 1), range(Sex::Female, 0, None, 2)];
    for gender in [Gender::Other, Gender::Unknown] {
        assert_eq!(high(&sexed, gender, 9000..=9000), None);
    }
    assert_eq!(high(&sexed, Gender::Male, 9000..=9000).as_deref(), Some("1"));
    assert_eq!(high(&of_age, Gender::Male, 6500..=6600), None, "two ranges may apply");
    assert_eq!(high(&of_age, Gender::Male, 6600..=9000).as_deref(), Some("2"));
    assert_eq!(high(&of_age[1..], Gender::Male, 6500..=6600), None, "perhaps no range applies");
    let same = [range(Sex::Any, 0, Some(6569), 1), range(Sex::Any, 6570, None, 1)];
    assert_eq!(high(&same, Gender::Male, 0..=50_000).as_deref(), Some("1"), "the limits are those of every age");
    assert_eq!(high(&[], Gender::Male, 1..=1), None);
}

#[test]
fn an_age_is_known_as_far_as_the_date_of_birth_is() {
    let on = NaiveDate::from_ymd_opt(2026, 11, 23).expect("a day");
    let of_year = json!({"date_of_birth": {"$personal": "2025"}, "birth_date_precision": "year"});
    assert_eq!(ages(&demographics(of_year), on), Some(327..=691));
    let this_year = json!({"date_of_birth": {"$personal": "2026"}, "birth_date_precision": "year"});
    assert_eq!(ages(&demographics(this_year), on), Some(0..=326));
    let erased = json!({"date_of_birth": {"$erased": true}});
    assert_eq!(ages(&demographics(erased), on), None);
    let unknown = json!({"date_of_birth": null, "birth_date_precision": "unknown"});
    assert_eq!(ages(&demographics(unknown), on).map(|it| *it.start()), Some(0));
}

#[test]
fn a_change_is_told_in_percent_of_the_earlier_number() {
    let change = |earlier, now| change_in_percent(number(earlier), number(now)).map(|it| it.normalize().to_string());
    assert_eq!(change("4.0", "6.0").as_deref(), Some("50"));
    assert_eq!(change("4.0", "2.0").as_deref(), Some("50"));
    assert_eq!(change("3", "4").as_deref(), Some("33.3"));
    assert_eq!(change("-2", "2").as_deref(), Some("200"));
    assert_eq!(change("0", "4"), None);
    // The greatest change that numbers of a result can have is told, too.
    assert!(change("0.000001", "999999999999.999999").is_some());
}

#[test]
fn the_worst_flag_stands_for_a_panel_and_normal_only_for_a_panel_that_is_known() {
    use Flag::{Abnormal, CriticalHigh, High, Normal};
    for (flags, expected) in [
        (vec![Some(Normal), Some(Normal)], Some(Normal)),
        (vec![Some(Normal), None], None),
        (vec![Some(Normal), Some(Abnormal)], None),
        (vec![None, Some(High), Some(Normal)], Some(High)),
        (vec![Some(High), Some(CriticalHigh), Some(Abnormal)], Some(CriticalHigh)),
        (vec![], None),
    ] {
        assert_eq!(worst(flags.clone()), expected, "{flags:?}");
    }
}
