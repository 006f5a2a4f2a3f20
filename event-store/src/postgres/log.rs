use async_trait::async_trait;
use sqlx::PgPool;

use super::read;
use crate::bounded::{LONG_ANSWER, lend, within};
use crate::chain::Hash;
use crate::verify::Chained;
use crate::{Position, Recorded, StoreError};

/// An event log in PostgreSQL for [`verify`](crate::verify::verify) alone. The connections of the pool need no other
/// right than to read `log.events` and `log.head`, and no master key is needed.
pub struct PgLog(pub PgPool);

#[async_trait]
impl Chained for PgLog {
    async fn events(&self, after: Position, limit: i64) -> Result<Vec<Recorded>, StoreError> {
        read::read(&self.0, after, limit).await
    }

    async fn end(&self) -> Result<(Position, Hash), StoreError> {
        let mut db = lend(&self.0).await?;
        let end = within(LONG_ANSWER, sqlx::query_as("select position, hash from log.head").fetch_one(&mut *db)).await;
        Ok(db.back(end)?)
    }

    async fn misplaced(&self, after: Position, last: Position) -> Result<Option<Position>, StoreError> {
        read::misplaced(&self.0, after, last).await
    }
}
