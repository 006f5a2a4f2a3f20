//! Keeping a lot from being dispensed. What is kept of the lot for prescriptions that are ready is given back.

use hims_domain::medication_lot::{Event, MedicationLot, Status};
use hims_domain::permission::Update;
use hims_domain::prescription::{Prescription, Withdrawal};
use hims_domain::values::Reason;
use hims_domain::{MedicationLotId, described};

use super::{Movements, ReleaseMedicationLot, RevokeMedicationLotRecall};
use crate::aggregates::prescription::{reads_reserved, withdraw};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

described! {
    /// Puts a lot into quarantine: the lot is not dispensed until it is released. Prescriptions for which something of
    /// the lot is kept are no longer ready.
    pub struct QuarantineMedicationLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// Why the lot is put into quarantine.
        pub reason: Reason,
    }

    /// Recalls a lot: the lot is not dispensed again. Prescriptions for which something of the lot is kept are no longer
    /// ready.
    pub struct RecallMedicationLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// Why the lot is recalled.
        pub reason: Reason,
    }
}

/// Looks up the prescriptions for which something of a lot is kept, and the other lots in which something is kept for
/// these prescriptions.
fn reads_prescriptions(own: MedicationLotId, state: Option<&MedicationLot>, found: &Found) -> Reads {
    let ids = state.into_iter().flat_map(MedicationLot::reserved_prescriptions);
    ids.fold(Reads::nothing(), |reads, id| {
        reads_reserved(reads.stream::<Prescription>(id), found.get::<Prescription>(id), Some(own))
    })
}

/// Gives back what is kept of a lot, with all that is kept for the same prescriptions.
fn give_back(
    decision: Decision<MedicationLot>,
    lot: &MedicationLot,
    ctx: &Context<'_>,
    cause: Withdrawal,
) -> Decision<MedicationLot> {
    let mut movements = Movements::of(ctx.id, lot, ctx.found);
    let ids = lot.reserved_prescriptions().into_iter();
    let decision = ids.fold(decision, |decision, id| withdraw(decision, &mut movements, id, ctx, cause));
    movements.follow_own(ctx.id, decision)
}

impl Command for QuarantineMedicationLot {
    const NAME: &'static str = "quarantine-medication-lot";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(ReleaseMedicationLot::NAME);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn follows_on(state: &MedicationLot) -> bool {
        matches!(state.status, Status::Available | Status::Depleted)
    }

    fn reads(&self, state: Option<&MedicationLot>, found: &Found) -> Reads {
        reads_prescriptions(self.medication_lot_id, state, found)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let lot = existing(state)?;
        match lot.status {
            Status::Quarantined => Ok(Decision::nothing()),
            Status::Available | Status::Depleted => {
                let decision = Decision::event(Event::Quarantined { reason: self.reason });
                Ok(give_back(decision, lot, ctx, Withdrawal::LotQuarantined))
            }
            status @ Status::Recalled => Err(Refused::wrong_status::<MedicationLot>(status)),
        }
    }
}

impl Command for RecallMedicationLot {
    const NAME: &'static str = "recall-medication-lot";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(RevokeMedicationLotRecall::NAME);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn follows_on(state: &MedicationLot) -> bool {
        matches!(state.status, Status::Available | Status::Depleted | Status::Quarantined)
    }

    fn reads(&self, state: Option<&MedicationLot>, found: &Found) -> Reads {
        reads_prescriptions(self.medication_lot_id, state, found)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let lot = existing(state)?;
        if lot.status == Status::Recalled {
            return Ok(Decision::nothing());
        }
        let decision = Decision::event(Event::Recalled { reason: self.reason });
        Ok(give_back(decision, lot, ctx, Withdrawal::LotRecalled))
    }
}
