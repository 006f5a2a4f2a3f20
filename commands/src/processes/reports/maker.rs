use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use chrono::NaiveDate;
use futures::future::BoxFuture;
use hims_domain::ReportExecutionId;
use hims_domain::report::Report;
use hims_domain::report_execution::{Asked, FailureReason};
use hims_event_store::StoreError;
use serde_json::{Map, Value};

use crate::aggregates::report::complete;
use crate::{Caller, Refused};

/// A report that is to be made.
pub struct ReportWanted {
    /// The execution, under whose id the file is kept.
    pub id: ReportExecutionId,
    /// What was asked for.
    pub asked: Asked,
    /// Who asked, with the rights of this moment. The report shows what this caller may read.
    pub caller: Caller,
    report: Arc<Report>,
    /// How much is done, in percent.
    progress: AtomicI32,
}

impl ReportWanted {
    pub(super) fn new(id: ReportExecutionId, asked: Asked, caller: Caller, report: Arc<Report>) -> Self {
        Self { id, asked, caller, report, progress: AtomicI32::new(0) }
    }

    /// The parameters as the query of the report gets them. `today` is the day, in the hospital's time zone, of the
    /// state on which the report is made.
    ///
    /// # Errors
    /// When the report does not take these parameters any more.
    pub fn parameters(&self, today: NaiveDate) -> Result<Map<String, Value>, Refused> {
        complete(&self.report, &self.asked.parameters, today)
    }

    /// Says how much is done, in percent.
    pub fn has_come_to(&self, percent: i32) {
        self.progress.store(percent.clamp(0, 99), Ordering::Relaxed);
    }

    /// How much is done, in percent.
    pub(super) fn progress(&self) -> i32 {
        self.progress.load(Ordering::Relaxed)
    }
}

/// The file of a report, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// The position of the log whose state the report shows.
    pub position: i64,
    /// The number of rows.
    pub row_count: i32,
    /// The number of bytes.
    pub byte_count: i32,
    /// The SHA-256 of the file, in hex.
    pub sha256: String,
}

/// Why a report was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotMade {
    /// The report cannot be made.
    For(FailureReason),
    /// The report cannot be made now; with what is in the way.
    Later(String),
}

/// Makes the files of reports from the read tables, and keeps them.
pub trait ReportMaker: Send + Sync {
    /// Makes a report, and keeps its file under the id of the execution.
    fn make<'a>(&'a self, wanted: &'a ReportWanted) -> BoxFuture<'a, Result<ReportFile, NotMade>>;

    /// Deletes the file of an execution, if there is one.
    fn forget(&self, id: ReportExecutionId) -> BoxFuture<'_, Result<(), StoreError>>;
}
