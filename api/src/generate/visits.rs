//! The visits: the appointment, what the doctor found and measured, and what follows from it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::appointment::{self, Appointment, Priority, Slot};
use hims_domain::consultation::{
    self, ClinicalStatus, Consultation, Diagnosis, DiagnosisRecorded, DiagnosisType, Findings, VerificationStatus,
    WorkflowType,
};
use hims_domain::prescription::{self, Dispensing, Item, Order, Prescription};
use hims_domain::values::coding::ICD_10_CM;
use hims_domain::values::{LongText, PrescriptionNumber, Text};
use hims_domain::vital_signs::{self, Measurements, VitalSigns};
use hims_domain::{ConsultationId, Personal, UserId};
use hims_event_store::AppendError;
use rust_decimal::{Decimal, dec};

use super::history::History;
use super::plan::{Kind, MINUTES, Visit, ZONE};
use super::words;

/// How many sets of vital signs are taken in a visit.
const MEASUREMENTS: u64 = 4;

/// The times of a visit.
pub(super) struct Seen {
    /// The number of the visit, from 0.
    pub(super) number: u64,
    pub(super) visit: Visit,
    pub(super) provider_id: UserId,
    pub(super) consultation_id: ConsultationId,
    /// When the consultation began.
    pub(super) from: DateTime<Utc>,
    /// When the consultation ended.
    pub(super) until: DateTime<Utc>,
}

fn said(text: &str) -> Personal<LongText> {
    Personal::Known(LongText::from(text))
}

impl History {
    /// A visit. A patient whose visit is still to come was told of it on the telephone, which is a consultation without
    /// an appointment, so that every patient has as many consultations as appointments.
    pub(super) fn visited(&mut self, number: u64) -> Result<(), AppendError> {
        let visit = self.visit(number);
        let is_over = visit.starts_at + TimeDelta::hours(1) < self.hospital.now;
        let ahead = TimeDelta::days(self.chance.from(3, 30));
        let agreed_at = (visit.starts_at - ahead).min(self.hospital.now - TimeDelta::hours(1));
        let from = if is_over { visit.starts_at } else { agreed_at };
        let seen = Seen {
            number,
            visit,
            provider_id: self.doctor(visit.doctor),
            consultation_id: self.id(Kind::Consultation, number).into(),
            from,
            until: from + TimeDelta::minutes(i64::from(MINUTES) - 5),
        };
        self.moment(seen.from);
        self.appointment(&seen, is_over)?;
        self.consultation(&seen, is_over)?;
        for nth in 0..MEASUREMENTS {
            self.vital_signs(&seen, nth)?;
        }
        if number.is_multiple_of(2) {
            self.prescription(&seen)?;
        } else {
            self.laboratory(&seen)?;
        }
        self.bill(&seen)?;
        self.notices(&seen)
    }

    fn appointment(&mut self, seen: &Seen, is_over: bool) -> Result<(), AppendError> {
        use appointment::Event::{CheckedIn, Completed, Scheduled, Started};
        let plan = &self.hospital.plan;
        let department = super::staff::department_of_doctor(seen.visit.doctor);
        let mut events = vec![Scheduled(appointment::Scheduled {
            patient_id: self.patient_id,
            provider_id: seen.provider_id,
            department_id: Some(plan.id(0, Kind::Department, department).into()),
            // Each doctor has a room, which therefore is free whenever the doctor is.
            room_id: Some(plan.id(0, Kind::Room, seen.visit.doctor).into()),
            appointment_type: if seen.number == 0 { "first_visit".into() } else { "follow_up".into() },
            slot: Slot { starts_at: seen.visit.starts_at, duration_minutes: MINUTES },
            time_zone: ZONE.name().into(),
            priority: Priority::Normal,
            reason_for_visit: Some(said(words::VISITS[self.reason(seen)].0)),
            special_instructions: None,
            insurance_verified: true,
            outside_hours: false,
            series: None,
        })];
        if is_over {
            events.extend([CheckedIn { other_day_reason: None }, Started, Completed]);
        }
        self.add::<Appointment>(self.id(Kind::Appointment, seen.number), &events)
    }

    /// The number of the reason for a visit among [`words::VISITS`].
    fn reason(&self, seen: &Seen) -> usize {
        usize::try_from(self.nth * 7 + seen.number * 3).unwrap_or(0) % words::VISITS.len()
    }

    fn consultation(&mut self, seen: &Seen, is_over: bool) -> Result<(), AppendError> {
        use consultation::Event::{Completed, DiagnosisRecorded as Diagnosed, FindingsRecorded, Started};
        let (complaint, finding, assessment, plan, code, described) = words::VISITS[self.reason(seen)];
        let started = consultation::Started {
            patient_id: self.patient_id,
            provider_id: seen.provider_id,
            appointment_id: is_over.then(|| self.id(Kind::Appointment, seen.number).into()),
            consultation_type: if is_over { "standard".into() } else { "telephone".into() },
            workflow_type: WorkflowType::Standard,
            chief_complaint: Some(said(complaint)),
            started_at: seen.from,
            steps: Vec::new(),
        };
        let findings = Findings {
            chief_complaint: Some(said(complaint)),
            history_of_present_illness: Some(said("Began gradually; no other complaints.")),
            review_of_systems: None,
            physical_examination: Some(BTreeMap::from([("general".to_owned(), finding.into())]).into()),
            assessment: Some(said(assessment)),
            plan: Some(said(plan)),
        };
        let diagnosis = Diagnosis {
            code_system: ICD_10_CM.into(),
            code: code.into(),
            description: Personal::Known(Text::from(described)),
            diagnosis_type: DiagnosisType::Final,
            verification_status: VerificationStatus::Confirmed,
            clinical_status: Some(ClinicalStatus::Active),
            onset_date: None,
            abatement_date: None,
            notes: None,
        };
        let diagnosed = DiagnosisRecorded {
            diagnosis_id: self.id(Kind::Diagnosis, seen.number).into(),
            patient_id: self.patient_id,
            diagnosed_by: seen.provider_id,
            diagnosed_at: seen.until,
            diagnosis,
            rank: 1,
            moved: Vec::new(),
        };
        let completed = Completed {
            completed_at: seen.until,
            total_duration_minutes: i32::try_from((seen.until - seen.from).num_minutes()).unwrap_or(0),
        };
        let events =
            [Started(started), FindingsRecorded(Box::new(findings)), Diagnosed(Box::new(diagnosed)), completed];
        self.add::<Consultation>(seen.consultation_id, &events)
    }

    fn vital_signs(&mut self, seen: &Seen, nth: u64) -> Result<(), AppendError> {
        let chance = &mut self.chance;
        let mut whole = |first, last| Some(Decimal::from(chance.from(first, last)));
        let (systolic, diastolic) = (whole(104, 148), whole(62, 92));
        let (heart_rate, respiratory_rate) = (whole(54, 98), whole(11, 19));
        let (saturation, pain, temperature) = (whole(94, 100), whole(0, 4), chance.from(970, 996));
        let (weight, height) = (chance.from(480, 1_090), chance.from(152, 194));
        let measurements = Measurements {
            blood_pressure_systolic: systolic,
            blood_pressure_diastolic: diastolic,
            heart_rate,
            respiratory_rate,
            temperature: Some(Decimal::new(temperature, 1)),
            oxygen_saturation: saturation,
            weight_kg: Some(Decimal::new(weight, 1)),
            height_cm: Some(Decimal::from(height)),
            pain_scale: pain,
            ..Measurements::default()
        };
        let recorded = vital_signs::Recorded {
            patient_id: self.patient_id,
            consultation_id: Some(seen.consultation_id),
            recorded_by: seen.provider_id,
            recorded_at: seen.from + TimeDelta::minutes(nth.cast_signed() * 3),
            measurements,
            extreme: Vec::new(),
            corrects: None,
        };
        let id = self.id(Kind::VitalSigns, seen.number * MEASUREMENTS + nth);
        self.add::<VitalSigns>(id, &[vital_signs::Event::Recorded(recorded)])
    }

    /// A prescription, dispensed by another pharmacy. The prescription of the last visit still waits for it.
    fn prescription(&mut self, seen: &Seen) -> Result<(), AppendError> {
        use prescription::Event::{Dispensed, SentToPharmacy, Written};
        let (medication, unit) = self.product();
        let item_id = self.id(Kind::PrescriptionItem, seen.number).into();
        let quantity = Decimal::from(self.chance.from(1, 9) * 10);
        let order = Order {
            medication_id: medication.into(),
            dose_quantity: Some(dec!(1)),
            dose_unit: Some(unit.into()),
            route: Some("oral".into()),
            frequency: Some("once a day".into()),
            as_needed: false,
            duration_days: None,
            quantity,
            quantity_unit: unit.into(),
            substitution_allowed: true,
            instructions: Some(said("In the morning, with water.")),
            refills_allowed: 0,
            days_supply: None,
            valid_until: None,
            override_reason: None,
        };
        let written = prescription::Written {
            number: PrescriptionNumber::issue(self.number(seen.number)),
            consultation_id: Some(seen.consultation_id),
            patient_id: self.patient_id,
            provider_id: seen.provider_id,
            priority: prescription::Priority::Normal,
            notes: None,
            items: vec![Item { id: item_id, order }],
            alerts: Vec::new(),
        };
        let mut events = vec![Written(written), SentToPharmacy];
        if seen.number + 1 < super::plan::VISITS {
            let dispensed_on = seen.until.with_timezone(&ZONE).date_naive();
            events.push(Dispensed {
                patient_id: self.patient_id,
                dispensed: vec![Dispensing {
                    item_id,
                    lot_id: None,
                    quantity,
                    dispensed_after: quantity,
                    dispensed_on,
                }],
                alerts: Vec::new(),
                overrides: Vec::new(),
                completes: true,
                reserved: Vec::new(),
            });
        }
        self.add::<Prescription>(self.id(Kind::Prescription, seen.number), &events)
    }
}
