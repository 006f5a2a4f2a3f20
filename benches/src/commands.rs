//! Commands on streams with a history: load, decide, append. On thousands of streams, and on one that all callers want.

use std::sync::Arc;
use std::time::Duration;

use hims_api::surroundings;
use hims_commands::medication_lot::AdjustMedicationLot;
use hims_commands::{Caller, Executor, Request};
use hims_domain::Aggregate;
use hims_domain::medication_lot::{Event, MedicationLot, Receipt};
use hims_event_store::{Append, EventStore, NewEvent, PgEventStore, StreamAppend};
use rust_decimal::dec;
use uuid::Uuid;

use crate::floor::{Floor, new_id};
use crate::postgres::Postgres;
use crate::report::{Better, Report};
use crate::workload::{compare, rate};
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 2] = ["load-decide-append", "hot-lot"];

const STREAMS: usize = 5_000;
const EVENTS: usize = 10;
const CALLERS: usize = 32;
/// The counters that dispense from one lot.
const COUNTERS: usize = 64;

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    let mut floor = Floor::try_new(&postgres).await?;
    let store = postgres.store().await?;
    let lots = Arc::new(lots(store.as_ref()).await?);
    let executor = Arc::new(Executor::new(store.clone(), surroundings()));
    if report.wants(&NAMES[..1]) {
        let adjusted = async |time| adjust(&executor, &lots, CALLERS, time).await;
        let compared = compare(effort, async |time| floor.rate(time).await, adjusted).await?;
        report.write(compared.figure("load-decide-append", "/s", 2.1), Better::More)?;
    }
    if report.wants(&NAMES[1..]) {
        // What is written to one stream is written one after the other, so the floor is one connection. A caller who is
        // refused ends the bench.
        let one = Arc::new(lots[..1].to_vec());
        let adjusted = async |time| adjust(&executor, &one, COUNTERS, time).await;
        let compared = compare(effort, async |time| floor.rate_on(1, time).await, adjusted).await?;
        report.write(compared.figure("hot-lot", "/s", 0.5), Better::More)?;
    }
    floor.close().await;
    store.shutdown().await;
    postgres.stop().await;
    Ok(())
}

/// How many commands are carried out per second, each on one of thousands of streams with a history.
pub(crate) async fn commands(store: &Arc<PgEventStore>, time: Duration) -> Result<f64, Failure> {
    let lots = Arc::new(lots(store.as_ref()).await?);
    let executor = Arc::new(Executor::new(store.clone(), surroundings()));
    adjust(&executor, &lots, CALLERS, time).await
}

/// Lots of medication, each with a delivery and corrections of its quantity.
async fn lots(store: &dyn EventStore) -> Result<Vec<Uuid>, Failure> {
    let receipt = Receipt {
        medication_id: new_id().into(),
        location_id: new_id().into(),
        lot_number: "L-1".into(),
        expiry_date: surroundings().clock.as_ref()().date_naive() + chrono::Days::new(365),
        quantity: dec!(1_000_000),
        unit: "tablet".into(),
        unit_cost: Some(dec!(0.25)),
        reorder_level: None,
        supplier_id: None,
        delivery_note: None,
    };
    let mut events = vec![NewEvent::try_new(MedicationLot::STREAM, &Event::Received(receipt))?];
    let adjusted = Event::Adjusted {
        change: dec!(1),
        on_hand_after: dec!(1_000_001),
        reason: "counted".into(),
        performed_by: None,
        witnessed_by: None,
    };
    events.resize(EVENTS, NewEvent::try_new(MedicationLot::STREAM, &adjusted)?);
    let ids: Vec<Uuid> = (0..STREAMS).map(|_| new_id()).collect();
    for some in ids.chunks(500) {
        let streams = some.iter().map(|it| StreamAppend::begin(MedicationLot::STREAM, *it, events.clone()));
        store.append(Append { streams: streams.collect(), ..Append::default() }).await?;
    }
    Ok(ids)
}

/// Callers that each go through all lots, from a place of their own.
async fn adjust(
    executor: &Arc<Executor>,
    lots: &Arc<Vec<Uuid>>,
    callers: usize,
    time: Duration,
) -> Result<f64, Failure> {
    let caller = Arc::new(Caller::system("bench"));
    let callers = (0..callers).map(|it| (Arc::clone(executor), Arc::clone(lots), Arc::clone(&caller), it * 7919));
    let (rate, _) = rate(time, callers.collect(), async |(executor, lots, caller, nth): State| {
        let command = AdjustMedicationLot {
            medication_lot_id: lots[nth % lots.len()].into(),
            change: dec!(1),
            reason: "counted".into(),
        };
        executor.execute(command, Request::of(Arc::clone(&caller))).await?;
        Ok((executor, lots, caller, nth + 1))
    })
    .await?;
    Ok(rate)
}

type State = (Arc<Executor>, Arc<Vec<Uuid>>, Arc<Caller>, usize);
