//! What happens to a patient: registered, seen twice, measured, prescribed something. Twenty-five events.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::appointment::{self, Appointment, Priority, Slot};
use hims_domain::consultation::{self, Consultation, Findings, WorkflowType};
use hims_domain::patient::{self, Allergy, Demographics, Patient};
use hims_domain::prescription::{self, Item, Order, Prescription};
use hims_domain::values::{Mrn, PrescriptionNumber, Text};
use hims_domain::vital_signs::{self, Measurements, VitalSigns};
use hims_domain::{Aggregate, ConsultationId, MedicationId, PatientId, UserId};
use hims_event_store::{Append, AppendError, NewEvent, StreamAppend, Subject};
use rust_decimal::{Decimal, dec};
use uuid::Uuid;

use crate::floor::new_id;

/// How many events a journey has.
pub(crate) const EVENTS: usize = 25;

/// What journeys have in common.
#[derive(Clone)]
pub(crate) struct Journeys {
    pub(crate) provider: UserId,
    pub(crate) medication: MedicationId,
    pub(crate) demographics: Demographics,
    pub(crate) allergy: Allergy,
    pub(crate) begin: DateTime<Utc>,
}

/// The streams of one patient.
struct Streams {
    subject: Subject,
    streams: Vec<StreamAppend>,
}

impl Streams {
    fn add<A: Aggregate>(&mut self, id: Uuid, events: &[A::Event]) -> Result<(), AppendError> {
        let events = events.iter().map(|it| NewEvent::try_new(A::STREAM, it)).collect::<Result<Vec<_>, _>>()?;
        let stream = StreamAppend::begin(A::STREAM, id, events);
        self.streams.push(StreamAppend { subject: Some(self.subject.clone()), ..stream });
        Ok(())
    }
}

impl Journeys {
    /// The whole journey of one patient, to be written at once.
    pub(crate) fn journey(&self, nth: u64) -> Result<Append, AppendError> {
        let patient = PatientId(new_id());
        let subject = Subject { kind: "patient".to_owned(), id: patient.0 };
        let mut all = Streams { subject, streams: Vec::with_capacity(10) };
        all.add::<Patient>(patient.0, &self.registration(nth))?;
        for visit in 0..2 {
            // No provider sees two patients at the same time.
            let minutes = i64::try_from(nth * 2 + visit).unwrap_or(0) * 15;
            let slot = Slot { starts_at: self.begin + TimeDelta::minutes(minutes), duration_minutes: 15 };
            let appointment = new_id();
            all.add::<Appointment>(appointment, &self.appointment(patient, slot))?;
            let consultation = ConsultationId(new_id());
            all.add::<Consultation>(consultation.0, &self.consultation(patient, appointment, slot))?;
            for measurement in 0..2 {
                let recorded = self.vital_signs(patient, consultation, slot.starts_at, (nth + measurement) % 40);
                all.add::<VitalSigns>(new_id(), &[recorded])?;
            }
            if visit == 1 {
                all.add::<Prescription>(new_id(), &self.prescription(patient, consultation, nth))?;
            }
        }
        Ok(Append { streams: all.streams, ..Append::default() })
    }

    fn registration(&self, nth: u64) -> [patient::Event; 2] {
        let mut demographics = self.demographics.clone();
        demographics.last_name = Some(Text(format!("Family{nth}")).into());
        let mrn = Mrn::issue(nth).into();
        [
            patient::Event::Registered { mrn, demographics: Box::new(demographics), identifiers: Vec::new() },
            patient::Event::AllergyRecorded { allergy_id: new_id().into(), allergy: self.allergy.clone() },
        ]
    }

    fn appointment(&self, patient_id: PatientId, slot: Slot) -> [appointment::Event; 5] {
        use appointment::Event::{CheckedIn, Completed, Confirmed, Scheduled, Started};
        let scheduled = appointment::Scheduled {
            patient_id,
            provider_id: self.provider,
            department_id: None,
            room_id: None,
            appointment_type: "follow_up".into(),
            slot,
            time_zone: "America/New_York".into(),
            priority: Priority::Normal,
            reason_for_visit: Some(Text::from("Follow-up").into()),
            special_instructions: None,
            insurance_verified: true,
            outside_hours: false,
            series: None,
        };
        [Scheduled(scheduled), Confirmed, CheckedIn { other_day_reason: None }, Started, Completed]
    }

    fn consultation(&self, patient_id: PatientId, appointment: Uuid, slot: Slot) -> [consultation::Event; 3] {
        use consultation::Event::{FindingsRecorded, Started};
        let text = |it: &str| Some(Text::from(it).into());
        let started = consultation::Started {
            patient_id,
            provider_id: self.provider,
            appointment_id: Some(appointment.into()),
            consultation_type: "standard".into(),
            workflow_type: WorkflowType::Standard,
            chief_complaint: text("Cough for five days"),
            started_at: slot.starts_at,
            steps: Vec::new(),
        };
        let findings = Findings {
            chief_complaint: text("Cough for five days"),
            history_of_present_illness: text("Began after a cold; worse at night; no fever since Monday."),
            review_of_systems: None,
            physical_examination: Some(BTreeMap::from([("lungs".to_owned(), "clear".into())]).into()),
            assessment: text("Acute bronchitis"),
            plan: text("Rest, fluids; come back in a week if it is no better."),
        };
        let completed = consultation::Event::Completed { completed_at: slot.ends_at(), total_duration_minutes: 15 };
        [Started(started), FindingsRecorded(Box::new(findings)), completed]
    }

    fn vital_signs(
        &self,
        patient_id: PatientId,
        consultation: ConsultationId,
        recorded_at: DateTime<Utc>,
        nth: u64,
    ) -> vital_signs::Event {
        let measurements = Measurements {
            blood_pressure_systolic: Some(Decimal::from(110 + nth)),
            blood_pressure_diastolic: Some(dec!(82)),
            heart_rate: Some(Decimal::from(60 + nth)),
            temperature: Some(dec!(98.6)),
            oxygen_saturation: Some(dec!(97)),
            weight_kg: Some(dec!(71.5)),
            height_cm: Some(dec!(178)),
            ..Measurements::default()
        };
        vital_signs::Event::Recorded(vital_signs::Recorded {
            patient_id,
            consultation_id: Some(consultation),
            recorded_by: self.provider,
            recorded_at,
            measurements,
            extreme: Vec::new(),
            corrects: None,
        })
    }

    fn prescription(&self, patient_id: PatientId, consultation: ConsultationId, nth: u64) -> [prescription::Event; 3] {
        use prescription::Event::{MarkedReady, SentToPharmacy, Written};
        let order = Order {
            medication_id: self.medication,
            dose_quantity: Some(dec!(1)),
            dose_unit: Some("capsule".into()),
            route: Some("oral".into()),
            frequency: Some("three times a day".into()),
            as_needed: false,
            duration_days: Some(7),
            quantity: dec!(21),
            quantity_unit: "capsule".into(),
            substitution_allowed: true,
            instructions: Some(Text::from("With food.").into()),
            refills_allowed: 0,
            days_supply: None,
            valid_until: None,
            override_reason: None,
        };
        let written = prescription::Written {
            number: PrescriptionNumber::issue(nth),
            consultation_id: Some(consultation),
            patient_id,
            provider_id: self.provider,
            priority: prescription::Priority::Normal,
            notes: None,
            items: vec![Item { id: new_id().into(), order }],
            alerts: Vec::new(),
        };
        let collect_by = self.begin + TimeDelta::days(14);
        [Written(written), SentToPharmacy, MarkedReady { reserved: Vec::new(), collect_by }]
    }
}
