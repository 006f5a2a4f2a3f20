//! The parameters of reports: read as the definition of the report says, and completed with what counts if they are
//! left out.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use hims_domain::report::{Holds, Parameter, Report};
use hims_domain::report_execution::Parameters;
use hims_domain::values::{Text, is_blank};
use hims_domain::wall_clock::{Bound, instant_of};
use hims_domain::{Described as _, Invalid};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Refused;
use crate::machinery::refusal::spoken;

/// How many days a report may span, the first and the last included.
const LONGEST: i64 = 400;
/// How many days may be counted from today.
const FURTHEST: u64 = 4_000;
/// The parameter with the day that a report shows, of a report on how things stand on one day.
const SHOWN_DAY: &str = "on";

/// A day: written out, or counted from today as `today`, `today-7` or `today+1`.
fn day(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    let Some(counted) = text.strip_prefix("today") else {
        return text.parse().ok().filter(NaiveDate::is_valid);
    };
    let is_counted = counted.is_empty()
        || counted.starts_with(['+', '-']) && counted.len() > 1 && counted[1..].bytes().all(|it| it.is_ascii_digit());
    let days = if counted.is_empty() { 0 } else { counted.parse::<i64>().ok()? };
    let is_near = is_counted && days.unsigned_abs() <= FURTHEST;
    is_near.then(|| today.checked_add_signed(TimeDelta::days(days)))?
}

/// The value that a text stands for, as the query of the report gets it.
fn value(holds: &Holds, text: &str, today: NaiveDate) -> Result<Value, String> {
    let fault = |what: &str| Err(what.to_owned());
    match holds {
        Holds::Day => match day(text, today) {
            Some(day) => Ok(Value::from(day.to_string())),
            None => fault("give a day such as 2026-11-23, or one counted from today such as today-7"),
        },
        Holds::Count { least, most } => match text.parse::<u32>().ok().filter(|it| (least..=most).contains(&it)) {
            Some(count) => Ok(Value::from(count)),
            None => Err(format!("give a whole number from {least} to {most}")),
        },
        Holds::Choice(words) if words.iter().any(|it| it.as_str() == text) => Ok(Value::from(text)),
        Holds::Choice(words) => {
            Err(format!("give one of {}", words.iter().map(Text::as_str).collect::<Vec<_>>().join(", ")))
        }
        Holds::Id(stream) => match Uuid::try_parse(text) {
            Ok(id) => Ok(Value::from(id.to_string())),
            Err(_) => Err(format!("give the id of a {}", spoken(stream.as_str()))),
        },
        Holds::Text(most) if is_blank(text) || text.chars().count() > usize::from(*most) => {
            Err(format!("give a text of 1 to {most} characters"))
        }
        Holds::Text(_) => Ok(Value::from(text)),
    }
}

/// The parameter that was given, or else what counts in its place.
fn given<'a>(parameter: &'a Parameter, parameters: &'a Parameters) -> Option<&'a str> {
    parameters.get(parameter.name.as_str()).or(parameter.default.as_ref()).map(Text::as_str)
}

fn at(name: &str) -> String {
    format!("/parameters/{name}")
}

/// The parameters of a report as its query gets them: checked, and with those that were left out. `today` is the day
/// from which days are counted.
///
/// # Errors
/// A refusal that names every parameter that the report does not take, that must be given, or that is at fault.
pub fn complete(report: &Report, parameters: &Parameters, today: NaiveDate) -> Result<Map<String, Value>, Refused> {
    let known = &report.definition.parameters;
    let is_known = |name: &String| known.iter().any(|it| it.name.as_str() == name);
    let unknown = parameters.keys().filter(|it| !is_known(it));
    let message = "the report does not take this parameter; see parameters_schema of the report";
    let mut errors: Vec<_> = unknown.map(|it| Invalid::coded("unknown-parameter", at(it), message)).collect();
    let mut completed = Map::new();
    for parameter in known {
        let name = parameter.name.as_str();
        match given(parameter, parameters).map(|it| value(&parameter.holds, it, today)) {
            Some(Ok(value)) => drop(completed.insert(name.to_owned(), value)),
            Some(Err(message)) => errors.push(Invalid::new(at(name), message)),
            None if parameter.required => errors.push(Invalid::new(at(name), "must be given")),
            None => {}
        }
    }
    let bound = |name: &str| completed.get(name)?.as_str()?.parse::<NaiveDate>().ok();
    if let (Some(from), Some(to)) = (bound("from"), bound("to")) {
        let days = (to - from).num_days() + 1;
        if days < 1 {
            errors.push(Invalid::new(at("to"), "must not be before from"));
        } else if days > LONGEST {
            let message = format!("a report spans at most {LONGEST} days; ask for a shorter time");
            errors.push(Invalid::coded("range-too-long", at("to"), message));
        }
    }
    Refused::unless_none(errors, "the report cannot be made with these parameters; see errors")?;
    Ok(completed)
}

/// The parameters, with each day that is counted from today written out.
pub(crate) fn dated(report: &Report, parameters: &Parameters, today: NaiveDate) -> Parameters {
    let mut dated = parameters.clone();
    for parameter in report.definition.parameters.iter().filter(|it| it.holds == Holds::Day) {
        // A day that is counted from today by default counts from the day of the run, too.
        let Some(text) = given(parameter, parameters) else { continue };
        let written = day(text, today).map_or_else(|| text.to_owned(), |it| it.to_string());
        dated.insert(parameter.name.as_str().to_owned(), written.as_str().into());
    }
    dated
}

/// The end of the day that a report shows, by the clocks of the hospital, if the report shows how things stood on one day
/// and that day was over at an instant. `completed` are the parameters as [`complete`] gives them.
pub(crate) fn end_of_shown_day(
    report: &Report,
    completed: &Map<String, Value>,
    (now, zone): (DateTime<Utc>, Tz),
) -> Option<DateTime<Utc>> {
    let is_shown = |it: &Parameter| it.name.as_str() == SHOWN_DAY && it.holds == Holds::Day;
    if !report.definition.parameters.iter().any(is_shown) {
        return None;
    }
    let day: NaiveDate = completed.get(SHOWN_DAY)?.as_str()?.parse().ok()?;
    let next = instant_of(day.succ_opt()?.and_time(NaiveTime::MIN), &zone, Bound::Start);
    // The log counts microseconds.
    (next <= now).then(|| next - TimeDelta::microseconds(1))
}
