//! A consultation from its start to the doctor's signature: twelve commands over HTTP, with every projection and
//! process on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;
use crate::floor::{Floor, new_id};
use crate::http::post;
use crate::postgres::Postgres;
use crate::report::{Better, Report};
use crate::server::Server;
use crate::workload::{Compared, compare, rate};
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 1] = ["consultation-journey"];

/// How many doctors work at the same time, each on a connection.
const DOCTORS: usize = 32;
/// How many commands a journey has.
const COMMANDS: usize = 12;
/// The share of plain INSERTs, as many as a journey has commands, that should be reached.
const TARGET: f64 = 0.2;
/// A medication and a laboratory test of the demo hospital.
const MEDICATION: Uuid = Uuid::from_u128(0xDE30_0005_0000_8000_8000_0000_0000_0001);
const LAB_TEST: Uuid = Uuid::from_u128(0xDE30_0060_0000_8000_8000_0000_0000_0001);

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    let server = Server::start(postgres.settings()).await?;
    let mut floor = Floor::try_new(&postgres).await?;
    let begun = Arc::new(AtomicUsize::new(0));
    let patients: Arc<[Uuid]> = server.patients.as_slice().into();
    let mut doctors = Vec::with_capacity(DOCTORS);
    for _ in 0..DOCTORS {
        let client = Client::connect(server.address).await?;
        let token = server.token.as_str().into();
        doctors.push(Doctor { client, token, patients: Arc::clone(&patients), begun: Arc::clone(&begun) });
    }
    let mut doctors = Some(doctors);
    let journeys = async |time| {
        let (rate, back) = rate(time, doctors.take().unwrap_or_default(), Doctor::see_a_patient).await?;
        doctors = Some(back);
        Ok(rate)
    };
    let Compared { rate, floor: inserts } = compare(effort, async |time| floor.rate(time).await, journeys).await?;
    drop(doctors);
    floor.close().await;
    let compared = Compared { rate, floor: inserts / f64::from(u32::try_from(COMMANDS)?) };
    report.write(compared.figure(NAMES[0], "/s", TARGET), Better::More)?;
    server.stop().await;
    postgres.stop().await;
    Ok(())
}

/// A doctor, who sees one patient after the other.
struct Doctor {
    client: Client,
    token: Arc<str>,
    patients: Arc<[Uuid]>,
    /// How many journeys all doctors have begun.
    begun: Arc<AtomicUsize>,
}

impl Doctor {
    async fn see_a_patient(mut self) -> Result<Self, Failure> {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed);
        let patient = self.patients[nth % self.patients.len()];
        for (command, body) in journey(patient) {
            let answer = self.client.send(&post(command, &self.token, &body.to_string())).await?;
            if !matches!(answer.status, 200 | 201) {
                return Err(format!("{command} was answered with {}: {}", answer.status, self.client.body()).into());
            }
        }
        Ok(self)
    }
}

/// The commands of a consultation. What a patient who was here before has already is confirmed.
fn journey(patient_id: Uuid) -> [(&'static str, Value); COMMANDS] {
    let (consultation_id, diagnosis_id, prescription_id) = (new_id(), new_id(), new_id());
    let item = json!({
        "medication_id": MEDICATION, "quantity": "21", "quantity_unit": "capsule", "instructions": "With food.",
        "override_reason": "measured by a bench",
    });
    [
        (
            "start-consultation",
            json!({"id": consultation_id, "patient_id": patient_id, "chief_complaint": "Cough for five days",
                   "confirm_another": true}),
        ),
        (
            "record-vital-signs",
            json!({"patient_id": patient_id, "consultation_id": consultation_id, "blood_pressure_systolic": 124,
                   "blood_pressure_diastolic": 82, "heart_rate": 88, "temperature": "38.4", "temperature_unit": "C"}),
        ),
        ("record-symptom", json!({"consultation_id": consultation_id, "name": "Cough", "severity": "moderate"})),
        ("record-symptom", json!({"consultation_id": consultation_id, "name": "Chest pain", "is_negated": true})),
        (
            "record-diagnosis",
            json!({"consultation_id": consultation_id, "diagnosis_id": diagnosis_id, "code": "J20.9",
                   "description": "Acute bronchitis", "diagnosis_type": "final"}),
        ),
        (
            "record-findings",
            json!({"consultation_id": consultation_id, "assessment": "Acute bronchitis",
                   "physical_examination": {"lungs": "clear"}, "plan": "Rest, fluids; back in a week if no better."}),
        ),
        (
            "place-lab-order",
            json!({"patient_id": patient_id, "consultation_id": consultation_id,
                   "items": [{"lab_test_id": LAB_TEST}], "confirm_not_duplicate": true}),
        ),
        (
            "plan-treatment",
            json!({"consultation_id": consultation_id, "diagnosis_id": diagnosis_id, "treatment_type": "counselling",
                   "description": "How to give up smoking"}),
        ),
        (
            "write-prescription",
            json!({"id": prescription_id, "patient_id": patient_id, "consultation_id": consultation_id,
                   "items": [item]}),
        ),
        ("send-prescription-to-pharmacy", json!({ "prescription_id": prescription_id })),
        ("complete-consultation", json!({ "consultation_id": consultation_id })),
        ("sign-consultation", json!({ "consultation_id": consultation_id })),
    ]
}
