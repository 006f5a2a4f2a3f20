//! What a nurse reads, or just not any more: what the nurse recorded, and patients who visit on the days next to those
//! that count. Part of [`access_matrix`](super::access_matrix).

use serde_json::json;

use super::demo::{appointment, at, patient};
use super::{Client, Hospital};

/// The patients of another department for whom the nurse recorded a symptom, a step of a consultation, a specimen, and the
/// last one a medication, vital signs, an allergy and an entry of the medical history.
pub(super) const RECORDED: [u16; 4] = [17, 18, 19, 20];
/// Who visits the nurse's department on the last day that counts.
pub(super) const YESTERDAY: u16 = 21;
/// Who visits the nurse's department on the first day that does not count.
pub(super) const LATER: u16 = 22;

/// Records something by the nurse for each of [`RECORDED`].
pub(super) async fn recorded(doctor: &Client, nurse: &Client) {
    let [symptom, step, specimen, several] = RECORDED.map(patient);
    let begin = async |patient_id: &str, steps: &[&str]| {
        doctor.did("start-consultation", json!({"patient_id": patient_id, "steps": steps})).await
    };
    let with_symptom = begin(&symptom, &[]).await;
    nurse.did("record-symptom", json!({"consultation_id": with_symptom, "name": "Cough"})).await;
    let with_step = begin(&step, &["triage"]).await;
    let steps = doctor.items(&format!("consultation-steps?consultation_id={with_step}")).await;
    let done = json!({"consultation_id": with_step, "step_id": steps[0]["id"]});
    nurse.did("complete-consultation-step", done).await;
    for consultation_id in [with_symptom, with_step] {
        doctor.did("complete-consultation", json!({"consultation_id": consultation_id})).await;
    }
    super::laboratory::tested(doctor, nurse, &specimen).await;
    let taken = json!({"patient_id": several, "medication_name": "St John's wort", "source": "otc"});
    nurse.did("add-patient-medication", taken).await;
    nurse.did("record-vital-signs", json!({"patient_id": several, "heart_rate": 71})).await;
    let allergy = json!({"patient_id": several, "allergen_type": "drug", "allergen_name": "Latex"});
    nurse.did("record-allergy", allergy).await;
    let history = json!({"patient_id": several, "history_type": "social", "description": "Never smoked",
                         "source": "patient"});
    nurse.did("record-medical-history", history).await;
}

/// Books visits to the nurse's department on the days next to those that count. A visit of the past cannot be booked,
/// so that the rows are moved to their days, shortly after midnight: no more than 48 hours from now.
pub(super) async fn visits_around_today(hospital: &Hospital, reception: &Client) {
    for (nth, number, days) in [(0, YESTERDAY, -1), (1, LATER, 2)] {
        let booked = appointment(&patient(number), at(13, 60 * nth));
        let appointment_id = reception.did("schedule-appointment", booked).await;
        hospital.settle().await;
        let sql = "update hims.appointments it
                      set scheduled_date = visit.day, scheduled_time = '00:10',
                          starts_at = (visit.day + time '00:10') at time zone it.time_zone,
                          ends_at = (visit.day + time '00:40') at time zone it.time_zone
                     from (select id, (now() at time zone time_zone)::date + $2 as day from hims.appointments) visit
                    where it.id = visit.id and it.id = $1::text::uuid";
        let moved = sqlx::query(sql).bind(&appointment_id).bind(days).execute(hospital.owner()).await;
        assert_eq!(moved.expect("a row").rows_affected(), 1);
    }
}
