//! What is left on the disk of people who were erased.

use hims_projections::{READ_SCHEMA, REBUILD_SCHEMA};
use sqlx::PgConnection;

use super::Findings;
use crate::scrubs::{Unscrubbed, unscrubbed};

/// Whether somebody was erased since the last scrub, and whether there are copies that no erasure reaches.
pub(super) async fn erasures(db: &mut PgConnection, found: &mut Findings) -> Result<(), sqlx::Error> {
    judge(&unscrubbed(db).await?, found);
    let copies = copies(db).await?;
    if !copies.is_empty() {
        found.advice(format!(
            "erasures: the tables in {} are as of earlier positions, and whoever is erased stays there: drop these schemas \
             when nobody needs them any more",
            copies.join(", ")
        ));
    }
    Ok(())
}

/// The schemas with read tables of an earlier position, which `hims rebuild --into` made.
async fn copies(db: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let sql = "select n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where c.relname = 'projection_checkpoint' and n.nspname <> all ($1) order by 1";
    sqlx::query_scalar(sql).bind([READ_SCHEMA, REBUILD_SCHEMA]).fetch_all(db).await
}

fn judge(waiting: &Unscrubbed, found: &mut Findings) {
    match waiting {
        Unscrubbed { people: 0, .. } => found.fine("erasures: nobody was erased since the last `hims scrub`"),
        Unscrubbed { people, since, .. } => {
            let since = since.map(|it| it.format(" since %Y-%m-%d").to_string()).unwrap_or_default();
            found.advice(format!(
                "erasures: people erased{since}: {people}. PostgreSQL may keep something of them on the disk: run `hims \
                 scrub` at a quiet hour"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::Finding;
    use super::*;

    #[test]
    fn somebody_who_was_erased_since_the_last_scrub_is_advice() {
        let judged = |people| {
            let mut found = Findings::default();
            judge(&Unscrubbed { people, since: Some(DateTime::UNIX_EPOCH), last: None }, &mut found);
            found.0.pop()
        };
        assert!(matches!(judged(0), Some(Finding::Fine(_))));
        assert!(matches!(judged(2), Some(Finding::Advice(text)) if text.contains("erased since 1970-01-01: 2.")));
    }
}
