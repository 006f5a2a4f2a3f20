//! Receiving articles, issuing them to be used, giving back what was not used, and bringing articles to another room.

use hims_domain::consultation::Consultation;
use hims_domain::inventory_level::{Event, InventoryLevel};
use hims_domain::patient::Patient;
use hims_domain::room::Room;
use hims_domain::supplier::Supplier;
use hims_domain::values::{Reason, Text};
use hims_domain::{ConsultationId, InventoryItemId, PatientId, RoomId, SupplierId, described};
use rust_decimal::Decimal;

use super::{Moving, Place, Refusal, Stock};
use crate::aggregates::medication_lot::{check_amount, check_quantity};
use crate::aggregates::supplier::check_supplier;
use crate::patient::{check_not_erased, reads_person, records_of};
use crate::{Context, Decision, Found, Reads, Refused, refuse};

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

impl Moving for ReceiveInventory {
    fn looks_up(&self, reads: Reads, _: &Found) -> Reads {
        reads.maybe::<Supplier>(self.supplier_id)
    }

    fn moves(self, stock: &Stock<'_>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        if !stock.item.is_active {
            return refuse(Refusal::InactiveItem);
        }
        check_supplier(ctx, self.supplier_id, "/supplier_id")?;
        check_quantity(self.quantity, "/quantity")?;
        check_amount(self.unit_cost, 4, "/unit_cost")?;
        let movement = stock.movement(self.quantity, "/quantity")?;
        let Self { unit_cost, supplier_id, delivery_note, .. } = self;
        Ok(Decision::event(Event::Received { movement, unit_cost, supplier_id, delivery_note }))
    }
}

impl Moving for IssueInventory {
    fn looks_up(&self, reads: Reads, found: &Found) -> Reads {
        let Self { patient_id, consultation_id, .. } = *self;
        Use { patient_id, consultation_id }.reads(reads, found)
    }

    fn moves(self, stock: &Stock<'_>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let Self { patient_id, consultation_id, quantity, .. } = self;
        let patient_id = Use { patient_id, consultation_id }.patient(ctx)?;
        check_quantity(quantity, "/quantity")?;
        let movement = stock.movement(-quantity, "/quantity")?;
        Ok(Decision::event(Event::Issued { movement, patient_id, consultation_id }))
    }
}

impl Moving for ReturnInventory {
    fn looks_up(&self, reads: Reads, found: &Found) -> Reads {
        let Self { patient_id, consultation_id, .. } = *self;
        Use { patient_id, consultation_id }.reads(reads, found)
    }

    fn moves(self, stock: &Stock<'_>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let Self { patient_id, consultation_id, quantity, reason, .. } = self;
        let patient_id = Use { patient_id, consultation_id }.patient(ctx)?;
        check_quantity(quantity, "/quantity")?;
        let issued = stock.level.map_or(Decimal::ZERO, |it| it.quantity_issued);
        if quantity > issued {
            return refuse(Refusal::NotIssued { issued: issued.normalize() });
        }
        let movement = stock.movement(quantity, "/quantity")?;
        Ok(Decision::event(Event::Returned { movement, patient_id, consultation_id, reason }))
    }
}

impl TransferInventory {
    /// The article in the room to which it is brought.
    fn destination(&self) -> Place {
        Place { inventory_item_id: self.inventory_item_id, location_id: self.to_location_id }
    }
}

impl Moving for TransferInventory {
    fn looks_up(&self, reads: Reads, _: &Found) -> Reads {
        let reads = reads.stream::<Room>(self.to_location_id);
        reads.stream::<InventoryLevel>(self.destination().stream())
    }

    fn moves(self, stock: &Stock<'_>, ctx: &Context<'_>) -> Result<Decision<InventoryLevel>, Refused> {
        let to = self.destination();
        ctx.named::<Room>(to.location_id, "/to_location_id")?;
        if stock.place.location_id == to.location_id {
            return refuse(Refusal::SameRoom);
        }
        check_quantity(self.quantity, "/quantity")?;
        let out = stock.movement(-self.quantity, "/quantity")?;
        let there = ctx.found.get::<InventoryLevel>(to.stream());
        let into = to.movement(there, self.quantity, "/quantity")?;
        let arrived = Event::TransferredIn { movement: into, from_location_id: stock.place.location_id };
        let left = Decision::event(Event::TransferredOut { movement: out, to_location_id: to.location_id });
        Ok(left.begin_or_also::<InventoryLevel>(to.stream(), arrived, ctx.found))
    }
}
