//! The dosage of a prescribed medication. A single dosage goes into the fields of the prescription as far as the fields
//! hold it exactly; whatever else there is, and a dosage of several steps, is written out in the instructions.

use hims_domain::prescription::Order;
use hims_domain::values::{Text, Unit};
use hims_domain::{Described as _, MedicationId};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, dec};

use super::calendar::date;
use super::datatypes::{Quantity, Range};
use super::kept::Kept;
use super::regimen;
use super::resources::{Dosage, MedicationRequest, Ratio};

/// The item of a prescription. If the request does not say how much to dispense, the quantity is one course.
pub(super) fn order(request: &MedicationRequest, medication_id: MedicationId, kept: &mut Kept) -> Order {
    let mut steps: Vec<&Dosage> = request.dosage_instruction.iter().collect();
    steps.sort_by_key(|it| it.sequence.unwrap_or(i32::MAX));
    let fields = match steps.as_slice() {
        [] => Fields::default(),
        [only] => Fields::of(only),
        several => Fields::of_several(several),
    };
    let (quantity, quantity_unit) = quantity(request, kept);
    let duration_days = fields.days.or_else(|| supply_days(request, kept));
    if fields.days.is_some() && request.dispense_request.expected_supply_duration.is_some() {
        kept.leave_out("dispenseRequest.expectedSupplyDuration");
    }
    let valid_until = request.dispense_request.validity_period.end.as_deref();
    let until = date(valid_until.and_then(|it| it.get(..10)));
    if valid_until.is_some() && until.is_none() {
        kept.leave_out("dispenseRequest.validityPeriod");
    }
    let route = fields.route.and_then(|it| kept.words("dosageInstruction.route", it.route.as_ref()));
    Order {
        medication_id,
        dose_quantity: fields.dose.as_ref().map(|(value, _)| *value),
        dose_unit: fields.dose.and_then(|(_, unit)| unit),
        route: kept.text("dosageInstruction.route", route),
        frequency: fields.frequency,
        as_needed: fields.as_needed,
        duration_days,
        quantity,
        quantity_unit,
        substitution_allowed: substitution_allowed(request, kept),
        instructions: kept.joined("dosageInstruction", fields.instructions.iter().map(String::as_str)),
        // Refills of other pharmacies are not opened here, so their number is left out.
        refills_allowed: 0,
        days_supply: None,
        valid_until: until,
        override_reason: None,
    }
}

/// What the fields of a prescription hold of a dosage.
#[derive(Default)]
struct Fields<'a> {
    dose: Option<(Decimal, Option<Unit>)>,
    /// The dosage whose route is that of the prescription.
    route: Option<&'a Dosage>,
    frequency: Option<Text<50>>,
    as_needed: bool,
    days: Option<i32>,
    instructions: Vec<String>,
}

impl<'a> Fields<'a> {
    /// The fields of a single dosage, with instructions for whatever the fields do not hold exactly.
    fn of(dosage: &'a Dosage) -> Self {
        let mut instructions = regimen::texts(dosage);
        let dose = match dosage.dose_and_rate.as_slice() {
            [only] if only.dose_range.is_none() => only.dose_quantity.as_ref().and_then(exact),
            _ => None,
        };
        if dose.is_none() {
            instructions.extend(regimen::dose(dosage));
        }
        let timing = &dosage.timing;
        let words = regimen::frequency(timing);
        let frequency = words.as_deref().map(Text::from).filter(Text::is_valid);
        if frequency.is_none() {
            instructions.extend(words);
        }
        if timing.code.is_some() {
            instructions.extend(regimen::times(&timing.repeat));
        }
        let days = timing.repeat.bounds_duration.as_ref().and_then(regimen::days).and_then(whole_days);
        if days.is_none() || timing.repeat.count.is_some() {
            instructions.extend(regimen::bounds(&timing.repeat));
        }
        instructions.extend(regimen::limits(dosage));
        let as_needed = dosage.as_needed_boolean == Some(true) || dosage.as_needed_codeable_concept.is_some();
        Self { dose, route: Some(dosage), frequency, as_needed, days, instructions }
    }

    /// Several steps, or several dosages beside one another, stand in the instructions: no field holds only one of
    /// them.
    fn of_several(dosages: &[&'a Dosage]) -> Self {
        let step = |(index, dosage): (usize, &&Dosage)| format!("{}: {}", index + 1, regimen::whole(dosage));
        let as_needed = |it: &&Dosage| it.as_needed_boolean == Some(true) || it.as_needed_codeable_concept.is_some();
        Self {
            as_needed: dosages.iter().all(as_needed),
            instructions: dosages.iter().enumerate().map(step).collect(),
            ..Self::default()
        }
    }
}

/// An amount that the record holds exactly: more than zero, at most a million, of at most three decimals, and in a unit
/// that the record can hold.
fn exact(quantity: &Quantity) -> Option<(Decimal, Option<Unit>)> {
    let value = quantity.value?.normalize();
    let fits = value > Decimal::ZERO && value <= dec!(1_000_000) && value.scale() <= 3;
    let unit = regimen::unit(quantity).map(Unit::from);
    (fits && unit.as_ref().is_none_or(Unit::is_valid)).then_some((value, unit))
}

/// How much to dispense.
fn quantity(request: &MedicationRequest, kept: &mut Kept) -> (Decimal, Unit) {
    let given = request.dispense_request.quantity.as_ref();
    let exact = given.and_then(exact);
    if given.is_some() && exact.is_none() {
        kept.leave_out("dispenseRequest.quantity");
    }
    match exact {
        Some((amount, unit)) => (amount, unit.unwrap_or_else(|| Unit::from("unit"))),
        None => (Decimal::ONE, Unit::from("course")),
    }
}

/// The days that the supply lasts, rounded up.
fn supply_days(request: &MedicationRequest, kept: &mut Kept) -> Option<i32> {
    let supply = request.dispense_request.expected_supply_duration.as_ref()?;
    let days = regimen::days(supply).and_then(|it| whole_days(it.ceil()));
    if days.is_none() {
        kept.leave_out("dispenseRequest.expectedSupplyDuration");
    }
    days
}

fn whole_days(days: Decimal) -> Option<i32> {
    let days = days.is_integer().then(|| days.to_i32())??;
    (1..=3650).contains(&days).then_some(days)
}

/// Whether another product may be dispensed. A concept that is not known is taken as a refusal, since it may be one.
fn substitution_allowed(request: &MedicationRequest, kept: &mut Kept) -> bool {
    const ALLOWED: [&str; 8] = ["E", "EC", "BC", "G", "TE", "TB", "TG", "F"];
    if let Some(allowed) = request.substitution.allowed_boolean {
        return allowed;
    }
    let Some(concept) = &request.substitution.allowed_codeable_concept else { return true };
    let is_allowed = ALLOWED.iter().any(|it| concept.has_code(it)) && !concept.has_code("N");
    if !concept.has_code("N") {
        kept.leave_out("substitution.allowedCodeableConcept");
    }
    is_allowed
}

/// Whether an amount of a request is only a bound.
pub(super) fn has_comparator(request: &MedicationRequest) -> bool {
    let is_bound = |quantity: &Option<Quantity>| quantity.as_ref().is_some_and(|it| it.comparator.is_some());
    let in_range = |range: &Option<Range>| range.as_ref().is_some_and(|it| is_bound(&it.low) || is_bound(&it.high));
    let in_ratio =
        |ratio: &Option<Ratio>| ratio.as_ref().is_some_and(|it| is_bound(&it.numerator) || is_bound(&it.denominator));
    let dispense = &request.dispense_request;
    is_bound(&dispense.quantity)
        || is_bound(&dispense.expected_supply_duration)
        || request.dosage_instruction.iter().any(|dosage| {
            let repeat = &dosage.timing.repeat;
            is_bound(&repeat.bounds_duration)
                || in_range(&repeat.bounds_range)
                || in_ratio(&dosage.max_dose_per_period)
                || is_bound(&dosage.max_dose_per_administration)
                || dosage.dose_and_rate.iter().any(|it| {
                    is_bound(&it.dose_quantity)
                        || in_range(&it.dose_range)
                        || is_bound(&it.rate_quantity)
                        || in_range(&it.rate_range)
                        || in_ratio(&it.rate_ratio)
                })
        })
}
