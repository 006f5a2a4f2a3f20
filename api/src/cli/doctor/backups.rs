//! The last backup and the last check of one.

use sqlx::PgConnection;

use super::Findings;
use crate::backup::{NoteOf, failed_verification, last};

/// How many seconds may lie between two checks of a backup: a month.
const BETWEEN_CHECKS: i64 = 31 * 24 * 3_600;

/// Whether the log was backed up lately, and a backup was checked.
pub(super) async fn backups(db: &mut PgConnection, hours: u32, found: &mut Findings) -> Result<(), sqlx::Error> {
    match last(db, NoteOf::Backup).await? {
        None => found.advice("backup: none was made so far: run `hims backup` regularly (docs/operations.md)"),
        Some(it) if it.is_overdue(hours) => found.advice(format!(
            "backup: the last one was made {} h ago, and one is due every {hours} h (HIMS_BACKUP_HOURS): see why there \
             is none",
            it.age / 3_600
        )),
        Some(it) => found.fine(format!("backup: made up to position {} in {}", it.position, it.folder)),
    }
    match last(db, NoteOf::Whole).await? {
        Some(it) if it.is_overdue(hours) => found.advice(format!(
            "backup: the last whole one was made {} h ago, and a restore begins with one: run `hims backup` without \
             --increment",
            it.age / 3_600
        )),
        Some(_) | None => {}
    }
    if let Some(it) = failed_verification(db).await? {
        found.fault(format!(
            "backup: the one in {} does not hold: make another one into a new folder (docs/operations.md)",
            it.folder
        ));
        return Ok(());
    }
    match last(db, NoteOf::Verification).await? {
        Some(it) if it.age <= BETWEEN_CHECKS => found.fine("backup: checked within the last month"),
        Some(_) | None => found.advice("backup: not checked within the last month: run `hims backup verify`"),
    }
    Ok(())
}
