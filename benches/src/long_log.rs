//! Appends to a log that is long, against those to the same log when it was short.

use hims_event_store::EventStore as _;

use crate::append::begin;
use crate::postgres::Postgres;
use crate::report::{Better, Report};
use crate::workload::Compared;
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 1] = ["append-long"];

const CALLERS: usize = 256;

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    let store = postgres.store().await?;
    let mut rates = Vec::new();
    for length in effort.lengths {
        while store.current_head().await? < length {
            begin(&store, CALLERS, effort.time * 4).await?;
        }
        rates.push(begin(&store, CALLERS, effort.time * 10).await?);
    }
    if let [floor, rate] = rates[..] {
        report.write(Compared { rate, floor }.figure(NAMES[0], "/s", 0.95), Better::More)?;
    }
    store.shutdown().await;
    postgres.stop().await;
    Ok(())
}
