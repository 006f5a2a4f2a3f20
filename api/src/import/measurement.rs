//! What an observation measured, in the units of the record.

use hims_domain::vital_signs::{Measurements, TemperatureUnit};
use rust_decimal::{Decimal, dec};

use super::bundle::Observation;
use super::datatypes::{CodeableConcept, Quantity};
use super::reason::Reason;

const LOINC: &str = "http://loinc.org";

/// A vital sign that the record can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Systolic,
    Diastolic,
    HeartRate,
    RespiratoryRate,
    Temperature(TemperatureUnit),
    OxygenSaturation,
    Weight,
    Height,
    Pain,
}

impl Sign {
    /// The field of the measurements that holds this vital sign.
    pub(super) fn place(self, measurements: &mut Measurements) -> &mut Option<Decimal> {
        match self {
            Self::Systolic => &mut measurements.blood_pressure_systolic,
            Self::Diastolic => &mut measurements.blood_pressure_diastolic,
            Self::HeartRate => &mut measurements.heart_rate,
            Self::RespiratoryRate => &mut measurements.respiratory_rate,
            Self::Temperature(unit) => {
                measurements.temperature_unit.get_or_insert(unit);
                &mut measurements.temperature
            }
            Self::OxygenSaturation => &mut measurements.oxygen_saturation,
            Self::Weight => &mut measurements.weight_kg,
            Self::Height => &mut measurements.height_cm,
            Self::Pain => &mut measurements.pain_scale,
        }
    }
}

/// What an observation measured: one value, or the components of a panel such as a blood pressure.
pub(super) fn read(observation: &Observation) -> Result<Vec<(Sign, Decimal)>, Reason> {
    if observation.code.codes_in(LOINC).any(|it| it == "39156-5") {
        return Err(Reason::Derived);
    }
    let components = observation.component.iter().map(|it| (&it.code, it.value_quantity.as_ref()));
    let measured = std::iter::once((&observation.code, observation.value_quantity.as_ref())).chain(components);
    let known: Vec<_> = measured.filter_map(|(code, value)| Some((loinc(code)?, value))).collect();
    if known.is_empty() {
        return Err(Reason::UnknownMeasurement);
    }
    let values: Vec<_> =
        known.into_iter().filter_map(|(code, quantity)| Some((code, quantity?, quantity?.value?))).collect();
    if values.is_empty() {
        return Err(Reason::NoValue);
    }
    values
        .into_iter()
        .map(|(code, quantity, value)| convert(code, quantity, value).ok_or(Reason::UnknownUnit))
        .collect()
}

/// The first known code of a concept. Known are the codes of FHIR's vital signs profile, and codes for the same vital
/// signs measured by a certain method.
fn loinc(code: &CodeableConcept) -> Option<&str> {
    const KNOWN: [&str; 11] = [
        "8480-6", "8462-4", "8867-4", "9279-1", "8310-5", "8331-1", "2708-6", "59408-5", "29463-7", "8302-2", "72514-3",
    ];
    code.codes_in(LOINC).find(|it| KNOWN.contains(it))
}

/// Converts a value to the unit of the record (UCUM). Only a score may have no unit.
fn convert(code: &str, quantity: &Quantity, value: Decimal) -> Option<(Sign, Decimal)> {
    let unit = quantity.code.as_deref().or(quantity.unit.as_deref()).unwrap_or_default().trim();
    let per_minute = unit == "/min" || (unit.starts_with('{') && unit.ends_with("}/min"));
    Some(match (code, unit) {
        ("8480-6", "mm[Hg]" | "mmHg") => (Sign::Systolic, value),
        ("8462-4", "mm[Hg]" | "mmHg") => (Sign::Diastolic, value),
        ("8867-4", _) if per_minute => (Sign::HeartRate, value),
        ("9279-1", _) if per_minute => (Sign::RespiratoryRate, value),
        ("8310-5" | "8331-1", "Cel") => (Sign::Temperature(TemperatureUnit::Celsius), value),
        ("8310-5" | "8331-1", "[degF]") => (Sign::Temperature(TemperatureUnit::Fahrenheit), value),
        ("2708-6" | "59408-5", "%") => (Sign::OxygenSaturation, value),
        ("29463-7", "kg") => (Sign::Weight, value),
        ("29463-7", "g") => (Sign::Weight, value.checked_div(dec!(1000))?),
        ("29463-7", "[lb_av]") => (Sign::Weight, value.checked_mul(dec!(0.45359237))?),
        ("8302-2", "cm") => (Sign::Height, value),
        ("8302-2", "m") => (Sign::Height, value.checked_mul(dec!(100))?),
        ("8302-2", "[in_i]") => (Sign::Height, value.checked_mul(dec!(2.54))?),
        ("72514-3", "{score}" | "1" | "") => (Sign::Pain, value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(code: &str, value: &str, unit: &str) -> Option<(Sign, Decimal)> {
        let quantity = Quantity { value: None, unit: None, code: Some(unit.to_owned()) };
        convert(code, &quantity, value.parse().unwrap())
    }

    #[test]
    fn units_become_those_of_the_record() {
        assert_eq!(measured("8302-2", "1.72", "m"), Some((Sign::Height, dec!(172.00))));
        assert_eq!(measured("8302-2", "70", "[in_i]"), Some((Sign::Height, dec!(177.80))));
        assert_eq!(measured("29463-7", "180", "[lb_av]"), Some((Sign::Weight, dec!(81.64662660))));
        assert_eq!(measured("29463-7", "3250", "g"), Some((Sign::Weight, dec!(3.25))));
        let fever = Sign::Temperature(TemperatureUnit::Celsius);
        assert_eq!(measured("8310-5", "39.5", "Cel"), Some((fever, dec!(39.5))));
        assert_eq!(measured("8867-4", "72", "{beats}/min"), Some((Sign::HeartRate, dec!(72))));
    }

    #[test]
    fn a_unit_that_is_not_known_is_not_guessed() {
        for (code, unit) in [("8302-2", ""), ("29463-7", "stone"), ("8480-6", "kPa"), ("8310-5", "K"), ("2708-6", "")] {
            assert_eq!(measured(code, "36", unit), None, "{code} in {unit}");
        }
    }
}
