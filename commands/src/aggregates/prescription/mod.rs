//! Prescriptions: writing them, and dispensing from the lots in the same breath.

mod dispensing;

use hims_domain::consultation::Consultation;
use hims_domain::medication::Medication;
use hims_domain::patient::Patient;
use hims_domain::permission::Create;
use hims_domain::prescription::{Dispensing, Event, Item, Order, Prescription, Priority, Status, Written};
use hims_domain::user::User;
use hims_domain::values::{LongText, PrescriptionNumber};
use hims_domain::{ConsultationId, PatientId, Personal, PrescriptionId, UserId, described};
use rust_decimal::Decimal;
use uuid::Uuid;

pub use dispensing::{DispenseItem, DispensePrescription};

use super::medication_lot::check_quantity;
use super::user::acting;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{
    Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<WritePrescription>()
        .add::<SendPrescriptionToPharmacy>()
        .add::<MarkPrescriptionReady>()
        .add::<DispensePrescription>()
        .add::<RecordExternalDispensing>()
        .add::<CancelPrescription>();
}

refusals! {
    Empty = Rule, "no-items", "a prescription needs 1 to 50 items";
    InactiveMedication = Conflict, "inactive-medication", "a medication is not active; prescribe another";
    OtherPatient = Rule, "other-patient", "the consultation is of another patient";
    NoSuchItem = Rule, "no-such-item", "the prescription has no such item";
    NoSuchLot = Rule, "no-such-lot", "there is no such lot of the item's medication";
    NotDispensable = Conflict, "lot-not-dispensable", "the lot is expired, recalled, quarantined or used up";
    OtherUnit = Conflict, "other-unit", "the lot is counted in another unit than the item";
    InsufficientStock = Conflict, "insufficient-stock", "there is not enough in stock";
    TooMuch { outstanding: Decimal } = Conflict, "too-much", "only {outstanding} are outstanding";
    Expired = Conflict, "prescription-expired", "an item is past its last day of validity";
    NothingOutstanding = Conflict, "nothing-outstanding", "nothing is outstanding";
}

described! {
    /// Writes a prescription of one or more medications and issues its number.
    pub struct WritePrescription {
        /// Issued unless given.
        pub id: Option<PrescriptionId>,
        /// The consultation that leads to it.
        pub consultation_id: Option<ConsultationId>,
        /// For whom.
        pub patient_id: PatientId,
        /// By whom; the caller unless given.
        pub provider_id: Option<UserId>,
        /// How urgent it is; `normal` unless told.
        #[serde(default = "normal")]
        pub priority: Priority,
        /// What else is to be said.
        pub notes: Option<Personal<LongText>>,
        /// What: 1 to 50 items.
        pub items: Vec<Order>,
    }

    /// Notes that another pharmacy gave out everything; no stock changes.
    pub struct RecordExternalDispensing {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
    }

}

steps! {
    Prescription by prescription_id: PrescriptionId, "Which prescription.";

    /// Sends a prescription to the pharmacy.
    SendPrescriptionToPharmacy = "send-prescription-to-pharmacy" needs Update::PrescriptionStatus
        moves status from [Status::Pending] to [Status::SentToPharmacy] by Event::SentToPharmacy;

    /// Notes that a prescription is ready to be fetched.
    MarkPrescriptionReady = "mark-prescription-ready" needs Create::MedicationDispensing
        moves status from [Status::SentToPharmacy] to [Status::Ready] by Event::MarkedReady;

    /// Cancels a prescription: it must not be given out.
    CancelPrescription = "cancel-prescription" needs Update::PrescriptionStatus
        with {
            /// Why.
            reason: Personal<LongText>,
        }
        moves status from [Status::Pending | Status::SentToPharmacy | Status::Ready] to [Status::Cancelled]
        by Event::Cancelled { reason };
}

impl Claims for Prescription {
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::PRESCRIPTION_NUMBER, self.number.0.as_str());
    }
}

fn normal() -> Priority {
    Priority::Normal
}

/// Most items of a prescription.
const ITEMS: usize = 50;

fn check_order(order: &Order, index: usize, ctx: &Context<'_>) -> Result<(), Refused> {
    let field = |name: &str| format!("/items/{index}/{name}");
    if !ctx.named::<Medication>(order.medication_id, &field("medication_id"))?.is_active {
        return refuse(Refusal::InactiveMedication);
    }
    check_quantity(order.quantity, &field("quantity"))?;
    if order.quantity > Decimal::from(1_000_000) {
        return Err(Refused::field("out-of-range", &field("quantity"), "nobody is given so much"));
    }
    if let Some(dose) = order.dose_quantity {
        check_quantity(dose, &field("dose_quantity"))?;
        if dose > Decimal::from(1_000_000) {
            return Err(Refused::field("out-of-range", &field("dose_quantity"), "nobody takes so much"));
        }
    }
    if order.duration_days.is_some_and(|it| !(1..=3650).contains(&it)) {
        return Err(Refused::field("out-of-range", &field("duration_days"), "give 1 to 3650 days"));
    }
    Ok(())
}

impl Command for WritePrescription {
    const NAME: &'static str = "write-prescription";
    const PERMISSION: Permission = Permission::Create(Create::Prescriptions);
    const REVERSED_BY: Option<&'static str> = Some(CancelPrescription::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Prescription>, _: &Found) -> Reads {
        let reads = Reads::nothing()
            .stream::<Patient>(self.patient_id)
            .maybe::<User>(self.provider_id)
            .maybe::<Consultation>(self.consultation_id);
        self.items.iter().fold(reads, |it, item| it.stream::<Medication>(item.medication_id))
    }

    fn decide(self, _: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        if !(1..=ITEMS).contains(&self.items.len()) {
            return refuse(Refusal::Empty);
        }
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        let provider_id = acting(ctx, self.provider_id, "/provider_id")?;
        if let Some(id) = self.consultation_id
            && ctx.named::<Consultation>(id, "/consultation_id")?.patient_id != self.patient_id
        {
            return refuse(Refusal::OtherPatient);
        }
        for (index, order) in self.items.iter().enumerate() {
            check_order(order, index, ctx)?;
        }
        let items = self.items.into_iter().zip(1..).map(|(order, nth)| Item { id: ctx.new_id(nth).into(), order });
        let written = Written {
            number: PrescriptionNumber::issue(ctx.draw()),
            consultation_id: self.consultation_id,
            patient_id: self.patient_id,
            provider_id,
            priority: self.priority,
            notes: self.notes,
            items: items.collect(),
        };
        Ok(Decision::event(Event::Written(written)))
    }
}

impl Command for RecordExternalDispensing {
    const NAME: &'static str = "record-external-dispensing";
    const PERMISSION: Permission = Permission::Create(Create::MedicationDispensing);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn decide(self, state: Option<&Prescription>, _: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        let open = prescription.lines.iter().filter(|it| it.outstanding() > Decimal::ZERO);
        let dispensed = open.map(|it| Dispensing { item_id: it.item.id, lot_id: None, quantity: it.outstanding() });
        match prescription.status {
            Status::Dispensed => Ok(Decision::nothing()),
            Status::Pending | Status::SentToPharmacy | Status::Ready => {
                Ok(Decision::event(Event::Dispensed { dispensed: dispensed.collect(), completes: true }))
            }
            status @ Status::Cancelled => Err(Refused::wrong_status::<Prescription>(status)),
        }
    }
}

#[cfg(test)]
mod tests;
