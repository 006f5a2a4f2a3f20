//! What must hold for a medication on the list, whether it is added or changed.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use hims_domain::medication::Medication;
use hims_domain::medication_list::Taken;
use hims_domain::values::coding::RXNORM;

use crate::machinery::coding::read_at;
use crate::{Context, Patch, Refused};

/// The largest number of ingredients of a medication.
const INGREDIENTS: usize = 20;

/// The medication with its codes in the form in which they are kept.
///
/// # Errors
/// The rule that the medication breaks.
pub(super) fn checked(taken: Taken) -> Result<Taken, Refused> {
    let wrong = |message| Err(Refused::field("invalid-fields", "/medication_name", message));
    match (&taken.medication_id, &taken.medication_name) {
        (None, None) => return wrong("give the name of the medication, or the medication_id of the catalogue"),
        (Some(_), Some(_)) => return wrong("leave the name out, which the catalogue has, or the medication_id"),
        (Some(_), None) | (None, Some(_)) => {}
    }
    if taken.ingredients.as_ref().is_some_and(|it| it.len() > INGREDIENTS) {
        return Err(Refused::field("invalid-fields", "/ingredients", "give at most 20 ingredients"));
    }
    check_days(taken.start_date, taken.end_date)?;
    let read = |pointer: &'static str| move |code| read_at(RXNORM, &code, pointer);
    let rxnorm_code = taken.rxnorm_code.map(read("/rxnorm_code")).transpose()?;
    let ingredients = taken.ingredients.map(|it| it.into_iter().map(read("/ingredients")).collect()).transpose()?;
    Ok(Taken { rxnorm_code, ingredients, ..taken })
}

/// Checks that the last day is not before the first.
pub(super) fn check_days(start: Option<NaiveDate>, end: Option<NaiveDate>) -> Result<(), Refused> {
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        let message = "give a last day that is not before the first";
        return Err(Refused::field("ends-before-it-starts", "/end_date", message));
    }
    Ok(())
}

/// The medication with the codes that the catalogue has of it, unless others are given.
///
/// # Errors
/// When the catalogue does not have the medication.
pub(super) fn completed(taken: Taken, ctx: &Context<'_>) -> Result<Taken, Refused> {
    let Some(id) = taken.medication_id else { return Ok(taken) };
    let details = &ctx.named::<Medication>(id, "/medication_id")?.details;
    let known: Option<BTreeSet<_>> = Some(&details.ingredients).filter(|it| !it.is_empty()).cloned();
    Ok(Taken {
        rxnorm_code: taken.rxnorm_code.or_else(|| details.rxnorm_code.clone()),
        ingredients: taken.ingredients.or(known),
        ..taken
    })
}

/// The medication after changes. Another product has its own codes, unless the changes give some.
///
/// # Errors
/// The fields that break their rules after the changes.
pub(super) fn changed(before: &Taken, changes: Patch<Taken>) -> Result<Taken, Refused> {
    let is_mentioned = |field| changes.mentions(field);
    let is_other = is_mentioned("medication_id") || is_mentioned("medication_name");
    let kept = Taken {
        rxnorm_code: before.rxnorm_code.clone().filter(|_| !is_other),
        ingredients: before.ingredients.clone().filter(|_| !is_other),
        ..before.clone()
    };
    changes.apply(&kept)
}

/// Whether two entries are about the same medication, however it is taken.
pub(super) fn is_the_same(one: &Taken, other: &Taken) -> bool {
    let which =
        |it: &Taken| (it.medication_id, it.medication_name.clone(), it.rxnorm_code.clone(), it.ingredients.clone());
    which(one) == which(other)
}

/// Whether the patient was erased, so that what the entry says in words is lost.
pub(super) fn is_erased(taken: &Taken) -> bool {
    let is_name_lost = taken.medication_name.as_ref().is_some_and(|it| it.known().is_none());
    is_name_lost || taken.dose.as_ref().is_some_and(|it| it.known().is_none())
}
