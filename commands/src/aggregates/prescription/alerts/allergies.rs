//! Comparing products with the recorded allergies of a patient.

use hims_domain::alert::{Alert, Kind, Other, Severity};
use hims_domain::patient::{self, Allergy};
use hims_domain::{AllergyId, PatientId};

use super::groups::GROUPS;
use super::{Compared, Noticed, alert, not_checkable};
use crate::Found;
use crate::patient::person;

/// The active allergies in all records of a person that may be to a drug.
fn known(patient_id: PatientId, found: &Found) -> impl Iterator<Item = (AllergyId, &Allergy)> {
    let records = person(patient_id, found).into_iter();
    let all = records.flat_map(|record| record.allergies.iter().map(|(id, allergy)| (*id, allergy)));
    all.filter(|(_, it)| it.may_be_to_a_drug())
}

/// The alerts about a line and the allergies of the patient.
pub(super) fn compare(patient_id: PatientId, line: &Compared<'_>, found: &Found) -> Vec<Noticed> {
    known(patient_id, found).filter_map(|(id, allergy)| against(line, id, allergy)).collect()
}

/// What an allergy says about a line: more if it is to the product itself than if it is to another drug of its group.
fn against(line: &Compared<'_>, id: AllergyId, allergy: &Allergy) -> Option<Noticed> {
    let details = &line.medication.details;
    let name = details.name.as_str();
    let is_dangerous = matches!(allergy.severity, Some(patient::Severity::Severe | patient::Severity::LifeThreatening));
    let of = |severity| Alert {
        allergy_severity: allergy.severity,
        ..alert(Some(line.item_id), Kind::Allergy, severity, Some(Other::Allergy(id)))
    };
    if allergy.is_to(details) {
        let severity = if is_dangerous { Severity::Contraindicated } else { Severity::Major };
        let message = format!("the patient has a recorded allergy to {name}; choose another, or give override_reason");
        return Some(Noticed { alert: of(severity), message });
    }
    if !GROUPS.are_related(allergy, details) {
        return None;
    }
    let severity = if is_dangerous { Severity::Major } else { Severity::Moderate };
    let alert =
        Alert { source: Some("allergy-groups".into()), source_version: Some(GROUPS.version().into()), ..of(severity) };
    let message = format!("the patient has a recorded allergy to a drug that is related to {name}");
    Some(Noticed { alert, message })
}

/// The allergies that may be to a drug and have no code, so that only names could be compared.
pub(super) fn in_words(patient_id: PatientId, found: &Found) -> Vec<Noticed> {
    let in_words = known(patient_id, found).filter(|(_, it)| it.concepts().next().is_none());
    let say = |(id, _): (AllergyId, &Allergy)| {
        let message = "a recorded allergy is in words only, so it could not be compared with ingredients; see \
                       candidates, and give it a code";
        not_checkable(None, Some(Other::Allergy(id)), message)
    };
    in_words.map(say).collect()
}
