//! The form of the read tables: a text that says which release made the tables.
//!
//! The checkpoint holds the form beside the position. A schema of read tables is made as a whole and gets the form of
//! the program that makes the schema; only reverting a read migration changes the form of existing tables. A swap of
//! the tables therefore swaps the form, and the projector compares the form whenever it moves the position.

use std::sync::LazyLock;

use hims_event_store::Position;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::machinery::event::derived_id;
use crate::machinery::migrations::{self, READ_MIGRATIONS};
use crate::{READ_SCHEMA, TABLES, Table};

/// Digests of the rows that `project` makes of the golden history, one for each release that changed these rows, the
/// newest last. A test computes the digest; a new digest is added here. The new digest gives the read tables another
/// form, so that every hospital's read tables are rebuilt.
pub const GOLDEN_ROWS: &[&str] = &["b74c7ca32a2db539261b9280a404968231297e8bcd18804926d7b814d94723b0"];

/// The form of the read tables that this program makes.
pub static FORM: LazyLock<String> =
    LazyLock::new(|| form(migrations::last_read(), &READ_MIGRATIONS, TABLES, GOLDEN_ROWS));

/// Composes a form from the number of the last read migration and the number of golden digests, which tell an older
/// form from a newer one, and a digest of everything on which the rows of the tables depend.
fn form(last_migration: i64, migrations: &[&str], tables: &[Table], golden_rows: &[&str]) -> String {
    let column = |table: &str, name: &str, kind: &str, nullable| format!("{table}.{name} {kind} {nullable}");
    let columns = tables.iter().flat_map(|table| {
        let columns = table.columns.iter().chain(table.generated);
        columns.map(move |declared| column(table.name, declared.name, declared.kind.sql(), declared.nullable))
    });
    let columns: Vec<_> = columns.collect();
    let parts: Vec<_> =
        migrations.iter().chain(golden_rows).copied().chain(columns.iter().map(String::as_str)).collect();
    let digest = derived_id(Uuid::nil(), &parts).simple();
    format!("{last_migration}.{}.{digest}", golden_rows.len())
}

/// The two numbers of a form, which are greater in a newer form; zeros for a text that is not a form.
fn age(form: &str) -> (i64, i64) {
    let mut numbers = form.split('.').map_while(|it| it.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// How the living read tables compare with this program's form and with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The tables are of this program's form, so this program projects into them.
    Current,
    /// The tables are missing, or of a form that is neither this program's nor newer. A rebuild must replace them.
    Due,
    /// A newer release made the tables, or changed what an append writes. This program reads the tables; only the newer
    /// release projects and records.
    Newer,
    /// The tables are of another form because a read migration of this program was reverted or is not applied yet.
    TakenBack,
    /// The tables do not fit the log: they show events that the log does not hold, or their checkpoint is not where
    /// their rows end. The program never replaces such tables by itself, since they may be the only record of the
    /// events.
    Beyond,
}

/// The state of the living read tables, which answer queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Living {
    pub(crate) standing: Standing,
    /// The position of the checkpoint; 0 when there is no checkpoint.
    pub(crate) position: Position,
}

/// Examines the living read tables with the rights of their owner, who can see which migrations are applied.
pub(crate) async fn look(db: &mut PgConnection) -> Result<Living, sqlx::Error> {
    let living = look_at_checkpoint(db).await?;
    if living.standing != Standing::Beyond && migrations::are_newer(db).await? {
        return Ok(Living { standing: Standing::Newer, ..living });
    }
    if living.standing == Standing::Due && !migrations::are_applied(db).await? {
        return Ok(Living { standing: Standing::TakenBack, ..living });
    }
    Ok(living)
}

/// Examines the living read tables with the rights of the projector, who cannot see which migrations are applied. The
/// standing is therefore never `TakenBack`, but `Due` instead.
pub(crate) async fn look_at_checkpoint(db: &mut PgConnection) -> Result<Living, sqlx::Error> {
    let none = Living { standing: Standing::Due, position: 0 };
    if !has_checkpoint(db).await? {
        return Ok(none);
    }
    let sql = format!(
        "select c.position, c.form,
                case when c.position = 0 then c.hash is null
                     else exists (select from log.events e where e.position = c.position and e.hash = c.hash) end
           from {READ_SCHEMA}.projection_checkpoint c"
    );
    let row: Option<(Position, String, bool)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(&mut *db).await?;
    let Some((position, form, is_of_log)) = row else { return Ok(none) };
    let mut standing = standing(&form, is_of_log);
    if standing == Standing::Current {
        if !has_all_columns(db).await? {
            // Somebody dropped a table or a column.
            standing = Standing::Due;
        } else if shows_later_events(db).await? {
            standing = Standing::Beyond;
        }
    }
    Ok(Living { standing, position })
}

/// Whether the living tables have all columns that this program declares.
async fn has_all_columns(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let columns_of =
        |table: &'static Table| table.columns.iter().chain(table.generated).map(|it| (table.name, it.name));
    let (tables, columns): (Vec<&str>, Vec<&str>) = TABLES.iter().flat_map(columns_of).unzip();
    let sql = "select count(*) = cardinality($2)
                 from pg_attribute a join pg_class c on c.oid = a.attrelid
                where c.relnamespace = to_regnamespace($1) and a.attnum > 0 and not a.attisdropped
                  and (c.relname, a.attname) in (select * from unnest($2::text[], $3::text[]))";
    sqlx::query_scalar(sql).bind(READ_SCHEMA).bind(tables).bind(columns).fetch_one(db).await
}

/// Whether the audit log, which has a row for each event, has a row of an event after the checkpoint: somebody put the
/// checkpoint back, and projecting from there would project events twice.
async fn shows_later_events(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = format!(
        "select exists (select from {READ_SCHEMA}.audit_logs a
                         where a.position > (select position from {READ_SCHEMA}.projection_checkpoint))"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(db).await
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

/// Whether the living tables have a checkpoint with position, hash and form.
async fn has_checkpoint(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "select count(*) = 3 from pg_attribute
                where attrelid = to_regclass($1) and attname in ('position', 'hash', 'form') and not attisdropped";
    sqlx::query_scalar(sql).bind(format!("{READ_SCHEMA}.projection_checkpoint")).fetch_one(db).await
}

/// Clears the form of the living tables before a read migration is reverted, so that no program takes the tables for
/// its own. Tables that were made without that migration keep their form.
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
