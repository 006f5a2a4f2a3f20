//! The stock of medications: controlled substances, and what expires.

use hims_testing::patched;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{House, id};

async fn medications(house: &mut House) {
    let medications = [
        json!({"id": id(51), "name": "Morphine", "controlled_substance": true, "dea_schedule": "II"}),
        json!({"id": id(52), "name": "Aspirin"}),
    ];
    house.fill("medications", medications).await;
}

fn lot(nth: u32, medication: u32, room: u32, expiry_date: &str, on_hand: &str) -> Value {
    json!({"id": id(nth), "medication_id": id(medication), "location_id": id(room), "lot_number": format!("L{nth}"),
           "expiry_date": expiry_date, "quantity_on_hand": on_hand})
}

/// Writes movements of lots: the lot, when it moved, how, and by how much.
async fn moved(house: &mut House, movements: &[(u32, &str, &str, &str)]) {
    for (nth, (lot, at, kind, quantity)) in (701..).zip(movements) {
        let row = json!({"id": id(nth), "medication_inventory_id": id(*lot), "performed_at": at, "created_at": at,
                         "transaction_type": kind, "quantity": quantity, "performed_by": id(21)});
        house.fill("inventory_transactions", [row]).await;
    }
}

#[tokio::test]
async fn each_row_of_controlled_substances_adds_up() {
    let mut house = House::new("2026-05-01T12:00:00Z").await;
    medications(&mut house).await;
    let lots = [
        lot(61, 51, 11, "2027-01-01", "135"),
        lot(62, 51, 12, "2027-01-01", "40"),
        lot(63, 51, 13, "2027-01-01", "0"),
        lot(64, 51, 13, "2027-01-01", "5"),
        lot(65, 52, 11, "2027-01-01", "9"),
    ];
    house.fill("medication_inventory", lots).await;
    let inside = "2026-03-15T12:00:00Z";
    moved(
        &mut house,
        &[
            (61, "2026-02-01T12:00:00Z", "receipt", "100"),
            (61, inside, "dispense", "-10"),
            (61, inside, "return", "2"),
            (61, inside, "waste", "-1"),
            (61, inside, "waste", "-5"),
            (61, inside, "adjustment", "-3.5"),
            (61, inside, "transfer_in", "20"),
            (61, inside, "transfer_out", "-4"),
            (61, inside, "return_to_supplier", "-6"),
            (61, inside, "issue", "-1"),
            // In New York, it is March from 5 o'clock of the first day in UTC, until 4 o'clock of the first of April.
            (61, "2026-03-01T05:00:00Z", "receipt", "50"),
            (61, "2026-04-01T03:59:59Z", "adjustment", "0.5"),
            (61, "2026-04-01T04:00:00Z", "dispense", "-7"),
            // In Berlin, March begins and ends earlier.
            (62, "2026-02-28T22:59:00Z", "receipt", "40"),
            (62, "2026-02-28T23:00:00Z", "dispense", "-1"),
            (62, "2026-03-31T22:00:00Z", "return", "1"),
            (63, "2026-01-01T12:00:00Z", "receipt", "3"),
            (63, "2026-02-01T12:00:00Z", "waste", "-3"),
            (64, "2026-01-01T12:00:00Z", "receipt", "5"),
            (65, inside, "receipt", "9"),
        ],
    )
    .await;
    let witnessed = format!("witnessed_by = '{}' where transaction_type = 'waste' and quantity = -5", id(22));
    house.run(format!("update hims.inventory_transactions set {witnessed}")).await;
    let march = |more: Value| patched(json!({"from": "2026-03-01", "to": "2026-03-31"}), more);
    let first = "Morphine | II | R1 | L61 | tablet | 100.000 | 72.000 | 21.000 | 6.000 | 5.000 | -3.000 | 142.000";
    let berlin = "Morphine | II | R2 | L62 | tablet | 40.000 | 0.000 | 1.000 | 0.000 | 0.000 | 0.000 | 39.000";
    let still = "Morphine | II | R3 | L64 | tablet | 5.000 | 0.000 | 0.000 | 0.000 | 0.000 | 0.000 | 5.000";
    let rows = house.report("inventory", "controlled-substances", march(json!({}))).await;
    assert_eq!(rows, [first, berlin, still]);
    for row in rows {
        let numbers: Vec<Decimal> = row.split(" | ").skip(5).map(|it| it.parse().expect("a number")).collect();
        let [opening, added, taken, wasted, _, counted, closing] = numbers[..] else { panic!("{row}") };
        assert_eq!(opening + added - taken - wasted + counted, closing, "{row}");
    }
    let rows = house.report("inventory", "controlled-substances", march(json!({"location": id(12)}))).await;
    assert_eq!(rows, [berlin]);
}

#[tokio::test]
async fn stock_at_risk_is_what_expires_with_the_expired_first() {
    // In Berlin, it is the eleventh of March by then.
    let mut house = House::new("2026-03-10T23:30:00Z").await;
    medications(&mut house).await;
    let with = |lot: Value, more| patched(lot, more);
    let lots = [
        with(lot(61, 52, 11, "2026-03-09", "10"), json!({"unit_cost": "0.1255"})),
        with(lot(62, 52, 11, "2026-03-10", "30"), json!({"quantity_reserved": "5", "quantity_pending": "1"})),
        with(lot(63, 52, 12, "2026-03-10", "7"), json!({"unit_cost": "2"})),
        with(lot(64, 52, 13, "2026-06-08", "4"), json!({"status": "quarantined"})),
        lot(65, 52, 13, "2026-06-09", "4"),
        with(lot(66, 52, 13, "2026-03-09", "0"), json!({"status": "depleted"})),
        with(lot(67, 52, 11, "2026-05-01", "12"), json!({"unit": "mL"})),
    ];
    house.fill("medication_inventory", lots).await;
    moved(
        &mut house,
        &[
            (62, "2026-03-01T12:00:00Z", "dispense", "-12"),
            (61, "2025-12-10T23:31:00Z", "issue", "-8"),
            (61, "2026-02-01T12:00:00Z", "return", "2"),
            (62, "2026-02-01T12:00:00Z", "waste", "-50"),
            // More than 90 days ago.
            (62, "2025-12-10T23:29:00Z", "dispense", "-100"),
        ],
    )
    .await;
    let expired = "Aspirin | L61 | R1 | 2026-03-09 | yes | available | 10.000 | 0.000 | tablet | 1.26 | 0.200 | 0.0";
    let berlin = "Aspirin | L63 | R2 | 2026-03-10 | yes | available | 7.000 | 0.000 | tablet | 14.00 | 0.000 | -";
    let today = "Aspirin | L62 | R1 | 2026-03-10 | no | available | 30.000 | 24.000 | tablet | - | 0.200 | 120.0";
    let liquid = "Aspirin | L67 | R1 | 2026-05-01 | no | available | 12.000 | 12.000 | mL | - | 0.000 | -";
    let last = "Aspirin | L64 | R3 | 2026-06-08 | no | quarantined | 4.000 | 0.000 | tablet | - | 0.000 | -";
    let later = "Aspirin | L65 | R3 | 2026-06-09 | no | available | 4.000 | 4.000 | tablet | - | 0.000 | -";
    for (asked, expected) in [
        (json!({}), &[expired, berlin, today, liquid, last][..]),
        (json!({"days": 91, "location": id(13)}), &[last, later]),
        (json!({"days": 0}), &[expired, berlin, today]),
    ] {
        assert_eq!(house.report("inventory", "stock-at-risk", asked).await, expected);
    }
}
