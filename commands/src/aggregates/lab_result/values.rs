//! The values of a result: what is reported for each component, how it is kept, and how it compares with the reference
//! ranges and with the patient's earlier values.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::lab_result::{
    Comparator, ComponentResult, Flag, LabResult, ages, change_in_percent, flag_of, limits_for,
};
use hims_domain::lab_test::{Component, Definition, ValueType};
use hims_domain::patient::Patient;
use hims_domain::values::{Measured, Text, UcumCode};
use hims_domain::{Described, Invalid, PatientId, Personal, Pointer, described};
use rust_decimal::{Decimal, RoundingStrategy};
use uuid::Uuid;

use crate::aggregates::patient::records_of;
use crate::{Context, Found, Reads, Refused, scopes};

described! {
    /// What is reported for one component of a test: a number, a text or a code.
    pub struct ComponentValue {
        /// The LOINC code of the component.
        pub code: Text<20>,
        /// The number, in `unit`.
        pub value: Option<Measured>,
        /// What is known of the number, if it was not measured exactly: `<5` has the comparator `<` and the value 5.
        pub comparator: Option<Comparator>,
        /// The text, also where a number could not be measured.
        pub text: Option<Personal<Text<500>>>,
        /// The code, for a component whose values are codes.
        pub value_code: Option<Text<20>>,
        /// The unit of the number (UCUM): that of the component, or one of its other units; that of the component if
        /// left out.
        pub unit: Option<UcumCode>,
    }
}

impl ComponentValue {
    /// Whether the value is a number that was measured exactly.
    fn is_exact_number(&self) -> bool {
        self.value.is_some() && self.comparator.is_none()
    }
}

/// How many decimals are kept of a number that was converted, unless the component says it.
const DECIMALS: u32 = 6;

/// A fault of a component in the request.
fn fault(code: &'static str, at: &Pointer<'_>, message: impl Into<String>) -> Invalid {
    Invalid::coded(code, at.to_string(), message)
}

/// The factor by which a reported number is multiplied; `None` if the component does not know the unit. A unit that is
/// not said is the component's.
fn factor(component: &Component, unit: Option<&UcumCode>) -> Option<Decimal> {
    match unit {
        None => Some(Decimal::ONE),
        Some(unit) if component.unit.as_ref() == Some(unit) => Some(Decimal::ONE),
        Some(unit) => component.other_units.iter().find(|it| it.unit == *unit).map(|it| it.factor.number()),
    }
}

/// A reported number in the component's unit. A number that is converted has as many decimals as the component; with a
/// comparator it stays as exact as possible, since rounding would move the limit.
fn converted(given: &ComponentValue, number: Measured, factor: Decimal, component: &Component) -> Option<Measured> {
    if factor == Decimal::ONE {
        return Some(number);
    }
    let decimals = component.decimals.filter(|_| given.comparator.is_none()).and_then(|it| u32::try_from(it).ok());
    let number = number.number().checked_mul(factor)?;
    let rounded = number
        .round_dp_with_strategy(decimals.unwrap_or(DECIMALS).min(DECIMALS), RoundingStrategy::MidpointNearestEven);
    Some(Measured::from(rounded)).filter(Measured::is_valid)
}

/// Whether a text says a number, such as `6.9`, `< 0.5` or `7.9 mmol/L`: it begins with a digit, in whichever script.
fn says_a_number(text: &str) -> bool {
    let is_before = |it: char| it.is_whitespace() || "<>=\u{2264}\u{2265}~+-\u{2212}.,\u{b7}".contains(it);
    text.trim_start_matches(is_before).starts_with(char::is_numeric)
}

/// Checks which kind of value is given for a component. Adds what is wrong.
fn check_kind(given: &ComponentValue, component: &Component, at: &Pointer<'_>, faults: &mut Vec<Invalid>) {
    let kinds = [given.value.is_some(), given.text.is_some(), given.value_code.is_some()];
    if kinds.iter().filter(|it| **it).count() != 1 {
        faults.push(fault("invalid-fields", at, "give exactly one of value, text and value_code"));
        return;
    }
    let mut wrong = |field, message: &str| faults.push(fault("invalid-fields", &Pointer::Field(at, field), message));
    if given.value.is_some() && component.value_type != ValueType::Numeric {
        wrong("value", "the component has no numbers; give a text or a code");
    }
    if given.value_code.is_some() && component.value_type != ValueType::Coded {
        wrong("value_code", "the component has no codes; give a value or a text");
    }
    if given.value.is_none() && given.comparator.is_some() {
        wrong("comparator", "leave the comparator out, since there is no number");
    }
    if given.value.is_none() && given.unit.is_some() {
        wrong("unit", "leave the unit out, since there is no number");
    }
    let text = given.text.as_ref().and_then(Personal::known);
    if component.value_type == ValueType::Numeric && text.is_some_and(|it| says_a_number(it.as_str())) {
        wrong("text", "give a number as value, so that it is compared with the reference ranges");
    }
}

/// The number of a component as it is kept. Adds what is wrong.
fn number_of(
    given: &ComponentValue,
    component: &Component,
    at: &Pointer<'_>,
    faults: &mut Vec<Invalid>,
) -> Option<Measured> {
    let number = given.value?;
    let Some(factor) = factor(component, given.unit.as_ref()) else {
        let own = component.unit.iter();
        let units: Vec<_> = own.chain(component.other_units.iter().map(|it| &it.unit)).map(UcumCode::as_str).collect();
        let message = match units.as_slice() {
            [] => "leave the unit out, since the component has none".to_owned(),
            units => format!("give the number in one of these units: {}", units.join(", ")),
        };
        faults.push(fault("other-unit", &Pointer::Field(at, "unit"), message));
        return None;
    };
    let kept = converted(given, number, factor, component);
    let is_possible = kept.is_some_and(|it| {
        component.possible_low.is_none_or(|low| it >= low) && component.possible_high.is_none_or(|high| it <= high)
    });
    if !is_possible {
        let unit = component.unit.as_ref().map_or("", UcumCode::as_str);
        let message = match (component.possible_low, component.possible_high) {
            (Some(low), Some(high)) => format!("only {low} to {high} {unit} is possible"),
            (Some(low), None) => format!("less than {low} {unit} is impossible"),
            (None, Some(high)) => format!("more than {high} {unit} is impossible"),
            (None, None) => "the number is too large to be kept in the component's unit".to_owned(),
        };
        faults.push(fault("impossible-value", &Pointer::Field(at, "value"), message.trim_end()));
    }
    kept
}

/// Whether a text or a code is one of the abnormal ones of a component.
fn is_abnormal(given: &ComponentValue, component: &Component) -> bool {
    let text = given.text.as_ref().and_then(Personal::known).map(Text::as_str);
    let said = text.or(given.value_code.as_ref().map(Text::as_str));
    said.is_some_and(|said| component.abnormal_values.iter().any(|it| it.as_str().eq_ignore_ascii_case(said)))
}

/// A component of a test that a request reports.
struct Reported<'a> {
    /// The place of the value in the request.
    index: usize,
    value: &'a ComponentValue,
    component: &'a Component,
    /// The number as it is kept, if the value is one.
    number: Option<Measured>,
}

/// The components of a test that a request reports, in the order of the test.
///
/// # Errors
/// Everything that is wrong with the values.
fn reported<'a>(
    given: &'a [ComponentValue],
    test: &'a Definition,
    is_complete: bool,
) -> Result<Vec<Reported<'a>>, Refused> {
    let list = Pointer::Field(&Pointer::Root, "components");
    let (mut faults, mut reported) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (index, value) in given.iter().enumerate() {
        let at = Pointer::Index(&list, index);
        let Some((place, component)) = test.components.iter().enumerate().find(|(_, it)| it.code == value.code) else {
            let message = "the test has no component with this code";
            faults.push(fault("unknown-component", &Pointer::Field(&at, "code"), message));
            continue;
        };
        if !seen.insert(place) {
            faults.push(fault("invalid-fields", &Pointer::Field(&at, "code"), "give each component once"));
        }
        check_kind(value, component, &at, &mut faults);
        let number = number_of(value, component, &at, &mut faults);
        reported.push((place, Reported { index, value, component, number }));
    }
    for (place, component) in test.components.iter().enumerate().filter(|_| is_complete) {
        if !seen.contains(&place) {
            let message = format!("a final result has a value for each component; {} is missing", component.code.0);
            faults.push(fault("missing-component", &list, message));
        }
    }
    Refused::unless_none(faults, "some values do not fit the test; see errors")?;
    reported.sort_by_key(|it| it.0);
    Ok(reported.into_iter().map(|it| it.1).collect())
}

/// The width of the spans of time by which earlier values are found, so that old values are not looked up for ever.
const SPAN: TimeDelta = TimeDelta::days(64);

/// The number of the span of time in which a time lies.
fn span_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(SPAN.num_seconds())
}

fn key_in(span: i64, patient_id: PatientId, code: &str) -> String {
    scopes::key(&[&patient_id.to_string(), code, &span.to_string()])
}

/// The key by which the value of a component of a patient at a time is found.
pub(super) fn key_at(at: DateTime<Utc>, patient_id: PatientId, code: &str) -> String {
    key_in(span_of(at), patient_id, code)
}

/// The keys by which the earlier values are found with which the value of a component is compared.
fn keys(patient_id: PatientId, component: &Component, taken_at: DateTime<Utc>) -> impl Iterator<Item = String> {
    let days = component.delta_days.filter(|_| component.delta_percent.is_some());
    let first = days.map(|it| span_of(taken_at - TimeDelta::days(i64::from(it))));
    let spans = first.into_iter().flat_map(move |first| first..=span_of(taken_at));
    spans.map(move |span| key_in(span, patient_id, component.code.as_str()))
}

/// Also looks at the earlier values of the components of a patient's test for which exact numbers are given, in every
/// record of the patient.
pub(super) fn reads_earlier(
    reads: Reads,
    (patient_id, test): (PatientId, &Definition),
    given: &[ComponentValue],
    taken_at: DateTime<Utc>,
    found: &Found,
) -> Reads {
    let is_compared = |it: &&Component| given.iter().any(|value| value.code == it.code && value.is_exact_number());
    let compared: Vec<_> = test.components.iter().filter(is_compared).collect();
    let records = records_of(patient_id, found).into_iter();
    let keys = records.flat_map(|id| compared.iter().flat_map(move |it| keys(id, it, taken_at)));
    keys.fold(reads, |reads, key| reads.candidates::<LabResult>(scopes::LAB_LATEST, key))
}

/// What a result is about: the patient, the test, and when the specimen was taken.
pub(super) struct Subject<'a> {
    pub(super) patient_id: PatientId,
    pub(super) patient: &'a Patient,
    pub(super) test: &'a Definition,
    pub(super) taken_at: DateTime<Utc>,
}

/// The last final number of a component before a time, in the component's unit.
fn last_number(of: &Subject<'_>, component: &Component, ctx: &Context<'_>) -> Option<Measured> {
    let days = TimeDelta::days(i64::from(component.delta_days?));
    let records = records_of(of.patient_id, ctx.found).into_iter();
    let keys = records.flat_map(|id| keys(id, component, of.taken_at));
    let earlier = keys.flat_map(|key| ctx.found.owners::<LabResult>(scopes::LAB_LATEST, key));
    let comparable =
        earlier.filter(|(id, it)| *id != ctx.id && it.taken_at <= of.taken_at && of.taken_at - it.taken_at <= days);
    let values = comparable.filter_map(|(id, result)| {
        let components = &result.revision.components;
        let same = components.iter().find(|it| it.code == component.code && it.unit == component.unit)?;
        Some((result.taken_at, id, same.exact()?))
    });
    values.max_by_key(|(taken_at, id, _): &(DateTime<Utc>, Uuid, Measured)| (*taken_at, *id)).map(|it| it.2)
}

/// By how many percent a number differs from the last one, if that is more than the component allows.
fn delta(of: &Subject<'_>, component: &Component, number: Measured, ctx: &Context<'_>) -> Option<Measured> {
    let allowed = component.delta_percent?;
    let change = change_in_percent(last_number(of, component, ctx)?.number(), number.number())?;
    Some(Measured::from(change)).filter(|it| *it > allowed)
}

/// The components of a result as they are kept, with their flags. A number that differs from the patient's last one by
/// more than the test allows must be confirmed.
///
/// # Errors
/// Everything that is wrong with the values, or has to be confirmed.
pub(super) fn evaluated(
    given: &[ComponentValue],
    of: &Subject<'_>,
    (is_complete, is_confirmed): (bool, bool),
    ctx: &Context<'_>,
) -> Result<Vec<ComponentResult>, Refused> {
    let (mut kept, mut unconfirmed) = (Vec::new(), Vec::new());
    let day = of.taken_at.with_timezone(&ctx.caller.time_zone).date_naive();
    let ages = ages(&of.patient.demographics, day);
    for Reported { index, value, component, number } in reported(given, of.test, is_complete)? {
        let limits = number.and(ages.as_ref());
        let limits = limits.and_then(|it| limits_for(&component.ranges, of.patient.demographics.gender, it));
        let flag = match (number, limits) {
            (Some(number), Some(limits)) => flag_of(number.number(), value.comparator, component, &limits),
            (Some(_), None) => None,
            (None, _) => is_abnormal(value, component).then_some(Flag::Abnormal),
        };
        let exact = number.filter(|_| value.comparator.is_none());
        let delta_percent = exact.and_then(|it| delta(of, component, it, ctx));
        if let Some(percent) = delta_percent.filter(|_| !is_confirmed) {
            let message = format!("differs by {percent} % from the patient's last value; check the specimen");
            let pointer = format!("/components/{index}/value");
            unconfirmed.push(Invalid::coded("delta-exceeded", pointer, message));
        }
        kept.push(ComponentResult {
            code: component.code.clone(),
            name: component.name.clone(),
            value: number,
            comparator: value.comparator,
            text: value.text.clone(),
            value_code: value.value_code.clone(),
            unit: component.unit.clone().filter(|_| number.is_some()),
            limits,
            flag,
            delta_percent,
        });
    }
    let detail = "some values differ much from the patient's last ones; make sure that the specimen is the patient's, \
                  and repeat with confirm_delta if it is";
    Refused::unless_none(unconfirmed, detail).map(|()| kept)
}
