//! Consultations of the demo: one in progress, one that was completed and amended, one that was broken off, and one
//! that was signed.

use chrono::{Days, TimeDelta};
use hims_commands::Request;
use hims_commands::consultation::{
    AddConsultationStep, AmendConsultation, CancelConsultation, CompleteConsultation, CompleteConsultationStep,
    RecordDiagnosis, RecordFindings, RecordSymptom, SignConsultation, StartConsultation,
};
use hims_commands::treatment::{PlanTreatment, StartTreatment};
use serde_json::{Value, json};
use uuid::Uuid;

use super::giving::{at, by};
use super::{PATIENT, USER, id};
use crate::{Hospital, HospitalError};

const CONSULTATION: u16 = 0x30;
const STEP: u16 = 0x31;
const SYMPTOM: u16 = 0x32;
const DIAGNOSIS: u16 = 0x33;
const TREATMENT: u16 = 0x34;

/// The number of the doctor among the staff.
const DOCTOR: u128 = 2;

/// The id of the consultation that was completed, of patient 6.
pub(super) fn completed() -> Uuid {
    id(CONSULTATION, 2)
}

/// The consultation with a number, and what a command says of it.
fn of(number: u128, mut more: Value) -> Value {
    more["consultation_id"] = json!(id(CONSULTATION, number));
    more
}

impl Hospital {
    /// Records the consultations, each by the doctor.
    pub(super) async fn visits(&self) -> Result<(), HospitalError> {
        for (number, patient, complaint) in
            [(1, 3, "Fever since yesterday"), (2, 6, "Cough for a week"), (3, 7, "Headache")]
        {
            self.demo::<StartConsultation>(json!({
                "id": id(CONSULTATION, number), "patient_id": id(PATIENT, patient), "provider_id": id(USER, 2),
                "workflow_type": "adaptive", "chief_complaint": complaint,
            }))
            .await?;
        }
        for (number, step) in (1..).zip(["triage", "examination", "plan"]) {
            let step = json!({"step_id": id(STEP, number), "step_type": step});
            self.demo::<AddConsultationStep>(of(1, step)).await?;
        }
        let arrival = json!({"step_id": id(STEP, 1), "data": {"arrival": "with her daughter"}});
        self.demo::<CompleteConsultationStep>(of(1, arrival)).await?;
        for (number, consultation, symptom) in [
            (1, 1, json!({"name": "Fever", "severity": "moderate", "duration_value": 1, "duration_unit": "d"})),
            (2, 2, json!({"name": "Cough", "severity": "mild", "duration_value": 1, "duration_unit": "wk"})),
            (3, 2, json!({"name": "Shortness of breath", "is_negated": true})),
        ] {
            let mut symptom = of(consultation, symptom);
            symptom["symptom_id"] = json!(id(SYMPTOM, number));
            symptom["recorded_by"] = json!(id(USER, 3));
            self.demo::<RecordSymptom>(symptom).await?;
        }
        self.demo::<RecordDiagnosis>(of(
            2,
            json!({
                "diagnosis_id": id(DIAGNOSIS, 1), "code": "J20.9", "description": "Acute bronchitis, unspecified",
                "diagnosis_type": "final", "verification_status": "confirmed", "diagnosed_by": id(USER, 2),
            }),
        ))
        .await?;
        self.demo::<PlanTreatment>(of(
            2,
            json!({
                "id": id(TREATMENT, 1), "diagnosis_id": id(DIAGNOSIS, 1), "treatment_type": "therapy",
                "description": "Chest physiotherapy",
            }),
        ))
        .await?;
        self.demo::<StartTreatment>(json!({"treatment_id": id(TREATMENT, 1)})).await?;
        self.demo::<CompleteConsultation>(of(2, json!({}))).await?;
        let missing = json!({"reason": "The plan was missing", "findings": {"plan": "Rest, fluids, physiotherapy"}});
        self.demo::<AmendConsultation>(of(2, missing)).await?;
        self.demo::<CancelConsultation>(of(3, json!({"reason": "The patient felt better and left"}))).await?;
        self.signed().await
    }

    /// Records a consultation of the day before yesterday, which the doctor signed at its end.
    async fn signed(&self) -> Result<(), HospitalError> {
        let begin = self.executor.now() - Days::new(2);
        let end = begin + TimeDelta::minutes(20);
        let started = json!({
            "id": id(CONSULTATION, 4), "patient_id": id(PATIENT, 10), "provider_id": id(USER, DOCTOR),
            "chief_complaint": "Burning when passing water",
        });
        self.give::<StartConsultation>(started, at(begin)).await?;
        let findings = json!({"assessment": "Uncomplicated cystitis", "plan": "Fluids; come back if fever develops"});
        self.step::<RecordFindings>(1, of(4, findings), at(begin)).await?;
        let diagnosis = json!({
            "diagnosis_id": id(DIAGNOSIS, 2), "code": "N30.00", "description": "Acute cystitis without hematuria",
            "diagnosis_type": "final", "verification_status": "confirmed", "diagnosed_by": id(USER, DOCTOR),
        });
        self.step::<RecordDiagnosis>(2, of(4, diagnosis), at(begin)).await?;
        self.step::<CompleteConsultation>(3, of(4, json!({})), at(end)).await?;
        let signing = Request { occurred_at: Some(end), ..by(DOCTOR) };
        self.step::<SignConsultation>(4, of(4, json!({})), signing).await
    }
}
