//! The values of observations, as the laboratory's results hold them.

use hims_commands::lab_result::ComponentValue;
use hims_domain::lab_result::Comparator;
use hims_domain::lab_test::{Component, ValueType};
use hims_domain::values::coding::LOINC;
use hims_domain::values::{Measured, Text, UcumCode};
use hims_domain::{Described, Personal};
use rust_decimal::{Decimal, RoundingStrategy};

use super::super::datatypes::{CodeableConcept, Quantity};
use super::super::kept::Kept;
use super::super::reason::Reason;
use super::super::resources::Observation;
use super::tests::name;

/// How many decimals of a number the record keeps.
const DECIMALS: u32 = 6;

/// The code system of units in UCUM.
const UCUM: &str = "http://unitsofmeasure.org";

/// The value of one component of a test.
pub(super) struct Value<'g> {
    /// The code of LOINC, and the name.
    pub(super) code: &'g str,
    pub(super) name: &'g str,
    said: Said<'g>,
}

/// What is said of a component.
enum Said<'g> {
    Number(Measured, Option<Comparator>, Option<UcumCode>),
    Text(&'g str),
    Concept(&'g CodeableConcept),
}

/// The values of an observation: its own, and those of its components.
pub(super) fn values<'g>(observation: &'g Observation, kept: &mut Kept) -> Result<Vec<Value<'g>>, Reason> {
    let own = said(
        (observation.value_quantity.as_ref(), observation.value_integer),
        (observation.value_string.as_deref(), observation.value_codeable_concept.as_ref()),
    )?;
    let mut values = Vec::new();
    let mut add = |concept: &'g CodeableConcept, said: Option<Said<'g>>| {
        let Some(said) = said else { return Ok(false) };
        let code = concept.codes_in(LOINC).next().ok_or(Reason::NoCode)?;
        values.push(Value { code, name: concept.words().unwrap_or(code), said });
        Ok(true)
    };
    add(&observation.code, own)?;
    for component in &observation.component {
        let said = said(
            (component.value_quantity.as_ref(), component.value_integer),
            (component.value_string.as_deref(), component.value_codeable_concept.as_ref()),
        )?;
        if !add(&component.code, said)? {
            kept.leave_out("component");
        }
    }
    if values.is_empty() { Err(Reason::NoValue) } else { Ok(values) }
}

/// What is said of a component, if anything is said.
fn said<'g>(
    (quantity, integer): (Option<&'g Quantity>, Option<i32>),
    (text, concept): (Option<&'g str>, Option<&'g CodeableConcept>),
) -> Result<Option<Said<'g>>, Reason> {
    if let Some((quantity, number)) = quantity.and_then(|it| Some((it, it.value?))) {
        let comparator = quantity.comparator.as_deref().map(comparator).transpose()?;
        let rounded = number.round_dp_with_strategy(DECIMALS, RoundingStrategy::MidpointNearestEven);
        let number = Some(Measured::from(rounded)).filter(Described::is_valid).ok_or(Reason::Impossible)?;
        return Ok(Some(Said::Number(number, comparator, unit(quantity))));
    }
    let number = integer.map(|it| Said::Number(Measured::from(Decimal::from(it)), None, None));
    let text = text.map(str::trim).filter(|it| !it.is_empty()).map(Said::Text);
    let concept = concept.filter(|it| it.words().is_some()).map(Said::Concept);
    Ok(number.or(text).or(concept))
}

fn comparator(code: &str) -> Result<Comparator, Reason> {
    match code {
        "<" => Ok(Comparator::Below),
        "<=" => Ok(Comparator::AtMost),
        ">=" => Ok(Comparator::AtLeast),
        ">" => Ok(Comparator::Above),
        _ => Err(Reason::Comparator),
    }
}

/// The unit of a quantity: its code, unless the code is of another system than UCUM, or else its words.
fn unit(quantity: &Quantity) -> Option<UcumCode> {
    let is_ucum = quantity.system.as_deref().is_none_or(|it| it == UCUM);
    let code = quantity.code.as_deref().filter(|_| is_ucum).or(quantity.unit.as_deref());
    code.filter(|it| !it.trim().is_empty()).map(UcumCode::from)
}

impl Value<'_> {
    /// The component of a test that the catalogue does not have yet.
    pub(super) fn component(&self) -> Component {
        let (value_type, unit) = match &self.said {
            Said::Number(_, _, unit) => (ValueType::Numeric, unit.clone().filter(Described::is_valid)),
            Said::Text(_) | Said::Concept(_) => (ValueType::Text, None),
        };
        Component {
            code: Text::from(self.code),
            name: name(self.code, self.name),
            value_type,
            unit,
            other_units: Vec::new(),
            decimals: None,
            abnormal_values: Vec::new(),
            possible_low: None,
            possible_high: None,
            delta_percent: None,
            delta_days: None,
            ranges: Vec::new(),
        }
    }

    /// The value for a component of the catalogue.
    ///
    /// # Errors
    /// When the component has no such values, or not in this unit.
    pub(super) fn of(&self, component: &Component) -> Result<ComponentValue, Reason> {
        let mut value = ComponentValue {
            code: component.code.clone(),
            value: None,
            comparator: None,
            text: None,
            value_code: None,
            unit: None,
        };
        match &self.said {
            Said::Number(number, comparator, unit) if component.value_type == ValueType::Numeric => {
                let mut units = component.unit.iter().chain(component.other_units.iter().map(|it| &it.unit));
                if unit.as_ref().is_some_and(|it| units.all(|known| known != it)) {
                    return Err(Reason::UnknownUnit);
                }
                value.value = Some(*number);
                value.comparator = *comparator;
                value.unit.clone_from(unit);
            }
            Said::Number(number, None, None) => value.text = Some(text(&number.to_string())),
            Said::Number(..) => return Err(Reason::UnknownUnit),
            Said::Text(it) => value.text = Some(text(it)),
            Said::Concept(it) => {
                let code = it.coding.iter().find_map(|it| it.code.as_deref());
                let code = code.filter(|_| component.value_type == ValueType::Coded);
                value.value_code = code.map(Text::from).filter(Described::is_valid);
                if value.value_code.is_none() {
                    value.text = Some(text(it.words().unwrap_or_default()));
                }
            }
        }
        Ok(value)
    }
}

/// A value in words; what is too long for the record ends in an ellipsis.
fn text(words: &str) -> Personal<Text<500>> {
    const LONGEST: usize = 500;
    let words = words.trim();
    let text = if words.chars().count() <= LONGEST {
        words.to_owned()
    } else {
        words.chars().take(LONGEST - 1).chain(['\u{2026}']).collect()
    };
    Personal::Known(Text::from(text.as_str()))
}
