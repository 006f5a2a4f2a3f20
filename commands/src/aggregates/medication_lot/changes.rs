//! Counting, correcting and wasting. Such a change of a controlled product waits for a witness.

use chrono::TimeDelta;
use hims_domain::inventory_level::WasteReason;
use hims_domain::medication::Medication;
use hims_domain::medication_lot::{Event, MedicationLot, RequestedChange, Wanted};
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::{MedicationLotId, UserId, described};
use rust_decimal::Decimal;

use super::{MOST, Refusal, check_quantity};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

described! {
    /// Corrects the quantity of a lot after a count or a loss. The correction of a controlled product waits for a
    /// witness.
    pub struct AdjustMedicationLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// The difference to the recorded quantity: positive for more, negative for less, never zero.
        pub change: Decimal,
        /// Why the quantity is corrected.
        pub reason: Reason,
    }

    /// Records how much of a lot was counted. The count of a controlled product waits for a witness.
    pub struct CountMedicationLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// The quantity that was counted, with what is reserved and set aside.
        pub counted: Decimal,
    }

    /// Throws a part of a lot away. The waste of a controlled product waits for a witness.
    pub struct WasteMedicationLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// The quantity that is thrown away; more than zero.
        pub quantity: Decimal,
        /// Why the quantity is thrown away.
        pub reason_code: WasteReason,
        /// More about the reason.
        pub reason: Option<Reason>,
    }
}

/// How long a change waits for a witness.
const WAIT: TimeDelta = TimeDelta::hours(24);

/// Looks up the product of a lot, which may be controlled.
pub(super) fn reads_product(state: Option<&MedicationLot>) -> Reads {
    Reads::nothing().maybe::<Medication>(state.map(|it| it.medication_id))
}

/// Refuses to take away more of a lot than is neither reserved nor set aside.
pub(super) fn check_free(lot: &MedicationLot, taken: Decimal, pointer: &str) -> Result<(), Refused> {
    let free = lot.free();
    if taken <= free {
        return Ok(());
    }
    let (on_hand, unit) = (lot.quantity_on_hand, lot.unit.clone());
    let refusal = if free == on_hand {
        Refusal::BelowZero { on_hand: on_hand.normalize(), unit }
    } else {
        Refusal::NotFree { free: free.normalize(), unit }
    };
    let candidates = lot.reserved_prescriptions().into_iter().map(Into::into).collect();
    Err(Refused { candidates, ..Refused::from(refusal).at(pointer) })
}

/// Refuses a lot that would hold more than can be kept.
pub(super) fn check_most(lot: &MedicationLot, change: Decimal, pointer: &str) -> Result<(), Refused> {
    if lot.quantity_on_hand + change <= MOST {
        return Ok(());
    }
    Err(Refused::field("out-of-range", pointer, "the lot would exceed 999999999.999"))
}

/// Whether changes of a lot need a witness, since its product is or was controlled.
pub(super) fn needs_witness(lot: &MedicationLot, ctx: &Context<'_>) -> bool {
    ctx.found.get::<Medication>(lot.medication_id).is_some_and(|it| it.was_controlled)
}

/// The change, or the request for it if the product is or was controlled.
fn change(lot: &MedicationLot, wanted: Wanted, change: Decimal, ctx: &Context<'_>) -> Decision<MedicationLot> {
    let (on_hand, asking) = (lot.quantity_on_hand, ctx.caller.user_id());
    if !needs_witness(lot, ctx) {
        return Decision::event(made(wanted, change, on_hand + change, (asking, None)));
    }
    let requested = RequestedChange { wanted, change, requested_by: asking, expires_at: ctx.now + WAIT };
    let pending_after = lot.quantity_pending() + requested.set_aside();
    let change_id = ctx.new_id(1).into();
    Decision::event(Event::ChangeRequested { change_id, requested, on_hand_after: on_hand, pending_after })
}

/// The event of a change. `performed_by` asked for the change, `witnessed_by` has seen it.
pub(super) fn made(
    wanted: Wanted,
    change: Decimal,
    on_hand_after: Decimal,
    (performed_by, witnessed_by): (Option<UserId>, Option<UserId>),
) -> Event {
    match wanted {
        Wanted::Adjusted { reason } => Event::Adjusted { change, on_hand_after, reason, performed_by, witnessed_by },
        Wanted::Counted { counted } => Event::Counted { counted, change, on_hand_after, performed_by, witnessed_by },
        Wanted::Wasted { reason_code, reason } => {
            Event::Wasted { change, on_hand_after, reason_code, reason, performed_by, witnessed_by }
        }
    }
}

impl Command for AdjustMedicationLot {
    const NAME: &'static str = "adjust-medication-lot";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn reads(&self, state: Option<&MedicationLot>, _: &Found) -> Reads {
        reads_product(state)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let lot = existing(state)?;
        if check_quantity(self.change.abs(), "/change").is_err() {
            let message = "give a difference other than zero, from -999999999.999 to 999999999.999, with at most three \
                           decimals: negative if there is less than recorded";
            return Err(Refused::field("out-of-range", "/change", message));
        }
        if self.change < Decimal::ZERO {
            check_free(lot, -self.change, "/change")?;
        }
        check_most(lot, self.change, "/change")?;
        Ok(change(lot, Wanted::Adjusted { reason: self.reason }, self.change, ctx))
    }
}

impl Command for CountMedicationLot {
    const NAME: &'static str = "count-medication-lot";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn reads(&self, state: Option<&MedicationLot>, _: &Found) -> Reads {
        reads_product(state)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let lot = existing(state)?;
        if !self.counted.is_zero() && check_quantity(self.counted, "/counted").is_err() {
            let message = "give zero or more and at most 999999999.999, with at most three decimals";
            return Err(Refused::field("out-of-range", "/counted", message));
        }
        let difference = self.counted - lot.quantity_on_hand;
        if difference < Decimal::ZERO {
            check_free(lot, -difference, "/counted")?;
        }
        Ok(change(lot, Wanted::Counted { counted: self.counted }, difference, ctx))
    }
}

impl Command for WasteMedicationLot {
    const NAME: &'static str = "waste-medication-lot";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(AdjustMedicationLot::NAME);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn reads(&self, state: Option<&MedicationLot>, _: &Found) -> Reads {
        reads_product(state)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let lot = existing(state)?;
        check_quantity(self.quantity, "/quantity")?;
        check_free(lot, self.quantity, "/quantity")?;
        let wanted = Wanted::Wasted { reason_code: self.reason_code, reason: self.reason };
        Ok(change(lot, wanted, -self.quantity, ctx))
    }
}
