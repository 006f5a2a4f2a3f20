//! The SQL of the reports, on read tables with few rows, whose numbers were computed by hand.

mod bounds;
mod declared;
mod demo;
mod laboratory;
mod money;
mod owed;
mod pharmacy;
mod records;
mod rows;
mod stock;
mod visits;
mod waitlist;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use hims_projections::READ_SCHEMA;
use hims_projections::reports::{Column, ColumnKind, REPORTS, Report};
use hims_testing::patched;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::support::{TestDatabase, database};
use rows::usual;

/// The id of the nth record of a test, whatever it is a record of.
fn id(nth: u32) -> String {
    Uuid::from_u128(nth.into()).to_string()
}

/// The report with a code.
fn report(code: &str) -> &'static Report {
    REPORTS.iter().find(|it| it.code == code).expect("a report with this code")
}

/// A number with as many decimals as PostgreSQL sends, which a zero loses when it is read.
fn scaled(row: &PgRow, column: &Column, mut number: Decimal) -> Decimal {
    let sent = row.try_get_raw(column.name).expect("a value");
    let sent = sent.as_bytes().expect("a number in the binary format");
    number.rescale(u16::from_be_bytes([sent[6], sent[7]]).into());
    number
}

/// A value of a report as the tests write it: `-` for null, `#7` for the id of the seventh record.
fn cell(row: &PgRow, column: &Column) -> String {
    fn of<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
        row: &'r PgRow,
        column: &Column,
        written: impl FnOnce(T) -> String,
    ) -> String {
        let value: Option<T> = row.try_get(column.name).expect("a value of the declared kind");
        value.map_or_else(|| "-".to_owned(), written)
    }
    match column.kind {
        ColumnKind::Text => of(row, column, |it: String| it),
        ColumnKind::Integer => of(row, column, |it: i64| it.to_string()),
        ColumnKind::Decimal => of(row, column, |it: Decimal| scaled(row, column, it).to_string()),
        ColumnKind::Instant => of(row, column, |it: DateTime<Utc>| it.format("%Y-%m-%d %H:%M").to_string()),
        ColumnKind::Day => of(row, column, |it: NaiveDate| it.to_string()),
        ColumnKind::Time => of(row, column, |it: NaiveTime| it.format("%H:%M").to_string()),
        ColumnKind::Boolean => of(row, column, |it: bool| if it { "yes" } else { "no" }.to_owned()),
        ColumnKind::Id => of(row, column, |it: Uuid| format!("#{}", it.as_u128())),
    }
}

/// The rows of a report at an instant, for a reader with these words to read, in the department with this id if there is
/// one, with a session in this time zone.
pub(super) async fn rows_of(
    options: &PgConnectOptions,
    as_of: &str,
    [reads, department, zone]: [&str; 3],
    code: &str,
    parameters: &Value,
) -> Vec<String> {
    let report = report(code);
    let told = json!({"as_of": as_of, "time_zone": "America/New_York", "today": &as_of[..10]});
    let mut all = patched(told, parameters.clone());
    for parameter in report.parameters {
        if let Some(default) = parameter.default.filter(|_| all.get(parameter.name).is_none()) {
            all[parameter.name] = json!(default);
        }
    }
    let mut db = PgConnection::connect_with(options).await.expect("a connection");
    let settings = format!(
        "set role hims_reader; set search_path = {READ_SCHEMA}, public; set time zone '{zone}';
         set hims.reads = '{reads}'; set hims.department_id = '{department}'"
    );
    db.execute(AssertSqlSafe(settings)).await.expect("the connection reads as a reader");
    let found = sqlx::query(report.sql).bind(all).fetch_all(&mut db).await;
    let found = found.unwrap_or_else(|error| panic!("{code}: {error}"));
    db.close().await.expect("closed");
    let written = |row: &PgRow| report.columns.iter().map(|it| cell(row, it)).collect::<Vec<_>>().join(" | ");
    found.iter().map(written).collect()
}

/// Read tables that a test fills itself.
struct House {
    database: TestDatabase,
    superuser: PgConnection,
    /// The instant of the position at which the reports are made.
    as_of: &'static str,
}

impl House {
    /// Read tables with two departments, their rooms, three providers and three records of two patients.
    async fn new(as_of: &'static str) -> Self {
        let database = database().await;
        let superuser = database.superuser().await;
        let mut house = Self { database, superuser, as_of };
        for (table, rows) in rows::house() {
            house.fill(table, rows).await;
        }
        house
    }

    /// Writes rows into a table. Columns that a row leaves out have the usual values of the table.
    async fn fill(&mut self, table: &str, rows: impl IntoIterator<Item = Value>) {
        self.superuser.execute("set session_replication_role = replica").await.expect("foreign keys are off");
        for row in rows {
            let mut whole = usual(table);
            let given = row.as_object().expect("a row").clone();
            whole.as_object_mut().expect("a row").extend(given);
            let columns: Vec<_> =
                whole.as_object().expect("a row").keys().map(|column| format!("\"{column}\"")).collect();
            let columns = columns.join(", ");
            let sql = format!(
                "insert into {READ_SCHEMA}.{table} ({columns})
                 select {columns} from jsonb_populate_record(null::{READ_SCHEMA}.{table}, $1)"
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(&whole);
            query.execute(&mut self.superuser).await.unwrap_or_else(|error| panic!("{table}: {error} in {whole}"));
        }
    }

    /// Works on the read tables as a superuser.
    async fn run(&mut self, sql: String) {
        self.superuser.execute(AssertSqlSafe(sql)).await.expect("done");
    }

    /// The rows of a report for a reader with these words, in the department with this id if there is one.
    async fn rows(&self, reads: &str, department: &str, code: &str, parameters: &Value, zone: &str) -> Vec<String> {
        rows_of(&self.database.options, self.as_of, [reads, department, zone], code, parameters).await
    }

    /// The rows of a report for a reader with these words, which do not depend on the time zone of the session, and of
    /// which a reader without a word for the report sees none.
    async fn report(&self, reads: &str, code: &str, parameters: Value) -> Vec<String> {
        let rows = self.rows(reads, "", code, &parameters, "UTC").await;
        assert_eq!(self.rows(reads, "", code, &parameters, "Pacific/Auckland").await, rows, "{code} in another zone");
        let nothing: [&str; 0] = [];
        assert_eq!(self.rows("staff,all_patients", &id(1), code, &parameters, "UTC").await, nothing, "{code}");
        rows
    }
}
