//! The rules of a test's definition that concern several of its fields. Everything that is wrong is named at once.

use std::collections::HashSet;

use hims_domain::Invalid;
use hims_domain::lab_test::{Component, Definition, Range, ValueType};
use hims_domain::values::coding::{LOINC, read_code};
use rust_decimal::Decimal;

use crate::{Context, Refused};

/// How many components a test has at most.
const COMPONENTS: usize = 60;
/// How many reference ranges a component has at most.
const RANGES: usize = 100;
/// How many minutes a test takes at most: ninety days, as for cultures of slow bacteria.
const MINUTES: i32 = 129_600;
/// The greatest age in a range, in days: 150 years.
const AGE: i32 = 54_788;

/// Collects what is wrong with a definition.
#[derive(Default)]
struct Faults(Vec<Invalid>);

impl Faults {
    fn add(&mut self, code: &'static str, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push(Invalid::coded(code, pointer, message));
    }

    /// Names a field that breaks a rule, unless the rule is kept.
    fn unless(&mut self, is_kept: bool, code: &'static str, pointer: &str, message: impl Into<String>) {
        if !is_kept {
            self.add(code, pointer, message);
        }
    }

    fn code(&mut self, code: &str, pointer: &str) {
        if let Err(rule) = read_code(LOINC, code) {
            self.add("malformed-code", pointer, rule);
        }
    }
}

/// Checks a definition as a whole.
pub(super) fn check(definition: &Definition, _: Option<&Definition>, _: &Context<'_>) -> Result<(), Refused> {
    let mut faults = Faults::default();
    faults.code(definition.code.as_str(), "/code");
    if let Some(it) = &definition.turnaround_minutes {
        for (priority, minutes) in it.by_priority() {
            let is_kept = minutes.is_none_or(|it| (1..=MINUTES).contains(&it));
            let message = format!("give 1 to {MINUTES} minutes, or leave it out");
            faults.unless(is_kept, "out-of-range", &format!("/turnaround_minutes/{priority}"), message);
        }
    }
    let number = definition.components.len();
    let message = format!("give 1 to {COMPONENTS} components");
    faults.unless((1..=COMPONENTS).contains(&number), "invalid-fields", "/components", message);
    let mut codes = HashSet::new();
    for (index, component) in definition.components.iter().enumerate() {
        let at = format!("/components/{index}");
        faults.code(component.code.as_str(), &format!("{at}/code"));
        let message = "another component of the test has this code";
        faults.unless(codes.insert(&component.code), "invalid-fields", &format!("{at}/code"), message);
        match component.value_type {
            ValueType::Numeric => check_numeric(component, &at, &mut faults),
            ValueType::Text | ValueType::Coded => check_worded(component, &at, &mut faults),
        }
    }
    Refused::unless_none(faults.0, "the definition of the test breaks rules; see errors")
}

/// Checks a component whose values are texts or codes: nothing of it concerns numbers.
fn check_worded(component: &Component, at: &str, faults: &mut Faults) {
    for (field, is_given) in [
        ("unit", component.unit.is_some()),
        ("other_units", !component.other_units.is_empty()),
        ("decimals", component.decimals.is_some()),
        ("possible_low", component.possible_low.is_some()),
        ("possible_high", component.possible_high.is_some()),
        ("delta_percent", component.delta_percent.is_some()),
        ("delta_days", component.delta_days.is_some()),
        ("ranges", !component.ranges.is_empty()),
    ] {
        faults.unless(!is_given, "invalid-fields", &format!("{at}/{field}"), "only a numeric value has this");
    }
}

/// Checks a component whose values are numbers.
fn check_numeric(component: &Component, at: &str, faults: &mut Faults) {
    let message = "a numeric value has ranges in place of abnormal values";
    faults.unless(component.abnormal_values.is_empty(), "invalid-fields", &format!("{at}/abnormal_values"), message);
    let is_kept = component.decimals.is_none_or(|it| (0..=6).contains(&it));
    faults.unless(is_kept, "out-of-range", &format!("{at}/decimals"), "give 0 to 6 decimals");
    let is_kept = component.other_units.is_empty() || component.unit.is_some();
    faults.unless(is_kept, "invalid-fields", &format!("{at}/unit"), "give the unit to which the other units lead");
    let mut units: HashSet<_> = component.unit.iter().collect();
    for (index, other) in component.other_units.iter().enumerate() {
        let at = format!("{at}/other_units/{index}");
        faults.unless(units.insert(&other.unit), "invalid-fields", &format!("{at}/unit"), "the unit is given already");
        let is_kept = other.factor.number() > Decimal::ZERO;
        faults.unless(is_kept, "out-of-range", &format!("{at}/factor"), "give a factor above 0");
    }
    let is_kept = component.possible_low.zip(component.possible_high).is_none_or(|(low, high)| low < high);
    faults.unless(is_kept, "out-of-range", &format!("{at}/possible_high"), "give more than the least possible number");
    let is_kept = component.delta_percent.is_none_or(|it| it.number() > Decimal::ZERO);
    faults.unless(is_kept, "out-of-range", &format!("{at}/delta_percent"), "give a percentage above 0");
    let is_kept = component.delta_days.is_none_or(|it| (1..=3650).contains(&it));
    faults.unless(is_kept, "out-of-range", &format!("{at}/delta_days"), "give 1 to 3650 days");
    let message = "give both delta_percent and delta_days, or neither";
    let is_kept = component.delta_percent.is_some() == component.delta_days.is_some();
    faults.unless(is_kept, "invalid-fields", &format!("{at}/delta_percent"), message);
    check_ranges(&component.ranges, &format!("{at}/ranges"), faults);
}

/// Checks the reference ranges of a component, each by itself and with the earlier ones.
fn check_ranges(ranges: &[Range], at: &str, faults: &mut Faults) {
    faults.unless(ranges.len() <= RANGES, "invalid-fields", at, format!("give at most {RANGES} ranges"));
    for (index, range) in ranges.iter().enumerate().take(RANGES) {
        let at_range = format!("{at}/{index}");
        let is_kept = (0..=AGE).contains(&range.age_from_days);
        faults.unless(is_kept, "out-of-range", &format!("{at_range}/age_from_days"), format!("give 0 to {AGE} days"));
        let is_kept = range.age_to_days.is_none_or(|it| (range.age_from_days..=AGE).contains(&it));
        let message = format!("give age_from_days or more, and at most {AGE} days");
        faults.unless(is_kept, "out-of-range", &format!("{at_range}/age_to_days"), message);
        faults.unless(range.has_limits(), "invalid-fields", &at_range, "give at least one limit");
        let message = "the limits do not ascend: critical_low, low, high, critical_high";
        faults.unless(range.ascends(), "out-of-range", &at_range, message);
        if let Some(earlier) = ranges.iter().take(index).position(|it| it.overlaps(range)) {
            let message = format!("the range and that at {at}/{earlier} are for the same sex, and share ages");
            faults.add("ranges-overlap", at_range, message);
        }
    }
}
