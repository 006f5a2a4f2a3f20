//! Nobody treats themselves: one rule for all commands, so that no command can forget it.
//!
//! The rule needs nothing of a command but the permission that the command has anyway, and nothing of an aggregate but
//! the person whom the aggregate is about.

use std::any::Any;

use hims_domain::patient::Patient;
use hims_domain::{Aggregate, PatientId, Subject};
use uuid::Uuid;

use super::decision::{Planned, stored_subject};
use crate::patient::records_of;
use crate::user::Refusal;
use crate::{Caller, Command, Found, Refused};

/// Refuses a command with which the caller would treat themselves by changing the record `id`, which exists already.
/// What patients may do with their own records themselves is no treatment (see [`Command::is_own`]).
pub(crate) fn check_existing<C: Command>(
    command: &C,
    id: Uuid,
    state: Option<&C::Aggregate>,
    found: &Found,
    caller: &Caller,
) -> Result<(), Refused> {
    let subject = state.and_then(|it| it.subject(id)).map(stored_subject);
    check(command, state, subject.as_ref(), found, caller)
}

/// Refuses a command with which the caller would treat themselves by what the command is about to record, in whichever
/// streams.
pub(crate) fn check_planned<C: Command>(
    command: &C,
    state: Option<&C::Aggregate>,
    planned: &[Planned],
    found: &Found,
    caller: &Caller,
) -> Result<(), Refused> {
    planned.iter().try_for_each(|it| check(command, state, it.append.subject.as_ref(), found, caller))
}

fn check<C: Command>(
    command: &C,
    state: Option<&C::Aggregate>,
    subject: Option<&hims_event_store::Subject>,
    found: &Found,
    caller: &Caller,
) -> Result<(), Refused> {
    let is_of = |record: PatientId| subject == Some(&stored_subject(Subject::Patient(record.0)));
    // The caller's record may have been merged with others.
    let is_treated = |own| records_of(own, found).into_iter().any(is_of) || is_merged_into(own, state);
    if C::PERMISSION.treats() && caller.patient_id.is_some_and(is_treated) && !command.is_own(state, caller) {
        return Err(Refusal::TreatsThemselves.into());
    }
    Ok(())
}

/// Whether a record was merged as a duplicate into the patient whom the command changes.
fn is_merged_into<A: Aggregate>(own: PatientId, state: Option<&A>) -> bool {
    let changed = state.and_then(|it| (it as &dyn Any).downcast_ref::<Patient>());
    changed.is_some_and(|patient| patient.duplicates.contains(&own))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use hims_domain::PatientId;
    use hims_domain::appointment::Appointment;
    use hims_domain::appointment_note::AppointmentNote;
    use hims_domain::consultation::Consultation;
    use hims_domain::medication::Medication;
    use hims_domain::patient::Patient;
    use hims_domain::prescription::Prescription;
    use hims_domain::role::Permissions;
    use hims_domain::treatment::Treatment;
    use hims_domain::vital_signs::VitalSigns;
    use hims_testing::{patched, sample_with};
    use serde_json::{Value, json};

    use crate::testing::samples::{
        APPOINTMENT, CONSULTATION, MEDICATION, OTHER_PATIENT, PATIENT, PRESCRIPTION, added_medication, registered,
    };
    use crate::testing::world::{World, refused, somebody};
    use crate::{Caller, Failure, Registry, Request, system_roles};

    const ALLERGY: u128 = 40;
    const VITAL_SIGNS: u128 = 41;
    const TREATMENT: u128 = 42;
    const NOTE: u128 = 43;
    // The parts of the consultation, as its golden events name them.
    const STEP: u128 = 0x51;
    const SYMPTOM: u128 = 0x61;
    const DIAGNOSIS: u128 = 0x71;

    fn id(number: u128) -> Value {
        json!(uuid::Uuid::from_u128(number))
    }

    /// A hospital where a patient has a record of every kind.
    async fn hospital() -> World {
        let world = World::new();
        let of_patient = json!({"patient_id": PATIENT});
        let allergic = sample_with::<Patient>("allergy_recorded", json!({"allergy_id": id(ALLERGY)}));
        let (written, sent) = (
            sample_with::<Prescription>("written", of_patient.clone()),
            sample_with::<Prescription>("sent_to_pharmacy", json!({})),
        );
        world.has::<Patient>(PATIENT, [registered(), allergic]).await;
        world.has::<Medication>(MEDICATION, [added_medication()]).await;
        let started = json!({"patient_id": PATIENT, "started_at": "2026-11-23T09:00:00Z", "appointment_id": null});
        let started = sample_with::<Consultation>("started", started);
        let [symptom, diagnosis] = ["symptom_recorded", "diagnosis_recorded"]
            .map(|event| sample_with::<Consultation>(event, of_patient.clone()));
        world.has::<Consultation>(CONSULTATION, [started, symptom, diagnosis]).await;
        let planned =
            sample_with::<Treatment>("planned", json!({"patient_id": PATIENT, "consultation_id": CONSULTATION}));
        world.has::<Treatment>(uuid::Uuid::from_u128(TREATMENT), [planned]).await;
        let scheduled = [sample_with::<Appointment>("scheduled", of_patient.clone())];
        world.has::<Appointment>(APPOINTMENT, scheduled).await;
        let noted = [sample_with::<AppointmentNote>("added", of_patient.clone())];
        world.has::<AppointmentNote>(uuid::Uuid::from_u128(NOTE), noted).await;
        let measured = [sample_with::<VitalSigns>("recorded", of_patient)];
        world.has::<VitalSigns>(uuid::Uuid::from_u128(VITAL_SIGNS), measured).await;
        world.has::<Prescription>(PRESCRIPTION, [written, sent]).await;
        world
    }

    /// A request for every command that treats, each about the same patient.
    fn requests() -> BTreeMap<&'static str, Value> {
        let of_consultation = json!({"consultation_id": CONSULTATION, "plan": "rest"});
        let of_prescription = || json!({"prescription_id": PRESCRIPTION});
        let of_step = || json!({"consultation_id": CONSULTATION, "step_id": id(STEP)});
        let of_treatment = || json!({"treatment_id": id(TREATMENT)});
        let with_reason = |of: Value| patched(of, json!({"reason": "mistaken"}));
        let diagnosis = json!({"consultation_id": CONSULTATION, "code": "J06.9", "description": "Cold",
                               "diagnosis_type": "final"});
        let treatment = json!({"consultation_id": CONSULTATION, "treatment_type": "procedure", "description": "Rest"});
        let symptom = json!({"consultation_id": CONSULTATION, "name": "Cough"});
        let retracted = json!({"consultation_id": CONSULTATION, "symptom_id": id(SYMPTOM), "reason": "mistaken"});
        let amended = json!({"consultation_id": CONSULTATION, "reason": "mistaken", "findings": {"plan": "rest"}});
        let changed = json!({"consultation_id": CONSULTATION, "diagnosis_id": id(DIAGNOSIS), "notes": "fever"});
        let order = json!({"medication_id": MEDICATION, "quantity": "1", "quantity_unit": "tablet"});
        BTreeMap::from([
            ("add-appointment-note", json!({"appointment_id": APPOINTMENT, "note_type": "general", "body": "Called"})),
            ("add-consultation-step", json!({"consultation_id": CONSULTATION, "step_type": "vitals"})),
            ("amend-consultation", amended),
            ("amend-appointment-note", json!({"note_id": id(NOTE), "body": "Did not call", "reason": "mistaken"})),
            ("cancel-consultation", json!({"consultation_id": CONSULTATION, "reason": "left"})),
            ("cancel-prescription", json!({"prescription_id": PRESCRIPTION, "reason": "left"})),
            ("change-allergy", json!({"patient_id": PATIENT, "allergy_id": id(ALLERGY), "severity": "mild"})),
            ("change-diagnosis", changed),
            ("complete-consultation", json!({"consultation_id": CONSULTATION})),
            ("complete-consultation-step", of_step()),
            ("complete-treatment", of_treatment()),
            ("dispense-prescription", of_prescription()),
            ("hold-treatment", of_treatment()),
            ("mark-prescription-ready", of_prescription()),
            ("mark-treatment-entered-in-error", with_reason(of_treatment())),
            ("mark-treatment-not-done", with_reason(of_treatment())),
            ("mark-vital-signs-entered-in-error", json!({"vital_signs_id": id(VITAL_SIGNS), "reason": "mistyped"})),
            ("plan-treatment", treatment),
            ("record-allergy", json!({"patient_id": PATIENT, "allergen_type": "food", "allergen_name": "Nuts"})),
            ("record-diagnosis", diagnosis),
            ("record-external-dispensing", of_prescription()),
            ("record-patient-death", json!({"patient_id": PATIENT, "deceased_at": "2026-11-22T20:00:00Z"})),
            ("record-findings", of_consultation),
            ("record-symptom", symptom),
            ("record-vital-signs", json!({"patient_id": PATIENT, "heart_rate": 60})),
            ("resume-treatment", of_treatment()),
            ("retire-allergy", json!({"patient_id": PATIENT, "allergy_id": id(ALLERGY), "reason": "tested"})),
            ("revoke-patient-death", json!({"patient_id": PATIENT, "reason": "a namesake"})),
            ("retract-symptom", retracted),
            ("reverse-dispensing", with_reason(of_prescription())),
            ("send-prescription-to-pharmacy", of_prescription()),
            ("sign-consultation", json!({"consultation_id": CONSULTATION})),
            ("skip-consultation-step", with_reason(of_step())),
            ("start-consultation", json!({"patient_id": PATIENT})),
            ("start-consultation-step", of_step()),
            ("start-treatment", of_treatment()),
            ("stop-treatment", with_reason(of_treatment())),
            ("undo-consultation-start", json!({"consultation_id": CONSULTATION, "reason": "mistaken"})),
            ("undo-prescription-ready", with_reason(of_prescription())),
            ("write-prescription", json!({"patient_id": PATIENT, "items": [order], "confirm_unit": true})),
        ])
    }

    /// A user with the words of all system roles, who is a patient as well.
    fn who_is(patient_id: PatientId) -> Caller {
        let all = Permissions::default();
        let all = system_roles().iter().fold(all, |all, (_, role)| all.with(&role.permissions));
        Caller { patient_id: Some(patient_id), permissions: Arc::new(all), ..somebody("doctor") }
    }

    #[tokio::test]
    async fn nobody_gives_a_command_that_treats_on_their_own_record() {
        let world = hospital().await;
        let mut requests = requests();
        let events = world.log().await.len();
        for command in Registry::hospital().iter().filter(|it| it.permission.treats()) {
            let name = command.name;
            let body =
                requests.remove(name).unwrap_or_else(|| panic!("{name} treats: add a request of it to this test"));
            let refusal = refused(command.run(&world.executor, body, Request::of(who_is(PATIENT))).await);
            assert_eq!(refusal.code, "treating-oneself", "{name}: {refusal:?}");
        }
        assert!(requests.is_empty(), "no commands that treat: {:?}", requests.keys());
        let refusals = world.count("access.command_refused").await + world.count("access.repeated").await;
        assert_eq!(world.log().await.len(), events + refusals, "nothing but the refusals is recorded");
    }

    #[tokio::test]
    async fn staff_who_are_patients_treat_others() {
        for (name, body) in requests() {
            let world = hospital().await;
            let command = *Registry::hospital().get(name).unwrap();
            let outcome = command.run(&world.executor, body, Request::of(who_is(OTHER_PATIENT))).await;
            let code = outcome.err().map(|it| match it {
                Failure::Refused(refused) => refused.code,
                other => panic!("{name}: {other}"),
            });
            // What these commands need besides a patient who is somebody else is not there.
            let expected = match name {
                "amend-consultation" => Some("not-completed"),
                "complete-consultation" => Some("open-steps"),
                "dispense-prescription" => Some("insufficient-stock"),
                "hold-treatment" | "resume-treatment" | "stop-treatment" => Some("wrong-status"),
                "reverse-dispensing" => Some("nothing-dispensed"),
                "sign-consultation" => Some("other-provider"),
                _ => None,
            };
            assert_eq!(code, expected, "{name}");
        }
    }
}
