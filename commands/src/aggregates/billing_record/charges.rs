//! What is charged by itself: consultations, treatments and dispensings; tests of the laboratory and articles have files
//! of their own. The process `charges` gives these commands.
//! A further kind of service is charged by a command of its own, which calls [`Occasion::reads`] and
//! [`Occasion::charge`].

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::appointment::Appointment;
use hims_domain::billing_record::{BillingRecord, Event, Item, Opened};
use hims_domain::consultation::Consultation;
use hims_domain::department::Department;
use hims_domain::medication::Medication;
use hims_domain::prescription::{Line, Prescription};
use hims_domain::treatment::Treatment;
use hims_domain::user::User;
use hims_domain::values::Text;
use hims_domain::values::coding::{CATALOGUE, CONSULTATION_TYPES, RXNORM, TREATMENT_TYPES};
use hims_domain::{
    AppointmentId, BillingItemId, ConsultationId, PatientId, Personal, PrescriptionId, PrescriptionItemId, TreatmentId,
    UserId, derived, described,
};
use rust_decimal::{Decimal, dec};
use uuid::Uuid;

use super::items::{charged_for, put, reads_price, source_key};
use super::revoking::Source;
use super::{LINES, pending_key};
use crate::aggregates::department::zone_named;
use crate::machinery::command::existing;
use crate::{Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Target, scopes};

/// The kind of source of a line that charges for a consultation.
pub(crate) const CONSULTATION: &str = "consultation";
/// The kind of source of a line that charges for a dispensing; its id is that of the prescription's item.
pub(super) const DISPENSING: &str = "dispensing";

described! {
    /// Charges for a consultation that was completed, by its type. Does nothing if the consultation was charged.
    pub struct ChargeConsultation {
        /// Which consultation.
        pub consultation_id: ConsultationId,
    }

    /// Charges for a treatment that was completed. Does nothing if the treatment was charged.
    pub struct ChargeTreatment {
        /// Which treatment.
        pub treatment_id: TreatmentId,
        /// When the treatment was completed.
        pub completed_at: DateTime<Utc>,
    }

    /// A quantity of an item of a prescription.
    pub struct ChargedQuantity {
        /// Which item.
        pub item_id: PrescriptionItemId,
        /// The quantity, in the unit of the item.
        pub quantity: Decimal,
    }

    /// Charges for what was dispensed here. Does nothing for what was charged.
    pub struct ChargeDispensing {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// What tells this dispensing from others of the prescription.
        pub occasion: Text<20>,
        /// What was dispensed.
        pub dispensed: Vec<ChargedQuantity>,
        /// When it was dispensed.
        pub dispensed_at: DateTime<Utc>,
    }
}

/// For whom and when something is charged.
pub(crate) struct Occasion {
    pub(crate) patient_id: PatientId,
    pub(crate) consultation_id: Option<ConsultationId>,
    /// The day of the service, where it was given.
    pub(crate) day: NaiveDate,
}

/// A line that is charged by itself, with the id that follows from what it charges for.
pub(crate) type Charged = (BillingItemId, Item);

/// The id of a line that charges for a source.
pub(super) fn charge_id(source_type: &str, source_id: Uuid, occasion: &str) -> BillingItemId {
    derived("charge", &[source_type, &source_id.to_string(), occasion]).into()
}

/// Whether a line was charged by a process, in the record of what it charges for, and not added by hand.
pub(crate) fn is_charged_by_itself(id: BillingItemId, item: &Item) -> bool {
    charged_for(item).is_some_and(|it| id == charge_id(it.kind, it.id.into(), it.occasion))
}

/// A line that charges for one unit of a service. The occasion tells what was done repeatedly for one source apart.
pub(super) fn charged(
    source: Source,
    source_occasion: Option<Text<20>>,
    day: NaiveDate,
    coding: (&str, String),
    words: &str,
) -> Charged {
    let item_id = charge_id(source.kind, source.id, source_occasion.as_ref().map_or("", Text::as_str));
    let item = Item {
        service_date: day,
        code_system: coding.0.into(),
        code: Text(coding.1),
        description: Personal::Known(words.into()),
        modifiers: Vec::new(),
        diagnosis_pointers: Vec::new(),
        quantity: dec!(1),
        unit_price: None,
        discount_amount: None,
        discount_percent: None,
        tax_rate: None,
        source_type: Some(source.kind.into()),
        source_id: Some(source.id.into()),
        source_occasion,
    };
    (item_id, item)
}

impl Occasion {
    /// The key of the record to which the lines go.
    fn key(&self) -> String {
        pending_key(self.patient_id, self.consultation_id, self.day)
    }

    /// Looks up what charging these lines depends on.
    pub(crate) fn reads(&self, reads: Reads, lines: &[Charged], found: &Found) -> Reads {
        let reads = reads.owners::<BillingRecord>(scopes::PENDING_BILLING, self.key());
        lines.iter().fold(reads, |reads, (item_id, item)| {
            let reads = reads.holders(scopes::BILLING_PART, item_id.to_string());
            let source = source_key(item).into_iter();
            let reads = source.fold(reads, |reads, key| reads.holders(scopes::BILLING_SOURCE, key));
            reads_price(reads, self.patient_id, item, found)
        })
    }

    /// Adds the lines that were not charged before to the record of the consultation or day that has no invoice yet, or
    /// to a new one.
    ///
    /// # Errors
    /// When the amounts of the record become too great.
    pub(crate) fn charge<A: Claims>(
        &self,
        mut decision: Decision<A>,
        lines: Vec<Charged>,
        ctx: &Context<'_>,
    ) -> Result<Decision<A>, Refused> {
        let is_new = |(item_id, item): &Charged| {
            let source = source_key(item).unwrap_or_default();
            ctx.found.holders(scopes::BILLING_PART, item_id.to_string()).is_empty()
                && ctx.found.holders(scopes::BILLING_SOURCE, source).is_empty()
        };
        let lines: Vec<_> = lines.into_iter().filter(is_new).collect();
        let Some((first, _)) = lines.first() else { return Ok(decision) };
        let pending = ctx.found.owners::<BillingRecord>(scopes::PENDING_BILLING, self.key());
        let with_room = pending.filter(|(_, it)| it.lines.len() + lines.len() <= LINES);
        let (id, mut record) = match with_room.min_by_key(|(id, _)| *id) {
            Some((id, record)) => (id, record.clone()),
            None => {
                let id = derived("billing record", &[&first.to_string()]);
                let (patient_id, consultation_id) = (self.patient_id, self.consultation_id);
                let opened = Opened { patient_id, consultation_id, opened_on: self.day, currency: ctx.currency };
                let record = BillingRecord::new(&opened);
                decision = decision.begin::<BillingRecord>(id, Event::Opened(opened));
                (id, record)
            }
        };
        for (item_id, item) in lines {
            if let Some((event, after)) = put(&record, item_id, item, ctx.found)? {
                record = after;
                decision = decision.also::<BillingRecord>(id, event);
            }
        }
        Ok(decision)
    }
}

/// Where a service was given: at an appointment, or by a provider of a department.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    appointment: Option<AppointmentId>,
    provider: UserId,
}

impl Place {
    /// Where a consultation took place.
    fn of(consultation: &Consultation) -> Self {
        Self { appointment: consultation.appointment_id, provider: consultation.provider_id }
    }

    /// Where something was ordered: by whom, and at which visit if it was ordered in a consultation.
    pub(super) fn of_order(consultation: Option<ConsultationId>, provider: UserId, found: &Found) -> Self {
        let consultation = consultation.and_then(|id| found.get::<Consultation>(id));
        Self { appointment: consultation.and_then(|it| it.appointment_id), provider }
    }

    /// Looks up in which time zone the service was given: that of the appointment, else of the provider's department.
    pub(super) fn reads(self, reads: Reads, found: &Found) -> Reads {
        let department = found.get::<User>(self.provider).and_then(|it| it.department_id);
        reads.maybe::<Appointment>(self.appointment).stream::<User>(self.provider).maybe::<Department>(department)
    }

    /// The day of the service where it was given.
    pub(super) fn day_of(self, at: DateTime<Utc>, found: &Found) -> NaiveDate {
        let of_appointment = self.appointment.and_then(|id| found.get::<Appointment>(id)).map(|it| &it.time_zone);
        let department = || found.get::<Department>(found.get::<User>(self.provider)?.department_id?);
        day_in(at, of_appointment.or_else(|| department().map(|it| &it.details.time_zone)), found)
    }
}

/// The day in a time zone; in that of the hospital if nothing tells which.
pub(super) fn day_in(at: DateTime<Utc>, zone: Option<&Text<64>>, found: &Found) -> NaiveDate {
    let zone = zone.map_or_else(|| found.hospital_zone(), zone_named);
    at.with_timezone(&zone).date_naive()
}

/// The first 20 characters of a text, as a code.
pub(super) fn as_code(text: &str) -> String {
    text.chars().take(20).collect()
}

impl ChargeConsultation {
    /// The occasion and the line. Before the places are known, the day may be another.
    fn charged(&self, consultation: &Consultation, found: &Found) -> (Occasion, Vec<Charged>) {
        let day = Place::of(consultation).day_of(consultation.started_at, found);
        let source = Source { kind: CONSULTATION, id: self.consultation_id.into() };
        let kind = consultation.consultation_type.as_str();
        let line = charged(source, None, day, (CONSULTATION_TYPES, as_code(kind)), kind);
        let consultation_id = Some(self.consultation_id);
        (Occasion { patient_id: consultation.patient_id, consultation_id, day }, vec![line])
    }
}

impl Command for ChargeConsultation {
    const NAME: &'static str = "charge-consultation";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Consultation;

    fn target(&self) -> Target {
        Target::existing(self.consultation_id)
    }

    fn reads(&self, state: Option<&Consultation>, found: &Found) -> Reads {
        let Some(consultation) = state else { return Reads::nothing() };
        let reads = Place::of(consultation).reads(Reads::nothing(), found);
        let (occasion, lines) = self.charged(consultation, found);
        occasion.reads(reads, &lines, found)
    }

    fn decide(self, state: Option<&Consultation>, ctx: &Context<'_>) -> Result<Decision<Consultation>, Refused> {
        let (occasion, lines) = self.charged(existing(state)?, ctx.found);
        occasion.charge(Decision::nothing(), lines, ctx)
    }
}

impl ChargeTreatment {
    fn charged(&self, treatment: &Treatment, found: &Found) -> Option<(Occasion, Vec<Charged>)> {
        let consultation = found.get::<Consultation>(treatment.consultation_id)?;
        let day = Place::of(consultation).day_of(self.completed_at, found);
        let kind = treatment.treatment_type.as_str();
        let coding = match (&treatment.code_system, &treatment.code) {
            (Some(system), Some(code)) => (system.as_str(), code.0.clone()),
            _ => (TREATMENT_TYPES, as_code(kind)),
        };
        let source = Source { kind: "treatment", id: self.treatment_id.into() };
        let line = charged(source, None, day, coding, kind);
        let (patient_id, consultation_id) = (treatment.patient_id, Some(treatment.consultation_id));
        Some((Occasion { patient_id, consultation_id, day }, vec![line]))
    }
}

impl Command for ChargeTreatment {
    const NAME: &'static str = "charge-treatment";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Treatment;

    fn target(&self) -> Target {
        Target::existing(self.treatment_id)
    }

    fn reads(&self, state: Option<&Treatment>, found: &Found) -> Reads {
        let Some(treatment) = state else { return Reads::nothing() };
        let consultation = found.get::<Consultation>(treatment.consultation_id);
        let reads = Reads::nothing().stream::<Consultation>(treatment.consultation_id);
        let reads = consultation.map(Place::of).into_iter().fold(reads, |reads, it| it.reads(reads, found));
        match self.charged(treatment, found) {
            Some((occasion, lines)) => occasion.reads(reads, &lines, found),
            None => reads,
        }
    }

    fn decide(self, state: Option<&Treatment>, ctx: &Context<'_>) -> Result<Decision<Treatment>, Refused> {
        match self.charged(existing(state)?, ctx.found) {
            Some((occasion, lines)) => occasion.charge(Decision::nothing(), lines, ctx),
            None => Ok(Decision::nothing()),
        }
    }
}

/// The line of a prescription with an id.
fn line_of(prescription: &Prescription, id: PrescriptionItemId) -> Option<&Line> {
    prescription.lines.iter().find(|line| line.item.id == id)
}

impl ChargeDispensing {
    /// Where the prescription was written.
    fn place(prescription: &Prescription, found: &Found) -> Place {
        Place::of_order(prescription.consultation_id, prescription.provider_id, found)
    }

    fn charged(&self, prescription: &Prescription, found: &Found) -> (Occasion, Vec<Charged>) {
        let day = Self::place(prescription, found).day_of(self.dispensed_at, found);
        let mut quantities: BTreeMap<PrescriptionItemId, Decimal> = BTreeMap::new();
        for part in &self.dispensed {
            *quantities.entry(part.item_id).or_default() += part.quantity;
        }
        let lines = quantities.into_iter().filter_map(|(id, quantity)| {
            let medication_id = line_of(prescription, id)?.item.order.medication_id;
            let details = &found.get::<Medication>(medication_id)?.details;
            let coding = match &details.rxnorm_code {
                Some(code) => (RXNORM, code.0.clone()),
                None => (CATALOGUE, as_code(&medication_id.0.simple().to_string())),
            };
            let (source, occasion) = (Source::of_item(id), Some(self.occasion.clone()));
            let (item_id, item) = charged(source, occasion, day, coding, details.name.as_str());
            Some((item_id, Item { quantity, ..item }))
        });
        let (patient_id, consultation_id) = (prescription.patient_id, prescription.consultation_id);
        (Occasion { patient_id, consultation_id, day }, lines.collect())
    }
}

impl Command for ChargeDispensing {
    const NAME: &'static str = "charge-dispensing";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn reads(&self, state: Option<&Prescription>, found: &Found) -> Reads {
        let Some(prescription) = state else { return Reads::nothing() };
        let reads = Reads::nothing().maybe::<Consultation>(prescription.consultation_id);
        let reads = Self::place(prescription, found).reads(reads, found);
        let dispensed = self.dispensed.iter().filter_map(|it| line_of(prescription, it.item_id));
        let reads = dispensed.fold(reads, |reads, it| reads.stream::<Medication>(it.item.order.medication_id));
        let (occasion, lines) = self.charged(prescription, found);
        occasion.reads(reads, &lines, found)
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let (occasion, lines) = self.charged(existing(state)?, ctx.found);
        occasion.charge(Decision::nothing(), lines, ctx)
    }
}
