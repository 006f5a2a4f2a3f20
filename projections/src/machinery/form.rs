//! The form of the read tables: which release they are of, and how those that live stand to this one.
//!
//! The checkpoint keeps the form beside the position. A schema of read tables is made as a whole and gets the form of
//! the program that makes it; that never changes, but for a migration that is taken back. So whoever swaps the tables
//! swaps the form with them, and whoever projects compares it as they move the position.

use std::sync::LazyLock;

use hims_event_store::Position;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::machinery::event::derived_id;
use crate::machinery::migrations::{self, READ_MIGRATIONS};
use crate::{READ_SCHEMA, TABLES, Table};

/// What `project` makes of the golden history: a digest of all rows for each release in which that changed, the newest
/// last. A test computes it; where it is another, that is added here, and with it every hospital's tables are due.
pub const GOLDEN_ROWS: &[&str] = &["adc5f23e27de2dd40e6f8682299c17462e8f84101927d2373e9579615383f56e"];

/// The form that this program gives its tables.
pub(crate) static FORM: LazyLock<String> =
    LazyLock::new(|| form(migrations::last_read(), &READ_MIGRATIONS, TABLES, GOLDEN_ROWS));

/// A form says the last read migration and how often rows have changed, which tells older from newer, and a digest of
/// everything that the rows of the tables depend on.
fn form(last_migration: i64, migrations: &[&str], tables: &[Table], golden_rows: &[&str]) -> String {
    let column = |table: &str, name: &str, kind: &str, nullable| format!("{table}.{name} {kind} {nullable}");
    let columns = tables.iter().flat_map(|table| {
        let columns = table.columns.iter().chain(table.generated);
        columns.map(move |it| column(table.name, it.name, it.kind.sql(), it.nullable))
    });
    let columns: Vec<_> = columns.collect();
    let parts: Vec<_> =
        migrations.iter().chain(golden_rows).copied().chain(columns.iter().map(String::as_str)).collect();
    let digest = derived_id(Uuid::nil(), &parts).simple();
    format!("{last_migration}.{}.{digest}", golden_rows.len())
}

/// What tells an older form from a newer one; the least for what is no form.
fn age(form: &str) -> (i64, i64) {
    let mut numbers = form.split('.').map_while(|it| it.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// How the living read tables stand to this program and to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They are of this program's form: it projects into them.
    Current,
    /// There are none, or they are of another form, not a newer one: new ones are to be made beside them.
    Due,
    /// They are of a newer release's form: this program reads them, and projecting is for that release.
    Newer,
    /// They are of another form, since a migration of this program was taken back or not applied yet.
    TakenBack,
    /// They show what the log does not hold. Nothing replaces them by itself: they may be the last that knows of it.
    Beyond,
}

/// The read tables that live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Living {
    pub(crate) standing: Standing,
    /// The position of their checkpoint; 0 when there is none.
    pub(crate) position: Position,
}

/// Looks at the living read tables, as their owner.
pub(crate) async fn look(db: &mut PgConnection) -> Result<Living, sqlx::Error> {
    let living = look_at_checkpoint(db).await?;
    if living.standing == Standing::Due && !migrations::are_applied(db).await? {
        return Ok(Living { standing: Standing::TakenBack, ..living });
    }
    Ok(living)
}

/// The same as the projector sees it, who knows nothing of migrations.
pub(crate) async fn look_at_checkpoint(db: &mut PgConnection) -> Result<Living, sqlx::Error> {
    let none = Living { standing: Standing::Due, position: 0 };
    if !has_checkpoint(db).await? {
        return Ok(none);
    }
    let sql = format!(
        "select c.position, c.form,
                c.position = 0 or exists (select from log.events e where e.position = c.position and e.hash = c.hash)
           from {READ_SCHEMA}.projection_checkpoint c"
    );
    let row: Option<(Position, String, bool)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(db).await?;
    Ok(row.map_or(none, |(position, form, is_of_log)| Living { standing: standing(&form, is_of_log), position }))
}

fn standing(form: &str, is_of_log: bool) -> Standing {
    if !is_of_log {
        Standing::Beyond
    } else if form == *FORM {
        Standing::Current
    } else if age(form) > age(&FORM) {
        Standing::Newer
    } else {
        Standing::Due
    }
}

/// Whether the living tables have a checkpoint that says position, hash and form.
async fn has_checkpoint(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "select count(*) = 3 from pg_attribute
                where attrelid = to_regclass($1) and attname in ('position', 'hash', 'form') and not attisdropped";
    sqlx::query_scalar(sql).bind(format!("{READ_SCHEMA}.projection_checkpoint")).fetch_one(db).await
}

/// Says that the living tables are of no program's form any more, unless they were made before a migration anyway.
pub(crate) async fn forget(db: &mut PgConnection, migration: i64) -> Result<(), sqlx::Error> {
    if !has_checkpoint(db).await? {
        return Ok(());
    }
    let sql = format!("select form from {READ_SCHEMA}.projection_checkpoint");
    let form: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(&mut *db).await?;
    if form.is_some_and(|it| age(&it).0 >= migration) {
        let sql = format!("update {READ_SCHEMA}.projection_checkpoint set form = ''");
        sqlx::query(AssertSqlSafe(sql)).execute(db).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_rows_depend_on_gives_another_form() {
        let (one, two) = (["create table a ()"], ["create table a ()", "create table b ()"]);
        let forms = [
            form(9, &one, TABLES, &["x"]),
            form(10, &two, TABLES, &["x"]),
            form(9, &["create table a (); create index"], TABLES, &["x"]),
            form(9, &one, &TABLES[1..], &["x"]),
            form(9, &one, TABLES, &["x", "y"]),
            form(9, &one, TABLES, &["y"]),
        ];
        assert_eq!(forms.iter().collect::<std::collections::BTreeSet<_>>().len(), forms.len(), "{forms:?}");
        assert_eq!(forms[0], form(9, &one, TABLES, &["x"]));
    }

    #[test]
    fn a_form_tells_older_from_newer() {
        let of = |migration, rows: &[&str]| form(migration, &[], &[], rows);
        assert!(age("") < age("1.1.0") && age("rubbish") < age(&of(4, &["x"])));
        assert!(age(&of(9, &["x"])) < age(&of(9, &["x", "y"])));
        assert!(age(&of(9, &["x", "y"])) < age(&of(10, &["x", "y"])));
        assert!(age("9.2.x") < age("10.2.x"), "numbers are not compared as texts");
    }

    #[test]
    fn tables_of_another_form_are_due_and_those_of_a_newer_release_are_not() {
        assert_eq!(standing(&FORM, true), Standing::Current);
        assert_eq!(standing("", true), Standing::Due);
        let (migration, rows) = age(&FORM);
        assert_eq!(standing(&format!("{migration}.{rows}.other"), true), Standing::Due);
        assert_eq!(standing(&format!("{migration}.{}.other", rows + 1), true), Standing::Newer);
        assert_eq!(standing(&format!("{}.1.other", migration + 1), true), Standing::Newer);
        assert_eq!(standing(&FORM, false), Standing::Beyond);
        assert_eq!(standing("", false), Standing::Beyond);
    }
}
