//! Suppliers, articles, what rooms hold of them, and the ledger of everything that moves.

use futures::future::join_all;
use hims_projections::query;
use hims_testing::patched;
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::demo::{self, article, at, medication, patient, room, supplier};
use super::releases::until;
use super::tables::{by_process, count};
use super::{Client, Hospital, Start};

/// The body of `add-inventory-item`: swabs, of which more is to be ordered below ten boxes.
pub(super) fn swabs(sku: &str) -> Value {
    json!({"sku": sku, "name": "Swabs", "category": "dressing", "unit": "boxes", "reorder_level": "10",
           "reorder_quantity": "50", "preferred_supplier_id": supplier(1)})
}

/// What a command says of an article in the first room.
pub(super) fn here(item: &str, more: Value) -> Value {
    patched(json!({"inventory_item_id": item, "location_id": room(1)}), more)
}

/// Waits until an article is flagged, or no longer.
async fn flagged(client: &Client, item: &str, is_flagged: bool) {
    client.row_until("inventory-items", item, |row| row["reorder_flagged_at"].is_string() == is_flagged).await;
}

/// Runs every command of suppliers and articles, and waits for what the process `stock` does.
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let (pharmacist, nurse) = (hospital.login("pharmacist").await, hospital.login("nurse").await);
    let added = json!({"code": "SWAB", "name": "Swab and Sons", "contact_name": "Sue Ab", "phone": "800-555-0199",
                       "email": "Orders@Swab.example", "dea_number": "fs1234563"});
    let supplier_id = pharmacist.did("add-supplier", added).await;
    pharmacist.did("change-supplier", json!({"supplier_id": supplier_id, "contact_name": null})).await;
    pharmacist.did("deactivate-supplier", json!({"supplier_id": supplier_id})).await;
    pharmacist.did("reactivate-supplier", json!({"supplier_id": supplier_id})).await;
    let item = pharmacist.did("add-inventory-item", swabs("SWAB-1")).await;
    flagged(&pharmacist, &item, true).await;
    pharmacist.did("change-inventory-item", json!({"inventory_item_id": item, "reorder_level": "12"})).await;
    pharmacist.did("deactivate-inventory-item", json!({"inventory_item_id": item})).await;
    flagged(&pharmacist, &item, false).await;
    pharmacist.did("reactivate-inventory-item", json!({"inventory_item_id": item})).await;
    flagged(&pharmacist, &item, true).await;
    let delivered = json!({"quantity": "40", "unit_cost": "2.5", "supplier_id": supplier_id, "delivery_note": "D-1"});
    pharmacist.did("receive-inventory", here(&item, delivered)).await;
    flagged(&pharmacist, &item, false).await;
    let of_patient = json!({"quantity": "3", "patient_id": patient_id});
    nurse.did("issue-inventory", here(&item, of_patient.clone())).await;
    let back = patched(of_patient, json!({"quantity": "1", "reason": "not opened"}));
    nurse.did("return-inventory", here(&item, back)).await;
    nurse.did("issue-inventory", here(&item, json!({"quantity": "2"}))).await;
    let wasted = json!({"quantity": "1", "reason_code": "other", "reason": "fell into water"});
    pharmacist.did("waste-inventory", here(&item, wasted)).await;
    pharmacist.did("count-inventory", here(&item, json!({"counted": "34"}))).await;
    pharmacist.did("count-inventory", here(&item, json!({"counted": "34"}))).await;
    pharmacist.did("adjust-inventory", here(&item, json!({"change": "-0.5", "reason": "half a box"}))).await;
    for quantity in ["4", "6"] {
        let moved = json!({"to_location_id": room(2), "quantity": quantity});
        pharmacist.did("transfer-inventory", here(&item, moved)).await;
    }
    let delivered = json!({"medication_id": medication(1), "location_id": room(3), "lot_number": "S-1",
                           "expiry_date": at(400, 0).date_naive(), "quantity": "10", "unit": "capsule",
                           "supplier_id": supplier_id, "delivery_note": "D-2"});
    pharmacist.did("receive-medication-lot", delivered).await;
    pharmacist.did("issue-inventory", here(&item, json!({"quantity": "23.5"}))).await;
    flagged(&pharmacist, &item, true).await;
    assert_ledger(hospital).await;
}

/// The quantities of each lot and level add up to what is on hand, and each row tells the sum up to there.
async fn assert_ledger(hospital: &Hospital) {
    hospital.settle().await;
    let off = "
        (select coalesce(t.medication_inventory_id, t.inventory_level_id) as of, t.balance_after,
                sum(t.quantity) over (partition by coalesce(t.medication_inventory_id, t.inventory_level_id)
                                      order by t.version) as sum
           from inventory_transactions t) as it
         where it.sum <> it.balance_after";
    let off = off.replace("inventory_transactions", "hims.inventory_transactions");
    assert_eq!(count(hospital.owner(), &off).await, 0, "a row tells another sum");
    let stock = "
        (select l.id, l.quantity_on_hand from hims.medication_inventory l
         union all select l.id, l.quantity_on_hand from hims.inventory_levels l) as stock
         where stock.quantity_on_hand <> (
             select coalesce(sum(t.quantity), 0) from hims.inventory_transactions t
              where stock.id in (t.medication_inventory_id, t.inventory_level_id))";
    assert_eq!(count(hospital.owner(), stock).await, 0, "something is on hand that nothing brought");
}

#[tokio::test]
async fn the_ledger_tells_what_came_and_went() {
    let hospital = Hospital::start().await;
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let nurse = hospital.login("nurse").await;
    let moved = json!({"to_location_id": room(2), "quantity": "5"});
    let level = pharmacist.did("transfer-inventory", here(&article(3), moved)).await;
    let used = json!({"quantity": "2", "patient_id": patient(6)});
    assert_eq!(nurse.did("issue-inventory", here(&article(3), used)).await, level);
    let rows = nurse.items(&format!("inventory-transactions?inventory_level_id={level}&sort=performed_at")).await;
    let told: Vec<_> = rows
        .iter()
        .map(|it| {
            (it["transaction_type"].as_str().unwrap_or_default(), it["quantity"].as_f64(), it["balance_after"].as_f64())
        })
        .collect();
    let expected = [("transfer_in", 20.0, 20.0), ("transfer_out", -5.0, 15.0), ("issue", -2.0, 13.0)];
    assert_eq!(told, expected.map(|(kind, quantity, after)| (kind, Some(quantity), Some(after))));
    assert_eq!((&rows[1]["reference_type"], &rows[1]["reference_id"]), (&json!("room"), &json!(room(2))));
    assert_eq!((&rows[2]["reference_type"], &rows[2]["reference_id"]), (&json!("patient"), &json!(patient(6))));
    assert_eq!(rows[2]["performed_by"], json!(demo::user(demo::NURSE)));
    assert_eq!(nurse.row("inventory-levels", &level).await["quantity_on_hand"], json!(13.0));
    // What is dispensed and taken back is in the ledger too, with what it was for.
    let prescription = doctor.did("write-prescription", demo::prescription(&patient(2), 2, "5", "tablet")).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription})).await;
    pharmacist.did("dispense-prescription", json!({"prescription_id": prescription})).await;
    let unfetched = json!({"prescription_id": prescription, "reason": "not fetched"});
    pharmacist.did("reverse-dispensing", unfetched).await;
    let rows = pharmacist.items(&format!("inventory-transactions?reference_id={prescription}")).await;
    let mut told: Vec<_> = rows.iter().map(|it| (it["quantity"].as_f64(), &it["transaction_type"])).collect();
    told.sort_by(|one, other| one.0.partial_cmp(&other.0).expect("numbers"));
    assert_eq!(told, [(Some(-5.0), &json!("dispense")), (Some(5.0), &json!("return"))]);
    let lot = pharmacist.row("medication-inventory", &demo::lot(2, 1)).await;
    assert_eq!(lot["supplier_id"], json!(supplier(2)));
    assert_ledger(&hospital).await;
}

#[tokio::test]
async fn every_role_moves_what_it_may() {
    let hospital = Hospital::start().await;
    let issue = || here(&article(3), json!({"quantity": "1"}));
    for login in ["nurse", "doctor", "pharmacist", "lab"] {
        hospital.login(login).await.did("issue-inventory", issue()).await;
    }
    for login in ["reception", "patient", "admin"] {
        hospital.login(login).await.command("issue-inventory", issue()).await.problem(403, "forbidden");
    }
    let adjust = || here(&article(3), json!({"change": "1", "reason": "found another"}));
    for login in ["pharmacist", "admin"] {
        hospital.login(login).await.did("adjust-inventory", adjust()).await;
    }
    for login in ["nurse", "doctor", "lab", "reception"] {
        hospital.login(login).await.command("adjust-inventory", adjust()).await.problem(403, "forbidden");
    }
    let another = json!({"code": "OTHER", "name": "Another supplier"});
    hospital.login("nurse").await.command("add-supplier", another.clone()).await.problem(403, "forbidden");
    hospital.login("admin").await.did("add-supplier", another).await;
    hospital.login("nurse").await.command("add-inventory-item", swabs("S-2")).await.problem(403, "forbidden");
    hospital.login("admin").await.did("add-inventory-item", swabs("S-2")).await;
}

#[tokio::test]
async fn every_refusal_about_stock_has_its_code() {
    let hospital = Hospital::start().await;
    let pharmacist = hospital.login("pharmacist").await;
    let ask = async |command: &str, body: Value| pharmacist.command(command, body).await;
    let gauze = |more: Value| here(&article(1), more);
    let too_much = gauze(json!({"quantity": "1000"}));
    ask("issue-inventory", too_much).await.problem_at(409, "insufficient-stock", "/quantity");
    let capsules = here(&article(11), json!({"quantity": "1"}));
    ask("receive-inventory", capsules).await.problem(409, "counted-in-lots");
    let stays = gauze(json!({"to_location_id": room(1), "quantity": "1"}));
    ask("transfer-inventory", stays).await.problem(422, "same-room");
    let back = gauze(json!({"quantity": "1000", "reason": "not opened"}));
    ask("return-inventory", back).await.problem(409, "not-issued");
    let unsaid = gauze(json!({"quantity": "1", "reason_code": "other"}));
    ask("waste-inventory", unsaid).await.problem_at(422, "reason-missing", "/reason");
    let unknown = gauze(json!({"quantity": "1", "supplier_id": patient(1)}));
    ask("receive-inventory", unknown).await.problem_at(422, "unknown-reference", "/supplier_id");
    let renamed = json!({"inventory_item_id": article(1), "unit": "piece"});
    ask("change-inventory-item", renamed).await.problem(409, "in-stock");
    let mut twice = swabs("gauze-10");
    ask("add-inventory-item", twice.clone()).await.problem(409, "already-taken");
    pharmacist.did("deactivate-supplier", json!({"supplier_id": supplier(1)})).await;
    twice["sku"] = json!("GAUZE-11");
    ask("add-inventory-item", twice).await.problem(409, "inactive-supplier");
    pharmacist.did("deactivate-inventory-item", json!({"inventory_item_id": article(1)})).await;
    ask("receive-inventory", gauze(json!({"quantity": "1"}))).await.problem(409, "inactive-item");
    let mistyped = json!({"code": "X", "name": "X-Ray Films", "dea_number": "AB1234564"});
    ask("add-supplier", mistyped).await.problem_at(422, "invalid-fields", "/dea_number");
}

#[tokio::test]
async fn one_of_sixteen_gets_the_last_box() {
    let hospital = Hospital::start().await;
    let (pharmacist, nurse) = (hospital.login("pharmacist").await, hospital.login("nurse").await);
    let item = pharmacist.did("add-inventory-item", swabs("LAST-1")).await;
    for start in Start::rounds(2) {
        pharmacist.did("receive-inventory", here(&item, json!({"quantity": "1"}))).await;
        let wanted = (0..16).map(|_| nurse.command("issue-inventory", here(&item, json!({"quantity": "1"}))));
        let answers = start.race(wanted).await;
        assert_eq!(answers.iter().filter(|it| it.status == 200).count(), 1, "{start:?}");
        for refused in answers.iter().filter(|it| it.status != 200) {
            refused.problem(409, "insufficient-stock");
        }
        assert_ledger(&hospital).await;
    }
}

#[tokio::test]
async fn two_nodes_flag_an_article_once_for_each_time_that_it_runs_low() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let pharmacist = hospital.login("pharmacist").await;
    let there = pharmacist.at(&other.base);
    // The demo has 400 capsules in two lots, and more is to be ordered below 20.
    let events = async |kind: &str| {
        count(hospital.owner(), &format!("log.events where event_type = 'inventory_item.reorder_{kind}'")).await
    };
    let change =
        |nth: u16, change: &str| json!({"medication_lot_id": demo::lot(1, nth), "change": change, "reason": "counted"});
    pharmacist.did("adjust-medication-lot", change(1, "-200")).await;
    there.did("adjust-medication-lot", change(2, "-180")).await;
    let enough = json!({"medication_lot_id": demo::lot(1, 2), "change": "-0.5", "reason": "counted"});
    assert_eq!(events("flagged").await, 0, "twenty are enough");
    join_all([
        pharmacist.command("adjust-medication-lot", enough.clone()),
        there.command("adjust-medication-lot", enough),
    ])
    .await;
    flagged(&pharmacist, &article(11), true).await;
    pharmacist.did("adjust-medication-lot", change(1, "50")).await;
    flagged(&pharmacist, &article(11), false).await;
    // What may not be dispensed is no stock.
    let warm = json!({"medication_lot_id": demo::lot(1, 1), "reason": "the refrigerator was warm"});
    there.did("quarantine-medication-lot", warm).await;
    flagged(&pharmacist, &article(11), true).await;
    assert_eq!((events("flagged").await, events("cleared").await), (2, 1));
    let by_process = "log.events where event_type like 'inventory_item.reorder%'
                       and metadata -> 'actor' ->> 'name' <> 'process:stock'";
    assert_eq!(count(hospital.owner(), by_process).await, 0);
}

#[tokio::test]
async fn what_expired_in_a_night_is_found_by_time_zone_and_part_by_part() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let mut db = hospital.owner().acquire().await.expect("a connection");
    db.execute("set search_path = hims, public").await.expect("the schema is set");
    assert_eq!(query::time_zones(&mut db).await.expect("zones"), ["America/New_York"]);
    // The first lots expire in six months, the others in eighteen.
    let (before, after) = (at(150, 0).date_naive(), at(200, 0).date_naive());
    let zone = "America/New_York";
    let none = query::articles_with_expired_lots(&mut db, before, zone, None, 10).await.expect("articles");
    assert!(none.is_empty(), "{none:?}");
    let elsewhere =
        query::articles_with_expired_lots(&mut db, after, "Europe/Zurich", None, 10).await.expect("articles");
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    let all: Vec<String> = (11..=14).map(article).collect();
    let first = query::articles_with_expired_lots(&mut db, after, zone, None, 3).await.expect("articles");
    assert_eq!(first.iter().map(ToString::to_string).collect::<Vec<_>>(), all[..3]);
    let rest =
        query::articles_with_expired_lots(&mut db, after, zone, first.last().copied(), 3).await.expect("articles");
    assert_eq!(rest.iter().map(ToString::to_string).collect::<Vec<_>>(), all[3..]);
}

#[tokio::test]
async fn at_night_what_a_patient_has_taken_to_its_end_is_completed_once() {
    let hospital = Hospital::start().await;
    let _other = hospital.another_node().await;
    let nurse = hospital.login("nurse").await;
    let tea = |days: i64| {
        json!({"patient_id": patient(2), "medication_name": "Nimbuswort tea", "source": "otc",
               "start_date": at(-9, 0).date_naive(), "end_date": at(days, 0).date_naive()})
    };
    nurse.did("add-patient-medication", tea(-5)).await;
    nurse.did("add-patient-medication", tea(5)).await;
    let planned = "log.timers where process = 'medication-list' and key = 'daily America/New_York'
                    and due_at > clock_timestamp() and due_at < clock_timestamp() + interval '25 hours'";
    until(async || count(hospital.owner(), planned).await == 1).await;
    let all = "log.timers where key like 'daily %' and process in ('medication-list', 'stock')";
    until(async || count(hospital.owner(), all).await == 2).await;
    // The night comes early.
    let mut superuser = hospital.database.superuser().await;
    let early = "update log.timers set due_at = clock_timestamp() - interval '1 second' where key like 'daily %'";
    superuser.execute(early).await.expect("the timers are changed");
    let path = format!("patient-medications?patient_id={}&status=completed", patient(2));
    until(async || nurse.items(&path).await.len() == 1).await;
    until(async || count(hospital.owner(), planned).await == 1).await;
    assert_eq!(count(hospital.owner(), all).await, 2, "the next night");
    assert_eq!(count(hospital.owner(), "log.events where event_type = 'medication_list.completed'").await, 1);
    assert_eq!(by_process(hospital.owner(), "medication-list", "medication_list.completed").await, 1);
}
