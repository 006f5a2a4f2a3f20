//! Who may prescribe and dispense. The tests of the other acts stand with their aggregates.

use hims_domain::medication::{self, Medication};
use hims_domain::prescription::Prescription;
use hims_testing::sample_with;

use super::*;
use crate::prescription::{DispensePrescription, WritePrescription};
use crate::testing::samples::{MEDICATION, PRESCRIPTION, added_medication};

/// A caller with a system role who is also a patient.
fn as_patient(role: &str) -> Caller {
    Caller { patient_id: Some(PATIENT), ..somebody(role) }
}

/// Writes a prescription for a patient in the name of a doctor, of whom these events are known.
fn prescribed(by: Caller, doctor: impl IntoIterator<Item = Event>) -> crate::testing::Then<Prescription> {
    let order = json!({"medication_id": MEDICATION, "quantity": "10", "quantity_unit": "tablet"});
    let written = json!({"patient_id": PATIENT, "provider_id": DOCTOR, "items": [order]});
    let mut given = given::<Prescription>([]).and::<Patient>(PATIENT, [registered()]).and::<User>(DOCTOR, doctor);
    let tablets = medication::Event::UnitIntroduced { unit: "tablet".into() };
    given = given.and::<Medication>(MEDICATION, [added_medication(), tablets]);
    for name in ["doctor", "nurse"] {
        given = given.and::<Role>(role_id(name), [defined(name)]);
    }
    given.by(by).when(ask::<WritePrescription>(written))
}

#[test]
fn a_nurse_is_not_named_as_prescriber() {
    let nurse = created_with(json!({"role_id": role_id("nurse")}));
    prescribed(somebody("doctor"), [nurse]).then_field("not-entitled", "/provider_id");
}

#[test]
fn nobody_prescribes_for_themselves() {
    let doctor_who_is_ann = [created(), Event::LinkedToPatient { patient_id: PATIENT }];
    prescribed(somebody("doctor"), doctor_who_is_ann).then_refused(Refusal::TreatsThemselves);
    // The name of a colleague does not help.
    prescribed(as_patient("doctor"), [created()]).then_refused(Refusal::TreatsThemselves);
}

#[test]
fn nobody_dispenses_to_themselves() {
    let written = sample_with::<Prescription>("written", json!({ "patient_id": PATIENT }));
    let all = json!({ "prescription_id": PRESCRIPTION });
    given([written, hims_domain::prescription::Event::SentToPharmacy])
        .by(as_patient("pharmacist"))
        .when(ask::<DispensePrescription>(all))
        .then_refused(Refusal::TreatsThemselves);
}
