//! What people are told of lots that expire, and of changes that nobody witnessed.

use hims_domain::medication::Medication;
use hims_domain::medication_lot::{MedicationLot, Status};
use hims_domain::notification::{NotificationType, Priority};
use hims_domain::room::Room;
use hims_domain::{LotChangeId, MedicationLotId};
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::{Found, Reads, role_id};

/// Tells those who keep the stock, pharmacists and administrators, that a lot expires, as long as something of it can be
/// dispensed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfExpiringLot {
    pub(crate) medication_lot_id: MedicationLotId,
    /// How many days before its expiry the lot is told of. It is told of once for each such number.
    pub(crate) days_before: u16,
}

/// Tells administrators that a change of a controlled product was rejected, since nobody witnessed it in time.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfUnwitnessedChange {
    pub(crate) medication_lot_id: MedicationLotId,
    /// The change, which is rejected once.
    pub(crate) change_id: LotChangeId,
}

/// Looks up a lot, and what it is called in words.
fn reads_lot(id: MedicationLotId, found: &Found) -> Reads {
    let lot = found.get::<MedicationLot>(id);
    let reads = Reads::nothing().stream::<MedicationLot>(id);
    reads.maybe::<Medication>(lot.map(|it| it.medication_id)).maybe::<Room>(lot.map(|it| it.location_id))
}

/// A lot in words: its number, its medication and its place, as far as they were looked up.
fn in_words(lot: &MedicationLot, found: &Found) -> Option<String> {
    let medication = found.get::<Medication>(lot.medication_id)?.details.name.as_str();
    let room = found.get::<Room>(lot.location_id).map(|it| it.details.room_number.as_str());
    let place = room.map(|it| format!(" in room {it}")).unwrap_or_default();
    Some(format!("{} of {medication}{place}", lot.lot_number.as_str()))
}

impl Telling for TellOfExpiringLot {
    const NAME: &'static str = "tell-of-expiring-lot";

    fn occasion(&self) -> String {
        format!("lot {} expires in {} days", self.medication_lot_id, self.days_before)
    }

    fn reads(&self, found: &Found) -> Reads {
        reads_lot(self.medication_lot_id, found)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let lot = found.get::<MedicationLot>(self.medication_lot_id).filter(|it| it.status == Status::Available)?;
        let (last_day, unit, left) = (lot.expiry_date, &lot.unit, lot.quantity_on_hand.normalize());
        let name = in_words(lot, found)?;
        let message = format!("Lot {name} may be dispensed up to {last_day}; {left} {unit} of it are in stock.");
        let path = format!("/medication-inventory/{}", self.medication_lot_id);
        let notice = Notice::of(NotificationType::StockExpiring, &self.occasion(), "A lot expires", &message);
        let notice = notice.leading_to(&path, "Show the lot");
        Some(notice.to_role(role_id("pharmacist")).to_role(role_id("administrator")))
    }
}

impl Telling for TellOfUnwitnessedChange {
    const NAME: &'static str = "tell-of-unwitnessed-change";

    fn occasion(&self) -> String {
        format!("change {} of lot {} unwitnessed", self.change_id, self.medication_lot_id)
    }

    fn reads(&self, found: &Found) -> Reads {
        reads_lot(self.medication_lot_id, found)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let name = in_words(found.get::<MedicationLot>(self.medication_lot_id)?, found)?;
        let message = format!(
            "A change of lot {name}, a controlled product, was rejected because nobody witnessed it within 24 hours. \
             Have the lot counted. The history of the lot says who asked for change {}.",
            self.change_id
        );
        let path = format!("/medication-inventory/{}", self.medication_lot_id);
        let title = "A change of a controlled product was not witnessed";
        let notice = Notice::of(NotificationType::System, &self.occasion(), title, &message);
        let notice = notice.with_priority(Priority::High).leading_to(&path, "Show the lot");
        Some(notice.to_role(role_id("administrator")))
    }
}
