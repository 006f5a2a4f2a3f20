//! What an observation measured, in the units of the record.

use std::mem::discriminant;

use hims_domain::values::coding::LOINC;
use hims_domain::vital_signs::{Measurements, TemperatureUnit};
use rust_decimal::Decimal;

use super::datatypes::{CodeableConcept, Quantity};
use super::reason::Reason;
use super::resources::Observation;
use super::units::{Unit, unit};

/// The body mass index.
const BMI: &str = "39156-5";

/// What a code of LOINC measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vital {
    Systolic,
    Diastolic,
    HeartRate,
    RespiratoryRate,
    Temperature,
    OxygenSaturation,
    OxygenFlow,
    Weight,
    Height,
    Pain,
}

/// The codes of FHIR's vital signs profile, and the codes for the same vital signs at a certain site, in a certain
/// position or by a certain method.
const KNOWN: [(Vital, &[&str]); 10] = [
    (Vital::Systolic, &["8480-6", "8459-0", "8460-8", "8461-6", "76534-7"]),
    (Vital::Diastolic, &["8462-4", "8453-3", "8454-1", "8455-8", "76535-4"]),
    (Vital::HeartRate, &["8867-4", "8889-8", "8893-0", "68999-2", "69000-8", "69001-6", "40443-4"]),
    (Vital::RespiratoryRate, &["9279-1"]),
    (Vital::Temperature, &["8310-5", "8331-1", "8328-7", "8329-5", "8332-9", "8333-7", "75539-7"]),
    (Vital::OxygenSaturation, &["2708-6", "59408-5", "20564-1"]),
    (Vital::OxygenFlow, &["3151-8"]),
    (Vital::Weight, &["29463-7", "3141-9", "3142-7", "8350-1", "8351-9"]),
    (Vital::Height, &["8302-2", "3137-7", "3138-5", "8306-3", "8308-9"]),
    (Vital::Pain, &["72514-3"]),
];

/// A vital sign that the record can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Systolic,
    Diastolic,
    HeartRate,
    RespiratoryRate,
    Temperature(TemperatureUnit),
    OxygenSaturation,
    OxygenFlow,
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
            Self::OxygenFlow => &mut measurements.oxygen_flow_rate,
            Self::Weight => &mut measurements.weight_kg,
            Self::Height => &mut measurements.height_cm,
            Self::Pain => &mut measurements.pain_scale,
        }
    }
}

/// What an observation measured.
#[derive(Debug, PartialEq)]
pub(super) struct Measured {
    /// One value, or the values of a panel such as a blood pressure.
    pub(super) values: Vec<(Sign, Decimal)>,
    /// How many components of a panel the record has no place for.
    pub(super) left_out: usize,
}

/// Codes of LOINC that say where the patient lives, though files list them with the laboratory.
const HOME_ADDRESS: &str = "56799-0";
/// The code of LOINC for the cause of a death, as a certificate of death gives it.
const CAUSE_OF_DEATH: &str = "69453-9";
/// The numbers that Synthea computes about the whole life of a patient.
const STATISTICS: [&str; 3] = ["QALY", "DALY", "QOLS"];

/// Whether an observation is of a category.
fn is_of(observation: &Observation, category: &str) -> bool {
    observation.category.iter().any(|it| it.has_code(category))
}

/// Why the record has no place for an observation that is neither of a vital sign nor of the laboratory.
pub(super) fn no_place(observation: &Observation) -> Reason {
    let has = |code: &str| observation.code.has_code(code);
    match () {
        () if has(HOME_ADDRESS) => Reason::HomeAddress,
        () if has(CAUSE_OF_DEATH) => Reason::DeathCertificate,
        () if STATISTICS.iter().any(|it| has(it)) => Reason::Statistic,
        () if is_of(observation, "survey") => Reason::Questionnaire,
        () if is_of(observation, "vital-signs") => Reason::UnknownMeasurement,
        () => Reason::NotPartOfTheRecord,
    }
}

/// Whether an observation is one of the laboratory, and not of a vital sign that a file lists there.
pub(super) fn is_laboratory(observation: &Observation) -> bool {
    is_of(observation, "laboratory") && no_place(observation) == Reason::NotPartOfTheRecord && !is_vital(observation)
}

/// Whether an observation, or a component of it, is of a vital sign. A laboratory measures the oxygen in a sample of
/// blood, which is no vital sign.
pub(super) fn is_vital(observation: &Observation) -> bool {
    let codes = std::iter::once(&observation.code).chain(observation.component.iter().map(|it| &it.code));
    let vitals: Vec<_> = codes.filter_map(vital).collect();
    let in_blood = is_of(observation, "laboratory") && vitals.contains(&Vital::OxygenSaturation);
    !vitals.is_empty() && !in_blood
}

/// Reads what an observation measured. An observation of a category other than the vital signs counts by its code.
pub(super) fn read(observation: &Observation) -> Result<Measured, Reason> {
    if observation.code.codes_in(LOINC).any(|it| it == BMI) {
        return Err(Reason::Derived);
    }
    let score = observation.value_integer.map(|it| Quantity { value: Some(it.into()), ..Quantity::default() });
    let own = observation.value_quantity.as_ref().or(score.as_ref());
    let components = observation.component.iter().map(|it| (&it.code, it.value_quantity.as_ref()));
    let all = std::iter::once((&observation.code, own)).chain(components);
    let known: Vec<_> = all.filter_map(|(code, value)| Some((vital(code)?, value))).collect();
    if !is_vital(observation) {
        return Err(no_place(observation));
    }
    let quantities: Vec<_> = known.iter().filter_map(|(vital, quantity)| Some((*vital, (*quantity)?))).collect();
    if quantities.iter().any(|(_, quantity)| quantity.comparator.is_some()) {
        return Err(Reason::Comparator);
    }
    let mut values: Vec<(Sign, Decimal)> = Vec::new();
    for (vital, quantity) in quantities {
        let Some(value) = quantity.value else { continue };
        let (sign, value) = convert(vital, unit(quantity), value).ok_or(Reason::UnknownUnit)?;
        // Temperatures in two units are one vital sign.
        if values.iter().any(|(other, _)| discriminant(other) == discriminant(&sign)) {
            return Err(Reason::MeasuredTwice);
        }
        values.push((sign, value));
    }
    let from_components = values.len() - usize::from(vital(&observation.code).is_some() && !values.is_empty());
    let left_out = observation.component.len().saturating_sub(from_components);
    if values.is_empty() { Err(Reason::NoValue) } else { Ok(Measured { values, left_out }) }
}

fn vital(code: &CodeableConcept) -> Option<Vital> {
    let of = |loinc: &str| KNOWN.iter().find(|(_, codes)| codes.contains(&loinc)).map(|(vital, _)| *vital);
    code.codes_in(LOINC).find_map(of)
}

/// Converts a value to the unit of the record. Only a score may have no unit.
fn convert(vital: Vital, unit: Option<Unit>, value: Decimal) -> Option<(Sign, Decimal)> {
    Some(match (vital, unit?) {
        (Vital::Systolic, Unit::Pressure) => (Sign::Systolic, value),
        (Vital::Diastolic, Unit::Pressure) => (Sign::Diastolic, value),
        (Vital::HeartRate, Unit::PerMinute) => (Sign::HeartRate, value),
        (Vital::RespiratoryRate, Unit::PerMinute) => (Sign::RespiratoryRate, value),
        (Vital::Temperature, Unit::Temperature(unit)) => (Sign::Temperature(unit), value),
        (Vital::OxygenSaturation, Unit::Percent) => (Sign::OxygenSaturation, value),
        (Vital::OxygenFlow, Unit::LitresPerMinute) => (Sign::OxygenFlow, value),
        (Vital::Weight, Unit::Mass(kilograms)) => (Sign::Weight, value.checked_mul(kilograms)?),
        (Vital::Height, Unit::Length(centimetres)) => (Sign::Height, value.checked_mul(centimetres)?),
        (Vital::Pain, Unit::Score) => (Sign::Pain, value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rust_decimal::dec;
    use serde_json::json;

    use super::*;

    fn measured(code: &str, value: &str, unit: &str) -> Result<Vec<(Sign, Decimal)>, Reason> {
        let value: serde_json::Value = serde_json::from_str(value).unwrap();
        let observation = json!({
            "status": "final", "code": { "coding": [{ "system": LOINC, "code": code }] },
            "valueQuantity": { "value": value, "code": unit }
        });
        read(&serde_json::from_str(&observation.to_string()).unwrap()).map(|it| it.values)
    }

    #[test]
    fn units_become_those_of_the_record() {
        let fever = Sign::Temperature(TemperatureUnit::Celsius);
        for (code, value, unit, sign, expected) in [
            ("8302-2", "1.72", "m", Sign::Height, dec!(172.00)),
            ("8302-2", "70", "[in_i]", Sign::Height, dec!(177.80)),
            ("3141-9", "180", "[lb_av]", Sign::Weight, dec!(81.64662660)),
            ("29463-7", "3250", "g", Sign::Weight, dec!(3.25)),
            ("8328-7", "39.5", "Cel", fever, dec!(39.5)),
            ("8889-8", "72", "{beats}/min", Sign::HeartRate, dec!(72)),
        ] {
            assert_eq!(measured(code, value, unit), Ok(vec![(sign, expected)]), "{code} in {unit}");
        }
    }

    #[test]
    fn a_unit_that_does_not_fit_is_not_guessed() {
        for (code, unit) in [("8302-2", ""), ("29463-7", "stone"), ("8480-6", "kPa"), ("8310-5", "kg"), ("2708-6", "")]
        {
            assert_eq!(measured(code, "36", unit), Err(Reason::UnknownUnit), "{code} in {unit}");
        }
    }
}
