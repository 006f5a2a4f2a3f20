use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::treatment::{Event, Planned, Status};
use hims_domain::values::Reason;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per treatment of a patient.
    TreatmentRow in "treatments",
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped (created_at),
    indexes [(patient_id, created_at), (status, created_at)] {
        /// The treatment.
        id: Uuid [indexed],
        /// The consultation in which the treatment was planned.
        consultation_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The diagnosis that is treated.
        diagnosis_id: Option<Uuid> [indexed],
        /// The kind of treatment.
        treatment_type: String,
        /// The code system (URI) of `code`.
        code_system: Option<String>,
        /// The code of the treatment in the code system.
        code: Option<String> [indexed],
        /// The treatment in words.
        description: Option<String> [personal],
        /// The part of the body that is treated.
        body_site: Option<String>,
        /// The unique device identifier (UDI) of a device.
        device_udi: Option<String>,
        /// The care plan to which the treatment belongs.
        care_plan_id: Option<Uuid> [indexed],
        /// What the care plan is called.
        care_plan_title: Option<String> [personal],
        /// The status of the treatment.
        status: String [indexed] of hims_domain::treatment::Status::CODES,
        /// Why the treatment was stopped, not done, or entered in error.
        status_reason: Option<String> [personal],
        /// The user who carries the treatment out, if this is known.
        performed_by: Option<Uuid> [indexed],
        /// When the treatment was begun.
        started_at: Option<DateTime<Utc>>,
        /// When the treatment was completed.
        completed_at: Option<DateTime<Utc>>,
        /// What came of the treatment.
        outcome: Option<String> [personal],
    }
}

fn row(event: &Projected<'_, Event>, it: &Planned) -> TreatmentRow {
    let order = &it.order;
    TreatmentRow {
        id: event.stream_id,
        consultation_id: order.consultation_id.into(),
        patient_id: it.patient_id.into(),
        diagnosis_id: order.diagnosis_id.map(Uuid::from),
        treatment_type: order.treatment_type.to_string(),
        code_system: text(order.code_system.as_ref()),
        code: text(order.code.as_ref()),
        description: text(order.description.known()),
        body_site: text(order.body_site.as_ref()),
        device_udi: text(order.device_udi.as_ref()),
        care_plan_id: order.care_plan_id.map(Uuid::from),
        care_plan_title: text(order.care_plan_title.as_ref().and_then(Personal::known)),
        status: Status::Planned.to_string(),
        status_reason: None,
        performed_by: order.performed_by.map(Uuid::from),
        started_at: None,
        completed_at: None,
        outcome: None,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, treatments: &mut Changes<'e, TreatmentRow>) {
    let at = event.metadata.occurred_at;
    let mut move_to = |status: Status, reason: Option<&'e Personal<Reason>>| {
        treatments.change(event, move |row| {
            row.status = status.to_string();
            row.status_reason = text(reason.and_then(Personal::known));
        });
    };
    match event.data {
        Event::Planned(it) => treatments.insert(row(event, it)),
        Event::Started => treatments.change(event, move |row| {
            row.status = Status::InProgress.to_string();
            row.started_at = Some(at);
        }),
        Event::Held => move_to(Status::OnHold, None),
        Event::Resumed => move_to(Status::InProgress, None),
        Event::Completed { outcome } => treatments.change(event, move |row| {
            row.status = Status::Completed.to_string();
            row.completed_at = Some(at);
            row.outcome = text(outcome.as_ref().and_then(Personal::known));
        }),
        Event::Stopped { reason } => move_to(Status::Stopped, Some(reason)),
        Event::MarkedNotDone { reason } => move_to(Status::NotDone, Some(reason)),
        Event::MarkedEnteredInError { reason } => move_to(Status::EnteredInError, Some(reason)),
    }
}
