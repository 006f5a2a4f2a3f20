//! The months of the audit log: partitions that are made ahead, and move into the archive as a whole.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};
use sqlx::{Connection as _, PgConnection};

use super::rows::{Direction, Moved, MovedTables, sum};
use super::{ArchiveError, lock_checkpoint};
use crate::machinery::rebuild::execute;

/// How many months after the present one have a partition ahead.
pub(crate) const AHEAD: u32 = 3;

/// The table of the audit log, whose months move as a whole.
const AUDIT: &str = "audit_logs";

const PREFIX: &str = "audit_logs_y";

/// The partition of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Month(NaiveDate);

impl Month {
    /// Reads the name of a partition, such as `audit_logs_y2024m01`.
    fn parse(partition: &str) -> Option<Self> {
        let (year, month) = partition.strip_prefix(PREFIX)?.split_once('m')?;
        NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1).map(Self)
    }

    fn partition(self) -> String {
        format!("{PREFIX}{:04}m{:02}", self.0.year(), self.0.month())
    }

    fn end(self) -> NaiveDate {
        self.0.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX)
    }
}

/// Makes the partitions of the present month and of those ahead.
pub(crate) async fn make_ahead(db: &mut PgConnection, today: NaiveDate) -> Result<(), sqlx::Error> {
    for month in (0..=AHEAD).filter_map(|it| today.checked_add_months(Months::new(it))) {
        sqlx::query("select create_monthly_partition('audit_logs', $1)").bind(month).execute(&mut *db).await?;
    }
    Ok(())
}

/// For how many months after the present one, without a gap, the audit log has a partition; -1 if the present month has
/// none.
///
/// # Errors
/// When the database does not answer.
pub async fn months_ahead(db: &mut PgConnection, today: NaiveDate) -> Result<i64, sqlx::Error> {
    let months = partitions(db, AUDIT).await?;
    let is_made = |ahead: &u32| {
        let month = today.checked_add_months(Months::new(*ahead)).and_then(|it| it.with_day(1));
        month.is_some_and(|it| months.contains(&Month(it)))
    };
    let made = (0..120).take_while(is_made).count();
    Ok(i64::try_from(made).unwrap_or(i64::MAX) - 1)
}

/// The months that are partitions of a table, the oldest first.
async fn partitions(db: &mut PgConnection, parent: &str) -> Result<Vec<Month>, sqlx::Error> {
    let sql = "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where i.inhparent = to_regclass($1)";
    let names: Vec<String> = sqlx::query_scalar(sql).bind(parent).fetch_all(db).await?;
    let mut months: Vec<_> = names.iter().filter_map(|it| Month::parse(it)).collect();
    months.sort_unstable();
    Ok(months)
}

/// Moves the months that ended at an instant or before into the archive of the audit log. No row is read but to count, and
/// none is written: the partitions get another parent.
pub(super) async fn archive(
    db: &mut PgConnection,
    before: DateTime<Utc>,
    moved: &mut MovedTables,
) -> Result<(), ArchiveError> {
    let old = |it: &Month| it.end().and_time(NaiveTime::MIN).and_utc() <= before;
    let months = partitions(db, AUDIT).await?.into_iter().filter(old);
    hand_over(db, months, Direction::IntoArchive, moved).await
}

/// Moves all months out of the archive.
pub(super) async fn bring_back(db: &mut PgConnection, moved: &mut MovedTables) -> Result<(), ArchiveError> {
    let months = partitions(db, "audit_logs_archive").await?.into_iter().rev();
    hand_over(db, months, Direction::IntoTable, moved).await
}

async fn hand_over(
    db: &mut PgConnection,
    months: impl Iterator<Item = Month>,
    direction: Direction,
    moved: &mut MovedTables,
) -> Result<(), ArchiveError> {
    for month in months {
        let (partition, begin, end) = (month.partition(), bound(month.0), bound(month.end()));
        let mut transaction = db.begin().await?;
        lock_checkpoint(&mut transaction).await?;
        let (rows, before) = sum(&mut transaction, &partition, "true", &[]).await?;
        // Whoever reads the audit log meanwhile is waited for, and whoever begins to read waits.
        let mut statements = vec!["set local lock_timeout = '3s'".to_owned()];
        if !partitions(&mut transaction, "audit_logs_archive").await?.is_empty() {
            statements.push("alter table audit_logs detach partition audit_logs_archive".to_owned());
        }
        let (from, to) = direction.route(AUDIT);
        statements.push(format!("alter table {from} detach partition {partition}"));
        statements.push(format!("alter table {to} attach partition {partition} for values from ({begin}) to ({end})"));
        execute(&mut transaction, &statements.join("; ")).await?;
        if let Some(last) = partitions(&mut transaction, "audit_logs_archive").await?.last() {
            let sql = format!(
                "alter table audit_logs attach partition audit_logs_archive for values from (minvalue) to ({})",
                bound(last.end())
            );
            execute(&mut transaction, &sql).await?;
        }
        let condition = format!("\"timestamp\" >= {begin} and \"timestamp\" < {end}");
        let (arrived, after) = sum(&mut transaction, AUDIT, &condition, &[]).await?;
        if (rows, before) != (arrived, after) {
            return Err(ArchiveError::Differs(AUDIT));
        }
        transaction.commit().await?;
        moved.entry(AUDIT).or_default().add(Moved { rows, before, after });
    }
    Ok(())
}

/// The beginning of a day, in UTC, as the bound of a partition.
fn bound(day: NaiveDate) -> String {
    format!("'{day}T00:00Z'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_partition_says_its_month() {
        let month = Month::parse("audit_logs_y2024m12").expect("a month");
        assert_eq!(
            (month.partition().as_str(), month.end().to_string().as_str()),
            ("audit_logs_y2024m12", "2025-01-01")
        );
        for other in ["audit_logs_archive", "audit_logs_y2024m13", "audit_logs_y2024", "consultations_archive"] {
            assert_eq!(Month::parse(other), None, "{other}");
        }
    }
}
