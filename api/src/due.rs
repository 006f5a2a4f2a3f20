//! What processes look up in the read tables, as the part of the program that brings the tables up to date.

use chrono::NaiveDate;
use chrono_tz::Tz;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hims_commands::{Part, Tables};
use hims_event_store::StoreError;
use hims_event_store::bounded::{ANSWER, lend, within};
use hims_projections::query;
use sqlx::PgPool;
use uuid::Uuid;

/// The read tables, on connections that see all rows.
pub(crate) struct DueRecords(pub(crate) PgPool);

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(format!("the read tables did not answer: {error}"))
}

/// The limit of a part as the database takes it.
fn limit(part: Part) -> i64 {
    i64::try_from(part.limit).unwrap_or(i64::MAX)
}

impl Tables for DueRecords {
    /// A name that the time zone database no longer knows is left out: no clock on a wall shows its time.
    fn time_zones(&self) -> BoxFuture<'_, Result<Vec<Tz>, StoreError>> {
        async {
            let mut db = lend(&self.0).await.map_err(unavailable)?;
            let names = within(ANSWER, query::time_zones(&mut db)).await;
            let names = db.back(names).map_err(unavailable)?;
            Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
        }
        .boxed()
    }

    fn patients_past_an_end(&self, day: NaiveDate, part: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        async move {
            let mut db = lend(&self.0).await.map_err(unavailable)?;
            let patients = query::patients_past_an_end(&mut db, day, part.after, limit(part));
            let patients = within(ANSWER, patients).await;
            db.back(patients).map_err(unavailable)
        }
        .boxed()
    }

    fn articles_with_expired_lots(
        &self,
        day: NaiveDate,
        time_zone: Tz,
        part: Part,
    ) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        async move {
            let mut db = lend(&self.0).await.map_err(unavailable)?;
            let zone = time_zone.name();
            let articles = query::articles_with_expired_lots(&mut db, day, zone, part.after, limit(part));
            let articles = within(ANSWER, articles).await;
            db.back(articles).map_err(unavailable)
        }
        .boxed()
    }

    fn lots_expiring(
        &self,
        span: (NaiveDate, NaiveDate),
        time_zone: Tz,
        part: Part,
    ) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        async move {
            let mut db = lend(&self.0).await.map_err(unavailable)?;
            let lots = query::lots_expiring(&mut db, span, time_zone.name(), part.after, limit(part));
            let lots = within(ANSWER, lots).await;
            db.back(lots).map_err(unavailable)
        }
        .boxed()
    }
}
