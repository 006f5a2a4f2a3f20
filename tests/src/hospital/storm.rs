//! A storm over the whole hospital: patients come, wait, are examined and given drugs while nodes and PostgreSQL are
//! killed at random. Afterwards each occasion has had its consequence exactly once.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use futures::future::join_all;
use hims_api::embedded::EmbeddedPostgres;
use hims_projections::migrations;
use hims_testing::patched;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use uuid::Uuid;

use super::billing::cash;
use super::billing::sums::{LINES_OFF, MONEY_OFF};
use super::demo::{appointment, at, lab_test, medication, person, prescription, room};
use super::fixture::key_file;
use super::insurance::policy;
use super::insurance_claims::{adjudication, paid};
use super::kills::{draw, postgres};
use super::lab_results::POTASSIUM;
use super::process::signal;
use super::stock::{here, swabs};
use super::tables::count;
use super::waitlist::{scan, wait_for};
use super::{Client, Process};
use crate::support::scratch;

/// How many journeys there are, a fifth of each kind.
const JOURNEYS: u32 = 1_000;
/// How many journeys go on at the same time.
const AT_ONCE: u32 = 12;
/// The first draw of the kills: with another seed, others are killed at other moments.
const SEED: u64 = 20_261_127;

/// Those who give the commands.
struct Staff {
    admin: Client,
    reception: Client,
    doctor: Client,
    nurse: Client,
    lab: Client,
    pharmacist: Client,
}

/// The hospital in the storm.
struct Storm {
    staff: Staff,
    /// An article that every consultation uses one box of.
    article: String,
    /// The addresses of the nodes.
    nodes: Mutex<[String; 2]>,
    /// How many journeys have begun.
    begun: AtomicU32,
}

/// Gives the commands of one journey, each under a key of its own.
struct Traveller<'a> {
    storm: &'a Storm,
    nth: u32,
    steps: u32,
}

impl Traveller<'_> {
    /// Gives a command under one key, at one node and the other, until it is carried out, whatever is killed meanwhile.
    /// Returns the id of the stream.
    async fn did(&mut self, who: &Client, command: &str, body: Value) -> String {
        self.steps += 1;
        let key = Uuid::from_u128((u128::from(self.nth) << 64) | (0x7000_8000 << 32) | u128::from(self.steps));
        let insisting = async {
            for node in [0, 1].into_iter().cycle() {
                let base = self.storm.nodes.lock().expect("a lock")[node].clone();
                let there = who.at(&base);
                let request = there.post(command, &body).header("idempotency-key", key.to_string());
                match there.try_send(request.timeout(Duration::from_secs(20))).await {
                    Ok(answer) if matches!(answer.status, 200 | 201) => return answer.id(),
                    // A request that arrived too slowly (408) may be sent again, as one that was not answered.
                    Ok(answer) if answer.status < 500 && answer.status != 408 => panic!("{command}: {}", answer.text),
                    Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
            unreachable!("there is always another node")
        };
        let done = tokio::time::timeout(Duration::from_mins(3), insisting).await;
        done.unwrap_or_else(|_| panic!("{command} was not carried out within three minutes"))
    }

    async fn registered(&mut self) -> String {
        let whom = patched(
            person(&format!("Gale{}", self.nth), "Storm", 1_000 + self.nth),
            json!({"email": format!("gale{}@example.org", self.nth)}),
        );
        self.did(&self.storm.staff.reception, "register-patient", whom).await
    }

    /// A visit tomorrow: the patient is told at once, and reminded a minute from now.
    async fn visit(&mut self) {
        let Staff { admin, reception, .. } = &self.storm.staff;
        let patient_id = self.registered().await;
        let provider = json!({"email": format!("provider{}@example.org", self.nth), "first_name": "Ira",
                              "last_name": "Moss", "role_id": super::problems::role("doctor")});
        let provider = self.did(admin, "create-user", provider).await;
        let starts_at = (hims_api::surroundings().clock)() + TimeDelta::hours(24) + TimeDelta::seconds(20);
        let more = json!({"provider_id": provider, "room_id": null});
        self.did(reception, "schedule-appointment", patched(appointment(&patient_id, starts_at), more)).await;
    }

    /// One waits, and another one gives up a time.
    async fn waiting(&mut self) {
        let reception = &self.storm.staff.reception;
        let patient_id = self.registered().await;
        let until_late = json!({"latest": at(170, 0).date_naive()});
        self.did(reception, "join-waitlist", patched(wait_for(&patient_id), until_late)).await;
        let other = self.registered_as_other().await;
        let starts_at = at(150, i64::from(self.nth / 5) * 30);
        let booked = self.did(reception, "schedule-appointment", scan(&other, starts_at)).await;
        let given_up = json!({"appointment_id": booked, "reason": "ill"});
        self.did(reception, "cancel-appointment", given_up).await;
    }

    async fn registered_as_other(&mut self) -> String {
        let whom = person(&format!("Breeze{}", self.nth), "Storm", 5_000 + self.nth);
        self.did(&self.storm.staff.reception, "register-patient", whom).await
    }

    /// A potassium that somebody must be told of at once.
    async fn laboratory(&mut self) {
        let Staff { doctor, nurse, lab, .. } = &self.storm.staff;
        let patient_id = self.registered().await;
        let item_id = Uuid::from_u128(0x5707_0000_0000_7000_8000_0000_0000_0000 + u128::from(self.nth));
        let item = json!([{"lab_test_id": lab_test(1), "item_id": item_id}]);
        let order = self.did(doctor, "place-lab-order", json!({"patient_id": patient_id, "items": item})).await;
        self.did(nurse, "collect-specimen", json!({"lab_order_id": order, "specimen_type": "SER"})).await;
        let result = json!({"lab_order_id": order, "item_id": item_id, "status": "F",
                            "components": [{"code": POTASSIUM, "value": "7.1"}]});
        self.did(lab, "record-lab-result", result).await;
    }

    /// A consultation that uses something up, with a prescription that is dispensed.
    async fn consultation(&mut self) {
        let Staff { doctor, nurse, pharmacist, .. } = &self.storm.staff;
        let patient_id = self.registered().await;
        let visit = self.did(doctor, "start-consultation", json!({ "patient_id": patient_id })).await;
        let box_of_it = here(&self.storm.article, json!({"quantity": "1", "consultation_id": visit}));
        self.did(nurse, "issue-inventory", box_of_it).await;
        let written = patched(prescription(&patient_id, 2, "1", "tablet"), json!({ "consultation_id": visit }));
        let written = self.did(doctor, "write-prescription", written).await;
        let of_it = || json!({ "prescription_id": written });
        self.did(doctor, "send-prescription-to-pharmacy", of_it()).await;
        self.did(pharmacist, "dispense-prescription", of_it()).await;
        self.did(doctor, "complete-consultation", json!({ "consultation_id": visit })).await;
    }

    /// An invoice over 77.49, of which the payer pays 40 and gives up 17.49. The patient pays 30, 10 of it too much.
    async fn invoice(&mut self) {
        let Staff { admin, reception, .. } = &self.storm.staff;
        let patient_id = self.registered().await;
        let covered = policy(&patient_id, json!({"effective_to": null}));
        let covered = self.did(reception, "add-insurance-policy", covered).await;
        let verified = json!({"insurance_policy_id": covered, "method": "portal", "reference": "R-1"});
        self.did(reception, "verify-insurance-policy", verified).await;
        let record = self.did(reception, "open-billing-record", json!({ "patient_id": patient_id })).await;
        let item = json!({"billing_record_id": record, "service_date": at(0, 0).date_naive(), "quantity": "1",
                          "unit_price": "77.49", "code_system": "http://www.ama-assn.org/go/cpt", "code": "99213",
                          "description": "Visit"});
        self.did(reception, "add-billing-item", item).await;
        self.did(reception, "issue-invoice", json!({ "billing_record_id": record })).await;
        let claim = json!({"billing_record_id": record, "claim_type": "institutional"});
        let claim = self.did(admin, "create-insurance-claim", claim).await;
        let of_it = |more: Value| patched(json!({ "insurance_claim_id": claim }), more);
        self.did(admin, "submit-insurance-claim", of_it(json!({}))).await;
        self.did(admin, "accept-insurance-claim", of_it(json!({"payer_claim_number": "ICN-1"}))).await;
        let answer = adjudication("TRN-S", "1", paid("40", "17.49", "20"));
        self.did(admin, "record-claim-payment", of_it(answer)).await;
        self.did(reception, "record-payment", cash(&record, "30", json!({"excess": "credit"}))).await;
    }
}

impl Storm {
    /// Makes one journey after the other, as long as there are more.
    async fn travel(&self) {
        loop {
            let nth = self.begun.fetch_add(1, Ordering::SeqCst);
            if nth >= JOURNEYS {
                return;
            }
            let mut traveller = Traveller { storm: self, nth, steps: 0 };
            match nth % 5 {
                0 => traveller.visit().await,
                1 => traveller.waiting().await,
                2 => traveller.laboratory().await,
                3 => traveller.consultation().await,
                _ => traveller.invoice().await,
            }
        }
    }
}

/// What is killed and started again.
struct House {
    /// The folder of the database.
    folder: PathBuf,
    key: PathBuf,
    options: PgConnectOptions,
    nodes: [Option<Process>; 2],
    database: Option<EmbeddedPostgres>,
    killed: [u32; 2],
}

/// Starts a node on the database.
fn node(key: &Path, options: &PgConnectOptions, arguments: &[&str]) -> Process {
    Process::start_on(options, key, &key.with_file_name("node"), arguments)
}

impl House {
    /// Kills a node, or PostgreSQL, every now and then, and starts it again.
    async fn rage(&mut self, storm: &Storm) {
        let mut state = SEED;
        loop {
            tokio::time::sleep(Duration::from_millis(300 + draw(&mut state) % 1_500)).await;
            match draw(&mut state) % 5 {
                nth @ (0 | 1) => {
                    let nth = usize::try_from(nth).expect("small");
                    let killed = self.nodes[nth].take().expect("a node");
                    killed.signal("KILL");
                    let (key, options) = (self.key.clone(), self.options.clone());
                    let again = move || {
                        killed.ended();
                        node(&key, &options, &[])
                    };
                    let again = tokio::task::spawn_blocking(again).await.expect("a node");
                    storm.nodes.lock().expect("a lock")[nth] = again.nobody.base().to_owned();
                    self.nodes[nth] = Some(again);
                    self.killed[0] += 1;
                }
                2 => {
                    let database = self.database.take().expect("a database");
                    let ended = database.ended();
                    signal(database.pid(), "KILL");
                    ended.await;
                    self.database = Some(postgres(&self.folder).await);
                    self.killed[1] += 1;
                }
                _ => {}
            }
        }
    }
}

/// Waits until a query answers `true`.
async fn until(pool: &PgPool, sql: &'static str) {
    let asking = async {
        while !sqlx::query_scalar::<_, bool>(sql).fetch_one(pool).await.expect("an answer") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), asking).await.unwrap_or_else(|_| panic!("at last: {sql}"));
}

/// Everything that was to happen has happened, and the tables show it.
const ALL_DONE: &str = "select not exists (select from log.processes where position < (select position from log.head))
    and not exists (select from log.timers where due_at <= now() + interval '1 minute' and process = 'reminders')
    and not exists (select from log.timers where due_at <= now())
    and (select position from hims.projection_checkpoint) >= (select position from log.head)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_each_occasion_has_its_consequence_once() {
    let folder = scratch("storm");
    std::fs::create_dir(folder.path().join("postgres")).expect("a folder");
    let database = postgres(&folder.path().join("postgres")).await;
    let options = database.connect_options();
    migrations::up(&PgPoolOptions::new().connect_lazy_with(database.migration_options())).await.expect("migrated");
    let key = key_file(&folder);

    let first = node(&key, &options, &["--demo"]);
    let second = node(&key, &options, &[]);
    let login = async |who: &str| first.nobody.login(who).await;
    let staff = Staff {
        admin: login("admin").await,
        reception: login("reception").await,
        doctor: login("doctor").await,
        nurse: login("nurse").await,
        lab: login("lab").await,
        pharmacist: login("pharmacist").await,
    };
    let received = json!({"medication_id": medication(2), "location_id": room(3), "lot_number": "STORM",
                          "expiry_date": at(400, 0).date_naive(), "quantity": "10000", "unit": "tablet"});
    staff.pharmacist.did("receive-medication-lot", received).await;
    let article = staff.pharmacist.did("add-inventory-item", swabs("STORM")).await;
    staff.pharmacist.did("receive-inventory", here(&article, json!({"quantity": "10000"}))).await;
    let nodes = Mutex::new([&first, &second].map(|it| it.nobody.base().to_owned()));
    let storm = Arc::new(Storm { staff, article, nodes, begun: AtomicU32::new(0) });
    let mut house = House {
        folder: folder.path().join("postgres"),
        key: key.clone(),
        options: options.clone(),
        nodes: [Some(first), Some(second)],
        database: Some(database),
        killed: [0, 0],
    };
    tokio::select! {
        () = house.rage(&storm) => {}
        _ = join_all((0..AT_ONCE).map(|_| storm.travel())) => {}
    }
    assert!(house.killed[0] > 2 && house.killed[1] > 0, "{:?}", house.killed);

    // What was being started when the last patient was through is started in the end.
    if house.database.is_none() {
        house.database = Some(postgres(&house.folder).await);
    }
    for place in &mut house.nodes {
        place.get_or_insert_with(|| node(&key, &options, &[]));
    }
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options);
    until(&pool, ALL_DONE).await;
    consequences(&pool, i64::from(JOURNEYS / 5)).await;
    drop(house.nodes);
    pool.close().await;
    house.database.take().expect("a database").stop().await;
}

/// Compares what happened with what must have happened, for so many journeys of each kind.
async fn consequences(pool: &PgPool, each: i64) {
    let of_patients = "patients p where p.last_name = 'Storm' and p.first_name like 'Gale%'";
    assert_eq!(count(pool, of_patients).await, 5 * each);
    // Each visit is confirmed once, and reminded of once.
    let told = |what: &str| {
        format!(
            "notifications n join patients p on p.id = n.subject_patient_id
                  where p.last_name = 'Storm' and n.type = 'appointment_reminder' and n.dedupe_key like '{what}'"
        )
    };
    assert_eq!(count(pool, &told("visit % booked")).await, each);
    let in_time = "appointments a join patients p on p.id = a.patient_id
                    where p.last_name = 'Storm' and a.created_at < a.starts_at - interval '24 hours'
                      and a.starts_at < now() + interval '2 days'";
    let in_time = count(pool, in_time).await;
    assert!(in_time > each / 2, "of {each} visits, {in_time} were booked in time for a reminder");
    assert_eq!(count(pool, &told("visit % in 24 h")).await, in_time);
    // Each time that somebody gave up is offered once.
    let offered = "log.events where event_type = 'waitlist_entry.offered'
                     and metadata -> 'actor' ->> 'name' = 'process:waitlist'";
    assert_eq!(count(pool, offered).await, each);
    let times = "(select distinct offered_starts_at from waitlist_entries w join patients p on p.id = w.patient_id
                   where p.last_name = 'Storm' and w.status = 'offered') as it";
    assert_eq!(count(pool, times).await, each);
    // Of each critical value people are told once.
    let critical = "lab_results r join patients p on p.id = r.patient_id
                     where p.last_name = 'Storm' and r.critical_level is not null";
    assert_eq!(count(pool, critical).await, each);
    let escalated = format!(
        "log.events e where e.event_type = 'lab_result.critical_escalated' and e.data ->> 'level' = '0'
                               and e.stream_id in (select r.id from {critical})"
    );
    assert_eq!(count(pool, &escalated).await, each);
    // What was done is charged once: a consultation, what was dispensed, and a test.
    for source in ["consultation", "dispensing", "lab_result"] {
        let charged = format!(
            "billing_items i join patients p on p.id = i.patient_id
                                where p.last_name = 'Storm' and i.source_type = '{source}'"
        );
        assert_eq!(count(pool, &charged).await, each, "{source}");
    }
    // Stock is what came in less what went out, and every amount of money has its movement.
    let lots = "medication_inventory l where l.quantity_on_hand <> coalesce(
                    (select sum(t.quantity) from inventory_transactions t where t.medication_inventory_id = l.id), 0)";
    assert_eq!(count(pool, lots).await, 0);
    let levels = "inventory_levels l where l.quantity_on_hand <> coalesce(
                    (select sum(t.quantity) from inventory_transactions t where t.inventory_level_id = l.id), 0)";
    assert_eq!(count(pool, levels).await, 0);
    let used = format!("inventory_levels where quantity_on_hand = {}", 10_000 - each);
    assert_eq!(count(pool, &used).await, 1, "each consultation has used one box");
    let settled = "billing_records r join patients p on p.id = r.patient_id
                    where p.last_name = 'Storm' and r.status = 'paid' and r.paid_amount = 60 and r.credit_amount = 10";
    assert_eq!(count(pool, settled).await, each);
    for sql in [LINES_OFF, MONEY_OFF] {
        let off: Decimal = sqlx::query_scalar(sql).fetch_one(pool).await.expect("a sum");
        assert_eq!(off, Decimal::ZERO, "{sql}");
    }
    assert_eq!(count(pool, "process_failures").await, 0);
}
