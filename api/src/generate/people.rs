//! The patients: who they are, and when they were registered.

use chrono::{Datelike as _, Days, TimeDelta};
use hims_domain::Personal;
use hims_domain::patient::{Allergy, BirthDatePrecision, Demographics, Event, Gender, Patient, Severity};
use hims_domain::values::{Email, Mrn, Name, PartialDate, Phone, Text};
use hims_event_store::AppendError;

use super::history::History;
use super::plan::{Chance, Kind, Plan};
use super::words::{ALLERGIES, CITIES, FAMILY_BEGINNINGS, FAMILY_ENDINGS, GIVEN_FEMALE, GIVEN_MALE, STREETS};

fn text<const MAX: usize>(text: impl AsRef<str>) -> Personal<Text<MAX>> {
    Personal::Known(Text::from(text.as_ref()))
}

fn name<const MAX: usize>(name: impl AsRef<str>) -> Personal<Name<MAX>> {
    Personal::Known(Name::from(name.as_ref()))
}

/// The given name of somebody.
pub(super) fn given_name(chance: &mut Chance, is_female: bool) -> &'static str {
    let names = if is_female { &GIVEN_FEMALE } else { &GIVEN_MALE };
    chance.one_of::<&str>(names)
}

/// The family name of somebody.
pub(super) fn family_name(chance: &mut Chance) -> String {
    format!("{}{}", chance.one_of(&FAMILY_BEGINNINGS), chance.one_of(&FAMILY_ENDINGS))
}

/// Who a patient is. All patients are adults at their first visit.
pub(super) fn demographics(plan: &Plan, nth: u64, chance: &mut Chance) -> Demographics {
    let is_female = chance.below(2) == 0;
    let (given, family) = (given_name(chance, is_female), family_name(chance));
    let (city, state, postal_code, area) = *chance.one_of(&CITIES);
    let first_visit = plan.visit(nth, 0).date;
    let born = first_visit - Days::new(u64::try_from(chance.from(19 * 366, 90 * 365)).unwrap_or(0));
    let born = PartialDate::parse(&format!("{}-{:02}-{:02}", born.year(), born.month(), born.day()));
    // The exchange 555 is given to nobody, so nobody is called.
    let phone = Phone::parse(&format!("+1{area}555{:04}", nth % 10_000));
    Demographics {
        first_name: Some(name(given)),
        last_name: Some(name(family)),
        middle_name: None,
        name_unknown: false,
        date_of_birth: born.ok().map(Personal::Known),
        birth_date_precision: Some(BirthDatePrecision::Day),
        gender: if is_female { Gender::Female } else { Gender::Male },
        ssn: None,
        email: Email::parse(&format!("patient{nth}@generated.example")).ok().map(Personal::Known),
        phone_primary: phone.ok().map(Personal::Known),
        phone_secondary: None,
        address_line_1: Some(text(format!("{} {}", 1 + nth % 400, chance.one_of(&STREETS)))),
        address_line_2: None,
        city: Some(text(city)),
        state: Some(text(state)),
        postal_code: Some(text(postal_code)),
        country: None,
        marital_status: Some(text(chance.one_of(&["single", "married", "divorced", "widowed"]))),
        occupation: None,
        emergency_contact_name: None,
        emergency_contact_relationship: None,
        emergency_contact_phone: None,
        preferred_language: Some(text("en")),
        ethnicity: None,
        race: None,
        blood_type: None,
        organ_donor: chance.below(3) == 0,
        advance_directive: false,
    }
}

impl History {
    /// The patient is registered a few days before the first visit. Every second patient has an allergy.
    pub(super) fn registered(&mut self) -> Result<(), AppendError> {
        let days = self.chance.from(1, 20);
        self.moment(self.visit(0).starts_at - TimeDelta::days(days));
        let mrn = Mrn::issue(self.number(0)).into();
        let demographics = Box::new(self.demographics.clone());
        let mut events = vec![Event::Registered { mrn, demographics, identifiers: Vec::new() }];
        if self.nth.is_multiple_of(2) {
            let allergy_id = self.id(Kind::Allergy, 0).into();
            events.push(Event::AllergyRecorded { allergy_id, allergy: self.allergy() });
        }
        self.add::<Patient>(self.patient_id, &events)
    }

    fn allergy(&mut self) -> Allergy {
        let (allergen_type, allergen, reaction) = *self.chance.one_of(&ALLERGIES);
        Allergy {
            allergen_type,
            allergen_name: Personal::Known(Name::from(allergen)),
            rxnorm_code: None,
            code_system: None,
            code: None,
            severity: Some(*self.chance.one_of(&[Severity::Mild, Severity::Moderate, Severity::Severe])),
            reaction_description: Some(text(reaction)),
            onset_date: None,
            reported_by: None,
        }
    }
}
