//! What people are told of lots that expire.

use hims_domain::MedicationLotId;
use hims_domain::medication::Medication;
use hims_domain::medication_lot::{MedicationLot, Status};
use hims_domain::notification::NotificationType;
use hims_domain::room::Room;
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

impl Telling for TellOfExpiringLot {
    const NAME: &'static str = "tell-of-expiring-lot";

    fn occasion(&self) -> String {
        format!("lot {} expires in {} days", self.medication_lot_id, self.days_before)
    }

    fn reads(&self, found: &Found) -> Reads {
        let lot = found.get::<MedicationLot>(self.medication_lot_id);
        let reads = Reads::nothing().stream::<MedicationLot>(self.medication_lot_id);
        reads.maybe::<Medication>(lot.map(|it| it.medication_id)).maybe::<Room>(lot.map(|it| it.location_id))
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let lot = found.get::<MedicationLot>(self.medication_lot_id).filter(|it| it.status == Status::Available)?;
        let medication = found.get::<Medication>(lot.medication_id)?.details.name.as_str();
        let room = found.get::<Room>(lot.location_id).map(|it| it.details.room_number.as_str());
        let place = room.map(|it| format!(" in room {it}")).unwrap_or_default();
        let (number, last_day, unit) = (lot.lot_number.as_str(), lot.expiry_date, &lot.unit);
        let left = lot.quantity_on_hand.normalize();
        let message = format!(
            "Lot {number} of {medication}{place} may be dispensed up to {last_day}; {left} {unit} of it are in stock."
        );
        let path = format!("/medication-inventory/{}", self.medication_lot_id);
        let notice = Notice::of(NotificationType::StockExpiring, &self.occasion(), "A lot expires", &message);
        let notice = notice.leading_to(&path, "Show the lot");
        Some(notice.to_role(role_id("pharmacist")).to_role(role_id("administrator")))
    }
}
