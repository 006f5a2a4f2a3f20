//! The lots from which the lines of a prescription may be dispensed, and what is kept of them for the prescription.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use hims_domain::medication_lot::MedicationLot;
use hims_domain::prescription::{Event, Line, Prescription, Status, Withdrawal};
use hims_domain::{MedicationLotId, PrescriptionId};
use uuid::Uuid;

use super::Refusal;
use crate::aggregates::medication_lot::Movements;
use crate::{Claims, Context, Decision, Found, Reads, scopes};

/// Also looks up the lots of the medication of a line.
pub(super) fn reads_lots(reads: Reads, line: &Line) -> Reads {
    reads.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, line.item.order.medication_id.to_string())
}

/// Also looks up the lots in which something is kept for a prescription, but for the lot to which the command applies.
pub(crate) fn reads_reserved(reads: Reads, state: Option<&Prescription>, own: Option<MedicationLotId>) -> Reads {
    let lots = state.into_iter().flat_map(|it| &it.reserved).map(|it| it.lot_id).filter(|it| Some(*it) != own);
    lots.fold(reads, Reads::stream::<MedicationLot>)
}

/// The lots from which a line may be dispensed on a day: the named lot, or else all lots of the medication, those that
/// expire first before the others.
///
/// # Errors
/// When the line is no longer valid, when the named lot does not exist or may not be dispensed, or when the stock is
/// counted in another unit.
pub(super) fn lots_for(
    line: &Line,
    named: Option<MedicationLotId>,
    today: NaiveDate,
    found: &Found,
) -> Result<Vec<Uuid>, Refusal> {
    let order = &line.item.order;
    if order.valid_until.is_some_and(|it| it < today) {
        return Err(Refusal::Expired);
    }
    let key = order.medication_id.to_string();
    let mut lots: Vec<(Uuid, &MedicationLot)> =
        found.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, key).collect();
    if let Some(named) = named {
        lots.retain(|(id, _)| *id == named.0);
        let Some((_, lot)) = lots.first() else { return Err(Refusal::NoSuchLot) };
        if !lot.is_dispensable(today) {
            return Err(Refusal::NotDispensable);
        }
    }
    lots.retain(|(_, lot)| lot.is_dispensable(today));
    let stocked: BTreeSet<_> = lots.iter().map(|(_, lot)| lot.unit.as_str()).collect();
    if !lots.is_empty() && !stocked.contains(order.quantity_unit.as_str()) {
        let stocked = stocked.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Refusal::OtherUnit { stocked, ordered: order.quantity_unit.clone() });
    }
    lots.retain(|(_, lot)| lot.unit == order.quantity_unit);
    lots.sort_by_key(|(id, lot)| (lot.expiry_date, *id));
    Ok(lots.into_iter().map(|(id, _)| id).collect())
}

/// Gives back all that is kept for a prescription.
pub(super) fn release(movements: &mut Movements<'_>, id: PrescriptionId, prescription: &Prescription) {
    for kept in &prescription.reserved {
        movements.release(kept.lot_id.into(), (id, kept.item_id), kept.quantity);
    }
}

/// The decision after which all that is kept for the prescription is given back.
pub(super) fn released(
    decision: Decision<Prescription>,
    prescription: &Prescription,
    ctx: &Context<'_>,
) -> Decision<Prescription> {
    let mut movements = Movements::new(ctx.found);
    release(&mut movements, ctx.id.into(), prescription);
    movements.follow(decision)
}

/// Takes a prescription back from being ready, in the decision of a command on another stream, and gives back what is
/// kept for the prescription. Does nothing if the prescription is not ready.
pub(crate) fn withdraw<A: Claims>(
    decision: Decision<A>,
    movements: &mut Movements<'_>,
    id: PrescriptionId,
    ctx: &Context<'_>,
    cause: Withdrawal,
) -> Decision<A> {
    let Some(prescription) = ctx.found.get::<Prescription>(id).filter(|it| it.status == Status::Ready) else {
        return decision;
    };
    release(movements, id, prescription);
    decision.also::<Prescription>(id, Event::ReadyWithdrawn { cause })
}
