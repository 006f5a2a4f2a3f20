//! The dosage of a prescribed medication: how much, by which route, how often and for how long.

use hims_domain::MedicationId;
use hims_domain::prescription::Order;
use hims_domain::values::{Text, Unit};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy, dec};

use super::bundle::{Dosage, MedicationRequest, Timing};
use super::datatypes::{Quantity, date};
use super::kept::Kept;

/// The item of a prescription. If the request does not say how much to dispense, the quantity is one course.
pub(super) fn order(request: &MedicationRequest, medication_id: MedicationId, kept: &mut Kept) -> Order {
    let none = Dosage::default();
    let dosage = request.dosage_instruction.first().unwrap_or(&none);
    let dose = dosage.dose_and_rate.iter().find_map(|it| it.dose_quantity.as_ref());
    let dispense = &request.dispense_request;
    let quantity = dispense.quantity.as_ref();
    let (quantity, quantity_unit) = match amount(quantity) {
        Some(amount) => (amount, kept.text("dispenseRequest", quantity.and_then(unit))),
        None => (Decimal::ONE, Some(Text::from("course"))),
    };
    let instructions = request.dosage_instruction.iter().flat_map(|instruction| {
        let additional = instruction.additional_instruction.iter().filter_map(|it| it.words());
        instruction.text.as_deref().into_iter().chain(instruction.patient_instruction.as_deref()).chain(additional)
    });
    Order {
        medication_id,
        dose_quantity: amount(dose),
        dose_unit: kept.text::<20>("dosageInstruction", dose.and_then(unit)).map(Unit::from),
        route: kept.text("dosageInstruction", dosage.route.as_ref().and_then(|it| it.words())),
        frequency: kept.text("dosageInstruction", frequency(&dosage.timing).as_deref()),
        as_needed: dosage.as_needed_boolean == Some(true) || dosage.as_needed_codeable_concept.is_some(),
        duration_days: dispense.expected_supply_duration.as_ref().and_then(days),
        quantity,
        quantity_unit: quantity_unit.unwrap_or_else(|| Text::<20>::from("unit")).into(),
        substitution_allowed: request.substitution.allowed_boolean.unwrap_or(true),
        instructions: kept.joined("dosageInstruction", instructions),
        valid_until: date(dispense.validity_period.end.as_deref().and_then(|it| it.get(..10))),
        override_reason: None,
    }
}

fn unit(quantity: &Quantity) -> Option<&str> {
    quantity.unit.as_deref().or(quantity.code.as_deref())
}

/// An amount that the record can hold: more than zero, at most a million, rounded to three decimals.
fn amount(quantity: Option<&Quantity>) -> Option<Decimal> {
    let value = quantity?.value?.round_dp_with_strategy(3, RoundingStrategy::MidpointNearestEven);
    (value > Decimal::ZERO && value <= dec!(1_000_000)).then_some(value)
}

/// The days that a supply lasts, rounded up (UCUM `d`, `wk`, `mo`; a month has 30 days).
fn days(quantity: &Quantity) -> Option<i32> {
    let factor = match quantity.code.as_deref().or(quantity.unit.as_deref())? {
        "d" | "day" | "days" => 1,
        "wk" | "week" | "weeks" => 7,
        "mo" | "month" | "months" => 30,
        _ => return None,
    };
    let days = quantity.value?.checked_mul(Decimal::from(factor))?.ceil().to_i32()?;
    (1..=3650).contains(&days).then_some(days)
}

/// The frequency in words: that of the timing code, or else such as `1 per 1 d`.
fn frequency(timing: &Timing) -> Option<String> {
    if let Some(words) = timing.code.as_ref().and_then(|it| it.words()) {
        return Some(words.to_owned());
    }
    let repeat = &timing.repeat;
    let (times, period, unit) = (repeat.frequency?, repeat.period.as_ref()?, repeat.period_unit.as_deref()?);
    Some(format!("{times} per {period} {unit}"))
}
