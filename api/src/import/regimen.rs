//! A dosage in words: what to take, how often, for how long, and with which limits. The words hold whatever the fields
//! of a prescription cannot.

use rust_decimal::Decimal;

use super::datatypes::{Period, Quantity, Range};
use super::resources::{Dosage, DoseAndRate, Ratio, Repeat, Timing};

/// An amount with its unit, such as `8 tablet`.
pub(super) fn quantity(quantity: &Quantity) -> Option<String> {
    let value = quantity.value?.normalize();
    Some(unit(quantity).map_or_else(|| value.to_string(), |unit| format!("{value} {unit}")))
}

/// The unit of an amount, in words or as a code.
pub(super) fn unit(quantity: &Quantity) -> Option<&str> {
    quantity.unit.as_deref().or(quantity.code.as_deref()).map(str::trim).filter(|it| !it.is_empty())
}

fn range(range: &Range) -> Option<String> {
    match (&range.low, &range.high) {
        (Some(low), Some(high)) => Some(format!("{} to {}", quantity(low)?, quantity(high)?)),
        (Some(low), None) => Some(format!("at least {}", quantity(low)?)),
        (None, Some(high)) => Some(format!("at most {}", quantity(high)?)),
        (None, None) => None,
    }
}

fn ratio(ratio: &Ratio) -> Option<String> {
    let (numerator, denominator) = (ratio.numerator.as_ref()?, ratio.denominator.as_ref()?);
    Some(format!("{} per {}", quantity(numerator)?, quantity(denominator)?))
}

fn period(period: &Period) -> Option<String> {
    match (period.start.as_deref(), period.end.as_deref()) {
        (Some(start), Some(end)) => Some(format!("from {start} to {end}")),
        (Some(start), None) => Some(format!("from {start}")),
        (None, Some(end)) => Some(format!("until {end}")),
        (None, None) => None,
    }
}

/// The dose, such as `8 tablet` or `1 tablet to 2 tablet`; several doses are alternatives.
pub(super) fn dose(dosage: &Dosage) -> Option<String> {
    let one = |it: &DoseAndRate| {
        it.dose_quantity.as_ref().and_then(quantity).or_else(|| it.dose_range.as_ref().and_then(range))
    };
    let doses: Vec<String> = dosage.dose_and_rate.iter().filter_map(one).collect();
    (!doses.is_empty()).then(|| doses.join(" or "))
}

/// The rate of an infusion.
pub(super) fn rate(dosage: &Dosage) -> Option<String> {
    let one = |it: &DoseAndRate| {
        let rate = it.rate_quantity.as_ref().and_then(quantity);
        let rate = rate.or_else(|| it.rate_range.as_ref().and_then(range));
        rate.or_else(|| it.rate_ratio.as_ref().and_then(ratio))
    };
    let rates: Vec<String> = dosage.dose_and_rate.iter().filter_map(one).collect();
    (!rates.is_empty()).then(|| format!("at a rate of {}", rates.join(" or ")))
}

/// How often: the words of the timing code, or else such as `1 to 2 per 4 to 6 h`, with the days and times.
pub(super) fn frequency(timing: &Timing) -> Option<String> {
    let repeat = &timing.repeat;
    let often = timing.code.as_ref().and_then(|it| it.words()).map(str::to_owned).or_else(|| times(repeat));
    let list = |before: &str, all: &[String]| (!all.is_empty()).then(|| format!("{before}{}", all.join(", ")));
    let parts = [
        often,
        list("", &repeat.when),
        list("on ", &repeat.day_of_week),
        list("at ", &repeat.time_of_day),
        list("on ", &timing.event),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// How often in numbers, such as `1 per 1 d`. Without a number of times, the number is one.
pub(super) fn times(repeat: &Repeat) -> Option<String> {
    if repeat.period.is_none() && repeat.frequency.is_none() {
        return None;
    }
    let up_to = |one: String, other: Option<String>| other.map_or(one.clone(), |other| format!("{one} to {other}"));
    let often = up_to(repeat.frequency.unwrap_or(1).to_string(), repeat.frequency_max.map(|it| it.to_string()));
    let (Some(period), Some(unit)) = (&repeat.period, &repeat.period_unit) else {
        return Some(format!("{often} times"));
    };
    let period = up_to(period.to_string(), repeat.period_max.as_ref().map(ToString::to_string));
    Some(format!("{often} per {period} {unit}"))
}

/// For how long, or how many times in all.
pub(super) fn bounds(repeat: &Repeat) -> Option<String> {
    let duration = repeat.bounds_duration.as_ref().and_then(quantity).or(repeat.bounds_range.as_ref().and_then(range));
    let duration = duration.map(|it| format!("for {it}")).or(repeat.bounds_period.as_ref().and_then(period));
    let count = repeat.count.map(|count| match repeat.count_max {
        Some(most) => format!("{count} to {most} times in all"),
        None => format!("{count} times in all"),
    });
    let parts: Vec<String> = duration.into_iter().chain(count).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What no field of a prescription holds: limits, reasons, sites and methods.
pub(super) fn limits(dosage: &Dosage) -> Vec<String> {
    let most = dosage.max_dose_per_period.as_ref().and_then(ratio);
    let most_at_once = dosage.max_dose_per_administration.as_ref().and_then(quantity);
    let reason = dosage.as_needed_codeable_concept.as_ref().and_then(|it| it.words());
    let words = [dosage.site.as_ref(), dosage.method.as_ref()];
    rate(dosage)
        .into_iter()
        .chain(most.map(|it| format!("at most {it}")))
        .chain(most_at_once.map(|it| format!("at most {it} at once")))
        .chain(reason.map(|it| format!("as needed for {it}")))
        .chain(words.into_iter().flatten().filter_map(|it| it.words()).map(str::to_owned))
        .collect()
}

/// The whole dosage in words, for a prescription that has several.
pub(super) fn whole(dosage: &Dosage) -> String {
    let route = dosage.route.as_ref().and_then(|it| it.words()).map(str::to_owned);
    let as_needed = (dosage.as_needed_boolean == Some(true)).then(|| "as needed".to_owned());
    let parts = [dose(dosage), route, frequency(&dosage.timing), bounds(&dosage.timing.repeat), as_needed];
    let parts: Vec<String> = parts.into_iter().flatten().chain(limits(dosage)).chain(texts(dosage)).collect();
    parts.join(", ")
}

/// What a dosage says in words of its own.
pub(super) fn texts(dosage: &Dosage) -> Vec<String> {
    let additional = dosage.additional_instruction.iter().filter_map(|it| it.words());
    let texts = dosage.text.as_deref().into_iter().chain(dosage.patient_instruction.as_deref()).chain(additional);
    texts.map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// The whole days of a duration (UCUM `d`, `wk`, `mo`; a month has 30 days). `None` if the duration is not in days.
pub(super) fn days(quantity: &Quantity) -> Option<Decimal> {
    let factor = match quantity.code.as_deref().or(quantity.unit.as_deref())? {
        "d" | "day" | "days" => 1,
        "wk" | "week" | "weeks" => 7,
        "mo" | "month" | "months" => 30,
        _ => return None,
    };
    quantity.value?.checked_mul(Decimal::from(factor))
}
