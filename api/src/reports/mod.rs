//! Makes the files of reports: reads the rows from the read tables as the one who asked, and writes them in a format.

mod csv;
mod json;
mod pdf;
mod sheet;
mod xlsx;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hims_commands::{NotMade, ReportFile, ReportMaker, ReportWanted};
use hims_domain::ReportExecutionId;
use hims_domain::report::{Definition, Holds, Parameter};
use hims_domain::report_execution::{AsOf, FailureReason, Format};
use hims_domain::values::Text;
use hims_event_store::chain::hex;
use hims_event_store::{EventStore, PgFiles, Position, StoreError};
use hims_projections::query::{Bounds, QueryError, ReportError, ReportView};
use hims_projections::reports::{ParameterKind, REPORTS, Report};
use hims_projections::{READ_SCHEMA, Rebuild, RebuildError, Target};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgPool};

use self::sheet::Sheet;
use crate::connections::{Primary, Work};
use crate::sight;

/// What a report may have at most, and how long its query may take.
const BOUNDS: Bounds = Bounds { rows: 1_000_000, bytes: MOST_BYTES, time: Duration::from_mins(10) };
/// How many bytes a file has at most.
const MOST_BYTES: usize = 100 * 1024 * 1024;
/// How much of the work is done, in percent, when the tables of an earlier state are made.
const TABLES_MADE: i32 = 80;

/// Makes the files of reports, and keeps them.
pub(crate) struct Reports {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) files: PgFiles,
    /// How to connect to the database.
    pub(crate) primary: Primary,
    /// Connections as a member of the role that owns the read tables.
    pub(crate) owner: PgPool,
    /// Makes the tables of an earlier state.
    pub(crate) rebuild: Rebuild,
    /// The time zone of the hospital.
    pub(crate) time_zone: Tz,
}

/// What the log keeps of a report.
pub(crate) fn definition(report: &Report) -> Definition {
    let texts = |words: &[&str]| words.iter().map(|it| Text::from(*it)).collect();
    let parameter = |told: &hims_projections::reports::Parameter| Parameter {
        name: told.name.into(),
        holds: match told.kind {
            ParameterKind::Day => Holds::Day,
            ParameterKind::Count { least, most } => Holds::Count { least, most },
            ParameterKind::Choice(words) => Holds::Choice(words.iter().map(|it| Text::from(*it)).collect()),
            ParameterKind::Id(stream) => Holds::Id(stream.into()),
            ParameterKind::Text(most) => Holds::Text(most),
        },
        default: told.default.map(Text::from),
        required: told.required,
        description: told.description.into(),
    };
    let columns: Vec<_> = report.columns.iter().map(|it| it.name).collect();
    let mut definition = Definition {
        code: report.code.into(),
        version: report.version.into(),
        title: report.title.into(),
        description: report.description.into(),
        category: report.category,
        contains_phi: report.contains_phi,
        words: texts(report.words),
        parameters: report.parameters.iter().map(parameter).collect(),
        columns: texts(&columns),
        sha256: Text(String::new()),
    };
    let kinds: Vec<_> = report.columns.iter().map(|it| format!("{:?} {}", it.kind, it.title)).collect();
    let all = json!([definition, kinds, report.sql]).to_string();
    definition.sha256 = Text(hex(&Sha256::digest(all.as_bytes())));
    definition
}

/// The type of a file on the wire, and the ending of its name.
pub(crate) fn media_type(format: Format) -> &'static str {
    match format {
        Format::Csv => "text/csv; charset=utf-8; header=present",
        Format::Json => "application/json",
        Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Format::Pdf => "application/pdf",
    }
}

/// The report as a file; an error if the file cannot be made.
fn written(format: Format, sheet: &Sheet) -> Result<Vec<u8>, NotMade> {
    let made = match format {
        Format::Csv => csv::write(sheet),
        Format::Json => json::write(sheet),
        Format::Xlsx => xlsx::write(sheet),
        Format::Pdf if sheet.rows.len() > pdf::MOST_ROWS => return Err(NotMade::For(FailureReason::TooLarge)),
        Format::Pdf => pdf::write(sheet),
    };
    match made {
        Ok(file) if file.len() > MOST_BYTES => Err(NotMade::For(FailureReason::TooLarge)),
        Ok(file) => Ok(file),
        Err(error) => Err(broken(error)),
    }
}

/// Something that no further try would mend.
fn broken(error: impl std::fmt::Display) -> NotMade {
    tracing::error!(%error, "a report could not be made");
    NotMade::For(FailureReason::Broken)
}

fn later(error: impl std::fmt::Display) -> NotMade {
    NotMade::Later(error.to_string())
}

/// The error of a query. The living tables may be of another release for a while, but not those that were just made.
fn of_query(error: QueryError, schema: &str) -> NotMade {
    match error {
        QueryError::Behind(_) if schema != READ_SCHEMA => broken(error),
        QueryError::Database(sqlx::Error::Database(_)) | QueryError::Value => broken(error),
        QueryError::Swapped | QueryError::Behind(_) | QueryError::Database(_) => later(error),
    }
}

fn of_rebuild(error: RebuildError) -> NotMade {
    match error {
        RebuildError::Beyond(_) => NotMade::For(FailureReason::NoSuchPosition),
        RebuildError::Busy | RebuildError::Store(_) => later(error),
        error => broken(error),
    }
}

impl Reports {
    /// When the event at a position was recorded; the beginning of time for the beginning of the log.
    async fn instant_of(&self, position: Position) -> Result<DateTime<Utc>, NotMade> {
        if position == 0 {
            return Ok(DateTime::UNIX_EPOCH);
        }
        let events = self.store.read(position - 1, 1).await.map_err(later)?;
        events.first().map(|it| it.recorded_at).ok_or_else(|| later("the log does not have the position yet"))
    }

    /// Reads the rows from the tables of a schema.
    async fn read(&self, schema: &str, wanted: &ReportWanted, report: &'static Report) -> Result<Sheet, NotMade> {
        let unreachable = |error: sqlx::Error| later(error);
        let mut db = self.primary.connect().await.map_err(unreachable)?;
        Work::Read.set_up(&mut db).await.map_err(unreachable)?;
        let who = sight::identity(&wanted.caller);
        let mut view =
            ReportView::open(&mut db, schema, &who, BOUNDS).await.map_err(|error| of_query(error, schema))?;
        let position = view.position;
        let as_of = self.instant_of(position).await?;
        let today = as_of.with_timezone(&self.time_zone).date_naive();
        let unfit = |_| NotMade::For(FailureReason::UnknownParameter);
        let parameters = wanted.parameters(today).map_err(unfit)?;
        let mut argument = parameters.clone();
        argument.insert("today".to_owned(), json!(today));
        argument.insert("time_zone".to_owned(), json!(self.time_zone.name()));
        argument.insert("as_of".to_owned(), json!(as_of));
        let rows = view.rows(report, &Value::Object(argument), BOUNDS).await.map_err(|error| match error {
            ReportError::TooLarge => NotMade::For(FailureReason::TooLarge),
            ReportError::TooSlow => NotMade::For(FailureReason::TooSlow),
            ReportError::Query(error) => of_query(error, schema),
        })?;
        drop(view);
        // The rows are there, so nothing depends on how the connection ends.
        db.close().await.ok();
        Ok(Sheet { report, parameters, position, as_of, rows })
    }

    /// Reads the rows from tables of an earlier state, which are made for the report and dropped afterwards. Also answers
    /// the position of the last event that may have erased somebody before the tables were made.
    async fn read_as_of(
        &self,
        as_of: AsOf,
        wanted: &ReportWanted,
        report: &'static Report,
    ) -> Result<(Sheet, Position), NotMade> {
        let schema = format!("report_{}", wanted.id.0.simple());
        // A node that was stopped may have left the schema behind.
        self.drop_schema(&schema).await.map_err(later)?;
        let head = self.store.current_head().await.map_err(later)?;
        // Another node may have destroyed a key a moment ago that is remembered here.
        self.store.vault().forget_fetched_keys();
        let last = head.max(1);
        let (target, end) = match as_of {
            AsOf::Position(position) => (Target::Position(position, schema.clone()), position.clamp(1, last)),
            AsOf::Instant(instant) => (Target::Instant(instant, schema.clone()), last),
        };
        let progress = |position: Position| {
            let percent = (position * i64::from(TABLES_MADE) / end).min(i64::from(TABLES_MADE));
            wanted.has_come_to(i32::try_from(percent).unwrap_or(TABLES_MADE));
        };
        let sheet = match self.rebuild.run(&target, progress).await {
            Ok(_) => self.read(&schema, wanted, report).await,
            Err(error) => Err(of_rebuild(error)),
        };
        if let Err(error) = self.drop_schema(&schema).await {
            tracing::warn!(%error, schema, "the tables of an earlier state could not be dropped; drop the schema");
        }
        Ok((sheet?, head))
    }

    async fn drop_schema(&self, schema: &str) -> Result<(), sqlx::Error> {
        let sql = format!("drop schema if exists {schema} cascade");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.owner).await.map(drop)
    }

    async fn made(&self, wanted: &ReportWanted) -> Result<ReportFile, NotMade> {
        let code = wanted.asked.report_code.as_str();
        let report = REPORTS.iter().find(|it| it.code == code).ok_or(NotMade::For(FailureReason::UnknownReport))?;
        let (sheet, erased_until) = match wanted.asked.as_of {
            None => {
                let sheet = self.read(READ_SCHEMA, wanted, report).await?;
                let position = sheet.position;
                (sheet, position)
            }
            Some(as_of) => self.read_as_of(as_of, wanted, report).await?,
        };
        let (position, row_count, about) = (sheet.position, sheet.rows.len(), sheet.patients());
        let format = wanted.asked.format;
        let making = move || written(format, &sheet).map(|file| (hex(&Sha256::digest(&file)), file));
        let (sha256, bytes) = tokio::task::spawn_blocking(making).await.map_err(broken)??;
        let byte_count = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        if !self.files.keep(wanted.id.0, (about, bytes), erased_until).await.map_err(later)? {
            return Err(later("somebody was erased while the report was made"));
        }
        let row_count = i32::try_from(row_count).unwrap_or(i32::MAX);
        Ok(ReportFile { position, row_count, byte_count, sha256 })
    }
}

impl ReportMaker for Reports {
    fn make<'a>(&'a self, wanted: &'a ReportWanted) -> BoxFuture<'a, Result<ReportFile, NotMade>> {
        self.made(wanted).boxed()
    }

    fn forget(&self, id: ReportExecutionId) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.files.forget(id.0).await }.boxed()
    }
}

/// The parameters as people read them, such as `from: 2026-11-01, to: 2026-11-30`.
fn told(parameters: &Map<String, Value>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    parameters.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
