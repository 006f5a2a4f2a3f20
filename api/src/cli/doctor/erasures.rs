//! What is left on the disk of people who were erased.

use sqlx::PgConnection;

use super::Findings;
use crate::scrubs::{Unscrubbed, unscrubbed};

/// Whether somebody was erased since the last scrub.
pub(super) async fn erasures(db: &mut PgConnection, found: &mut Findings) -> Result<(), sqlx::Error> {
    judge(&unscrubbed(db).await?, found);
    Ok(())
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
