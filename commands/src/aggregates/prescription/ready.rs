//! Prescriptions that are ready to be fetched: what they need is kept for the patient, for fourteen days.

use chrono::TimeDelta;
use hims_domain::medication_lot::MedicationLot;
use hims_domain::permission::Create;
use hims_domain::prescription::{Event, Line, Prescription, Reservation, Status, Withdrawal};
use hims_domain::values::Reason;
use hims_domain::{Personal, PrescriptionId, described};
use rust_decimal::Decimal;

use super::against::Against;
use super::stock::{lots_for, reads_lots, reads_reserved, released};
use super::{Refusal, outstanding};
use crate::aggregates::medication_list::{not_taken, reads_list};
use crate::aggregates::medication_lot::Movements;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Records that a prescription is ready to be fetched, and keeps all that is outstanding for the patient: of the
    /// lots that expire first. What is not fetched within fourteen days is given back.
    pub struct MarkPrescriptionReady {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
    }

    /// Undoes that a prescription is ready to be fetched. The pharmacy still has the prescription; what was kept is
    /// given back.
    pub struct UndoPrescriptionReady {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// Why the prescription is not ready.
        pub reason: Personal<Reason>,
    }

    /// Gives back what was kept for a prescription that nobody fetched in time. Does nothing if the prescription is no
    /// longer ready, or is still to be kept. The process `collection` gives the command.
    pub struct WithdrawUncollected {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
    }
}

/// How long what is ready is kept for the patient.
const KEPT: TimeDelta = TimeDelta::days(14);

/// Keeps what is outstanding of a line; nothing, if there is too little. Returns what is kept, by lot.
fn keep(movements: &mut Movements<'_>, line: &Line, ctx: &Context<'_>) -> Result<Vec<Reservation>, Refusal> {
    let (item_id, mut missing) = (line.item.id, line.outstanding());
    let lots = lots_for(line, None, ctx.today(), ctx.found)?;
    let mut free_of = |lot_id| movements.lot(lot_id).map_or(Decimal::ZERO, MedicationLot::free);
    let free: Vec<_> = lots.into_iter().map(|lot_id| (lot_id, free_of(lot_id))).collect();
    if free.iter().map(|(_, free)| free).sum::<Decimal>() < missing {
        return Err(Refusal::InsufficientStock);
    }
    let mut kept = Vec::new();
    for (lot_id, free) in free {
        let quantity = missing.min(free);
        if quantity > Decimal::ZERO {
            movements.reserve(lot_id, (ctx.id.into(), item_id), quantity);
            missing -= quantity;
            kept.push(Reservation { item_id, lot_id: lot_id.into(), quantity });
        }
    }
    Ok(kept)
}

impl Command for MarkPrescriptionReady {
    const NAME: &'static str = "mark-prescription-ready";
    const PERMISSION: Permission = Permission::Create(Create::MedicationDispensing);
    const REVERSED_BY: Option<&'static str> = Some(UndoPrescriptionReady::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn follows_on(state: &Prescription) -> bool {
        state.status == Status::SentToPharmacy
    }

    fn reads(&self, state: Option<&Prescription>, _: &Found) -> Reads {
        let reads = reads_list(Reads::nothing(), state.map(|it| it.patient_id));
        state.into_iter().flat_map(outstanding).fold(reads, reads_lots)
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        match prescription.status {
            Status::Ready => return Ok(Decision::nothing()),
            Status::SentToPharmacy => {}
            status => return Err(Refused::wrong_status::<Prescription>(status)),
        }
        let (mut movements, mut reserved) = (Movements::new(ctx.found), Vec::new());
        let mut against = Against::default();
        for line in outstanding(prescription) {
            if let Some(why) = not_taken(ctx, prescription.patient_id, line) {
                against.line(None, line, why);
                continue;
            }
            match keep(&mut movements, line, ctx) {
                Ok(kept) => reserved.extend(kept),
                Err(why) => against.dispensed(None, line, why),
            }
        }
        against.nothing()?;
        if reserved.is_empty() {
            return refuse(Refusal::NothingOutstanding);
        }
        Ok(movements.follow(Decision::event(Event::MarkedReady { reserved, collect_by: ctx.now + KEPT })))
    }
}

impl Command for UndoPrescriptionReady {
    const NAME: &'static str = "undo-prescription-ready";
    const PERMISSION: Permission = Permission::Create(Create::MedicationDispensing);
    const REVERSED_BY: Option<&'static str> = Some(MarkPrescriptionReady::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn follows_on(state: &Prescription) -> bool {
        state.status == Status::Ready
    }

    fn reads(&self, state: Option<&Prescription>, _: &Found) -> Reads {
        reads_reserved(Reads::nothing(), state, None)
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        match prescription.status {
            Status::SentToPharmacy => Ok(Decision::nothing()),
            Status::Ready => {
                let decision = Decision::event(Event::ReadyUndone { reason: self.reason });
                Ok(released(decision, prescription, ctx))
            }
            status => Err(Refused::wrong_status::<Prescription>(status)),
        }
    }
}

impl Command for WithdrawUncollected {
    const NAME: &'static str = "withdraw-uncollected-prescription";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn reads(&self, state: Option<&Prescription>, _: &Found) -> Reads {
        reads_reserved(Reads::nothing(), state, None)
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        let is_over = prescription.collect_by.is_some_and(|it| it <= ctx.now);
        if prescription.status != Status::Ready || !is_over {
            return Ok(Decision::nothing());
        }
        let decision = Decision::event(Event::ReadyWithdrawn { cause: Withdrawal::NotCollected });
        Ok(released(decision, prescription, ctx))
    }
}
