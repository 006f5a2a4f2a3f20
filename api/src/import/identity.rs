//! Whether two resources with one id, or a resource and a record, can be the same.

use std::collections::BTreeSet;

use hims_domain::Personal;
use hims_domain::patient::Demographics;
use hims_domain::user::Profile;
use hims_domain::values::{Name, folded};

use super::benefit::ExplanationOfBenefit;
use super::claim::Claim;
use super::datatypes::{HumanName, NameParts, Reference};
use super::resources::{
    AllergyIntolerance, CarePlan, Condition, DiagnosticReport, Encounter, Immunization, Medication, MedicationRequest,
    Observation, Organization, Patient, Practitioner, PractitionerRole, Procedure,
};

/// A resource of which several copies may be found under one id.
pub(super) trait Alike {
    /// Whether two copies can be versions of one resource. An id that is not global may have been given to different
    /// resources by different servers, so then the copies must agree on what the resource is about.
    fn is_like(&self, other: &Self, is_global: bool) -> bool;
}

/// A name for comparison: folded, whatever stands between its words.
fn comparable(name: &str) -> String {
    folded(name).split(' ').filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Who a patient is, for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    names: BTreeSet<String>,
    /// A date of birth, or the beginning of one: a year, or a year and a month.
    born: Option<String>,
    gender: Option<&'static str>,
}

impl Person {
    /// The person of a resource.
    pub(super) fn of(patient: &Patient) -> Self {
        Self {
            names: names(&patient.name),
            born: patient.birth_date.as_deref().and_then(|it| it.get(..it.len().min(10))).map(str::to_owned),
            gender: ["male", "female", "other"].into_iter().find(|it| patient.gender.as_deref() == Some(it)),
        }
    }

    /// The person of a record; `None` if the person was erased.
    pub(super) fn recorded(demographics: &Demographics) -> Option<Self> {
        let known = |name: &Option<Personal<Name<100>>>| match name {
            Some(name) => name.known().map(|it| Some(it.as_str().to_owned())),
            None => Some(None),
        };
        let (first, last) = (known(&demographics.first_name)?, known(&demographics.last_name)?);
        let name = NameParts { first: first.as_deref(), middle: String::new(), family: last.as_deref() };
        let born = match &demographics.date_of_birth {
            Some(born) => Some(born.known()?.as_str().to_owned()),
            None => None,
        };
        let gender = demographics.gender.to_string();
        Some(Self {
            names: BTreeSet::from([name_of(&name)]).into_iter().filter(|it| !it.is_empty()).collect(),
            born,
            gender: ["male", "female", "other"].into_iter().find(|it| gender == *it),
        })
    }

    /// Whether a name of one description is a name of the other, or neither has a name.
    fn has_name_of(&self, other: &Self) -> bool {
        !self.names.is_disjoint(&other.names) || self.names.is_empty() && other.names.is_empty()
    }

    /// Whether one date of birth is the beginning of the other, or neither is known.
    fn is_born_as(&self, other: &Self) -> bool {
        match (&self.born, &other.born) {
            (Some(one), Some(other)) => one.starts_with(other.as_str()) || other.starts_with(one.as_str()),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    fn has_gender_of(&self, other: &Self) -> bool {
        self.gender.is_none() || other.gender.is_none() || self.gender == other.gender
    }

    /// Whether two descriptions are certainly of one person: the same name and the same whole date of birth.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_whole = self.born.as_ref().is_some_and(|it| it.len() == 10) && !self.names.is_empty();
        is_whole && self.born == other.born && self.has_name_of(other) && self.has_gender_of(other)
    }

    /// Whether two descriptions under one id can be of one person. Under a global id, the name or the date of birth may
    /// have changed, but not both.
    pub(super) fn is_like(&self, other: &Self, is_global: bool) -> bool {
        if is_global {
            let both_born = self.born.is_some() && other.born.is_some();
            let is_nameless = self.names.is_empty() || other.names.is_empty();
            return self.has_name_of(other) || if both_born { self.is_born_as(other) } else { is_nameless };
        }
        self.has_name_of(other) && self.is_born_as(other) && self.has_gender_of(other)
    }
}

/// The first and the family name of a person, for comparison.
fn name_of(name: &NameParts<'_>) -> String {
    comparable(&[name.first, name.family].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

fn names(names: &[HumanName]) -> BTreeSet<String> {
    names.iter().map(|it| name_of(&it.parts())).filter(|it| !it.is_empty()).collect()
}

/// Whether a practitioner can be the user with a profile. Under a global id, one of the two names may have changed.
pub(super) fn is_user(practitioner: &Practitioner, profile: &Profile, is_global: bool) -> bool {
    let (first, last) = (profile.first_name.as_ref(), profile.last_name.as_ref());
    if [first, last].into_iter().flatten().any(|it| it.known().is_none()) {
        return false;
    }
    let recorded =
        |name: Option<&Personal<Name<100>>>| name.and_then(Personal::known).map(|it| comparable(it.as_str()));
    let (first, last) = (recorded(first), recorded(last));
    practitioner.name.iter().map(HumanName::parts).any(|name| {
        let (given, family) = (name.first.map(comparable), name.family.map(comparable));
        let has_one = given.is_some() && given == first || family.is_some() && family == last;
        (&given, &family) == (&first, &last) || is_global && has_one
    })
}

/// Whether an organization can be the department with a name.
pub(super) fn is_department(organization: &Organization, name: &str, is_global: bool) -> bool {
    is_global || organization.name.as_deref().is_some_and(|it| comparable(it) == comparable(name))
}

fn same_target(one: &Reference, other: &Reference) -> bool {
    one.reference == other.reference
}

impl Alike for Patient {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        Person::of(self).is_like(&Person::of(other), is_global)
    }
}

impl Alike for Practitioner {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || !names(&self.name).is_disjoint(&names(&other.name))
    }
}

impl Alike for PractitionerRole {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        let target = |record: &Self| record.practitioner.as_ref().and_then(|it| it.reference.clone());
        is_global || target(self) == target(other)
    }
}

impl Alike for Organization {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || self.name == other.name
    }
}

impl Alike for AllergyIntolerance {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        let words = |record: &Self| record.code.as_ref().and_then(|it| it.words()).map(comparable);
        is_global || same_target(&self.patient, &other.patient) && words(self) == words(other)
    }
}

impl Alike for Encounter {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || same_target(&self.subject, &other.subject) && self.period.start == other.period.start
    }
}

impl Alike for Condition {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || same_target(&self.subject, &other.subject) && self.code.words() == other.code.words()
    }
}

impl Alike for Procedure {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || same_target(&self.subject, &other.subject) && self.code.words() == other.code.words()
    }
}

impl Alike for CarePlan {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || same_target(&self.subject, &other.subject) && self.period.start == other.period.start
    }
}

impl Alike for DiagnosticReport {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || same_target(&self.subject, &other.subject) && self.code.words() == other.code.words()
    }
}

impl Alike for Observation {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        let at = |it: &Self| [it.effective_date_time.clone(), it.effective_instant.clone(), it.issued.clone()];
        is_global || same_target(&self.subject, &other.subject) && at(self) == at(other)
    }
}

impl Alike for Immunization {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        let at = |it: &Self| (it.occurrence_date_time.clone(), it.occurrence_string.clone());
        is_global
            || same_target(&self.patient, &other.patient)
                && at(self) == at(other)
                && self.vaccine_code.words() == other.vaccine_code.words()
    }
}

impl Alike for Medication {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || self.code.words() == other.code.words()
    }
}

impl Alike for MedicationRequest {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        let words =
            |record: &Self| record.medication_codeable_concept.as_ref().and_then(|it| it.words()).map(comparable);
        is_global
            || same_target(&self.subject, &other.subject)
                && self.authored_on == other.authored_on
                && words(self) == words(other)
    }
}

impl Alike for Claim {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        let start = |it: &Self| it.billable_period.start.clone();
        is_global || same_target(&self.patient, &other.patient) && start(self) == start(other)
    }
}

impl Alike for ExplanationOfBenefit {
    fn is_like(&self, other: &Self, is_global: bool) -> bool {
        is_global || same_target(&self.claim, &other.claim) && self.created == other.created
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(given: &str, family: &str, born: &str, gender: &str) -> Person {
        let name = json!([{ "given": [given], "family": family }]);
        Person::of(&serde_json::from_value(json!({ "name": name, "birthDate": born, "gender": gender })).unwrap())
    }

    #[test]
    fn a_person_stays_the_same_with_another_name_or_another_birth_date_but_not_with_both() {
        let ann = person("Ann", "Miller", "1980-05-05", "female");
        let married = person("Ann", "Smith", "1980-05-05", "female");
        let partly = person("Ann", "MILLER", "1980", "female");
        let other = person("Bob", "Smith", "1999-12-31", "male");
        assert!(ann.is_like(&married, true) && ann.is_like(&partly, true) && !ann.is_like(&other, true));
        assert!(!ann.is_like(&married, false) && ann.is_like(&partly, false) && !ann.is_like(&other, false));
        assert!(ann.is_same(&ann) && !ann.is_same(&partly) && !ann.is_same(&married));
        let unknown = Person { names: BTreeSet::new(), born: None, gender: None };
        assert!(unknown.is_like(&unknown, true) && unknown.is_like(&unknown, false) && !unknown.is_same(&unknown));
        assert!(!unknown.is_like(&ann, false), "somebody unknown on one server is not somebody known on another");
    }
}
