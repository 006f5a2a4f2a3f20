//! Nobody treats themselves: one rule for all commands, so that no command can forget it.
//!
//! The rule needs nothing of a command but the permission that the command has anyway, and nothing of an aggregate but
//! the person whom the aggregate is about.

use std::any::Any;

use hims_domain::patient::Patient;
use hims_domain::{Aggregate, PatientId, Subject};
use uuid::Uuid;

use super::decision::{Planned, stored_subject};
use crate::patient::{reads_person, records_of};
use crate::user::Refusal;
use crate::{Caller, Command, Found, Reads, Refused};

/// Also looks up the records of a caller who is a patient, for a command that treats: the records may have been merged.
pub(crate) fn reads<C: Command>(reads: Reads, caller: &Caller, found: &Found) -> Reads {
    match caller.patient_id {
        Some(own) if C::PERMISSION.treats() => reads_person(reads, own, found),
        _ => reads,
    }
}

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
    // The caller's record may have been merged with others. A merge that was reversed in this moment still counts, since
    // the login may be linked to either record.
    let is_merged = || caller.duplicates.iter().copied().any(is_of);
    let is_treated = |own| records_of(own, found).into_iter().any(is_of) || is_merged() || is_merged_into(own, state);
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
    use hims_domain::emergency_access::EmergencyAccess;
    use hims_domain::lab_order::LabOrder;
    use hims_domain::lab_result::LabResult;
    use hims_domain::lab_test::LabTest;
    use hims_domain::medical_history::MedicalHistory;
    use hims_domain::medication::Medication;
    use hims_domain::medication_list::{MedicationList, list_of};
    use hims_domain::patient::Patient;
    use hims_domain::prescription::Prescription;
    use hims_domain::role::Permissions;
    use hims_domain::treatment::Treatment;
    use hims_domain::vital_signs::VitalSigns;
    use hims_testing::{sample, sample_with};
    use serde_json::{Value, json};

    use crate::testing::samples::{
        APPOINTMENT, CONSULTATION, LAB_ORDER, LAB_TEST, MEDICATION, OTHER_PATIENT, PATIENT, PRESCRIPTION,
        added_medication, registered, with,
    };
    use crate::testing::world::{World, refused, somebody};
    use crate::{Caller, Failure, Registry, Request, system_roles};

    const ALLERGY: u128 = 40;
    const VITAL_SIGNS: u128 = 41;
    const NOTE: u128 = 42;
    const ACCESS: u128 = 45;
    const TREATMENT: u128 = 43;
    const HISTORY: u128 = 44;
    // The ids of parts that the golden files have.
    const ENTRY: u128 = 0x33;
    const STEP: u128 = 0x51;
    const SYMPTOM: u128 = 0x61;
    const DIAGNOSIS: u128 = 0x71;
    const LAB_ITEM: u128 = 0x91;
    const SPECIMEN: u128 = 0xa1;
    const LAB_RESULT: u128 = 0xb1;

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
        let (started, symptom, diagnosis) = (
            sample_with::<Consultation>("started", started),
            sample_with::<Consultation>("symptom_recorded", of_patient.clone()),
            sample_with::<Consultation>("diagnosis_recorded", of_patient.clone()),
        );
        world.has::<Consultation>(CONSULTATION, [started, symptom, diagnosis]).await;
        let planned = [sample_with::<Treatment>("planned", of_patient.clone())];
        world.has::<Treatment>(uuid::Uuid::from_u128(TREATMENT), planned).await;
        let recorded = [sample_with::<MedicalHistory>("recorded", of_patient.clone())];
        world.has::<MedicalHistory>(uuid::Uuid::from_u128(HISTORY), recorded).await;
        let taken = [sample_with::<MedicationList>("added", of_patient.clone())];
        world.has::<MedicationList>(list_of(PATIENT), taken).await;
        let scheduled = [sample_with::<Appointment>("scheduled", of_patient.clone())];
        world.has::<Appointment>(APPOINTMENT, scheduled).await;
        let (placed, collected) = (
            sample_with::<LabOrder>("placed", of_patient.clone()),
            sample_with::<LabOrder>("specimen_collected", of_patient.clone()),
        );
        world.has::<LabTest>(LAB_TEST, [sample::<LabTest>("defined")]).await;
        world.has::<LabOrder>(LAB_ORDER, [placed, collected]).await;
        let resulted = [
            sample_with::<LabResult>("recorded", of_patient.clone()),
            sample_with::<LabResult>("critical_raised", json!({})),
        ];
        world.has::<LabResult>(uuid::Uuid::from_u128(LAB_RESULT), resulted).await;
        let noted = [sample_with::<AppointmentNote>("added", of_patient.clone())];
        world.has::<AppointmentNote>(uuid::Uuid::from_u128(NOTE), noted).await;
        let asked = [sample_with::<EmergencyAccess>("asked", of_patient.clone())];
        world.has::<EmergencyAccess>(uuid::Uuid::from_u128(ACCESS), asked).await;
        let measured = [sample_with::<VitalSigns>("recorded", of_patient)];
        world.has::<VitalSigns>(uuid::Uuid::from_u128(VITAL_SIGNS), measured).await;
        world.has::<Prescription>(PRESCRIPTION, [written, sent]).await;
        world
    }

    /// A request for every command that treats, each about the same patient.
    fn requests() -> BTreeMap<&'static str, Value> {
        let patient = |more: Value| with(json!({"patient_id": PATIENT}), more);
        let consultation = |more: Value| with(json!({"consultation_id": CONSULTATION}), more);
        let step = |more: Value| with(consultation(json!({"step_id": id(STEP)})), more);
        let treatment = |more: Value| with(json!({"treatment_id": id(TREATMENT)}), more);
        let entry = |more: Value| with(patient(json!({"entry_id": id(ENTRY)})), more);
        let history = |more: Value| with(json!({"medical_history_id": id(HISTORY)}), more);
        let prescription = |more: Value| with(json!({"prescription_id": PRESCRIPTION}), more);
        let laboratory = |more: Value| with(json!({"lab_order_id": LAB_ORDER}), more);
        let specimen = |more: Value| with(laboratory(json!({"specimen_id": id(SPECIMEN)})), more);
        let result = |more: Value| with(json!({"lab_result_id": id(LAB_RESULT)}), more);
        let values = json!([{"code": "2823-3", "value": "6.9"}, {"code": "2160-0", "value": "1"},
                            {"code": "20570-8", "text": "clear"}]);
        let resulted = json!({"item_id": id(LAB_ITEM), "status": "F", "components": values});
        let corrected = json!({"components": values, "reason": "mistaken"});
        let of_lab_item = json!({"item_id": id(LAB_ITEM), "reason": "mistaken"});
        let taken = json!({"specimen_type": "SER", "item_ids": [id(LAB_ITEM)]});
        let added = json!({"lab_test_id": LAB_TEST, "reason": "add_on", "confirm_not_duplicate": true});
        let tested = json!({"items": [{"lab_test_id": LAB_TEST}], "confirm_not_duplicate": true});
        let order = json!({"medication_id": MEDICATION, "quantity": "1", "quantity_unit": "tablet"});
        let (nothing, reason) = (|| json!({}), || json!({"reason": "mistaken"}));
        let continued = json!([{"entry_id": id(ENTRY), "action": "continue"}]);
        let diagnosis = json!({"code": "J20.9", "description": "Acute bronchitis", "diagnosis_type": "working"});
        BTreeMap::from([
            ("acknowledge-critical-result", result(json!({"read_back": true}))),
            ("add-appointment-note", json!({"appointment_id": APPOINTMENT, "note_type": "general", "body": "Called"})),
            ("add-consultation-step", consultation(json!({"step_type": "vitals"}))),
            ("add-lab-order-item", laboratory(added)),
            ("add-patient-medication", patient(json!({"medication_name": "Mint tea", "source": "otc"}))),
            ("amend-appointment-note", json!({"note_id": id(NOTE), "body": "Did not call", "reason": "mistaken"})),
            ("amend-consultation", consultation(json!({"findings": {"plan": "rest"}, "reason": "mistaken"}))),
            ("cancel-consultation", consultation(reason())),
            ("cancel-lab-order", laboratory(reason())),
            ("cancel-lab-order-item", laboratory(of_lab_item)),
            ("cancel-prescription", prescription(reason())),
            ("change-allergy", patient(json!({"allergy_id": id(ALLERGY), "severity": "mild"}))),
            ("change-diagnosis", consultation(json!({"diagnosis_id": id(DIAGNOSIS), "clinical_status": "inactive"}))),
            ("change-medical-history", history(json!({"notes": "no fever"}))),
            ("change-patient-medication", entry(json!({"frequency": "daily"}))),
            ("collect-specimen", laboratory(taken)),
            ("complete-consultation", consultation(nothing())),
            ("complete-consultation-step", step(nothing())),
            ("complete-treatment", treatment(nothing())),
            ("correct-lab-result", result(corrected)),
            ("dispense-prescription", prescription(nothing())),
            ("finalise-lab-result", result(json!({"components": values}))),
            ("hold-patient-medication", entry(reason())),
            ("hold-treatment", treatment(nothing())),
            ("mark-medical-history-entered-in-error", history(reason())),
            ("mark-patient-medication-entered-in-error", entry(reason())),
            ("mark-prescription-ready", prescription(nothing())),
            ("mark-treatment-entered-in-error", treatment(reason())),
            ("mark-treatment-not-done", treatment(reason())),
            ("mark-vital-signs-entered-in-error", json!({"vital_signs_id": id(VITAL_SIGNS), "reason": "mistyped"})),
            ("place-lab-order", patient(tested)),
            ("plan-treatment", consultation(json!({"treatment_type": "diet", "description": "Less salt"}))),
            ("receive-specimen", specimen(nothing())),
            ("reconcile-medication-list", patient(json!({"decisions": continued}))),
            ("record-allergy", patient(json!({"allergen_type": "food", "allergen_name": "Nuts"}))),
            ("record-diagnosis", consultation(diagnosis)),
            ("record-external-dispensing", prescription(nothing())),
            ("record-findings", consultation(json!({"plan": "rest"}))),
            ("record-lab-result", laboratory(resulted)),
            (
                "record-medical-history",
                patient(json!({"history_type": "condition", "description": "Asthma", "source": "patient"})),
            ),
            ("record-patient-death", patient(json!({"deceased_at": "2026-11-22T20:00:00Z"}))),
            ("record-symptom", consultation(json!({"name": "Cough"}))),
            ("record-vital-signs", patient(json!({"heart_rate": 60}))),
            ("request-emergency-access", patient(json!({"reason": "collapsed"}))),
            ("refill-prescription", prescription(nothing())),
            ("reject-specimen", specimen(json!({"reason_code": "clotted"}))),
            ("resume-patient-medication", entry(nothing())),
            ("resume-treatment", treatment(nothing())),
            ("retire-allergy", patient(json!({"allergy_id": id(ALLERGY), "reason": "tested"}))),
            ("second-emergency-access", json!({"emergency_access_id": id(ACCESS)})),
            ("retract-symptom", consultation(json!({"symptom_id": id(SYMPTOM), "reason": "mistaken"}))),
            ("reverse-dispensing", prescription(reason())),
            ("review-lab-result", result(nothing())),
            ("revoke-patient-death", patient(reason())),
            ("send-prescription-to-pharmacy", prescription(nothing())),
            ("sign-consultation", consultation(nothing())),
            ("skip-consultation-step", step(reason())),
            ("start-consultation", patient(nothing())),
            ("start-consultation-step", step(nothing())),
            ("start-treatment", treatment(nothing())),
            ("stop-patient-medication", entry(reason())),
            ("stop-treatment", treatment(reason())),
            ("undo-consultation-start", consultation(reason())),
            ("undo-prescription-ready", prescription(reason())),
            ("undo-prescription-refill", prescription(reason())),
            ("withdraw-lab-result", result(json!({"reason_code": "wrong_patient"}))),
            ("write-prescription", patient(json!({"items": [order], "confirm_unit": true}))),
        ])
    }

    /// The commands that treat and are refused in this hospital whoever gives them, each with its refusal.
    const REFUSED: [(&str, &str); 14] = [
        ("amend-consultation", "not-completed"),
        ("complete-consultation", "open-steps"),
        ("correct-lab-result", "wrong-status"),
        ("dispense-prescription", "insufficient-stock"),
        ("hold-treatment", "wrong-status"),
        ("mark-prescription-ready", "insufficient-stock"),
        ("refill-prescription", "wrong-status"),
        ("resume-treatment", "wrong-status"),
        ("reverse-dispensing", "nothing-dispensed"),
        ("review-lab-result", "not-final"),
        ("sign-consultation", "other-provider"),
        ("stop-treatment", "wrong-status"),
        ("undo-consultation-start", "took-place"),
        ("undo-prescription-refill", "no-refill-open"),
    ];

    /// The commands that treat and that patients give themselves, each with its refusal in this hospital.
    const BY_PATIENTS: [(&str, &str); 1] = [("refill-prescription", "wrong-status")];

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
            let own = BY_PATIENTS.iter().find(|it| it.0 == name).map(|it| it.1);
            assert_eq!(refusal.code, own.unwrap_or("treating-oneself"), "{name}: {refusal:?}");
        }
        assert!(requests.is_empty(), "no commands that treat: {:?}", requests.keys());
        let refusals = world.count("access.command_refused").await + world.count("access.repeated").await;
        assert_eq!(world.log().await.len(), events + refusals, "nothing but the refusals is recorded");
    }

    #[tokio::test]
    async fn staff_who_are_patients_treat_others() {
        let mut codes = BTreeMap::new();
        for (name, body) in requests() {
            let world = hospital().await;
            let command = *Registry::hospital().get(name).unwrap();
            match command.run(&world.executor, body, Request::of(who_is(OTHER_PATIENT))).await {
                Ok(_) => {}
                Err(Failure::Refused(refused)) => drop(codes.insert(name, refused.code)),
                Err(other) => panic!("{name}: {other}"),
            }
        }
        assert_eq!(codes, BTreeMap::from(REFUSED));
    }
}
