//! The months of the audit log.

use hims_projections::archive::months_ahead;
use sqlx::PgConnection;

use super::Findings;

/// Whether the audit log has a partition for the present month and for the next.
pub(super) async fn months(db: &mut PgConnection, found: &mut Findings) -> Result<(), sqlx::Error> {
    let sql = "select (clock_timestamp() at time zone 'UTC')::date, to_regclass('audit_logs') is not null";
    let (today, is_there) = sqlx::query_as(sql).fetch_one(&mut *db).await?;
    if is_there {
        judge(months_ahead(db, today).await?, found);
    }
    Ok(())
}

fn judge(ahead: i64, found: &mut Findings) {
    match ahead {
        ..=-1 => found.fault("audit log: the present month has no partition: start a server, which makes it"),
        0 => found.advice("audit log: the next month has no partition: start a server, which makes it"),
        _ => found.fine(format!("audit log: partitions are made {ahead} months ahead")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::*;

    #[test]
    fn a_month_without_a_partition_is_told_before_it_begins() {
        let judged = |ahead| {
            let mut found = Findings::default();
            judge(ahead, &mut found);
            found.0.pop()
        };
        assert!(matches!(judged(-1), Some(Finding::Fault(_))));
        assert!(matches!(judged(0), Some(Finding::Advice(_))));
        assert!(matches!(judged(1), Some(Finding::Fine(_))));
    }
}
