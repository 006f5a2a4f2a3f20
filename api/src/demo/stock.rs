//! The suppliers of the demo, its articles, and what rooms hold of them.

use hims_commands::Command;
use hims_commands::inventory_item::AddInventoryItem;
use hims_commands::inventory_level::{
    AdjustInventory, CountInventory, IssueInventory, ReceiveInventory, ReturnInventory, TransferInventory,
    WasteInventory,
};
use hims_commands::supplier::AddSupplier;
use serde_json::{Value, json};

use super::giving::now;
use super::{MEDICATION, MEDICATIONS, PATIENT, ROOM, id};
use crate::{Hospital, HospitalError};

pub(super) const SUPPLIER: u16 = 0x50;
const ITEM: u16 = 0x51;

/// The suppliers: code, name, the person to talk to, number of the Drug Enforcement Administration, days to a delivery.
const SUPPLIERS: [(&str, &str, &str, &str, i32); 2] = [
    ("NYMED", "New York Medical Supply", "Grace Lin", "RN1234563", 2),
    ("HUDSON", "Hudson Pharma Wholesale", "Oscar Diaz", "RH7654329", 1),
];

/// The articles that rooms hold: number, name, kind, unit, quantity below which to reorder, quantity to order.
const ARTICLES: [(&str, &str, &str, &str, i32, i32); 3] = [
    ("GAUZE-10", "Gauze swab 10 x 10 cm", "dressing", "box", 10, 50),
    ("GLOVE-M", "Nitrile gloves, medium", "protection", "box", 20, 100),
    ("SYR-5", "Syringe 5 mL", "injection", "each", 100, 500),
];

/// The first number of the articles that are medicines.
const MEDICINES: u128 = 11;

/// An article in a room, and what a command says of it.
fn of(article: u128, room: u128, mut more: Value) -> Value {
    more["inventory_item_id"] = json!(id(ITEM, article));
    more["location_id"] = json!(id(ROOM, room));
    more
}

impl Hospital {
    /// Adds the suppliers.
    pub(super) async fn suppliers(&self) -> Result<(), HospitalError> {
        for (number, (code, name, contact, dea_number, days)) in (1..).zip(SUPPLIERS) {
            self.demo::<AddSupplier>(json!({
                "id": id(SUPPLIER, number), "code": code, "name": name, "contact_name": contact,
                "email": format!("orders@{}.example", code.to_lowercase()), "phone": format!("+1212555030{number}"),
                "dea_number": dea_number, "lead_time_days": days,
            }))
            .await?;
        }
        Ok(())
    }

    /// Adds the articles, and brings some of them into the rooms.
    pub(super) async fn stock(&self) -> Result<(), HospitalError> {
        for (number, (sku, name, category, unit, level, quantity)) in (1..).zip(ARTICLES) {
            self.demo::<AddInventoryItem>(json!({
                "id": id(ITEM, number), "sku": sku, "name": name, "category": category, "unit": unit,
                "reorder_level": level.to_string(), "reorder_quantity": quantity.to_string(),
                "preferred_supplier_id": id(SUPPLIER, 1),
            }))
            .await?;
        }
        for (number, (name, _, _, form, _, _)) in (0..).zip(MEDICATIONS) {
            self.demo::<AddInventoryItem>(json!({
                "id": id(ITEM, MEDICINES + number), "sku": format!("MED-{}", 1 + number), "name": name,
                "category": "medicine", "medication_id": id(MEDICATION, 1 + number), "unit": form,
                "reorder_level": "20", "reorder_quantity": "200", "preferred_supplier_id": id(SUPPLIER, 2),
            }))
            .await?;
        }
        for (article, quantity, cost) in [(1, "60", "3.20"), (2, "80", "7.50"), (3, "600", "0.09")] {
            let delivered = json!({
                "quantity": quantity, "unit_cost": cost, "supplier_id": id(SUPPLIER, 1),
                "delivery_note": format!("D-10{article}"),
            });
            self.moved::<ReceiveInventory>((article, 3), 0, delivered).await?;
            let brought = json!({"to_location_id": id(ROOM, 1), "quantity": "20"});
            self.moved::<TransferInventory>((article, 3), 1, brought).await?;
        }
        let used = json!({"quantity": "3", "patient_id": id(PATIENT, 6)});
        self.moved::<IssueInventory>((1, 1), 1, used).await?;
        let left_over = json!({"quantity": "1", "patient_id": id(PATIENT, 6), "reason": "Not opened"});
        self.moved::<ReturnInventory>((1, 1), 2, left_over).await?;
        let torn = json!({"quantity": "2", "reason_code": "damaged", "reason": "Torn boxes"});
        self.moved::<WasteInventory>((2, 1), 1, torn).await?;
        self.moved::<CountInventory>((2, 1), 2, json!({"counted": "17"})).await?;
        let found = json!({"change": "1", "reason": "One box stood in the corridor"});
        self.moved::<AdjustInventory>((2, 1), 3, found).await
    }

    /// Carries out a command on an article in a room, unless the level has got beyond that version in an earlier run.
    async fn moved<C: Command>(
        &self,
        (article, room): (u128, u128),
        version: i32,
        body: Value,
    ) -> Result<(), HospitalError> {
        self.step::<C>(version, of(article, room, body), now()).await
    }
}
