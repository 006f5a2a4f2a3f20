use sqlx::{PgConnection, Row as _};

use super::statement::{SAID_AT, bind_identity};
use super::{Identity, Page, QueryError, of_live_tables};

/// A view that says how the database works. Each shows its rows to callers who may read all data, or how the
/// hospital is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// The statements that took the most time.
    QueryPerformance,
    /// The tables and their dead rows.
    TableBloat,
}

impl Statistics {
    fn view(self) -> &'static str {
        match self {
            Self::QueryPerformance => "public.query_performance",
            Self::TableBloat => "public.table_bloat",
        }
    }
}

/// Reads a view that says how the database works, in the order of the view.
///
/// # Errors
/// When the database does not answer.
pub async fn statistics(db: &mut PgConnection, of: Statistics, who: &Identity) -> Result<Page, QueryError> {
    let sql = format!(
        "select row_to_json(s)::text, who.position
           from {SAID_AT}
           left join lateral (select * from {} where who.said is not null offset 0) as s on true",
        of.view()
    );
    let rows = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), who).fetch_all(db).await?;
    let Some(first) = rows.first() else { return Err(sqlx::Error::RowNotFound.into()) };
    let position = of_live_tables(first.try_get(1)?)?;
    let items = rows.iter().map(|row| row.try_get::<Option<String>, _>(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(Page { items: items.into_iter().flatten().collect(), next: None, emergencies: None, position })
}
