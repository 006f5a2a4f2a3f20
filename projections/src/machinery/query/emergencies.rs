use hims_domain::{EmergencyAccessId, PatientId};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::statement::{SAID_AT, UNDER, bind_identity};
use super::{Identity, QueryError};

/// The accesses in an emergency that a caller has at a moment, each with a record of its patient. Nearly always none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Emergencies(Vec<(Uuid, Uuid)>);

impl Emergencies {
    /// From the column of a row that holds what `hims_identity.emergencies` answered.
    pub(super) fn of(row: &PgRow, column: usize) -> Result<Self, sqlx::Error> {
        let known: Option<Json<Vec<(Uuid, Uuid)>>> = row.try_get(column)?;
        Ok(Self(known.map(|Json(known)| known).unwrap_or_default()))
    }

    /// Those accesses that are to records of a patient for whom `is_shown` is true.
    pub fn to(&self, is_shown: impl Fn(PatientId) -> bool) -> impl Iterator<Item = EmergencyAccessId> {
        let shown = self.0.iter().filter(move |(_, record)| is_shown(PatientId(*record)));
        shown.map(|(access, _)| EmergencyAccessId(*access))
    }
}

/// The accesses in an emergency that a caller has now.
///
/// # Errors
/// When the database does not answer.
pub async fn emergencies(db: &mut PgConnection, who: &Identity) -> Result<Emergencies, QueryError> {
    let sql = format!("select under.emergencies from {SAID_AT} {UNDER}");
    let row = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), who).fetch_one(db).await?;
    Ok(Emergencies::of(&row, 0)?)
}
