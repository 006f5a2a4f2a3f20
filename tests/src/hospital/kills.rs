//! Processes while nodes and PostgreSQL are killed at random: each occasion has exactly one reaction, and each timer
//! fires exactly once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use hims_commands::department::OpenDepartment;
use hims_commands::medication::AddMedication;
use hims_commands::medication_lot::{AdjustMedicationLot, ReceiveMedicationLot};
use hims_commands::room::AddRoom;
use hims_commands::{
    Caller, Command, Executor, Failure, Happened, Process, Processes, Reaction, Request, Surroundings, upcasters,
};
use hims_domain::DomainEvent;
use hims_domain::department::Event;
use hims_domain::medication_lot::MedicationLot;
use hims_event_store::{EventStore, MasterKey, PgEventStore, PgOptions, Timer};
use hims_projections::migrations;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Executor as _, PgConnection};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use uuid::Uuid;

use super::process::signal;
use super::tables::count;
use crate::support::{pool_as, scratch};

const LOT: Uuid = Uuid::from_u128(0x107);
/// The departments that are opened while nodes and PostgreSQL are killed.
const OCCASIONS: u128 = 60;
/// The first draw of the kills: with another seed, other nodes are killed at other moments.
const SEED: u64 = 20_261_126;

/// Takes one tablet from the lot whenever a department is opened, and two more a moment later. The command is not quiet
/// by its own state, so each repetition would show.
struct Taking;

fn ask<T: DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).expect("a command")
}

fn take(tablets: i32) -> Reaction {
    let change = format!("-{tablets}");
    Reaction::command(ask::<AdjustMedicationLot>(
        json!({"medication_lot_id": LOT, "change": change, "reason": "a test"}),
    ))
}

impl Process for Taking {
    const NAME: &'static str = "taking";
    const ON: &'static [&'static str] = &["department.opened"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let DomainEvent::Department(Event::Opened(details)) = &happened.event else { return Ok(Vec::new()) };
        // The department in which somebody waits for long is one whose timer fires in an hour.
        let wait = if details.code.as_str() == "LONG" { TimeDelta::hours(1) } else { TimeDelta::milliseconds(300) };
        let timer = Reaction::timer(happened.stream_id.to_string(), happened.recorded_at + wait, json!({}));
        Ok(vec![take(1), timer])
    }

    async fn fire(&self, _: &Timer) -> Result<Vec<Reaction>, Failure> {
        Ok(vec![take(2)])
    }
}

/// The executor of one node, on connections of its own.
async fn executor(options: &PgConnectOptions) -> Option<(Arc<Executor>, Arc<PgEventStore>)> {
    let key = MasterKey::new(&[7; 32]);
    let connecting = PgEventStore::connect(pool_as("hims_writer", options), key, upcasters(), PgOptions::default());
    let log = Arc::new(connecting.await.ok()?);
    let clock = Arc::clone(&log);
    let surroundings =
        Surroundings { clock: Arc::new(move || clock.clock().now()), entropy: hims_api::surroundings().entropy };
    Some((Arc::new(Executor::new(log.clone(), surroundings)), log))
}

/// A node that runs the process, on threads of its own, until it is killed.
fn node(options: PgConnectOptions) -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.spawn(async move {
        loop {
            if let Some((executor, log)) = executor(&options).await {
                let _running = Processes::new(executor, log, watch::channel(0).1).start(Taking);
                std::future::pending::<()>().await;
            }
        }
    });
    runtime
}

/// The next number of a sequence that looks random (`SplitMix64`).
pub(crate) fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Gives a command under one key until it is carried out, whatever is killed meanwhile.
async fn insist<C: Command>(executor: &Executor, key: Uuid, command: C) {
    let insisting = async {
        loop {
            let request = Request { idempotency_key: Some(key), ..Request::of(Caller::system("test")) };
            match executor.execute(command.clone(), request).await {
                Ok(_) => return,
                Err(Failure::Store(_) | Failure::Overloaded) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(other) => panic!("{}: {other}", C::NAME),
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), insisting).await.expect("carried out within a minute");
}

async fn open(executor: &Executor, number: u128, code: &str) {
    let department =
        json!({"id": Uuid::from_u128(0xde_0000 + number), "code": code, "name": "Ward", "time_zone": "UTC"});
    insist(executor, Uuid::from_u128(0xca_0000 + number), ask::<OpenDepartment>(department)).await;
}

/// A lot of a thousand tablets.
async fn stock(executor: &Executor) {
    let (department, room, medication) = (Uuid::from_u128(0xde), Uuid::from_u128(0x400), Uuid::from_u128(0x3ed));
    let opened = json!({"id": department, "code": "STOCK", "name": "Pharmacy", "time_zone": "UTC"});
    insist(executor, Uuid::from_u128(1), ask::<OpenDepartment>(opened)).await;
    let added = json!({"id": room, "department_id": department, "room_number": "1", "room_type": "pharmacy"});
    insist(executor, Uuid::from_u128(2), ask::<AddRoom>(added)).await;
    let product = json!({"id": medication, "name": "Aspirin", "ingredients": []});
    insist(executor, Uuid::from_u128(3), ask::<AddMedication>(product)).await;
    let received = json!({"id": LOT, "medication_id": medication, "location_id": room, "lot_number": "1",
                          "expiry_date": "2099-12-31", "quantity": "1000", "unit": "tablet"});
    insist(executor, Uuid::from_u128(4), ask::<ReceiveMedicationLot>(received)).await;
}

pub(super) async fn postgres(folder: &Path) -> EmbeddedPostgres {
    EmbeddedPostgres::start(EmbeddedOptions::new(folder)).await.expect("PostgreSQL starts")
}

/// Waits until a query answers `true`.
async fn until(options: &PgConnectOptions, sql: &'static str) {
    let asking = async {
        let mut db: PgConnection = options.connect().await.expect("a connection");
        while !sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut db).await.expect("an answer") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), asking).await.unwrap_or_else(|_| panic!("at last: {sql}"));
}

const REACTED: &str = "select (select position from log.processes where name = 'taking') >= position from log.head";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_occasion_has_one_reaction_and_each_timer_fires_once() {
    let folder = scratch("kills");
    let mut database = postgres(folder.path()).await;
    let options = database.connect_options();
    migrations::up(&PgPoolOptions::new().connect_lazy_with(database.migration_options())).await.expect("migrated");
    let (executor, log) = executor(&options).await.expect("the log is there");
    stock(&executor).await;
    // What happened before the process was first started has no reaction.
    for number in 0..5 {
        open(&executor, number, &format!("OLD{number}")).await;
    }
    let mut nodes = [node(options.clone()), node(options.clone())].map(Some);
    until(&options, "select exists (select from log.processes)").await;
    let mut state = SEED;
    let mut killed = [0, 0];
    for number in 0..OCCASIONS {
        open(&executor, 1_000 + number, &format!("D{number}")).await;
        let chance = draw(&mut state) % 12;
        if let Some(place) = [0, 1, 0].get(usize::try_from(chance).expect("small")) {
            nodes[*place].replace(node(options.clone())).expect("a node").shutdown_background();
            killed[0] += 1;
        } else if chance == 3 {
            let ended = database.ended();
            signal(database.pid(), "KILL");
            ended.await;
            database = postgres(folder.path()).await;
            killed[1] += 1;
        }
    }
    assert!(killed[0] > 5 && killed[1] > 1, "{killed:?}");
    open(&executor, 9_999, "LONG").await;
    until(&options, REACTED).await;
    until(&options, "select count(*) = 1 from log.timers").await;
    // Nobody is there at the time of the last timer.
    for node in &mut nodes {
        node.take().expect("a node").shutdown_background();
    }
    let mut superuser = database.superuser_options().database("hims").connect().await.expect("a connection");
    superuser.execute("update log.timers set due_at = now() - interval '30 days'").await.expect("a month passes");
    let nodes = [node(options.clone()), node(options.clone())];
    until(&options, "select count(*) = 0 from log.timers").await;
    until(&options, REACTED).await;
    nodes.into_iter().for_each(Runtime::shutdown_background);

    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let taken = "log.events where event_type = 'medication_lot.adjusted'
                   and metadata -> 'actor' ->> 'name' = 'process:taking' and data ->> 'change' =";
    let occasions = i64::try_from(OCCASIONS).expect("few") + 1;
    assert_eq!(count(&pool, &format!("{taken} '-1'")).await, occasions);
    assert_eq!(count(&pool, &format!("{taken} '-2'")).await, occasions);
    assert_eq!(count(&pool, "log.events where stream_type = 'process_failure'").await, 0);
    let lot = executor.load::<MedicationLot>(LOT, true).await.expect("loaded").state.expect("a lot");
    assert_eq!(lot.quantity_on_hand.to_string(), (1_000 - 3 * occasions).to_string());
    log.shutdown().await;
    pool.close().await;
    database.stop().await;
}
