//! Alerts: what speaks against a line of a prescription, or could not be compared (FHIR R4 `DetectedIssue`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::Text;
use crate::{AllergyId, MedicationEntryId, PrescriptionItemId, derived_row, interaction_profile, patient, terms};

terms! {
    /// What an alert is about.
    pub enum Kind {
        /// Two ingredients that should not be combined.
        Interaction = "interaction",
        /// One ingredient that is taken twice.
        Duplicate = "duplicate",
        /// A recorded allergy.
        Allergy = "allergy",
        /// Something that could not be compared.
        NotCheckable = "not_checkable",
    }

    /// How much an alert matters, in ascending order.
    pub enum Severity {
        Information = "information",
        Minor = "minor",
        Moderate = "moderate",
        Major = "major",
        Contraindicated = "contraindicated",
    }
}

impl Severity {
    /// Whether something is prescribed or dispensed against the alert only for a reason.
    pub fn needs_reason(self) -> bool {
        self >= Self::Major
    }

    /// The severity of an alert about an interaction; `None` if nobody is to be warned.
    pub fn of(interaction: interaction_profile::Severity) -> Option<Self> {
        match interaction {
            interaction_profile::Severity::None => None,
            interaction_profile::Severity::Minor => Some(Self::Minor),
            interaction_profile::Severity::Moderate => Some(Self::Moderate),
            interaction_profile::Severity::Major => Some(Self::Major),
            interaction_profile::Severity::Contraindicated => Some(Self::Contraindicated),
        }
    }
}

/// What the line does not go together with, or what could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Other {
    /// Another line of the same prescription.
    PrescriptionItem(PrescriptionItemId),
    /// An entry of the patient's medication list.
    MedicationEntry(MedicationEntryId),
    /// An allergy of the patient.
    Allergy(AllergyId),
}

impl Other {
    /// The code that says what the other is.
    pub fn type_code(self) -> &'static str {
        match self {
            Self::PrescriptionItem(_) => "prescription_item",
            Self::MedicationEntry(_) => "medication_entry",
            Self::Allergy(_) => "allergy",
        }
    }

    /// The id of the other.
    pub fn id(self) -> Uuid {
        match self {
            Self::PrescriptionItem(id) => id.0,
            Self::MedicationEntry(id) => id.0,
            Self::Allergy(id) => id.0,
        }
    }
}

/// Something that speaks against a line of a prescription, or that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The line of the prescription; `None` for an alert about all of its lines.
    pub item_id: Option<PrescriptionItemId>,
    /// What the alert is about.
    pub kind: Kind,
    /// How much the alert matters.
    pub severity: Severity,
    /// What the line does not go together with, or what could not be compared.
    pub other: Option<Other>,
    /// The ingredient of the line (RxCUI), if ingredients were compared.
    pub ingredient: Option<Text<20>>,
    /// The ingredient of the other (RxCUI), if ingredients were compared.
    pub other_ingredient: Option<Text<20>>,
    /// The severity of the allergy when the line was compared.
    pub allergy_severity: Option<patient::Severity>,
    /// The source that says so, such as `ANSM`.
    pub source: Option<Text<50>>,
    /// The version of the source.
    pub source_version: Option<Text<20>>,
    /// Whether somebody prescribed or dispensed the line for a reason in spite of the alert.
    pub is_overridden: bool,
}

impl Alert {
    /// The id of the row of the alert in a prescription. An alert that has become more severe has a row of its own.
    pub fn row(&self, prescription: Uuid) -> Uuid {
        let id = |id: Option<Uuid>| id.map(|it| it.to_string()).unwrap_or_default();
        let code = |code: Option<&Text<20>>| code.map(|it| it.0.clone()).unwrap_or_default();
        let parts = [
            "alert".to_owned(),
            id(self.item_id.map(Uuid::from)),
            self.kind.to_string(),
            self.severity.to_string(),
            self.allergy_severity.map(|it| it.to_string()).unwrap_or_default(),
            id(self.other.map(Other::id)),
            code(self.ingredient.as_ref()),
            code(self.other_ingredient.as_ref()),
        ];
        derived_row(prescription, &parts.each_ref().map(String::as_str))
    }

    /// Whether the two alerts say the same about the same line and the same other, however severe.
    fn is_about_the_same(&self, other: &Self) -> bool {
        (self.item_id, self.kind, self.other) == (other.item_id, other.kind, other.other)
            && (&self.ingredient, &self.other_ingredient) == (&other.ingredient, &other.other_ingredient)
    }

    /// Whether an earlier alert says the same already. An alert that has become more severe says something new.
    pub fn is_known_by(&self, earlier: &Self) -> bool {
        self.is_about_the_same(earlier)
            && self.severity <= earlier.severity
            && self.allergy_severity <= earlier.allergy_severity
    }
}
