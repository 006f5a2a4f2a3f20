//! Prescriptions: writing them, and dispensing from the lots in the same breath.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use hims_domain::consultation::Consultation;
use hims_domain::medication::Medication;
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::prescription::{Dispensing, Event, Item, Line, Order, Prescription, Priority, Status, Written};
use hims_domain::user::User;
use hims_domain::values::{LongText, PrescriptionNumber};
use hims_domain::{
    ConsultationId, MedicationLotId, PatientId, Personal, PrescriptionId, PrescriptionItemId, UserId, described,
};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::medication_lot::check_quantity;
use crate::user::acting;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target, refuse, scopes};

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
    WrongStatus { status: Status } = Conflict, "wrong-status", "the prescription is {status}, which does not allow it";
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

    /// Sends a prescription to the pharmacy.
    pub struct SendPrescriptionToPharmacy {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
    }

    /// Notes that a prescription is ready to be fetched.
    pub struct MarkPrescriptionReady {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
    }

    /// What to give out for an item.
    pub struct DispenseItem {
        /// Which item.
        pub item_id: PrescriptionItemId,
        /// How much; all that is outstanding unless given.
        pub quantity: Option<Decimal>,
        /// From which lot; unless given, from those that expire first.
        pub lot_id: Option<MedicationLotId>,
    }

    /// Gives out a prescription, or a part of it, and takes it from stock.
    pub struct DispensePrescription {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// What; everything that is outstanding unless given.
        #[serde(default)]
        pub items: Vec<DispenseItem>,
    }

    /// Notes that another pharmacy gave out everything; no stock changes.
    pub struct RecordExternalDispensing {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
    }

    /// Cancels a prescription: it must not be given out.
    pub struct CancelPrescription {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// Why.
        pub reason: Personal<LongText>,
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
        let number = PrescriptionNumber::issue(ctx.draw());
        let items = self.items.into_iter().zip(1..).map(|(order, nth)| Item { id: ctx.new_id(nth).into(), order });
        let written = Written {
            number: number.clone(),
            consultation_id: self.consultation_id,
            patient_id: self.patient_id,
            provider_id,
            priority: self.priority,
            notes: self.notes,
            items: items.collect(),
        };
        Ok(Decision::event(Event::Written(written)).take(scopes::PRESCRIPTION_NUMBER, number.0))
    }
}

/// A step from some statuses to another; quiet when it was taken already.
fn step(
    state: Option<&Prescription>,
    from: &[Status],
    to: Status,
    event: Event,
) -> Result<Decision<Prescription>, Refused> {
    match existing(state)?.status {
        status if status == to => Ok(Decision::nothing()),
        status if from.contains(&status) => Ok(Decision::event(event)),
        status => refuse(Refusal::WrongStatus { status }),
    }
}

impl Command for SendPrescriptionToPharmacy {
    const NAME: &'static str = "send-prescription-to-pharmacy";
    const PERMISSION: Permission = Permission::Update(Update::PrescriptionStatus);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn decide(self, state: Option<&Prescription>, _: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        step(state, &[Status::Pending], Status::SentToPharmacy, Event::SentToPharmacy)
    }
}

impl Command for MarkPrescriptionReady {
    const NAME: &'static str = "mark-prescription-ready";
    const PERMISSION: Permission = Permission::Create(Create::MedicationDispensing);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn decide(self, state: Option<&Prescription>, _: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        step(state, &[Status::SentToPharmacy], Status::Ready, Event::MarkedReady)
    }
}

impl Command for CancelPrescription {
    const NAME: &'static str = "cancel-prescription";
    const PERMISSION: Permission = Permission::Update(Update::PrescriptionStatus);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn decide(self, state: Option<&Prescription>, _: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let open = [Status::Pending, Status::SentToPharmacy, Status::Ready];
        step(state, &open, Status::Cancelled, Event::Cancelled { reason: self.reason })
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
        let event = Event::Dispensed { dispensed: dispensed.collect(), completes: true };
        step(state, &[Status::Pending, Status::SentToPharmacy, Status::Ready], Status::Dispensed, event)
    }
}

impl Command for DispensePrescription {
    const NAME: &'static str = "dispense-prescription";
    const PERMISSION: Permission = Permission::Create(Create::MedicationDispensing);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn reads(&self, state: Option<&Prescription>, _: &Found) -> Reads {
        let lines = state.map_or(&[][..], |it| it.lines.as_slice());
        let asked =
            lines.iter().filter(|line| self.items.is_empty() || self.items.iter().any(|it| it.item_id == line.item.id));
        asked.fold(Reads::nothing(), |reads, line| {
            reads.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, line.item.order.medication_id.to_string())
        })
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        if !matches!(prescription.status, Status::SentToPharmacy | Status::Ready) {
            return refuse(Refusal::WrongStatus { status: prescription.status });
        }
        let mut dispensing = InHand::new(ctx);
        if self.items.is_empty() {
            for line in prescription.lines.iter().filter(|it| it.outstanding() > Decimal::ZERO) {
                dispensing.give(line, line.outstanding(), None)?;
            }
        }
        for (nth, asked) in self.items.iter().enumerate() {
            if let Some(quantity) = asked.quantity {
                check_quantity(quantity, &format!("/items/{nth}/quantity"))?;
            }
            let line = prescription.lines.iter().find(|it| it.item.id == asked.item_id);
            let Some(line) = line else { return refuse(Refusal::NoSuchItem) };
            let outstanding = dispensing.outstanding(line);
            dispensing.give(line, asked.quantity.unwrap_or(outstanding), asked.lot_id)?;
        }
        dispensing.decide(prescription)
    }
}

/// What is being given out: how much is taken from which lot, for which line.
struct InHand<'a> {
    prescription_id: PrescriptionId,
    today: NaiveDate,
    found: &'a Found,
    /// What is left in the lots that were touched.
    left: BTreeMap<Uuid, Decimal>,
    given: Vec<Dispensing>,
}

impl<'a> InHand<'a> {
    fn new(ctx: &'a Context<'_>) -> Self {
        let (left, given) = (BTreeMap::new(), Vec::new());
        Self { prescription_id: ctx.id.into(), today: ctx.today(), found: ctx.found, left, given }
    }

    fn outstanding(&self, line: &Line) -> Decimal {
        let given = self.given.iter().filter(|it| it.item_id == line.item.id).map(|it| it.quantity).sum::<Decimal>();
        line.outstanding() - given
    }

    /// Gives out a quantity of a line: from a named lot, or from those that expire first.
    fn give(&mut self, line: &Line, quantity: Decimal, named: Option<MedicationLotId>) -> Result<(), Refused> {
        let order = &line.item.order;
        let outstanding = self.outstanding(line);
        if outstanding <= Decimal::ZERO {
            return refuse(Refusal::NothingOutstanding);
        }
        if quantity > outstanding {
            return refuse(Refusal::TooMuch { outstanding });
        }
        if order.valid_until.is_some_and(|it| it < self.today) {
            return refuse(Refusal::Expired);
        }
        let key = order.medication_id.to_string();
        let mut lots: Vec<(Uuid, &MedicationLot)> =
            self.found.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, key).collect();
        if let Some(named) = named {
            lots.retain(|(id, _)| *id == named.0);
            let Some((_, lot)) = lots.first() else { return refuse(Refusal::NoSuchLot) };
            if !lot.is_dispensable(self.today) {
                return refuse(Refusal::NotDispensable);
            }
            if lot.unit != order.quantity_unit {
                return refuse(Refusal::OtherUnit);
            }
        }
        lots.retain(|(_, it)| it.is_dispensable(self.today) && it.unit == order.quantity_unit);
        lots.sort_by_key(|(id, it)| (it.expiry_date, *id));
        let mut missing = quantity;
        for (id, lot) in lots {
            let left = self.left.entry(id).or_insert(lot.quantity_on_hand);
            let part = missing.min(*left);
            if part > Decimal::ZERO {
                *left -= part;
                missing -= part;
                self.given.push(Dispensing { item_id: line.item.id, lot_id: Some(id.into()), quantity: part });
            }
        }
        if missing > Decimal::ZERO { refuse(Refusal::InsufficientStock) } else { Ok(()) }
    }

    fn decide(self, prescription: &Prescription) -> Result<Decision<Prescription>, Refused> {
        if self.given.is_empty() {
            return refuse(Refusal::NothingOutstanding);
        }
        let completes = prescription.lines.iter().all(|it| self.outstanding(it) <= Decimal::ZERO);
        let event = Event::Dispensed { dispensed: self.given.clone(), completes };
        let prescription_id = self.prescription_id;
        Ok(self.given.iter().filter_map(|it| Some((it.lot_id?, it))).fold(
            Decision::event(event),
            |decision, (lot, it)| {
                let taken =
                    medication_lot::Event::Dispensed { prescription_id, item_id: it.item_id, quantity: it.quantity };
                decision.also::<MedicationLot>(lot, taken)
            },
        ))
    }
}

#[cfg(test)]
mod tests;
