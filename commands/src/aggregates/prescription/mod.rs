//! Prescriptions: writing, sending, dispensing and cancelling prescriptions.

mod against;
mod alerts;
mod dispensing;
mod ready;
mod refills;
mod reversing;
mod stock;
mod telling;

use chrono::NaiveDate;
use hims_domain::consultation::Consultation;
use hims_domain::medication::Medication;
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Read, Update};
use hims_domain::prescription::{Dispensing, Event, Item, Line, Order, Prescription, Priority, Status, Written};
use hims_domain::values::{LongText, OverrideReason, PrescriptionNumber, Reason, Unit};
use hims_domain::{ConsultationId, PatientId, Personal, PrescriptionId, UserId, described};
use rust_decimal::Decimal;
use uuid::Uuid;

use against::Against;
use alerts::{AtDispensing, Compared};
pub use dispensing::{DispenseItem, DispensePrescription};
pub use ready::{MarkPrescriptionReady, UndoPrescriptionReady, WithdrawUncollected};
pub use refills::{RefillPrescription, UndoPrescriptionRefill};
use refills::{check_refills, keep_limits};
pub use reversing::{ReverseDispensing, ReverseItem};
use stock::released;
pub(crate) use stock::{reads_reserved, withdraw};
pub(crate) use telling::{TellOfReadyPrescription, TellOfWithdrawnPrescription};

use super::consultation::check_occasion;
use super::medication::NewUnits;
use super::medication_list::{after_cancelling, after_dispensing, after_writing, reads_list};
use super::medication_lot::check_quantity;
use super::patient::check_alive;
use super::user::{acting, reads_named};
use crate::access::CHART_WORDS;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<WritePrescription>()
        .add::<SendPrescriptionToPharmacy>()
        .add::<MarkPrescriptionReady>()
        .add::<UndoPrescriptionReady>()
        .add::<DispensePrescription>()
        .add::<RecordExternalDispensing>()
        .add::<ReverseDispensing>()
        .add::<RefillPrescription>()
        .add::<UndoPrescriptionRefill>()
        .add::<CancelPrescription>();
}

refusals! {
    InactiveMedication = Conflict, "inactive-medication", "the medication is out of use; prescribe another";
    NoSuchItem = Rule, "no-such-item", "the prescription has no item with this id";
    NoSuchLot = Rule, "no-such-lot", "the medication of the item has no lot with this id";
    NotDispensable = Conflict, "lot-not-dispensable", "the lot is expired, recalled, quarantined or empty; use another";
    OtherUnit { stocked: String, ordered: Unit } = Conflict, "other-unit",
        "the stock is counted in {stocked}, and the item is ordered in {ordered}; order it in the unit of the stock";
    InsufficientStock = Conflict, "insufficient-stock",
        "the lots that may be dispensed do not hold enough that is not kept for other prescriptions";
    TooMuch { outstanding: Decimal } = Conflict, "too-much", "only {outstanding} of the item are outstanding";
    Expired = Conflict, "prescription-expired", "the item is past its last day of validity; it needs a new prescription";
    NothingOutstanding = Conflict, "nothing-outstanding", "everything that is asked for was dispensed already";
    NothingDispensed = Conflict, "nothing-dispensed", "nothing was dispensed that has not been taken back already";
    NotDispensed { dispensed: Decimal } = Conflict, "too-much",
        "only {dispensed} of the item were dispensed there and can be taken back";
    CameBack = Conflict, "came-back",
        "the quantity came back into the lot already, by return-medication-lot; take back only what did not";
    NoRefillsLeft = Conflict, "no-refills-left", "no refill is left; the patient needs a new prescription";
    TooEarly { from: NaiveDate } = Conflict, "too-early",
        "most of what was dispensed last cannot be used up before {from}; wait, or repeat with an early_reason";
    TooEarlyForControlled { from: NaiveDate } = Conflict, "too-early",
        "a controlled medication is not refilled before most of the last quantity can be used up, on {from}";
    NoRefillOpen = Conflict, "no-refill-open", "no refill is open of which nothing was dispensed";
}

described! {
    /// Writes a prescription of one or more medications and issues its number. The items are compared with each other,
    /// with what the patient takes, and with the patient's allergies. An item needs an `override_reason` if an alert
    /// about it is major or contraindicated; all alerts are kept with the prescription. A unit that no lot and no
    /// earlier order of the medication has needs `confirm_unit`.
    pub struct WritePrescription {
        /// The id of the new prescription; issued by the server if left out.
        pub id: Option<PrescriptionId>,
        /// The consultation that leads to the prescription.
        pub consultation_id: Option<ConsultationId>,
        /// The patient for whom the prescription is written.
        pub patient_id: PatientId,
        /// The provider who prescribes; the caller if left out.
        pub provider_id: Option<UserId>,
        /// How urgent the prescription is; `normal` if left out.
        #[serde(default = "normal")]
        pub priority: Priority,
        /// Notes for the pharmacy.
        pub notes: Option<Personal<LongText>>,
        /// The prescribed medications: 1 to 50 items.
        pub items: Vec<Order>,
        /// Confirms that units which no lot and no earlier order of a medication has are right.
        #[serde(default)]
        pub confirm_unit: bool,
    }

    /// Records that another pharmacy dispensed everything that was outstanding. The stock does not change. An
    /// `override_reason` is needed if an alert about an outstanding item is major or contraindicated and nobody has
    /// overridden it yet, or it has become more severe since then.
    pub struct RecordExternalDispensing {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// Why the items were dispensed in spite of the alerts: 10 to 500 characters.
        pub override_reason: Option<Personal<OverrideReason>>,
    }

    /// Cancels a prescription, so that nothing more is dispensed, and no refill is left. On the patient's medication
    /// list, what was not dispensed is stopped. What was kept for the patient is given back.
    pub struct CancelPrescription {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// Why the prescription is cancelled.
        pub reason: Personal<Reason>,
    }
}

steps! {
    Prescription by prescription_id: PrescriptionId, "Which prescription.";

    /// Sends a prescription to the pharmacy.
    SendPrescriptionToPharmacy = "send-prescription-to-pharmacy" needs Update::PrescriptionStatus
        moves status from [Status::Pending] to [Status::SentToPharmacy] by Event::SentToPharmacy;
}

impl Claims for Prescription {
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::PRESCRIPTION_NUMBER, self.number.0.as_str());
    }

    /// The readers of a prescription are those of its row in the read tables: a prescription that was not sent yet does
    /// not concern the pharmacy. Whether somebody with the word `assigned_patients` reads the patient depends on
    /// visits, which the prescription does not know.
    fn is_hidden_from(&self, caller: &Caller) -> bool {
        let is_read = CHART_WORDS.iter().any(|it| caller.reads(*it))
            || (self.status != Status::Pending && caller.reads(Read::Prescriptions))
            || caller.reads_own(self.patient_id);
        !is_read
    }
}

fn normal() -> Priority {
    Priority::Normal
}

/// The largest number of items of a prescription.
const ITEMS: usize = 50;

/// Refuses orders of medications that are out of use.
fn check_in_use(orders: &[Order], ctx: &Context<'_>) -> Result<(), Refused> {
    let mut against = Against::default();
    for (nth, order) in orders.iter().enumerate() {
        if ctx.found.get::<Medication>(order.medication_id).is_some_and(|it| !it.is_active) {
            against.at(format!("/items/{nth}/medication_id"), Refusal::InactiveMedication);
        }
    }
    against.nothing()
}

/// Checks an order by itself. Returns the ordered medication.
fn check_order<'a>(order: &Order, index: usize, ctx: &'a Context<'_>) -> Result<&'a Medication, Refused> {
    let field = |name: &str| format!("/items/{index}/{name}");
    let medication = ctx.named::<Medication>(order.medication_id, &field("medication_id"))?;
    check_quantity(order.quantity, &field("quantity"))?;
    if order.quantity > Decimal::from(1_000_000) {
        return Err(Refused::field("out-of-range", &field("quantity"), "give at most 1000000"));
    }
    if let Some(dose) = order.dose_quantity {
        check_quantity(dose, &field("dose_quantity"))?;
        if dose > Decimal::from(1_000_000) {
            return Err(Refused::field("out-of-range", &field("dose_quantity"), "give at most 1000000"));
        }
    }
    check_refills(order, index)?;
    if order.duration_days.is_some_and(|it| !(1..=3650).contains(&it)) {
        return Err(Refused::field("out-of-range", &field("duration_days"), "give 1 to 3650 days"));
    }
    Ok(medication)
}

impl Command for WritePrescription {
    const NAME: &'static str = "write-prescription";
    const PERMISSION: Permission = Permission::Create(Create::Prescriptions);
    const REVERSED_BY: Option<&'static str> = Some(CancelPrescription::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Prescription>, found: &Found) -> Reads {
        let reads = Reads::nothing().maybe::<Consultation>(self.consultation_id);
        let reads = reads_list(reads_named(reads, self.provider_id, found), Some(self.patient_id));
        alerts::reads(reads, self.patient_id, self.items.iter().map(|it| it.medication_id), found)
    }

    fn decide(self, _: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        if !(1..=ITEMS).contains(&self.items.len()) {
            return Err(Refused::field("no-items", "/items", "give 1 to 50 items"));
        }
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        check_alive(self.patient_id, ctx)?;
        let provider_id = acting(ctx, self.provider_id, "/provider_id", self.patient_id, Self::PERMISSION)?;
        if let Some(id) = self.consultation_id {
            check_occasion(ctx, id, self.patient_id)?;
        }
        check_in_use(&self.items, ctx)?;
        // An import records what was prescribed elsewhere long ago, so there is nobody to be asked, and its units say
        // nothing of how this hospital counts.
        let is_asked = !ctx.caller.is_system;
        let mut new_units = NewUnits::default();
        let (mut items, mut compared) = (Vec::with_capacity(self.items.len()), Vec::with_capacity(self.items.len()));
        for (index, (mut order, nth)) in self.items.into_iter().zip(1..).enumerate() {
            let medication = check_order(&order, index, ctx)?;
            let item_id = ctx.new_id(nth).into();
            if is_asked {
                keep_limits(&mut order, medication, index, ctx.today())?;
                let unit_field = format!("/items/{index}/quantity_unit");
                new_units.compare(unit_field, order.medication_id, medication, &order.quantity_unit);
                compared.push((Compared { item_id, medication }, order.override_reason.is_some()));
            }
            items.push(Item { id: item_id, order });
        }
        if !self.confirm_unit {
            new_units.none()?;
        }
        let alerts = if is_asked { alerts::when_written(self.patient_id, &compared, ctx)? } else { Vec::new() };
        let written = Written {
            number: PrescriptionNumber::issue(ctx.draw()),
            consultation_id: self.consultation_id,
            patient_id: self.patient_id,
            provider_id,
            priority: self.priority,
            notes: self.notes,
            items,
            alerts,
        };
        let items = written.items.clone();
        let decision = new_units.introduce(Decision::event(Event::Written(written)));
        after_writing(decision, ctx, (ctx.id.into(), self.patient_id), &items)
    }
}

impl Command for CancelPrescription {
    const NAME: &'static str = "cancel-prescription";
    const PERMISSION: Permission = Permission::Update(Update::PrescriptionStatus);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn follows_on(state: &Prescription) -> bool {
        matches!(state.status, Status::Pending | Status::SentToPharmacy | Status::Ready) || has_refills_left(state)
    }

    fn reads(&self, state: Option<&Prescription>, _: &Found) -> Reads {
        let reads = reads_list(Reads::nothing(), state.map(|it| it.patient_id));
        reads_reserved(reads, state, None)
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        match prescription.status {
            Status::Cancelled => Ok(Decision::nothing()),
            status @ Status::Dispensed if !has_refills_left(prescription) => {
                Err(Refused::wrong_status::<Prescription>(status))
            }
            Status::Pending | Status::SentToPharmacy | Status::Ready | Status::Dispensed => {
                let decision = Decision::event(Event::Cancelled { reason: self.reason.clone() });
                let decision = released(decision, prescription, ctx);
                Ok(after_cancelling(decision, ctx, prescription, self.reason))
            }
        }
    }
}

impl Command for RecordExternalDispensing {
    const NAME: &'static str = "record-external-dispensing";
    const PERMISSION: Permission = Permission::Create(Create::MedicationDispensing);
    const REVERSED_BY: Option<&'static str> = Some(ReverseDispensing::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn follows_on(state: &Prescription) -> bool {
        matches!(state.status, Status::Pending | Status::SentToPharmacy | Status::Ready)
    }

    fn reads(&self, state: Option<&Prescription>, found: &Found) -> Reads {
        let Some(prescription) = state else { return Reads::nothing() };
        let products = outstanding(prescription).map(|it| it.item.order.medication_id);
        let reads = alerts::reads(Reads::nothing(), prescription.patient_id, products, found);
        reads_reserved(reads, state, None)
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        match prescription.status {
            Status::Dispensed => return Ok(Decision::nothing()),
            Status::Pending | Status::SentToPharmacy | Status::Ready => {}
            status @ Status::Cancelled => return Err(Refused::wrong_status::<Prescription>(status)),
        }
        let (lines, at) = (outstanding(prescription), |_| "/override_reason".to_owned());
        let AtDispensing { alerts, overrides } =
            alerts::when_dispensed(prescription, lines, ctx, |_| self.override_reason.clone(), at)?;
        let whole = |it: &Line| Dispensing {
            item_id: it.item.id,
            lot_id: None,
            quantity: it.outstanding(),
            dispensed_after: it.quantity_dispensed + it.outstanding(),
            dispensed_on: ctx.today(),
        };
        let (dispensed, reserved) = (outstanding(prescription).map(whole).collect(), Vec::new());
        let patient_id = prescription.patient_id;
        let dispensed = Event::Dispensed { patient_id, dispensed, alerts, overrides, completes: true, reserved };
        let decision = released(Decision::event(dispensed), prescription, ctx);
        Ok(after_dispensing(decision, ctx, patient_id, outstanding(prescription)))
    }
}

/// Whether a prescription was dispensed and may be refilled.
fn has_refills_left(prescription: &Prescription) -> bool {
    prescription.status == Status::Dispensed && prescription.lines.iter().any(|line| line.refills_left() > 0)
}

/// The lines of a prescription of which something is still to be dispensed.
fn outstanding(prescription: &Prescription) -> impl Iterator<Item = &Line> {
    prescription.lines.iter().filter(|it| it.outstanding() > Decimal::ZERO)
}

#[cfg(test)]
mod tests;
