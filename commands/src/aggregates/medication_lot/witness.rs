//! The second person who has to have seen a change of a controlled product.

use hims_domain::medication_lot::{Event, MedicationLot, RequestedChange};
use hims_domain::permission::Update;
use hims_domain::user::User;
use hims_domain::values::Reason;
use hims_domain::{LotChangeId, MedicationLotId, UserId, described};

use super::Refusal;
use super::changes::made;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// Confirms as a second person, in a session of one's own, that a change of a controlled product was made as
    /// requested. The change is recorded with both persons.
    pub struct WitnessLotChange {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// Which change.
        pub change_id: LotChangeId,
    }

    /// Rejects a change of a controlled product that waits for a witness. The quantity is no longer set aside. Whoever
    /// requested the change may take it back in this way.
    pub struct RejectLotChange {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// Which change.
        pub change_id: LotChangeId,
        /// Why the change is not made.
        pub reason: Reason,
    }

    /// Rejects a change that nobody witnessed in time. Does nothing if the change no longer waits, or may still be
    /// witnessed. The process `collection` gives the command.
    pub struct ExpireLotChange {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// Which change.
        pub change_id: LotChangeId,
    }
}

/// Also looks up who gives the command, who must be at work at this moment.
fn reads_witness(found: &Found) -> Reads {
    Reads::nothing().maybe::<User>(found.asked_by())
}

/// The user who gives the command, a member of staff who is at work.
fn witness(ctx: &Context<'_>) -> Result<UserId, Refused> {
    let id = ctx.user(None, "/change_id")?;
    let is_at_work = ctx.found.get::<User>(id).is_some_and(|it| it.is_active);
    if is_at_work && ctx.caller.role.as_deref() != Some("patient") { Ok(id) } else { refuse(Refusal::NotAWitness) }
}

/// The event that a change is not made.
fn rejected(
    lot: &MedicationLot,
    (change_id, requested): (LotChangeId, &RequestedChange),
    rejected_by: Option<UserId>,
    reason: Reason,
) -> Decision<MedicationLot> {
    let pending_after = lot.quantity_pending() - requested.set_aside();
    let on_hand_after = lot.quantity_on_hand;
    Decision::event(Event::ChangeRejected { change_id, rejected_by, reason, on_hand_after, pending_after })
}

impl Command for WitnessLotChange {
    const NAME: &'static str = "witness-lot-change";
    const PERMISSION: Permission = Permission::Update(Update::Witness);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn reads(&self, _: Option<&MedicationLot>, found: &Found) -> Reads {
        reads_witness(found)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let (lot, change_id) = (existing(state)?, self.change_id);
        let witness = witness(ctx)?;
        let Some(requested) = lot.pending.get(&change_id) else { return refuse(Refusal::NoSuchChange) };
        if requested.requested_by == Some(witness) {
            return refuse(Refusal::OwnWitness);
        }
        if ctx.now >= requested.expires_at {
            return refuse(Refusal::ChangeExpired);
        }
        let RequestedChange { wanted, change, requested_by, .. } = requested.clone();
        let pending_after = lot.quantity_pending() - requested.set_aside();
        let on_hand_after = lot.quantity_on_hand;
        let seen = Event::ChangeWitnessed { change_id, witnessed_by: witness, on_hand_after, pending_after };
        let made = made(wanted, change, on_hand_after + change, (requested_by, Some(witness)));
        Ok(Decision::event(seen).followed_by(made))
    }
}

impl Command for RejectLotChange {
    const NAME: &'static str = "reject-lot-change";
    const PERMISSION: Permission = Permission::Update(Update::Witness);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn reads(&self, _: Option<&MedicationLot>, found: &Found) -> Reads {
        reads_witness(found)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let (lot, witness) = (existing(state)?, witness(ctx)?);
        let Some(requested) = lot.pending.get(&self.change_id) else { return refuse(Refusal::NoSuchChange) };
        Ok(rejected(lot, (self.change_id, requested), Some(witness), self.reason))
    }
}

impl Command for ExpireLotChange {
    const NAME: &'static str = "expire-lot-change";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let lot = existing(state)?;
        let Some(requested) = lot.pending.get(&self.change_id).filter(|it| it.expires_at <= ctx.now) else {
            return Ok(Decision::nothing());
        };
        let reason = "nobody witnessed the change within 24 hours".into();
        Ok(rejected(lot, (self.change_id, requested), None, reason))
    }
}
