//! A controlled product of the demo, of which something was wasted before a witness.

use chrono::{Months, TimeDelta};
use hims_commands::Request;
use hims_commands::medication::AddMedication;
use hims_commands::medication_lot::{ReceiveMedicationLot, WasteMedicationLot, WitnessLotChange};
use hims_domain::medication_lot::MedicationLot;
use serde_json::json;

use super::giving::by;
use super::{LOT, MEDICATION, ROOM, id, stock};
use crate::{Hospital, HospitalError};

/// The number of the product, after those of the other medications.
const OPIOID: u128 = 5;

/// The numbers of the pharmacist and the nurse among the staff.
const PHARMACIST: u128 = 5;
const NURSE: u128 = 3;

impl Hospital {
    /// Receives a lot of an opioid. The pharmacist throws two tablets of it away, and the nurse witnesses it.
    pub(super) async fn controlled(&self) -> Result<(), HospitalError> {
        let (medication, lot) = (id(MEDICATION, OPIOID), id(LOT, OPIOID * 10 + 1));
        self.demo::<AddMedication>(json!({
            "id": medication, "name": "Oxycodone hydrochloride 5 mg oral tablet", "generic_name": "oxycodone",
            "strength": "5 mg", "form": "tablet", "route": "oral", "rxnorm_code": "1049621", "ingredients": ["7804"],
            "controlled_substance": true, "dea_schedule": "II",
        }))
        .await?;
        self.demo::<ReceiveMedicationLot>(json!({
            "id": lot, "medication_id": medication, "location_id": id(ROOM, 3), "lot_number": "L51",
            "expiry_date": self.executor.now().date_naive() + Months::new(24), "quantity": "100", "unit": "tablet",
            "unit_cost": "0.40", "reorder_level": "20", "supplier_id": id(stock::SUPPLIER, 2),
        }))
        .await?;
        let fallen = json!({
            "medication_lot_id": lot, "quantity": "2", "reason_code": "damaged",
            "reason": "Two tablets fell on the floor and broke",
        });
        self.step::<WasteMedicationLot>(1, fallen, by(PHARMACIST)).await?;
        let held = self.executor.load::<MedicationLot>(lot, true).await?.state;
        let waiting = held.iter().flat_map(|it| &it.pending).next();
        let Some((change_id, requested)) = waiting else { return Ok(()) };
        // A demo that was interrupted may be completed when it is too late for a witness, so the nurse sees it at once.
        let seen = Request { occurred_at: Some(requested.expires_at - TimeDelta::hours(24)), ..by(NURSE) };
        self.give::<WitnessLotChange>(json!({"medication_lot_id": lot, "change_id": change_id}), seen).await
    }
}
