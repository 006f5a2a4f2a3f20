//! `DiagnosticReport` and `Observation` of a laboratory -> laboratory orders and results. The tests of one encounter
//! and one time are one order, and each report, or each observation that stands alone, is an item of the order with its
//! result.
//!
//! `told` reads what the files tell, `tests` finds the tests in the laboratory's catalogue and defines those that it
//! does not have, and `writing` places the orders and records the results.

mod tests;
mod told;
mod values;
mod writing;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use uuid::Uuid;

use self::tests::Tests;
pub(super) use self::told::Laboratory;
use self::writing::Reports;
use super::progress::Progress;
use super::run::ImportError;
use super::summary::{Fate, Place, Summary};
use super::writer::Writer;

/// For whom, in which encounter and when tests were done. The tests of one occasion are one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Occasion {
    /// The patient, under the id of the record.
    patient: Uuid,
    encounter: Option<Uuid>,
    at: DateTime<Utc>,
}

/// Places the orders and records the results.
pub(super) async fn write(
    writer: &Writer<'_>,
    laboratory: Laboratory<'_>,
    (summary, progress): (&mut Summary, &dyn Progress),
) -> Result<(), ImportError> {
    let Laboratory { occasions, .. } = laboratory;
    let tests = Tests::of(writer, occasions.values().flatten(), (summary, progress)).await?;
    let reports = Reports::default();
    let steps =
        occasions.into_iter().map(|(occasion, told)| writing::import(writer, &tests, occasion, told, &reports).boxed());
    writer.take("Observation", Box::new(steps), (summary, progress)).await?;
    for (places, fate) in reports.into_fates() {
        summary.count("DiagnosticReport", places, fate);
    }
    Ok(())
}

/// What became of each report, for the summary: reports are written together with their observations.
type Fates = Vec<(Vec<Place>, Fate)>;

/// The tests of each occasion.
type Occasions<'g> = BTreeMap<Occasion, Vec<told::Told<'g>>>;
