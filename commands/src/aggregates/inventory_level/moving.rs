//! Receiving articles, issuing them to be used, giving back what was not used, and bringing articles to another room.

use hims_domain::consultation::Consultation;
use hims_domain::inventory_level::{Event, InventoryLevel};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::room::Room;
use hims_domain::supplier::Supplier;
use hims_domain::values::{Reason, Text};
use hims_domain::{ConsultationId, InventoryItemId, PatientId, RoomId, SupplierId, described};
use rust_decimal::Decimal;

use super::{AdjustInventory, Place, Refusal};
use crate::aggregates::medication_lot::{check_amount, check_quantity};
use crate::aggregates::supplier::check_supplier;
use crate::patient::{check_not_erased, reads_person, records_of};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Takes a delivery of an article into a room. The delivery of a medicine is received as a lot instead.
    pub struct ReceiveInventory {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// The room in which the delivery is stored.
        pub location_id: RoomId,
        /// The delivered quantity, in the unit of the article; more than zero.
        pub quantity: Decimal,
        /// The cost of one unit.
        pub unit_cost: Option<Decimal>,
        /// The supplier.
        pub supplier_id: Option<SupplierId>,
        /// The number of the delivery note.
        pub delivery_note: Option<Text<50>>,
    }

    /// Takes some of an article out of a room to use it, for a patient or for the ward.
    pub struct IssueInventory {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// The room from which it is taken.
        pub location_id: RoomId,
        /// The quantity that is taken; more than zero.
        pub quantity: Decimal,
        /// The patient for whom it is used; that of the consultation if left out.
        pub patient_id: Option<PatientId>,
        /// The consultation in which it is used.
        pub consultation_id: Option<ConsultationId>,
    }

    /// Puts back some of an article that was issued from a room and not used.
    pub struct ReturnInventory {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// The room from which it was issued.
        pub location_id: RoomId,
        /// The quantity that is put back; more than zero.
        pub quantity: Decimal,
        /// The patient for whom it was issued; that of the consultation if left out.
        pub patient_id: Option<PatientId>,
        /// The consultation for which it was issued.
        pub consultation_id: Option<ConsultationId>,
        /// Why it was not used.
        pub reason: Reason,
    }

    /// Brings some of an article from one room to another.
    pub struct TransferInventory {
        /// Which article.
        pub inventory_item_id: InventoryItemId,
        /// The room from which it is taken.
        pub location_id: RoomId,
        /// The room to which it is brought.
        pub to_location_id: RoomId,
        /// The quantity that is brought there; more than zero.
        pub quantity: Decimal,
    }
}

/// For whom something is issued or returned, as a request says.
#[derive(Debug, Clone, Copy)]
struct Use {
    patient_id: Option<PatientId>,
    consultation_id: Option<ConsultationId>,
}

impl Use {
    /// Also looks up the records of the patient and the consultation.
    fn reads(self, reads: Reads, found: &Found) -> Reads {
        let reads = self.patient_id.into_iter().fold(reads, |reads, id| reads_person(reads, id, found));
        reads.maybe::<Consultation>(self.consultation_id)
    }

    /// The patient, who is that of the consultation unless the request names one.
    fn patient(self, ctx: &Context<'_>) -> Result<Option<PatientId>, Refused> {
        if let Some(id) = self.patient_id {
            check_not_erased(ctx.named::<Patient>(id, "/patient_id")?)?;
        }
        let Some(id) = self.consultation_id else { return Ok(self.patient_id) };
        let of_consultation = ctx.named::<Consultation>(id, "/consultation_id")?.patient_id;
        if self.patient_id.is_some_and(|it| !records_of(it, ctx.found).contains(&of_consultation)) {
            return refuse(Refusal::OtherPatient);
        }
        Ok(Some(self.patient_id.unwrap_or(of_consultation)))
    }
}

impl Command for ReceiveInventory {
    const NAME: &'static str = "receive-inventory";
    const PERMISSION: Permission = Permission::Create(Create::SupplyUsage);
    const REVERSED_BY: Option<&'static str> = Some(AdjustInventory::NAME);
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        Target::either(self.place().stream())
    }

    fn reads(&self, _: Option<&InventoryLevel>, _: &Found) -> Reads {
        self.place().reads(Reads::nothing()).maybe::<Supplier>(self.supplier_id)
    }

    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let place = self.place();
        if !place.item(ctx)?.is_active {
            return refuse(Refusal::InactiveItem);
        }
        check_supplier(ctx, self.supplier_id, "/supplier_id")?;
        check_quantity(self.quantity, "/quantity")?;
        check_amount(self.unit_cost, 4, "/unit_cost")?;
        let movement = place.movement(state, self.quantity, "/quantity")?;
        let Self { unit_cost, supplier_id, delivery_note, .. } = self;
        Ok(Decision::event(Event::Received { movement, unit_cost, supplier_id, delivery_note }))
    }
}

impl Command for IssueInventory {
    const NAME: &'static str = "issue-inventory";
    const PERMISSION: Permission = Permission::Create(Create::SupplyUsage);
    const REVERSED_BY: Option<&'static str> = Some(ReturnInventory::NAME);
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        Target::either(self.place().stream())
    }

    fn reads(&self, _: Option<&InventoryLevel>, found: &Found) -> Reads {
        let Self { patient_id, consultation_id, .. } = *self;
        Use { patient_id, consultation_id }.reads(self.place().reads(Reads::nothing()), found)
    }

    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let Self { patient_id, consultation_id, quantity, .. } = self;
        let place = self.place();
        place.item(ctx)?;
        let patient_id = Use { patient_id, consultation_id }.patient(ctx)?;
        check_quantity(quantity, "/quantity")?;
        let movement = place.movement(state, -quantity, "/quantity")?;
        Ok(Decision::event(Event::Issued { movement, patient_id, consultation_id }))
    }
}

impl Command for ReturnInventory {
    const NAME: &'static str = "return-inventory";
    const PERMISSION: Permission = Permission::Create(Create::SupplyUsage);
    const REVERSED_BY: Option<&'static str> = Some(IssueInventory::NAME);
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        Target::either(self.place().stream())
    }

    fn reads(&self, _: Option<&InventoryLevel>, found: &Found) -> Reads {
        let Self { patient_id, consultation_id, .. } = *self;
        Use { patient_id, consultation_id }.reads(self.place().reads(Reads::nothing()), found)
    }

    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let place = self.place();
        let Self { patient_id, consultation_id, quantity, reason, .. } = self;
        place.item(ctx)?;
        let patient_id = Use { patient_id, consultation_id }.patient(ctx)?;
        check_quantity(quantity, "/quantity")?;
        let issued = state.map_or(Decimal::ZERO, |it| it.quantity_issued);
        if quantity > issued {
            return refuse(Refusal::NotIssued { issued: issued.normalize() });
        }
        let movement = place.movement(state, quantity, "/quantity")?;
        Ok(Decision::event(Event::Returned { movement, patient_id, consultation_id, reason }))
    }
}

impl TransferInventory {
    /// The article in the room to which it is brought.
    fn destination(&self) -> Place {
        Place { inventory_item_id: self.inventory_item_id, location_id: self.to_location_id }
    }
}

impl Command for TransferInventory {
    const NAME: &'static str = "transfer-inventory";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = InventoryLevel;

    fn target(&self) -> Target {
        Target::either(self.place().stream())
    }

    fn reads(&self, _: Option<&InventoryLevel>, _: &Found) -> Reads {
        let reads = self.place().reads(Reads::nothing()).stream::<Room>(self.to_location_id);
        reads.stream::<InventoryLevel>(self.destination().stream())
    }

    fn decide(self, state: Option<&InventoryLevel>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let (from, to) = (self.place(), self.destination());
        from.item(ctx)?;
        ctx.named::<Room>(to.location_id, "/to_location_id")?;
        if from.location_id == to.location_id {
            return refuse(Refusal::SameRoom);
        }
        check_quantity(self.quantity, "/quantity")?;
        let out = from.movement(state, -self.quantity, "/quantity")?;
        let there = ctx.found.get::<InventoryLevel>(to.stream());
        let into = to.movement(there, self.quantity, "/quantity")?;
        let arrived = Event::TransferredIn { movement: into, from_location_id: from.location_id };
        let left = Decision::event(Event::TransferredOut { movement: out, to_location_id: to.location_id });
        Ok(left.begin_or_also::<InventoryLevel>(to.stream(), arrived, ctx.found))
    }
}
