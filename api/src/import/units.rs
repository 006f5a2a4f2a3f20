//! The units of vital signs, and how many units of the record they are.

use hims_domain::values::measuring_unit;
use hims_domain::vital_signs::TemperatureUnit;
use rust_decimal::{Decimal, dec};

use super::datatypes::Quantity;

const UCUM: &str = "http://unitsofmeasure.org";

/// A unit of a vital sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A mass, with its kilograms.
    Mass(Decimal),
    /// A length, with its centimetres.
    Length(Decimal),
    Temperature(TemperatureUnit),
    /// Millimetres of mercury.
    Pressure,
    /// A rate: how often a minute.
    PerMinute,
    Percent,
    /// Litres a minute.
    LitresPerMinute,
    /// A score, which is a plain number.
    Score,
}

/// The unit of a quantity. The code and the words must not contradict each other; a code of another system than UCUM
/// says nothing. `None` for a unit that is not known.
pub(super) fn unit(quantity: &Quantity) -> Option<Unit> {
    let is_ucum = quantity.system.as_deref().is_none_or(|it| it == UCUM);
    let given = |text: &Option<String>| text.clone().filter(|it| !it.trim().is_empty());
    let code = given(&quantity.code).filter(|_| is_ucum);
    let words = given(&quantity.unit);
    match (code.as_deref().and_then(named), words.as_deref().and_then(named)) {
        (Some(code), Some(words)) if code != words => None,
        (Some(unit), _) | (None, Some(unit)) => Some(unit),
        (None, None) => (code.is_none() && words.is_none()).then_some(Unit::Score),
    }
}

/// The unit with a name. The names of units are those of the record (`hims_domain::values::measuring_unit`).
fn named(name: &str) -> Option<Unit> {
    let Some(code) = measuring_unit(name) else {
        let name = name.trim().to_lowercase();
        // An annotation in braces does not change a unit of UCUM.
        let is_rate = name.starts_with('{') && name.ends_with("}/min");
        let is_score = matches!(name.as_str(), "{score}" | "score" | "1" | "{nrs}");
        return if is_rate { Some(Unit::PerMinute) } else { is_score.then_some(Unit::Score) };
    };
    Some(match code.as_str() {
        "kg" => Unit::Mass(Decimal::ONE),
        "g" => Unit::Mass(dec!(0.001)),
        "[lb_av]" => Unit::Mass(dec!(0.45359237)),
        "[oz_av]" => Unit::Mass(dec!(0.028349523125)),
        "cm" => Unit::Length(Decimal::ONE),
        "mm" => Unit::Length(dec!(0.1)),
        "m" => Unit::Length(dec!(100)),
        "[in_i]" => Unit::Length(dec!(2.54)),
        "[ft_i]" => Unit::Length(dec!(30.48)),
        "Cel" => Unit::Temperature(TemperatureUnit::Celsius),
        "[degF]" => Unit::Temperature(TemperatureUnit::Fahrenheit),
        "mm[Hg]" => Unit::Pressure,
        "/min" => Unit::PerMinute,
        "%" => Unit::Percent,
        "L/min" => Unit::LitresPerMinute,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Option<&str>, words: Option<&str>) -> Option<Unit> {
        unit(&Quantity { code: code.map(str::to_owned), unit: words.map(str::to_owned), ..Quantity::default() })
    }

    #[test]
    fn words_and_codes_of_one_unit_are_one() {
        for (names, unit) in [
            (&["[lb_av]", "lb", "lbs", "Pounds"][..], Unit::Mass(dec!(0.45359237))),
            (&["kg", "Kg", "KG"], Unit::Mass(Decimal::ONE)),
            (&["[in_i]", "in", "inches"], Unit::Length(dec!(2.54))),
            (&["Cel", "C", "°C", "degrees C"], Unit::Temperature(TemperatureUnit::Celsius)),
            (&["[degF]", "F", "°F", "degF"], Unit::Temperature(TemperatureUnit::Fahrenheit)),
            (&["/min", "1/min", "min-1", "{beats}/min", "bpm", "beats/minute"], Unit::PerMinute),
            (&["mm[Hg]", "mmHg", "mm Hg"], Unit::Pressure),
        ] {
            for name in names {
                assert_eq!((of(Some(name), None), of(None, Some(name))), (Some(unit), Some(unit)), "{name}");
            }
        }
    }

    #[test]
    fn a_unit_that_is_not_known_is_not_guessed() {
        for name in ["stone", "kPa", "K", "mg", "lb/d"] {
            assert_eq!(of(Some(name), None), None, "{name}");
        }
        assert_eq!(of(Some("kg"), Some("lb")), None, "the code says something else than the words");
        assert_eq!(of(None, None), Some(Unit::Score));
    }
}
